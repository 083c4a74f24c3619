#include "clients/pg_private.h"

#include "base/auto.h"
#include "clients/clients_metrics.h"
#include "clients/endpoint.h"
#include "clients/poll_wait.h"
#include "runtime/clock.h"

#include <stdlib.h>
#include <sys/socket.h>

/* A peer that vanished without a word is noticed by the kernel even while nobody waits for it. */
#define KEEPALIVE_IDLE_S    "15"
#define KEEPALIVE_PERIOD_S  "5"
#define KEEPALIVE_COUNT     "3"
#define TCP_USER_TIMEOUT_MS "15000"

enum { ENDED_READS_MAX = 8 }; /* of what a server has sent unasked */

/*
 * A statement whose client has gone is stopped by the server itself: PQcancel would have to wait
 * for a server that may be frozen. Both settings bound how long an orphan holds its locks.
 */
static const char session_sql[] = "SET timezone = 'UTC';"
                                  "SET client_connection_check_interval = '500ms';"
                                  "SET idle_in_transaction_session_timeout = '60s'";

static bool open_host(struct pg *pg, const char *conninfo, const struct pg_hosts *hosts,
                      int64_t deadline_ms, struct error *err);
static PGconn *start(const struct pg *pg, const char *conninfo, const struct pg_hosts *hosts);
static bool set_up_session(struct pg *pg, struct error *err);
static bool finish_handshake(struct pg *pg, int64_t deadline_ms, struct error *err);
static bool poll_handshake(struct pg *pg, int64_t deadline_ms, struct error *err);
static void on_notice(void *ctx, const char *text);

/* Begins with the host that was there last; each gets its share of what is left of connect_ms. */
bool pg_connect_open(struct pg *pg, struct error *err)
{
    AUTO(endpoint_text_free) char *conninfo = endpoint_get(pg->options.endpoint, &pg->version);
    AUTO(pg_hosts_free) struct pg_hosts hosts = {0};
    int64_t deadline_ms = clock_now_ms() + pg->options.connect_ms;
    bool is_open = false;

    if (conninfo == NULL)
        return error_set(err, ERROR_LIMIT, "pg: no memory for a connection");
    pg_hosts_read(conninfo, &hosts);
    for (size_t left = hosts.count; left > 0 && !is_open && !pg->is_given_up; left--) {
        int64_t now_ms = clock_now_ms();

        is_open =
            open_host(pg, conninfo, &hosts, now_ms + (deadline_ms - now_ms) / (int64_t)left, err);
        if (!is_open)
            pg->host++;
    }
    return is_open;
}

static bool open_host(struct pg *pg, const char *conninfo, const struct pg_hosts *hosts,
                      int64_t deadline_ms, struct error *err)
{
    pg->connection = start(pg, conninfo, hosts);
    if (pg->connection == NULL)
        return error_set(err, ERROR_LIMIT, "pg: no memory for a connection");
    clients_count(METRIC_pg_connects_total, 1);
    if (!finish_handshake(pg, deadline_ms, err) || !set_up_session(pg, err)) {
        pg_connect_drop(pg);
        return error_wrap(err, "pg: connect");
    }
    return true;
}

static const char *pick(const struct pg_hosts *hosts, const char *list, size_t host, char *buffer)
{
    return hosts->count > 1 && pg_hosts_pick(list, host % hosts->count, buffer) ? buffer : NULL;
}

/* Of several hosts the one that takes writes is meant, unless the endpoint says otherwise. */
static PGconn *start(const struct pg *pg, const char *conninfo, const struct pg_hosts *hosts)
{
    char name[PG_HOST_MAX];
    char address[PG_HOST_MAX];
    char port[PG_HOST_MAX];
    bool is_writer_meant = hosts->count > 1 && !hosts->has_target;
    /* dbname is expanded; what follows it wins over what is in it, unless it is NULL. */
    const char *const keywords[] = {"dbname",
                                    "application_name",
                                    "client_encoding",
                                    "keepalives_idle",
                                    "keepalives_interval",
                                    "keepalives_count",
                                    "tcp_user_timeout",
                                    "host",
                                    "hostaddr",
                                    "port",
                                    "target_session_attrs",
                                    NULL};
    const char *const values[] = {conninfo,
                                  pg->options.application,
                                  "UTF8",
                                  KEEPALIVE_IDLE_S,
                                  KEEPALIVE_PERIOD_S,
                                  KEEPALIVE_COUNT,
                                  TCP_USER_TIMEOUT_MS,
                                  pick(hosts, hosts->names, pg->host, name),
                                  pick(hosts, hosts->addresses, pg->host, address),
                                  pick(hosts, hosts->ports, pg->host, port),
                                  is_writer_meant ? "read-write" : NULL,
                                  NULL};

    return PQconnectStartParams(keywords, values, 1);
}

static bool set_up_session(struct pg *pg, struct error *err)
{
    return pg_run_script(pg, session_sql, err) &&
           (pg->options.session_sql == NULL || pg_run_script(pg, pg->options.session_sql, err));
}

static bool finish_handshake(struct pg *pg, int64_t deadline_ms, struct error *err)
{
    PGconn *connection = pg->connection;

    /* Only the verbose text of a refused connection tells its SQLSTATE. */
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
    PQsetNoticeProcessor(connection, on_notice, NULL);
    if (!poll_handshake(pg, deadline_ms, err))
        return false;
    PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
    if (PQsetnonblocking(connection, 1) != 0)
        return error_set(err, ERROR_INTERNAL, "libpq refuses to be non-blocking");
    return true;
}

/* libpq says what it waits for; only looking up the host's name is outside our deadline. */
static bool poll_handshake(struct pg *pg, int64_t deadline_ms, struct error *err)
{
    PGconn *connection = pg->connection;
    int64_t began_ms = clock_now_ms();
    PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;

    if (PQstatus(connection) == CONNECTION_BAD)
        return pg_error_of_connection(pg, ERROR_UNAVAILABLE, err);
    while (wanted != PGRES_POLLING_OK) {
        short events = wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT;

        if (!pg_connect_wait(pg, events, deadline_ms))
            return error_set(err, ERROR_UNAVAILABLE, "%s:%s: timed out after %d ms",
                             PQhost(connection), PQport(connection),
                             (int)(clock_now_ms() - began_ms));
        wanted = PQconnectPoll(connection);
        if (wanted == PGRES_POLLING_FAILED)
            return pg_error_of_connection(pg, ERROR_UNAVAILABLE, err);
    }
    return true;
}

bool pg_connect_wait(struct pg *pg, short events, int64_t deadline_ms)
{
    int fd = PQsocket(pg->connection);

    pg->is_given_up = false;
    while (pg->options.on_wait != NULL && !pg->is_given_up) {
        int64_t look_ms = clock_now_ms() + PG_LOOK_MS;

        if (look_ms >= deadline_ms)
            break;
        if (poll_wait(fd, events, look_ms))
            return true;
        pg->is_given_up = !pg->options.on_wait(pg->options.ctx);
    }
    return !pg->is_given_up && poll_wait(fd, events, deadline_ms);
}

void pg_connect_drop(struct pg *pg)
{
    int fd = pg->connection == NULL ? -1 : PQsocket(pg->connection);

    /* Without the shutdown PQfinish might still write, and TLS might wait for an answer. */
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
    PQfinish(pg->connection);
    pg->connection = NULL;
    for (size_t i = 0; i < pg->prepared_count; i++)
        free(pg->prepared[i]);
    pg->prepared_count = 0;
}

void pg_drop_ended(struct pg *pg)
{
    const int64_t deadline_ms = 0; /* it has passed: only looks */

    if (pg->connection == NULL || pg->in_transaction)
        return;
    /* The server's own words come first, then the end. One that says more than that lives. */
    for (int i = 0; i < ENDED_READS_MAX; i++) {
        if (!poll_wait(PQsocket(pg->connection), POLLIN, deadline_ms))
            return;
        if (PQconsumeInput(pg->connection) == 0) {
            pg_connect_drop(pg);
            return;
        }
    }
}

/* Notices (a table that exists already) say nothing that a caller could act on. */
static void on_notice(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}
