#include "check.h"

#include "position.h"

static void check_text(struct position position, const char *text)
{
    char out[POSITION_SIZE];
    struct position parsed = position_parse(text);

    position_format(position, out);
    assert_string_equal(out, text);
    assert_int_equal(parsed.seq, position.seq);
    assert_int_equal(parsed.part, position.part);
}

TEST(text_and_back_keeps_every_digit)
{
    check_text((struct position){0, 0}, "0");
    check_text((struct position){10, 1500}, "10+1500");
    check_text((struct position){UINT64_MAX, UINT32_MAX}, "18446744073709551615+4294967295");
}

TEST(a_part_is_ahead_of_the_whole_message_before_it)
{
    assert_true(position_is_ahead((struct position){10, 1}, (struct position){10, 0}));
    assert_true(position_is_ahead((struct position){11, 0}, (struct position){10, 9}));
    assert_false(position_is_ahead((struct position){10, 1}, (struct position){10, 1}));
}

TESTS(RUN(text_and_back_keeps_every_digit), RUN(a_part_is_ahead_of_the_whole_message_before_it))
