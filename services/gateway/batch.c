#include "batch.h"

#include "base/auto.h"

#include <string.h>

static void free_batch(struct batch **batch)
{
    if (*batch == NULL)
        return;
    free((*batch)->bytes);
    free((void *)(*batch)->tickets);
    free(*batch);
    *batch = NULL;
}

static struct batch *new_batch(size_t bytes_max)
{
    AUTO(free_batch) struct batch *batch = calloc(1, sizeof(*batch));

    if (batch == NULL)
        return NULL;
    batch->bytes = malloc(bytes_max + CODEC_HEADER_MAX);
    batch->tickets = (struct ticket **)malloc(BATCH_EVENTS_MAX * sizeof(struct ticket *));
    if (batch->bytes == NULL || batch->tickets == NULL)
        return NULL;
    return TAKE(batch);
}

void batch_pool_init(struct batch_pool *pool, size_t bytes_max)
{
    *pool = (struct batch_pool){.bytes_max = bytes_max};
}

void batch_pool_free(struct batch_pool *pool)
{
    while (pool->free != NULL) {
        struct batch *batch = pool->free;

        pool->free = batch->next;
        free_batch(&batch);
    }
}

struct batch *batch_pool_take(struct batch_pool *pool, uint32_t partition)
{
    struct batch *batch = pool->free;

    if (batch != NULL)
        pool->free = batch->next;
    else
        batch = new_batch(pool->bytes_max);
    if (batch == NULL)
        return NULL;
    *batch = (struct batch){
        .partition = partition,
        .bytes = batch->bytes,
        .tickets = batch->tickets,
    };
    pool->out_count++;
    return batch;
}

void batch_pool_return(struct batch_pool *pool, struct batch *batch)
{
    batch->next = pool->free;
    pool->free = batch;
    pool->out_count--;
}

bool batch_add(struct batch *batch, size_t bytes_max, const struct event *event,
               struct ticket *ticket)
{
    if (batch->count == BATCH_EVENTS_MAX || batch->size_bytes + CODEC_EVENT_MAX > bytes_max)
        return false;
    ticket->batch = batch;
    ticket->index = batch->count;
    batch->tickets[batch->count++] = ticket;
    batch->by_type[event->type]++;
    batch->by_reason[event->reason]++;
    batch->size_bytes += codec_append_event(batch->bytes + batch->size_bytes, event);
    return true;
}

void batch_forget(struct ticket *ticket)
{
    if (ticket->batch == NULL)
        return;
    ticket->batch->tickets[ticket->index] = NULL;
    ticket->batch = NULL;
}

void batch_tell(struct batch *batch, enum batch_outcome outcome)
{
    /* An answer may dispose of another request of this batch: each slot is read in its turn. */
    for (size_t i = 0; i < batch->count; i++) {
        struct ticket *ticket = batch->tickets[i];

        if (ticket == NULL)
            continue;
        ticket->batch = NULL;
        ticket->on_settled(ticket, outcome);
    }
}
