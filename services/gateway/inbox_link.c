#include "inbox_link.h"

#include "runtime/clock.h"

/* A promise rests on its commits, whatever the server's own setting is. */
static const char durable_sql[] =
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local')";

bool inbox_link_open(struct inbox_link *self, const char *what, const struct pg_options *options,
                     struct error *err)
{
    struct guard_options guard = {
        .dependency = GUARD_POSTGRES, .what = what, .breaker = breaker_default_options()};
    struct pg_options pg = *options;

    pg.session_sql = durable_sql;
    guard.breaker.slow_ms = options->query_ms;
    guard.breaker.permit_ms = options->connect_ms + 2LL * options->query_ms;
    guard_init(&self->guard, &guard, (uint64_t)clock_now_us(), clock_now_ms());
    self->pg = pg_new(&pg);
    return self->pg != NULL || error_set(err, ERROR_LIMIT, "inbox: no memory");
}

void inbox_link_close(struct inbox_link *self)
{
    guard_end(&self->guard);
    pg_close(&self->pg);
}

bool inbox_link_ask(struct inbox_link *self, struct breaker_permit *out_permit, struct error *err)
{
    if (!guard_allow(&self->guard, clock_now_ms(), out_permit))
        return error_set(err, ERROR_UNAVAILABLE, "inbox: its breaker is open");
    pg_drop_ended(self->pg); /* the writer rests for as long as the spool takes all */
    if (pg_connect(self->pg, err))
        return true;
    guard_report(&self->guard, out_permit, pg_judge_connect(self->pg, err), clock_now_ms());
    return error_wrap(err, "inbox");
}

bool inbox_link_answer(struct inbox_link *self, const struct breaker_permit *permit, bool is_done,
                       const struct error *err)
{
    guard_report(&self->guard, permit, pg_judge(self->pg, is_done, err), clock_now_ms());
    return is_done;
}
