#include "database.h"
#include "salts.h"
#include "session.h"

TEST(migrations_are_applied_once_and_remembered)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_on(server);
    AUTO(pg_result_clear) PGresult *result = NULL;
    size_t applied = 0;

    assert_ok(migrate_apply(pg, &applied, err));
    assert_int_equal(applied, migration_count);
    assert_ok(migrate_apply(pg, &applied, err));
    assert_int_equal(applied, 0);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM schema_migrations", err),
                     migration_count);

    /* One that is out never changes, not even in a comment: whoever has it would be refused. */
    assert_ok(pg_query(pg, NULL,
                       "SELECT string_agg(checksum, ' ' ORDER BY version) FROM schema_migrations",
                       NULL, 0, &result, err));
    assert_string_equal(PQgetvalue(result, 0, 0),
                        "1eb2c9af0fecddf3 bc4f5318fa181ded d80b786a3688d600 71bac09241b19d75"
                        " d5c084ec51cbdd15");
}

TEST(a_migration_that_reads_differently_now_is_refused)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_on(server);
    size_t applied = 0;

    assert_ok(migrate_apply(pg, &applied, err));
    assert_ok(pg_script(pg, "UPDATE schema_migrations SET checksum = 'x' WHERE version = 1", err));

    assert_fails(ERROR_INTERNAL, migrate_apply(pg, &applied, err));
}

TEST(a_login_that_may_not_make_roles_can_still_migrate)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_on(server);
    size_t applied = 0;

    assert_ok(pg_script(pg,
                        "CREATE ROLE modest; CREATE SCHEMA own AUTHORIZATION modest;"
                        " SET search_path = own; SET ROLE modest",
                        err));
    assert_ok(migrate_apply(pg, &applied, err));

    assert_int_equal(
        ask_number(pg, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'adledger%'", err), 0);
}

TEST(the_gateways_role_reads_everything_and_writes_only_ads)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);

    assert_ok(pg_script(pg, "SET ROLE adledger_gateway", err));
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 0);
    assert_ok(pg_script(pg, "INSERT INTO ads (id) VALUES ('new')", err));
    assert_fails(ERROR_INTERNAL, pg_script(pg, "DELETE FROM positions", err));
}

TEST(a_day_is_made_once_and_takes_its_rows)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    int64_t today = day_of_ms(clock_at_ms());

    assert_ok(partitions_make(pg, today, err));
    assert_ok(partitions_make(pg, today + 1, err));
    assert_int_equal(ask_number(pg,
                                "SELECT count(*) FROM pg_inherits JOIN pg_class c ON c.oid ="
                                " inhparent WHERE c.relname = 'events'",
                                err),
                     2);
}

TEST(a_lock_in_the_way_is_not_waited_for)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *holder = pg_with_schema(server, err);
    AUTO(pg_close) struct pg *pg = pg_on(server);
    struct session session = {.lock_ms = 200, .idle_ms = 10000};
    int64_t today = day_of_ms(clock_at_ms());
    int64_t began_ms = 0;

    assert_ok(pg_begin(holder, "", err));
    assert_ok(pg_script(holder, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE", err));
    assert_ok(session_ensure(&session, pg, err));
    began_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, partitions_make(pg, today + 1, err));
    assert_true(clock_now_ms() - began_ms < 2000);

    pg_rollback(holder);
    assert_ok(partitions_make(pg, today + 1, err));
}

TEST(an_old_day_is_dropped_after_its_visitors_were_counted)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    int64_t today = day_of_ms(clock_at_ms());
    char uuid[DAY_UUID_SIZE];
    char sql[512];
    size_t dropped = 0;

    assert_ok(partitions_make(pg, today - 100, err));
    day_format_uuid(today - 100, uuid);
    snprintf(sql, sizeof(sql),
             "INSERT INTO events SELECT (left('%s', 35) || n)::uuid, 1, 0, 0, 'ad-001', now(),"
             " now(), n %% 2 + 1 FROM generate_series(0, 5) n",
             uuid);
    assert_ok(pg_script(pg, sql, err));

    assert_ok(partitions_drop(pg, today - 90, &dropped, err));

    assert_int_equal(dropped, 2);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 0);
    assert_int_equal(ask_number(pg, "SELECT visitors FROM ad_day_visitors", err), 2);
    assert_ok(partitions_drop(pg, today - 90, &dropped, err));
    assert_int_equal(dropped, 0);
}

TEST(an_old_day_that_could_not_be_dropped_is_dropped_later_and_counted_once)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *reader = pg_with_schema(server, err);
    AUTO(pg_close) struct pg *pg = pg_on(server);
    struct session session = {.lock_ms = 200, .idle_ms = 10000};
    int64_t old = day_of_ms(clock_at_ms()) - 100;
    size_t dropped = 0;

    assert_ok(partitions_make(pg, old, err));
    assert_ok(pg_script(reader,
                        "INSERT INTO ad_day_visitors SELECT current_date - 100, 'ad-001', 7", err));
    assert_ok(pg_begin(reader, "", err));
    assert_int_equal(ask_number(reader, "SELECT count(*) FROM events", err), 0);
    assert_ok(session_ensure(&session, pg, err));
    assert_fails(ERROR_UNAVAILABLE, partitions_drop(pg, old + 10, &dropped, err));

    pg_rollback(reader);
    assert_ok(partitions_drop(pg, old + 10, &dropped, err));
    assert_int_equal(dropped, 2);
    assert_int_equal(ask_number(pg, "SELECT sum(visitors) FROM ad_day_visitors", err), 7);
}

TEST(salts_are_made_ahead_once_and_old_ones_go)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    int64_t today = day_of_ms(clock_at_ms());
    static const char sum[] = "SELECT count(DISTINCT salt) FROM visitor_salts";

    assert_ok(salts_keep(pg, today, 3, err));
    assert_int_equal(ask_number(pg, sum, err), 5);
    assert_ok(salts_keep(pg, today, 3, err));
    assert_int_equal(ask_number(pg, sum, err), 5);
    assert_ok(salts_keep(pg, today + 4, 3, err));
    assert_int_equal(ask_number(pg, sum, err), 7);
}

TESTS(RUN(migrations_are_applied_once_and_remembered),
      RUN(a_migration_that_reads_differently_now_is_refused),
      RUN(a_login_that_may_not_make_roles_can_still_migrate),
      RUN(the_gateways_role_reads_everything_and_writes_only_ads),
      RUN(a_day_is_made_once_and_takes_its_rows), RUN(a_lock_in_the_way_is_not_waited_for),
      RUN(an_old_day_is_dropped_after_its_visitors_were_counted),
      RUN(an_old_day_that_could_not_be_dropped_is_dropped_later_and_counted_once),
      RUN(salts_are_made_ahead_once_and_old_ones_go))
