#include "batch.h"

#include "clients/reader.h"
#include "day.h"
#include "event/event_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS_FIRST = 64 };

const char *const letter_code_names[LETTER_CODE_COUNT + 1] = {
    "undecodable", "invalid_event", "out_of_range", "unknown_ad", "refused", NULL};

struct batch *batch_new(uint32_t partition, int64_t retention_days)
{
    struct batch *batch = calloc(1, sizeof(*batch));

    if (batch == NULL)
        return NULL;
    batch->partition = partition;
    batch->retention_days = retention_days;
    return batch;
}

void batch_free(struct batch **batch)
{
    if (*batch == NULL)
        return;
    free((*batch)->heads);
    free((*batch)->rows);
    free((*batch)->letters);
    free(*batch);
    *batch = NULL;
}

void batch_reset(struct batch *batch, int64_t now_at_ms)
{
    batch->now_at_ms = now_at_ms;
    batch->head_count = 0;
    batch->row_count = 0;
    batch->letter_count = 0;
    batch->unresolved_count = 0;
    batch->decoded_letters = 0;
    batch->failed = false;
}

/* Makes room for one more item; returns the array, or NULL and leaves the old one alone. */
static void *room_for_one(void *items, size_t count, size_t *capacity, size_t item_size)
{
    size_t wanted = *capacity == 0 ? ITEMS_FIRST : *capacity * 2;
    void *grown = NULL;

    if (count < *capacity)
        return items;
    grown = realloc(items, wanted * item_size);
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}

static struct batch_head *add_head(struct batch *batch)
{
    struct batch_head *heads =
        room_for_one(batch->heads, batch->head_count, &batch->head_capacity, sizeof(*heads));

    if (heads == NULL)
        return NULL;
    batch->heads = heads;
    heads[batch->head_count] = (struct batch_head){0};
    return &heads[batch->head_count++];
}

static struct batch_row *add_row(struct batch *batch)
{
    struct batch_row *rows =
        room_for_one(batch->rows, batch->row_count, &batch->row_capacity, sizeof(*rows));

    if (rows == NULL)
        return NULL;
    batch->rows = rows;
    return &rows[batch->row_count++];
}

static struct batch_letter *add_letter(struct batch *batch)
{
    struct batch_letter *letters = room_for_one(batch->letters, batch->letter_count,
                                                &batch->letter_capacity, sizeof(*letters));

    if (letters == NULL)
        return NULL;
    batch->letters = letters;
    letters[batch->letter_count] = (struct batch_letter){0};
    return &letters[batch->letter_count++];
}

/* Text of peers goes into the database and must be valid there, whatever it was. */
static void copy_printable(char *out, size_t out_size, const char *text)
{
    size_t size = 0;

    for (; text[size] != '\0' && size + 1 < out_size; size++)
        out[size] = (char)(text[size] >= ' ' && text[size] <= '~' ? text[size] : '?');
    out[size] = '\0';
}

/* A letter about the newest or a given head; false: no memory. */
static bool write_letter(struct batch *batch, uint32_t head_index, int32_t index,
                         enum letter_code reason, const char *detail)
{
    struct batch_head *head = &batch->heads[head_index];
    struct batch_letter *letter = add_letter(batch);

    if (letter == NULL)
        return false;
    letter->head = head_index;
    letter->index = index;
    letter->reason = reason;
    letter->payload = head->bytes;
    letter->payload_size = head->size_bytes;
    copy_printable(letter->code, sizeof(letter->code), letter_code_names[reason]);
    copy_printable(letter->detail, sizeof(letter->detail), detail);
    if (index != LETTER_WHOLE_MESSAGE)
        (void)codec_find_event(head->bytes, head->size_bytes, (size_t)index, &letter->payload,
                               &letter->payload_size);
    head->letters++;
    return true;
}

/* codec_each_fn: the header is not known yet, so a row is judged only when all are read. */
static bool on_event(void *ctx, size_t index, const struct event *event, const char *why)
{
    struct batch *batch = ctx;
    uint32_t head = (uint32_t)(batch->head_count - 1);
    struct batch_row *row = NULL;

    batch->heads[head].events++;
    if (event == NULL) {
        batch->failed |= !write_letter(batch, head, (int32_t)index, LETTER_INVALID_EVENT, why);
        return !batch->failed;
    }
    row = add_row(batch);
    if (row == NULL) {
        batch->failed = true;
        return false;
    }
    row->event = *event;
    row->head = head;
    row->index = (uint32_t)index;
    row->fate = ROW_PENDING;
    return true;
}

/* Whatever was read of the newest message is dropped; one letter holds all of it. */
static bool give_up_message(struct batch *batch, size_t first_row, size_t first_letter,
                            const char *detail)
{
    uint32_t head = (uint32_t)(batch->head_count - 1);

    batch->row_count = first_row;
    batch->letter_count = first_letter;
    batch->heads[head].letters = 0;
    batch->heads[head].is_filed = false;
    return write_letter(batch, head, LETTER_WHOLE_MESSAGE, LETTER_UNDECODABLE, detail);
}

/* A day that is not kept has no partition to go to. */
static bool judge_rows(struct batch *batch, struct batch_head *head, size_t first_row,
                       struct error *err)
{
    bool is_batch_kept =
        day_is_accepted(head->header.sent_at_ms, batch->now_at_ms, batch->retention_days);

    head->is_filed = head->is_filed && is_batch_kept;
    for (size_t i = first_row; i < batch->row_count; i++) {
        const struct event *event = &batch->rows[i].event;
        bool is_kept =
            day_is_accepted(event_id_at_ms(event->id), batch->now_at_ms, batch->retention_days);

        if (is_kept && is_batch_kept) {
            batch->unresolved_count += (event->flags & EVENT_AD_UNRESOLVED) != 0;
            continue;
        }
        if (!batch_set_aside(batch, i, LETTER_OUT_OF_RANGE, NULL,
                             is_kept ? "the day its batch was sent is not kept"
                                     : "the day its id carries is not kept",
                             err))
            return false;
    }
    return true;
}

bool batch_add(struct batch *batch, const struct reader_message *message, struct error *err)
{
    size_t first_row = batch->row_count;
    size_t first_letter = batch->letter_count;
    struct batch_head *head = add_head(batch);
    struct error why = {0};
    char detail[64];

    if (head == NULL)
        return error_set(err, ERROR_LIMIT, "batch: no memory for a message");
    head->seq = message->seq;
    head->stored_at_ms = message->stored_at_ms;
    head->bytes = message->bytes;
    head->size_bytes = message->size_bytes;
    head->is_filed = true;
    if (!codec_read_batch(message->bytes, message->size_bytes, &head->header, on_event, batch,
                          &why))
        batch->failed |= !give_up_message(batch, first_row, first_letter, why.text);
    else if (head->header.partition != batch->partition) {
        snprintf(detail, sizeof(detail), "it says partition %" PRIu32, head->header.partition);
        batch->failed |= !give_up_message(batch, first_row, first_letter, detail);
    }
    if (batch->failed)
        return error_set(err, ERROR_LIMIT, "batch: no memory for a message of %zu bytes",
                         message->size_bytes);
    return judge_rows(batch, head, first_row, err);
}

bool batch_set_aside(struct batch *batch, size_t row, enum letter_code reason, const char *code,
                     const char *detail, struct error *err)
{
    struct batch_row *dead = &batch->rows[row];
    struct batch_letter *letter = NULL;

    if (!write_letter(batch, dead->head, (int32_t)dead->index, reason, detail))
        return error_set(err, ERROR_LIMIT, "batch: no memory for a dead letter");
    letter = &batch->letters[batch->letter_count - 1];
    letter->row = (uint32_t)row;
    letter->has_row = true;
    if (code != NULL)
        copy_printable(letter->code, sizeof(letter->code), code);
    dead->fate = ROW_DEAD;
    return true;
}

void batch_seal(struct batch *batch)
{
    batch->decoded_letters = batch->letter_count;
}

void batch_begin_attempt(struct batch *batch)
{
    while (batch->letter_count > batch->decoded_letters) {
        const struct batch_letter *letter = &batch->letters[--batch->letter_count];

        batch->heads[letter->head].letters--;
        batch->rows[letter->row].fate = ROW_PENDING;
    }
    for (size_t i = 0; i < batch->head_count; i++) {
        batch->heads[i].is_new = false;
        batch->heads[i].stored = 0;
    }
    for (size_t i = 0; i < batch->row_count; i++)
        if (batch->rows[i].fate != ROW_DEAD)
            batch->rows[i].fate = ROW_PENDING;
}

const struct event *batch_event_of(const struct batch *batch, const struct batch_letter *letter)
{
    return letter->has_row ? &batch->rows[letter->row].event : NULL;
}

uint64_t batch_last_seq(const struct batch *batch)
{
    return batch->heads[batch->head_count - 1].seq;
}
