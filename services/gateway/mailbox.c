#include "mailbox.h"

#include "stopper.h"

void mailbox_init(struct mailbox *box, void (*on_mail)(void *ctx), void *ctx)
{
    *box = (struct mailbox){.on_mail = on_mail, .ctx = ctx};
    pthread_mutex_init(&box->lock, NULL);
    monotonic_cond_init(&box->arrived);
}

void mailbox_free(struct mailbox *box)
{
    pthread_cond_destroy(&box->arrived);
    pthread_mutex_destroy(&box->lock);
}

/* Only a wish to write comes often, and one of them says it all. */
static bool is_repeated(const struct mailbox *box, const struct mail *mail)
{
    return mail->kind == MAIL_WRITE && box->count > 0 &&
           box->ring[(box->first + box->count - 1) % MAILBOX_MAX].kind == MAIL_WRITE;
}

bool mailbox_put(struct mailbox *box, const struct mail *mail)
{
    bool fits = true;

    pthread_mutex_lock(&box->lock);
    if (!is_repeated(box, mail)) {
        fits = box->count < MAILBOX_MAX;
        if (fits)
            box->ring[(box->first + box->count++) % MAILBOX_MAX] = *mail;
    }
    atomic_store(&box->has_mail, true);
    pthread_cond_signal(&box->arrived);
    box->on_mail(box->ctx); /* the box may be freed as soon as the lock is open */
    pthread_mutex_unlock(&box->lock);
    return fits;
}

bool mailbox_has_mail(const struct mailbox *box)
{
    return atomic_load(&box->has_mail);
}

static bool take_locked(struct mailbox *box, struct mail *out)
{
    if (box->count == 0)
        return false;
    *out = box->ring[box->first];
    box->first = (box->first + 1) % MAILBOX_MAX;
    box->count--;
    atomic_store(&box->has_mail, box->count > 0);
    return true;
}

bool mailbox_take(struct mailbox *box, struct mail *out)
{
    bool taken;

    if (!atomic_load(&box->has_mail))
        return false;
    pthread_mutex_lock(&box->lock);
    taken = take_locked(box, out);
    pthread_mutex_unlock(&box->lock);
    return taken;
}

bool mailbox_await(struct mailbox *box, struct mail *out, int64_t wait_ms)
{
    const struct timespec until = monotonic_until(wait_ms);
    bool taken;
    int status = 0;

    pthread_mutex_lock(&box->lock);
    while (!(taken = take_locked(box, out)) && status == 0)
        status = pthread_cond_timedwait(&box->arrived, &box->lock, &until);
    pthread_mutex_unlock(&box->lock);
    return taken;
}
