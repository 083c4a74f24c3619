/*
 * fuzz.h — what every fuzz target has in common
 *
 * A target defines LLVMFuzzerTestOneInput. libFuzzer calls it with inputs of its own making
 * (ADLEDGER_FUZZ=ON); replay.c calls it with every file of the corpus, in every build.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_fail(const char *file, int line, const char *condition)
{
    (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* An assertion that no build leaves out, and that libFuzzer reports with its input. */
#define FUZZ_ASSERT(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

/* The input up to its first NUL as a string; the caller frees it. Its block ends where it ends. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);

    FUZZ_ASSERT(text != NULL);
    return text;
}

/* Cuts the input at its first newline: the line before it, and what is left in *data and *size. */
static inline char *fuzz_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size == 0 ? NULL : memchr(*data, '\n', *size);
    size_t line_size = end == NULL ? *size : (size_t)(end - *data);
    char *line = fuzz_text(*data, line_size);

    line_size += end == NULL ? 0 : 1;
    *data += line_size;
    *size -= line_size;
    return line;
}
