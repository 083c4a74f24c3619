/*
 * connections.h — the open connections of one h2o context
 *
 * Why:     h2o 2.2.5 keeps idle connections through a shutdown and times a request together with
 *          the wait for it. A connection is ended through its socket: h2o then reads the end of the
 *          stream and closes it in its own way.
 * Threads: the context's.
 */
#pragma once

#include <h2o.h>
#include <stdint.h>

/* Ends those that wait for a request; a request that the kernel holds already is still read. The
 * others close after their answer. */
void connections_end_idle(h2o_context_t *context);

/* Ends those whose request has begun before begun_before_at_ms (Unix) and is still not complete. */
void connections_end_slow(h2o_context_t *context, int64_t begun_before_at_ms);

void connections_end_all(h2o_context_t *context);
