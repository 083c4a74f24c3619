/*
 * id_set.h — the event ids of one request, to tell when one stands for two events
 *
 * Why:     of two events with one id only the first is kept. Sent again it is the same event, and
 *          that is what ids are for; but a client that gives its start and its complete one id
 * would lose one of them without a word. Within a request that can be told, and is. Shape:   open
 * addressing by the id's last bytes, at most half full; pure. Memory:  the caller's block of
 * id_set_size bytes. Limits:  as many ids as the set was made for. Ids that are chosen to collide
 * make a search linear in these.
 */
#pragma once

#include "event/event.h"
#include <stdbool.h>
#include <stddef.h>

struct id_set;

size_t id_set_size(size_t ids_max);
struct id_set *id_set_init(void *memory, size_t ids_max);

/* False: the id stands for an event of another type or ad already. */
bool id_set_add(struct id_set *self, const struct event *event);
