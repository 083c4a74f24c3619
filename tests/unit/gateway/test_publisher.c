#include "check.h"

#include "base/auto.h"
#include "fake_nats_loop.h"
#include "publisher.h"
#include "runtime/clock.h"

#include <string.h>

/* A retry waits for try_ms and then up to the breaker's jitter for a first one. */
enum { TRY_MS = 150, JITTER_MS = 50, STREAM_MS = 400, SLOW_MS = 250, PERMIT_MS = 500 };

#define ACK       "{\"stream\":\"ADS_0\",\"seq\":7}"
#define ID_PREFIX "0a000000000000000000000000000000.2.0."

static const uint8_t gateway_id[16] = {0x0a};
static int64_t start_ms; /* the breaker in the publisher starts at the clock's time */

/* What the publisher told its owner. */
struct verdicts {
    int ends[PUBLISH_IMPOSSIBLE + 1];
    int missing;
};

static void on_done(void *ctx, struct batch *batch, enum publish_end end, int64_t now_ms)
{
    struct verdicts *verdicts = ctx;

    (void)batch;
    (void)now_ms;
    verdicts->ends[end]++;
}

static int ended(const struct verdicts *verdicts)
{
    int sum = 0;

    for (int end = 0; end <= PUBLISH_IMPOSSIBLE; end++)
        sum += verdicts->ends[end];
    return sum;
}

static void on_missing(void *ctx)
{
    struct verdicts *verdicts = ctx;

    verdicts->missing++;
}

static struct publisher *connected_publisher(struct nats_loop *nats, struct verdicts *verdicts)
{
    const struct publisher_options options = {
        .gateway_id = gateway_id,
        .thread = 2,
        .slots_max = 2,
        .try_ms = TRY_MS,
        .slow_ms = SLOW_MS,
        .permit_ms = PERMIT_MS,
        .on_stream_missing = on_missing,
        .ctx = verdicts,
    };
    struct error err;
    struct publisher *publisher = publisher_new(&options, nats, &err);

    assert_non_null(publisher);
    start_ms = clock_now_ms();
    publisher_on_done(publisher, on_done, verdicts);
    publisher_connected(publisher, start_ms);
    return publisher;
}

static struct batch batch_number(uint64_t number)
{
    static uint8_t bytes[10];

    return (struct batch){.bytes = bytes,
                          .size_bytes = sizeof(bytes),
                          .count = 1,
                          .number = number,
                          .stream_until_ms = start_ms + STREAM_MS};
}

/* As the batcher does it. */
static void send_at(struct publisher *publisher, struct batch *batch, int64_t now_ms)
{
    assert_int_equal(publisher_ask(publisher, true, now_ms), PUBLISHER_TAKES);
    batch->stream_until_ms = now_ms + STREAM_MS;
    publisher_send(publisher, batch, now_ms);
}

static void reply(struct publisher *publisher, const char *token, const char *text)
{
    publisher_replied(publisher, token, text, strlen(text), start_ms + 1);
}

TEST(a_batch_goes_out_under_its_number_and_is_stored_by_its_ack)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(41);

    send_at(publisher, &batch, start_ms);
    assert_string_equal(nats.published[0].subject, "ads.events.0");
    assert_string_equal(nats.published[0].message_id, ID_PREFIX "41.0");
    assert_int_equal(nats.published[0].size_bytes, 10);
    assert_int_equal(verdicts.ends[PUBLISH_STORED], 0);

    reply(publisher, nats.published[0].token, ACK);
    assert_int_equal(verdicts.ends[PUBLISH_STORED], 1);
}

TEST(after_silence_the_same_id_is_sent_again)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    send_at(publisher, &batch, start_ms);
    publisher_tick(publisher, start_ms + TRY_MS - 1);
    assert_int_equal(nats.count, 1);
    publisher_tick(publisher, start_ms + TRY_MS);
    publisher_tick(publisher, start_ms + TRY_MS + JITTER_MS);

    assert_int_equal(nats.count, 2);
    assert_string_equal(nats.published[1].message_id, nats.published[0].message_id);
    reply(publisher, nats.published[0].token, ACK);
    assert_int_equal(verdicts.ends[PUBLISH_STORED], 1);
}

TEST(after_an_explicit_refusal_another_id_is_sent)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    send_at(publisher, &batch, start_ms);
    reply(publisher, nats.published[0].token,
          "{\"stream\":\"ADS_0\",\"seq\":0,\"duplicate\":true}");
    assert_int_equal(ended(&verdicts), 0);
    publisher_tick(publisher, start_ms + 120);
    publisher_tick(publisher, start_ms + 120 + JITTER_MS);

    assert_int_equal(nats.count, 2);
    assert_string_equal(nats.published[1].message_id, ID_PREFIX "1.1");
}

TEST(a_full_stream_is_no_reason_to_wait)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    send_at(publisher, &batch, start_ms);
    reply(publisher, nats.published[0].token, "{\"error\":{\"code\":503,\"err_code\":10077}}");

    assert_int_equal(verdicts.ends[PUBLISH_REFUSED], 1);
}

TEST(the_deadline_ends_it_and_a_late_ack_settles_nobody_else)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1), next = batch_number(2);

    send_at(publisher, &batch, start_ms);
    publisher_tick(publisher, start_ms + STREAM_MS - 1);
    assert_int_equal(ended(&verdicts), 0);
    publisher_tick(publisher, start_ms + STREAM_MS);
    assert_int_equal(verdicts.ends[PUBLISH_LATE], 1);

    send_at(publisher, &next, start_ms + STREAM_MS);
    reply(publisher, nats.published[0].token, ACK);
    assert_int_equal(verdicts.ends[PUBLISH_STORED], 0);
    reply(publisher, nats.published[nats.count - 1].token, ACK);
    assert_int_equal(verdicts.ends[PUBLISH_STORED], 1);
}

TEST(a_reply_that_is_no_ack_is_silence)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    send_at(publisher, &batch, start_ms);
    reply(publisher, nats.published[0].token, "{\"stream\":\"OTHER\",\"seq\":7}");
    reply(publisher, "zz", ACK);
    reply(publisher, "99-1", ACK);
    reply(publisher, "0", ACK);
    reply(publisher, "0-1x", ACK);

    assert_int_equal(ended(&verdicts), 0);
}

TEST(a_lost_connection_gives_back_everything_at_once)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch first = batch_number(1), second = batch_number(2);

    send_at(publisher, &first, start_ms);
    send_at(publisher, &second, start_ms);
    publisher_disconnected(publisher, start_ms + 10);

    assert_int_equal(verdicts.ends[PUBLISH_CUT], 2);
    assert_int_equal(publisher_ask(publisher, true, start_ms + 11), PUBLISHER_IS_AWAY);
    publisher_connected(publisher, start_ms + 20);
    assert_int_equal(publisher_ask(publisher, true, start_ms + 21), PUBLISHER_TAKES);
}

TEST(a_stream_that_is_well_is_waited_for)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);

    assert_true(publisher_is_well(publisher));
    assert_int_equal(publisher_ask(publisher, false, start_ms), PUBLISHER_WAITS);
}

/* Three batches that nobody answered; returns when the last one ended. */
static int64_t open_breaker(struct publisher *publisher, int64_t now_ms)
{
    static struct batch batch;

    for (int i = 0; i < 3; i++) {
        batch = batch_number(100);
        send_at(publisher, &batch, now_ms);
        publisher_tick(publisher, now_ms += STREAM_MS);
    }
    return now_ms;
}

TEST(a_frozen_server_opens_the_breaker_though_much_went_well_before)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch;
    int64_t now_ms;

    for (int i = 0; i < 20; i++) {
        batch = batch_number(1);
        send_at(publisher, &batch, start_ms);
        reply(publisher, nats.published[nats.count - 1].token, ACK);
    }
    now_ms = open_breaker(publisher, start_ms);

    assert_false(publisher_is_well(publisher));
    assert_int_equal(publisher_ask(publisher, true, now_ms), PUBLISHER_IS_AWAY);
    assert_int_equal(publisher_ask(publisher, false, now_ms), PUBLISHER_IS_AWAY);
}

TEST(one_batch_at_a_time_tries_it_again_and_three_close_the_breaker)
{
    enum { COOLDOWN_MS = 250 };
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch;
    int64_t now_ms = open_breaker(publisher, start_ms) + COOLDOWN_MS;

    for (int i = 0; i < 3; i++) {
        batch = batch_number(1);
        send_at(publisher, &batch, now_ms);
        assert_int_equal(publisher_ask(publisher, true, now_ms), PUBLISHER_IS_AWAY);
        publisher_replied(publisher, nats.published[nats.count - 1].token, ACK, strlen(ACK),
                          now_ms + 1);
    }
    assert_true(publisher_is_well(publisher));
    assert_int_equal(publisher_ask(publisher, true, now_ms + 1), PUBLISHER_TAKES);
}

TEST(a_trial_that_nobody_answers_ends_and_the_next_one_is_allowed)
{
    enum { COOLDOWN_MS = 8000 };
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);
    int64_t now_ms = open_breaker(publisher, start_ms) + COOLDOWN_MS;

    send_at(publisher, &batch, now_ms);
    publisher_tick(publisher, now_ms + STREAM_MS);
    assert_int_equal(publisher_ask(publisher, true, now_ms + STREAM_MS), PUBLISHER_IS_AWAY);
    assert_int_equal(publisher_ask(publisher, true, now_ms + STREAM_MS + COOLDOWN_MS),
                     PUBLISHER_TAKES);
}

TEST(a_leader_elected_ends_the_cooldown_once_what_went_to_none_has_ended)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    int64_t now_ms = open_breaker(publisher, start_ms);

    for (int i = 0; i < 6; i++) { /* each trial that fails doubles the cooldown */
        struct batch batch = batch_number(1);

        now_ms += 8000;
        send_at(publisher, &batch, now_ms);
        now_ms += STREAM_MS;
        publisher_tick(publisher, now_ms);
    }
    publisher_elected(publisher, now_ms);
    publisher_tick(publisher, now_ms + PERMIT_MS - 1);
    assert_int_equal(publisher_ask(publisher, true, now_ms + PERMIT_MS - 1), PUBLISHER_IS_AWAY);
    publisher_tick(publisher, now_ms + PERMIT_MS);
    assert_int_equal(publisher_ask(publisher, true, now_ms + PERMIT_MS), PUBLISHER_TAKES);
}

TEST(further_tries_are_paid_from_the_budget)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    send_at(publisher, &batch, start_ms);
    batch.stream_until_ms = start_ms + 100000;
    for (int64_t ms = 0; ms < 20000; ms += 20)
        publisher_tick(publisher, start_ms + ms);

    assert_int_equal(nats.count, 4); /* and three retries */
}

TEST(what_the_connection_never_takes_is_given_up_at_once)
{
    struct nats_loop nats = {.fail_with = ERROR_INVALID};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    send_at(publisher, &batch, start_ms);
    assert_int_equal(ended(&verdicts), 0);
    publisher_tick(publisher, start_ms + 1);
    assert_int_equal(verdicts.ends[PUBLISH_IMPOSSIBLE], 1);
}

TEST(a_missing_stream_is_reported_and_tried_again)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    send_at(publisher, &batch, start_ms);
    publisher_unheard(publisher);
    publisher_tick(publisher, start_ms + TRY_MS);
    publisher_tick(publisher, start_ms + TRY_MS + JITTER_MS);

    assert_int_equal(verdicts.missing, 1);
    assert_int_equal(nats.count, 2);
}

TESTS(RUN(a_batch_goes_out_under_its_number_and_is_stored_by_its_ack),
      RUN(after_silence_the_same_id_is_sent_again),
      RUN(after_an_explicit_refusal_another_id_is_sent), RUN(a_full_stream_is_no_reason_to_wait),
      RUN(the_deadline_ends_it_and_a_late_ack_settles_nobody_else),
      RUN(a_reply_that_is_no_ack_is_silence), RUN(a_lost_connection_gives_back_everything_at_once),
      RUN(a_stream_that_is_well_is_waited_for),
      RUN(a_frozen_server_opens_the_breaker_though_much_went_well_before),
      RUN(one_batch_at_a_time_tries_it_again_and_three_close_the_breaker),
      RUN(a_trial_that_nobody_answers_ends_and_the_next_one_is_allowed),
      RUN(a_leader_elected_ends_the_cooldown_once_what_went_to_none_has_ended),
      RUN(further_tries_are_paid_from_the_budget),
      RUN(what_the_connection_never_takes_is_given_up_at_once),
      RUN(a_missing_stream_is_reported_and_tried_again))
