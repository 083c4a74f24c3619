/*
 * identity.h — the same click gets the same event id in every run
 *
 * Why:    a run may be repeated or cut short, and a click may lie in two places. Its id comes from
 *         the click alone, so that the target's primary key makes all copies one event.
 *
 *   a UUID of version 7 or 8 that carries the click's time (to a day)   -> as it stands
 *   any other UUID                                                      -> event_id_from_foreign:
 *                                 what the gateway makes of the same id and timestamp
 *   an integer or another text                                          -> a hash of ad and id
 *   none, 0, or the nil UUID                                            -> a hash of all fields and
 *                                 the ordinal among identical records of one source
 *
 * Limits:  ORDINALS_MAX different records without an id a source, 24 to 96 bytes each.
 * Threads: one owner thread.
 */
#pragma once

#include "base/error.h"
#include "record.h"

enum { ORDINALS_MAX = 1 << 25 };

struct ordinals;
struct ordinals *ordinals_new(void); /* NULL: no memory */
void ordinals_free(struct ordinals **ordinals);
void ordinals_reset(struct ordinals *ordinals); /* another source, or another pass, begins */

/* Fills click->event.id. ERROR_LIMIT: no room for one more record without an id. */
MUST_CHECK bool identity_give(struct ordinals *ordinals, struct click *click, struct error *err);
