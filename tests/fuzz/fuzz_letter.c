/* A dead letter: its id in a path, and its bytes, of which at most one event comes back. */
#include "fuzz.h"

#include "letter.h"

#include <inttypes.h>

static bool on_event(void *ctx, size_t index, const struct event *event, const char *why)
{
    size_t *count = ctx;

    FUZZ_ASSERT(index == *count);
    FUZZ_ASSERT((event == NULL) == (why != NULL));
    FUZZ_ASSERT(event == NULL || event_ad_id_is_valid(event->ad_id, event->ad_id_size));
    (*count)++;
    return true;
}

static void check_id(const char *text, size_t size)
{
    int64_t id = 0;
    char again[24];

    if (!letter_id_parse(text, size, &id))
        return;
    FUZZ_ASSERT(id > 0);
    while (size > 0 && text[0] == '0') {
        text++;
        size--;
    }
    FUZZ_ASSERT(snprintf(again, sizeof(again), "%" PRId64, id) == (int)size);
    FUZZ_ASSERT(memcmp(again, text, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {.kind = ERROR_NONE};
    size_t count = 0;

    check_id((const char *)data, size);
    if (!letter_read(data, size, on_event, &count, &err))
        FUZZ_ASSERT(err.kind == ERROR_INVALID);
    return 0;
}
