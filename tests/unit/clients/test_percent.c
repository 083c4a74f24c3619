#include "check.h"
#include "clients/percent.h"

#include <string.h>

TEST(what_was_encoded_decodes_to_the_same)
{
    char all[256];
    char encoded[1024];
    char decoded[256];

    for (int i = 0; i < 255; i++)
        all[i] = (char)(unsigned char)(i + 1);
    all[255] = '\0';
    assert_true(percent_encode(all, encoded, sizeof(encoded)));
    assert_int_equal(strcspn(encoded, "@:/?# "), strlen(encoded));
    assert_true(percent_decode(encoded, strlen(encoded), decoded, sizeof(decoded)));
    assert_string_equal(decoded, all);
}

TEST(text_that_does_not_fit_is_refused)
{
    char out[4];

    assert_true(percent_encode("abc", out, sizeof(out)));
    assert_false(percent_encode("abcd", out, sizeof(out)));
    assert_true(percent_encode("%", out, sizeof(out)));
    assert_false(percent_encode("a%", out, sizeof(out)));
    assert_true(percent_decode("%41bc", 5, out, sizeof(out)));
    assert_string_equal(out, "Abc");
    assert_false(percent_decode("abcd", 4, out, sizeof(out)));
    assert_false(percent_encode("", out, 0));
}

TEST(bad_escapes_and_nul_are_refused)
{
    static const char *const texts[] = {"%", "%4", "%4x", "%zz", "a%", "%00", "%-1"};
    char out[16];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(percent_decode(texts[i], strlen(texts[i]), out, sizeof(out)));
    assert_false(percent_decode("%41", 2, out, sizeof(out))); /* looks no further than told */
}

TESTS(RUN(what_was_encoded_decodes_to_the_same), RUN(text_that_does_not_fit_is_refused),
      RUN(bad_escapes_and_nul_are_refused))
