/*
 * check.h — cmocka with the house's spelling
 *
 * TEST(name) { body } defines a test; its name is a sentence about behaviour. TESTS(RUN(name), ...)
 * lists them and is main. Inside a test `err` is a struct error * ready for use.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

#define TEST(name)                                                                                 \
    static void name##_body(struct error *err);                                                    \
    static void name(void **state)                                                                 \
    {                                                                                              \
        struct error error = {ERROR_NONE, ""};                                                     \
                                                                                                   \
        (void)state;                                                                               \
        name##_body(&error);                                                                       \
    }                                                                                              \
    static void name##_body(struct error *err __attribute__((unused)))

#define TESTS(...)                                                                                 \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
                                                                                                   \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

#define RUN(name) cmocka_unit_test(name)

/* Functions rather than blocks: a test's own nesting is all that a reader has to follow. */
static inline void check_ok(bool is_ok, const char *call, const struct error *err, const char *file,
                            int line)
{
    if (is_ok)
        return;
    print_error("%s: %s\n", call, err->text);
    _fail(file, line);
}

static inline void check_fails(enum error_kind expected, bool is_ok, const char *call,
                               const struct error *err, const char *file, int line)
{
    if (!is_ok && err->kind == expected)
        return;
    print_error("%s: is %s (%s), not %s\n", call, is_ok ? "ok" : error_kind_name(err->kind),
                err->text, error_kind_name(expected));
    _fail(file, line);
}

/* NOLINTBEGIN(readability-identifier-naming): they stand beside cmocka's own assert_x. */

/* The call succeeds; otherwise the error's text is shown. */
#define assert_ok(call) check_ok((call), #call, err, __FILE__, __LINE__)

/* The call fails with this kind. */
#define assert_fails(expected, call) check_fails((expected), (call), #call, err, __FILE__, __LINE__)

/* NOLINTEND(readability-identifier-naming) */
