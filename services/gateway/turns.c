#include "turns.h"

#include "stopper.h"

void turns_init(struct turns *self)
{
    *self = (struct turns){.last = TURN_REPLAYER};
    pthread_mutex_init(&self->lock, NULL);
    monotonic_cond_init(&self->changed);
}

void turns_free(struct turns *self)
{
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
}

static bool is_free_for(const struct turns *self, enum turn_side side)
{
    enum turn_side other = side == TURN_WRITER ? TURN_REPLAYER : TURN_WRITER;

    return !self->is_taken && !(self->last == side && self->is_wanted[other]);
}

/* until NULL: as long as it takes. */
static bool take(struct turns *self, enum turn_side side, const struct timespec *until)
{
    int status = 0;
    bool is_ours;

    pthread_mutex_lock(&self->lock);
    self->is_wanted[side] = true;
    while (!is_free_for(self, side) && status == 0)
        status = until == NULL ? pthread_cond_wait(&self->changed, &self->lock)
                               : pthread_cond_timedwait(&self->changed, &self->lock, until);
    is_ours = is_free_for(self, side);
    self->is_wanted[side] = false;
    if (is_ours) {
        self->is_taken = true;
        self->last = side;
    }
    pthread_mutex_unlock(&self->lock);
    return is_ours;
}

void turns_take(struct turns *self, enum turn_side side)
{
    (void)take(self, side, NULL);
}

bool turns_take_within(struct turns *self, enum turn_side side, int64_t wait_ms)
{
    const struct timespec until = monotonic_until(wait_ms > 0 ? wait_ms : 0);

    return take(self, side, &until);
}

void turns_end(struct turns *self)
{
    pthread_mutex_lock(&self->lock);
    self->is_taken = false;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
}
