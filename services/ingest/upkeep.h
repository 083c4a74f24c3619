/*
 * upkeep.h — what has to be done by the clock: days made ahead, old ones dropped, salts, and what
 *            is deleted by age
 *
 * Why:     an INSERT must never wait for a table to be made, and must never find that it is not.
 * Threads: upkeep_make on any connection's own thread; upkeep_open starts a thread with a
 *          connection of its own that does all of it at once, then hourly.
 */
#pragma once

#include "base/error.h"
#include <stdint.h>

struct endpoint;
struct pg;
struct service;
struct upkeep;

struct upkeep_options {
    struct endpoint *postgres; /* borrowed until upkeep_close */
    int connect_ms;
    int64_t ahead_days, retention_days;
    int64_t dead_letter_days; /* dead letters are kept for longer, or shorter */
};

/* Tables from yesterday to ahead_days, and salts. Without them nothing can be stored. */
MUST_CHECK bool upkeep_make(struct pg *pg, const struct upkeep_options *options, struct error *err);

struct upkeep *upkeep_open(const struct upkeep_options *options, struct service *service,
                           struct error *err);
/* The statement under way is given up; waits for a bounded time. The service must be stopping. */
void upkeep_close(struct upkeep **upkeep);
