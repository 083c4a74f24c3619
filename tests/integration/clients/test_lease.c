#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/lease.h"

enum { PARTITIONS = 4, TTL_MS = 1000 };

static struct leases *leases_on(struct bus *bus, const char *service, struct error *err)
{
    const struct lease_options options = {
        .service = service, .partition_count = PARTITIONS, .ttl_ms = TTL_MS};
    struct leases *leases = leases_new(bus, &options, err);

    assert_non_null(leases);
    return leases;
}

/* "1100": which partitions are held. */
static const char *held_by(const struct leases *leases, char out[PARTITIONS + 1])
{
    for (uint32_t i = 0; i < PARTITIONS; i++)
        out[i] = leases_is_held(leases, i, clock_now_ms()) ? '1' : '0';
    out[PARTITIONS] = '\0';
    return out;
}

static void step(struct leases *leases, struct error *err)
{
    assert_ok(leases_step(leases, clock_now_ms(), err));
}

TEST(a_lonely_process_takes_everything_and_keeps_it)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(leases_close) struct leases *one = leases_on(bus, "ingest", err);
    char held[PARTITIONS + 1];

    for (int i = 0; i < 6; i++) {
        step(one, err);
        assert_string_equal(held_by(one, held), "1111");
        clock_sleep_ms(TTL_MS / 3);
    }
    assert_false(leases_is_held(one, PARTITIONS, clock_now_ms()));
}

TEST(a_second_process_gets_its_fair_share)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(leases_close) struct leases *one = leases_on(bus, "ingest", err);
    AUTO(leases_close) struct leases *two = leases_on(bus, "ingest", err);
    char held[PARTITIONS + 1];

    step(one, err);
    step(two, err);
    assert_string_equal(held_by(two, held), "0000"); /* nothing is free yet */
    step(one, err);
    assert_string_equal(held_by(one, held), "1100"); /* the highest go */
    step(two, err);
    assert_string_equal(held_by(two, held), "0011");
    step(one, err);
    assert_string_equal(held_by(one, held), "1100");
}

TEST(services_do_not_meet)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(leases_close) struct leases *one = leases_on(bus, "ingest", err);
    AUTO(leases_close) struct leases *two = leases_on(bus, "analytics", err);
    char held[PARTITIONS + 1];

    step(one, err);
    step(two, err);
    assert_string_equal(held_by(one, held), "1111");
    assert_string_equal(held_by(two, held), "1111");
}

TEST(a_process_that_closes_hands_over_at_once)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct leases *one = leases_on(bus, "ingest", err);
    AUTO(leases_close) struct leases *two = leases_on(bus, "ingest", err);
    char held[PARTITIONS + 1];

    step(one, err);
    leases_close(&one);
    step(two, err);
    assert_string_equal(held_by(two, held), "1111");
}

TEST(a_process_that_dies_is_inherited_from_after_the_ttl)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(leases_close) struct leases *dead = leases_on(bus, "ingest", err);
    AUTO(leases_close) struct leases *heir = leases_on(bus, "ingest", err);
    char held[PARTITIONS + 1];
    int64_t start_ms = clock_now_ms();

    step(dead, err);
    while (strcmp(held_by(heir, held), "1111") != 0) {
        if (clock_now_ms() - start_ms > INT64_C(4) * TTL_MS)
            fail_msg("the heir has %s", held);
        /* Nobody ever holds what another one holds. */
        for (uint32_t i = 0; i < PARTITIONS; i++)
            assert_false(leases_is_held(dead, i, clock_now_ms()) && held[i] == '1');
        step(heir, err);
        clock_sleep_ms(50);
    }
    assert_in_range(clock_now_ms() - start_ms, TTL_MS - 100, 3 * TTL_MS);
    step(dead, err); /* it was only slow: what it had is gone */
    assert_string_equal(held_by(dead, held), "0000");
}

TEST(leases_run_out_without_a_broker_and_come_back_with_it)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(leases_close) struct leases *one = leases_on(bus, "ingest", err);
    char held[PARTITIONS + 1];
    int64_t now_ms;

    step(one, err);
    server_kill(nats); /* the bucket was in its memory */
    assert_true(wait_until_connected(bus, false));
    now_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, leases_step(one, now_ms, err));
    assert_false(leases_is_held(one, 0, now_ms + TTL_MS));

    server_start(nats);
    assert_true(wait_until_connected(bus, true));
    step(one, err);
    assert_string_equal(held_by(one, held), "1111");
}

TEST(a_frozen_broker_never_holds_a_step_past_its_deadline)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(leases_close) struct leases *one = leases_on(bus, "ingest", err);
    int64_t start_ms;

    step(one, err);
    server_freeze(nats);
    start_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, leases_step(one, start_ms, err));
    assert_in_range(clock_now_ms() - start_ms, 0, 2000);
    start_ms = clock_now_ms();
    leases_close(&one);
    assert_in_range(clock_now_ms() - start_ms, 0, 2000);
    server_thaw(nats);
}

TESTS(RUN(a_lonely_process_takes_everything_and_keeps_it),
      RUN(a_second_process_gets_its_fair_share), RUN(services_do_not_meet),
      RUN(a_process_that_closes_hands_over_at_once),
      RUN(a_process_that_dies_is_inherited_from_after_the_ttl),
      RUN(leases_run_out_without_a_broker_and_come_back_with_it),
      RUN(a_frozen_broker_never_holds_a_step_past_its_deadline))
