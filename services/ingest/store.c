#include "store.h"

#include "base/auto.h"
#include "clients/pg.h"
#include "columns.h"
#include "event/event_id.h"
#include "fold.h"
#include "pace.h"
#include "ranges.h"
#include "repeats.h"
#include "runtime/clock.h"
#include "store_sql.h"
#include "sums.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the database found wrong with the events of an attempt. */
enum fault {
    FAULT_NONE,
    FAULT_REPEAT, /* COPY met one that is there already */
    FAULT_ROW,    /* the data of one of them */
};

enum { PARAMS_MAX = 24, RANGES_MAX = 64, INT8_TEXT_SIZE = 24 };

struct store {
    struct pg *pg; /* borrowed */
    uint32_t partition;
    struct columns first, second, third; /* of one statement, in the order of its parameters */
    struct fold quarters, totals, marks;
    struct pg_array copy;
    struct repeats repeats;
    struct pace pace;
    uint32_t *rows; /* indexes of the rows that are sent */
    size_t row_count, row_capacity;
    enum fault fault; /* by the last attempt */
};

/* The transaction, top to bottom; the definitions follow in this order. */
static bool attempt(struct store *self, struct batch *batch, uint64_t expected, enum store_way way,
                    struct store_outcome *out, struct error *err);
static bool claim(struct store *self, struct batch *batch, uint64_t expected, bool *out_moved,
                  struct error *err);
static bool choose_rows(struct store *self, struct batch *batch, enum store_way way,
                        struct error *err);
static bool copy(struct store *self, struct batch *batch, struct error *err);
static bool insert(struct store *self, struct batch *batch, size_t from, size_t count,
                   struct error *err);
static bool insert_by_halves(struct store *self, struct batch *batch, struct error *err);
static bool sum(struct store *self, const struct batch *batch, struct error *err);
static bool tell(struct store *self, const struct batch *batch, uint64_t after_seq,
                 struct error *err);
static void report(const struct batch *batch, struct store_outcome *out);

struct store *store_new(struct pg *pg, uint32_t partition)
{
    struct store *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->pg = pg;
    self->partition = partition;
    columns_init(&self->first);
    columns_init(&self->second);
    columns_init(&self->third);
    pg_array_init(&self->copy, 0);
    repeats_init(&self->repeats, (uint64_t)clock_now_us());
    pace_init(&self->pace);
    fold_init(&self->quarters);
    fold_init(&self->totals);
    fold_init(&self->marks);
    return self;
}

void store_free(struct store **store)
{
    struct store *self = *store;

    if (self == NULL)
        return;
    columns_free(&self->first);
    columns_free(&self->second);
    columns_free(&self->third);
    pg_array_free(&self->copy);
    repeats_free(&self->repeats);
    fold_free(&self->quarters);
    fold_free(&self->totals);
    fold_free(&self->marks);
    free(self->rows);
    free(self);
    *store = NULL;
}

/* A number as a text parameter; text is its storage. */
static struct pg_param number_param(char text[INT8_TEXT_SIZE], uint64_t number)
{
    snprintf(text, INT8_TEXT_SIZE, "%" PRIu64, number);
    return (struct pg_param){.value = text};
}

bool store_read_position(struct store *self, uint64_t *out_position, bool *out_found,
                         struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    char partition[INT8_TEXT_SIZE];
    struct pg_param params[] = {number_param(partition, self->partition)};

    if (!pg_query(self->pg, "read_position", sql_read_position, params, 1, &result, err))
        return error_wrap(err, "store: position");
    *out_found = PQntuples(result) == 1;
    *out_position = *out_found ? strtoull(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    return true;
}

/* One number about the partition. */
static bool write_number(struct store *self, const char *name, const char *sql, uint64_t number,
                         struct error *err)
{
    char partition[INT8_TEXT_SIZE];
    char text[INT8_TEXT_SIZE];
    struct pg_param params[] = {number_param(partition, self->partition),
                                number_param(text, number)};

    return pg_query(self->pg, name, sql, params, 2, NULL, err) || error_wrap(err, name);
}

bool store_first_position(struct store *self, uint64_t position, struct error *err)
{
    return write_number(self, "first_position", sql_first_position, position, err);
}

bool store_set_fresh(struct store *self, int64_t at_ms, struct error *err)
{
    return write_number(self, "set_fresh", sql_set_fresh, (uint64_t)at_ms, err);
}

bool store_write(struct store *self, struct batch *batch, uint64_t expected,
                 struct store_outcome *out, struct error *err)
{
    enum store_way way = pace_may_copy(&self->pace) ? STORE_BY_COPY : STORE_BY_INSERT;
    bool is_copy_refused = false;
    bool is_done = false;

    batch_seal(batch);
    is_done = attempt(self, batch, expected, way, out, err);
    is_copy_refused = self->fault == FAULT_REPEAT;
    if (is_copy_refused) {
        pace_refuse(&self->pace);
        is_done = attempt(self, batch, expected, STORE_BY_INSERT, out, err);
    }
    if (self->fault == FAULT_ROW)
        is_done = attempt(self, batch, expected, STORE_BY_HALVES, out, err);
    out->is_copy_refused = is_copy_refused;
    if (is_done && out->verdict == STORE_DONE)
        pace_settle(&self->pace, out->way == STORE_BY_COPY);
    if (is_done)
        return true;
    /* No row is to blame for the other statements: whatever they were refused is our mistake. */
    if (err->kind == ERROR_INVALID)
        err->kind = ERROR_INTERNAL;
    return error_wrap(err, "store");
}

/* A batch that was filed before: its events are most likely there. */
static bool has_seen_batch(const struct batch *batch)
{
    for (size_t i = 0; i < batch->head_count; i++)
        if (batch->heads[i].is_filed && !batch->heads[i].is_new)
            return true;
    return false;
}

static bool put_events(struct store *self, struct batch *batch, enum store_way way,
                       struct error *err)
{
    switch (way) {
    case STORE_BY_COPY:
        return copy(self, batch, err);
    case STORE_BY_INSERT:
        return insert(self, batch, 0, self->row_count, err);
    case STORE_BY_HALVES:
        return insert_by_halves(self, batch, err);
    case STORE_WAY_COUNT:
        break;
    }
    return error_set(err, ERROR_INTERNAL, "no such way to put events");
}

/* The statements inside the transaction; *out_moved false: the position was not where expected. */
static bool run(struct store *self, struct batch *batch, uint64_t expected, enum store_way *way,
                bool *out_moved, struct error *err)
{
    if (!claim(self, batch, expected, out_moved, err))
        return false;
    if (!*out_moved)
        return true;
    if (!ranges_keep(self->pg, &self->first, batch, err))
        return false;
    if (*way == STORE_BY_COPY && has_seen_batch(batch))
        *way = STORE_BY_INSERT;
    return choose_rows(self, batch, *way, err) && put_events(self, batch, *way, err) &&
           sum(self, batch, err) && tell(self, batch, expected, err);
}

static bool attempt(struct store *self, struct batch *batch, uint64_t expected, enum store_way way,
                    struct store_outcome *out, struct error *err)
{
    bool has_moved = false;

    *out = (struct store_outcome){.verdict = STORE_LOST};
    self->fault = FAULT_NONE;
    batch_begin_attempt(batch);
    if (!pg_begin(self->pg, "", err))
        return false;
    if (!run(self, batch, expected, &way, &has_moved, err)) {
        /* 23514 without a constraint, which pg tells apart: no partition takes the row. */
        bool is_day_missing =
            err->kind == ERROR_INTERNAL && strcmp(pg_sqlstate(self->pg), "23514") == 0;

        pg_rollback(self->pg);
        out->verdict = STORE_NO_DAY;
        return is_day_missing;
    }
    if (!has_moved) {
        pg_rollback(self->pg);
        return true;
    }
    out->way = way;
    report(batch, out); /* before the COMMIT: after one without an answer it is still asked for */
    return pg_commit(self->pg, err);
}

/* Heads and rows come in the order of the stream, and so do the sequences that were filed. */
static void note_filed(const PGresult *result, struct batch *batch, bool *out_moved)
{
    size_t head = 0;

    *out_moved = false;
    for (int i = 0; i < PQntuples(result); i++) {
        uint64_t seq = strtoull(PQgetvalue(result, i, 1), NULL, 10);

        if (PQgetvalue(result, i, 0)[0] == 't') {
            *out_moved = true;
            continue;
        }
        while (head < batch->head_count && batch->heads[head].seq != seq)
            head++;
        assert(head < batch->head_count);
        batch->heads[head].is_new = true;
    }
}

static bool claim(struct store *self, struct batch *batch, uint64_t expected, bool *out_moved,
                  struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    const struct batch_head *newest = &batch->heads[batch->head_count - 1];
    char next[INT8_TEXT_SIZE], partition[INT8_TEXT_SIZE], last[INT8_TEXT_SIZE];
    char fresh[INT8_TEXT_SIZE];
    struct pg_param params[PARAMS_MAX] = {
        number_param(next, newest->seq), number_param(partition, self->partition),
        number_param(last, expected), number_param(fresh, (uint64_t)newest->stored_at_ms)};

    columns_heads(&self->first, batch);
    if (!columns_params(&self->first, params + 4, err) ||
        !pg_query(self->pg, "claim", sql_claim, params, 4 + (int)self->first.count, &result, err))
        return error_wrap(err, "claim");
    note_filed(result, batch, out_moved);
    return true;
}

/*
 * Every row that is not dead. Those of a batch that was filed before are offered as well: a replay
 * adds nothing, and should two batches ever bear one number, no event of the second is lost.
 */
static bool choose_rows(struct store *self, struct batch *batch, enum store_way way,
                        struct error *err)
{
    if (self->row_capacity < batch->row_count) {
        uint32_t *rows = realloc(self->rows, batch->row_capacity * sizeof(*rows));

        if (rows == NULL)
            return error_set(err, ERROR_LIMIT, "no memory for %zu rows", batch->row_count);
        self->rows = rows;
        self->row_capacity = batch->row_capacity;
    }
    self->row_count = 0;
    for (size_t i = 0; i < batch->row_count; i++)
        if (batch->rows[i].fate == ROW_PENDING)
            self->rows[self->row_count++] = (uint32_t)i;
    return way != STORE_BY_COPY ||
           repeats_leave_out(&self->repeats, batch, self->rows, &self->row_count, err);
}

/* Without an error, every row that was sent was inserted. */
static bool copy(struct store *self, struct batch *batch, struct error *err)
{
    const char *bytes = NULL;
    size_t size_bytes = 0;

    if (self->row_count == 0)
        return true;
    columns_copy_events(&self->copy, batch, self->rows, self->row_count);
    if (!pg_array_copy(&self->copy, &bytes, &size_bytes, err))
        return false;
    if (!pg_copy(self->pg, sql_copy, bytes, size_bytes, err)) {
        if (err->kind == ERROR_INVALID)
            self->fault = strcmp(pg_sqlstate(self->pg), "23505") == 0 ? FAULT_REPEAT : FAULT_ROW;
        return error_wrap(err, "copy");
    }
    for (size_t i = 0; i < self->row_count; i++) {
        struct batch_row *row = &batch->rows[self->rows[i]];

        row->fate = ROW_STORED;
        batch->heads[row->head].stored++;
    }
    return true;
}

/*
 * The ids that come back are those that were inserted, in the order they were sent. Of two equal
 * ids the first was taken, so one pass over both lists tells every row's fate.
 */
static bool settle_rows(const struct store *self, struct batch *batch, size_t from, size_t count,
                        const PGresult *result)
{
    int returned = PQntuples(result);
    int next = 0;
    uint8_t id[EVENT_ID_SIZE];
    bool has_id = false;

    for (size_t i = from; i < from + count; i++) {
        struct batch_row *row = &batch->rows[self->rows[i]];

        if (!has_id && next < returned)
            has_id = event_id_parse(PQgetvalue(result, next, 0),
                                    (size_t)PQgetlength(result, next, 0), id);
        if (has_id && memcmp(id, row->event.id, sizeof(id)) == 0) {
            row->fate = ROW_STORED;
            batch->heads[row->head].stored++;
            has_id = false;
            next++;
        } else {
            row->fate = ROW_DUPLICATE;
        }
    }
    return next == returned;
}

static bool insert(struct store *self, struct batch *batch, size_t from, size_t count,
                   struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    struct pg_param params[PARAMS_MAX];

    if (count == 0)
        return true;
    columns_events(&self->first, batch, self->rows + from, count);
    if (!columns_params(&self->first, params, err))
        return false;
    if (!pg_query(self->pg, "insert", sql_insert, params, (int)self->first.count, &result, err)) {
        self->fault = err->kind == ERROR_INVALID ? FAULT_ROW : FAULT_NONE;
        return error_wrap(err, "insert");
    }
    if (!settle_rows(self, batch, from, count, result))
        return error_set(err, ERROR_INTERNAL, "insert: ids came back that were not sent");
    return true;
}

struct range {
    size_t from, count;
};

/* What the database said about a range that it did not take. */
struct refusal {
    bool is_refused;
    char code[LETTER_CODE_SIZE];
    char why[LETTER_DETAIL_SIZE];
};

/* Inserts one range under a savepoint; when it is refused, nothing of it is there. */
static bool insert_guarded(struct store *self, struct batch *batch, struct range range,
                           struct refusal *out, struct error *err)
{
    struct error why = {0};

    if (!pg_query(self->pg, "savepoint", "SAVEPOINT halves", NULL, 0, NULL, err))
        return error_wrap(err, "savepoint");
    *out = (struct refusal){.is_refused = !insert(self, batch, range.from, range.count, &why)};
    if (!out->is_refused)
        return pg_query(self->pg, "release", "RELEASE SAVEPOINT halves", NULL, 0, NULL, err);
    if (why.kind != ERROR_INVALID) {
        *err = why;
        return false;
    }
    snprintf(out->code, sizeof(out->code), "%s", pg_sqlstate(self->pg));
    snprintf(out->why, sizeof(out->why), "%s", why.text);
    return pg_query(self->pg, "undo", "ROLLBACK TO SAVEPOINT halves", NULL, 0, NULL, err);
}

/*
 * Halves what is refused until the poison row is alone, and sets that one aside. The stack grows
 * by one range each time a range is halved, so its depth is the logarithm of the batch; the left
 * half is done first, which keeps the order of the stream and with it the rule that the first copy
 * counts.
 */
static bool insert_by_halves(struct store *self, struct batch *batch, struct error *err)
{
    struct range stack[RANGES_MAX] = {{0, self->row_count}};
    size_t depth = 1;

    while (depth > 0) {
        struct range range = stack[--depth];
        size_t half = range.count / 2;
        struct refusal refusal = {0};

        if (!insert_guarded(self, batch, range, &refusal, err))
            return false;
        if (!refusal.is_refused)
            continue;
        if (range.count == 1) {
            if (!batch_set_aside(batch, self->rows[range.from], LETTER_REFUSED, refusal.code,
                                 refusal.why, err))
                return false;
            continue;
        }
        assert(depth + 2 <= RANGES_MAX);
        stack[depth++] = (struct range){range.from + half, range.count - half};
        stack[depth++] = (struct range){range.from, half};
    }
    return true;
}

static bool sum(struct store *self, const struct batch *batch, struct error *err)
{
    struct pg_param params[PARAMS_MAX];

    sums_of_stored(batch, &self->quarters, &self->totals);
    if (self->quarters.failed || self->totals.failed)
        return error_set(err, ERROR_LIMIT, "sum: no memory");
    if (self->quarters.count == 0)
        return true;
    columns_sums(&self->first, &self->quarters);
    columns_sums(&self->second, &self->totals);
    if (!columns_params(&self->first, params, err) ||
        !columns_params(&self->second, params + self->first.count, err) ||
        !pg_query(self->pg, "sum", sql_sum, params, (int)(self->first.count + self->second.count),
                  NULL, err))
        return error_wrap(err, "sum");
    return true;
}

static bool tell(struct store *self, const struct batch *batch, uint64_t after_seq,
                 struct error *err)
{
    char partition[INT8_TEXT_SIZE];
    struct pg_param params[PARAMS_MAX] = {number_param(partition, self->partition)};
    struct columns *const parts[] = {&self->first, &self->second, &self->third};
    size_t count = 1;

    sums_of_missing(batch, after_seq, &self->marks);
    if (self->marks.failed)
        return error_set(err, ERROR_LIMIT, "tell: no memory");
    columns_marks(&self->first, &self->marks);
    columns_corrections(&self->second, batch);
    columns_letters(&self->third, batch);
    if (columns_rows(&self->first) + columns_rows(&self->second) + columns_rows(&self->third) == 0)
        return true;
    for (size_t i = 0; i < 3; i++) {
        if (!columns_params(parts[i], params + count, err))
            return false;
        count += parts[i]->count;
    }
    return pg_query(self->pg, "tell", sql_tell, params, (int)count, NULL, err) ||
           error_wrap(err, "tell");
}

static void report(const struct batch *batch, struct store_outcome *out)
{
    out->verdict = STORE_DONE;
    for (size_t i = 0; i < batch->row_count; i++) {
        out->stored += batch->rows[i].fate == ROW_STORED;
        out->duplicates += batch->rows[i].fate == ROW_DUPLICATE;
    }
    for (size_t i = 0; i < batch->head_count; i++) {
        const struct batch_head *head = &batch->heads[i];
        bool is_seen = head->is_filed && !head->is_new;

        out->batches_seen += is_seen;
        out->batches_reused += is_seen && head->stored > 0;
    }
    for (size_t i = 0; i < batch->letter_count; i++)
        if (!batch->heads[batch->letters[i].head].is_filed ||
            batch->heads[batch->letters[i].head].is_new)
            out->letters[batch->letters[i].reason]++;
}
