/*
 * fake_publisher.h — a publisher that keeps what it is given until the test settles it
 *
 * Implements publisher.h; link it in place of publisher.c.
 */
#pragma once

#include "publisher.h"

enum { FAKE_SENT_MAX = 64 };

struct publisher {
    bool is_up, is_lost;
    struct batch *sent[FAKE_SENT_MAX]; /* under way, oldest first */
    size_t sent_count;
    publish_done_fn on_done;
    void *on_done_ctx;
};

/* Settles the oldest batch that is under way. */
void fake_publisher_settle(struct publisher *self, enum batch_outcome outcome);
