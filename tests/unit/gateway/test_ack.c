#include "check.h"

#include "ack.h"

#include <string.h>

static struct ack parse(const char *text)
{
    return ack_parse(text, strlen(text), "ADS_0");
}

TEST(a_sequence_of_the_right_stream_is_stored)
{
    struct ack ack = parse("{\"stream\":\"ADS_0\", \"seq\":1700000000000001}");

    assert_int_equal(ack.verdict, ACK_STORED);
    assert_int_equal(ack.seq, 1700000000000001);
    assert_false(ack.is_duplicate);
}

TEST(a_duplicate_with_its_sequence_is_stored)
{
    struct ack ack =
        parse("{\"stream\":\"ADS_0\",\"domain\":\"hub\",\"seq\":9,\"duplicate\": true}");

    assert_int_equal(ack.verdict, ACK_STORED);
    assert_true(ack.is_duplicate);
}

TEST(a_duplicate_without_a_sequence_is_refused)
{
    assert_int_equal(parse("{\"stream\":\"ADS_0\",\"seq\":0,\"duplicate\":true}").verdict,
                     ACK_REFUSED);
}

TEST(an_error_is_refused_with_its_code)
{
    struct ack ack = parse("{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"maximum "
                           "bytes exceeded \\\" \"},\"stream\":\"ADS_0\",\"seq\":0}");

    assert_int_equal(ack.verdict, ACK_REFUSED);
    assert_int_equal(ack.error_code, 10077);
    assert_true(ack_is_final(ack.error_code));
}

TEST(an_error_beside_a_sequence_is_still_refused)
{
    assert_int_equal(parse("{\"stream\":\"ADS_0\",\"seq\":7,\"error\":{\"code\":500}}").verdict,
                     ACK_REFUSED);
}

TEST(a_passing_trouble_of_the_cluster_is_worth_another_try)
{
    assert_false(ack_is_final(10008));
    assert_false(ack_is_final(10009));
    assert_false(ack_is_final(0));
}

TEST(another_stream_proves_nothing)
{
    assert_int_equal(parse("{\"stream\":\"ADS_00\",\"seq\":7}").verdict, ACK_GARBLED);
    assert_int_equal(parse("{\"stream\":\"ADS_\",\"seq\":7}").verdict, ACK_GARBLED);
    assert_int_equal(parse("{\"seq\":7}").verdict, ACK_GARBLED);
    assert_int_equal(parse("{\"stream\":\"ADS_0\"}").verdict, ACK_GARBLED);
}

TEST(bytes_that_are_no_ack_prove_nothing)
{
    static const char *const garbage[] = {
        "",
        " ",
        "{",
        "{}",
        "[]",
        "+ACK",
        "{\"stream\":\"ADS_0\",\"seq\":7",
        "{\"stream\":\"ADS_0\",\"seq\":7}}",
        "{\"stream\":\"ADS_0\",\"seq\":7}x",
        "{\"stream\":\"ADS_0\",\"seq\":-7}",
        "{\"stream\":\"ADS_0\",\"seq\":07}",
        "{\"stream\":\"ADS_0\",\"seq\":7.5}",
        "{\"stream\":\"ADS_0\",\"seq\":\"7\"}",
        "{\"stream\":\"ADS_0\",\"seq\":18446744073709551616}",
        "{\"stream\":\"ADS_0\",\"seq\":7,}",
        "{\"stream\":\"ADS_0\",\"seq\":7,\"seq\":8}",
        "{\"stream\":\"ADS_0\",\"stream\":\"ADS_0\",\"seq\":8}",
        "{\"stream\":\"ADS_0\",\"seq\":7,\"duplicate\":tru}",
        "{\"stream\":\"ADS_0\",\"seq\":7,\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":1}}}}}}",
        "{\"stream\":\"ADS_0\\",
    };

    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        if (parse(garbage[i]).verdict != ACK_GARBLED)
            fail_msg("taken for an ack: %s", garbage[i]);
    }
}

TEST(every_cut_of_an_ack_proves_nothing)
{
    static const char whole[] = "{\"stream\":\"ADS_0\",\"seq\":7,\"duplicate\":true}";

    for (size_t size = 0; size < sizeof(whole) - 1; size++)
        assert_int_equal(ack_parse(whole, size, "ADS_0").verdict, ACK_GARBLED);
}

TESTS(RUN(a_sequence_of_the_right_stream_is_stored), RUN(a_duplicate_with_its_sequence_is_stored),
      RUN(a_duplicate_without_a_sequence_is_refused), RUN(an_error_is_refused_with_its_code),
      RUN(an_error_beside_a_sequence_is_still_refused),
      RUN(a_passing_trouble_of_the_cluster_is_worth_another_try),
      RUN(another_stream_proves_nothing), RUN(bytes_that_are_no_ack_prove_nothing),
      RUN(every_cut_of_an_ack_proves_nothing))
