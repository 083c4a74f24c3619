/*
 * place.h — does the position in Redis still fit the stream and PostgreSQL?
 *
 * Why:    Redis may come back empty or older, and a stream may lose its end or be made anew. Then
 *         counting on would leave a hole; the counters are rebuilt from PostgreSQL instead.
 * Shape:  pure: what was read goes in, the decision comes out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct place {
    bool has_position;
    bool is_rebuilding; /* Redis says that a rebuild has begun and not ended */
    uint64_t position;  /* Redis's */
    uint64_t pg_position;
    uint64_t skipped_to; /* PostgreSQL's mark: unread messages before this one are gone; 0: none */
    uint64_t first_seq, last_seq; /* of the stream */
};

enum place_verdict {
    PLACE_GOOD,
    PLACE_REBUILD,
    PLACE_STREAM_BEHIND, /* both stores are beyond the stream's end: its messages were lost */
};

/* Redis's position is beyond the end that the stream's leader told. When that lasts, messages were
 * lost; for a moment it is usual in a cluster, whose followers may hand out a message before the
 * leader has it. */
bool place_is_beyond_end(const struct place *place);
enum place_verdict place_judge(const struct place *place);
const char *place_verdict_name(enum place_verdict verdict);

/* Where counting goes on after a rebuild from PostgreSQL's position: what is before the stream's
 * first message cannot come any more. */
uint64_t place_after_rebuild(uint64_t pg_position, uint64_t first_seq);
