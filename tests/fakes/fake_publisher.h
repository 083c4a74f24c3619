/*
 * fake_publisher.h — a publisher that keeps what it is given until the test ends it
 *
 * Implements publisher.h; link it in place of publisher.c.
 */
#pragma once

#include "publisher.h"

enum { FAKE_SENT_MAX = 64 };

struct publisher {
    bool is_away; /* what publisher_ask says; else it takes what has a place */
    bool wants_trial;
    struct batch *sent[FAKE_SENT_MAX]; /* under way, oldest first */
    size_t sent_count;
    publish_done_fn on_done;
    void *on_done_ctx;
};

/* Ends the oldest batch that is under way. */
void fake_publisher_end(struct publisher *self, enum publish_end end, int64_t now_ms);
