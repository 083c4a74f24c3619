#include "base/auto.h"
#include "check.h"
#include "clients/pg.h"
#include "runtime/clock.h"
#include "servers.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_MS = 1000, QUERY_MS = 1000 };

/* One server for the whole program: making a cluster takes seconds. */
static struct server *postgres(void)
{
    static struct server *server;

    if (server == NULL)
        server = server_open_postgres();
    return server;
}

static struct pg *pg_on(const struct server *server)
{
    const struct pg_options options = {.endpoint = server_endpoint(server),
                                       .application = "adledger test",
                                       .connect_ms = CONNECT_MS,
                                       .query_ms = QUERY_MS};
    struct pg *pg = pg_new(&options);

    assert_non_null(pg);
    return pg;
}

/* The first field of a statement's answer; "" when there is none. */
static const char *value_of(struct pg *pg, const char *sql, char out[64], struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;

    assert_ok(pg_query(pg, NULL, sql, NULL, 0, &result, err));
    snprintf(out, 64, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    return out;
}

static void make_tables(struct pg *pg, struct error *err)
{
    assert_ok(pg_script(pg,
                        "DROP TABLE IF EXISTS t, parted; CREATE TABLE t(id int PRIMARY KEY, "
                        "n int NOT NULL CHECK (n < 100));"
                        "CREATE TABLE parted(id int) PARTITION BY RANGE (id)",
                        err));
}

TEST(connects_by_itself_and_runs_named_and_unnamed_statements)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    const struct pg_param params[] = {{.value = "20", .type = 23}, {.value = "22", .type = 23}};
    char text[64];

    assert_false(pg_is_connected(pg));
    for (int i = 0; i < 3; i++) {
        AUTO(pg_result_clear) PGresult *result = NULL;

        assert_ok(pg_query(pg, "add", "SELECT $1 + $2", params, 2, &result, err));
        assert_string_equal(PQgetvalue(result, 0, 0), "42");
        if (i == 1)
            pg_disconnect(pg); /* what was prepared is prepared again */
    }
    assert_string_equal(value_of(pg, "SHOW application_name", text, err), "adledger test");
    assert_string_equal(value_of(pg, "SHOW timezone", text, err), "UTC");
}

TEST(binary_arrays_arrive_as_they_were_given)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    AUTO(pg_result_clear) PGresult *result = NULL;
    static const uint8_t v4[] = {192, 0, 2, 1};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    static const Oid elements[] = {21, 23, 20, 25, 2950, 1184, 869};
    struct pg_array arrays[7];
    struct pg_param params[7];

    for (size_t i = 0; i < 7; i++)
        pg_array_init(&arrays[i], elements[i]);
    for (int row = 0; row < 3; row++) {
        pg_array_add_int16(&arrays[0], (int16_t)(-row));
        pg_array_add_int32(&arrays[1], -2000000000 + row);
        pg_array_add_int64(&arrays[2], INT64_C(-9000000000000000000) + row);
        pg_array_add_bytes(&arrays[3], "xyz", (size_t)row);
        pg_array_add_bytes(&arrays[4], uuid, sizeof(uuid));
        pg_array_add_time_ms(&arrays[5], INT64_C(1767225600123) + row);
    }
    pg_array_add_ip(&arrays[6], v4, sizeof(v4));
    pg_array_add_ip(&arrays[6], v6, sizeof(v6));
    pg_array_add_ip(&arrays[6], NULL, 0);
    for (size_t i = 0; i < 7; i++)
        assert_ok(pg_array_param(&arrays[i], &params[i], err));
    assert_ok(
        pg_query(pg, "arrays",
                 "SELECT string_agg(concat_ws('|', a, b, c, d, e, f, g), ' ' ORDER BY b) FROM "
                 "unnest($1::int2[], $2::int4[], $3::int8[], $4::text[], $5::uuid[], "
                 "$6::timestamptz[], $7::inet[]) AS r(a, b, c, d, e, f, g)",
                 params, 7, &result, err));
    assert_string_equal(
        PQgetvalue(result, 0, 0),
        "0|-2000000000|-9000000000000000000||01020304-0506-0708-090a-0b0c0d0e0f10|2026-01-01 "
        "00:00:00.123+00|192.0.2.1 "
        "-1|-1999999999|-8999999999999999999|x|01020304-0506-0708-090a-0b0c0d0e0f10|2026-01-01 "
        "00:00:00.124+00|2001:db8::1 "
        "-2|-1999999998|-8999999999999999998|xy|01020304-0506-0708-090a-0b0c0d0e0f10|2026-01-01 "
        "00:00:00.125+00");
    for (size_t i = 0; i < 7; i++)
        pg_array_free(&arrays[i]);
}

TEST(an_empty_array_is_an_array)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    AUTO(pg_result_clear) PGresult *result = NULL;
    AUTO(pg_array_free) struct pg_array array;
    struct pg_param param;

    pg_array_init(&array, 20);
    assert_ok(pg_array_param(&array, &param, err));
    assert_ok(pg_query(pg, NULL, "SELECT cardinality($1::int8[])", &param, 1, &result, err));
    assert_string_equal(PQgetvalue(result, 0, 0), "0");
}

TEST(kinds_follow_the_sqlstate)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    static const struct {
        const char *sql, *sqlstate;
        enum error_kind kind;
    } rows[] = {
        {"INSERT INTO t VALUES (1, 100)", "23514", ERROR_INVALID},
        {"INSERT INTO t VALUES (1, NULL)", "23502", ERROR_INVALID},
        {"INSERT INTO t VALUES (1, 1), (1, 1)", "23505", ERROR_INVALID},
        {"INSERT INTO t VALUES (1, 1), (1, 1) ON CONFLICT (id) DO UPDATE SET n = 2", "21000",
         ERROR_INVALID},
        {"INSERT INTO parted VALUES (1)", "23514", ERROR_INTERNAL},
        {"SELECT 'x'::int", "22P02", ERROR_INVALID},
        {"SELECT nothing", "42703", ERROR_INTERNAL},
        {"SELECT 1/0", "22012", ERROR_INVALID},
    };

    make_tables(pg, err);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_fails(rows[i].kind, pg_query(pg, NULL, rows[i].sql, NULL, 0, NULL, err));
        assert_string_equal(pg_sqlstate(pg), rows[i].sqlstate);
        assert_int_equal(pg_judge(pg, false, err),
                         rows[i].kind == ERROR_INTERNAL ? BREAKER_CONFIGURATION : BREAKER_SUCCESS);
        assert_true(pg_is_connected(pg));
    }
    err->kind = ERROR_INTERNAL; /* what a caller knows to be its own mistake */
    assert_int_equal(pg_judge(pg, false, err), BREAKER_FAILURE);
}

TEST(wrong_credentials_and_a_missing_database_are_a_broken_deployment)
{
    char url[256];
    struct endpoint *endpoint = server_endpoint(postgres());
    const struct pg_options options = {.endpoint = endpoint,
                                       .application = "test",
                                       .connect_ms = CONNECT_MS,
                                       .query_ms = QUERY_MS};
    AUTO(pg_close) struct pg *pg = pg_new(&options);

    snprintf(url, sizeof(url), "postgres://postgres@127.0.0.1:%d/nowhere", server_port(postgres()));
    endpoint_move(endpoint, url);

    assert_fails(ERROR_INTERNAL, pg_connect(pg, err));
    assert_string_equal(pg_sqlstate(pg), "3D000");
    snprintf(url, sizeof(url), "postgres://nobody@127.0.0.1:%d/postgres", server_port(postgres()));
    endpoint_move(endpoint, url);
    assert_fails(ERROR_INTERNAL, pg_connect(pg, err));
    assert_string_equal(pg_sqlstate(pg), "28000");
    assert_int_equal(pg_judge_connect(pg, err), BREAKER_CONFIGURATION);
    snprintf(url, sizeof(url), "postgres://nobody@127.0.0.1:1/postgres");
    endpoint_move(endpoint, url);
    assert_fails(ERROR_UNAVAILABLE, pg_connect(pg, err));
    assert_int_equal(pg_judge_connect(pg, err), BREAKER_CONNECT_FAILURE);
}

TEST(a_slow_statement_is_given_up_at_its_deadline_and_stopped_on_the_server)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    char text[64];
    int64_t start_ms;

    pg_set_query_ms(pg, 300);
    assert_ok(pg_connect(pg, err));
    start_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, pg_query(pg, NULL, "SELECT pg_sleep(60)", NULL, 0, NULL, err));
    assert_in_range(clock_now_ms() - start_ms, 290, 800);
    assert_false(pg_is_connected(pg));

    pg_set_query_ms(pg, QUERY_MS);
    while (strcmp(value_of(pg,
                           "SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
                           "'SELECT pg_sleep%'",
                           text, err),
                  "0") != 0) {
        assert_in_range(clock_now_ms() - start_ms, 0, 10000);
        clock_sleep_ms(50);
    }
}

TEST(a_frozen_server_never_holds_a_call_past_its_deadline)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    char text[64];
    int64_t start_ms;

    assert_ok(pg_begin(pg, "", err));
    server_freeze(postgres());
    start_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, pg_query(pg, "one", "SELECT 1", NULL, 0, NULL, err));
    assert_in_range(clock_now_ms() - start_ms, QUERY_MS - 10, QUERY_MS + 500);
    pg_rollback(pg);

    start_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, pg_connect(pg, err));
    assert_in_range(clock_now_ms() - start_ms, CONNECT_MS - 10, CONNECT_MS + 500);
    server_thaw(postgres());
    assert_string_equal(value_of(pg, "SELECT 7", text, err), "7");
}

TEST(a_commit_to_a_frozen_server_is_uncertain)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    char text[64];

    make_tables(pg, err);
    assert_ok(pg_begin(pg, "", err));
    assert_ok(pg_query(pg, NULL, "INSERT INTO t VALUES (1, 1)", NULL, 0, NULL, err));
    server_freeze(postgres());
    assert_fails(ERROR_UNCERTAIN, pg_commit(pg, err));
    server_thaw(postgres());

    /* The server has read it before it sees that nobody waits: this time it did commit. */
    assert_string_equal(value_of(pg, "SELECT 7", text, err), "7");
    assert_fails(ERROR_INVALID,
                 pg_query(pg, NULL, "INSERT INTO t VALUES (1, 1)", NULL, 0, NULL, err));
}

TEST(a_connection_lost_in_a_transaction_is_not_made_anew_inside_of_it)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    AUTO(pg_close) struct pg *other = pg_on(postgres());
    char sql[96];
    char text[64];

    make_tables(pg, err);
    assert_ok(pg_begin(pg, "", err));
    snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d)", PQbackendPID(pg_raw(pg)));
    assert_string_equal(value_of(other, sql, text, err), "t");
    for (int i = 0; i < 3; i++)
        assert_fails(ERROR_UNAVAILABLE,
                     pg_query(pg, NULL, "INSERT INTO t VALUES (1, 1)", NULL, 0, NULL, err));
    assert_fails(ERROR_UNAVAILABLE, pg_commit(pg, err)); /* nothing was sent: certain */

    assert_ok(pg_begin(pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", err));
    assert_string_equal(value_of(pg, "SELECT count(*) FROM t", text, err), "0");
    assert_ok(pg_commit(pg, err));
}

TEST(a_failed_transaction_does_not_pretend_to_commit)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());

    assert_ok(pg_begin(pg, "", err));
    assert_fails(ERROR_INVALID, pg_query(pg, NULL, "SELECT 1/0", NULL, 0, NULL, err));
    assert_fails(ERROR_UNAVAILABLE, pg_commit(pg, err));
}

TEST(a_statement_whose_table_changed_works_at_the_second_try)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    AUTO(pg_close) struct pg *migration = pg_on(postgres());

    make_tables(pg, err);
    assert_ok(pg_query(pg, "all", "SELECT * FROM t", NULL, 0, NULL, err));
    assert_ok(pg_script(migration, "ALTER TABLE t ADD COLUMN more int", err));
    assert_fails(ERROR_UNAVAILABLE, pg_query(pg, "all", "SELECT * FROM t", NULL, 0, NULL, err));
    assert_ok(pg_query(pg, "all", "SELECT * FROM t", NULL, 0, NULL, err));
}

TEST(a_large_parameter_and_a_large_answer_pass)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    AUTO(pg_result_clear) PGresult *result = NULL;
    enum { SIZE = 8 << 20 };
    AUTO(auto_free) char *text = malloc(SIZE + 1);
    struct pg_param param = {.value = text, .type = 25};

    memset(text, 'x', SIZE);
    text[SIZE] = '\0';
    pg_set_query_ms(pg, 20000);
    assert_ok(pg_query(pg, NULL, "SELECT $1", &param, 1, &result, err));
    assert_int_equal(PQgetlength(result, 0, 0), SIZE);
}

TEST(notifications_wake_the_one_who_listens)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    AUTO(pg_close) struct pg *other = pg_on(postgres());
    int64_t start_ms;
    bool came = true;

    assert_fails(ERROR_UNAVAILABLE, pg_wait_notify(pg, 10, &came, err));
    assert_ok(pg_script(pg, "LISTEN ads_changed", err));
    start_ms = clock_now_ms();
    assert_ok(pg_wait_notify(pg, 200, &came, err));
    assert_false(came);
    assert_in_range(clock_now_ms() - start_ms, 190, 400);
    assert_ok(pg_script(other, "NOTIFY ads_changed", err));
    assert_ok(pg_wait_notify(pg, 2000, &came, err));
    assert_true(came);
}

TEST(copy_is_refused_and_the_connection_stays_usable)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    char text[64];

    assert_fails(ERROR_INTERNAL,
                 pg_query(pg, NULL, "COPY (SELECT 1) TO STDOUT", NULL, 0, NULL, err));
    assert_string_equal(value_of(pg, "SELECT 7", text, err), "7");
}

static const char copy_sql[] = "COPY t (id, n) FROM STDIN BINARY";

/* Rows (first, 1) .. (last, 1) in binary, to be freed by pg_array_free. */
static struct pg_array rows_of(int32_t first, int32_t last)
{
    struct pg_array rows;

    pg_array_init(&rows, 0);
    for (int32_t id = first; id <= last; id++) {
        pg_array_add_row(&rows, 2);
        pg_array_add_int32(&rows, id);
        pg_array_add_int32(&rows, 1);
    }
    return rows;
}

static bool copy_rows(struct pg *pg, int32_t first, int32_t last, struct error *err)
{
    AUTO(pg_array_free) struct pg_array rows = rows_of(first, last);
    const char *bytes = NULL;
    size_t size_bytes = 0;

    return pg_array_copy(&rows, &bytes, &size_bytes, err) &&
           pg_copy(pg, copy_sql, bytes, size_bytes, err);
}

TEST(rows_are_copied_however_many)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    char text[64];

    make_tables(pg, err);
    pg_set_query_ms(pg, 20000);
    assert_ok(copy_rows(pg, 1, 0, err));
    assert_ok(copy_rows(pg, 1, 200000, err));
    assert_string_equal(value_of(pg, "SELECT count(*) || ' ' || max(id) FROM t", text, err),
                        "200000 200000");
}

TEST(binary_rows_arrive_as_they_were_given)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    AUTO(pg_array_free) struct pg_array rows;
    static const uint8_t v4[] = {192, 0, 2, 1};
    const char *bytes = NULL;
    size_t size_bytes = 0;
    char text[64];

    pg_array_init(&rows, 0);
    pg_array_add_row(&rows, 5);
    pg_array_add_int16(&rows, -2);
    pg_array_add_bytes(&rows, "xy", 2);
    pg_array_add_null(&rows);
    pg_array_add_time_ms(&rows, INT64_C(1767225600123));
    pg_array_add_ip(&rows, v4, sizeof(v4));
    assert_ok(pg_array_copy(&rows, &bytes, &size_bytes, err));
    assert_ok(
        pg_script(pg, "CREATE TEMP TABLE v(a int2, b text, c int8, d timestamptz, e inet)", err));
    assert_ok(pg_copy(pg, "COPY v FROM STDIN BINARY", bytes, size_bytes, err));
    assert_string_equal(
        value_of(pg, "SELECT concat_ws('|', a, b, c IS NULL, d, e) FROM v", text, err),
        "-2|xy|t|2026-01-01 00:00:00.123+00|192.0.2.1");
}

TEST(a_refused_copy_has_its_sqlstate_and_stores_nothing)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    char text[64];

    make_tables(pg, err);
    pg_set_query_ms(pg, 20000);
    assert_ok(copy_rows(pg, 100, 100, err));
    assert_fails(ERROR_INVALID, copy_rows(pg, 1, 200000, err));
    assert_string_equal(pg_sqlstate(pg), "23505");
    assert_true(pg_is_connected(pg));
    assert_string_equal(value_of(pg, "SELECT count(*) FROM t", text, err), "1");
    assert_fails(ERROR_INTERNAL, pg_copy(pg, "COPY nothing FROM STDIN", "", 0, err));
    assert_string_equal(pg_sqlstate(pg), "42P01");
    assert_fails(ERROR_INTERNAL, pg_copy(pg, "SELECT 1", "", 0, err));
    assert_fails(ERROR_INTERNAL, pg_copy(pg, "COPY t TO STDOUT", "", 0, err));
    assert_string_equal(value_of(pg, "SELECT 7", text, err), "7");
}

TEST(a_copy_to_a_missing_partition_is_a_broken_deployment)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());

    make_tables(pg, err);
    assert_fails(ERROR_INTERNAL, pg_copy(pg, "COPY parted FROM STDIN", "1\n", 2, err));
    assert_string_equal(pg_sqlstate(pg), "23514");
    assert_true(pg_is_connected(pg));
}

TEST(a_copy_that_the_server_stops_reading_ends_at_its_deadline)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    AUTO(pg_close) struct pg *other = pg_on(postgres());
    char text[64];
    int64_t start_ms;

    make_tables(pg, err);
    assert_ok(copy_rows(pg, 1, 1, err));
    /* The uncommitted row makes the COPY wait in its first pieces; far more is still to be sent. */
    assert_ok(pg_begin(other, "", err));
    assert_ok(copy_rows(other, 5, 5, err));
    start_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, copy_rows(pg, 2, 1000000, err));
    assert_in_range(clock_now_ms() - start_ms, QUERY_MS - 10, QUERY_MS + 500);
    assert_false(pg_is_connected(pg));
    pg_rollback(other);
    assert_string_equal(value_of(pg, "SELECT 7", text, err), "7");
}

TEST(a_frozen_server_never_holds_a_copy_past_its_deadline)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    int64_t start_ms;

    make_tables(pg, err);
    assert_ok(pg_begin(pg, "", err));
    server_freeze(postgres());
    start_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, copy_rows(pg, 1, 10, err));
    assert_in_range(clock_now_ms() - start_ms, QUERY_MS - 10, QUERY_MS + 500);
    assert_fails(ERROR_UNAVAILABLE, copy_rows(pg, 1, 10, err)); /* the transaction is gone */
    server_thaw(postgres());
    pg_rollback(pg);
    assert_ok(copy_rows(pg, 1, 10, err));
}

TEST(a_killed_server_is_found_again)
{
    AUTO(pg_close) struct pg *pg = pg_on(postgres());
    char text[64];

    assert_ok(pg_query(pg, "seven", "SELECT 7", NULL, 0, NULL, err));
    server_kill(postgres());
    assert_fails(ERROR_UNAVAILABLE, pg_query(pg, "seven", "SELECT 7", NULL, 0, NULL, err));
    assert_fails(ERROR_UNAVAILABLE, pg_query(pg, "seven", "SELECT 7", NULL, 0, NULL, err));
    server_start(postgres());
    assert_ok(pg_query(pg, "seven", "SELECT 7", NULL, 0, NULL, err));
    assert_string_equal(value_of(pg, "SELECT 8", text, err), "8");
}

TESTS(RUN(connects_by_itself_and_runs_named_and_unnamed_statements),
      RUN(binary_arrays_arrive_as_they_were_given), RUN(an_empty_array_is_an_array),
      RUN(kinds_follow_the_sqlstate),
      RUN(wrong_credentials_and_a_missing_database_are_a_broken_deployment),
      RUN(a_slow_statement_is_given_up_at_its_deadline_and_stopped_on_the_server),
      RUN(a_frozen_server_never_holds_a_call_past_its_deadline),
      RUN(a_commit_to_a_frozen_server_is_uncertain),
      RUN(a_connection_lost_in_a_transaction_is_not_made_anew_inside_of_it),
      RUN(a_failed_transaction_does_not_pretend_to_commit),
      RUN(a_statement_whose_table_changed_works_at_the_second_try),
      RUN(a_large_parameter_and_a_large_answer_pass), RUN(notifications_wake_the_one_who_listens),
      RUN(copy_is_refused_and_the_connection_stays_usable), RUN(rows_are_copied_however_many),
      RUN(binary_rows_arrive_as_they_were_given),
      RUN(a_refused_copy_has_its_sqlstate_and_stores_nothing),
      RUN(a_copy_to_a_missing_partition_is_a_broken_deployment),
      RUN(a_copy_that_the_server_stops_reading_ends_at_its_deadline),
      RUN(a_frozen_server_never_holds_a_copy_past_its_deadline),
      RUN(a_killed_server_is_found_again))
