#include "messages.h"

#include <stdio.h>
#include <string.h>

void message_begin(struct message *message, uint64_t batch_no, int64_t at_ms)
{
    memset(&message->header, 0, sizeof(message->header));
    memset(message->header.gateway_id, 0xab, sizeof(message->header.gateway_id));
    message->header.batch_no = batch_no;
    message->header.sent_at_ms = at_ms;
    message->size = 0;
}

void message_add(struct message *message, const struct event *event)
{
    message->size += codec_append_event(message->bytes + message->size, event);
}

void message_add_malformed(struct message *message)
{
    struct event event = click_of("not an ad id", 1000, 0);

    message_add(message, &event);
}

struct reader_message message_end(struct message *message, uint64_t seq)
{
    message->size += codec_append_header(message->bytes + message->size, &message->header);
    return (struct reader_message){.seq = seq,
                                   .stored_at_ms = message->header.sent_at_ms,
                                   .bytes = message->bytes,
                                   .size_bytes = message->size};
}

struct event click_of(const char *ad_id, int64_t at_ms, uint8_t number)
{
    struct event event = {.type = EVENT_CLICK,
                          .event_at_ms = at_ms,
                          .received_at_ms = at_ms,
                          .playback_ms = EVENT_PLAYBACK_ABSENT};

    for (int i = 0; i < 6; i++)
        event.id[i] = (uint8_t)((uint64_t)at_ms >> (8 * (5 - i)));
    event.id[6] = 0x70;
    event.id[8] = 0x80;
    event.id[15] = number;
    event.ad_id_size = (uint8_t)snprintf(event.ad_id, sizeof(event.ad_id), "%s", ad_id);
    return event;
}
