/* The headers Authorization and X-API-Key, and a token behind them: nobody is believed by chance.
 * The first byte says which header, the rest is its value. */
#include "fuzz.h"

#include "base/auto.h"
#include "credentials.h"
#include "jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct jwt_options options = {
        .alg = "HS256",
        .key = "a secret of the fuzz target, 32 bytes or more",
    };
    struct credentials credentials = {.text = NULL};
    struct error err = {0};
    enum role role;

    if (size == 0)
        return 0;
    if ((data[0] & 1) != 0)
        credentials_add_authorization(&credentials, (const char *)data + 1, size - 1);
    else
        credentials_add_key(&credentials, (const char *)data + 1, size - 1);
    FUZZ_ASSERT(credentials.text != NULL && credentials.size <= size);

    AUTO(jwt_free) struct jwt *jwt = jwt_new(&options, &err);
    FUZZ_ASSERT(jwt != NULL);
    FUZZ_ASSERT(jwt_check(jwt, credentials.text, credentials.size, 0, &role) != NULL);
    return 0;
}
