/*
 * query_meta.h — how old a reading is, and how a failed one is answered
 *
 * Units:  milliseconds of Unix time.
 */
#pragma once

#include "analytics_json.h"
#include "base/error.h"

#include <h2o.h>

/* Analytics says at least once a second how far it is, and may linger over a batch: within this
 * much it has caught up. */
enum { QUERY_CAUGHT_UP_MS = 1500 };

struct freshness {
    int64_t fresh_ms; /* 0: unknown */
    bool is_rebuilding;
    bool is_from_postgres;
};

/* meta->as_of_ms is set already. */
void query_meta_fill(struct reading_meta *meta, const struct freshness *freshness,
                     int64_t stale_after_ms);

/* The edge where a failed reading becomes a status. */
void query_respond_error(h2o_req_t *req, const struct error *error);
