/*
 * An audit, from its span to its answer: audit_get (loop) -> reckon (pool's thread) -> the answer.
 */
#include "audit_handler.h"

#include "audit_sql.h"
#include "base/auto.h"
#include "base/time_text.h"
#include "gateway.h"
#include "http/query_string.h"
#include "http/request.h"
#include "http/respond.h"
#include "inquiry.h"

#include <inttypes.h>
#include <string.h>

enum { SPAN_DEFAULT_MS = 60 * AUDIT_MINUTE_MS };

struct audit_inquiry {
    struct inquiry inquiry; /* first: inquiry.h casts */
    int64_t from_ms, to_ms;
};

static bool reckon(struct inquiry *inquiry, struct pg *pg, struct error *err);

static const struct inquiry_kind kind = {.read = reckon};

static bool parse_span(h2o_req_t *req, int64_t *out_from_ms, int64_t *out_to_ms,
                       struct faults *faults)
{
    static const char *const names[] = {"from", "to", NULL};
    struct query_string query;
    const h2o_iovec_t text = request_query(req);
    int64_t to_ms = server_thread_of(req)->at_ms;
    int64_t from_ms = 0;

    if (!query_string_parse(&query, names, text.base, text.len, faults))
        return false;
    (void)query_string_instant(&query, "to", &to_ms, faults);
    from_ms = to_ms - SPAN_DEFAULT_MS;
    (void)query_string_instant(&query, "from", &from_ms, faults);
    if (faults->count > 0)
        return false;
    *out_from_ms = from_ms < 0 ? 0 : from_ms - from_ms % AUDIT_MINUTE_MS;
    *out_to_ms = (to_ms + AUDIT_MINUTE_MS - 1) / AUDIT_MINUTE_MS * AUDIT_MINUTE_MS;
    if (from_ms >= to_ms)
        fault_add(faults, FAULT_INVALID_PARAMETER, "from", "must lie before to");
    else if (*out_to_ms - *out_from_ms > AUDIT_SPAN_MAX_MS)
        fault_add(faults, FAULT_INVALID_PARAMETER, "from", "must lie at most 24 hours before to");
    return faults->count == 0;
}

void audit_get(h2o_req_t *req, const struct route_match *match)
{
    struct faults faults = {0};
    struct inquiry *inquiry = NULL;
    struct audit_inquiry *self = NULL;
    int64_t from_ms = 0;
    int64_t to_ms = 0;

    (void)match;
    if (!parse_span(req, &from_ms, &to_ms, &faults)) {
        respond_faults(req, &faults, 0);
        return;
    }
    inquiry = inquiry_new(req, sizeof(*self), &kind);
    if (inquiry == NULL)
        return;
    self = H2O_STRUCT_FROM_MEMBER(struct audit_inquiry, inquiry, inquiry);
    self->from_ms = from_ms;
    self->to_ms = to_ms;
    inquiry_start(inquiry);
}

static void add_bool(struct text *text, const char *before, bool value)
{
    text_add_str(text, before);
    text_add_str(text, value ? "true" : "false");
}

static void add_instant(struct text *text, const char *before, int64_t at_ms)
{
    char instant[TIME_TEXT_SIZE];

    time_text_format(at_ms, instant);
    text_addf(text, "%s\"%s\"", before, instant);
}

static void add_minute(struct text *text, const struct audit_minute *minute)
{
    const int64_t *missing = minute->missing;

    text_addf(text,
              "\"accepted\":%" PRId64 ",\"unpromised\":%" PRId64 ",\"stored\":%" PRId64
              ",\"duplicates\":%" PRId64 ",\"dead\":%" PRId64 ",\"pending\":%" PRId64
              ",\"lost\":%" PRId64,
              minute->accepted, minute->unpromised, minute->stored, minute->duplicates,
              minute->dead, minute->pending, minute->lost);
    text_addf(text,
              ",\"batches\":{\"stored\":%" PRId64 ",\"lost\":%" PRId64 ",\"pending\":%" PRId64
              ",\"unpromised\":%" PRId64 ",\"unproven\":%" PRId64 "}",
              minute->batches, missing[AUDIT_LOST], missing[AUDIT_PENDING],
              missing[AUDIT_UNPROMISED], missing[AUDIT_UNPROVEN]);
}

/* Minutes in which nothing was sent are left out. */
static void add_minutes(struct text *text, const struct audit *audit)
{
    static const struct audit_minute nothing;
    bool is_first = true;

    text_add_str(text, ",\"minutes\":[");
    for (size_t i = 0; i < audit->minute_count; i++) {
        if (memcmp(&audit->minutes[i], &nothing, sizeof(nothing)) == 0)
            continue;
        add_instant(text, is_first ? "{\"minute\":" : ",{\"minute\":",
                    audit->from_ms + (int64_t)i * AUDIT_MINUTE_MS);
        text_add_char(text, ',');
        add_minute(text, &audit->minutes[i]);
        add_bool(text, ",\"balanced\":", audit_minute_is_balanced(&audit->minutes[i]));
        text_add_char(text, '}');
        is_first = false;
    }
    text_add_char(text, ']');
}

static void add_finding(struct text *text, const struct audit_finding *finding)
{
    text_addf(text,
              "{\"state\":\"%s\",\"gateway_id\":\"%s\",\"thread\":%" PRIu32
              ",\"partition\":%" PRIu32,
              audit_class_names[finding->class], finding->lane.gateway_id, finding->lane.thread,
              finding->lane.partition);
    if (finding->first != 0)
        text_addf(text, ",\"first\":%" PRIu64 ",\"last\":%" PRIu64, finding->first, finding->last);
    else
        text_add_str(text, ",\"first\":null,\"last\":null");
    if (finding->events >= 0 || finding->class == AUDIT_UNEQUAL)
        text_addf(text, ",\"events\":%" PRId64, finding->events);
    else
        text_add_str(text, ",\"events\":null");
    add_instant(text, ",\"minute\":", finding->at_ms - finding->at_ms % AUDIT_MINUTE_MS);
    text_add_char(text, '}');
}

static void render(struct text *text, const struct audit *audit)
{
    add_instant(text, "{\"from\":", audit->from_ms);
    add_instant(text, ",\"to\":", audit->to_ms);
    if (audit->stored_until_ms == 0)
        text_add_str(text, ",\"stored_until\":null");
    else
        add_instant(text, ",\"stored_until\":", audit->stored_until_ms);
    add_bool(text, ",\"balanced\":", audit_is_balanced(audit));
    add_bool(text, ",\"complete\":", audit->is_complete);
    text_addf(text, ",\"lanes\":%zu,\"totals\":{", audit->lanes);
    add_minute(text, &audit->total);
    text_add_char(text, '}');
    add_minutes(text, audit);
    text_add_str(text, ",\"findings\":[");
    for (size_t i = 0; i < audit->finding_count; i++) {
        if (i > 0)
            text_add_char(text, ',');
        add_finding(text, &audit->findings[i]);
    }
    text_add_str(text, "]}");
}

static bool reckon(struct inquiry *inquiry, struct pg *pg, struct error *err)
{
    const struct audit_inquiry *self =
        H2O_STRUCT_FROM_MEMBER(struct audit_inquiry, inquiry, inquiry);
    AUTO(audit_free) struct audit audit;

    if (!audit_init(&audit, self->from_ms, self->to_ms))
        return error_set(err, ERROR_LIMIT, "audit: no memory");
    if (audit_sql_read(pg, inquiry->job.deadline_ms, &audit, err)) {
        render(&inquiry->body, &audit);
        return true;
    }
    if (err->kind != ERROR_INVALID)
        return false;
    inquiry_fault(inquiry, FAULT_INVALID_PARAMETER, "from",
                  "too many gateways wrote in this span: ask for a shorter one");
    return true;
}
