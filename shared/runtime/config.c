#include "runtime/config.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_MAX_SIZE = 80, SHOWN_MAX = 40 /* of a refused value */ };

/* What the environment says about one row. */
struct found {
    char source[NAME_MAX_SIZE]; /* the variable that said it; "": none did */
    char *value;                /* owned */
};

static void found_free(struct found *found)
{
    free(found->value);
    found->value = NULL;
}

static void fd_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* only read from: nothing can be lost */
}

static const char *read_environment(const char *name)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this process writes the environment. */
    const char *value = getenv(name);

    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* A whole small file; its last line end is the editor's, not the value's. */
static bool read_value_file(const char *path, char **out_value, struct error *err)
{
    AUTO(auto_free) char *value = calloc(1, CONFIG_VALUE_MAX + 2);
    AUTO(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t got = 1;

    if (value == NULL)
        return error_set(err, ERROR_LIMIT, "%s: no memory", path);
    if (fd < 0)
        return error_set(err, ERROR_INVALID, "%s: %s", path, strerrordesc_np(errno));
    while (got > 0 && size <= CONFIG_VALUE_MAX) {
        got = read(fd, value + size, CONFIG_VALUE_MAX + 1 - size);
        if (got < 0)
            return error_set(err, ERROR_INVALID, "%s: %s", path, strerrordesc_np(errno));
        size += (size_t)got;
    }
    if (size > CONFIG_VALUE_MAX)
        return error_set(err, ERROR_INVALID, "%s: more than %d bytes", path, CONFIG_VALUE_MAX);
    if (strlen(value) != size)
        return error_set(err, ERROR_INVALID, "%s: holds a NUL byte", path);
    if (size > 0 && value[size - 1] == '\n')
        value[--size] = '\0';
    if (size > 0 && value[size - 1] == '\r')
        value[--size] = '\0';
    *out_value = TAKE(value);
    return true;
}

/* X_FILE, then X. */
static bool find_one(const char *name, struct found *out, struct error *err)
{
    char file_name[NAME_MAX_SIZE];
    const char *value = NULL;

    (void)snprintf(file_name, sizeof(file_name), "%s_FILE", name);
    value = read_environment(file_name);
    if (value != NULL) {
        memcpy(out->source, file_name, sizeof(out->source));
        return read_value_file(value, &out->value, err) || error_wrap(err, file_name);
    }
    value = read_environment(name);
    if (value == NULL)
        return true;
    if (strlen(value) > CONFIG_VALUE_MAX)
        return error_set(err, ERROR_INVALID, "%s: more than %d bytes", name, CONFIG_VALUE_MAX);
    (void)snprintf(out->source, sizeof(out->source), "%s", name);
    out->value = strdup(value);
    return out->value != NULL || error_set(err, ERROR_LIMIT, "%s: no memory", name);
}

/* The first of the row's names that has a value. */
static bool find_value(const struct option_row *row, struct found *out, struct error *err)
{
    const char *rest = row->name;
    char name[NAME_MAX_SIZE];

    while (rest != NULL && out->value == NULL) {
        const char *bar = strchr(rest, '|');
        int size = (int)(bar == NULL ? strlen(rest) : (size_t)(bar - rest));

        (void)snprintf(name, sizeof(name), "%.*s", size, rest);
        if (!find_one(name, out, err))
            return false;
        rest = bar == NULL ? NULL : bar + 1;
    }
    return true;
}

/* Digits with an optional minus and nothing else: no blanks, no plus, no unit. */
static bool parse_int(const char *text, int64_t *out)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    long long value = 0;

    if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits))
        return false;
    errno = 0;
    value = strtoll(text, NULL, 10);
    *out = value;
    return errno == 0;
}

static bool parse_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"on", "true", "1"};
    static const char *const no[] = {"off", "false", "0"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t size = strlen(text);

    if (strchr(text, '|') != NULL) /* two of the words are not one of them */
        return false;
    for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
        at += at != choices; /* past the bar */
        if (strncmp(at, text, size) == 0 && (at[size] == '|' || at[size] == '\0'))
            return true;
    }
    return false;
}

/* Fields are reached by memcpy: an offset is a number, and knows no alignment. */
static void store(void *settings, const struct option_row *row, const void *value, size_t size)
{
    memcpy((char *)settings + row->offset, value, size);
}

static bool store_string(const struct option_row *row, struct found *found, void *settings,
                         struct error *err)
{
    AUTO(auto_free) char *value = TAKE(found->value);

    if (value == NULL && row->default_text != NULL) {
        value = strdup(row->default_text);
        if (value == NULL)
            return error_set(err, ERROR_LIMIT, "%s: no memory", row->name);
    }
    if (value != NULL && row->kind == OPTION_KIND_CHOICE && !is_choice(row->choices, value))
        return error_set(err, ERROR_INVALID, "%s: \"%.*s\" is not one of %s", found->source,
                         SHOWN_MAX, value, row->choices);
    store(settings, row, &value, sizeof(value));
    (void)TAKE(value); /* the settings own it now */
    return true;
}

static bool store_int(const struct option_row *row, const struct found *found, void *settings,
                      struct error *err)
{
    int64_t value = row->default_int;

    if (found->value != NULL &&
        (!parse_int(found->value, &value) || value < row->min || value > row->max))
        return error_set(err, ERROR_INVALID,
                         "%s: \"%.*s\" is not an integer from %" PRId64 " to %" PRId64,
                         found->source, SHOWN_MAX, found->value, row->min, row->max);
    store(settings, row, &value, sizeof(value));
    return true;
}

static bool store_bool(const struct option_row *row, const struct found *found, void *settings,
                       struct error *err)
{
    bool value = row->default_int != 0;

    if (found->value != NULL && !parse_bool(found->value, &value))
        return error_set(err, ERROR_INVALID,
                         "%s: \"%.*s\" is not one of on, off, true, false, 1, 0", found->source,
                         SHOWN_MAX, found->value);
    store(settings, row, &value, sizeof(value));
    return true;
}

static bool load_row(const struct option_row *row, void *settings, struct error *err)
{
    AUTO(found_free) struct found found = {"", NULL};

    if (!find_value(row, &found, err))
        return false;
    if (row->kind == OPTION_KIND_INT)
        return store_int(row, &found, settings, err);
    if (row->kind == OPTION_KIND_BOOL)
        return store_bool(row, &found, settings, err);
    return store_string(row, &found, settings, err);
}

bool config_load(const struct option_row *rows, void *settings, struct error *err)
{
    for (const struct option_row *row = rows; row->kind != OPTION_KIND_END; row++) {
        if (!load_row(row, settings, err))
            return error_wrap(err, "config");
    }
    return true;
}

static bool is_string(const struct option_row *row);

static bool differs(const struct option_row *row, const char *a, const char *b)
{
    const size_t size = row->kind == OPTION_KIND_BOOL ? sizeof(bool) : sizeof(int64_t);
    char *texts[2];

    if (!is_string(row))
        return memcmp(a + row->offset, b + row->offset, size) != 0;
    memcpy(&texts[0], a + row->offset, sizeof(texts[0]));
    memcpy(&texts[1], b + row->offset, sizeof(texts[1]));
    return texts[0] == NULL || texts[1] == NULL ? texts[0] != texts[1]
                                                : strcmp(texts[0], texts[1]) != 0;
}

const struct option_row *config_find_frozen(const struct option_row *from, const void *settings,
                                            const void *fresh)
{
    for (const struct option_row *row = from; row->kind != OPTION_KIND_END; row++) {
        if (!row->is_reloadable && differs(row, settings, fresh))
            return row;
    }
    return NULL;
}

static bool is_string(const struct option_row *row)
{
    return row->kind == OPTION_KIND_STRING || row->kind == OPTION_KIND_SECRET ||
           row->kind == OPTION_KIND_CHOICE;
}

void config_free(const struct option_row *rows, void *settings)
{
    for (const struct option_row *row = rows; row->kind != OPTION_KIND_END; row++) {
        char *value = NULL;

        if (!is_string(row))
            continue;
        memcpy(&value, (const char *)settings + row->offset, sizeof(value));
        if (value != NULL && row->kind == OPTION_KIND_SECRET)
            explicit_bzero(value, strlen(value)); /* a secret does not outlive its use */
        free(value);
        value = NULL;
        store(settings, row, &value, sizeof(value));
    }
}
