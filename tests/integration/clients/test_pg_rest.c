/* Connections that rest, and what becomes of them meanwhile. */
#include "base/auto.h"
#include "check.h"
#include "clients/pg.h"
#include "servers.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>

/* One server for the whole program: making a cluster takes seconds. */
static struct server *postgres(void)
{
    static struct server *server;

    if (server == NULL)
        server = server_open_postgres();
    return server;
}

static struct pg *connected(struct error *err)
{
    const struct pg_options options = {.endpoint = server_endpoint(postgres()),
                                       .application = "adledger test",
                                       .connect_ms = 1000,
                                       .query_ms = 1000};
    struct pg *pg = pg_new(&options);

    assert_non_null(pg);
    assert_ok(pg_connect(pg, err));
    return pg;
}

static void run(struct pg *pg, const char *sql, struct error *err)
{
    assert_ok(pg_query(pg, NULL, sql, NULL, 0, NULL, err));
}

static void end_backend(struct pg *victim, struct pg *killer, struct error *err)
{
    struct pollfd end = {.fd = PQsocket(pg_raw(victim)), .events = POLLRDHUP};
    char sql[96];

    (void)snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d)",
                   PQbackendPID(pg_raw(victim)));
    run(killer, sql, err);
    assert_int_equal(poll(&end, 1, 5000), 1);
}

TEST(one_that_ended_is_dropped_and_made_anew)
{
    AUTO(pg_close) struct pg *pg = connected(err);
    AUTO(pg_close) struct pg *other = connected(err);

    end_backend(pg, other, err);
    assert_true(pg_is_connected(pg)); /* nobody has looked */
    pg_drop_ended(pg);
    assert_false(pg_is_connected(pg));
    run(pg, "SELECT 1", err);
    pg_drop_ended(pg);
    assert_true(pg_is_connected(pg));
}

TEST(one_that_works_is_kept_whatever_it_has_to_say)
{
    AUTO(pg_close) struct pg *pg = connected(err);
    AUTO(pg_close) struct pg *other = connected(err);
    struct pollfd news = {.fd = PQsocket(pg_raw(pg)), .events = POLLIN};

    run(pg, "LISTEN news", err);
    run(other, "SELECT pg_notify('news', repeat('x', 7000) || i) FROM generate_series(1, 100) i",
        err);
    assert_int_equal(poll(&news, 1, 5000), 1);
    pg_drop_ended(pg);
    assert_true(pg_is_connected(pg));
    run(pg, "SELECT 1", err);
}

TEST(a_transaction_learns_of_the_end_by_its_next_statement)
{
    AUTO(pg_close) struct pg *pg = connected(err);
    AUTO(pg_close) struct pg *other = connected(err);

    assert_ok(pg_begin(pg, "", err));
    end_backend(pg, other, err);
    pg_drop_ended(pg);
    assert_fails(ERROR_UNAVAILABLE, pg_query(pg, NULL, "SELECT 1", NULL, 0, NULL, err));
    assert_fails(ERROR_UNAVAILABLE, pg_commit(pg, err));
}

TESTS(RUN(one_that_ended_is_dropped_and_made_anew),
      RUN(one_that_works_is_kept_whatever_it_has_to_say),
      RUN(a_transaction_learns_of_the_end_by_its_next_statement))
