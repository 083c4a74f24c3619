#include "check.h"

#include "base/auto.h"
#include "http/route_table.h"
#include <string.h>

static void handle(h2o_req_t *req, const struct route_match *match)
{
    (void)req;
    (void)match;
}

static const struct route routes[] = {
    {"GET", "/", handle, 0, 0},
    {"GET", "/api/v1/ads", handle, 0, 0},
    {"POST", "/api/v1/ads", handle, 100, ROUTE_BODY_JSON},
    {"GET", "/api/v1/ads/{id}", handle, 0, 0},
    {"PATCH", "/api/v1/ads/{id}", handle, 100, ROUTE_BODY_JSON},
    {"GET", "/api/v1/ads/analytics", handle, 0, 0},
    {"GET", "/api/v1/ads/{id}/t/{type}", handle, 0, 0},
    {"GET", "/api/v1/ads/{id}/{size}.gif", handle, 0, 0},
    {.path = NULL},
};

static struct route_table *table_of(const struct route *rows, struct error *err)
{
    struct route_table *table = route_table_new(rows, err);

    assert_ok(table != NULL);
    return table;
}

TEST(finds_the_row_of_a_path)
{
    static const struct {
        const char *path, *found, *first, *second;
    } rows[] = {
        {"/", "/", NULL, NULL},
        {"/api/v1/ads", "/api/v1/ads", NULL, NULL},
        {"/api/v1/ads/analytics", "/api/v1/ads/analytics", NULL, NULL},
        {"/api/v1/ads/ad-001", "/api/v1/ads/{id}", "ad-001", NULL},
        {"/api/v1/ads/a/t/start", "/api/v1/ads/{id}/t/{type}", "a", "start"},
        {"/api/v1/ads/a/1x1.gif", "/api/v1/ads/{id}/{size}.gif", "a", "1x1"},
        {"/api/v1/ads/a/.gif", NULL, NULL, NULL},
        {"/api/v1/ads/", NULL, NULL, NULL},
        {"/api/v1/ads//t/start", NULL, NULL, NULL},
        {"/api/v1/ads/a/", NULL, NULL, NULL},
        {"/api/v1/ads/a/t", NULL, NULL, NULL},
        {"/api/v1/ads/a/t/start/x", NULL, NULL, NULL},
        {"/api/v1/ad", NULL, NULL, NULL},
        {"/api/v1/adsx", NULL, NULL, NULL},
        {"//api/v1/ads", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
        {"*", NULL, NULL, NULL},
    };
    AUTO(route_table_free) struct route_table *table = table_of(routes, err);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        h2o_iovec_t segments[ROUTE_PARAMS_MAX] = {{NULL, 0}};
        const struct route_path *path =
            route_table_find(table, rows[i].path, strlen(rows[i].path), segments);
        const char *expected[] = {rows[i].first, rows[i].second};

        if (rows[i].found == NULL) {
            assert_null(path);
            continue;
        }
        assert_non_null(path);
        assert_string_equal(rows[i].found, path->text);
        for (size_t k = 0; k < 2 && expected[k] != NULL; k++) {
            assert_int_equal(strlen(expected[k]), segments[k].len);
            assert_memory_equal(expected[k], segments[k].base, segments[k].len);
        }
    }
}

static const struct route *find_method(const struct route_table *table, const char *path,
                                       const char *method)
{
    h2o_iovec_t segments[ROUTE_PARAMS_MAX] = {{NULL, 0}};

    return route_path_find_method(route_table_find(table, path, strlen(path), segments), method,
                                  strlen(method));
}

TEST(picks_the_method_and_lets_get_answer_head)
{
    AUTO(route_table_free) struct route_table *table = table_of(routes, err);

    assert_ptr_equal(&routes[2], find_method(table, "/api/v1/ads", "POST"));
    assert_ptr_equal(&routes[1], find_method(table, "/api/v1/ads", "GET"));
    assert_ptr_equal(&routes[1], find_method(table, "/api/v1/ads", "HEAD"));
    assert_null(find_method(table, "/api/v1/ads", "DELETE"));
    assert_null(find_method(table, "/api/v1/ads", "get"));
}

TEST(lists_what_a_path_allows)
{
    AUTO(route_table_free) struct route_table *table = table_of(routes, err);
    h2o_iovec_t segments[ROUTE_PARAMS_MAX] = {{NULL, 0}};

    assert_string_equal("GET, HEAD, POST, OPTIONS",
                        route_table_find(table, "/api/v1/ads", 11, segments)->allow);
    assert_string_equal("GET, HEAD, PATCH, OPTIONS",
                        route_table_find(table, "/api/v1/ads/x", 13, segments)->allow);
}

TEST(refuses_rows_that_contradict_each_other)
{
    static const struct route twice[] = {
        {"GET", "/a", handle, 0, 0}, {"GET", "/a", handle, 0, 0}, {.path = NULL}};
    static const struct route relative[] = {{"GET", "a", handle, 0, 0}, {.path = NULL}};
    static const struct route long_row[] = {{"GET", "/{a}/{b}/{c}/{d}", handle, 0, 0},
                                            {.path = NULL}};

    assert_fails(ERROR_INTERNAL, route_table_new(twice, err) != NULL);
    assert_fails(ERROR_INTERNAL, route_table_new(relative, err) != NULL);
    assert_fails(ERROR_INTERNAL, route_table_new(long_row, err) != NULL);
}

TEST(leaves_nothing_of_a_path_that_fitted_only_at_first)
{
    static const struct route rows[] = {{"GET", "/{a}/{b}/end", handle, 0, 0},
                                        {"GET", "/{a}/list/all", handle, 0, 0},
                                        {.path = NULL}};
    static const char path[] = "/1/list/all";
    AUTO(route_table_free) struct route_table *table = table_of(rows, err);
    h2o_iovec_t segments[ROUTE_PARAMS_MAX] = {{NULL, 0}};

    assert_non_null(route_table_find(table, path, strlen(path), segments));
    assert_int_equal(1, segments[0].len);
    assert_null(segments[1].base);
}

TESTS(RUN(finds_the_row_of_a_path), RUN(leaves_nothing_of_a_path_that_fitted_only_at_first),
      RUN(picks_the_method_and_lets_get_answer_head), RUN(lists_what_a_path_allows),
      RUN(refuses_rows_that_contradict_each_other))
