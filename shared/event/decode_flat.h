/*
 * decode_flat.h — the usual body, read without a parser
 *
 * Why:    nearly every event is one flat object of plain fields, for which a JSON tree is forty
 *         times the work.
 * Shape:  true only for what is plainly right: one object, only fields of ours, each once, ASCII
 *         strings without escapes, numbers without exponent. False means nothing but "ask the tree
 *         parser"; the two agree on everything that this one takes (tests/fuzz proves it).
 * Memory: texts are borrowed from the body.
 */
#pragma once

#include "event/decode_fields.h"

bool flat_parse_fields(const char *text, size_t size_bytes, struct fields *out);
