#include "base/auto.h"
#include "check.h"
#include "clients/pg.h"

#include <string.h>

TEST(the_bytes_are_those_of_the_wire_format)
{
    static const char expected[] = "\0\0\0\1"
                                   "\0\0\0\1"
                                   "\0\0\0\x15"
                                   "\0\0\0\2"
                                   "\0\0\0\1"
                                   "\0\0\0\2\xff\xfe"
                                   "\xff\xff\xff\xff";
    AUTO(pg_array_free) struct pg_array array;
    struct pg_param param;

    pg_array_init(&array, 21);
    pg_array_add_int16(&array, -2);
    pg_array_add_null(&array);
    assert_ok(pg_array_param(&array, &param, err));
    assert_true(param.is_binary);
    assert_int_equal(param.size_bytes, sizeof(expected) - 1);
    assert_memory_equal(param.value, expected, sizeof(expected) - 1);
}

TEST(a_reset_array_keeps_its_memory_and_nothing_else)
{
    AUTO(pg_array_free) struct pg_array array;
    struct pg_param param;
    size_t capacity;

    pg_array_init(&array, 20);
    for (int i = 0; i < 10000; i++)
        pg_array_add_int64(&array, i);
    pg_array_add_null(&array);
    capacity = array.capacity;
    pg_array_reset(&array);
    pg_array_add_int64(&array, 5);
    assert_ok(pg_array_param(&array, &param, err));
    assert_int_equal(array.capacity, capacity);
    assert_int_equal(param.size_bytes, 20 + 12);
    assert_int_equal(param.value[7], 0); /* no null any more */
}

TEST(an_instant_counts_from_the_year_2000_in_microseconds)
{
    AUTO(pg_array_free) struct pg_array array;
    struct pg_param param;
    static const char zero[8] = {0};

    pg_array_init(&array, 1184);
    pg_array_add_time_ms(&array, INT64_C(946684800000));
    assert_ok(pg_array_param(&array, &param, err));
    assert_memory_equal(param.value + 24, zero, sizeof(zero));
}

TEST(an_element_larger_than_a_parameter_fails_the_array_once_and_for_all)
{
    AUTO(pg_array_free) struct pg_array array;
    struct pg_param param;

    pg_array_init(&array, 25);
    pg_array_add_bytes(&array, "x", (size_t)1 << 40);
    pg_array_add_bytes(&array, "x", 1);
    assert_fails(ERROR_LIMIT, pg_array_param(&array, &param, err));
    pg_array_reset(&array);
    pg_array_add_bytes(&array, "x", 1);
    assert_ok(pg_array_param(&array, &param, err));
}

TESTS(RUN(the_bytes_are_those_of_the_wire_format),
      RUN(a_reset_array_keeps_its_memory_and_nothing_else),
      RUN(an_instant_counts_from_the_year_2000_in_microseconds),
      RUN(an_element_larger_than_a_parameter_fails_the_array_once_and_for_all))
