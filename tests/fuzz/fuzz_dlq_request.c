/* The body of a replay: what is taken is within its limits, and says which letters in one way. */
#include "fuzz.h"

#include "dlq_request.h"

#include <string.h>

static void check(const struct dlq_request *request)
{
    bool has_code = request->code[0] != '\0';

    FUZZ_ASSERT(has_code == (request->id_count == 0));
    FUZZ_ASSERT(request->id_count <= DLQ_LETTERS_MAX);
    for (size_t i = 0; i < request->id_count; i++)
        FUZZ_ASSERT(request->ids[i] >= 1);
    if (!has_code)
        return;
    FUZZ_ASSERT(memchr(request->code, '\0', sizeof(request->code)) != NULL);
    FUZZ_ASSERT(letter_code_is_valid(request->code, strlen(request->code)));
    FUZZ_ASSERT(request->limit >= 1 && request->limit <= DLQ_LETTERS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dlq_request request;
    struct faults faults = {0};

    if (dlq_request_parse((const char *)data, size, &request, &faults))
        check(&request);
    else
        FUZZ_ASSERT(faults.count > 0);
    return 0;
}
