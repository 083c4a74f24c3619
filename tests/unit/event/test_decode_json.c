/* What is no JSON by our rules, one row each; and what jansson's memory does meanwhile. */
#include "decoding.h"

#include <jansson.h>
#include <stdlib.h>

#define ROW(text)                                                                                  \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const struct {
    const char *text;
    size_t size;
} not_json[] = {
    ROW(""),                                     /* empty */
    ROW("  \r\n\t "),                            /* blanks */
    ROW("{\"ad_id\":\"a\""),                     /* truncated */
    ROW("{\"ad_id\":\"a"),                       /* truncated in a string */
    ROW("{\"ad_id\":"),                          /* truncated before a value */
    ROW("{\"ad_id\""),                           /* truncated before the colon */
    ROW("{"),                                    /* truncated at once */
    ROW("{\"ad_id\":\"a\"}x"),                   /* trailing bytes */
    ROW("{\"ad_id\":\"a\"}{}"),                  /* a second value */
    ROW("{\"ad_id\":\"a\"}\0"),                  /* a NUL behind it */
    ROW("{\"ad_id\":\"a\"},"),                   /* a trailing comma outside */
    ROW("\xef\xbb\xbf{\"ad_id\":\"a\"}"),        /* a byte order mark */
    ROW("{\"ad_id\":\"a\"} // comment"),         /* a comment */
    ROW("{/**/\"ad_id\":\"a\"}"),                /* a comment inside */
    ROW("{'ad_id':'a'}"),                        /* single quotes */
    ROW("{ad_id:\"a\"}"),                        /* a bare key */
    ROW("{\"ad_id\":\"a\",}"),                   /* a trailing comma */
    ROW("{,\"ad_id\":\"a\"}"),                   /* a leading comma */
    ROW("{\"ad_id\":\"a\" \"ip\":\"1.2.3.4\"}"), /* a missing comma */
    ROW("{\"ad_id\" \"a\"}"),                    /* a missing colon */
    ROW("{\"ad_id\":\"a\",\"x\":NaN}"),          /* NaN */
    ROW("{\"ad_id\":\"a\",\"x\":Infinity}"),     /* Infinity */
    ROW("{\"ad_id\":\"a\",\"x\":-Infinity}"),
    ROW("{\"ad_id\":01}"), /* a leading zero */
    ROW("{\"ad_id\":1,\"playback_time\":00.5}"),
    ROW("{\"ad_id\":+1}"),                     /* a plus sign */
    ROW("{\"ad_id\":1,\"playback_time\":.5}"), /* no digit before the point */
    ROW("{\"ad_id\":1,\"playback_time\":5.}"), /* none behind it */
    ROW("{\"ad_id\":1,\"playback_time\":-}"),
    ROW("{\"ad_id\":0x10}"),              /* hexadecimal */
    ROW("{\"ad_id\":\"a\",\"x\":1e400}"), /* past a double */
    ROW("{\"ad_id\":1,\"playback_time\":1e400}"),
    ROW("{\"ad_id\":9223372036854775808}"), /* an integer past 64 bits */
    ROW("{\"ad_id\":-9223372036854775809}"),
    ROW("{\"ad_id\":\"a\",\"x\":99999999999999999999}"),
    ROW("{\"ad_id\":\"a\tb\"}"), /* a raw control byte */
    ROW("{\"ad_id\":\"a\nb\"}"),
    ROW("{\"ad_id\":\"a\x01\"}"),
    ROW("{\"ad_id\":\"a\0b\"}"),             /* NUL */
    ROW("{\"ad_id\":\"a\\u0000b\"}"),        /* an escaped NUL */
    ROW("{\"ad_id\":\"a\",\"x\\u0000\":1}"), /* in a key */
    ROW("{\"ad_id\":\"\xff\"}"),             /* bad UTF-8 */
    ROW("{\"ad_id\":\"\xc0\xaf\"}"),         /* overlong */
    ROW("{\"ad_id\":\"\xed\xa0\x80\"}"),     /* a surrogate in UTF-8 */
    ROW("{\"ad_id\":\"\xf4\x90\x80\x80\"}"), /* past U+10FFFF */
    ROW("{\"ad_id\":\"\xe2\x82\"}"),         /* cut short */
    ROW("{\"x\xff\":1,\"ad_id\":\"a\"}"),    /* in a key */
    ROW("{\"ad_id\":\"\\ud800\"}"),          /* a lone surrogate */
    ROW("{\"ad_id\":\"\\udc00\"}"),
    ROW("{\"ad_id\":\"\\ud800\\u0041\"}"),
    ROW("{\"ad_id\":\"\\x41\"}"), /* no such escape */
    ROW("{\"ad_id\":\"\\u12g4\"}"),
    ROW("{\"ad_id\":\"a\",\"ad_id\":\"a\"}"),         /* a duplicate key */
    ROW("{\"ad_id\":\"a\",\"ad_\\u0069d\":\"a\"}"),   /* spelled with an escape */
    ROW("{\"ad_id\":\"a\",\"x\":1,\"x\":1}"),         /* of a field that is not ours */
    ROW("{\"ad_id\":\"a\",\"x\":{\"y\":1,\"y\":2}}"), /* further inside */
    ROW("[{\"ad_id\":\"a\"}]"),                       /* an array */
    ROW("[]"),
    ROW("\"ad_id\""), /* scalars */
    ROW("1"),
    ROW("true"),
    ROW("null"),
    ROW("ad_id=a"), /* a form */
    ROW("{\"ad_id\":True}"),
};

TEST(what_is_no_json_object_is_invalid_json)
{
    for (size_t i = 0; i < sizeof(not_json) / sizeof(not_json[0]); i++) {
        struct decoding decoding = a_click();

        decode_bytes(&decoding, not_json[i].text, not_json[i].size);
        assert_fault(&decoding, not_json[i].text, FAULT_INVALID_JSON, "");
        assert_int_equal(fault_status(decoding.faults.rows[0].code), 400);
    }
}

/* {"ad_id":1,"x":[[...]]} so that the innermost value is `depth` levels deep. */
static size_t nest(char *out, size_t depth)
{
    size_t size = (size_t)sprintf(out, "{\"ad_id\":1,\"x\":");

    memset(out + size, '[', depth - 1);
    size += depth - 1;
    memset(out + size, ']', depth - 1);
    size += depth - 1;
    out[size++] = '}';
    return size;
}

TEST(eight_levels_are_taken_and_nine_are_not)
{
    struct decoding decoding = a_click();
    char body[100];

    decode_bytes(&decoding, body, nest(body, 8));
    assert_true(decoding.ok);
    decode_bytes(&decoding, body, nest(body, 9));
    assert_fault(&decoding, "nine levels", FAULT_INVALID_JSON, "");
}

TEST(brackets_in_strings_are_no_levels)
{
    const char *body = "{\"ad_id\":\"a\",\"x\":\"[[[[[[[[[[\\\"{{{{{{{{{{\",\"y\":\"\\\\\"}";
    struct decoding decoding = decode(body);

    assert_taken(&decoding, body);
}

TEST(an_event_over_its_size_is_too_large)
{
    static char body[DECODE_EVENT_MAX + 1];
    struct decoding decoding = a_click();

    memset(body, ' ', sizeof(body));
    body[snprintf(body, sizeof(body), "{\"ad_id\":1}")] = ' ';
    decode_bytes(&decoding, body, DECODE_EVENT_MAX);
    assert_true(decoding.ok);
    decode_bytes(&decoding, body, sizeof(body));
    assert_fault(&decoding, "one byte too many", FAULT_TOO_LARGE, "");
}

/* Repeats the unit between head and tail up to the size of an event; out has room for a NUL. */
static size_t fill_body(char *out, const char *head, const char *unit, const char *tail)
{
    size_t room = DECODE_EVENT_MAX + 1;
    size_t size = (size_t)snprintf(out, room, "%s", head);

    while (size + strlen(unit) + strlen(tail) <= DECODE_EVENT_MAX)
        size += (size_t)snprintf(out + size, room - size, "%s", unit);
    return size + (size_t)snprintf(out + size, room - size, "%s", tail);
}

TEST(the_parsers_memory_is_enough_for_the_costliest_event)
{
    static const char *const units[] = {"{},", "[],", "0,", "1.5,", "\"\",", "{\"\":0},", "[[]],"};
    static char body[DECODE_EVENT_MAX + 1];

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct decoding decoding = a_click();
        size_t size = fill_body(body, "{\"ad_id\":1,\"x\":[", units[i], "0]}");

        decode_bytes(&decoding, body, size);
        assert_taken(&decoding, units[i]);
    }
}

TEST(many_keys_fit_as_well)
{
    static char body[DECODE_EVENT_MAX];
    struct decoding decoding = a_click();
    size_t size = (size_t)sprintf(body, "{\"ad_id\":1");

    for (int i = 0; size + 16 < sizeof(body); i++)
        size += (size_t)sprintf(body + size, ",\"%x\":{}", (unsigned)i);
    body[size++] = '}';
    decode_bytes(&decoding, body, size);
    assert_taken(&decoding, "many keys");
}

TEST(jansson_uses_the_heap_outside_the_decoder)
{
    struct decoder *decoder = decoder_new();
    struct decoding decoding = a_click();
    const char *body = "{\"ad_id\":\"\\u0061\"}";
    json_t *kept = json_pack("{s:i,s:s}", "one", 1, "two", "2");

    assert_non_null(decoder);
    assert_non_null(kept);
    for (int i = 0; i < 100; i++)
        assert_true(decode_event(decoder, body, strlen(body), &decoding.context, &decoding.out,
                                 &decoding.faults));
    decoder_free(&decoder);
    assert_int_equal(json_integer_value(json_object_get(kept, "one")), 1);
    assert_string_equal(json_string_value(json_object_get(kept, "two")), "2");
    char *text = json_dumps(kept, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"one\":1,\"two\":\"2\"}");
    free(text);
    json_decref(kept);
}

TEST(no_decoder_is_freed_like_one)
{
    struct decoder *decoder = NULL;

    decoder_free(&decoder);
    assert_null(decoder);
}

TESTS(RUN(what_is_no_json_object_is_invalid_json), RUN(eight_levels_are_taken_and_nine_are_not),
      RUN(brackets_in_strings_are_no_levels), RUN(an_event_over_its_size_is_too_large),
      RUN(the_parsers_memory_is_enough_for_the_costliest_event), RUN(many_keys_fit_as_well),
      RUN(jansson_uses_the_heap_outside_the_decoder), RUN(no_decoder_is_freed_like_one))
