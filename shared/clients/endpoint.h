/*
 * endpoint.h — where one server is and how to log in there, as it is now
 *
 * Why:     a password that is rotated, or a server that has moved, must not cost a restart: clients
 *          hold the endpoint, not its text, and read it whenever they connect.
 * Shape:   the reloader sets the text; each setting makes a new version. A client keeps the version
 *          that its connection was made with, and connects anew once it is an old one.
 * Memory:  texts hold passwords: what endpoint_get gives is wiped by endpoint_text_free.
 * Threads: any, but endpoint_free.
 */
#pragma once

#include "base/error.h"
#include <stdint.h>

struct endpoint;

struct endpoint *endpoint_new(const char *text, struct error *err); /* NULL: no memory */
void endpoint_free(struct endpoint **endpoint);

/* The owner of the copy frees it with endpoint_text_free; NULL: no memory. out_version may be
 * NULL. */
char *endpoint_get(struct endpoint *endpoint, uint64_t *out_version);
uint64_t endpoint_version(const struct endpoint *endpoint); /* from 1 */
/* Takes the text, and leaves the old one in its place; false: it is the same, and nothing has
 * changed. */
bool endpoint_swap(struct endpoint *endpoint, char **text);

void endpoint_text_free(char **text);
