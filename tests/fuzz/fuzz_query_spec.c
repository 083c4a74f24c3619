/* The parameters of an analytics request: whatever is taken is within every bound. */
#include "fuzz.h"

#include "event/event.h"
#include "query_spec.h"

static void check_cursor(const struct board_cursor *cursor)
{
    char text[SPEC_CURSOR_MAX];
    struct board_cursor again = {.is_set = false};

    FUZZ_ASSERT(cursor->clicks >= 0 && cursor->clicks < INT64_C(1000000000000000000));
    FUZZ_ASSERT(event_ad_id_is_valid(cursor->id, strlen(cursor->id)));
    board_cursor_format(cursor->clicks, cursor->id, text);
    FUZZ_ASSERT(board_cursor_parse(text, &again) && again.is_set);
    FUZZ_ASSERT(again.clicks == cursor->clicks && strcmp(again.id, cursor->id) == 0);
}

static void check_spec(const struct query_spec *spec)
{
    FUZZ_ASSERT(spec->ad_id[0] == '\0' || event_ad_id_is_valid(spec->ad_id, strlen(spec->ad_id)));
    FUZZ_ASSERT(!spec->is_camel_id || spec->ad_id[0] != '\0');
    FUZZ_ASSERT(spec->frame[0] != '\0' && strlen(spec->frame) < SPEC_FRAME_SIZE);
    FUZZ_ASSERT(spec->window_s >= 0 && spec->window_s <= SPEC_MINUTES_MAX * 60);
    FUZZ_ASSERT((spec->window_s == 0) == (strcmp(spec->frame, "all") == 0));
    FUZZ_ASSERT(zone_name_is_valid(spec->zone, strlen(spec->zone)));
    FUZZ_ASSERT(strstr(spec->zone, "..") == NULL);
    FUZZ_ASSERT(spec->limit >= 1 && spec->limit <= SPEC_LIMIT_MAX);
    FUZZ_ASSERT(spec->has_limit || spec->limit == SPEC_LIMIT_DEFAULT);
    if (spec->cursor.is_set)
        check_cursor(&spec->cursor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct query_spec spec;
    struct faults faults = {0};

    if (query_spec_parse((const char *)data, size, &spec, &faults)) {
        FUZZ_ASSERT(faults.count == 0);
        check_spec(&spec);
        return 0;
    }
    FUZZ_ASSERT(faults.count > 0);
    FUZZ_ASSERT(fault_status(faults.rows[0].code) == 400);
    return 0;
}
