/*
 * salts.h — the day's salt for visitor hashes, shared by all gateways
 *
 * Why: a visitor is the same for a day and a stranger on the next, and nobody can undo the hash
 *      once the salt is gone: salts are made ahead, so that gateways know tomorrow's before
 *      midnight, and deleted when no event of their day can arrive any more.
 */
#pragma once

#include "base/error.h"
#include <stdint.h>

struct pg;

enum { SALTS_KEPT_DAYS = 3 };

/* Makes the salts of yesterday to days_ahead unless they are there; deletes older ones. */
MUST_CHECK bool salts_keep(struct pg *pg, int64_t today, int64_t days_ahead, struct error *err);
