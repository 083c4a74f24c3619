#include "event/decode.h"

#include "event/decode_check.h"
#include "event/decode_parser.h"

#include <stdlib.h>

struct decoder *decoder_new(void)
{
    AUTO(decoder_free) struct decoder *decoder = calloc(1, sizeof(*decoder));

    if (decoder == NULL || !tree_init(&decoder->tree))
        return NULL;
    return TAKE(decoder);
}

void decoder_free(struct decoder **decoder)
{
    if (*decoder == NULL)
        return;
    tree_free(&(*decoder)->tree);
    free(*decoder);
    *decoder = NULL;
}

/* The fast path only ever says yes; whatever it does not take, and every refusal, is jansson's. */
bool decode_object(struct decoder *decoder, const struct slice *text, int depth_max,
                   const struct decode_context *context, struct decoded *out, struct faults *faults)
{
    struct fields fields;

    if (!flat_parse_fields(text->text, text->size, &fields) &&
        !tree_parse_fields(&decoder->tree, text->text, text->size, depth_max, &fields, faults))
        return false;
    return check_fields(&fields, context, out, faults);
}

bool decode_event(struct decoder *decoder, const char *body, size_t size_bytes,
                  const struct decode_context *context, struct decoded *out, struct faults *faults)
{
    const struct slice text = {.text = body, .size = size_bytes};

    return decode_object(decoder, &text, DECODE_DEPTH_MAX, context, out, faults);
}
