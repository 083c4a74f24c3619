#include "check.h"

#include "base/auto.h"
#include "fake_nats_loop.h"
#include "publisher.h"

#include <string.h>

enum { TRY_MS = 300, DEADLINE_MS = 900, LOST_MS = 900, NOW_MS = 5000 };

#define ACK       "{\"stream\":\"ADS_0\",\"seq\":7}"
#define ID_PREFIX "0a000000000000000000000000000000.2.0."

static const uint8_t gateway_id[16] = {0x0a};

/* What the publisher told its owner. */
struct verdicts {
    int stored, unavailable, missing;
};

static void on_done(void *ctx, struct batch *batch, enum batch_outcome outcome)
{
    struct verdicts *verdicts = ctx;

    (void)batch;
    if (outcome == BATCH_STORED)
        verdicts->stored++;
    else
        verdicts->unavailable++;
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
        .lost_ms = LOST_MS,
        .on_stream_missing = on_missing,
        .ctx = verdicts,
    };
    struct error err;
    struct publisher *publisher = publisher_new(&options, nats, &err);

    assert_non_null(publisher);
    publisher_on_done(publisher, on_done, verdicts);
    publisher_connected(publisher, NOW_MS);
    return publisher;
}

static struct batch batch_number(uint64_t number)
{
    static uint8_t bytes[10];

    return (struct batch){.bytes = bytes,
                          .size_bytes = sizeof(bytes),
                          .count = 1,
                          .number = number,
                          .deadline_ms = NOW_MS + DEADLINE_MS};
}

static void reply(struct publisher *publisher, const char *token, const char *text)
{
    publisher_replied(publisher, token, text, strlen(text), NOW_MS + 1);
}

TEST(a_batch_goes_out_under_its_number_and_is_stored_by_its_ack)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(41);

    publisher_send(publisher, &batch, NOW_MS);
    assert_string_equal(nats.published[0].subject, "ads.events.0");
    assert_string_equal(nats.published[0].message_id, ID_PREFIX "41.0");
    assert_int_equal(nats.published[0].size_bytes, 10);
    assert_int_equal(verdicts.stored, 0);

    reply(publisher, nats.published[0].token, ACK);
    assert_int_equal(verdicts.stored, 1);
}

TEST(after_silence_the_same_id_is_sent_again)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    publisher_send(publisher, &batch, NOW_MS);
    publisher_tick(publisher, NOW_MS + TRY_MS - 1);
    assert_int_equal(nats.count, 1);
    publisher_tick(publisher, NOW_MS + TRY_MS);

    assert_int_equal(nats.count, 2);
    assert_string_equal(nats.published[1].message_id, nats.published[0].message_id);
    reply(publisher, nats.published[0].token, ACK);
    assert_int_equal(verdicts.stored, 1);
}

TEST(after_an_explicit_refusal_another_id_is_sent)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    publisher_send(publisher, &batch, NOW_MS);
    reply(publisher, nats.published[0].token,
          "{\"stream\":\"ADS_0\",\"seq\":0,\"duplicate\":true}");
    assert_int_equal(verdicts.stored + verdicts.unavailable, 0);
    publisher_tick(publisher, NOW_MS + 150);

    assert_int_equal(nats.count, 2);
    assert_string_equal(nats.published[1].message_id, ID_PREFIX "1.1");
}

TEST(a_full_stream_is_no_reason_to_wait)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    publisher_send(publisher, &batch, NOW_MS);
    reply(publisher, nats.published[0].token, "{\"error\":{\"code\":503,\"err_code\":10077}}");
    publisher_tick(publisher, NOW_MS + 20);

    assert_int_equal(verdicts.unavailable, 1);
}

TEST(the_deadline_ends_it_and_a_late_ack_settles_nobody_else)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1), next = batch_number(2);

    publisher_send(publisher, &batch, NOW_MS);
    publisher_tick(publisher, NOW_MS + DEADLINE_MS);
    assert_int_equal(verdicts.unavailable, 1);

    next.deadline_ms = NOW_MS + 2 * DEADLINE_MS;
    publisher_send(publisher, &next, NOW_MS + DEADLINE_MS);
    reply(publisher, nats.published[0].token, ACK);
    assert_int_equal(verdicts.stored, 0);
    reply(publisher, nats.published[nats.count - 1].token, ACK);
    assert_int_equal(verdicts.stored, 1);
}

TEST(a_reply_that_is_no_ack_is_silence)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    publisher_send(publisher, &batch, NOW_MS);
    reply(publisher, nats.published[0].token, "{\"stream\":\"OTHER\",\"seq\":7}");
    reply(publisher, "zz", ACK);
    reply(publisher, "99-1", ACK);
    reply(publisher, "0", ACK);
    reply(publisher, "0-1x", ACK);

    assert_int_equal(verdicts.stored + verdicts.unavailable, 0);
}

TEST(a_new_connection_sends_everything_again_at_once)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch first = batch_number(1), second = batch_number(2);

    publisher_send(publisher, &first, NOW_MS);
    publisher_send(publisher, &second, NOW_MS);
    publisher_disconnected(publisher, NOW_MS + 10);
    publisher_tick(publisher, NOW_MS + TRY_MS);
    assert_int_equal(nats.count, 2);
    publisher_connected(publisher, NOW_MS + TRY_MS + 10);

    assert_int_equal(nats.count, 4);
    assert_string_equal(nats.published[2].message_id, ID_PREFIX "1.0");
}

TEST(a_lost_connection_does_not_stretch_the_deadline)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    publisher_send(publisher, &batch, NOW_MS);
    for (int64_t at_ms = NOW_MS + 100; at_ms < NOW_MS + DEADLINE_MS; at_ms += 200) {
        publisher_disconnected(publisher, at_ms);
        publisher_tick(publisher, at_ms);
        publisher_connected(publisher, at_ms + 100);
    }
    assert_int_equal(nats.count, 5); /* once a connection */
    assert_int_equal(verdicts.unavailable, 0);
    publisher_disconnected(publisher, NOW_MS + DEADLINE_MS - 1);
    publisher_tick(publisher, NOW_MS + DEADLINE_MS);

    assert_int_equal(verdicts.unavailable, 1);
    publisher_connected(publisher, NOW_MS + DEADLINE_MS + 1);
    assert_int_equal(nats.count, 5);
}

TEST(only_a_long_silence_of_the_connection_is_a_loss)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);

    publisher_disconnected(publisher, NOW_MS);
    publisher_tick(publisher, NOW_MS + LOST_MS - 1);
    assert_false(publisher_is_lost(publisher));
    assert_false(publisher_is_up(publisher));
    publisher_tick(publisher, NOW_MS + LOST_MS);
    assert_true(publisher_is_lost(publisher));
    publisher_connected(publisher, NOW_MS + 2 * LOST_MS);
    assert_false(publisher_is_lost(publisher));
}

TEST(what_the_connection_never_takes_is_given_up_at_once)
{
    struct nats_loop nats = {.fail_with = ERROR_INVALID};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    publisher_send(publisher, &batch, NOW_MS);
    assert_int_equal(verdicts.unavailable, 0);
    publisher_tick(publisher, NOW_MS + 1);
    assert_int_equal(verdicts.unavailable, 1);
}

TEST(a_missing_stream_is_reported_and_tried_again)
{
    struct nats_loop nats = {0};
    struct verdicts verdicts = {0};
    AUTO(publisher_free) struct publisher *publisher = connected_publisher(&nats, &verdicts);
    struct batch batch = batch_number(1);

    publisher_send(publisher, &batch, NOW_MS);
    publisher_unheard(publisher);
    publisher_tick(publisher, NOW_MS + TRY_MS);

    assert_int_equal(verdicts.missing, 1);
    assert_int_equal(nats.count, 2);
}

TESTS(RUN(a_batch_goes_out_under_its_number_and_is_stored_by_its_ack),
      RUN(after_silence_the_same_id_is_sent_again),
      RUN(after_an_explicit_refusal_another_id_is_sent), RUN(a_full_stream_is_no_reason_to_wait),
      RUN(the_deadline_ends_it_and_a_late_ack_settles_nobody_else),
      RUN(a_reply_that_is_no_ack_is_silence), RUN(a_new_connection_sends_everything_again_at_once),
      RUN(a_lost_connection_does_not_stretch_the_deadline),
      RUN(only_a_long_silence_of_the_connection_is_a_loss),
      RUN(what_the_connection_never_takes_is_given_up_at_once),
      RUN(a_missing_stream_is_reported_and_tried_again))
