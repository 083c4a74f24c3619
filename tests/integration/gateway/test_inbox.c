#include "check.h"

#include "base/auto.h"
#include "clients/pg.h"
#include "inbox.h"
#include "kept_batches.h"
#include "migrate.h"
#include "runtime/clock.h"
#include "servers.h"

enum { SIZE = 2000, CONNECT_MS = 500, QUERY_MS = 500, WAIT_MS = 10000 };

static struct inbox *inbox_on(const struct server *server, int64_t max_bytes)
{
    struct error err = {0};
    struct inbox *inbox = inbox_open(&(struct inbox_options){.postgres = server_endpoint(server),
                                                             .connect_ms = CONNECT_MS,
                                                             .query_ms = QUERY_MS,
                                                             .max_bytes = max_bytes},
                                     &err);

    if (inbox == NULL)
        fail_msg("%s", err.text);
    return inbox;
}

static struct pg *pg_with_inbox(const struct server *server, struct error *err)
{
    struct pg *pg = pg_new(&(struct pg_options){.endpoint = server_endpoint(server),
                                                .application = "test",
                                                .connect_ms = 5000,
                                                .query_ms = 10000});
    size_t applied = 0;

    assert_ok(migrate_apply(pg, &applied, err));
    return pg;
}

static int64_t ask_number(struct pg *pg, const char *sql)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    struct error err = {0};

    if (!pg_query(pg, NULL, sql, NULL, 0, &result, &err))
        fail_msg("%s", err.text);
    return strtoll(PQgetvalue(result, 0, 0), NULL, 10);
}

static bool keep(struct inbox *inbox, uint64_t first, size_t count, struct error *err)
{
    AUTO(kept_batches_free) struct kept_batches batches = kept_batches_new(first, count, SIZE);
    struct keep_store store = inbox_store(inbox);

    for (size_t i = 0; i < count; i++)
        batches.jobs[i].deadline_ms = clock_now_ms() + 1000;
    return store.write(store.ctx, batches.jobs, err);
}

TEST(what_is_kept_is_claimed_by_one_replayer_at_a_time_and_gone_when_settled)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_inbox(server, err);
    AUTO(inbox_close) struct inbox *first = inbox_on(server, INT64_MAX);
    AUTO(inbox_close) struct inbox *second = inbox_on(server, INT64_MAX);
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    AUTO(kept_rows_reset) struct kept_rows others = {0};
    struct replay_source source = inbox_source(first);
    struct replay_source other = inbox_source(second);

    assert_ok(keep(first, 1, INBOX_CLAIM_MAX + 4, err));
    assert_ok(keep(second, 1, 2, err)); /* the same batches again are no error, and no more rows */
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM inbox"), INBOX_CLAIM_MAX + 4);

    assert_ok(source.claim(source.ctx, &no_limits, &rows, err));
    assert_int_equal(rows.count, INBOX_CLAIM_MAX);
    assert_ok(other.claim(other.ctx, &no_limits, &others, err));
    assert_int_equal(others.count, 4);
    for (size_t i = 0; i < rows.count; i++) {
        assert_true(kept_row_is_right(&rows.rows[i], SIZE));
        rows.rows[i].fate = i == 0 ? FATE_KEPT : FATE_PUBLISHED;
    }
    rows.rows[1].fate = FATE_REFUSED;
    rows.rows[1].batch.attempt_k = 3;
    assert_ok(source.settle(source.ctx, &rows, err));
    for (size_t i = 0; i < others.count; i++) {
        assert_true(kept_row_is_right(&others.rows[i], SIZE));
        others.rows[i].fate = FATE_PUBLISHED;
    }
    assert_ok(other.settle(other.ctx, &others, err));

    assert_int_equal(ask_number(pg, "SELECT count(*) FROM inbox"), 2);
    assert_int_equal(ask_number(pg, "SELECT max(try) FROM inbox"), 3);
    kept_rows_reset(&rows);
    assert_ok(source.claim(source.ctx, &no_limits, &rows, err));
    assert_int_equal(rows.count, 2);
    assert_ok(source.settle(source.ctx, &rows, err));
}

TEST(a_claim_leaves_alone_what_is_too_large_and_what_has_to_wait)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_inbox(server, err);
    AUTO(inbox_close) struct inbox *inbox = inbox_on(server, INT64_MAX);
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    struct replay_source source = inbox_source(inbox);
    struct kept_limits limits = no_limits;

    assert_ok(keep(inbox, 1, 4, err));
    limits.payload_max = SIZE - 1;
    assert_ok(source.claim(source.ctx, &limits, &rows, err));
    assert_int_equal(rows.count, 0);
    inbox_look(inbox, SIZE - 1, clock_now_ms());
    assert_false(inbox_has_rows(inbox));

    limits = no_limits;
    limits.skip_partitions = UINT64_C(1) << 1;
    assert_ok(source.claim(source.ctx, &limits, &rows, err));
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.rows[0].batch.partition, 0);
    assert_ok(source.settle(source.ctx, &rows, err));
    inbox_look(inbox, SIZE, clock_now_ms() + INBOX_LOOK_MS);
    assert_true(inbox_has_rows(inbox));
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM inbox"), 4);
}

TEST(the_inbox_takes_no_more_than_it_may)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_inbox(server, err);
    AUTO(inbox_close) struct inbox *inbox = inbox_on(server, (int64_t)3 * SIZE);

    assert_ok(keep(inbox, 1, 3, err));
    inbox_look(inbox, SIZE, clock_now_ms());
    assert_fails(ERROR_LIMIT, keep(inbox, 4, 1, err));
    (void)ask_number(pg, "WITH gone AS (DELETE FROM inbox RETURNING 1) SELECT count(*) FROM gone");
    inbox_look(inbox, SIZE, clock_now_ms() + INBOX_LOOK_MS);
    assert_ok(keep(inbox, 4, 1, err));
}

TEST(a_commit_is_on_disk_although_the_server_is_set_to_be_lax)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_inbox(server, err);
    AUTO(inbox_close) struct inbox *inbox = inbox_on(server, INT64_MAX);

    assert_ok(pg_script(pg, "ALTER ROLE postgres SET synchronous_commit = off", err));
    assert_ok(pg_script(pg,
                        "CREATE TABLE seen (setting text);"
                        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT"
                        " INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW;"
                        " END $$;"
                        "CREATE TRIGGER note BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION"
                        " note()",
                        err));
    assert_ok(keep(inbox, 1, 1, err));
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM seen WHERE setting = 'on'"), 1);
}

TEST(a_frozen_server_costs_its_deadline_a_few_times_and_then_nothing)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_inbox(server, err);
    AUTO(inbox_close) struct inbox *inbox = inbox_on(server, INT64_MAX);
    int64_t deadline_ms = clock_now_ms() + 2 * WAIT_MS;
    int64_t began_ms;
    int64_t quickest_ms = INT64_MAX;

    assert_ok(keep(inbox, 1, 1, err));
    server_freeze(server);
    while (quickest_ms > 10 && clock_now_ms() < deadline_ms) {
        began_ms = clock_now_ms();
        assert_fails(ERROR_UNAVAILABLE, keep(inbox, 2, 1, err));
        assert_true(clock_now_ms() - began_ms < CONNECT_MS + 2 * QUERY_MS + 500);
        if (clock_now_ms() - began_ms < quickest_ms)
            quickest_ms = clock_now_ms() - began_ms;
    }
    assert_true(quickest_ms <= 10);

    server_thaw(server);
    deadline_ms = clock_now_ms() + 2 * WAIT_MS;
    while (!keep(inbox, 2, 1, err)) {
        assert_true(clock_now_ms() < deadline_ms);
        clock_sleep_ms(20);
    }
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM inbox WHERE batch_no = 2"), 1);
}

TESTS(RUN(what_is_kept_is_claimed_by_one_replayer_at_a_time_and_gone_when_settled),
      RUN(a_claim_leaves_alone_what_is_too_large_and_what_has_to_wait),
      RUN(the_inbox_takes_no_more_than_it_may),
      RUN(a_commit_is_on_disk_although_the_server_is_set_to_be_lax),
      RUN(a_frozen_server_costs_its_deadline_a_few_times_and_then_nothing))
