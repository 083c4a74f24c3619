/*
 * One board, from the request to the page:
 *
 *   boards_serve  find or make the board: fresh enough -> respond; else read, and wait or not;
 *                 or refuse it, if there is no room for one more
 *   begin         take the catalogue's snapshot and the moment, start the first asks
 *   on_read       one ad's numbers: a row; start the next ask
 *   read_all      without Redis: all ads at once, from PostgreSQL's threads; on_rows: their rows
 *   finish        sort, replace the old rows, respond to all who wait
 *
 * The rows that are being read belong to the reading until finish; a failure drops them.
 */
#include "board.h"

#include "ask.h"
#include "base/auto.h"
#include "board_room.h"
#include "http/respond.h"
#include "metrics.h"
#include "query.h"
#include "query_meta.h"
#include "query_sql.h"
#include "runtime/log.h"
#include "waiters.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROW_BYTES_MAX = 2048,
    PAGE_BYTES = 64 * 1024, /* what is not rows */
    OLD_FACTOR = 2,         /* rows this many times older than they need be are not served */
    LEGACY_ROWS_MAX = 10000,
    COUNT_MS = 1000,
};

/* One of the reading's asks. */
struct slot {
    struct ask ask;
    struct board *board;
    size_t index; /* of the ad in the catalogue */
};

struct reading {
    const struct catalogue_snapshot *catalogue; /* owned reference: the rows borrow the ids */
    struct board_row *rows;
    size_t count;
    size_t next, asked; /* ads: not yet asked for, and under way */
    struct zone_day today;
    struct ad_numbers totals;
    struct freshness freshness;
    struct error error;         /* the first failure */
    struct query_job job;       /* without Redis */
    struct ad_numbers *numbers; /* the job's, by the ads' places */
    int64_t started_ms, as_of_ms;
};

struct board {
    struct board_place *place; /* of the room, for as long as the board is the same */
    struct boards *owner;
    struct slot *slots; /* while reading */
    struct reading coming, rows;
    struct reading_meta meta;
    int64_t due_ms;
    struct waiters waiters;
    h2o_iovec_t first_page; /* the v1 page of the default limit, made once */
};

struct boards {
    struct query *query;
    struct board_room room;
    struct board boards[BOARDS_MAX]; /* by the room's places */
    int64_t in_use;                  /* its part of the gateway's */
    int64_t count_at_ms;
};

static bool begin(struct board *board, const struct zone *zone, struct error *err);
static void ask_more(struct board *board);
static void on_read(void *ctx, const struct ask_result *result, const struct error *error);
static bool read_all(struct board *board);
static void on_rows(struct query_job *job);
static void finish(struct board *board);

struct boards *boards_new(struct query *query)
{
    struct boards *boards = calloc(1, sizeof(*boards));

    if (boards == NULL)
        return NULL;
    boards->query = query;
    for (size_t i = 0; i < BOARDS_MAX; i++)
        waiters_init(&boards->boards[i].waiters);
    return boards;
}

static void drop_reading(struct reading *reading)
{
    catalogue_drop(&reading->catalogue);
    free(reading->rows);
    free(reading->numbers);
    *reading = (struct reading){0};
}

static void drop_page(struct board *board)
{
    if (board->first_page.base != NULL)
        (void)h2o_mem_release_shared(board->first_page.base);
    board->first_page = (h2o_iovec_t){NULL, 0};
}

static void drop_board(struct board *board)
{
    drop_page(board);
    drop_reading(&board->coming);
    drop_reading(&board->rows);
    free(board->slots);
    *board = (struct board){0};
    waiters_init(&board->waiters);
}

void boards_free(struct boards **boards)
{
    if (*boards == NULL)
        return;
    for (size_t i = 0; i < BOARDS_MAX; i++)
        drop_board(&(*boards)->boards[i]);
    free(*boards);
    *boards = NULL;
}

static void refuse(h2o_req_t *req, const struct board_verdict *verdict)
{
    struct faults faults = {0};

    gateway_count_by(GATEWAY_boards_refused_total, (size_t)verdict->refusal, 1);
    fault_add(&faults, FAULT_OVERLOADED, "", "too many different boards");
    respond_faults(req, &faults, (int)((verdict->wait_ms + 999) / 1000));
}

/* NULL: refused, and answered. */
static struct board *find(struct boards *self, h2o_req_t *req, const struct query_spec *spec)
{
    struct board_verdict verdict = board_room_take(&self->room, spec, self->query->now_ms);
    struct board *board = NULL;

    if (verdict.place == NULL) {
        refuse(req, &verdict);
        return NULL;
    }
    board = &self->boards[verdict.place - self->room.places];
    if (!verdict.place->has_rows && !verdict.place->is_reading) {
        drop_board(board); /* the place's former one */
        board->owner = self;
        board->place = verdict.place;
    }
    return board;
}

static void render(struct text *text, const struct board *board, const struct board_page *page,
                   enum board_shape shape)
{
    switch (shape) {
    case BOARD_V1:
        analytics_json_board(text, page, &board->meta);
        break;
    case BOARD_LEGACY_LIST:
        legacy_json_list(text, page);
        break;
    case BOARD_LEGACY_MAP:
        legacy_json_map(text, page);
        break;
    }
}

static bool is_first_page(const struct query_spec *spec, enum board_shape shape)
{
    return shape == BOARD_V1 && spec->limit == SPEC_LIMIT_DEFAULT && !spec->cursor.is_set;
}

/* The earlier clients know no pages: without a limit they get all that there may be. */
static size_t limit_of(const struct query_spec *spec, enum board_shape shape)
{
    return shape == BOARD_V1 || spec->has_limit ? (size_t)spec->limit : LEGACY_ROWS_MAX;
}

/* base NULL: no memory. */
static h2o_iovec_t make_page(const struct board *board, const struct query_spec *spec,
                             enum board_shape shape)
{
    AUTO(text_free) struct text text;
    struct board_page page = {.totals = &board->rows.totals};

    board_find_page(board->rows.rows, board->rows.count, &spec->cursor, limit_of(spec, shape),
                    &page);
    text_init(&text, PAGE_BYTES + page.count * ROW_BYTES_MAX);
    render(&text, board, &page, shape);
    return text_ok(&text) ? waiters_share(&text) : (h2o_iovec_t){NULL, 0};
}

static void respond(struct board *board, h2o_req_t *req, const struct query_spec *spec,
                    enum board_shape shape)
{
    bool is_kept = is_first_page(spec, shape);
    h2o_iovec_t body = is_kept ? board->first_page : (h2o_iovec_t){NULL, 0};

    if (body.base == NULL)
        body = make_page(board, spec, shape);
    if (body.base == NULL) {
        respond_fault(req, FAULT_INTERNAL, "", "the answer could not be put together");
        return;
    }
    waiters_respond(req, body);
    if (is_kept)
        board->first_page = body;
    else
        (void)h2o_mem_release_shared(body.base); /* the request has its own reference */
}

/* Rows that may be served although newer ones are wanted. */
static bool is_recent(const struct board *board, int64_t now_ms)
{
    int64_t age_ms = now_ms - board->rows.started_ms;
    int64_t rest_ms = board->due_ms - board->rows.started_ms;

    return board->place->has_rows && (now_ms < board->due_ms || age_ms < OLD_FACTOR * rest_ms);
}

void boards_serve(struct boards *boards, h2o_req_t *req, const struct query_spec *spec,
                  enum board_shape shape)
{
    struct query *query = boards->query;
    struct error err = {0};
    /* Before a place is taken: a zone that does not exist has no board. */
    const struct zone *zone =
        zones_find(query->options.zones, spec->zone, strlen(spec->zone), &err);
    struct board *board = NULL;

    if (zone == NULL) {
        respond_fault(req, FAULT_INVALID_PARAMETER, "timezone", "is not known here");
        return;
    }
    board = find(boards, req, spec);
    if (board == NULL)
        return;
    /* The reading may fail, or be over, before begin returns: then there is nothing to wait for. */
    if (!board->place->is_reading && (!board->place->has_rows || query->now_ms >= board->due_ms) &&
        !begin(board, zone, &err)) {
        query_respond_error(req, &err);
        return;
    }
    if (!board->place->is_reading || is_recent(board, query->now_ms)) {
        gateway_count(GATEWAY_query_cache_hits_total, 1);
        respond(board, req, spec, shape);
        return;
    }
    waiters_add(&board->waiters, req, (int)shape, spec, sizeof(*spec));
}

void boards_turn(struct boards *boards, int64_t now_ms)
{
    int64_t in_use = 0;

    if (now_ms < boards->count_at_ms)
        return;
    boards->count_at_ms = now_ms + COUNT_MS;
    in_use = (int64_t)board_room_in_use(&boards->room, now_ms);
    gateway_count(GATEWAY_boards_in_use, in_use - boards->in_use);
    boards->in_use = in_use;
}

static bool begin(struct board *board, const struct zone *zone, struct error *err)
{
    struct query *query = board->owner->query;
    struct reading *coming = &board->coming;
    size_t ads = catalogue_count(query->catalogue);

    coming->rows = calloc(ads + 1, sizeof(*coming->rows));
    board->slots = calloc(BOARD_CHUNK, sizeof(*board->slots));
    if (coming->rows == NULL || board->slots == NULL) {
        free(TAKE(board->slots));
        drop_reading(coming);
        return error_set(err, ERROR_LIMIT, "board: no memory for %zu ads", ads);
    }
    coming->catalogue = catalogue_hold(query->catalogue);
    coming->started_ms = query->now_ms;
    coming->as_of_ms = query->at_ms;
    coming->freshness.fresh_ms = query->at_ms;
    zone_find_day(zone, query->at_ms / 1000, &coming->today);
    board_room_begin(board->place);
    ask_more(board);
    if (coming->asked > 0)
        return true;
    *err = coming->error;
    finish(board);
    return board->place->is_reading || err->kind == ERROR_NONE;
}

static struct slot *find_idle_slot(struct board *board)
{
    for (size_t i = 0; i < BOARD_CHUNK; i++) {
        if (board->slots[i].board == NULL)
            return &board->slots[i];
    }
    return NULL;
}

static bool ask_next(struct board *board, struct slot *slot)
{
    struct query *query = board->owner->query;
    struct reading *coming = &board->coming;
    const struct ad *ad = catalogue_at(coming->catalogue, coming->next);
    struct counters_question question = {
        .ad_id = ad->id,
        .partition = event_partition(ad->id, strlen(ad->id), query->options.partitions),
        .end_s = coming->as_of_ms / 1000,
        .window_s = board->place->window_s,
        .today = coming->today,
    };

    slot->board = board;
    slot->index = coming->next++;
    slot->ask.done = on_read;
    slot->ask.ctx = slot;
    slot->ask.is_redis_only = true;
    if (!ask_start(&slot->ask, query, &question, &coming->error)) {
        slot->board = NULL;
        return false;
    }
    coming->asked++;
    return true;
}

/* As many as there are slots; after a failure none, so that the reading ends with those under
 * way. */
static void ask_more(struct board *board)
{
    struct reading *coming = &board->coming;

    while (coming->error.kind == ERROR_NONE && coming->next < catalogue_count(coming->catalogue)) {
        struct slot *slot = find_idle_slot(board);

        if (slot == NULL || !ask_next(board, slot))
            return;
    }
}

static bool has_any(const struct ad_numbers *numbers)
{
    static const struct ad_numbers none;

    return memcmp(numbers, &none, sizeof(none)) != 0;
}

/* An archived ad stays on the board for as long as it has anything to show. */
static void take_row(struct reading *coming, const struct ad *ad, const struct ad_numbers *numbers)
{
    if (ad->is_archived && !has_any(numbers))
        return;
    coming->rows[coming->count++] = (struct board_row){ad->id, *numbers};
    numbers_add(&coming->totals, numbers);
}

/* The board is as fresh as its least fresh row. */
static void take_reading(struct reading *coming, const struct ad *ad,
                         const struct counters_reading *reading)
{
    if (reading->fresh_ms < coming->freshness.fresh_ms)
        coming->freshness.fresh_ms = reading->fresh_ms;
    coming->freshness.is_rebuilding |= reading->is_rebuilding;
    take_row(coming, ad, &reading->numbers);
}

static void on_read(void *ctx, const struct ask_result *result, const struct error *error)
{
    struct slot *slot = ctx;
    struct board *board = slot->board;
    struct reading *coming = &board->coming;

    slot->board = NULL;
    coming->asked--;
    if (result != NULL)
        take_reading(coming, catalogue_at(coming->catalogue, slot->index), &result->reading);
    else if (coming->error.kind == ERROR_NONE)
        coming->error = *error;
    ask_more(board);
    if (coming->asked == 0)
        finish(board);
}

/* False: there is no pool, or it does not take the job. */
static bool read_all(struct board *board)
{
    struct query *query = board->owner->query;
    struct reading *coming = &board->coming;
    struct error ignored; /* Redis's failure is the one to tell */

    if (query->options.pool == NULL || coming->numbers != NULL)
        return false;
    coming->numbers = calloc(catalogue_count(coming->catalogue) + 1, sizeof(*coming->numbers));
    if (coming->numbers == NULL)
        return false;
    coming->count = 0;
    coming->totals = (struct ad_numbers){0};
    coming->job = (struct query_job){
        .receiver = &query->receiver,
        .run = query_sql_read,
        .question = {.end_s = coming->as_of_ms / 1000,
                     .window_s = board->place->window_s,
                     .today = coming->today},
        .catalogue = coming->catalogue,
        .numbers = coming->numbers,
        .done = on_rows,
        .ctx = board,
    };
    if (!query_pool_submit(query->options.pool, &coming->job, &ignored))
        return false;
    query->asks++;
    gateway_count(GATEWAY_postgres_queries_total, 1);
    return true;
}

static void on_rows(struct query_job *job)
{
    struct board *board = job->ctx;
    struct reading *coming = &board->coming;

    board->owner->query->asks--;
    coming->error = job->result;
    coming->freshness = (struct freshness){.fresh_ms = job->fresh_ms, .is_from_postgres = true};
    for (size_t i = 0; i < catalogue_count(coming->catalogue); i++)
        take_row(coming, catalogue_at(coming->catalogue, i), &coming->numbers[i]);
    finish(board);
}

/* After a failure the old rows, if any, stay as they are. */
static void replace_rows(struct board *board, int64_t took_ms)
{
    struct query *query = board->owner->query;
    int64_t rest_ms = took_ms * BOARD_REST;

    board_sort(board->coming.rows, board->coming.count);
    drop_page(board);
    drop_reading(&board->rows);
    free(TAKE(board->coming.numbers));
    board->rows = board->coming;
    board->coming = (struct reading){0};
    board->meta =
        (struct reading_meta){.frame = board->place->frame, .as_of_ms = board->rows.as_of_ms};
    query_meta_fill(&board->meta, &board->rows.freshness, query->options.stale_after_ms);
    board->due_ms =
        query->now_ms +
        (rest_ms > query->options.board_cache_ms ? rest_ms : query->options.board_cache_ms);
    gateway_observe(GATEWAY_board_refresh_seconds, (double)took_ms / 1000);
}

static void finish(struct board *board)
{
    struct error error = board->coming.error;
    int64_t now_ms = board->owner->query->now_ms;
    int64_t took_ms = now_ms - board->coming.started_ms;
    struct waiter *waiter = NULL;

    if (error.kind != ERROR_NONE && read_all(board))
        return; /* on_rows comes back here */
    free(TAKE(board->slots));
    if (error.kind == ERROR_NONE)
        replace_rows(board, took_ms);
    else
        drop_reading(&board->coming);
    board_room_settle(&board->owner->room, board->place, error.kind != ERROR_NONE, took_ms, now_ms);
    while ((waiter = waiters_take(&board->waiters)) != NULL) {
        if (error.kind == ERROR_NONE)
            respond(board, waiter->req, waiter->spec, (enum board_shape)waiter->shape);
        else
            query_respond_error(waiter->req, &error);
    }
}
