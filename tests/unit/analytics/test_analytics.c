/*
 * The step over a fake stream and a fake Redis: the fakes stand in for clients/reader.h,
 * clients/redis.h and changes.h, and are linked in their place.
 */
#include "check.h"

#include "analytics.h"
#include "base/auto.h"
#include "changes.h"
#include "clients/reader.h"
#include "clients/redis.h"
#include "event/codec.h"
#include "event/event_id.h"
#include "meters.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGES_MAX = 8, EVENTS_MAX = 4 };

/* ---- the world that the fakes show ---- */

static struct {
    /* the stream */
    struct reader_message messages[MESSAGES_MAX];
    uint8_t bytes[MESSAGES_MAX][EVENTS_MAX * CODEC_EVENT_MAX + CODEC_HEADER_MAX];
    size_t message_count;
    uint64_t rewound_to, advanced_to;
    int rewinds;
    /* Redis */
    bool has_position;
    struct position position;
    enum error_kind fail_with;
    int64_t listed, total; /* clicks in the list, clicks counted */
    int runs;
} world;

static struct metrics *metrics;

static void put_message(uint64_t seq, uint8_t first_id, uint8_t event_count)
{
    const struct codec_header header = {.sent_at_ms = 1772409500000, .batch_no = seq};
    uint8_t *bytes = world.bytes[world.message_count];
    size_t size = 0;

    for (uint8_t i = 0; i < event_count; i++) {
        struct event event = {.type = EVENT_CLICK,
                              .ad_id = "a",
                              .ad_id_size = 1,
                              .event_at_ms = 1772409500000,
                              .received_at_ms = 1772409500000,
                              .playback_ms = EVENT_PLAYBACK_ABSENT};

        event_id_from_foreign((const uint8_t[EVENT_ID_SIZE]){(uint8_t)(first_id + i)},
                              event.event_at_ms, event.id);
        size += codec_append_event(bytes + size, &event);
    }
    size += codec_append_header(bytes + size, &header);
    world.messages[world.message_count++] = (struct reader_message){
        .seq = seq, .stored_at_ms = 1772409500000, .bytes = bytes, .size_bytes = size};
}

bool reader_fetch(struct reader *reader, int wait_ms, int linger_ms,
                  const struct reader_message **out_messages, size_t *out_count, struct error *err)
{
    size_t first = 0;

    (void)reader;
    (void)wait_ms;
    (void)linger_ms;
    (void)err;
    while (first < world.message_count && world.messages[first].seq <= world.rewound_to)
        first++;
    *out_messages = world.messages + first;
    *out_count = world.message_count - first;
    return true;
}

void reader_rewind(struct reader *reader, uint64_t position)
{
    (void)reader;
    world.rewound_to = position;
    world.rewinds++;
}

void reader_advance(struct reader *reader, uint64_t position)
{
    (void)reader;
    world.advanced_to = world.rewound_to = position;
}

uint64_t reader_pending(const struct reader *reader)
{
    (void)reader;
    return 0;
}

int64_t reader_drained_at_ms(const struct reader *reader)
{
    (void)reader;
    return INT64_C(1772409500000);
}

bool redis_text(struct redis *redis, redisReply **out_reply, struct error *err, const char *format,
                ...)
{
    redisReply *reply = calloc(1, sizeof(*reply));
    char text[POSITION_SIZE];

    (void)redis;
    (void)err;
    assert_non_null(reply);
    reply->type =
        world.has_position && strncmp(format, "GET", 3) == 0 ? REDIS_REPLY_STRING : REDIS_REPLY_NIL;
    position_format(world.position, text);
    reply->str = strdup(text);
    *out_reply = reply;
    return true;
}

void redis_reply_free(redisReply **reply)
{
    if (*reply != NULL)
        free((*reply)->str);
    free(*reply);
    *reply = NULL;
}

struct changes *changes_new(uint32_t partition, size_t keys_max)
{
    (void)partition;
    (void)keys_max;
    return malloc(1);
}

void changes_free(struct changes **changes)
{
    free(*changes);
    *changes = NULL;
}

void changes_forget(struct changes *changes)
{
    (void)changes;
}

void changes_reset(struct changes *changes, int64_t at_s)
{
    (void)changes;
    (void)at_s;
    world.listed = 0;
}

void changes_add_bucket(struct changes *changes, const char *ad_id, const char *series,
                        enum bucket_size size, int64_t second, int64_t amount)
{
    (void)changes;
    (void)ad_id;
    (void)series;
    (void)size;
    (void)second;
    (void)amount;
}

void changes_add_total(struct changes *changes, const char *ad_id, const char *series,
                       int64_t amount)
{
    (void)changes;
    (void)ad_id;
    (void)series;
    world.listed += amount;
}

void changes_set_last(struct changes *changes, const char *ad_id, int64_t quarter, uint64_t seq)
{
    (void)changes;
    (void)ad_id;
    (void)quarter;
    (void)seq;
}

void changes_add_visitors(struct changes *changes, const char *ad_id,
                          enum bucket_visitors_unit unit, int64_t number, const uint64_t *visitors,
                          size_t count)
{
    (void)changes;
    (void)ad_id;
    (void)unit;
    (void)number;
    (void)visitors;
    (void)count;
}

bool changes_run(struct changes *changes, struct redis *redis, const struct changes_guard *guard,
                 struct changes_result *out, struct error *err)
{
    char stored[POSITION_SIZE];

    (void)changes;
    (void)redis;
    world.runs++;
    *out = (struct changes_result){.has_position = world.has_position, .position = world.position};
    position_format(world.position, stored);
    out->is_lost = !world.has_position || strcmp(guard->expected, stored) != 0;
    if (world.fail_with != ERROR_UNAVAILABLE && !out->is_lost) {
        world.position = *guard->next_position;
        world.total += world.listed;
    }
    if (world.fail_with == ERROR_NONE)
        return true;
    return error_set(err, world.fail_with, "redis: cut off");
}

/* ---- the tests ---- */

static struct analytics *analytics_at(uint64_t seq, struct error *err)
{
    struct analytics_options options = {
        .fold_entries_max = 1, .recent_ids_max = 100, .fold_wait_ms = 250, .seed = 1};
    struct analytics *analytics = NULL;

    memset(&world, 0, sizeof(world));
    world.has_position = true;
    world.position.seq = seq;
    if (metrics == NULL)
        metrics = meters_new(1);
    options.metrics = metrics;
    analytics = analytics_new(&options, err);
    assert_non_null(analytics);
    return analytics;
}

TEST(counts_what_was_fetched_and_moves_the_position)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    put_message(11, 1, 2);
    put_message(12, 3, 3);
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.total, 5);
    assert_int_equal(world.position.seq, 12);
    assert_int_equal(world.advanced_to, 12);
}

TEST(a_message_without_events_moves_the_position_and_counts_nothing)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    put_message(11, 1, 0);
    put_message(12, 1, 2);
    put_message(13, 3, 0);
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.total, 2);
    assert_int_equal(world.position.seq, 13);
    assert_int_equal(world.advanced_to, 13);
}

TEST(messages_up_to_the_position_only_teach_the_filter)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(11, err);

    put_message(10, 1, 2);
    put_message(11, 3, 1);
    put_message(12, 2, 3); /* ids 2 and 3 are known, 4 is new */
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.total, 1);
    assert_int_equal(world.position.seq, 12);
}

TEST(reads_again_from_the_stored_position_when_another_process_has_moved_it)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    put_message(11, 1, 1);
    assert_ok(analytics_step(analytics, err));
    world.position.seq = 12; /* the other one has counted message 12 */
    put_message(12, 2, 1);
    put_message(13, 3, 1);
    assert_fails(ERROR_UNAVAILABLE, analytics_step(analytics, err));
    assert_int_equal(world.total, 1);
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.total, 2);
    assert_int_equal(world.position.seq, 13);
    assert_int_equal(world.rewinds, 2);
}

TEST(counts_once_when_the_answer_of_a_call_that_took_effect_is_lost)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    put_message(11, 1, 3);
    world.fail_with = ERROR_UNCERTAIN;
    assert_fails(ERROR_UNCERTAIN, analytics_step(analytics, err));
    world.fail_with = ERROR_NONE;
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.total, 3);
}

TEST(counts_again_what_a_failed_call_did_not_count)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    put_message(11, 1, 3);
    world.fail_with = ERROR_UNAVAILABLE;
    assert_fails(ERROR_UNAVAILABLE, analytics_step(analytics, err));
    world.fail_with = ERROR_NONE;
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.total, 3);
    assert_int_equal(world.position.seq, 11);
}

TEST(a_message_too_large_for_one_call_is_counted_in_parts)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    put_message(11, 1, 4); /* the fold takes one event a call */
    put_message(12, 5, 1);
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.runs, 5);
    assert_int_equal(world.total, 5);
    assert_int_equal(world.position.seq, 12);
    assert_int_equal(world.position.part, 0);
}

TEST(goes_on_in_the_middle_of_a_message_after_a_restart)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    world.position.part = 3;
    put_message(11, 1, 4);
    put_message(12, 2, 1); /* a duplicate of an event that was counted before the restart */
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.total, 1);
    assert_int_equal(world.position.seq, 12);
}

TEST(a_part_belongs_to_no_other_message)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    world.position.part = 3; /* of message 11, which is gone */
    put_message(12, 1, 4);
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.total, 4);
    assert_int_equal(world.position.seq, 12);
}

TEST(waits_while_redis_holds_no_position)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    world.has_position = false;
    put_message(11, 1, 1);
    assert_fails(ERROR_UNAVAILABLE, analytics_step(analytics, err));

    assert_true(analytics_is_waiting(analytics));
    assert_int_equal(world.runs, 0);
}

TEST(an_unreadable_message_costs_only_itself)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    put_message(11, 1, 1);
    put_message(12, 2, 1);
    put_message(13, 3, 1);
    memset(world.bytes[1], 0xff, world.messages[1].size_bytes);
    assert_ok(analytics_step(analytics, err));

    assert_int_equal(world.total, 2);
    assert_int_equal(world.position.seq, 13);
}

TEST(what_is_told_of_a_partition_goes_with_its_lease)
{
    AUTO(analytics_free) struct analytics *analytics = analytics_at(10, err);

    put_message(11, 1, 1);
    assert_ok(analytics_step(analytics, err));
    assert_int_not_equal(metrics_count(metrics, METRIC_reader_clock_skew_seconds, 0), 0);

    analytics_release(analytics);
    assert_int_equal(metrics_count(metrics, METRIC_reader_clock_skew_seconds, 0), 0);
}

TESTS(RUN(counts_what_was_fetched_and_moves_the_position),
      RUN(a_message_without_events_moves_the_position_and_counts_nothing),
      RUN(messages_up_to_the_position_only_teach_the_filter),
      RUN(reads_again_from_the_stored_position_when_another_process_has_moved_it),
      RUN(counts_once_when_the_answer_of_a_call_that_took_effect_is_lost),
      RUN(counts_again_what_a_failed_call_did_not_count),
      RUN(a_message_too_large_for_one_call_is_counted_in_parts),
      RUN(goes_on_in_the_middle_of_a_message_after_a_restart),
      RUN(a_part_belongs_to_no_other_message), RUN(waits_while_redis_holds_no_position),
      RUN(an_unreadable_message_costs_only_itself),
      RUN(what_is_told_of_a_partition_goes_with_its_lease))
