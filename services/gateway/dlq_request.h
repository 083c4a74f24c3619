/*
 * dlq_request.h — which dead letters a replay asks for
 *
 * Shape:  {"ids":[1,2]} or {"code":"unknown_ad","limit":1000}, and "again":true for those that were
 *         replayed before. Pure.
 * Errors: faults of the members; a body that breaks the rules of every other body is invalid JSON.
 */
#pragma once

#include "event/fault.h"
#include "letter.h"

enum { DLQ_LETTERS_MAX = 1000 }; /* of one replay */

struct dlq_request {
    int64_t ids[DLQ_LETTERS_MAX]; /* 1 and above */
    size_t id_count;
    char code[LETTER_CODE_SIZE]; /* instead of ids; "": ids */
    int64_t limit;               /* of a code's letters, 1 to DLQ_LETTERS_MAX */
    bool is_again;
};

/* False: faults has at least one more. */
MUST_CHECK bool dlq_request_parse(const char *body, size_t size_bytes, struct dlq_request *out,
                                  struct faults *faults);
