#include "check.h"

#include "base/auto.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

TEST(pieces_become_one_text)
{
    AUTO(text_free) struct text text;

    text_init(&text, 1000);
    text_add_str(&text, "{\"a\":");
    text_add_int(&text, -42);
    text_add_char(&text, ',');
    text_addf(&text, "\"b\":%.2f", 1.5);
    text_add(&text, "}!", 1);
    assert_true(text_ok(&text));
    assert_string_equal(text_str(&text), "{\"a\":-42,\"b\":1.50}");
    assert_int_equal(text.size, strlen(text_str(&text)));
}

TEST(a_text_of_nothing_is_an_empty_string)
{
    AUTO(text_free) struct text text;
    AUTO(auto_free) char *bytes = NULL;
    size_t size = 99;

    text_init(&text, 10);
    assert_string_equal(text_str(&text), "");
    bytes = text_take(&text, &size);
    assert_string_equal(bytes, "");
    assert_int_equal(size, 0);
}

TEST(grows_to_its_limit_and_not_past_it)
{
    AUTO(text_free) struct text text;
    size_t size = 0;

    text_init(&text, 5000);
    for (int i = 0; i < 5000; i++)
        text_add_char(&text, 'x');
    assert_true(text_ok(&text));
    text_add_char(&text, 'x');
    assert_false(text_ok(&text));
    assert_null(text_take(&text, &size));
    assert_int_equal(text.size, 5000);
}

TEST(a_failed_text_stays_failed_until_it_is_reset)
{
    AUTO(text_free) struct text text;

    text_init(&text, 4);
    text_add_str(&text, "12345");
    text_add_str(&text, "1");
    assert_false(text_ok(&text));
    text_reset(&text);
    text_add_str(&text, "1234");
    assert_true(text_ok(&text));
    assert_string_equal(text_str(&text), "1234");
}

TEST(a_formatted_piece_past_the_limit_fails_whole)
{
    AUTO(text_free) struct text text;

    text_init(&text, 4);
    text_addf(&text, "%d", 12345);
    assert_false(text_ok(&text));
    assert_int_equal(text.size, 0);
}

TEST(every_integer_is_written_as_printf_does)
{
    static const int64_t values[] = {0, 1, -1, 9, 10, 99, 100, -100, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        AUTO(text_free) struct text text;
        char expected[40];

        text_init(&text, 100);
        text_add_int(&text, values[i]);
        (void)snprintf(expected, sizeof(expected), "%" PRId64, values[i]);
        assert_string_equal(text_str(&text), expected);
    }
}

TEST(a_json_string_is_escaped_whatever_comes_in)
{
    static const struct {
        const char *in;
        size_t size;
        const char *out;
    } rows[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"a\xff"
         "b",
         3,
         "\"a\xef\xbf\xbd"
         "b\""},
        {"\xc3", 1, "\"\xef\xbf\xbd\""},
        {"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(text_free) struct text text;

        text_init(&text, 100);
        text_add_json_string(&text, rows[i].in, rows[i].size);
        assert_true(text_ok(&text));
        assert_string_equal(text_str(&text), rows[i].out);
    }
}

/* The definition of UTF-8 by its code points, to check the table of ranges against. */
static size_t encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

TEST(utf8_is_every_code_point_but_the_surrogates)
{
    for (uint32_t point = 0; point < 0x120000; point++) {
        char bytes[4];
        size_t size = encode(point, bytes);
        bool is_valid = point < 0x110000 && (point < 0xd800 || point > 0xdfff);

        if (utf8_sequence_size(bytes, size) != (is_valid ? size : 0))
            fail_msg("U+%04X is judged wrongly", (unsigned)point);
        if (utf8_sequence_size(bytes, size - 1) != 0)
            fail_msg("a cut U+%04X is accepted", (unsigned)point);
    }
}

TESTS(RUN(pieces_become_one_text), RUN(a_text_of_nothing_is_an_empty_string),
      RUN(grows_to_its_limit_and_not_past_it), RUN(a_failed_text_stays_failed_until_it_is_reset),
      RUN(a_formatted_piece_past_the_limit_fails_whole),
      RUN(every_integer_is_written_as_printf_does), RUN(a_json_string_is_escaped_whatever_comes_in),
      RUN(utf8_is_every_code_point_but_the_surrogates))
