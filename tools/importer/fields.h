/*
 * fields.h — what the earlier trackers call things
 *
 * Why:    five trackers spell the same few fields in a dozen ways, as columns and as JSON members.
 *         One table knows every spelling; a new one is a row.
 * Shape:  spellings are compared without case and without underscores, so that adId, ad_id and AdID
 *         are one. Of several spellings of a field in one place the first row of the table wins.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum click_field {
    CLICK_ID,
    CLICK_AD_ID,
    CLICK_TIME,
    CLICK_IP,
    CLICK_PLAYBACK,
    CLICK_USER_AGENT,
    CLICK_FIELD_COUNT,
};

enum ad_field {
    AD_ID,
    AD_TITLE,
    AD_IMAGE_URL,
    AD_VIDEO_URL,
    AD_TARGET_URL,
    AD_CREATED_AT,
    AD_FIELD_COUNT,
};

enum { FIELDS_MAX = 6 };

/* What a column must hold to be taken for a field. */
enum field_class { FIELD_KEY, FIELD_TIME, FIELD_ADDRESS, FIELD_SECONDS, FIELD_WORDS };

struct field {
    const char *name; /* adledger's own */
    enum field_class class;
    bool is_required;
};

struct field_alias {
    const char *name; /* lower case, no underscores */
    int field;
};

struct field_table {
    const struct field *fields;
    size_t field_count;
    const struct field_alias *aliases;
    size_t alias_count;
};

extern const struct field_table click_fields;
extern const struct field_table ad_fields;

/* The alias that the name is a spelling of; a lower rank wins. False: it is none. */
bool field_find(const struct field_table *table, const char *name, int *out_field,
                size_t *out_rank);
