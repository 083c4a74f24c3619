/*
 * answers.h — single ads' answers, asked once for all requests that want the same
 *
 * Shape:   a table by (ad, timeframe, zone). A request finds a fresh answer, joins one that is
 *          being asked, or starts one; bodies are made once a shape and shared by reference.
 * Errors:  a failed reading answers 503 to all who wait for it, and is not kept.
 * Limits:  ANSWERS_MAX entries; when all are being asked, 503.
 * Threads: the loop's.
 */
#pragma once

#include "query_spec.h"

#include <h2o.h>

struct answers;
struct query;

enum { ANSWERS_MAX = 1024 };

enum answer_shape { ANSWER_V1, ANSWER_LEGACY_CAMEL, ANSWER_LEGACY_SNAKE, ANSWER_SHAPES };

struct answers *answers_new(struct query *query); /* NULL: no memory */
void answers_free(struct answers **answers);

/* Answers now or later; spec names an ad. */
void answers_serve(struct answers *answers, h2o_req_t *req, const struct query_spec *spec,
                   enum answer_shape shape);
