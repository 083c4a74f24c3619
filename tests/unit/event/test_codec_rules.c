/* Messages that break a rule: what costs one event, and what costs the whole message. */
#include "codec_messages.h"

#include "adledger/v1/events.pb-c.h"

/* An event as the generated code writes it, with room for each rule to be broken. */
struct forged {
    uint8_t id[EVENT_ID_SIZE + 1];
    char ad_id[EVENT_AD_ID_MAX + 2];
    uint8_t ip[17];
    Adledger__V1__Event event;
};

static void forge(struct forged *forged)
{
    *forged = (struct forged){.ad_id = "ad-001"};
    adledger__v1__event__init(&forged->event);
    event_id_make(at_ms, forged->id);
    forged->event.event_id = (ProtobufCBinaryData){.len = EVENT_ID_SIZE, .data = forged->id};
    forged->event.type = ADLEDGER__V1__EVENT_TYPE__EVENT_TYPE_CLICK;
    forged->event.ad_id = forged->ad_id;
    forged->event.event_at_ms = at_ms;
    forged->event.received_at_ms = at_ms;
    forged->event.ip = (ProtobufCBinaryData){.len = 0, .data = forged->ip};
}

static void break_id_short(struct forged *forged)
{
    forged->event.event_id.len = 15;
}

static void break_id_long(struct forged *forged)
{
    forged->event.event_id.len = 17;
}

static void break_id_version(struct forged *forged)
{
    forged->id[6] = 0x4f;
}

static void break_id_variant(struct forged *forged)
{
    forged->id[8] = 0x10;
}

static void break_id_time(struct forged *forged)
{
    forged->id[0] = 0xff;
}

static void break_type_missing(struct forged *forged)
{
    forged->event.type = ADLEDGER__V1__EVENT_TYPE__EVENT_TYPE_UNSPECIFIED;
}

static void break_type_unknown(struct forged *forged)
{
    forged->event.type = (Adledger__V1__EventType)EVENT_TYPE_COUNT;
}

static void break_type_negative(struct forged *forged)
{
    forged->event.type = (Adledger__V1__EventType)-1;
}

static void break_ad_id_empty(struct forged *forged)
{
    forged->ad_id[0] = '\0';
}

static void break_ad_id_byte(struct forged *forged)
{
    forged->ad_id[2] = '/';
}

static void break_ad_id_long(struct forged *forged)
{
    memset(forged->ad_id, 'a', EVENT_AD_ID_MAX + 1);
}

static void break_event_time_negative(struct forged *forged)
{
    forged->event.event_at_ms = -1;
}

static void break_event_time_late(struct forged *forged)
{
    forged->event.event_at_ms = EVENT_AT_MS_MAX + 1;
}

static void break_received_negative(struct forged *forged)
{
    forged->event.received_at_ms = -1;
}

static void break_received_late(struct forged *forged)
{
    forged->event.received_at_ms = EVENT_AT_MS_MAX + 1;
}

static void break_ip_short(struct forged *forged)
{
    forged->event.ip.len = 3;
}

static void break_ip_long(struct forged *forged)
{
    forged->event.ip.len = 17;
}

static void break_playback(struct forged *forged)
{
    forged->event.playback_ms_plus_one = CODEC_PLAYBACK_MAX_MS + 2;
}

static void break_reason(struct forged *forged)
{
    forged->event.invalid_reason = (Adledger__V1__InvalidReason)EVENT_REASON_COUNT;
}

static void break_flags(struct forged *forged)
{
    forged->event.flags = UINT32_C(0x80000000);
}

static void break_nothing(struct forged *forged)
{
    (void)forged;
}

static void append_forged(struct message *message, const struct forged *forged)
{
    uint8_t *at = message->bytes + message->size;
    size_t size = adledger__v1__event__get_packed_size(&forged->event);

    /* Field 16 with wire type 2, then a size of up to two bytes. */
    *at++ = 0x82;
    *at++ = 0x01;
    *at++ = (uint8_t)((size & 0x7f) | 0x80);
    *at++ = (uint8_t)(size >> 7);
    (void)adledger__v1__event__pack(&forged->event, at);
    message->size += 4 + size;
}

static const struct {
    void (*break_rule)(struct forged *forged);
    const char *why;
} rules[] = {
    {break_id_short, "event_id is no UUID of version 7 or 8"},
    {break_id_long, "event_id is no UUID of version 7 or 8"},
    {break_id_version, "event_id is no UUID of version 7 or 8"},
    {break_id_variant, "event_id is no UUID of version 7 or 8"},
    {break_id_time, "event_id's time is out of range"},
    {break_type_missing, "type is not known"},
    {break_type_unknown, "type is not known"},
    {break_type_negative, "type is not known"},
    {break_ad_id_empty, "ad_id is not valid"},
    {break_ad_id_byte, "ad_id is not valid"},
    {break_ad_id_long, "ad_id is not valid"},
    {break_event_time_negative, "event_at_ms is out of range"},
    {break_event_time_late, "event_at_ms is out of range"},
    {break_received_negative, "received_at_ms is out of range"},
    {break_received_late, "received_at_ms is out of range"},
    {break_ip_short, "ip is no address"},
    {break_ip_long, "ip is no address"},
    {break_playback, "playback_ms_plus_one is out of range"},
    {break_reason, "invalid_reason is not known"},
    {break_flags, "flags are out of range"},
    {break_nothing, ""},
};

/* The forged event between two good ones. */
static void check_forged(void (*break_rule)(struct forged *forged), const char *why,
                         struct error *err)
{
    const struct codec_header header = good_header();
    const struct event good = full_event();
    struct codec_header read;
    struct forged forged;
    static struct message message;
    struct seen seen = {0};

    message.size = 0;
    forge(&forged);
    break_rule(&forged);
    append_event(&message, &good);
    append_forged(&message, &forged);
    append_event(&message, &good);
    append_header(&message, &header);
    assert_ok(codec_read_batch(message.bytes, message.size, &read, on_event, &seen, err));
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.whys[0], "");
    assert_string_equal(seen.whys[1], why);
    assert_string_equal(seen.whys[2], "");
}

TEST(an_event_that_breaks_a_rule_costs_itself_and_says_why)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        check_forged(rules[i].break_rule, rules[i].why, err);
}

TEST(an_event_that_is_no_protobuf_costs_itself)
{
    static const uint8_t many_unknown[1024] = {[0] = 0x58}; /* zero bytes are no valid tags */
    static uint8_t too_long[1025];
    struct codec_header header = good_header();
    struct codec_header read;
    static struct message message;
    struct seen seen = {0};

    for (size_t i = 0; i < sizeof(too_long); i += 2)
        too_long[i] = 0x58; /* field 11 as a varint, again and again */
    message.size = 0;
    append_raw(&message, "", 0);
    append_raw(&message, "\xff\xff\xff", 3);
    append_raw(&message, "\x0a\x10pad", 5); /* an id cut short */
    append_raw(&message, many_unknown, sizeof(many_unknown));
    append_raw(&message, too_long, sizeof(too_long));
    append_header(&message, &header);
    assert_ok(codec_read_batch(message.bytes, message.size, &read, on_event, &seen, err));
    assert_int_equal(seen.count, 5);
    assert_string_equal(seen.whys[0], "event_id is no UUID of version 7 or 8");
    assert_string_equal(seen.whys[1], "the event is no protobuf");
    assert_string_equal(seen.whys[2], "the event is no protobuf");
    assert_string_equal(seen.whys[3], "the event is no protobuf");
    assert_string_equal(seen.whys[4], "the event is too long");
}

TEST(a_nul_in_an_ad_id_does_not_hide_what_follows)
{
    struct event event = least_event();
    struct codec_header header = good_header();
    struct codec_header read;
    static struct message message;
    struct seen seen = {0};

    event.ad_id_size = 3;
    memcpy(event.ad_id, "a\0b", 3);
    message.size = 0;
    append_event(&message, &event);
    append_header(&message, &header);
    assert_ok(codec_read_batch(message.bytes, message.size, &read, on_event, &seen, err));
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.whys[0], "ad_id is not valid");
}

TEST(a_batch_that_is_cut_short_anywhere_has_no_events)
{
    struct event event = full_event();
    struct codec_header header = good_header();
    static struct message message;

    message.size = 0;
    append_header(&message, &header);
    size_t header_size = message.size;
    append_event(&message, &event);
    for (size_t size = 0; size < message.size; size++) {
        struct codec_header read;
        struct seen seen = {0};

        /* Without the last field the header alone is a batch of no events. */
        if (size == header_size)
            continue;
        /* proto3 cannot tell a header that lost its last counters from one in which they are 0. */
        if (codec_read_batch(message.bytes, size, &read, on_event, &seen, err))
            assert_true(size < header_size);
        assert_int_equal(seen.count, 0);
    }
}

static void check_refused(const uint8_t *bytes, size_t size, struct error *err)
{
    struct codec_header read;
    struct seen seen = {0};

    assert_fails(ERROR_INVALID, codec_read_batch(bytes, size, &read, on_event, &seen, err));
    assert_int_equal(seen.count, 0);
}

TEST(a_header_that_breaks_a_rule_is_refused)
{
    struct codec_header broken[6];

    for (size_t i = 0; i < 6; i++)
        broken[i] = good_header();
    broken[0].batch_no = 0;
    broken[1].batch_no = (uint64_t)INT64_MAX + 1;
    broken[2].sent_at_ms = -1;
    broken[3].sent_at_ms = EVENT_AT_MS_MAX + 1;
    broken[4].accepted = UINT64_MAX;
    broken[5].thread = UINT32_MAX;
    for (size_t i = 0; i < 6; i++) {
        static struct message message;

        message.size = 0;
        append_header(&message, &broken[i]);
        check_refused(message.bytes, message.size, err);
    }
}

TEST(what_is_no_batch_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } rows[] = {
        {"", 0},
        {"hello", 5},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12}, /* a varint without end */
        {"\x00\x00", 2},                                          /* field 0 */
        {"\x82\x01\x05x", 4},                                     /* an event cut short */
        {"\x80\x01\x05", 3},                                      /* an event as a varint */
        {"\x0a\x0f"
         "0123456789abcde",
         17},            /* a gateway_id of 15 bytes */
        {"\x0b\x0c", 2}, /* a group */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_refused((const uint8_t *)rows[i].bytes, rows[i].size, err);
}

TESTS(RUN(an_event_that_breaks_a_rule_costs_itself_and_says_why),
      RUN(an_event_that_is_no_protobuf_costs_itself),
      RUN(a_nul_in_an_ad_id_does_not_hide_what_follows),
      RUN(a_batch_that_is_cut_short_anywhere_has_no_events),
      RUN(a_header_that_breaks_a_rule_is_refused), RUN(what_is_no_batch_is_refused))
