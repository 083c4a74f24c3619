/* AUTH_KEYS_FILE: whatever stands in it, it is read or refused, and a refusal repeats nothing. */
#include "fuzz.h"

#include "auth_keys.h"
#include "base/auto.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    AUTO(auth_keys_free)
    struct auth_keys *keys = auth_keys_parse((const char *)data, size, &err);

    if (keys == NULL) {
        FUZZ_ASSERT(err.kind == ERROR_INVALID);
        FUZZ_ASSERT(strncmp(err.text, "keys: line ", strlen("keys: line ")) == 0);
        return 0;
    }
    FUZZ_ASSERT(auth_keys_count(keys) <= AUTH_KEYS_MAX);
    FUZZ_ASSERT(auth_keys_find(keys, (const char *)data, size) == NULL);
    return 0;
}
