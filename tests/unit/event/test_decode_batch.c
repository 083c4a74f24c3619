#include "decoding.h"

enum { ELEMENTS_MAX = 16 };

struct batch {
    struct decode_context context;
    size_t events_max;
    bool ok;
    struct faults faults;
    size_t count;
    size_t good;
    struct decoded decoded[ELEMENTS_MAX];
    enum fault_code codes[ELEMENTS_MAX]; /* FAULT_COUNT for a good one */
};

static void on_element(void *ctx, size_t index, const struct decoded *decoded,
                       const struct faults *faults)
{
    struct batch *batch = ctx;

    assert_int_equal(index, batch->count);
    assert_true(index < ELEMENTS_MAX);
    assert_true((decoded == NULL) == (faults != NULL));
    batch->codes[index] = faults != NULL ? faults->rows[0].code : FAULT_COUNT;
    if (decoded != NULL) {
        batch->decoded[index] = *decoded;
        batch->good++;
    }
    batch->count++;
}

static struct batch open_batch(void)
{
    struct decoding one = a_click();
    struct batch batch = {.context = one.context, .events_max = 4};

    batch.context.type = EVENT_UNSPECIFIED;
    return batch;
}

static void run(struct batch *batch, const char *body, size_t size_bytes, bool is_ndjson)
{
    struct decoder *decoder = decoder_new();

    assert_non_null(decoder);
    batch->ok = decode_batch(decoder, body, size_bytes, is_ndjson, batch->events_max,
                             &batch->context, &batch->faults, on_element, batch);
    decoder_free(&decoder);
    if (!batch->ok)
        assert_int_equal(batch->count, 0);
}

static struct batch decode_array(const char *body)
{
    struct batch batch = open_batch();

    run(&batch, body, strlen(body), false);
    return batch;
}

static struct batch decode_lines(const char *body)
{
    struct batch batch = open_batch();

    run(&batch, body, strlen(body), true);
    return batch;
}

TEST(an_array_is_decoded_element_by_element)
{
    struct batch batch = decode_array(" [ {\"type\":\"click\",\"ad_id\":1} ,\n"
                                      "{\"type\":\"complete\",\"adId\":\"b\"}\t,"
                                      "{\"ad_id\":\"\\u0063\",\"type\":\"skip\",\"x\":[1,{}]}]\n");

    assert_true(batch.ok);
    assert_int_equal(batch.good, 3);
    assert_string_equal(batch.decoded[0].event.ad_id, "1");
    assert_int_equal(batch.decoded[0].event.type, EVENT_CLICK);
    assert_string_equal(batch.decoded[1].event.ad_id, "b");
    assert_int_equal(batch.decoded[1].event.type, EVENT_COMPLETE);
    assert_string_equal(batch.decoded[2].event.ad_id, "c");
    assert_int_equal(batch.decoded[2].event.type, EVENT_SKIP);
    assert_memory_not_equal(batch.decoded[0].event.id, batch.decoded[1].event.id, EVENT_ID_SIZE);
}

TEST(ndjson_is_decoded_line_by_line_and_blank_lines_do_not_count)
{
    struct batch batch = decode_lines("\n{\"type\":\"click\",\"ad_id\":1}\r\n\r\n  \t\n"
                                      " {\"type\":\"start\",\"ad_id\":2} \n"
                                      "{\"type\":\"midpoint\",\"ad_id\":3}");

    assert_true(batch.ok);
    assert_int_equal(batch.good, 3);
    assert_string_equal(batch.decoded[2].event.ad_id, "3");
}

TEST(one_bad_element_costs_only_itself)
{
    struct batch batch = decode_array("[{\"type\":\"click\",\"ad_id\":\"/\"},{\"ad_id\":2},"
                                      "{\"type\":\"click\",\"ad_id\":3},7]");

    assert_true(batch.ok);
    assert_int_equal(batch.count, 4);
    assert_int_equal(batch.codes[0], FAULT_INVALID_AD_ID);
    assert_int_equal(batch.codes[1], FAULT_MISSING_FIELD);
    assert_int_equal(batch.codes[2], FAULT_COUNT);
    assert_int_equal(batch.codes[3], FAULT_INVALID_JSON);
}

TEST(a_duplicate_key_costs_its_own_element)
{
    struct batch batch = decode_array("[{\"type\":\"click\",\"ad_id\":1,\"ad_id\":1},"
                                      "{\"type\":\"click\",\"ad_id\":2}]");

    assert_true(batch.ok);
    assert_int_equal(batch.codes[0], FAULT_INVALID_JSON);
    assert_int_equal(batch.codes[1], FAULT_COUNT);
}

TEST(a_line_that_is_no_json_costs_only_itself)
{
    struct batch batch = decode_lines("{\"type\":\"click\",\"ad_id\":1}\n"
                                      "{\"type\":\"click\",\n"
                                      "[]\n"
                                      "{\"type\":\"click\",\"ad_id\":4}\n");

    assert_true(batch.ok);
    assert_int_equal(batch.count, 4);
    assert_int_equal(batch.codes[0], FAULT_COUNT);
    assert_int_equal(batch.codes[1], FAULT_INVALID_JSON);
    assert_int_equal(batch.codes[2], FAULT_INVALID_JSON);
    assert_int_equal(batch.codes[3], FAULT_COUNT);
}

TEST(a_body_that_is_no_json_array_is_refused_whole)
{
    static const char *const bad[] = {
        "",
        "  ",
        "{\"type\":\"click\",\"ad_id\":1}",
        "1",
        "null",
        "[",
        "[{\"type\":\"click\",\"ad_id\":1}",
        "[{\"type\":\"click\",\"ad_id\":1},",
        "[{\"type\":\"click\",\"ad_id\":1},]",
        "[,{\"type\":\"click\",\"ad_id\":1}]",
        "[{\"type\":\"click\",\"ad_id\":1},,{}]",
        "[{\"type\":\"click\",\"ad_id\":1}{}]",
        "[{\"type\":\"click\",\"ad_id\":1}]x",
        "[{\"type\":\"click\",\"ad_id\":1}][]",
        "[{\"type\":\"click\",\"ad_id\":1},{\"ad_id\":01}]",
        "[{\"type\":\"click\",\"ad_id\":1},{\"ad_id\":\"\xff\"}]",
        "[{\"type\":\"click\",\"ad_id\":1}}]",
        "[{\"type\":\"click\",\"ad_id\":1]}",
        "[1}",
        "[\"]",
        "[\"\\",
        "\xef\xbb\xbf[]",
        "{\"type\":\"click\",\"ad_id\":1}\n{\"type\":\"click\",\"ad_id\":2}",
        "[[[[[[[[[1]]]]]]]]]",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct batch batch = decode_array(bad[i]);

        if (batch.ok)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(batch.faults.count, 1);
        assert_int_equal(batch.faults.rows[0].code, FAULT_INVALID_JSON);
    }
}

TEST(a_nul_ends_no_array)
{
    struct batch batch = open_batch();

    run(&batch, "[1]\0", 4, false);
    assert_int_equal(batch.faults.rows[0].code, FAULT_INVALID_JSON);
    run(&batch, "[\0]", 3, false);
    assert_int_equal(batch.faults.rows[0].code, FAULT_INVALID_JSON);
}

TEST(an_element_may_fill_the_depth_of_the_body)
{
    struct batch eight = decode_array("[[[[[[[[1]]]]]]]]");

    assert_true(eight.ok);
    assert_int_equal(eight.codes[0], FAULT_INVALID_JSON); /* an array is no event */
}

TEST(a_batch_without_events_is_told_so)
{
    static const char *const empty[] = {"[]", " [ ] "};
    static const char *const lines[] = {"", "\n\n", " \r\n"};

    for (size_t i = 0; i < 2; i++) {
        struct batch batch = decode_array(empty[i]);

        assert_false(batch.ok);
        assert_int_equal(batch.faults.rows[0].code, FAULT_NO_EVENTS);
    }
    for (size_t i = 0; i < 3; i++) {
        struct batch batch = decode_lines(lines[i]);

        assert_false(batch.ok);
        assert_int_equal(batch.faults.rows[0].code, FAULT_NO_EVENTS);
    }
}

TEST(a_batch_over_its_limit_is_told_so)
{
    struct batch four = decode_array("[1,2,3,4]");
    struct batch five = decode_array("[1,2,3,4,5]");
    struct batch four_lines = decode_lines("1\n2\n3\n4");
    struct batch five_lines = decode_lines("1\n2\n3\n4\n5");

    assert_true(four.ok);
    assert_false(five.ok);
    assert_int_equal(five.faults.rows[0].code, FAULT_TOO_MANY_EVENTS);
    assert_true(four_lines.ok);
    assert_false(five_lines.ok);
    assert_int_equal(five_lines.faults.rows[0].code, FAULT_TOO_MANY_EVENTS);
}

TEST(a_huge_element_costs_only_itself)
{
    static char body[2 * DECODE_EVENT_MAX];
    struct batch batch = open_batch();
    const char *tail = "\"},{\"type\":\"click\",\"ad_id\":2}]";
    size_t size = (size_t)sprintf(body, "[{\"ad_id\":\"");

    memset(body + size, 'a', DECODE_EVENT_MAX);
    size += DECODE_EVENT_MAX;
    size += (size_t)snprintf(body + size, sizeof(body) - size, "%s", tail);
    run(&batch, body, size, false);
    assert_true(batch.ok);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.codes[0], FAULT_TOO_LARGE);
    assert_int_equal(batch.codes[1], FAULT_COUNT);
}

TEST(an_idempotency_key_does_not_make_all_events_one)
{
    struct batch batch = open_batch();
    const char *body = "[{\"type\":\"click\",\"ad_id\":1},{\"type\":\"click\",\"ad_id\":1}]";

    batch.context.idempotency_key = "019b7ca9-8f2e-739b-aea5-966c26f8ad91";
    batch.context.idempotency_key_size = 36;
    run(&batch, body, strlen(body), false);
    assert_int_equal(batch.good, 2);
    assert_memory_not_equal(batch.decoded[0].event.id, batch.decoded[1].event.id, EVENT_ID_SIZE);
}

TESTS(RUN(an_array_is_decoded_element_by_element),
      RUN(ndjson_is_decoded_line_by_line_and_blank_lines_do_not_count),
      RUN(one_bad_element_costs_only_itself), RUN(a_duplicate_key_costs_its_own_element),
      RUN(a_line_that_is_no_json_costs_only_itself),
      RUN(a_body_that_is_no_json_array_is_refused_whole), RUN(a_nul_ends_no_array),
      RUN(an_element_may_fill_the_depth_of_the_body), RUN(a_batch_without_events_is_told_so),
      RUN(a_batch_over_its_limit_is_told_so), RUN(a_huge_element_costs_only_itself),
      RUN(an_idempotency_key_does_not_make_all_events_one))
