#include "query_sql.h"

#include "base/auto.h"
#include "catalogue.h"
#include "fresh_sql.h"
#include "query_fold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DAY_S = 86400,
    /* An id's time may lie a day before its receipt, or 5 minutes after it: the bounds that let
     * the planner leave out day partitions. */
    ID_EARLIEST_S = DAY_S + 600,
    ID_LATEST_S = 600,
    UUID_SIZE = 37,
    NUMBER_SIZE = 24,
    PARAMS = 4,
    ROLLBACK_MS = 200, /* after it the connection is given up */
};

/*
 * Each statement twice: for the ad $1 by its index, and for all ads. $2 is the first second that
 * matters; $3 and $4 bound the ids. A column list is always ad, second, type, reason, count.
 */
struct statement {
    const char *one, *all;
    int param_count;
};

#define TOTALS_SQL "SELECT ad_id, 0::bigint, type, reason, count FROM ad_total"
#define QUARTERS_SQL                                                                               \
    "SELECT ad_id, extract(epoch FROM quarter_at)::bigint, type, reason, count FROM ad_quarter"    \
    " WHERE quarter_at >= to_timestamp($2::text::bigint)"
#define SECONDS_SQL                                                                                \
    "SELECT ad_id, floor(extract(epoch FROM received_at))::bigint, type, reason, count(*)"         \
    " FROM events WHERE received_at >= to_timestamp($2::text::bigint)"                             \
    " AND event_id >= $3::text::uuid AND event_id < $4::text::uuid"
#define DISTINCT_SQL                                                                               \
    " FROM events WHERE type = 1 AND reason = 0 AND visitor IS NOT NULL"                           \
    " AND received_at >= to_timestamp($2::text::bigint)"                                           \
    " AND event_id >= $3::text::uuid AND event_id < $4::text::uuid"
/* A visitor is a new one every day: a day's salt is its own. */
#define VISITORS_SQL                                                                               \
    "SELECT ad_id, 0::bigint, 1, 0, count(DISTINCT (date_trunc('day', received_at), "              \
    "visitor))" DISTINCT_SQL
/* Of all time: the days that are closed for good, and those whose events are still there. */
#define CLOSED_SQL "SELECT ad_id, 0::bigint, 1, 0, sum(visitors)::bigint FROM ad_day_visitors"
#define OPEN_SQL                                                                                   \
    "SELECT e.ad_id, 0::bigint, 1, 0, count(DISTINCT"                                              \
    " ((e.received_at AT TIME ZONE 'UTC')::date, e.visitor)) FROM events e WHERE e.type = 1 AND "  \
    "e.reason = 0 AND e.visitor IS NOT NULL"                                                       \
    " AND NOT EXISTS (SELECT FROM ad_day_visitors d"                                               \
    " WHERE d.ad_id = e.ad_id AND d.day = (e.received_at AT TIME ZONE 'UTC')::date)"

#define FRESH_SQL SQL_FRESH_MS " WHERE $1::text IS NULL OR partition = $1::text::integer"

#define WHERE_ONE " WHERE ad_id = $1::text"
#define WHERE_ALL " WHERE $1::text IS NULL"
#define ONE       " AND ad_id = $1::text"
#define ALL       " AND $1::text IS NULL"
#define BY_AD     " GROUP BY 1"
#define BY_ALL    " GROUP BY 1, 2, 3, 4"

static const struct statement totals = {TOTALS_SQL WHERE_ONE, TOTALS_SQL WHERE_ALL, 1};
static const struct statement quarters = {QUARTERS_SQL ONE, QUARTERS_SQL ALL, 2};
static const struct statement seconds = {SECONDS_SQL ONE BY_ALL, SECONDS_SQL ALL BY_ALL, PARAMS};
static const struct statement visitors = {VISITORS_SQL ONE BY_AD, VISITORS_SQL ALL BY_AD, PARAMS};
static const struct statement closed = {CLOSED_SQL WHERE_ONE BY_AD, CLOSED_SQL WHERE_ALL BY_AD, 1};
static const struct statement open_days = {OPEN_SQL " AND e.ad_id = $1::text" BY_AD,
                                           OPEN_SQL " AND $1::text IS NULL" BY_AD, 1};

typedef void (*fold_fn)(struct ad_numbers *numbers, const struct counters_question *question,
                        const struct fold_row *row);

/* Where an ad's numbers are; NULL: the catalogue does not know it. */
static struct ad_numbers *numbers_of(const struct query_job *job, const char *ad_id)
{
    const struct ad *ad = NULL;

    if (job->question.ad_id != NULL)
        return job->numbers;
    ad = catalogue_find(job->catalogue, ad_id, strlen(ad_id));
    return ad == NULL ? NULL : &job->numbers[catalogue_index(job->catalogue, ad)];
}

/* The lowest id of a second: its milliseconds, then zeros. */
static void format_id(int64_t at_s, char out[UUID_SIZE])
{
    uint64_t at_ms = at_s < 0 ? 0 : (uint64_t)at_s * 1000;

    (void)snprintf(out, UUID_SIZE, "%08" PRIx64 "-%04" PRIx64 "-0000-0000-000000000000",
                   at_ms >> 16, at_ms & 0xffff);
}

static int64_t column(const PGresult *rows, int row, int index)
{
    return strtoll(PQgetvalue(rows, row, index), NULL, 10);
}

static bool read_rows(struct pg *pg, const struct statement *statement, int64_t from_s,
                      struct query_job *job, fold_fn fold, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char from[NUMBER_SIZE];
    char first_id[UUID_SIZE];
    char end_id[UUID_SIZE];
    const struct pg_param params[PARAMS] = {
        {.value = job->question.ad_id}, {.value = from}, {.value = first_id}, {.value = end_id}};

    if (!query_has_time(pg, job->deadline_ms, err))
        return false;
    (void)snprintf(from, sizeof(from), "%" PRId64, from_s);
    format_id(from_s - ID_EARLIEST_S, first_id);
    format_id(job->question.end_s + ID_LATEST_S, end_id);
    if (!pg_query(pg, NULL, job->question.ad_id != NULL ? statement->one : statement->all, params,
                  statement->param_count, &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++) {
        struct ad_numbers *numbers = numbers_of(job, PQgetvalue(rows, row, 0));
        const struct fold_row folded = {.at_s = column(rows, row, 1),
                                        .type = (int)column(rows, row, 2),
                                        .reason = (int)column(rows, row, 3),
                                        .count = column(rows, row, 4)};

        if (numbers != NULL)
            fold(numbers, &job->question, &folded);
    }
    return true;
}

static void fold_visitors(struct ad_numbers *numbers, const struct counters_question *question,
                          const struct fold_row *row)
{
    (void)question;
    numbers->uniques += row->count;
}

static size_t numbers_count(const struct query_job *job)
{
    return job->question.ad_id != NULL ? 1 : catalogue_count(job->catalogue);
}

/* The one part that may be too slow; what it costs is its own number, not the answer. */
static void read_visitors(struct pg *pg, struct query_job *job)
{
    const struct counters_question *question = &job->question;
    struct error err;
    bool ok = question->window_s > 0
                  ? read_rows(pg, &visitors, question->end_s - question->window_s + 1, job,
                              fold_visitors, &err)
                  : read_rows(pg, &closed, 0, job, fold_visitors, &err) &&
                        read_rows(pg, &open_days, 0, job, fold_visitors, &err);

    for (size_t i = 0; i < numbers_count(job); i++) {
        struct ad_numbers *numbers = &job->numbers[i];

        if (!ok)
            numbers->uniques = -1;
        else if (numbers->uniques > numbers->clicks)
            numbers->uniques = numbers->clicks;
    }
}

/* How far what is read goes: as ingest says of the ad's partition, or of the one most behind. */
static bool read_freshness(struct pg *pg, struct query_job *job, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char partition[NUMBER_SIZE];
    const struct pg_param param = {.value = job->question.ad_id == NULL ? NULL : partition};

    (void)snprintf(partition, sizeof(partition), "%" PRIu32, job->question.partition);
    if (!query_has_time(pg, job->deadline_ms, err) ||
        !pg_query(pg, NULL, FRESH_SQL, &param, 1, &rows, err))
        return false;
    job->fresh_ms = column(rows, 0, 0);
    return true;
}

void query_sql_read(struct pg *pg, struct query_job *job)
{
    struct error *err = &job->result;
    int64_t end_s = job->question.end_s;

    if (!query_has_time(pg, job->deadline_ms, err) ||
        !pg_begin(pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", err))
        return;
    if (read_freshness(pg, job, err) && read_rows(pg, &totals, 0, job, fold_total, err) &&
        read_rows(pg, &quarters, end_s - FOLD_QUARTERS_S, job, fold_quarter, err) &&
        read_rows(pg, &seconds, end_s - FOLD_RECENT_S + 1, job, fold_second, err))
        read_visitors(pg, job);
    pg_set_query_ms(pg, ROLLBACK_MS);
    pg_rollback(pg); /* nothing was written */
}
