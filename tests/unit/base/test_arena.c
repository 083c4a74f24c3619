#include "check.h"

#include "base/arena.h"
#include "base/auto.h"

#include <stdalign.h>
#include <string.h>

TEST(hands_out_aligned_memory_that_does_not_overlap)
{
    AUTO(arena_free) struct arena arena = {0};
    char *last_end = NULL;

    assert_true(arena_init(&arena, 4096));
    for (size_t size = 0; size < 60; size++) {
        char *bytes = arena_alloc(&arena, size);

        assert_non_null(bytes);
        assert_int_equal((uintptr_t)bytes % alignof(max_align_t), 0);
        assert_true(bytes >= last_end);
        memset(bytes, 0xaa, size);
        last_end = bytes + (size == 0 ? 1 : size);
    }
}

TEST(says_no_when_it_is_full_and_stays_usable)
{
    AUTO(arena_free) struct arena arena = {0};

    assert_true(arena_init(&arena, 64));
    assert_null(arena_alloc(&arena, 65));
    assert_non_null(arena_alloc(&arena, 48));
    assert_null(arena_alloc(&arena, 17));
    assert_non_null(arena_alloc(&arena, 16));
    assert_null(arena_alloc(&arena, 1));
}

TEST(a_size_near_the_top_of_size_t_is_refused)
{
    AUTO(arena_free) struct arena arena = {0};

    assert_true(arena_init(&arena, 64));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 14));
}

TEST(a_reset_gives_everything_back)
{
    AUTO(arena_free) struct arena arena = {0};
    void *first = NULL;

    assert_true(arena_init(&arena, 64));
    first = arena_alloc(&arena, 64);
    arena_reset(&arena);
    assert_ptr_equal(arena_alloc(&arena, 64), first);
}

TEST(an_arena_without_memory_gives_nothing)
{
    struct arena arena = {0};

    assert_null(arena_alloc(&arena, 1));
    arena_free(&arena);
    arena_free(&arena);
}

TESTS(RUN(hands_out_aligned_memory_that_does_not_overlap),
      RUN(says_no_when_it_is_full_and_stays_usable), RUN(a_size_near_the_top_of_size_t_is_refused),
      RUN(a_reset_gives_everything_back), RUN(an_arena_without_memory_gives_nothing))
