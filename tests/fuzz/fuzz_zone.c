/*
 * A TZif file: whatever it says, a day stays within its bounds and agrees with the offsets. The
 * last eight bytes are the moment asked about, too.
 */
#include "fuzz.h"

#include "event/event.h"
#include "zone.h"

enum { QUARTER_S = 900, DAY_S = 86400, AT_SIZE = 8 };

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

static void check_day(const struct zone *zone, int64_t at_s)
{
    int64_t today = floor_div(at_s + zone_offset_s(zone, at_s), DAY_S);
    struct zone_day day;

    zone_find_day(zone, at_s, &day);
    FUZZ_ASSERT(day.count >= 0 && day.count <= ZONE_DAY_QUARTERS_MAX);
    FUZZ_ASSERT(day.count == 0 || day.hours[0] != ZONE_HOUR_NONE);
    FUZZ_ASSERT(day.count == 0 || day.hours[day.count - 1] != ZONE_HOUR_NONE);
    for (int i = 0; i < day.count; i++) {
        int64_t from_s = (day.first_quarter + i) * QUARTER_S;
        int64_t local_s = from_s + zone_offset_s(zone, from_s);

        if (day.hours[i] == ZONE_HOUR_NONE) {
            FUZZ_ASSERT(floor_div(local_s, DAY_S) != today);
            continue;
        }
        FUZZ_ASSERT(floor_div(local_s, DAY_S) == today);
        FUZZ_ASSERT(day.hours[i] == (local_s - today * DAY_S) / 3600);
    }
}

/* A moment of the years 1970 to 9999, from the file's last bytes. */
static int64_t read_moment(const uint8_t *data, size_t size)
{
    uint64_t at_s = 0;

    for (size_t i = size > AT_SIZE ? size - AT_SIZE : 0; i < size; i++)
        at_s = at_s << 8 | data[i];
    return (int64_t)(at_s % (uint64_t)(EVENT_AT_MS_MAX / 1000));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {.kind = ERROR_NONE};
    struct zone *zone = zone_parse(data, size, &err);

    (void)zone_name_is_valid((const char *)data, size);
    if (zone == NULL) {
        FUZZ_ASSERT(err.kind == ERROR_INVALID);
        return 0;
    }
    check_day(zone, read_moment(data, size));
    check_day(zone, 0);
    check_day(zone, INT64_C(1767225600)); /* 2026-01-01 */
    zone_free(&zone);
    FUZZ_ASSERT(zone == NULL);
    return 0;
}
