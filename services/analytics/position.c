#include "position.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void position_format(struct position position, char out[POSITION_SIZE])
{
    int size = snprintf(out, POSITION_SIZE, "%" PRIu64, position.seq);

    if (position.part > 0)
        snprintf(out + size, (size_t)(POSITION_SIZE - size), "+%" PRIu32, position.part);
}

struct position position_parse(const char *text)
{
    char *end = NULL;
    struct position position = {.seq = strtoull(text, &end, 10)};

    if (*end == '+')
        position.part = (uint32_t)strtoul(end + 1, NULL, 10);
    return position;
}

bool position_is_ahead(struct position one, struct position other)
{
    return one.seq > other.seq || (one.seq == other.seq && one.part > other.part);
}
