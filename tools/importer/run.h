/*
 * run.h — a whole import: open, survey, refuse or transfer, settle, tell
 *
 *   sources --survey--> counts --refuse old?--> ads --> clicks --> stream --> ingest's own books
 *
 * Errors: told on standard error; what is returned is the process's exit status.
 */
#pragma once

#include "base/error.h"
#include "options.h"

enum { RUN_REJECTS = 1, RUN_FAILED = 2 }; /* 0: all of it is there */

/* settings are borrowed. */
int run_import(const struct settings *settings, struct error *err);
/* Deletes the key by which imported visitors are known again. */
int run_forget(const struct settings *settings, struct error *err);
int run_fail(const struct error *err);
