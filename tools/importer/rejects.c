#include "rejects.h"

#include "base/auto.h"
#include "base/text.h"
#include "json_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8 * JSON_RECORD_MAX };

struct rejects {
    FILE *file;       /* NULL: none was asked for */
    const char *path; /* borrowed */
    struct text line;
    int64_t count;
};

static bool fail(const struct rejects *self, struct error *err)
{
    return error_set(err, ERROR_UNAVAILABLE, "%s: %s", self->path, strerrordesc_np(errno));
}

struct rejects *rejects_open(const char *path, struct error *err)
{
    AUTO(rejects_close) struct rejects *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "no memory");
        return NULL;
    }
    self->path = path;
    text_init(&self->line, LINE_MAX_BYTES);
    if (path != NULL) {
        self->file = fopen(path, "we");
        if (self->file == NULL) {
            (void)fail(self, err);
            return NULL;
        }
    }
    return TAKE(self);
}

bool rejects_sync(struct rejects *rejects, struct error *err)
{
    if (rejects->file == NULL)
        return true;
    if (fflush(rejects->file) != 0)
        return fail(rejects, err);
    /* A pipe or a terminal has nothing to sync. */
    return fsync(fileno(rejects->file)) == 0 || errno == EINVAL || errno == EROFS ||
           fail(rejects, err);
}

void rejects_close(struct rejects **rejects)
{
    struct rejects *self = *rejects;

    if (self == NULL)
        return;
    if (self->file != NULL)
        (void)fclose(self->file); /* rejects_sync has told of a full disk */
    text_free(&self->line);
    free(self);
    *rejects = NULL;
}

static void add_member(struct text *line, const char *name, const char *value, size_t size)
{
    text_add_json_string(line, name, strlen(name));
    text_add_char(line, ':');
    text_add_json_string(line, value, size);
}

static void begin(struct rejects *self, const char *source, const char *place, const char *why)
{
    text_reset(&self->line);
    text_add_char(&self->line, '{');
    add_member(&self->line, "source", source, strlen(source));
    text_add_char(&self->line, ',');
    add_member(&self->line, "place", place, strlen(place));
    text_add_char(&self->line, ',');
    add_member(&self->line, "reason", why, strlen(why));
    text_add_str(&self->line, ",\"record\":");
}

static bool finish(struct rejects *self, const char *source, const char *place, const char *why,
                   struct error *err)
{
    self->count++;
    if (self->file == NULL) {
        if (self->count <= REJECTS_SHOWN_MAX)
            (void)fprintf(stderr, "rejected: %s, %s: %s\n", source, place, why);
        return true;
    }
    text_add_str(&self->line, "}\n");
    if (!text_ok(&self->line))
        return error_set(err, ERROR_LIMIT, "no memory for a rejected record");
    if (fwrite(self->line.bytes, 1, self->line.size, self->file) != self->line.size)
        return fail(self, err);
    return true;
}

static void add_values(struct text *line, const struct field_table *fields,
                       const struct record_value *values)
{
    const char *lead = "{";

    for (size_t i = 0; i < fields->field_count; i++) {
        if (values[i].text == NULL)
            continue;
        text_add_str(line, lead);
        add_member(line, fields->fields[i].name, values[i].text, values[i].size);
        lead = ",";
    }
    text_add_str(line, lead[0] == '{' ? "{}" : "}");
}

/* What is JSON stays JSON; the rest, and what is far too long, becomes a string. */
static void add_raw(struct text *line, const struct item *item)
{
    AUTO(json_record_free) struct json_record json = {.roots = {NULL, NULL}};
    struct error ignored;
    size_t size = item->raw_size > JSON_RECORD_MAX ? JSON_RECORD_MAX : item->raw_size;

    (void)!json_record_read(item->raw, item->raw_size, &json, &ignored);
    if (json_is_object(json.roots[0]))
        text_add(line, item->raw, item->raw_size);
    else
        text_add_json_string(line, item->raw, size);
}

bool rejects_add(struct rejects *rejects, const char *source, const struct item *item,
                 const char *why, struct error *err)
{
    begin(rejects, source, item->place, why);
    if (item->raw != NULL)
        add_raw(&rejects->line, item);
    else
        add_values(&rejects->line, &click_fields, item->record->values);
    return finish(rejects, source, item->place, why, err);
}

bool rejects_add_ad(struct rejects *rejects, size_t row, const char *const values[AD_FIELD_COUNT],
                    const char *why, struct error *err)
{
    struct record_value views[AD_FIELD_COUNT];
    char place[64];

    for (size_t i = 0; i < AD_FIELD_COUNT; i++)
        views[i] = (struct record_value){values[i], values[i] == NULL ? 0 : strlen(values[i])};
    snprintf(place, sizeof(place), "row %zu", row);
    begin(rejects, "ads", place, why);
    add_values(&rejects->line, &ad_fields, views);
    return finish(rejects, "ads", place, why, err);
}

int64_t rejects_count(const struct rejects *rejects)
{
    return rejects->count;
}
