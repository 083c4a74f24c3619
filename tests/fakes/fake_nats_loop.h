/*
 * fake_nats_loop.h — a connection that remembers what was published
 *
 * Implements nats_loop_publish; link it in place of nats_loop.c.
 */
#pragma once

#include "nats_loop.h"

enum { FAKE_PUBLISHED_MAX = 32 };

struct fake_published {
    char subject[48], token[32], message_id[96];
    size_t size_bytes;
};

struct nats_loop {
    enum error_kind fail_with;
    struct fake_published published[FAKE_PUBLISHED_MAX];
    size_t count;
};
