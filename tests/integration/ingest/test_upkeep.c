#include "database.h"
#include "expiry.h"

static void insert_ages(struct pg *pg, int days, struct error *err)
{
    char sql[512];

    snprintf(sql, sizeof(sql),
             "INSERT INTO batch_ranges SELECT gen_random_uuid(), 0, 0, 1, n, n, 1,"
             " now() - interval '%d days' FROM generate_series(1, %d) n;"
             "INSERT INTO dead_letters (partition, seq, index, code, payload, dead_at)"
             " SELECT 0, %d * 100000 + n, -1, 'undecodable', '', now() - interval '%d days'"
             " FROM generate_series(1, %d) n",
             days, EXPIRY_ROWS + 5, days, days, EXPIRY_ROWS + 5);
    assert_ok(pg_script(pg, sql, err));
}

TEST(what_is_too_old_goes_page_by_page_and_the_rest_stays)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    int64_t today = day_of_ms(clock_at_ms());
    size_t dropped = 0;

    insert_ages(pg, 100, err);
    insert_ages(pg, 2, err);

    assert_ok(expiry_drop_ranges(pg, today - 90, &dropped, err));
    assert_int_equal(dropped, EXPIRY_ROWS + 5);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM batch_ranges", err), EXPIRY_ROWS + 5);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM dead_letters", err),
                     2 * (EXPIRY_ROWS + 5));

    assert_ok(expiry_drop_letters(pg, today - 90, &dropped, err));
    assert_int_equal(dropped, EXPIRY_ROWS + 5);
    assert_int_equal(
        ask_number(pg,
                   "SELECT count(*) FROM dead_letters WHERE dead_at < now() - '3 days'::interval",
                   err),
        0);
}

TESTS(RUN(what_is_too_old_goes_page_by_page_and_the_rest_stays))
