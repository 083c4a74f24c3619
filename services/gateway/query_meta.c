#include "query_meta.h"

#include "http/respond.h"
#include "runtime/log.h"

void query_meta_fill(struct reading_meta *meta, const struct freshness *freshness,
                     int64_t stale_after_ms)
{
    int64_t lag_ms = meta->as_of_ms - freshness->fresh_ms;

    meta->source = freshness->is_from_postgres ? "postgres" : "redis";
    if (freshness->fresh_ms == 0) {
        meta->lag_ms = -1;
        meta->is_stale = !freshness->is_from_postgres; /* Redis has not begun to count */
        return;
    }
    meta->lag_ms = lag_ms <= QUERY_CAUGHT_UP_MS ? 0 : lag_ms;
    meta->is_stale = freshness->is_rebuilding || lag_ms > stale_after_ms;
}

void query_respond_error(h2o_req_t *req, const struct error *error)
{
    switch (error->kind) {
    case ERROR_LIMIT:
        respond_fault(req, FAULT_OVERLOADED, "", "too many questions at once");
        return;
    case ERROR_UNAVAILABLE:
    case ERROR_UNCERTAIN:
        respond_fault(req, FAULT_UNAVAILABLE, "", "the counters cannot be read now");
        return;
    case ERROR_NONE:
    case ERROR_INVALID:
    case ERROR_INTERNAL:
        log_error("query_failed", "kind=%s why=%s", error_kind_name(error->kind), error->text);
        respond_fault(req, FAULT_INTERNAL, "", "the numbers could not be read");
        return;
    }
}
