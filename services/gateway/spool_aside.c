#include "spool_aside.h"

#include "base/auto.h"
#include "runtime/auto_file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK    ".damaged-"
#define RESCUED ".rescued"
#define LOG     "-wal"

enum { DIGITS_MAX = 18 }; /* of a number that an int64_t holds */

static DIR *open_directory_of(const char *path, const char **out_name)
{
    char directory[SPOOL_ASIDE_PATH_MAX];
    const char *slash = strrchr(path, '/');

    *out_name = slash == NULL ? path : slash + 1;
    (void)snprintf(directory, sizeof(directory), "%.*s", slash == NULL ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path);
    return opendir(directory);
}

/* The number in "<name><MARK><number><suffix>", or -1. */
static int64_t number_in(const char *entry, const char *name, const char *suffix)
{
    size_t size = strlen(name);
    const char *digits;
    size_t count;

    if (strncmp(entry, name, size) != 0 || strncmp(entry + size, MARK, strlen(MARK)) != 0)
        return -1;
    digits = entry + size + strlen(MARK);
    count = strspn(digits, "0123456789");
    if (count == 0 || count > DIGITS_MAX || strcmp(digits + count, suffix) != 0)
        return -1;
    return strtoll(digits, NULL, 10);
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

static void list(const char *path, const char *suffix, struct spool_asides *out)
{
    const char *name = NULL;
    AUTO(auto_close_directory) DIR *directory = open_directory_of(path, &name);
    const struct dirent *entry;

    out->count = 0;
    if (directory == NULL)
        return;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this call's own. */
    while (out->count < SPOOL_ASIDE_LIST_MAX && (entry = readdir(directory)) != NULL) {
        int64_t at_ms = number_in(entry->d_name, name, suffix);

        if (at_ms >= 0)
            out->at_ms[out->count++] = at_ms;
    }
    qsort(out->at_ms, out->count, sizeof(out->at_ms[0]), compare);
}

void spool_aside_list(const char *path, struct spool_asides *out)
{
    list(path, "", out);
}

static void name_with(const char *path, int64_t at_ms, const char *suffix,
                      char out[SPOOL_ASIDE_PATH_MAX])
{
    (void)snprintf(out, SPOOL_ASIDE_PATH_MAX, "%s" MARK "%" PRId64 "%s", path, at_ms, suffix);
}

void spool_aside_name(const char *path, int64_t at_ms, char out[SPOOL_ASIDE_PATH_MAX])
{
    name_with(path, at_ms, "", out);
}

static bool is_there(const char *path, int64_t at_ms, const char *suffix)
{
    char name[SPOOL_ASIDE_PATH_MAX];

    name_with(path, at_ms, suffix, name);
    return access(name, F_OK) == 0;
}

static bool is_free(const char *path, int64_t at_ms)
{
    return !is_there(path, at_ms, "") && !is_there(path, at_ms, LOG) &&
           !is_there(path, at_ms, RESCUED);
}

/* The log of the spool's file becomes that of the file aside. True: it is there, or there is none.
 */
static bool move_log(const char *path, int64_t at_ms)
{
    char log[SPOOL_ASIDE_PATH_MAX];
    char log_aside[SPOOL_ASIDE_PATH_MAX];

    (void)snprintf(log, sizeof(log), "%s" LOG, path);
    name_with(path, at_ms, LOG, log_aside);
    return rename(log, log_aside) == 0 || errno == ENOENT;
}

bool spool_aside_move(const char *path, int64_t *at_ms, struct error *err)
{
    struct spool_asides waiting;
    char aside[SPOOL_ASIDE_PATH_MAX];

    spool_aside_list(path, &waiting);
    if (waiting.count >= SPOOL_ASIDE_MAX)
        return error_set(err, ERROR_LIMIT, "spool: %zu damaged files beside %s wait to be rescued",
                         waiting.count, path);
    while (!is_free(path, *at_ms))
        ++*at_ms;
    spool_aside_name(path, *at_ms, aside);
    if (rename(path, aside) != 0 || !move_log(path, *at_ms))
        return error_set(err, ERROR_UNAVAILABLE, "spool: cannot set %s aside: %s", path,
                         strerrordesc_np(errno));
    return true;
}

/* A log without a file can only be the newest aside's: SQLite would throw it away. */
void spool_aside_end_move(const char *path)
{
    struct spool_asides waiting;

    if (access(path, F_OK) == 0 || errno != ENOENT)
        return;
    spool_aside_list(path, &waiting);
    if (waiting.count > 0 && !is_there(path, waiting.at_ms[waiting.count - 1], LOG))
        (void)move_log(path, waiting.at_ms[waiting.count - 1]);
}

static void remove_with(const char *path, int64_t at_ms, const char *suffix)
{
    char name[SPOOL_ASIDE_PATH_MAX];

    name_with(path, at_ms, suffix, name);
    (void)unlink(name); /* it is looked for again with the next one */
}

bool spool_aside_mark(const char *path, int64_t at_ms, struct error *err)
{
    struct spool_asides rescued;
    char aside[SPOOL_ASIDE_PATH_MAX];
    char marked[SPOOL_ASIDE_PATH_MAX];
    char log[SPOOL_ASIDE_PATH_MAX];
    char marked_log[SPOOL_ASIDE_PATH_MAX];

    spool_aside_name(path, at_ms, aside);
    name_with(path, at_ms, RESCUED, marked);
    name_with(path, at_ms, LOG, log);
    name_with(path, at_ms, RESCUED LOG, marked_log);
    if (rename(aside, marked) != 0)
        return error_set(err, ERROR_UNAVAILABLE, "spool: cannot mark %s as rescued: %s", aside,
                         strerrordesc_np(errno));
    (void)rename(log, marked_log); /* there need be none */
    list(path, RESCUED, &rescued);
    for (size_t i = 0; i + SPOOL_ASIDE_MAX < rescued.count; i++) {
        remove_with(path, rescued.at_ms[i], RESCUED LOG);
        remove_with(path, rescued.at_ms[i], LOG);
        remove_with(path, rescued.at_ms[i], RESCUED);
    }
    return true;
}
