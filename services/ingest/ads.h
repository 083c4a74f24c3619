/*
 * ads.h — the ads that the gateway could not look up
 *
 * Why: a gateway that starts without PostgreSQL and without a remembered catalogue takes events
 *      for any ad and flags them EVENT_AD_UNRESOLVED; here the catalogue is at hand.
 */
#pragma once

#include "base/error.h"
#include "batch.h"

struct pg;

/* Sets rows aside whose ad is in no catalogue, archived ads included; asks only for flagged rows.
 */
MUST_CHECK bool ads_resolve(struct pg *pg, struct batch *batch, struct error *err);
