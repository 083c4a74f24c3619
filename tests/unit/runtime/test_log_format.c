#include "check.h"

#include "runtime/log_format.h"

#include <math.h>
#include <string.h>
#include <sys/types.h>

static struct log_line line;

/* The whole line of one call's fields, without its line end. */
__attribute__((format(printf, 1, 2))) static const char *fields(const char *format, ...)
{
    va_list args;

    log_line_begin(&line);
    va_start(args, format);
    log_line_fields(&line, format, args);
    va_end(args);
    log_line_end(&line);
    assert_int_equal(line.bytes[line.size - 1], '\n');
    line.bytes[line.size - 1] = '\0';
    return line.bytes;
}

TEST(each_conversion_becomes_one_field)
{
    assert_string_equal(fields("a=%d b=%s c=%u", -1, "text", 2u),
                        "{\"a\":-1,\"b\":\"text\",\"c\":2}");
    assert_string_equal(fields("one=%i", 1), "{\"one\":1}");
}

TEST(numbers_of_every_size_are_json_numbers)
{
    assert_string_equal(
        fields("a=%d b=%ld c=%lld d=%zd e=%jd", -1, -2L, -3LL, (ssize_t)-4, INTMAX_MIN),
        "{\"a\":-1,\"b\":-2,\"c\":-3,\"d\":-4,\"e\":-9223372036854775808}");
    assert_string_equal(
        fields("a=%u b=%lu c=%llu d=%zu e=%ju", 1u, 2UL, 3ULL, (size_t)4, UINTMAX_MAX),
        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":18446744073709551615}");
    assert_string_equal(fields("a=%hd b=%hhu", (short)-1, (unsigned char)255),
                        "{\"a\":-1,\"b\":255}");
    assert_string_equal(fields("a=%f b=%.2f c=%.0f d=%g e=%.*f", 1.5, 2.345, 3.7, 0.0001, 1, 9.99),
                        "{\"a\":1.500000,\"b\":2.35,\"c\":4,\"d\":0.0001,\"e\":10.0}");
}

TEST(what_json_has_no_number_for_is_text)
{
    assert_string_equal(
        fields("a=%x b=%08x c=%f d=%f e=%c", 255u, 255u, (double)NAN, -(double)INFINITY, 'z'),
        "{\"a\":\"ff\",\"b\":\"000000ff\",\"c\":\"nan\",\"d\":\"-inf\",\"e\":\"z\"}");
    assert_string_equal(fields("mode=%04o", 0640u), "{\"mode\":\"0640\"}");
}

TEST(quotes_hold_values_with_blanks_and_are_dropped)
{
    assert_string_equal(fields("why=\"%s\" n=%d", "two words", 1),
                        "{\"why\":\"two words\",\"n\":1}");
    assert_string_equal(fields("why=\"after %d of %d tries\" n=%d", 2, 3, 4),
                        "{\"why\":\"after 2 of 3 tries\",\"n\":4}");
    assert_string_equal(fields("n=\"%d\"", 5), "{\"n\":\"5\"}");
}

TEST(a_value_may_be_literal_or_mixed)
{
    assert_string_equal(fields("name=ingest"), "{\"name\":\"ingest\"}");
    assert_string_equal(fields("at=%s:%d n=%d%%", "host", 80, 5),
                        "{\"at\":\"host:80\",\"n\":\"5%\"}");
    assert_string_equal(fields("n=%dms x=v%d", 5, 6), "{\"n\":\"5ms\",\"x\":\"v6\"}");
    assert_string_equal(fields("euro=\xe2\x82\xac"), "{\"euro\":\"\xe2\x82\xac\"}");
}

TEST(odd_formats_are_still_json)
{
    assert_string_equal(fields(" "), "{}");
    assert_string_equal(fields("a= b=\"\" c=%s", ""), "{\"a\":\"\",\"b\":\"\",\"c\":\"\"}");
    assert_string_equal(fields("hello  there"), "{\"text\":\"hello\",\"text\":\"there\"}");
    assert_string_equal(fields("a=\"never closed %d", 1), "{\"a\":\"never closed 1\"}");
}

TEST(text_from_outside_cannot_forge_a_field_or_a_line)
{
    assert_string_equal(fields("ua=%s n=%d", "\",\"level\":\"error\"}\n{", 1),
                        "{\"ua\":\"\\\",\\\"level\\\":\\\"error\\\"}\\n{\",\"n\":1}");
    assert_string_equal(fields("a=\"%s\"", "x\" b=1 c=\""), "{\"a\":\"x\\\" b=1 c=\\\"\"}");
    assert_string_equal(fields("a=%s", "%s%d%n"), "{\"a\":\"%s%d%n\"}");
}

TEST(control_bytes_and_bad_utf8_are_made_harmless)
{
    assert_string_equal(fields("a=%s", "\x01\x1b[0m\x7f\t\\"),
                        "{\"a\":\"\\u0001\\u001b[0m\\u007f\\u0009\\\\\"}");
    assert_string_equal(
        fields("a=%s", "\xff\xc3(\xed\xa0\x80"),
        "{\"a\":\"\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
    assert_string_equal(fields("a=%c", '\0'), "{\"a\":\"\\u0000\"}");
}

TEST(a_precision_cuts_text_that_is_not_terminated)
{
    const char bytes[3] = {'a', 'b', 'c'};

    assert_string_equal(fields("a=%.*s b=%.2s", 3, bytes, "xyz"), "{\"a\":\"abc\",\"b\":\"xy\"}");
}

TEST(a_missing_string_is_named_so)
{
    const char *volatile nothing = NULL;

    assert_string_equal(fields("a=%s", nothing), "{\"a\":\"(null)\"}");
}

/* Counts quotes that are not escaped, and checks the ends: enough to see a broken line. */
static void assert_is_whole(const char *text)
{
    size_t size = strlen(text);
    int quotes = 0;

    assert_int_equal(text[0], '{');
    assert_int_equal(text[size - 1], '}');
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\\')
            i++;
        else
            quotes += text[i] == '"';
    }
    assert_int_equal(quotes % 2, 0);
    assert_null(strstr(text, ":,"));
    assert_null(strstr(text, ":}"));
}

TEST(a_long_line_is_cut_and_says_so_wherever_the_cut_falls)
{
    static char filler[LOG_LINE_MAX + 1];

    for (size_t size = LOG_LINE_MAX - 120; size < LOG_LINE_MAX; size++) {
        const char *text = NULL;

        memset(filler, 'x', size);
        filler[size] = '\0';
        text = fields("a=%s number=%d quoted=\"%s\" last=%lld", filler, 123456789, "\"\"\n\n\xff",
                      123456789012345678LL);
        assert_is_whole(text);
        assert_true(strlen(text) < LOG_LINE_MAX);
        assert_true(strlen(text) > LOG_LINE_MAX - 120);
        if (size > LOG_LINE_MAX - 60) {
            assert_non_null(strstr(text, ",\"cut\":true}"));
            assert_null(strstr(text, "\"last\":"));
        }
    }
}

TESTS(RUN(each_conversion_becomes_one_field), RUN(numbers_of_every_size_are_json_numbers),
      RUN(what_json_has_no_number_for_is_text), RUN(quotes_hold_values_with_blanks_and_are_dropped),
      RUN(a_value_may_be_literal_or_mixed), RUN(odd_formats_are_still_json),
      RUN(text_from_outside_cannot_forge_a_field_or_a_line),
      RUN(control_bytes_and_bad_utf8_are_made_harmless),
      RUN(a_precision_cuts_text_that_is_not_terminated), RUN(a_missing_string_is_named_so),
      RUN(a_long_line_is_cut_and_says_so_wherever_the_cut_falls))
