/*
 * ad_set.h — the ids of ads: those in the catalogue, and those that clicks name beside them
 *
 * Limits: ADS_MAX ids, 66 bytes each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { ADS_MAX = 1000000 };

struct ad_set;
struct ad_set *ad_set_new(void); /* NULL: no memory */
void ad_set_free(struct ad_set **set);

/* *out_is_new: it was not there. False: no memory, or more than ADS_MAX. The id is valid. */
bool ad_set_add(struct ad_set *set, const char *ad_id, size_t size_bytes, bool *out_is_new);

size_t ad_set_count(const struct ad_set *set);
/* In the order they came; borrowed until the next add. */
const char *ad_set_get(const struct ad_set *set, size_t index);
