/*
 * auto.h — whoever opens a thing closes it, in the same function
 *
 * AUTO(f) calls f(&variable) when the variable leaves its scope. Every x_free and x_close takes
 * the address of the owner's variable, accepts NULL inside it, copes with a half-built object and
 * leaves NULL behind. TAKE(p) yields p and leaves NULL: the ownership moves on.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

/* unused: some things are opened only to be there until the end. */
#define AUTO(close) __attribute__((cleanup(close), unused))

#define TAKE(pointer)                                                                              \
    __extension__({                                                                                \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

/* For plain heap memory: AUTO(auto_free) char *text = malloc(n). The variable is a pointer of any
 * type, so its bytes are copied: to read it as a void * would break the aliasing rules. */
static inline void auto_free(void *variable)
{
    void *memory = NULL;

    memcpy(&memory, variable, sizeof(memory));
    free(memory);
    memory = NULL;
    memcpy(variable, &memory, sizeof(memory));
}
