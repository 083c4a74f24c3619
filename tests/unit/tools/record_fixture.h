/*
 * record_fixture.h — records for the importer's tests
 */
#pragma once

#include "record.h"

#include <string.h>

static inline struct record_value value_of(const char *text)
{
    return (struct record_value){text, text == NULL ? 0 : strlen(text)};
}

/* A click that has all it needs. */
static inline struct record good_record(void)
{
    struct record record = {0};

    record.values[CLICK_AD_ID] = value_of("ad-001");
    record.values[CLICK_TIME] = value_of("2026-01-02T03:04:05.678Z");
    return record;
}
