/*
 * reload.h — what SIGHUP changes in a gateway: who may and how often, and where the servers are
 *
 * Errors:  as reloader_open. Settings that cannot be taken up are logged and change nothing.
 * Threads: open and close on the main one; what it takes up is handed to the loops.
 */
#pragma once

#include "base/error.h"

struct gateway;
struct reloader;

/* The caller's, to be closed with reloader_close before the gateway is. */
struct reloader *reload_open(struct gateway *gateway, struct error *err);
