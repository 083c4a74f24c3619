/*
 * fault.h — what is wrong with a request, in words and codes that a client can rely on
 *
 * Why:    a client is told every field that is wrong, by codes that never change; struct error has
 *         one text for an operator.
 * Shape:  the rows of faults.def. The first fault of a request decides its HTTP status.
 * Memory: plain structs; nothing to free.
 * Limits: the first DECODE_FAULTS_MAX faults are kept, all are counted.
 */
#pragma once

#include <stddef.h>

enum { DECODE_FAULTS_MAX = 8 };

enum fault_code {
#define FAULT(name, text, status, title) FAULT_##name,
#include "event/faults.def"
#undef FAULT
    FAULT_COUNT,
};

const char *fault_text(enum fault_code code);  /* "invalid_json" */
int fault_status(enum fault_code code);        /* 400 */
const char *fault_title(enum fault_code code); /* "The body is not the JSON expected here" */

struct fault {
    enum fault_code code;
    char field[24]; /* canonical name, or "" for the whole body */
    /* For a person; of a field: what stands behind its name, "must be a number". */
    char detail[120];
};

struct faults {
    size_t count; /* all that were found; the first DECODE_FAULTS_MAX are kept */
    struct fault rows[DECODE_FAULTS_MAX];
};

/* Counts one more; text that is too long for its place is cut. */
void fault_add(struct faults *faults, enum fault_code code, const char *field, const char *format,
               ...) __attribute__((format(printf, 4, 5)));
