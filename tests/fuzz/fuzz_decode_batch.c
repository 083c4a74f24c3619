/* A batch, as an array and as NDJSON: elements come in order, each good or with a reason. */
#include "fuzz.h"

#include "event/decode.h"

enum { EVENTS_MAX = 50 };

struct seen {
    size_t count;
};

static void on_element(void *ctx, size_t index, const struct decoded *decoded,
                       const struct faults *faults)
{
    struct seen *seen = ctx;

    FUZZ_ASSERT(index == seen->count);
    FUZZ_ASSERT((decoded == NULL) == (faults != NULL));
    FUZZ_ASSERT(faults == NULL || faults->count > 0);
    seen->count++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoder *decoder;
    const struct decode_context context = {.received_at_ms = 1767323045678};

    if (decoder == NULL)
        decoder = decoder_new();
    FUZZ_ASSERT(decoder != NULL);
    for (int is_ndjson = 0; is_ndjson <= 1; is_ndjson++) {
        struct faults faults = {0};
        struct seen seen = {0};
        bool ok = decode_batch(decoder, (const char *)data, size, is_ndjson != 0, EVENTS_MAX,
                               &context, &faults, on_element, &seen);

        FUZZ_ASSERT(ok == (faults.count == 0));
        FUZZ_ASSERT(ok == (seen.count > 0));
        FUZZ_ASSERT(seen.count <= EVENTS_MAX);
    }
    return 0;
}
