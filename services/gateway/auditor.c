#include "auditor.h"

#include "audit_sql.h"
#include "base/auto.h"
#include "metrics.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "stopper.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { CONNECT_MS = 2000, LOCK_MS = 2000 };

/* (1633971303, n): advisory locks of this database that are ours; ingest has 1 to 4. It is the
 * session's, so it is given up with the connection. */
#define LOCK_SQL "SELECT pg_try_advisory_lock(1633971303, 5)"

struct auditor {
    struct auditor_options options;
    pthread_t thread;
    struct stopper stopper;
    /* The thread's own from here on. */
    struct pg *pg;
    bool is_leader;
    bool is_failure_told;
    uint64_t told[AUDITOR_REMEMBERED]; /* hashes of findings */
    size_t told_next;
};

/* The thread's step; the definitions follow in this order. */
static bool on_wait(void *ctx);
static void *on_thread(void *ctx);
static bool lead(struct auditor *self, struct error *err);
static bool audit_once(struct auditor *self, struct error *err);
static void show(const struct audit *audit);
static void tell(struct auditor *self, const struct audit *audit);

struct auditor *auditor_open(const struct auditor_options *options, struct error *err)
{
    struct auditor *self = calloc(1, sizeof(*self));
    const struct pg_options pg = {.endpoint = options->postgres,
                                  .application = "adledger gateway audit",
                                  .connect_ms = CONNECT_MS,
                                  .query_ms = LOCK_MS,
                                  .on_wait = on_wait,
                                  .ctx = self};

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "auditor: no memory");
        return NULL;
    }
    self->options = *options;
    stopper_init(&self->stopper);
    self->pg = pg_new(&pg);
    if (self->pg == NULL || pthread_create(&self->thread, NULL, on_thread, self) != 0) {
        (void)error_set(err, ERROR_LIMIT, "auditor: no thread");
        pg_close(&self->pg);
        stopper_free(&self->stopper);
        free(self);
        return NULL;
    }
    return self;
}

void auditor_close(struct auditor **auditor)
{
    struct auditor *self = *auditor;

    if (self == NULL)
        return;
    stopper_stop(&self->stopper);
    pthread_join(self->thread, NULL);
    pg_close(&self->pg);
    stopper_free(&self->stopper);
    free(self);
    *auditor = NULL;
}

/* An audit under way does not hold up the process's end. */
static bool on_wait(void *ctx)
{
    struct auditor *self = ctx;

    return !stopper_is_stopped(&self->stopper);
}

static void report(struct auditor *self, bool is_done, const struct error *err)
{
    if (is_done == !self->is_failure_told)
        return;
    self->is_failure_told = !is_done;
    if (is_done)
        log_info("audit_works_again", "interval_ms=%" PRId64, self->options.interval_ms);
    else
        log_warn("audit_failed", "why=\"%s\"", err->text);
}

/* Nobody is told of what this gateway does not look at. */
static void show_nothing(void)
{
    gateway_set(GATEWAY_ledger_balanced, 1);
    gateway_set(GATEWAY_ledger_lost_batches, 0);
    gateway_set(GATEWAY_ledger_pending_batches, 0);
    gateway_set(GATEWAY_ledger_unproven_batches, 0);
    gateway_set(GATEWAY_ledger_audited_at_seconds, 0);
}

static void *on_thread(void *ctx)
{
    struct auditor *self = ctx;

    show_nothing();
    while (stopper_wait(&self->stopper, self->options.interval_ms)) {
        struct error err = {0};
        bool is_done = lead(self, &err) && (!self->is_leader || audit_once(self, &err));

        report(self, is_done, &err);
    }
    return NULL;
}

/* Takes the lock, or finds that another gateway has it. */
static bool lead(struct auditor *self, struct error *err)
{
    AUTO(pg_result_clear) PGresult *locked = NULL;
    bool was_leader = self->is_leader;

    pg_drop_ended(self->pg);
    if (self->is_leader && pg_is_connected(self->pg)) /* the lock is the connection's */
        return true;
    self->is_leader = false;
    pg_set_query_ms(self->pg, LOCK_MS);
    if (pg_query(self->pg, NULL, LOCK_SQL, NULL, 0, &locked, err))
        self->is_leader = PQgetvalue(locked, 0, 0)[0] == 't';
    else
        return false; /* the gauges keep what was last seen; audited_at tells when that was */
    if (was_leader && !self->is_leader)
        show_nothing();
    return true;
}

static bool audit_once(struct auditor *self, struct error *err)
{
    int64_t to_ms = clock_at_ms() - self->options.settle_ms;
    int64_t from_ms = to_ms - self->options.span_ms;
    AUTO(audit_free) struct audit audit;

    /* Whole minutes at the front; the newest of all ends where it has to. */
    if (!audit_init(&audit, from_ms - from_ms % AUDIT_MINUTE_MS, to_ms))
        return error_set(err, ERROR_LIMIT, "auditor: no memory");
    if (!audit_sql_read(self->pg, clock_now_ms() + AUDITOR_QUERY_MS, &audit, err))
        return false;
    show(&audit);
    tell(self, &audit);
    return true;
}

static void show(const struct audit *audit)
{
    const int64_t *missing = audit->total.missing;

    gateway_set(GATEWAY_ledger_balanced, audit_is_balanced(audit) ? 1 : 0);
    gateway_set(GATEWAY_ledger_lost_batches, (double)missing[AUDIT_LOST]);
    gateway_set(GATEWAY_ledger_pending_batches, (double)missing[AUDIT_PENDING]);
    gateway_set(GATEWAY_ledger_unproven_batches, (double)missing[AUDIT_UNPROVEN]);
    gateway_set(GATEWAY_ledger_audited_at_seconds, (double)clock_at_ms() / 1000);
}

/* True: it was told before; else it is remembered from now on. */
static bool is_told(struct auditor *self, const struct audit_finding *finding)
{
    uint64_t hash = XXH3_64bits(finding->lane.gateway_id, sizeof(finding->lane.gateway_id));
    const uint64_t rest[] = {hash,           finding->lane.thread, finding->lane.partition,
                             finding->first, finding->last,        (uint64_t)finding->class};

    hash = XXH3_64bits(rest, sizeof(rest));
    for (size_t i = 0; i < AUDITOR_REMEMBERED; i++)
        if (self->told[i] == hash)
            return true;
    self->told[self->told_next++ % AUDITOR_REMEMBERED] = hash;
    return false;
}

static void tell(struct auditor *self, const struct audit *audit)
{
    for (size_t i = 0; i < audit->finding_count; i++) {
        const struct audit_finding *finding = &audit->findings[i];

        if ((finding->class != AUDIT_LOST && finding->class != AUDIT_UNEQUAL) ||
            is_told(self, finding))
            continue;
        log_error("ledger_unbalanced",
                  "state=%s gateway_id=%s thread=%" PRIu32 " partition=%" PRIu32 " first=%" PRIu64
                  " last=%" PRIu64 " events=%" PRId64,
                  audit_class_names[finding->class], finding->lane.gateway_id, finding->lane.thread,
                  finding->lane.partition, finding->first, finding->last, finding->events);
    }
}
