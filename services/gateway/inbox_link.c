#include "inbox_link.h"

#include "runtime/clock.h"

bool inbox_link_open(struct inbox_link *self, const char *what, const struct pg_options *options,
                     struct error *err)
{
    struct guard_options guard = {
        .dependency = GUARD_POSTGRES, .what = what, .breaker = breaker_default_options()};

    guard.breaker.slow_ms = options->query_ms;
    guard.breaker.permit_ms = options->connect_ms + 2LL * options->query_ms;
    guard_init(&self->guard, &guard, (uint64_t)clock_now_us(), clock_now_ms());
    self->pg = pg_new(options);
    return self->pg != NULL || error_set(err, ERROR_LIMIT, "inbox: no memory");
}

void inbox_link_close(struct inbox_link *self)
{
    guard_end(&self->guard);
    pg_close(&self->pg);
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
    if (!guard_allow(&self->guard, clock_now_ms(), out_permit))
        return error_set(err, ERROR_UNAVAILABLE, "inbox: its breaker is open");
    if (connect_durably(self->pg, err))
        return true;
    pg_disconnect(self->pg); /* half set up is not to be used */
    guard_report(&self->guard, out_permit,
                 err->kind == ERROR_UNAVAILABLE ? BREAKER_CONNECT_FAILURE : guard_judge(err->kind),
                 clock_now_ms());
    return error_wrap(err, "inbox");
}

bool inbox_link_answer(struct inbox_link *self, const struct breaker_permit *permit, bool is_done,
                       const struct error *err)
{
    guard_report(&self->guard, permit, guard_judge(is_done ? ERROR_NONE : err->kind),
                 clock_now_ms());
    return is_done;
}
