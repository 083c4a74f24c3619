/*
 * board.h — all ads' numbers, sorted by clicks: one snapshot for all who ask
 *
 * Why:     a board needs every ad of the catalogue. It is read once for all requests that arrive
 *          meanwhile, and never so often that reading boards becomes what the gateway does.
 * Shape:   a board by (timeframe, zone). It is read ad by ad, BOARD_CHUNK at a time, so that the
 *          loop serves others in between; the finished rows replace the old ones at once.
 *
 *            EMPTY --asked for--> READING --last ad--> READY --older than cache_ms--> READING
 *
 *          A new reading begins not before BOARD_REST times what the last one took. Until then,
 *          and while rows that are not much older are at hand, these are served; as_of tells.
 * Errors:  a reading that fails keeps the old rows; who waits for it is answered 503.
 * Limits:  BOARDS_MAX boards; board_room.h tells which, and whose request is answered 503 instead.
 * Threads: the loop's.
 */
#pragma once

#include "analytics_json.h"
#include "query_spec.h"

#include <h2o.h>

enum { BOARD_CHUNK = 32 };

struct boards;
struct query;

enum board_shape { BOARD_V1, BOARD_LEGACY_LIST, BOARD_LEGACY_MAP };

struct boards *boards_new(struct query *query); /* NULL: no memory */
void boards_free(struct boards **boards);

/* Answers now or later; spec names no ad. */
void boards_serve(struct boards *boards, h2o_req_t *req, const struct query_spec *spec,
                  enum board_shape shape);
/* At the end of every turn: counts the places in use, which fall idle by themselves. */
void boards_turn(struct boards *boards, int64_t now_ms);

/* The most clicks first, equal ones by id. */
void board_sort(struct board_row *rows, size_t count);
/* The page after the cursor; rows are sorted. */
void board_find_page(const struct board_row *rows, size_t count, const struct board_cursor *after,
                     size_t limit, struct board_page *out);
