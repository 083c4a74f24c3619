/*
 * config.h — settings by environment, from one table per service
 *
 * Why:     loading, --help, --check-config and docs/configuration.md are read off the same rows.
 * Shape:   NAME may list older names after it, in order of precedence: "HTTP_PORT|PORT". For every
 *          name X, X_FILE names a file that holds the value and wins over X. An empty value counts
 *          as not set, as compose files pass it for what nobody has set.
 * Errors:  ERROR_INVALID names the variable, its value (never a secret's) and what is allowed.
 * Memory:  strings are owned by the settings struct until config_free; a FIELD of a string row is
 *          `char *`, of an integer row `int64_t`, of a bool row `bool`.
 * Limits:  a value has at most CONFIG_VALUE_MAX bytes.
 * Threads: before others start, and by the reloader: nothing in the process writes the environment.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_VALUE_MAX = 65536 };

enum option_kind {
    OPTION_KIND_END,
    OPTION_KIND_STRING,
    OPTION_KIND_SECRET,
    OPTION_KIND_INT,
    OPTION_KIND_BOOL,
    OPTION_KIND_CHOICE
};

/* What a row means to more than its service: where a health check finds the service. */
enum option_use { OPTION_USE_OWN, OPTION_USE_LISTEN_HOST, OPTION_USE_LISTEN_PORT };

struct option_row {
    enum option_kind kind;
    enum option_use use;
    const char *name;              /* "NATS_URL", or "HTTP_PORT|PORT" with older names */
    size_t offset;                 /* of the field in the service's struct settings */
    const char *default_text;      /* strings; NULL: no default, stays NULL when unset */
    const char *choices;           /* "debug|info|warn|error": one of these, kept as a string */
    int64_t default_int, min, max; /* integers, bools (0/1) */
    const char *help;              /* one line, with the unit */
    bool is_reloadable;            /* a running process takes it up again; see reloader.h */
};

#define FIELD(member) offsetof(struct settings, member)
/* What a row consists of, by kind. */
#define OPTION_FIELDS_STRING(name_, field_, default_, help_)                                       \
    .kind = OPTION_KIND_STRING, .name = (name_), .offset = (field_), .default_text = (default_),   \
    .help = (help_)
#define OPTION_FIELDS_CHOICE(name_, field_, default_, choices_, help_)                             \
    .kind = OPTION_KIND_CHOICE, .name = (name_), .offset = (field_), .default_text = (default_),   \
    .choices = (choices_), .help = (help_)
#define OPTION_FIELDS_SECRET(name_, field_, help_)                                                 \
    .kind = OPTION_KIND_SECRET, .name = (name_), .offset = (field_), .help = (help_)
#define OPTION_FIELDS_INT(name_, field_, default_, min_, max_, help_)                              \
    .kind = OPTION_KIND_INT, .name = (name_), .offset = (field_), .default_int = (default_),       \
    .min = (min_), .max = (max_), .help = (help_)
#define OPTION_FIELDS_BOOL(name_, field_, default_, help_)                                         \
    .kind = OPTION_KIND_BOOL, .name = (name_), .offset = (field_), .default_int = (default_),      \
    .max = 1, .help = (help_)

#define OPTION_STRING(...)                                                                         \
    {                                                                                              \
        OPTION_FIELDS_STRING(__VA_ARGS__)                                                          \
    }
#define OPTION_CHOICE(...)                                                                         \
    {                                                                                              \
        OPTION_FIELDS_CHOICE(__VA_ARGS__)                                                          \
    }
#define OPTION_SECRET(...)                                                                         \
    {                                                                                              \
        OPTION_FIELDS_SECRET(__VA_ARGS__)                                                          \
    }
#define OPTION_INT(...)                                                                            \
    {                                                                                              \
        OPTION_FIELDS_INT(__VA_ARGS__)                                                             \
    }
#define OPTION_BOOL(...)                                                                           \
    {                                                                                              \
        OPTION_FIELDS_BOOL(__VA_ARGS__)                                                            \
    }
/* RELOADABLE(INT, "NAME", ...): a row that a running process takes up again on SIGHUP. */
#define RELOADABLE(kind_, ...)                                                                     \
    {                                                                                              \
        OPTION_FIELDS_##kind_(__VA_ARGS__), .is_reloadable = true                                  \
    }
#define OPTION_LISTEN_HOST(name_, field_, default_, help_)                                         \
    {                                                                                              \
        .kind = OPTION_KIND_STRING, .use = OPTION_USE_LISTEN_HOST, .name = (name_),                \
        .offset = (field_), .default_text = (default_), .help = (help_)                            \
    }
#define OPTION_LISTEN_PORT(name_, field_, default_, help_)                                         \
    {                                                                                              \
        .kind = OPTION_KIND_INT, .use = OPTION_USE_LISTEN_PORT, .name = (name_),                   \
        .offset = (field_), .default_int = (default_), .min = 1, .max = 65535, .help = (help_)     \
    }
#define OPTION_END                                                                                 \
    {                                                                                              \
        .kind = OPTION_KIND_END                                                                    \
    }

/* Fills settings from the environment. Call config_free whatever it returns. */
MUST_CHECK bool config_load(const struct option_row *rows, void *settings, struct error *err);
/* The first row, from `from` on, that a running process cannot take up and whose values differ;
 * NULL: there is none. */
const struct option_row *config_find_frozen(const struct option_row *from, const void *settings,
                                            const void *fresh);
void config_free(const struct option_row *rows, void *settings);

/*
 * Handles the command line that all services share: --help prints the table, --check-config loads
 * and reports, --health-check asks the running process whether it is ready (the rows made by
 * OPTION_LISTEN_HOST and OPTION_LISTEN_PORT say where), --markdown prints the table for
 * docs/configuration.md, --version. True: go on and run; false: done, exit with *out_status. An
 * argument that it does not know is an error, so a service with one of its own takes it out first.
 */
MUST_CHECK bool config_command_line(int argc, char **argv, const char *service,
                                    const struct option_row *rows, void *settings, int *out_status);
