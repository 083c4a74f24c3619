/*
 * temp_dir.h — a directory of a test's own, gone with the test
 *
 *   AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
 *
 * Flat: it removes the files in it, not directories.
 */
#pragma once

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEMP_PATH_SIZE = 300 };

struct temp_dir {
    char path[64];
};

static inline struct temp_dir temp_dir_new(void)
{
    struct temp_dir dir = {"/tmp/adledger-test-XXXXXX"};

    assert_non_null(mkdtemp(dir.path));
    return dir;
}

static inline void temp_dir_remove(struct temp_dir *dir)
{
    DIR *entries = opendir(dir->path);
    struct dirent *entry = NULL;

    if (entries == NULL)
        return;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this call's own. */
    while ((entry = readdir(entries)) != NULL) {
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
    }
    (void)closedir(entries);
    (void)rmdir(dir->path);
}

/* The path of a file in it; the text lives in out. */
static inline const char *temp_dir_path(const struct temp_dir *dir, const char *name,
                                        char out[TEMP_PATH_SIZE])
{
    (void)snprintf(out, TEMP_PATH_SIZE, "%s/%s", dir->path, name);
    return out;
}

static inline void temp_file_write(const char *path, const char *bytes, size_t size_bytes)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size_bytes, file), size_bytes);
    assert_int_equal(fclose(file), 0);
}

/* The whole file as a string, owned by the caller; NULL: there is none. */
static inline char *temp_file_read(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t capacity = 0;
    ssize_t size = 0;

    if (file == NULL)
        return NULL;
    size = getdelim(&text, &capacity, '\0', file);
    (void)fclose(file);
    if (size < 0) {
        free(text);
        return strdup("");
    }
    return text;
}
