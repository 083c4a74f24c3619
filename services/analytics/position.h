/*
 * position.h — how far a partition is counted
 *
 * Why:    a message may hold more events than one script call may count; it is then counted in
 *         parts, and the position says where in it.
 * Shape:  the last message that is counted whole, and how many events of the one behind it are
 *         counted, too. As text "10", or "10+1500" between the parts of message 11.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { POSITION_SIZE = 32 };

struct position {
    uint64_t seq;
    uint32_t part;
};

void position_format(struct position position, char out[POSITION_SIZE]);
/* Text that is no position reads as 0. */
struct position position_parse(const char *text);
bool position_is_ahead(struct position one, struct position other);
