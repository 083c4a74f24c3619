#include "check.h"
#include "repeats.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 5000 };

/* Rows with the ids 0..ROWS-1, and the indexes of all of them. */
static struct batch_row *rows_with_ids(uint32_t *indexes)
{
    struct batch_row *rows = calloc(ROWS, sizeof(*rows));

    assert_non_null(rows);
    for (uint32_t i = 0; i < ROWS; i++) {
        memcpy(rows[i].event.id, &i, sizeof(i));
        indexes[i] = i;
    }
    return rows;
}

TEST(rows_that_differ_all_stay)
{
    uint32_t indexes[ROWS];
    size_t count = ROWS;
    struct batch batch = {.rows = rows_with_ids(indexes), .row_count = ROWS};
    struct repeats repeats;

    repeats_init(&repeats, 7);
    assert_ok(repeats_leave_out(&repeats, &batch, indexes, &count, err));

    assert_int_equal(count, ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        assert_int_equal(indexes[i], i);
    repeats_free(&repeats);
    free(batch.rows);
}

TEST(of_equal_ids_the_first_stays_and_the_others_are_duplicates)
{
    uint32_t indexes[ROWS];
    size_t count = ROWS;
    struct batch batch = {.rows = rows_with_ids(indexes), .row_count = ROWS};
    struct repeats repeats;

    repeats_init(&repeats, 7);
    batch.rows[10].event = batch.rows[3].event;
    batch.rows[11].event = batch.rows[3].event;
    batch.rows[ROWS - 1].event = batch.rows[0].event;
    assert_ok(repeats_leave_out(&repeats, &batch, indexes, &count, err));

    assert_int_equal(count, ROWS - 3);
    assert_int_equal(indexes[3], 3);
    assert_int_equal(indexes[10], 12);
    assert_int_equal(batch.rows[3].fate, ROW_PENDING);
    assert_int_equal(batch.rows[10].fate, ROW_DUPLICATE);
    assert_int_equal(batch.rows[11].fate, ROW_DUPLICATE);
    assert_int_equal(batch.rows[ROWS - 1].fate, ROW_DUPLICATE);
    repeats_free(&repeats);
    free(batch.rows);
}

TEST(one_transaction_knows_nothing_of_the_last_one)
{
    uint32_t indexes[ROWS];
    size_t count = ROWS;
    struct batch batch = {.rows = rows_with_ids(indexes), .row_count = ROWS};
    struct repeats repeats;

    repeats_init(&repeats, 7);
    assert_ok(repeats_leave_out(&repeats, &batch, indexes, &count, err));
    count = 10;
    assert_ok(repeats_leave_out(&repeats, &batch, indexes, &count, err));
    assert_int_equal(count, 10);
    repeats_free(&repeats);
    free(batch.rows);
}

TESTS(RUN(rows_that_differ_all_stay),
      RUN(of_equal_ids_the_first_stays_and_the_others_are_duplicates),
      RUN(one_transaction_knows_nothing_of_the_last_one))
