/*
 * listen.h — the gateway's HTTP server, as its settings want it
 *
 * Errors:  as server_open.
 */
#pragma once

#include "base/error.h"

struct gateway;
struct server;

/* The caller's, to be closed with server_close before the gateway is. */
struct server *listen_open(struct gateway *gateway, struct error *err);
