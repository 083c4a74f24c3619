/*
 * poll_wait.h — waits for a socket, but never past a deadline
 *
 * Why:   libpq and hiredis are driven without blocking; this is the one place where they wait.
 * Units: deadline_ms is an instant of clock_now_ms.
 */
#pragma once

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/clock.h"

/* True when fd is ready for one of events (or broken, which the next read or write tells). */
static inline bool poll_wait(int fd, short events, int64_t deadline_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int64_t left_ms = deadline_ms - clock_now_ms();
    int ready;

    do {
        ready = poll(&poll_fd, 1, left_ms > 0 ? (int)left_ms : 0);
        left_ms = deadline_ms - clock_now_ms();
    } while (ready < 0 && errno == EINTR && left_ms > 0);
    return ready > 0;
}
