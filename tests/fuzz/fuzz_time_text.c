/* A timestamp: what is read can be written, and reads the same again. */
#include "fuzz.h"

#include "base/time_text.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TIME_TEXT_SIZE];
    int64_t at_ms = 0;
    int64_t again_ms = 0;

    if (!time_text_parse((const char *)data, size, &at_ms))
        return 0;
    time_text_format(at_ms, text);
    FUZZ_ASSERT(strlen(text) == TIME_TEXT_SIZE - 1);
    FUZZ_ASSERT(time_text_parse(text, strlen(text), &again_ms));
    FUZZ_ASSERT(again_ms == at_ms);
    return 0;
}
