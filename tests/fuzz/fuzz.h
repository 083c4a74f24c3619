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

/* NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_fail(const char *file, int line, const char *condition)
{
    (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* An assertion that no build leaves out, and that libFuzzer reports with its input. */
#define FUZZ_ASSERT(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))
