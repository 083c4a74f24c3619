/*
 * route_table.h — which row of a route table answers a path
 *
 * Why:     the hot paths are literal, so they are one hash lookup; the few with {segments} are
 *          compared one by one, and only when no literal path fits.
 * Shape:   pure; built once from a table that ends with {.path = NULL}, then only read.
 * Errors:  ERROR_INTERNAL names a row that can never be reached or breaks a limit.
 * Memory:  the rows and their strings are borrowed for the table's life.
 * Threads: any, once built.
 */
#pragma once

#include "base/error.h"
#include "http/routes.h"

enum { ROUTE_METHODS_MAX = 5, ROUTE_ALLOW_MAX = 64 };

/* All rows of one path. */
struct route_path {
    const char *text; /* the template as written: "/api/v1/ads/{id}" */
    size_t size_bytes;
    size_t index; /* 0 .. route_table_path_count - 1, for metrics */
    bool is_template;
    size_t route_count;
    const struct route *routes[ROUTE_METHODS_MAX];
    char allow[ROUTE_ALLOW_MAX]; /* the Allow header: "GET, HEAD, OPTIONS" */
    size_t allow_size;
};

struct route_table;

struct route_table *route_table_new(const struct route *routes, struct error *err);
void route_table_free(struct route_table **table);

/* NULL: nothing is at this path. out_segments are the raw {segments}, not decoded yet. */
const struct route_path *route_table_find(const struct route_table *table, const char *path,
                                          size_t size_bytes,
                                          h2o_iovec_t out_segments[ROUTE_PARAMS_MAX]);

/* NULL: the path does not take the method. GET also answers HEAD. */
const struct route *route_path_find_method(const struct route_path *path, const char *method,
                                           size_t size_bytes);

size_t route_table_path_count(const struct route_table *table);
const struct route_path *route_table_get_path(const struct route_table *table, size_t index);
