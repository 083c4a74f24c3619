#include "fake_pg.h"

#include "clients/pg.h"
#include "event/event_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARRAY_HEADER = 20,
    COPY_HEADER = 19,
    ELEMENT_SIZE = 4 + EVENT_ID_SIZE,
    SEQ_PARAM = 8,
    MARKS_PARAM = 1,
    LETTERS_PARAM = 10
};

struct pg {
    int nothing;
};

struct fake_pg fake_pg;

void fake_pg_reset(uint64_t position)
{
    memset(&fake_pg, 0, sizeof(fake_pg));
    fake_pg.position = position;
    fake_pg.sqlstate = "";
}

static void note(const char *what)
{
    size_t size = strlen(fake_pg.asked);

    snprintf(fake_pg.asked + size, sizeof(fake_pg.asked) - size, "%s%s", size > 0 ? " " : "", what);
}

static uint32_t read_uint32(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;

    return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
}

static int array_count(const struct pg_param *param)
{
    bool is_empty = param->size_bytes < ARRAY_HEADER || read_uint32(param->value) == 0;

    return is_empty ? 0 : (int)read_uint32(param->value + 12);
}

static PGresult *new_result(int columns)
{
    static char names[3][2] = {"a", "b", "c"};
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attributes[3] = {{.name = names[0]}, {.name = names[1]}, {.name = names[2]}};

    if (result == NULL || PQsetResultAttrs(result, columns, attributes) == 0)
        abort();
    return result;
}

static void set_text(PGresult *result, int row, int column, const char *text)
{
    char copy[64];

    snprintf(copy, sizeof(copy), "%s", text);
    if (PQsetvalue(result, row, column, copy, (int)strlen(copy)) == 0)
        abort();
}

static void set_number(PGresult *result, int row, int column, uint64_t number)
{
    char text[32];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    set_text(result, row, column, text);
}

static PGresult *answer_claim(const struct pg_param *params)
{
    PGresult *result = new_result(2);
    const char *element = params[SEQ_PARAM].value + ARRAY_HEADER;
    int row = 0;

    if (strtoull(params[2].value, NULL, 10) != fake_pg.position)
        return result;
    fake_pg.next_position = strtoull(params[0].value, NULL, 10);
    set_text(result, row, 0, "t");
    set_number(result, row++, 1, fake_pg.next_position);
    for (int i = 0; i < array_count(&params[SEQ_PARAM]) && !fake_pg.is_batch_known; i++) {
        uint64_t seq = (uint64_t)read_uint32(element + 4) << 32 | read_uint32(element + 8);

        set_text(result, row, 0, "f");
        set_number(result, row++, 1, seq);
        element += 12;
    }
    return result;
}

static bool is_stored(const uint8_t *id)
{
    for (size_t i = 0; i < fake_pg.id_count; i++)
        if (memcmp(fake_pg.ids[i], id, EVENT_ID_SIZE) == 0)
            return true;
    return false;
}

static bool refuse(enum error_kind kind, const char *sqlstate, struct error *err)
{
    fake_pg.sqlstate = sqlstate;
    return error_set(err, kind, "pg: refused with %s", sqlstate);
}

/* What stands in the way of events however they come. */
static bool refuse_events(struct error *err)
{
    if (fake_pg.is_day_missing)
        return refuse(ERROR_INTERNAL, "23514", err);
    if (fake_pg.lock_refusals > 0) {
        fake_pg.lock_refusals--;
        return refuse(ERROR_UNAVAILABLE, "55P03", err);
    }
    return true;
}

static bool answer_insert(const struct pg_param *params, PGresult **out, struct error *err)
{
    const char *element = params[0].value + ARRAY_HEADER;
    int count = array_count(&params[0]);
    int row = 0;

    if (!refuse_events(err))
        return false;
    for (int i = 0; i < count && fake_pg.poison != 0; i++)
        if ((uint8_t)element[(size_t)i * ELEMENT_SIZE + 4 + 15] == fake_pg.poison)
            return refuse(ERROR_INVALID, "22003", err);
    *out = new_result(1);
    for (int i = 0; i < count; i++) {
        const uint8_t *id = (const uint8_t *)element + (size_t)i * ELEMENT_SIZE + 4;
        char text[37];

        if (is_stored(id))
            continue;
        memcpy(fake_pg.ids[fake_pg.id_count++], id, EVENT_ID_SIZE);
        event_id_format(id, text);
        set_text(*out, row++, 0, text);
    }
    return true;
}

static PGresult *answer_ads(void)
{
    PGresult *result = new_result(1);

    if (fake_pg.known_ad != NULL)
        set_text(result, 0, 0, fake_pg.known_ad);
    return result;
}

static bool answer(const char *name, const struct pg_param *params, PGresult **out,
                   struct error *err)
{
    *out = NULL;
    if (strcmp(name, "claim") == 0 && fake_pg.is_batch_day_missing)
        return refuse(ERROR_INTERNAL, "23514", err);
    if (strcmp(name, "claim") == 0)
        *out = answer_claim(params);
    else if (strcmp(name, "insert") == 0)
        return answer_insert(params, out, err);
    else if (strcmp(name, "read_position") == 0) {
        *out = new_result(1);
        set_number(*out, 0, 0, fake_pg.position);
    } else if (strcmp(name, "known_ads") == 0)
        *out = answer_ads();
    else if (strcmp(name, "savepoint") == 0)
        fake_pg.savepoint_ids = fake_pg.id_count;
    else if (strcmp(name, "undo") == 0)
        fake_pg.id_count = fake_pg.savepoint_ids;
    else if (strcmp(name, "tell") == 0) {
        fake_pg.marks = array_count(&params[MARKS_PARAM]);
        fake_pg.letters = array_count(&params[LETTERS_PARAM]);
    }
    if (*out == NULL)
        *out = new_result(1);
    return true;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are those of pg.h */
bool pg_query(struct pg *pg, const char *name, const char *sql, const struct pg_param *params,
              int param_count, PGresult **out_result, struct error *err)
{
    PGresult *result = NULL;

    (void)pg;
    (void)sql;
    (void)param_count;
    fake_pg.sqlstate = "";
    note(name == NULL ? "?" : name);
    if (fake_pg.is_down)
        return error_set(err, ERROR_UNAVAILABLE, "pg: down");
    if (!answer(name == NULL ? "?" : name, params, &result, err))
        return false;
    if (out_result != NULL)
        *out_result = result;
    else
        PQclear(result);
    return true;
}

/* The next row of a binary COPY; *id is its first field, NULL at the end. */
static const char *read_row(const char *at, const uint8_t **id)
{
    int fields = (int16_t)((unsigned char)at[0] << 8 | (unsigned char)at[1]);

    *id = fields < 0 ? NULL : (const uint8_t *)at + 2 + 4;
    at += 2;
    for (int i = 0; i < fields; i++) {
        int size = (int)read_uint32(at);

        at += 4 + (size > 0 ? size : 0);
    }
    return at;
}

bool pg_copy(struct pg *pg, const char *sql, const char *bytes, size_t size_bytes,
             struct error *err)
{
    const char *at = bytes + COPY_HEADER;
    const uint8_t *id = NULL;

    (void)pg;
    (void)sql;
    fake_pg.sqlstate = "";
    note("copy");
    if (fake_pg.is_down)
        return error_set(err, ERROR_UNAVAILABLE, "pg: down");
    if (!refuse_events(err))
        return false;
    for (at = read_row(at, &id); id != NULL; at = read_row(at, &id)) {
        if (is_stored(id))
            return refuse(ERROR_INVALID, "23505", err);
        if (fake_pg.poison != 0 && id[EVENT_ID_SIZE - 1] == fake_pg.poison)
            return refuse(ERROR_INVALID, "22003", err);
        memcpy(fake_pg.ids[fake_pg.id_count++], id, EVENT_ID_SIZE);
    }
    return at == bytes + size_bytes ? true : refuse(ERROR_INVALID, "22P04", err);
}

bool pg_begin(struct pg *pg, const char *mode, struct error *err)
{
    (void)pg;
    (void)mode;
    note("begin");
    if (fake_pg.is_down)
        return error_set(err, ERROR_UNAVAILABLE, "pg: down");
    fake_pg.next_position = fake_pg.position;
    fake_pg.committed_ids = fake_pg.id_count;
    return true;
}

bool pg_commit(struct pg *pg, struct error *err)
{
    note("commit");
    if (fake_pg.is_commit_unanswered && !fake_pg.has_commit_taken_place)
        pg_rollback(pg);
    fake_pg.position = fake_pg.next_position;
    if (fake_pg.is_commit_unanswered)
        return error_set(err, ERROR_UNCERTAIN, "pg: no answer to COMMIT");
    return true;
}

void pg_rollback(struct pg *pg)
{
    (void)pg;
    note("rollback");
    fake_pg.id_count = fake_pg.committed_ids;
    fake_pg.next_position = fake_pg.position;
}

bool pg_connect(struct pg *pg, struct error *err)
{
    (void)pg;
    return fake_pg.is_down ? error_set(err, ERROR_UNAVAILABLE, "pg: down") : true;
}

bool pg_is_connected(const struct pg *pg)
{
    (void)pg;
    return !fake_pg.is_down;
}

bool pg_script(struct pg *pg, const char *sql, struct error *err)
{
    (void)pg;
    (void)err;
    note("script");
    if (!fake_pg.is_day_stuck && strstr(sql, "ATTACH PARTITION events") != NULL)
        fake_pg.is_day_missing = false;
    if (!fake_pg.is_day_stuck && strstr(sql, "ATTACH PARTITION batches") != NULL)
        fake_pg.is_batch_day_missing = false;
    return true;
}

const char *pg_sqlstate(const struct pg *pg)
{
    (void)pg;
    return fake_pg.sqlstate;
}

PGconn *pg_raw(struct pg *pg)
{
    (void)pg;
    return NULL;
}

void pg_disconnect(struct pg *pg)
{
    (void)pg;
}

void pg_result_clear(PGresult **result)
{
    PQclear(*result);
    *result = NULL;
}
