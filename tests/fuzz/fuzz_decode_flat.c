/* The fast parser: it reads nothing that jansson would read otherwise. */
#include "fuzz.h"

#include "flat_agrees.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tree_parser parser;

    if (parser.arena.block == NULL)
        FUZZ_ASSERT(tree_init(&parser));
    FUZZ_ASSERT(flat_disagrees(&parser, (const char *)data, size) == NULL);
    return 0;
}
