#include "check.h"

#include <string.h>

TEST(setting_an_error_is_the_failure_itself)
{
    assert_false(error_set(err, ERROR_LIMIT, "queue: %d of %d", 5, 5));
    assert_int_equal(err->kind, ERROR_LIMIT);
    assert_string_equal(err->text, "queue: 5 of 5");
}

TEST(wrapping_keeps_the_kind_and_puts_words_before_the_text)
{
    error_set(err, ERROR_UNCERTAIN, "timed out after 2000 ms");

    assert_false(error_wrap(err, "pg: commit"));
    assert_int_equal(err->kind, ERROR_UNCERTAIN);
    assert_string_equal(err->text, "pg: commit: timed out after 2000 ms");
}

TEST(the_old_text_may_be_an_argument_of_the_new_one)
{
    error_set(err, ERROR_INVALID, "inner");
    error_set(err, ERROR_INTERNAL, "%s, and again %s", err->text, err->text);

    assert_string_equal(err->text, "inner, and again inner");
}

TEST(the_text_is_one_line_without_control_bytes)
{
    error_set(err, ERROR_UNAVAILABLE, "server said: no\r\nreally\x1b[31m\n\n");

    assert_string_equal(err->text, "server said: no  really [31m");
}

TEST(a_long_text_is_cut_and_terminated)
{
    char text[1000];

    memset(text, 'x', sizeof(text));
    error_set(err, ERROR_INVALID, "%.*s", (int)sizeof(text), text);

    assert_int_equal(strlen(err->text), sizeof(err->text) - 1);
}

TEST(a_cut_never_leaves_half_a_character)
{
    for (size_t before = 190; before < 200; before++) {
        char text[300];
        size_t size = 0;

        memset(text, 'x', before);
        for (size_t i = before; i < 290; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        error_set(err, ERROR_INVALID, "%s", text);
        size = strlen(err->text);
        assert_int_equal((size - before) % 3, 0);
        assert_true(size > sizeof(err->text) - 4);
    }
}

TEST(every_kind_has_a_name_of_its_own)
{
    for (int a = ERROR_NONE; a <= ERROR_INTERNAL; a++) {
        for (int b = ERROR_NONE; b < a; b++)
            assert_string_not_equal(error_kind_name((enum error_kind)a),
                                    error_kind_name((enum error_kind)b));
    }
    assert_string_equal(error_kind_name(ERROR_UNAVAILABLE), "unavailable");
}

TESTS(RUN(setting_an_error_is_the_failure_itself),
      RUN(wrapping_keeps_the_kind_and_puts_words_before_the_text),
      RUN(the_old_text_may_be_an_argument_of_the_new_one),
      RUN(the_text_is_one_line_without_control_bytes), RUN(a_long_text_is_cut_and_terminated),
      RUN(a_cut_never_leaves_half_a_character), RUN(every_kind_has_a_name_of_its_own))
