/*
 * mailbox.h — what libnats' threads report, in order, for the loop to read
 *
 * Why:     h2o's own message queue may not be torn down while a message is on its way, and libnats
 *          reports until a connection has closed; this box can be emptied at any time.
 * Memory:  a ring inside the struct; a report that repeats the last one is dropped.
 * Limits:  MAILBOX_MAX reports; beyond, mailbox_put says false.
 * Threads: put from any, take and await from one.
 */
#pragma once

#include <nats/nats.h>
#include <openssl/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAILBOX_MAX = 64 };

enum mail_kind {
    MAIL_ATTACH, /* descriptor is the loop's to close */
    MAIL_DETACH,
    MAIL_WRITE,
    MAIL_DIALED, /* connection and its subscriptions are the loop's to destroy */
    MAIL_UP,
    MAIL_DOWN,
    MAIL_CLOSED,
    MAIL_LEAVE, /* the mover waits to close the connection */
};

struct mail {
    enum mail_kind kind;
    natsConnection *connection;
    int descriptor;
    SSL *tls;         /* MAIL_ATTACH: of the descriptor, and the loop's to free; NULL: none */
    uint64_t version; /* MAIL_DIALED: of the endpoint, that it was made with */
    natsSubscription *replies, *elections; /* MAIL_DIALED; NULL: not subscribed, and closed */
    size_t payload_max;                    /* MAIL_DIALED, MAIL_UP: what the server takes */
};

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    atomic_bool has_mail; /* lets the loop look without the lock */
    size_t first, count;
    struct mail ring[MAILBOX_MAX];
    void (*on_mail)(void *ctx); /* called by the putting thread, under the lock */
    void *ctx;
};

void mailbox_init(struct mailbox *box, void (*on_mail)(void *ctx), void *ctx);
void mailbox_free(struct mailbox *box);

bool mailbox_put(struct mailbox *box, const struct mail *mail);
bool mailbox_has_mail(const struct mailbox *box);
bool mailbox_take(struct mailbox *box, struct mail *out); /* false: empty */
bool mailbox_await(struct mailbox *box, struct mail *out, int64_t wait_ms);
