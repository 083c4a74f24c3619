/* A delivery's reply subject: what is read is the same when it is written again. */
#include "fuzz.h"

#include "clients/ack_subject.h"

#include <inttypes.h>

/* tokens: what stands between the prefix and the consumer, in the short or in the long form. */
static void send_again(const struct ack_subject *ack, const char *tokens)
{
    size_t room = ack->consumer_size + 160;
    char *text = malloc(room);
    struct ack_subject again;

    FUZZ_ASSERT(text != NULL);
    (void)snprintf(text, room, "$JS.ACK.%s.%.*s.1.%" PRIu64 ".%" PRIu64 ".%" PRIu64 ".%" PRIu64,
                   tokens, (int)ack->consumer_size, ack->consumer, ack->stream_seq,
                   ack->consumer_seq, (uint64_t)ack->at_ms * 1000000U, ack->pending);
    FUZZ_ASSERT(ack_subject_parse(text, &again));
    FUZZ_ASSERT(again.stream_seq == ack->stream_seq && again.consumer_seq == ack->consumer_seq);
    FUZZ_ASSERT(again.at_ms == ack->at_ms && again.pending == ack->pending);
    FUZZ_ASSERT(again.consumer_size == ack->consumer_size &&
                memcmp(again.consumer, ack->consumer, ack->consumer_size) == 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct ack_subject ack;

    if (ack_subject_parse(text, &ack)) {
        FUZZ_ASSERT(ack.consumer >= text &&
                    ack.consumer + ack.consumer_size <= text + strlen(text));
        FUZZ_ASSERT(memchr(ack.consumer, '.', ack.consumer_size) == NULL);
        FUZZ_ASSERT(ack.at_ms >= 0);
        send_again(&ack, "ADS_0");
        send_again(&ack, "hub.account.ADS_0");
    }
    free(text);
    return 0;
}
