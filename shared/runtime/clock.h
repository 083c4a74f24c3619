/*
 * clock.h — the only place that reads a clock
 *
 * Units: clock_now_ms is monotonic and only good for differences; clock_at_ms is Unix time.
 *        Modules below main and the loops take times as arguments.
 */
#pragma once

#include <stdint.h>

int64_t clock_now_ms(void); /* monotonic milliseconds: deadlines, intervals */
int64_t clock_now_us(void); /* monotonic microseconds: latencies */
int64_t clock_at_ms(void);  /* Unix milliseconds: instants that leave the process */

/* Sleeps; returns early when a signal arrives. Never call it on an event loop. */
void clock_sleep_ms(int64_t wait_ms);
