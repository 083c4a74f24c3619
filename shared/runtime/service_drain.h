/*
 * service_drain.h — ends a process whose drain takes too long (service_limit_drain)
 *
 * Why:     every wait of ours has a deadline, but not every wait of a library or of the kernel: a
 *          name that is looked up, a disk that hangs. The last word is a thread that waits for
 *          nothing but the time.
 * Threads: one of its own, from drain_open to drain_close.
 */
#pragma once

#include "base/error.h"
#include <stdint.h>

struct drain;

/* stop_fd becomes readable when the drain begins; it is borrowed until drain_close. */
struct drain *drain_open(int stop_fd, int64_t max_ms, struct error *err);
/* The process has drained in time. */
void drain_close(struct drain **drain);
