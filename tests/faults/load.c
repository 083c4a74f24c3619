/*
 * load.c — events with known ids at a steady rate, and a book of what became of each
 *
 * Why:     a fault is judged by what clients were told while it lasted. Every answer, every lost
 *          connection and the time it took is written down, so that nothing is told by averages.
 * Shape:   one thread, one epoll set, connections that carry one request at a time. A request whose
 *          connection was lost is sent again under its id until it is answered, as a client should.
 *
 *              IDLE --due--> BUSY --answer--> IDLE
 *                ^             | lost
 *                | connected   v
 *                +--------- WAITING (RECONNECT_US) --again--> CONNECTING
 *
 * Book:    a line an event and fate, "FATE AT MS ID": FATE is the status, "503-bare" for a 503
 *          without Retry-After, "lost" when the connection ended without an answer (the id comes
 *          again), "hung" when there was none in HUNG_US, "never" when the load ended before the
 *          answer; AT is when that was known, in ms of the monotonic clock, MS how long it took.
 * Limits:  a due event waits for an idle connection; what is due beyond one second is left out.
 *
 *   fault_load PORT CONNECTIONS PER_SECOND BOOK IDS POISON_EVERY ADS
 *
 * IDS is "client" (UUIDv7) or "server" (none is sent; the answer's is taken). Every POISON_EVERY-th
 * event (0: none) has the playback time POISON. ADS is a list with commas. SIGTERM ends the load
 * after the answers that are due.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define POISON "66.6"

enum {
    ADS_MAX = 256,
    ANSWER_MAX = 4096,
    REQUEST_MAX = 512,
    ID_SIZE = 37,
    EVENTS_MAX = 256,
    IMPRESSION_EVERY = 8,
    RECONNECT_US = 20000,
    HUNG_US = 15000000,
    LAST_ANSWERS_US = 5000000,
    FLUSH_US = 50000,
};

enum state { WAITING, CONNECTING, IDLE, BUSY };

struct connection {
    enum state state;
    int fd;
    bool has_request; /* sent and not answered, or to be sent again */
    int64_t began_us; /* BUSY: of the request; WAITING: when it began to wait */
    size_t request_size, sent, got;
    char id[ID_SIZE];
    char request[REQUEST_MAX];
    char answer[ANSWER_MAX + 1];
};

struct load {
    struct sockaddr_in address;
    int epoll_fd;
    FILE *book;
    struct connection *connections;
    size_t connection_count;
    char *ads[ADS_MAX];
    size_t ad_count;
    uint64_t per_second, poison_every, made;
    bool has_server_ids;
    int64_t paid_us; /* what is due is counted from here */
};

static volatile sig_atomic_t is_stopping;

static void on_signal(int number)
{
    (void)number;
    is_stopping = 1;
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t random_bits(void)
{
    static uint64_t state;

    if (state == 0 && getrandom(&state, sizeof(state), 0) != (ssize_t)sizeof(state))
        exit(EXIT_FAILURE);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dULL;
}

static void make_id(char out[ID_SIZE])
{
    struct timespec now;
    uint64_t high = random_bits();
    uint64_t low = random_bits();
    uint64_t at_ms;

    clock_gettime(CLOCK_REALTIME, &now);
    at_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    snprintf(out, ID_SIZE, "%08" PRIx64 "-%04" PRIx64 "-7%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
             at_ms >> 16, at_ms & 0xffff, high & 0xfff, 0x8000 | (low >> 50), low & 0xffffffffffff);
}

/* ---- one request, from its making to the book ---------------------------------------------------
 */

static void note(struct load *self, struct connection *conn, const char *fate)
{
    int64_t now = now_us();

    fprintf(self->book, "%s %" PRId64 " %" PRId64 " %s\n", fate, now / 1000,
            (now - conn->began_us) / 1000, conn->id[0] != '\0' ? conn->id : "-");
}

static void make_request(struct load *self, struct connection *conn)
{
    char body[256];
    char id_field[64] = "";
    uint64_t number = self->made++;
    bool is_poison = self->poison_every != 0 && number % self->poison_every == 0;
    bool is_impression = !is_poison && number % IMPRESSION_EVERY == IMPRESSION_EVERY - 1;
    int size = 0;

    conn->id[0] = '\0';
    if (!self->has_server_ids) {
        make_id(conn->id);
        snprintf(id_field, sizeof(id_field), ",\"event_id\":\"%s\"", conn->id);
    }
    size = snprintf(body, sizeof(body), "{\"ad_id\":\"%s\"%s,\"playback_time\":%s}",
                    self->ads[number % self->ad_count], id_field, is_poison ? POISON : "1.5");
    size =
        snprintf(conn->request, REQUEST_MAX,
                 "POST /api/v1/ads/%s HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\n"
                 "Content-Length: %d\r\n\r\n%s",
                 is_impression ? "impression" : "click", size, body);
    conn->request_size = (size_t)size;
    conn->has_request = true;
}

static void watch(const struct load *self, struct connection *conn, uint32_t events, int how)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};

    epoll_ctl(self->epoll_fd, how, conn->fd, &event);
}

static void lose(struct load *self, struct connection *conn)
{
    bool was_connected = conn->state == BUSY || conn->state == IDLE;

    if (conn->has_request && was_connected)
        note(self, conn, "lost");
    if (self->has_server_ids)
        conn->has_request = false; /* without an id it would be another event */
    close(conn->fd);
    conn->fd = -1;
    conn->state = WAITING;
    conn->began_us = now_us();
}

static void send_rest(struct load *self, struct connection *conn)
{
    while (conn->sent < conn->request_size) {
        ssize_t put = send(conn->fd, conn->request + conn->sent, conn->request_size - conn->sent,
                           MSG_NOSIGNAL);

        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0) {
            lose(self, conn);
            return;
        }
        conn->sent += (size_t)put;
    }
}

static void begin(struct load *self, struct connection *conn)
{
    conn->state = BUSY;
    conn->began_us = now_us();
    conn->sent = 0;
    conn->got = 0;
    send_rest(self, conn);
}

static void start_connecting(struct load *self, struct connection *conn)
{
    int on = 1;

    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        exit(EXIT_FAILURE);
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn->state = CONNECTING;
    watch(self, conn, EPOLLOUT, EPOLL_CTL_ADD);
    if (connect(conn->fd, (struct sockaddr *)&self->address, sizeof(self->address)) != 0 &&
        errno != EINPROGRESS)
        lose(self, conn);
}

static void finish_connecting(struct load *self, struct connection *conn)
{
    int problem = 0;
    socklen_t size = sizeof(problem);

    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0) {
        lose(self, conn);
        return;
    }
    watch(self, conn, EPOLLIN, EPOLL_CTL_MOD);
    conn->state = IDLE;
    if (conn->has_request)
        begin(self, conn);
}

/* The size of the whole answer, 0 while its head is not complete. */
static size_t answer_size(const struct connection *conn)
{
    const char *end = strstr(conn->answer, "\r\n\r\n");
    const char *length = strcasestr(conn->answer, "\r\ncontent-length:");

    if (end == NULL)
        return 0;
    return (size_t)(end - conn->answer) + 4 +
           (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void take_servers_id(struct connection *conn)
{
    const char *id = strstr(conn->answer, "click_id\":\"");

    if (id == NULL)
        id = strstr(conn->answer, "event_id\":\"");
    if (id != NULL)
        snprintf(conn->id, ID_SIZE, "%.36s", id + 11);
}

static void settle(struct load *self, struct connection *conn)
{
    char fate[16];
    bool is_bare = false;

    snprintf(fate, sizeof(fate), "%.3s", conn->answer + strlen("HTTP/1.1 "));
    is_bare = strcmp(fate, "503") == 0 && strcasestr(conn->answer, "\r\nretry-after:") == NULL;
    if (self->has_server_ids)
        take_servers_id(conn);
    note(self, conn, is_bare ? "503-bare" : fate);
    conn->has_request = false;
    conn->state = IDLE;
    if (strcasestr(conn->answer, "\r\nconnection: close") != NULL)
        lose(self, conn);
}

static void read_answer(struct load *self, struct connection *conn)
{
    ssize_t got = recv(conn->fd, conn->answer + conn->got, ANSWER_MAX - conn->got, 0);
    size_t size = 0;

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        lose(self, conn);
        return;
    }
    conn->got += (size_t)got;
    conn->answer[conn->got] = '\0';
    size = answer_size(conn);
    if (conn->state == BUSY && size != 0 && conn->got >= size)
        settle(self, conn);
}

/* ---- the loop -----------------------------------------------------------------------------------
 */

static void on_event(struct load *self, struct connection *conn, uint32_t events)
{
    if (conn->state == CONNECTING)
        finish_connecting(self, conn);
    else if (conn->fd >= 0 && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
        read_answer(self, conn);
}

/* Sends what is due on idle connections; what finds none is due still, for a second. */
static void pay(struct load *self, int64_t now)
{
    uint64_t due = 0;

    if (now - self->paid_us > 1000000)
        self->paid_us = now - 1000000;
    due = (uint64_t)(now - self->paid_us) * self->per_second / 1000000;
    for (size_t i = 0; i < self->connection_count && due > 0; i++) {
        struct connection *conn = &self->connections[i];

        if (conn->state != IDLE)
            continue;
        make_request(self, conn);
        begin(self, conn);
        self->paid_us += 1000000 / (int64_t)self->per_second;
        due--;
    }
}

/* Connections that wait, try again; requests that hang are given up. */
static void tend(struct load *self, int64_t now)
{
    for (size_t i = 0; i < self->connection_count; i++) {
        struct connection *conn = &self->connections[i];

        if (conn->state == WAITING && now - conn->began_us >= RECONNECT_US)
            start_connecting(self, conn);
        if (conn->state == BUSY && now - conn->began_us >= HUNG_US) {
            note(self, conn, "hung");
            conn->has_request = false;
            lose(self, conn);
        }
    }
}

static bool is_anyone_owed(const struct load *self)
{
    for (size_t i = 0; i < self->connection_count; i++)
        if (self->connections[i].has_request)
            return true;
    return false;
}

static void run(struct load *self)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t stop_us = 0;
    int64_t flushed_us = 0;
    int64_t now = self->paid_us = now_us();

    while (stop_us == 0 || (now < stop_us && is_anyone_owed(self))) {
        int count = epoll_wait(self->epoll_fd, events, EVENTS_MAX, 1);

        for (int i = 0; i < count; i++)
            on_event(self, events[i].data.ptr, events[i].events);
        now = now_us();
        if (is_stopping && stop_us == 0)
            stop_us = now + LAST_ANSWERS_US;
        if (stop_us == 0)
            pay(self, now);
        tend(self, now);
        if (now - flushed_us > FLUSH_US) {
            fflush(self->book);
            flushed_us = now;
        }
    }
    for (size_t i = 0; i < self->connection_count; i++)
        if (self->connections[i].has_request)
            note(self, &self->connections[i], "never");
}

static void name_ads(struct load *self, char *list)
{
    char *rest = NULL;

    for (char *ad = strtok_r(list, ",", &rest); ad != NULL && self->ad_count < ADS_MAX;
         ad = strtok_r(NULL, ",", &rest))
        self->ads[self->ad_count++] = ad;
}

int main(int argc, char **argv)
{
    struct load self = {.address = {.sin_family = AF_INET}};
    struct sigaction stop = {.sa_handler = on_signal};

    if (argc != 8) {
        fputs("usage: fault_load PORT CONNECTIONS PER_SECOND BOOK IDS POISON_EVERY ADS\n", stderr);
        return EXIT_FAILURE;
    }
    self.address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    self.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    self.connection_count = strtoul(argv[2], NULL, 10);
    self.per_second = strtoull(argv[3], NULL, 10);
    self.book = fopen(argv[4], "we");
    self.has_server_ids = strcmp(argv[5], "server") == 0;
    self.poison_every = strtoull(argv[6], NULL, 10);
    name_ads(&self, argv[7]);
    self.connections = calloc(self.connection_count, sizeof(*self.connections));
    self.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self.book == NULL || self.connections == NULL || self.epoll_fd < 0 || self.ad_count == 0 ||
        self.per_second == 0) {
        perror("fault_load");
        return EXIT_FAILURE;
    }
    sigaction(SIGTERM, &stop, NULL);
    run(&self);
    fclose(self.book);
    free(self.connections);
    close(self.epoll_fd);
    return EXIT_SUCCESS;
}
