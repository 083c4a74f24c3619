/*
 * cors.h — which web origins may call us from a browser
 *
 * Why:    players and dashboards run on other origins than the gateway.
 * Shape:  an allow-list read from a setting: "" nobody, "*" anybody, or a comma list of origins.
 * Errors: ERROR_INVALID names the entry that is no origin.
 * Limits: CORS_ORIGINS_MAX origins.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>

enum { CORS_ORIGINS_MAX = 64 };

struct cors;

/* text NULL or "": an empty list. */
struct cors *cors_new(const char *text, struct error *err);
void cors_free(struct cors **cors);

bool cors_is_any(const struct cors *cors);
/* Some origins are told more than others. */
bool cors_differs(const struct cors *cors);
bool cors_allows(const struct cors *cors, const char *origin, size_t size_bytes);
