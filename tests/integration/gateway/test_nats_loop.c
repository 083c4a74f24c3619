#include "check.h"

#include "base/auto.h"
#include "clients/bus.h"
#include "nats_loop.h"
#include "runtime/clock.h"
#include "servers.h"

#include <h2o.h>
#include <string.h>

enum {
    WAIT_MS = 10000,
    TURN_MS = 200, /* what a turn may take of the loop, on a loaded machine */
    BUFFER_MAX_BYTES = 1 << 20,
    MESSAGE_BYTES = 64 << 10,
    MESSAGES_MAX = 1000,
};

/* One for all tests: h2o cannot free it without a leak, see server.c. */
static h2o_globalconf_t config;
static h2o_context_t h2o;

/* A connection alone on the loop, and what it has told. */
struct rig {
    struct nats_loop *nats;
    int ups, downs, unheard;
    size_t payload_max;
    int64_t slowest_ms; /* of the turns */
};

static void on_up(void *ctx, size_t payload_max)
{
    struct rig *self = ctx;

    self->ups++;
    self->payload_max = payload_max;
}

static void on_down(void *ctx)
{
    ((struct rig *)ctx)->downs++;
}

static void on_reply(void *ctx, const char *token, const char *bytes, size_t size_bytes)
{
    (void)ctx;
    fail_msg("%s: %.*s", token, (int)size_bytes, bytes);
}

static void on_leader(void *ctx)
{
    (void)ctx;
}

static void on_unheard(void *ctx)
{
    ((struct rig *)ctx)->unheard++;
}

static void rig_open(struct rig *self, struct endpoint *endpoint)
{
    struct nats_loop_options options = {
        .bus = {.endpoint = endpoint, .name = "test", .connect_ms = 2000, .request_ms = 1000},
        .h2o = &h2o,
        .buffer_max_bytes = BUFFER_MAX_BYTES,
        .events = {.ctx = self,
                   .on_up = on_up,
                   .on_down = on_down,
                   .on_reply = on_reply,
                   .on_leader = on_leader,
                   .on_unheard = on_unheard},
    };
    struct error err;

    *self = (struct rig){0};
    if (h2o.loop == NULL) {
        h2o_config_init(&config);
        h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("test")), 65535);
        h2o_context_init(&h2o, h2o_evloop_create(), &config);
    }
    self->nats = nats_loop_open(&options, &err);
    assert_non_null(self->nats);
}

static void rig_close(struct rig *self)
{
    nats_loop_close(&self->nats);
    h2o_evloop_run(h2o.loop, 0); /* what was closed is freed by the next turn */
}

static void turn(struct rig *self)
{
    int64_t began_ms;

    h2o_evloop_run(h2o.loop, 5);
    began_ms = clock_now_ms();
    nats_loop_turn(self->nats);
    nats_loop_flush(self->nats);
    if (clock_now_ms() - began_ms > self->slowest_ms)
        self->slowest_ms = clock_now_ms() - began_ms;
}

/* Turns until so much was counted. */
static void turn_until(struct rig *self, const int *count, int wanted)
{
    int64_t deadline_ms = clock_now_ms() + WAIT_MS;

    while (*count < wanted) {
        assert_true(clock_now_ms() < deadline_ms);
        turn(self);
    }
}

static bool publish(struct rig *self, const uint8_t *bytes, size_t size_bytes, struct error *err)
{
    return nats_loop_publish(self->nats,
                             &(struct nats_message){.subject = "nobody.listens",
                                                    .token = "1",
                                                    .message_id = "1",
                                                    .bytes = bytes,
                                                    .size_bytes = size_bytes},
                             err);
}

/* Until the server is known not to read. */
static void publish_until_full(struct rig *self, struct error *err)
{
    static const uint8_t bytes[MESSAGE_BYTES];

    for (int i = 0; i < MESSAGES_MAX; i++) {
        if (!publish(self, bytes, sizeof(bytes), err))
            return;
        turn(self);
    }
    fail_msg("%d messages went to a server that is frozen", MESSAGES_MAX);
}

static void check_works(struct rig *self, struct error *err)
{
    self->unheard = 0;
    assert_ok(publish(self, (const uint8_t *)"x", 1, err));
    turn_until(self, &self->unheard, 1);
}

TEST(is_up_with_what_the_server_takes_and_hears_that_nobody_listens)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(rig_close) struct rig rig;

    rig_open(&rig, server_endpoint(server));
    turn_until(&rig, &rig.ups, 1);
    assert_int_equal(rig.payload_max, 1 << 20);
    check_works(&rig, err);
}

TEST(comes_back_to_a_server_that_was_killed_with_its_subscriptions)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(rig_close) struct rig rig;

    rig_open(&rig, server_endpoint(server));
    turn_until(&rig, &rig.ups, 1);
    server_kill(server);
    turn_until(&rig, &rig.downs, 1);
    assert_fails(ERROR_UNAVAILABLE, publish(&rig, (const uint8_t *)"x", 1, err));
    server_start(server);
    turn_until(&rig, &rig.ups, 2);
    assert_int_equal(rig.payload_max, 1 << 20);
    check_works(&rig, err);
    assert_int_equal(rig.downs, 1);
}

TEST(a_server_that_works_is_left_for_another)
{
    AUTO(server_close) struct server *first = server_open_nats();
    AUTO(server_close) struct server *second = server_open_nats();
    struct endpoint *endpoint = server_endpoint(first);
    AUTO(rig_close) struct rig rig;

    rig_open(&rig, endpoint);
    turn_until(&rig, &rig.ups, 1);
    endpoint_move(endpoint, server_url(second));
    turn_until(&rig, &rig.downs, 1);
    turn_until(&rig, &rig.ups, 2);
    server_kill(first);
    check_works(&rig, err);
    assert_int_equal(rig.downs, 1);
}

TEST(a_server_that_does_not_read_is_left_without_a_wait_of_the_loop)
{
    AUTO(server_close) struct server *first = server_open_nats();
    AUTO(server_close) struct server *second = server_open_nats();
    struct endpoint *endpoint = server_endpoint(first);
    AUTO(rig_close) struct rig rig;

    rig_open(&rig, endpoint);
    turn_until(&rig, &rig.ups, 1);
    server_freeze(first);
    publish_until_full(&rig, err);
    rig.slowest_ms = 0;
    endpoint_move(endpoint, server_url(second));
    turn_until(&rig, &rig.downs, 1);
    turn_until(&rig, &rig.ups, 2);
    assert_in_range(rig.slowest_ms, 0, TURN_MS);
    check_works(&rig, err);
    server_thaw(first);
}

TEST(ends_while_it_leaves)
{
    AUTO(server_close) struct server *first = server_open_nats();
    AUTO(server_close) struct server *second = server_open_nats();

    for (int i = 0; i < 2; i++) { /* before the connection is let go, and after */
        struct endpoint *endpoint = endpoint_at(server_url(first));
        AUTO(rig_close) struct rig rig;

        rig_open(&rig, endpoint);
        turn_until(&rig, &rig.ups, 1);
        server_freeze(first);
        publish_until_full(&rig, err);
        endpoint_move(endpoint, server_url(second));
        turn(&rig);
        turn_until(&rig, &rig.downs, i);
        server_thaw(first);
    }
}

TESTS(RUN(is_up_with_what_the_server_takes_and_hears_that_nobody_listens),
      RUN(comes_back_to_a_server_that_was_killed_with_its_subscriptions),
      RUN(a_server_that_works_is_left_for_another),
      RUN(a_server_that_does_not_read_is_left_without_a_wait_of_the_loop),
      RUN(ends_while_it_leaves))
