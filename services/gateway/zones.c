#include "zones.h"

#include "base/auto.h"
#include "runtime/auto_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 512 };

struct named {
    char name[ZONE_NAME_MAX + 1];
    struct zone *zone;
};

struct zones {
    const char *directory; /* while they are read */
    size_t count;
    struct named *rows; /* by name */
};

static bool read_directory(struct zones *self, const char *name, int depth);

/* False: no memory. */
static bool add(struct zones *self, const char *name)
{
    struct error err;
    struct zone *zone = zone_load(self->directory, name, &err);

    if (zone == NULL)
        return err.kind != ERROR_LIMIT;
    memcpy(self->rows[self->count].name, name, strlen(name) + 1);
    self->rows[self->count++].zone = zone;
    return true;
}

static bool take(struct zones *self, const char *name, int depth)
{
    char path[PATH_SIZE];
    struct stat link, file;

    if (self->count == ZONES_MAX || !zone_name_is_valid(name, strlen(name)))
        return true;
    (void)snprintf(path, sizeof(path), "%s/%s", self->directory, name);
    if (lstat(path, &link) != 0 || stat(path, &file) != 0)
        return true;
    if (S_ISDIR(link.st_mode))
        return depth == ZONES_DEPTH_MAX || read_directory(self, name, depth + 1);
    return !S_ISREG(file.st_mode) || add(self, name);
}

static bool read_directory(struct zones *self, const char *name, int depth)
{
    AUTO(auto_close_directory) DIR *directory = NULL;
    const struct dirent *entry = NULL;
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof(path), "%s/%s", self->directory, name);
    directory = opendir(path);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this call's own. */
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char inner[PATH_SIZE];

        (void)snprintf(inner, sizeof(inner), "%s%s%s", name, name[0] == '\0' ? "" : "/",
                       entry->d_name);
        if (!take(self, inner, depth))
            return false;
    }
    return true;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct named *)left)->name, ((const struct named *)right)->name);
}

struct zones *zones_new(const char *directory)
{
    AUTO(zones_free) struct zones *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->directory = directory;
    self->rows = calloc(ZONES_MAX, sizeof(*self->rows));
    if (self->rows == NULL || !read_directory(self, "", 1))
        return NULL;
    self->directory = NULL;
    qsort(self->rows, self->count, sizeof(*self->rows), by_name);
    return TAKE(self);
}

void zones_free(struct zones **zones)
{
    struct zones *self = *zones;

    if (self == NULL)
        return;
    for (size_t i = 0; i < self->count; i++)
        zone_free(&self->rows[i].zone);
    free(self->rows);
    free(self);
    *zones = NULL;
}

size_t zones_count(const struct zones *zones)
{
    return zones->count;
}

const struct zone *zones_find(const struct zones *zones, const char *name, size_t size_bytes,
                              struct error *err)
{
    const struct named *found = NULL;
    struct named wanted;

    if (!zone_name_is_valid(name, size_bytes)) {
        error_set(err, ERROR_INVALID, "zone: not the name of a time zone");
        return NULL;
    }
    memcpy(wanted.name, name, size_bytes);
    wanted.name[size_bytes] = '\0';
    found = bsearch(&wanted, zones->rows, zones->count, sizeof(*zones->rows), by_name);
    if (found != NULL)
        return found->zone;
    error_set(err, ERROR_INVALID, "zone: there is no time zone %s", wanted.name);
    return NULL;
}
