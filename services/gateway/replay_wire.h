/*
 * replay_wire.h — publishes kept batches and learns what the stream says to each
 *
 * Why:     js_Publish* has no honest deadline (it forgets a lost ack or uses freed memory), so
 *          replies come to an inbox of our own: "<inbox>.<round>-<row>".
 * Shape:   one round publishes the rows of a claim, as many under way as replay_window.h allows,
 *          and ends when each has its answer, when nothing was heard for ack_ms, or after
 *          REPLAY_ROUND_MS; it sends nothing in the last ack_ms of these. Each row's fate is set;
 *          a row that was not answered, or not sent, keeps FATE_KEPT and is sent again with the
 *          same Nats-Msg-Id.
 *
 *            stored: PUBLISHED    refused: REFUSED, k + 1    too large: DAMAGED    silence: KEPT
 *
 * Errors:  ERROR_UNAVAILABLE: no connection, or it broke during the round.
 * Threads: one owner thread.
 */
#pragma once

#include "clients/bus.h"
#include "kept_rows.h"

enum { REPLAY_HEADER_BYTES = 256, REPLAY_ROUND_MS = 5000 };

struct replay_wire;

/* What a round brought. */
struct replay_tally {
    size_t sent, stored, refused, unheard;
    uint64_t events;             /* in what was stored */
    uint64_t blocked_partitions; /* bit p: its stream is full, not there, or silent */
};

/* Connects to nobody yet; options' texts are borrowed until replay_wire_close. */
struct replay_wire *replay_wire_open(const struct bus_options *options, int ack_ms,
                                     int queued_max_ms, struct error *err);
void replay_wire_close(struct replay_wire **wire);

/* Connects, unless connected. */
MUST_CHECK bool replay_wire_connect(struct replay_wire *self, struct error *err);
/* Lets an idle connection follow its endpoint; call it now and then. */
void replay_wire_tend(struct replay_wire *self);
/* Tells that the server may be another: what was learned of the former one's pace is forgotten. */
void replay_wire_reconnected(struct replay_wire *self);
bool replay_wire_is_connected(const struct replay_wire *self);
/* What a batch may have, while connected. */
size_t replay_wire_payload_max(const struct replay_wire *self);

MUST_CHECK bool replay_wire_send(struct replay_wire *self, struct kept_rows *rows,
                                 struct replay_tally *out, struct error *err);
