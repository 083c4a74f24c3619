/*
 * event_id.h — ids that carry their time
 *
 * A UUIDv7 is taken as it stands, and so is a UUIDv8 (one we made before). Any other version
 * becomes a UUIDv8: the milliseconds of the event's timestamp, then a hash of the client's id, so
 * that a retry with the same id and timestamp is the same event.
 *
 * Threads: event_id_make keeps its randomness per thread.
 */
#pragma once

#include "event/event.h"

void event_id_make(int64_t at_ms, uint8_t out[EVENT_ID_SIZE]); /* a new UUIDv7 */
bool event_id_parse(const char *text, size_t size_bytes,
                    uint8_t out[EVENT_ID_SIZE]); /* 8-4-4-4-12, any case */
void event_id_format(const uint8_t id[EVENT_ID_SIZE], char out[EVENT_ID_TEXT_SIZE]);
/* 1 to 15; 0 when the variant bits are not those of RFC 9562, so that such an id is foreign. */
int event_id_version(const uint8_t id[EVENT_ID_SIZE]);
int64_t event_id_at_ms(const uint8_t id[EVENT_ID_SIZE]); /* versions 7 and 8 only */
void event_id_from_foreign(const uint8_t foreign[EVENT_ID_SIZE], int64_t at_ms,
                           uint8_t out[EVENT_ID_SIZE]);
