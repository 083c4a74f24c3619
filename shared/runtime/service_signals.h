/*
 * service_signals.h — a thread that turns signals into calls
 *
 * Why:     a handler may do almost nothing, and a library's thread may be the one it interrupts;
 *          in a thread of its own a signal is an event like any other.
 * Threads: on_signal is called on that thread. Open before any other thread is started: they
 *          inherit the blocked signals.
 */
#pragma once

#include "base/error.h"

struct signals;

typedef void (*signal_fn)(void *ctx, int number); /* SIGTERM, SIGINT or SIGHUP */

struct signals *signals_open(signal_fn on_signal, void *ctx, struct error *err);
/* Joins the thread and gives the caller's thread its old mask back. */
void signals_close(struct signals **signals);
