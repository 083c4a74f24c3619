/*
 * settings.h — everything about ingest that can be set
 *
 * Why:    one table is the source of loading, --help, --check-config and docs/configuration.md.
 * Memory: strings are owned by the struct until settings_free.
 */
#pragma once

#include "clients/bus.h"
#include "clients/endpoints.h"
#include "clients/endpoints_reload.h"
#include "clients/lease.h"
#include "dlq.h"
#include "runtime/config.h"
#include "runtime/process_options.h"
#include "upkeep.h"
#include "workers.h"
#include <stdint.h>

struct settings {
    struct process_settings process;
    struct endpoints endpoints;

    char *ops_host;
    int64_t ops_port;

    int64_t partitions;
    int64_t batch_events, batch_wait_ms;
    int64_t fetch_messages, fetch_bytes;

    int64_t pg_connect_ms, pg_query_ms, pg_slow_ms, pg_lock_ms;
    int64_t nats_connect_ms, nats_request_ms;
    int64_t stream_max_bytes, stream_dedup_ms, stream_replicas;
    int64_t lease_ttl_ms;

    int64_t retention_days, dead_letter_days, partitions_ahead_days;
    int64_t dlq_max_bytes;
};

extern const struct option_row settings_rows[];

/* The settings as each part takes them; strings are borrowed. */
struct endpoints_reload settings_reload(const struct settings *settings);
struct stream_limits settings_stream_limits(const struct settings *settings);
struct lease_options settings_lease_options(const struct settings *settings);
struct upkeep_options settings_upkeep_options(const struct settings *settings);
struct dlq_options settings_dlq_options(const struct settings *settings);
struct workers_options settings_workers_options(const struct settings *settings);

void settings_free(struct settings *settings);
