#include "sources.h"

#include "clients/endpoint.h"
#include "clients/redis.h"

enum { REDIS_CONNECT_MS = 10 * 1000, REDIS_COMMAND_MS = 60 * 1000 };

static void add(struct sources *self, const char *name, void *source,
                bool (*read)(void *self, item_fn each, void *ctx, struct error *err))
{
    self->rows[self->count++] = (struct source){.name = name, .self = source, .read = read};
}

static bool open_tables(struct sources *self, const char *url, struct text *out_words,
                        struct error *err)
{
    self->postgres = endpoint_new(url, err);
    if (self->postgres != NULL)
        self->tables = tables_open(self->postgres, out_words, err);
    if (self->tables == NULL)
        return error_wrap(err, "--postgres");
    add(self, "clicks", self->tables, tables_read_clicks);
    return true;
}

static bool open_lines(struct sources *self, const char *path, struct error *err)
{
    self->lines = lines_open(path, err);
    if (self->lines == NULL)
        return error_wrap(err, "--jsonl");
    add(self, lines_name(self->lines), self->lines, lines_read);
    return true;
}

static bool open_lists(struct sources *self, const char *url, struct error *err)
{
    static const char *const names[LISTS] = {"click_queue", "click_dead"};

    self->redis_endpoint = endpoint_new(url, err);
    if (self->redis_endpoint != NULL)
        self->redis = redis_new(&(struct redis_options){.endpoint = self->redis_endpoint,
                                                        .connect_ms = REDIS_CONNECT_MS,
                                                        .command_ms = REDIS_COMMAND_MS},
                                err);
    if (self->redis == NULL)
        return error_wrap(err, "--redis");
    for (size_t i = 0; i < LISTS; i++) {
        self->lists[i] = list_new(self->redis, names[i], err);
        if (self->lists[i] == NULL)
            return error_wrap(err, "--redis");
        add(self, names[i], self->lists[i], list_read);
    }
    return true;
}

bool sources_open(struct sources *sources, const struct settings *settings, struct text *out_words,
                  struct error *err)
{
    if (settings->postgres_url != NULL &&
        !open_tables(sources, settings->postgres_url, out_words, err))
        return false;
    if (settings->jsonl_path != NULL && !open_lines(sources, settings->jsonl_path, err))
        return false;
    return settings->redis_url == NULL || open_lists(sources, settings->redis_url, err);
}

void sources_close(struct sources *sources)
{
    tables_close(&sources->tables);
    lines_close(&sources->lines);
    for (size_t i = 0; i < LISTS; i++)
        list_free(&sources->lists[i]);
    redis_close(&sources->redis);
    endpoint_free(&sources->postgres);
    endpoint_free(&sources->redis_endpoint);
    sources->count = 0;
}
