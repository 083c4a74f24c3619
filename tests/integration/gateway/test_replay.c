#include "check.h"
#include "temp_tree.h"

#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/bus_inbox.h"
#include "clients/pg.h"
#include "inbox.h"
#include "kept_batches.h"
#include "migrate.h"
#include "replayer.h"
#include "runtime/service.h"
#include "spool.h"

enum { SIZE = 2000, WAIT_MS = 20000, PARTITIONS = 2, MAX_BYTES = 256 << 20 };

/* What a gateway has for keeping, over servers of a test's own. */
struct keeping {
    struct temp_dir dir;
    struct server *nats, *postgres; /* postgres NULL: there is none */
    struct spool *spool;
    struct inbox *inbox;
    struct replayer *replayer;
};

static void keeping_close(struct keeping *self)
{
    replayer_close(&self->replayer);
    inbox_close(&self->inbox);
    spool_close(&self->spool);
    server_close(&self->nats);
    server_close(&self->postgres);
    temp_tree_remove(&self->dir);
}

static struct pg *ask_postgres(const struct keeping *self)
{
    return pg_new(&(struct pg_options){.endpoint = server_endpoint(self->postgres),
                                       .application = "test",
                                       .connect_ms = 5000,
                                       .query_ms = 10000});
}

static int64_t read_number(struct pg *pg, const char *sql)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    struct error err = {0};

    if (!pg_query(pg, NULL, sql, NULL, 0, &result, &err))
        fail_msg("%s", err.text);
    return strtoll(PQgetvalue(result, 0, 0), NULL, 10);
}

static void await_empty_inbox(const struct keeping *self)
{
    AUTO(pg_close) struct pg *pg = ask_postgres(self);
    int64_t deadline_ms = clock_now_ms() + WAIT_MS;

    while (read_number(pg, "SELECT count(*) FROM inbox") > 0)
        assert_true(clock_now_ms() < deadline_ms);
}

static void keeping_open(struct keeping *self, bool has_postgres)
{
    struct error err = {0};
    const struct inbox_options inbox = {.postgres =
                                            endpoint_at("host=127.0.0.1 port=1 user=nobody"),
                                        .connect_ms = 500,
                                        .query_ms = 500,
                                        .max_bytes = MAX_BYTES};

    *self = (struct keeping){.dir = temp_dir_new(), .nats = server_open_nats()};
    if (has_postgres)
        self->postgres = server_open_postgres();
    self->spool = spool_open(&(struct spool_options){.directory = self->dir.path,
                                                     .instance = "a",
                                                     .max_bytes = MAX_BYTES},
                             &err);
    assert_non_null(self->spool);
    if (has_postgres) {
        AUTO(pg_close) struct pg *pg = ask_postgres(self);
        struct inbox_options real = inbox;
        size_t applied;

        real.postgres = server_endpoint(self->postgres);
        if (!migrate_apply(pg, &applied, &err))
            fail_msg("%s", err.text);
        self->inbox = inbox_open(&real, &err);
    } else {
        self->inbox = inbox_open(&inbox, &err);
    }
    assert_non_null(self->inbox);
}

static void replay(struct keeping *self)
{
    struct error err = {0};

    self->replayer = replayer_open(&(struct replayer_options){.nats = server_endpoint(self->nats),
                                                              .spool = self->spool,
                                                              .inbox = self->inbox,
                                                              .events_per_s = 20000,
                                                              .batches_per_s = 5000,
                                                              .queued_max_ms = 75},
                                   &err);
    assert_non_null(self->replayer);
}

static void make_streams(struct bus *bus, int64_t max_bytes)
{
    struct stream_limits limits = fixture_limits;
    struct error err = {0};

    limits.max_bytes = max_bytes;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        if (!stream_ensure(bus, p, &limits, 0, clock_at_ms(), &err))
            fail_msg("%s", err.text);
    }
}

static void keep(struct keep_store store, uint64_t first, size_t count, size_t size_bytes)
{
    AUTO(kept_batches_free)
    struct kept_batches batches = kept_batches_new(first, count, size_bytes);
    struct error err = {0};

    for (size_t i = 0; i < count; i++)
        batches.jobs[i].deadline_ms = clock_now_ms() + 1000;
    if (!store.write(store.ctx, batches.jobs, &err))
        fail_msg("%s", err.text);
}

static uint64_t stored(struct bus *bus)
{
    uint64_t sum = 0;

    for (uint32_t p = 0; p < PARTITIONS; p++) {
        struct stream_state state = {0};
        struct error err;

        if (stream_get_state(bus, p, &state, &err))
            sum += state.messages;
    }
    return sum;
}

static bool is_empty(const struct keeping *self)
{
    return spool_batches(self->spool) == 0;
}

static void await_stored(struct bus *bus, uint64_t count)
{
    int64_t deadline_ms = clock_now_ms() + WAIT_MS;

    while (stored(bus) < count && clock_now_ms() < deadline_ms)
        clock_sleep_ms(20);
    assert_int_equal(stored(bus), count);
}

static void await_empty(const struct keeping *self)
{
    int64_t deadline_ms = clock_now_ms() + WAIT_MS;

    while (!is_empty(self) && clock_now_ms() < deadline_ms)
        clock_sleep_ms(20);
    assert_true(is_empty(self));
}

/* The header of message number `index` of partition p, counted from 1. */
static void get_message_id(struct bus *bus, uint32_t p, uint64_t index, char out[KEPT_KEY_SIZE])
{
    struct stream_state state = {0};
    struct error err = {0};
    char name[STREAM_NAME_SIZE];
    natsMsg *message = NULL;
    const char *id = NULL;

    stream_name(p, name);
    assert_true(stream_get_state(bus, p, &state, &err));
    assert_int_equal(
        js_GetMsg(&message, bus_jetstream(bus), name, state.first_seq + index - 1, NULL, NULL),
        NATS_OK);
    assert_int_equal(natsMsgHeader_Get(message, "Nats-Msg-Id", &id), NATS_OK);
    (void)snprintf(out, KEPT_KEY_SIZE, "%s", id);
    natsMsg_Destroy(message);
}

TEST(what_the_spool_holds_is_published_in_order_with_its_old_id_and_is_gone_then)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    char id[KEPT_KEY_SIZE];

    keeping_open(&keeping, false);
    bus = bus_on(keeping.nats, err);
    make_streams(bus, MAX_BYTES);
    keep(spool_store(keeping.spool), 1, 500, SIZE);
    replay(&keeping);

    await_stored(bus, 500);
    await_empty(&keeping);
    get_message_id(bus, 1, 1, id);
    assert_string_equal(id, "01020300000000000000000000000000.7.1.1.0");
    get_message_id(bus, 0, 250, id);
    assert_string_equal(id, "01020300000000000000000000000000.7.0.500.0");
}

TEST(a_batch_that_the_stream_has_already_is_stored_once)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    AUTO(kept_batches_free) struct kept_batches batch = kept_batches_new(2, 1, SIZE);
    jsPubOptions options = {0};
    char id[KEPT_KEY_SIZE];

    keeping_open(&keeping, false);
    bus = bus_on(keeping.nats, err);
    make_streams(bus, MAX_BYTES);
    kept_batch_id(&batch.jobs[0].batch, id);
    options.MsgId = id;
    assert_int_equal(js_Publish(NULL, bus_jetstream(bus), "ads.events.0", batch.jobs[0].batch.bytes,
                                SIZE, &options, NULL),
                     NATS_OK);
    keep(spool_store(keeping.spool), 2, 1, SIZE); /* its ack was lost */
    replay(&keeping);

    await_empty(&keeping);
    assert_int_equal(stored(bus), 1);
}

TEST(nats_may_be_away_at_the_start_and_come_back)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    int64_t began_ms;

    keeping_open(&keeping, false);
    bus = bus_on(keeping.nats, err);
    make_streams(bus, MAX_BYTES);
    server_kill(keeping.nats);
    keep(spool_store(keeping.spool), 1, 100, SIZE);
    replay(&keeping);
    clock_sleep_ms(1500); /* long enough for the breaker to open; not a wait for a result */
    assert_false(is_empty(&keeping));

    server_start(keeping.nats);
    began_ms = clock_now_ms();
    assert_true(wait_until_connected(bus, true));
    await_stored(bus, 100);
    await_empty(&keeping);
    assert_true(clock_now_ms() - began_ms < 10000);

    /* And once more while it is connected. */
    server_kill(keeping.nats);
    keep(spool_store(keeping.spool), 101, 100, SIZE);
    server_start(keeping.nats);
    assert_true(wait_until_connected(bus, true));
    await_stored(bus, 200);
    await_empty(&keeping);
}

TEST(a_frozen_nats_is_given_up_on_and_found_again)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    int64_t began_ms;

    keeping_open(&keeping, false);
    bus = bus_on(keeping.nats, err);
    make_streams(bus, MAX_BYTES);
    replay(&keeping);
    keep(spool_store(keeping.spool), 1, 10, SIZE);
    await_stored(bus, 10);
    await_empty(&keeping);

    server_freeze(keeping.nats);
    keep(spool_store(keeping.spool), 11, 200, SIZE);
    clock_sleep_ms(3000);
    assert_false(is_empty(&keeping));
    server_thaw(keeping.nats);
    began_ms = clock_now_ms();

    await_empty(&keeping);
    assert_true(clock_now_ms() - began_ms < 10000);
    assert_true(wait_until_connected(bus, true));
    await_stored(bus, 210); /* what was sent into the frozen server came twice, and counts once */
}

TEST(a_full_stream_is_waited_for_and_a_new_id_is_used_then)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    char id[KEPT_KEY_SIZE];
    int refused = 0;
    uint64_t before;

    keeping_open(&keeping, false);
    bus = bus_on(keeping.nats, err);
    make_streams(bus, 64 << 10); /* some 30 batches */
    keep(spool_store(keeping.spool), 1, 100, SIZE);
    replay(&keeping);

    for (int64_t deadline_ms = clock_now_ms() + WAIT_MS; stored(bus) < 50;)
        assert_true(clock_now_ms() < deadline_ms);
    clock_sleep_ms(1000); /* some tries more */
    before = stored(bus);
    assert_true(before < 100);
    assert_false(is_empty(&keeping));

    make_streams(bus, MAX_BYTES);
    await_stored(bus, 100);
    await_empty(&keeping);
    get_message_id(bus, 0, 1, id);
    assert_string_equal(strrchr(id, '.'), ".0");
    for (uint64_t i = 1; i <= 50 && refused == 0; i++) {
        get_message_id(bus, 0, i, id);
        refused += strcmp(strrchr(id, '.'), ".0") != 0;
    }
    assert_int_equal(refused, 1);
}

TEST(a_stream_that_is_not_there_does_not_keep_the_others_waiting)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;

    keeping_open(&keeping, false);
    bus = bus_on(keeping.nats, err);
    assert_ok(stream_ensure(bus, 1, &fixture_limits, 0, clock_at_ms(), err));
    keep(spool_store(keeping.spool), 1, 400, SIZE); /* partitions in turn */
    replay(&keeping);
    await_stored(bus, 200);

    make_streams(bus, fixture_limits.max_bytes);
    await_stored(bus, 400);
    await_empty(&keeping);
}

/* Its leader is frozen, say: it is there, and says nothing. */
TEST(a_stream_that_hangs_does_not_keep_the_others_waiting)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    char hanging[STREAM_SUBJECT_SIZE];
    struct bus_inbox inbox;

    keeping_open(&keeping, false);
    bus = bus_on(keeping.nats, err);
    assert_ok(stream_ensure(bus, 0, &fixture_limits, 0, clock_at_ms(), err));
    stream_subject(1, hanging);
    assert_ok(bus_inbox_open(bus, hanging, &inbox, err));
    keep(spool_store(keeping.spool), 1, 400, SIZE); /* partitions in turn */
    replay(&keeping);
    await_stored(bus, 200);

    bus_inbox_close(&inbox);
    make_streams(bus, fixture_limits.max_bytes);
    await_stored(bus, 400);
    await_empty(&keeping);
}

TEST(a_batch_over_max_payload_is_set_aside_and_blocks_nobody)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    struct service_component health;
    int64_t deadline_ms = clock_now_ms() + WAIT_MS;

    keeping_open(&keeping, false);
    bus = bus_on(keeping.nats, err);
    make_streams(bus, MAX_BYTES);
    keep(spool_store(keeping.spool), 1, 1, (1 << 20) + 1);
    keep(spool_store(keeping.spool), 2, 3, SIZE);
    replay(&keeping);

    await_stored(bus, 3);
    do {
        health = spool_describe(keeping.spool);
    } while (strstr(health.detail, "0 batches wait, 1 cannot") == NULL &&
             clock_now_ms() < deadline_ms);
    assert_string_equal(health.state, "degraded");
}

TEST(the_inbox_is_emptied_by_two_replayers_each_batch_once)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    AUTO(spool_close) struct spool *spool = NULL;
    AUTO(inbox_close) struct inbox *inbox = NULL;
    AUTO(replayer_close) struct replayer *second = NULL;

    keeping_open(&keeping, true);
    bus = bus_on(keeping.nats, err);
    make_streams(bus, MAX_BYTES);
    keep(inbox_store(keeping.inbox), 1, 300, SIZE);
    spool = spool_open(&(struct spool_options){.directory = keeping.dir.path,
                                               .instance = "b",
                                               .max_bytes = MAX_BYTES},
                       err);
    inbox = inbox_open(&(struct inbox_options){.postgres = server_endpoint(keeping.postgres),
                                               .connect_ms = 500,
                                               .query_ms = 500,
                                               .max_bytes = MAX_BYTES},
                       err);
    replay(&keeping);
    second = replayer_open(&(struct replayer_options){.nats = server_endpoint(keeping.nats),
                                                      .spool = spool,
                                                      .inbox = inbox,
                                                      .events_per_s = 20000,
                                                      .batches_per_s = 5000,
                                                      .queued_max_ms = 75},
                           err);
    assert_non_null(second);

    await_stored(bus, 300);
    await_empty_inbox(&keeping);
    assert_int_equal(stored(bus), 300);
}

/* The sequence counts: it is outside of transactions. */
static const char refuse_sql[] =
    "CREATE SEQUENCE tries;"
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " PERFORM nextval('tries'); RAISE EXCEPTION 'not now' USING ERRCODE = '22000'; END $$;"
    "CREATE TRIGGER refuse BEFORE DELETE ON inbox FOR EACH ROW EXECUTE FUNCTION refuse()";

TEST(a_store_that_cannot_be_settled_rests_longer_each_time_and_keeps_nobody_waiting)
{
    enum { LOOK_MS = 3000, TRIES_MAX = 15 }; /* one every REPLAY_IDLE_MS would be twice as many */
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    AUTO(pg_close) struct pg *pg = NULL;
    int64_t tries;

    keeping_open(&keeping, true);
    bus = bus_on(keeping.nats, err);
    make_streams(bus, MAX_BYTES);
    pg = ask_postgres(&keeping);
    assert_ok(pg_script(pg, refuse_sql, err));
    keep(inbox_store(keeping.inbox), 1, 1, SIZE);
    replay(&keeping);
    await_stored(bus, 1);

    for (int64_t end_ms = clock_now_ms() + LOOK_MS; clock_now_ms() < end_ms;)
        clock_sleep_ms(20);
    tries = read_number(pg, "SELECT last_value FROM tries");
    assert_in_range(tries, 2, TRIES_MAX);
    keep(spool_store(keeping.spool), 2, 1, SIZE);
    await_empty(&keeping);

    assert_ok(pg_script(pg, "DROP TRIGGER refuse ON inbox", err));
    await_empty_inbox(&keeping);
    assert_int_equal(stored(bus), 2); /* however often it was published */
}

TEST(five_seconds_of_an_outage_at_5000_clicks_a_second_drain_within_ten)
{
    AUTO(keeping_close) struct keeping keeping;
    AUTO(bus_close) struct bus *bus = NULL;
    int64_t began_ms;

    keeping_open(&keeping, false);
    bus = bus_on(keeping.nats, err);
    make_streams(bus, MAX_BYTES);
    for (uint64_t i = 0; i < 16; i++) /* 8,200 batches of 3 events on average */
        keep(spool_store(keeping.spool), i * 512 + 1, 512, 450);
    began_ms = clock_now_ms();
    replay(&keeping);
    await_stored(bus, 8192);
    await_empty(&keeping);
    print_message("drained 8192 batches in %" PRId64 " ms\n", clock_now_ms() - began_ms);
    assert_true(clock_now_ms() - began_ms < 10000);
}

TESTS(RUN(what_the_spool_holds_is_published_in_order_with_its_old_id_and_is_gone_then),
      RUN(a_batch_that_the_stream_has_already_is_stored_once),
      RUN(nats_may_be_away_at_the_start_and_come_back),
      RUN(a_frozen_nats_is_given_up_on_and_found_again),
      RUN(a_full_stream_is_waited_for_and_a_new_id_is_used_then),
      RUN(a_stream_that_is_not_there_does_not_keep_the_others_waiting),
      RUN(a_stream_that_hangs_does_not_keep_the_others_waiting),
      RUN(a_batch_over_max_payload_is_set_aside_and_blocks_nobody),
      RUN(the_inbox_is_emptied_by_two_replayers_each_batch_once),
      RUN(a_store_that_cannot_be_settled_rests_longer_each_time_and_keeps_nobody_waiting),
      RUN(five_seconds_of_an_outage_at_5000_clicks_a_second_drain_within_ten))
