/* The hand-written side of the codec against the code that protobuf-c generates from the proto. */
#include "codec_messages.h"

#include "adledger/v1/events.pb-c.h"

TEST(reads_back_what_it_wrote)
{
    struct event events[] = {full_event(), least_event()};
    struct codec_header header = good_header();
    struct codec_header read = {0};
    static struct message message;
    struct seen seen = {0};

    message.size = 0;
    append_event(&message, &events[0]);
    append_event(&message, &events[1]);
    append_header(&message, &header);
    assert_ok(codec_read_batch(message.bytes, message.size, &read, on_event, &seen, err));

    assert_memory_equal(read.gateway_id, header.gateway_id, sizeof(header.gateway_id));
    assert_int_equal(read.thread, 3);
    assert_int_equal(read.partition, 2);
    assert_int_equal(read.batch_no, 77);
    assert_int_equal(read.sent_at_ms, at_ms);
    assert_int_equal(read.settled_below, 76);
    assert_int_equal(read.accepted, 12345);
    assert_int_equal(read.spooled.count, 2);
    assert_memory_equal(read.spooled.rows, header.spooled.rows, 2 * sizeof(struct codec_range));
    assert_int_equal(read.abandoned.count, 1);
    assert_memory_equal(read.abandoned.rows, header.abandoned.rows, sizeof(struct codec_range));
    assert_int_equal(seen.count, 2);
    assert_same_event(&seen.events[0], &events[0]);
    assert_same_event(&seen.events[1], &events[1]);
}

TEST(generated_code_reads_what_we_write)
{
    struct event event = full_event();
    struct codec_header header = good_header();
    static struct message message;

    message.size = 0;
    append_event(&message, &event);
    append_header(&message, &header);
    Adledger__V1__EventBatch *batch =
        adledger__v1__event_batch__unpack(NULL, message.size, message.bytes);
    assert_non_null(batch);
    assert_int_equal(batch->n_events, 1);
    assert_int_equal(batch->batch_no, 77);
    assert_int_equal(batch->accepted, 12345);
    assert_int_equal(batch->n_spooled, 2);
    assert_int_equal(batch->spooled[0]->last, 9);
    assert_int_equal(batch->abandoned[0]->first, 71);

    const Adledger__V1__Event *read = batch->events[0];
    assert_memory_equal(read->event_id.data, event.id, EVENT_ID_SIZE);
    assert_int_equal(read->type, ADLEDGER__V1__EVENT_TYPE__EVENT_TYPE_THIRD_QUARTILE);
    assert_string_equal(read->ad_id, "ad-001");
    assert_int_equal(read->event_at_ms, at_ms - 5);
    assert_int_equal(read->received_at_ms, at_ms);
    assert_int_equal(read->ip.len, 16);
    assert_true(read->visitor == event.visitor);
    assert_int_equal(read->playback_ms_plus_one, 15701);
    assert_int_equal(read->invalid_reason,
                     ADLEDGER__V1__INVALID_REASON__INVALID_REASON_DOUBLE_CLICK);
    assert_int_equal(read->flags, 5);

    /* Packed again, the generated code writes the very same bytes, but for the fields' order. */
    assert_int_equal(adledger__v1__event_batch__get_packed_size(batch), message.size);
    adledger__v1__event_batch__free_unpacked(batch, NULL);
}

TEST(a_range_that_is_none_makes_the_header_invalid)
{
    const struct codec_range bad[] = {{0, 3, 1}, {4, 3, 1}, {1, UINT64_MAX, 1}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct codec_header header = good_header();
        struct codec_header read = {0};
        static struct message message;
        struct seen seen = {0};

        header.spooled.rows[1] = bad[i];
        message.size = 0;
        append_header(&message, &header);
        assert_fails(ERROR_INVALID,
                     codec_read_batch(message.bytes, message.size, &read, on_event, &seen, err));
    }
}

TEST(the_codes_of_the_proto_are_ours)
{
    assert_int_equal(EVENT_CLICK, ADLEDGER__V1__EVENT_TYPE__EVENT_TYPE_CLICK);
    assert_int_equal(EVENT_SKIP, ADLEDGER__V1__EVENT_TYPE__EVENT_TYPE_SKIP);
    assert_int_equal(EVENT_CRAWLER, ADLEDGER__V1__INVALID_REASON__INVALID_REASON_CRAWLER);
    assert_int_equal(EVENT_DOUBLE_CLICK, ADLEDGER__V1__INVALID_REASON__INVALID_REASON_DOUBLE_CLICK);
    assert_int_equal(EVENT_CLIENT_TIME, ADLEDGER__V1__EVENT_FLAG__EVENT_FLAG_CLIENT_TIME);
    assert_int_equal(EVENT_CLOCK_SKEW, ADLEDGER__V1__EVENT_FLAG__EVENT_FLAG_CLOCK_SKEW);
    assert_int_equal(EVENT_AD_UNRESOLVED, ADLEDGER__V1__EVENT_FLAG__EVENT_FLAG_AD_UNRESOLVED);
}

/* Writes the bare event, without the batch's tag and size. */
static size_t bare_event(const struct event *event, uint8_t *out)
{
    uint8_t field[CODEC_EVENT_MAX];
    size_t size = codec_append_event(field, event);
    size_t head = field[2] < 0x80 ? 3 : 4;

    memcpy(out, field + head, size - head);
    return size - head;
}

TEST(fields_of_a_later_version_are_ignored_up_to_the_limit_of_an_event)
{
    struct event event = least_event();
    struct codec_header header = good_header();
    struct codec_header read;
    uint8_t bytes[1024];
    static struct message message;
    struct seen seen = {0};
    size_t size = bare_event(&event, bytes);

    for (; size + 2 <= sizeof(bytes); size += 2) {
        bytes[size] = 0x58; /* field 11 as a varint: the shortest field there is */
        bytes[size + 1] = 0x01;
    }
    message.size = 0;
    append_raw(&message, bytes, size);
    append_header(&message, &header);
    memcpy(message.bytes + message.size, "\xa2\x06\x03new", 6); /* field 100 of the batch */
    message.size += 6;
    assert_ok(codec_read_batch(message.bytes, message.size, &read, on_event, &seen, err));
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.whys[0], "");
    assert_same_event(&seen.events[0], &event);
}

TEST(a_reader_may_stop_within_a_batch)
{
    struct event event = least_event();
    struct codec_header header = good_header();
    struct codec_header read;
    static struct message message;
    struct seen seen = {.stop_at = 2};

    message.size = 0;
    for (int i = 0; i < 4; i++)
        append_event(&message, &event);
    append_header(&message, &header);
    assert_fails(ERROR_LIMIT,
                 codec_read_batch(message.bytes, message.size, &read, on_event, &seen, err));
    assert_int_equal(seen.count, 2);
}

TEST(finds_the_bytes_of_one_event_so_that_they_can_be_sent_again)
{
    struct event events[] = {full_event(), least_event()};
    struct codec_header header = good_header();
    const uint8_t *found = NULL;
    size_t size = 0;
    static struct message message;
    static struct message again;
    struct codec_header read;
    struct seen seen = {0};

    message.size = 0;
    again.size = 0;
    append_event(&message, &events[0]);
    append_event(&message, &events[1]);
    append_header(&message, &header);
    assert_true(codec_find_event(message.bytes, message.size, 1, &found, &size));
    append_header(&again, &header);
    memcpy(again.bytes + again.size, found, size);
    again.size += size;
    assert_ok(codec_read_batch(again.bytes, again.size, &read, on_event, &seen, err));
    assert_int_equal(seen.count, 1);
    assert_same_event(&seen.events[0], &events[1]);
    assert_false(codec_find_event(message.bytes, message.size, 2, &found, &size));
}

TEST(the_longest_event_and_header_stay_within_their_bounds)
{
    struct event event = full_event();
    struct codec_header header;
    uint8_t bytes[1024];

    memset(&header, 0xff, sizeof(header));
    header.spooled.count = header.abandoned.count = CODEC_RANGES_MAX;
    memset(event.ad_id, 'a', EVENT_AD_ID_MAX);
    event.ad_id_size = EVENT_AD_ID_MAX;
    event.event_at_ms = -1; /* ten bytes, more than any valid time */
    event.received_at_ms = -1;
    event.flags = UINT32_MAX;
    event.playback_ms = CODEC_PLAYBACK_MAX_MS;
    assert_true(codec_append_event(bytes, &event) <= CODEC_EVENT_MAX);
    assert_true(codec_append_header(bytes, &header) <= CODEC_HEADER_MAX);
}

TESTS(RUN(reads_back_what_it_wrote), RUN(generated_code_reads_what_we_write),
      RUN(a_range_that_is_none_makes_the_header_invalid), RUN(the_codes_of_the_proto_are_ours),
      RUN(fields_of_a_later_version_are_ignored_up_to_the_limit_of_an_event),
      RUN(a_reader_may_stop_within_a_batch),
      RUN(finds_the_bytes_of_one_event_so_that_they_can_be_sent_again),
      RUN(the_longest_event_and_header_stay_within_their_bounds))
