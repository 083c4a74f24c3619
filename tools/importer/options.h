/*
 * options.h — what the command line and the environment ask for
 */
#pragma once

#include "clients/endpoints.h"
#include "event/visitor.h"
#include "runtime/config.h"

struct settings {
    struct endpoints endpoints;
    int64_t partitions;
    char *ip_storage;

    /* The command line's; borrowed from argv. */
    const char *postgres_url, *jsonl_path, *redis_url, *rejects_path;
    int64_t retention_days;
    bool skip_old, consume, dry_run, forget;
    enum ip_storage ip_keep;
};

extern const struct option_row settings_rows[];

enum options_verdict { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/* OPTIONS_DONE: help was printed. OPTIONS_WRONG: err says why. Call config_free in any case. */
enum options_verdict options_load(int argc, char **argv, struct settings *out, struct error *err);
