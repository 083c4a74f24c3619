/*
 * catalogue.h — ads into adledger's catalogue
 *
 * Why:    clicks of an ad that the catalogue does not know would be stored and never shown. Ads
 *         that a table holds are entered as they are there; one that only clicks name is entered by
 *         its id, so that its numbers can be seen.
 * Errors: an ad whose id cannot be one here is rejected. An address that is not http(s) is left
 *         empty and reported, as the gateway would refuse it.
 */
#pragma once

#include "rejects.h"
#include "source_table.h"
#include "target.h"

struct catalogue;

struct catalogue_counts {
    int64_t read, entered; /* of the table ads */
    int64_t named;         /* entered because clicks name them */
};

struct catalogue *catalogue_open(struct target *target, struct error *err);
void catalogue_close(struct catalogue **catalogue);

/* A click names the ad. Not entered before catalogue_enter. */
MUST_CHECK bool catalogue_want(struct catalogue *catalogue, const char *ad_id, size_t size_bytes,
                               struct error *err);
size_t catalogue_wanted(const struct catalogue *catalogue);

MUST_CHECK bool catalogue_import(struct catalogue *catalogue, struct tables *tables,
                                 struct rejects *rejects, struct error *err);
/* What is wanted and still not there. */
MUST_CHECK bool catalogue_enter(struct catalogue *catalogue, struct error *err);

struct catalogue_counts catalogue_counts(const struct catalogue *catalogue);
