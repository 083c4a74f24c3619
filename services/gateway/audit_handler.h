/*
 * audit_handler.h — GET /api/v1/audit?from&to: the conservation ledger, minute by minute
 *
 * Errors: 400 invalid_parameter: no RFC 3339 instants, from not before to, more than a day, or more
 *         lanes than one audit looks at; 503 when it takes longer than PROOF_DEADLINE_MS.
 * Limits: AUDIT_SPAN_MAX_MS, AUDIT_FINDINGS_MAX, those of audit_sql.h.
 */
#pragma once

#include "http/routes.h"

void audit_get(h2o_req_t *req, const struct route_match *match);
