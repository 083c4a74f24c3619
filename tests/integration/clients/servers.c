#include "servers.h"

#include "base/auto.h"
#include "check.h"
#include "clients/endpoint.h"
#include "runtime/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* NOLINTBEGIN(concurrency-mt-unsafe): a test program has one thread when it starts servers. */

enum {
    SERVERS_MAX = 16,
    ENDPOINTS_MAX = 128,
    ARGS_MAX = 16,
    PATH_SIZE = 256,
    START_MS = 30000,
    TRY_MS = 20,
    TRIES_MAX = 50
};

enum server_kind { SERVER_NATS, SERVER_REDIS, SERVER_REDIS_CLUSTER, SERVER_POSTGRES };

struct server {
    enum server_kind kind;
    int port;
    pid_t pid; /* 0: not running */
    char directory[PATH_SIZE];
    char url[PATH_SIZE];
};

/* What atexit still has to clean up. */
static struct server *registry[SERVERS_MAX];
static struct endpoint *endpoints[ENDPOINTS_MAX];
static size_t endpoint_count;

static int on_file(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void on_exit_of_tests(void)
{
    for (size_t i = 0; i < SERVERS_MAX; i++)
        server_close(&registry[i]);
}

static void enter_registry(struct server *server)
{
    static bool is_hooked;

    if (!is_hooked)
        atexit(on_exit_of_tests);
    is_hooked = true;
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        if (registry[i] == NULL) {
            registry[i] = server;
            return;
        }
    }
    fail_msg("more than %d servers", SERVERS_MAX);
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int find_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* Postgres refuses to be root: the child becomes the user that owns the directory. */
static void become_owner(const char *directory)
{
    struct stat info;

    if (geteuid() != 0 || stat(directory, &info) != 0 || info.st_uid == 0)
        return;
    if (setgroups(0, NULL) != 0 || setgid(info.st_gid) != 0 || setuid(info.st_uid) != 0)
        _exit(126);
}

/* The child dies with the test program, whatever ends that. */
static pid_t spawn(const struct server *server, const char *const args[])
{
    char log[PATH_SIZE + 8];
    char *own_args[ARGS_MAX] = {NULL};
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    snprintf(log, sizeof(log), "%s/log", server->directory);
    become_owner(server->directory);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    dup2(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), 1);
    dup2(1, 2);
    for (size_t i = 0; i + 1 < ARGS_MAX && args[i] != NULL; i++)
        own_args[i] = strdup(args[i]);
    if (chdir(server->directory) == 0)
        execvp(own_args[0], own_args);
    _exit(127);
}

static void fail_with_log(const struct server *server)
{
    char path[PATH_SIZE + 8];
    char text[1024] = "";
    FILE *file;

    snprintf(path, sizeof(path), "%s/log", server->directory);
    file = fopen(path, "re");
    if (file != NULL) {
        (void)fseek(file, -(long)(sizeof(text) - 1), SEEK_END); /* a short log: stays at 0 */
        (void)fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
    }
    fail_msg("the server does not start (is it installed, NATS_SERVER set?): %s", text);
}

static void run(const struct server *server, const char *const args[])
{
    int status = -1;
    pid_t pid = spawn(server, args);

    waitpid(pid, &status, 0);
    if (status != 0)
        fail_with_log(server);
}

/* "/usr/lib/postgresql/15/bin/initdb": Debian keeps them off the PATH. */
static void find_postgres(const char *program, char path[PATH_SIZE])
{
    glob_t found = {0};
    char pattern[PATH_SIZE];

    snprintf(pattern, sizeof(pattern), "/usr/lib/postgresql/*/bin/%s", program);
    if (glob(pattern, 0, NULL, &found) == 0)
        snprintf(path, PATH_SIZE, "%s", found.gl_pathv[found.gl_pathc - 1]);
    else
        snprintf(path, PATH_SIZE, "%s", program);
    globfree(&found);
}

static void write_file(const struct server *server, const char *name, const char *text)
{
    char path[PATH_SIZE + 32];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", server->directory, name);
    file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void prepare_nats(struct server *server)
{
    char text[512];

    snprintf(text, sizeof(text), "host: 127.0.0.1\nport: %d\njetstream { store_dir: \"%s/js\" }\n",
             server->port, server->directory);
    write_file(server, "nats.conf", text);
    snprintf(server->url, sizeof(server->url), "nats://127.0.0.1:%d", server->port);
}

static void prepare_postgres(struct server *server)
{
    const struct passwd *owner = geteuid() == 0 ? getpwnam("postgres") : NULL;
    char initdb[PATH_SIZE];
    char data[PATH_SIZE + 8];
    const char *const args[] = {initdb,     "-D",           data,        "-U",
                                "postgres", "--auth=trust", "--no-sync", NULL};

    if (owner != NULL)
        assert_int_equal(chown(server->directory, owner->pw_uid, owner->pw_gid), 0);
    find_postgres("initdb", initdb);
    snprintf(data, sizeof(data), "%s/data", server->directory);
    run(server, args);
    snprintf(server->url, sizeof(server->url), "postgres://postgres@127.0.0.1:%d/postgres",
             server->port);
}

static struct server *open_server(enum server_kind kind)
{
    struct server *server = calloc(1, sizeof(*server));
    const char *base = getenv("TMPDIR");

    assert_non_null(server);
    server->kind = kind;
    server->port = find_free_port();
    snprintf(server->directory, sizeof(server->directory), "%s/adledger-test-XXXXXX",
             base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(server->directory));
    enter_registry(server);
    if (kind == SERVER_NATS)
        prepare_nats(server);
    else if (kind == SERVER_POSTGRES)
        prepare_postgres(server);
    else
        snprintf(server->url, sizeof(server->url), "redis://127.0.0.1:%d", server->port);
    server_start(server);
    return server;
}

struct server *server_open_nats(void)
{
    return open_server(SERVER_NATS);
}

struct server *server_open_redis(void)
{
    return open_server(SERVER_REDIS);
}

struct server *server_open_redis_cluster(void)
{
    return open_server(SERVER_REDIS_CLUSTER);
}

struct server *server_open_postgres(void)
{
    return open_server(SERVER_POSTGRES);
}

void server_close(struct server **server)
{
    struct server *self = *server;

    if (self == NULL)
        return;
    server_kill(self);
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        if (registry[i] == self)
            registry[i] = NULL;
    }
    nftw(self->directory, on_file, 16, FTW_DEPTH | FTW_PHYS);
    free(self);
    *server = NULL;
}

const char *server_url(const struct server *server)
{
    return server->url;
}

static void on_exit_of_endpoints(void)
{
    while (endpoint_count > 0)
        endpoint_free(&endpoints[--endpoint_count]);
}

struct endpoint *endpoint_at(const char *url)
{
    struct error err;

    if (endpoint_count == 0)
        atexit(on_exit_of_endpoints);
    assert_true(endpoint_count < ENDPOINTS_MAX);
    endpoints[endpoint_count] = endpoint_new(url, &err);
    assert_non_null(endpoints[endpoint_count]);
    return endpoints[endpoint_count++];
}

void endpoint_move(struct endpoint *endpoint, const char *url)
{
    char *text = strdup(url);

    assert_non_null(text);
    assert_true(endpoint_swap(endpoint, &text));
    endpoint_text_free(&text);
}

struct endpoint *server_endpoint(const struct server *server)
{
    return endpoint_at(server->url);
}

int server_port(const struct server *server)
{
    return server->port;
}

static pid_t spawn_nats(const struct server *server)
{
    const char *given = getenv("NATS_SERVER");
    const char *const args[] = {given == NULL ? "nats-server" : given, "-c", "nats.conf", NULL};

    return spawn(server, args);
}

static pid_t spawn_redis(const struct server *server)
{
    bool is_node = server->kind == SERVER_REDIS_CLUSTER;
    char port[16];
    char bus_port[16];
    const char *const args[] = {"redis-server",
                                "--port",
                                port,
                                "--bind",
                                "127.0.0.1",
                                "--save",
                                "",
                                "--appendonly",
                                "no",
                                is_node ? "--cluster-enabled" : NULL,
                                "yes",
                                "--cluster-port",
                                bus_port,
                                NULL};

    snprintf(port, sizeof(port), "%d", server->port);
    snprintf(bus_port, sizeof(bus_port), "%d", server->port - 10000);
    return spawn(server, args);
}

static pid_t spawn_postgres(const struct server *server)
{
    char program[PATH_SIZE];
    char port[16];
    char socket_directory[PATH_SIZE + 32];
    const char *const args[] = {program,     "-D", "data",           "-p", port,        "-h",
                                "127.0.0.1", "-c", socket_directory, "-c", "fsync=off", NULL};

    find_postgres("postgres", program);
    snprintf(port, sizeof(port), "%d", server->port);
    snprintf(socket_directory, sizeof(socket_directory), "unix_socket_directories=%s",
             server->directory);
    return spawn(server, args);
}

/* A server that listens answers; postgres first says that it is starting up. */
static bool is_answering(const struct server *server)
{
    char command[PATH_SIZE * 2 + 32];
    char psql[PATH_SIZE];
    int fd = connect_to(server->port);

    if (fd < 0)
        return false;
    close(fd);
    if (server->kind != SERVER_POSTGRES)
        return true;
    find_postgres("pg_isready", psql);
    snprintf(command, sizeof(command), "%s -q -d '%s'", psql, server->url);
    /* NOLINTNEXTLINE(cert-env33-c): the text is our own. */
    return system(command) == 0;
}

static pid_t spawn_server(const struct server *server)
{
    if (server->kind == SERVER_NATS)
        return spawn_nats(server);
    return server->kind == SERVER_POSTGRES ? spawn_postgres(server) : spawn_redis(server);
}

/* A killed postgres may refuse to start until the last of its children is gone. */
void server_start(struct server *server)
{
    int64_t deadline_ms = clock_now_ms() + START_MS;
    int tries = 0;

    server->pid = spawn_server(server);
    while (!is_answering(server)) {
        clock_sleep_ms(TRY_MS);
        if (waitpid(server->pid, NULL, WNOHANG) == 0 && clock_now_ms() < deadline_ms)
            continue;
        server->pid = 0;
        if (++tries == TRIES_MAX || clock_now_ms() >= deadline_ms)
            fail_with_log(server);
        server->pid = spawn_server(server);
    }
}

/* Postgres serves each connection from a process of its own. */
static void signal_children(pid_t parent, int signal_number)
{
    glob_t found = {0};

    glob("/proc/[0-9]*/stat", 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        FILE *file = fopen(found.gl_pathv[i], "re");
        char line[512] = "";
        const char *name_end;

        if (file == NULL)
            continue;
        (void)fgets(line, sizeof(line), file);
        fclose(file);
        name_end = strrchr(line, ')'); /* "7 (name) S 5 ...": pid, name, state, parent */
        if (name_end != NULL && strtol(name_end + 4, NULL, 10) == parent)
            kill((pid_t)strtol(line, NULL, 10), signal_number);
    }
    globfree(&found);
}

static void send_signal(const struct server *server, int signal_number)
{
    assert_true(server->pid > 0);
    kill(server->pid, signal_number);
    if (server->kind == SERVER_POSTGRES)
        signal_children(server->pid, signal_number);
}

void server_freeze(const struct server *server)
{
    send_signal(server, SIGSTOP);
    waitpid(server->pid, NULL, WUNTRACED); /* until the last of its threads stands still */
}

void server_thaw(const struct server *server)
{
    send_signal(server, SIGCONT);
}

void server_kill(struct server *server)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGSTOP); /* children whose parent has died are nobody's, and are not found */
    if (server->kind == SERVER_POSTGRES)
        signal_children(server->pid, SIGKILL);
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

/* NOLINTEND(concurrency-mt-unsafe) */
