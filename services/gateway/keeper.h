/*
 * keeper.h — what the stream did not take is kept by the spool, else by the inbox
 *
 * Why:     a client waits for one verdict. The lines of keeping answer on threads of their own and
 *          may hang, so somebody on the loop's thread has to pass a batch from one to the next,
 *          and to answer on time when none of them does.
 * Shape:   the spool has half of the time that is left, the inbox the rest. A spool that hangs
 *          does not stop the inbox: its write goes on, and the same batch twice counts once.
 *
 *            keeper_keep -> spool --refused, late--> inbox --refused, deadline--> unavailable
 *                             \________ committed _____/--------------------------> kept
 *
 *          A line's answer is put into a list by its thread and read by keeper_turn.
 * Errors:  none: a verdict is BATCH_KEPT or BATCH_UNAVAILABLE, and is never changed. What commits
 *          after its deadline was promised to nobody.
 * Memory:  the batch is the keeper's until on_released, for a line may still read its bytes after
 *          the verdict. What a line has not given back when the keeper closes is left allocated.
 * Limits:  batch->deadline_ms; the lines' own queues; KEEPER_CLOSE_MS.
 * Threads: one loop thread; wake is called on the lines'.
 */
#pragma once

#include "base/error.h"
#include "batch.h"

struct keeper;

enum { KEEPER_CLOSE_MS = 1500 };

struct keeper_options {
    const uint8_t *gateway_id; /* 16 bytes; borrowed */
    uint32_t thread;
    struct keep_line *lines[KEEP_STOP_COUNT]; /* borrowed until keeper_close */
    void (*wake)(void *ctx); /* an answer has come: call keeper_turn soon; must not block */
    void *ctx;
};

struct keeper_events {
    void *ctx;
    void (*on_settled)(void *ctx, struct batch *batch, enum batch_outcome outcome);
    void (*on_released)(void *ctx, struct batch *batch); /* after it: the batch is the owner's */
};

struct keeper *keeper_new(const struct keeper_options *options, struct error *err);
/* Waits for what the lines have, then settles the rest. */
void keeper_close(struct keeper **keeper);

/* Who gets the verdicts; they may come from within keeper_keep. */
void keeper_on(struct keeper *self, const struct keeper_events *events);

/* Takes a batch that has its number, its header and its deadline_ms. */
void keeper_keep(struct keeper *self, struct batch *batch, int64_t now_ms);

/* Once a turn of the loop: reads the answers. */
void keeper_turn(struct keeper *self, int64_t now_ms);
/* Hands on and gives up what is late. */
void keeper_tick(struct keeper *self, int64_t now_ms);
