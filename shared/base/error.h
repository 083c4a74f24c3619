/*
 * error.h — why a call failed, and what to do about it
 *
 * Why:    a caller needs two things: what to do next (the kind) and what to tell a
 *         person (the text). One type carries both through every layer.
 * Errors: none of its own. `err` is never NULL and is written only on failure.
 * Memory: a plain struct on the caller's stack; nothing to free.
 */
#pragma once

#include <stdbool.h>

/* A fallible prototype carries it: no failure is dropped by accident. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* The kinds are decisions; each edge turns them into its answer in one switch without default. */
enum error_kind {
    ERROR_NONE,
    ERROR_INVALID,     /* the input is wrong and always will be: refuse it, never retry */
    ERROR_LIMIT,       /* one of our own limits is full: shed this piece of work */
    ERROR_UNAVAILABLE, /* a dependency is down or slow: the same call may work later */
    ERROR_UNCERTAIN,   /* it may have taken effect: repeat only what is idempotent */
    ERROR_INTERNAL,    /* our own bug or a broken deployment: stop and say so */
};

struct error {
    enum error_kind kind;
    char text[200]; /* one line, no trailing newline, safe to log */
};

/* Fills err; always returns false, so that a failure is one line. */
bool error_set(struct error *err, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Keeps the kind and puts "prefix: " before the text; always returns false. */
bool error_wrap(struct error *err, const char *prefix);

/* The kind in lower case, for logs and metric labels: "unavailable". */
const char *error_kind_name(enum error_kind kind);
