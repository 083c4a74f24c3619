/* Whatever a publish is answered: an ack that counts has a sequence, and nothing else does. */
#include "fuzz.h"

#include "ack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ack ack = ack_parse((const char *)data, size, "ADS_0");

    FUZZ_ASSERT((ack.verdict == ACK_STORED) == (ack.seq > 0));
    return 0;
}
