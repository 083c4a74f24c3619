/*
 * settings.h — everything about analytics that can be set
 *
 * Why:    one table is the source of loading, --help, --check-config and docs/configuration.md.
 * Memory: strings are owned by the struct until settings_free.
 */
#pragma once

#include "clients/endpoints.h"
#include "clients/endpoints_reload.h"
#include "runtime/config.h"
#include "runtime/process_options.h"
#include <stdint.h>

struct settings {
    struct process_settings process;
    struct endpoints endpoints;

    char *ops_host;
    int64_t ops_port;
    int64_t partitions;
    int64_t lease_ttl_ms;
    int64_t fetch_messages, fetch_bytes;
    int64_t fold_wait_ms, fold_entries_max;
    int64_t recent_ids_max;
    int64_t trim_interval_ms, stream_dedup_ms;
};

extern const struct option_row settings_rows[];

struct endpoints_reload settings_reload(const struct settings *settings);
void settings_free(struct settings *settings);
