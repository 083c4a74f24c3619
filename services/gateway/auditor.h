/*
 * auditor.h — audits the last minutes by itself, and says what is wrong
 *
 * Why:     a loss that nobody asks for must not stay unseen.
 * Shape:   a thread in every gateway; the one that holds an advisory lock of the database works,
 *          the others try to get it. Every interval_ms it audits span_ms but the newest settle_ms,
 *          sets the gauges ledger_* and logs ledger_unbalanced once for each finding. A gateway
 *          that does not hold the lock shows ledger_audited_at_seconds 0.
 * Errors:  an audit that fails is logged once an outage; ledger_audited_at_seconds stands still.
 * Limits:  a connection of its own; AUDITOR_QUERY_MS an audit; the last AUDITOR_REMEMBERED findings
 *          are not logged again: as many as an audit can have.
 * Threads: open and close on one thread.
 */
#pragma once

#include "audit.h"
#include "base/error.h"
#include <stdint.h>

struct endpoint;

enum { AUDITOR_QUERY_MS = 5000, AUDITOR_REMEMBERED = AUDIT_FINDINGS_MAX };

struct auditor;

struct auditor_options {
    struct endpoint *postgres; /* borrowed until auditor_close */
    int64_t interval_ms, span_ms, settle_ms;
};

struct auditor *auditor_open(const struct auditor_options *options, struct error *err);
/* At once, even when PostgreSQL is frozen in the middle of an audit. */
void auditor_close(struct auditor **auditor);
