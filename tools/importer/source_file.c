#include "source_file.h"

#include "base/auto.h"
#include "json_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PLACE_SIZE = 40 };

struct lines {
    FILE *file;
    const char *name; /* borrowed from the command line */
    off_t end;        /* the file's size when it was opened */
    char *line;       /* getline's */
    size_t capacity;
};

struct lines *lines_open(const char *path, struct error *err)
{
    AUTO(lines_close) struct lines *self = calloc(1, sizeof(*self));
    const char *slash = strrchr(path, '/');
    struct stat status;

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "no memory");
        return NULL;
    }
    self->name = slash == NULL ? path : slash + 1;
    self->file = fopen(path, "re");
    if (self->file == NULL || fstat(fileno(self->file), &status) != 0) {
        error_set(err, ERROR_INVALID, "%s: %s", path, strerrordesc_np(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(err, ERROR_INVALID, "%s: not a plain file; it is read twice", path);
        return NULL;
    }
    self->end = status.st_size;
    return TAKE(self);
}

void lines_close(struct lines **lines)
{
    struct lines *self = *lines;

    if (self == NULL)
        return;
    if (self->file != NULL)
        (void)fclose(self->file); /* only read from */
    free(self->line);
    free(self);
    *lines = NULL;
}

const char *lines_name(const struct lines *lines)
{
    return lines->name;
}

static bool give(const char *text, size_t size, size_t number, item_fn each, void *ctx,
                 struct error *err)
{
    AUTO(json_record_free) struct json_record json = {.roots = {NULL, NULL}};
    char place[PLACE_SIZE];
    struct error why = {0};
    struct item item = {.place = place, .raw = text, .raw_size = size};

    snprintf(place, sizeof(place), "line %zu", number);
    if (json_record_read(text, size, &json, &why))
        item.record = &json.record;
    item.why = why.text;
    return each(ctx, &item, err);
}

static size_t trimmed_size(const char *line, size_t size)
{
    while (size > 0 && strchr("\r\n \t", line[size - 1]) != NULL && line[size - 1] != '\0')
        size--;
    return size;
}

bool lines_read(void *lines, item_fn each, void *ctx, struct error *err)
{
    struct lines *self = lines;
    size_t number = 0;
    off_t at = 0;

    rewind(self->file);
    while (at < self->end) {
        ssize_t got = getline(&self->line, &self->capacity, self->file);
        size_t size = 0;

        if (got < 0)
            return error_set(err, ERROR_UNAVAILABLE, "%s: became shorter while it was read",
                             self->name);
        at += got;
        number++;
        size = trimmed_size(self->line, (size_t)got);
        if (size > 0 && !give(self->line, size, number, each, ctx, err))
            return false;
    }
    return true;
}
