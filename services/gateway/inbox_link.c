#include "inbox_link.h"

#include "runtime/clock.h"
#include "runtime/log.h"

enum { ATTEMPTS_MIN = 3 }; /* a handful of groups of batches is all that there may be in a window */

static void on_breaker_change(void *ctx, const struct breaker_change *change)
{
    const struct inbox_link *self = ctx;

    log_warn("breaker_changed", "dependency=%s from=%s to=%s reason=%s", self->name,
             breaker_state_name(change->from), breaker_state_name(change->to),
             breaker_reason_name(change->reason));
}

bool inbox_link_open(struct inbox_link *self, const char *name, const struct pg_options *options,
                     struct error *err)
{
    struct breaker_options limits = breaker_default_options();

    limits.attempts_min = ATTEMPTS_MIN;
    limits.slow_ms = options->query_ms;
    limits.permit_ms = options->connect_ms + 2LL * options->query_ms;
    self->name = name;
    breaker_init(&self->breaker, &limits, (uint64_t)clock_now_us(), clock_now_ms(),
                 on_breaker_change, self);
    self->pg = pg_new(options);
    return self->pg != NULL || error_set(err, ERROR_LIMIT, "inbox: no memory");
}

void inbox_link_close(struct inbox_link *self)
{
    pg_close(&self->pg);
}

/* What a failure says of PostgreSQL; a table or a right that is missing is not mended by asking. */
static enum breaker_result judge(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
    case ERROR_INVALID:
    case ERROR_LIMIT:
        return BREAKER_SUCCESS;
    case ERROR_UNAVAILABLE:
    case ERROR_UNCERTAIN:
    case ERROR_INTERNAL:
        return BREAKER_FAILURE;
    }
    return BREAKER_FAILURE;
}

/* A promise rests on its commits, whatever the server's own setting is. */
static bool connect_durably(struct pg *pg, struct error *err)
{
    if (pg_is_connected(pg))
        return true;
    return pg_connect(pg, err) &&
           pg_query(pg, NULL,
                    "SELECT set_config('synchronous_commit', 'on', false)"
                    " WHERE current_setting('synchronous_commit') IN ('off', 'local')",
                    NULL, 0, NULL, err);
}

bool inbox_link_ask(struct inbox_link *self, struct breaker_permit *out_permit, struct error *err)
{
    if (!breaker_allow(&self->breaker, clock_now_ms(), out_permit))
        return error_set(err, ERROR_UNAVAILABLE, "inbox: its breaker is open");
    if (connect_durably(self->pg, err))
        return true;
    pg_disconnect(self->pg); /* half set up is not to be used */
    breaker_report(&self->breaker, out_permit,
                   err->kind == ERROR_UNAVAILABLE ? BREAKER_CONNECT_FAILURE : judge(err->kind),
                   clock_now_ms());
    return error_wrap(err, "inbox");
}

bool inbox_link_answer(struct inbox_link *self, const struct breaker_permit *permit, bool is_done,
                       const struct error *err)
{
    breaker_report(&self->breaker, permit, judge(is_done ? ERROR_NONE : err->kind), clock_now_ms());
    return is_done;
}
