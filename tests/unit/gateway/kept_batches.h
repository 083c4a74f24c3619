/*
 * kept_batches.h — batches to keep, for the tests of the spool
 *
 * Batch number n has the payload "n:" and then size_bytes of 'a' + n % 26, and n % 5 + 1 events.
 */
#pragma once

#include "check.h"

#include "keep_line.h"
#include "kept_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kept_batches {
    size_t count;
    struct keep_job *jobs;
};

static inline void kept_payload(uint64_t number, size_t size_bytes, uint8_t *out)
{
    memset(out, 'a' + (int)(number % 26), size_bytes);
    (void)snprintf((char *)out, size_bytes, "%" PRIu64, number);
}

static inline struct kept_batches kept_batches_new(uint64_t first, size_t count, size_t size_bytes)
{
    struct kept_batches batches = {count, calloc(count, sizeof(struct keep_job))};

    assert_non_null(batches.jobs);
    for (size_t i = 0; i < count; i++) {
        uint8_t *bytes = malloc(size_bytes);
        uint64_t number = first + i;

        assert_non_null(bytes);
        kept_payload(number, size_bytes, bytes);
        batches.jobs[i] = (struct keep_job){
            .batch = {.gateway_id = {1, 2, 3},
                      .thread = 7,
                      .partition = (uint32_t)(number % 2),
                      .batch_no = number,
                      .events = (uint32_t)(number % 5) + 1,
                      .bytes = bytes,
                      .size_bytes = size_bytes},
            .deadline_ms = INT64_MAX,
            .next = i + 1 < count ? &batches.jobs[i + 1] : NULL,
        };
    }
    return batches;
}

static inline void kept_batches_free(struct kept_batches *batches)
{
    for (size_t i = 0; i < batches->count; i++)
        free((void *)(uintptr_t)batches->jobs[i].batch.bytes);
    free(batches->jobs);
    *batches = (struct kept_batches){0};
}

/* True when the row is batch `batch_no` as kept_batches_new made it. */
static inline bool kept_row_is_right(const struct kept_row *row, size_t size_bytes)
{
    uint8_t *expected = malloc(size_bytes);
    bool is_right;

    assert_non_null(expected);
    kept_payload(row->batch.batch_no, size_bytes, expected);
    is_right = row->fate == FATE_KEPT && row->batch.size_bytes == size_bytes &&
               memcmp(row->batch.bytes, expected, size_bytes) == 0 &&
               row->batch.events == row->batch.batch_no % 5 + 1 && row->batch.thread == 7 &&
               row->batch.gateway_id[2] == 3;
    free(expected);
    return is_right;
}

static const struct kept_limits no_limits = {.rows_max = KEPT_ROWS_MAX,
                                             .bytes_max = SIZE_MAX,
                                             .events_max = UINT64_MAX,
                                             .payload_max = SIZE_MAX};
