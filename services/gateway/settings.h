/*
 * settings.h — everything about the gateway that can be set
 *
 * Why:    one table is the source of loading, --help, --check-config and docs/configuration.md.
 * Memory: strings are owned by the struct until settings_free.
 */
#pragma once

#include "base/error.h"
#include "clients/endpoints.h"
#include "event/visitor.h"
#include "http/client_address.h"
#include "runtime/config.h"
#include "runtime/process_options.h"
#include <stdbool.h>
#include <stdint.h>

enum { SETTINGS_INSTANCE_SIZE = 65 };

struct settings {
    struct process_settings process;
    struct endpoints endpoints;

    char *http_host;
    int64_t http_port;
    int64_t worker_count;
    int64_t connections_max;
    int64_t request_timeout_ms, idle_timeout_ms, drain_ms;
    char *cors_origins;

    int64_t partitions;
    int64_t inflight_max;
    int64_t batch_bytes;
    int64_t lane_queue_bytes;
    int64_t publish_try_ms, publish_deadline_ms, keep_deadline_ms, nats_slow_ms;
    int64_t stream_max_bytes, stream_dedup_ms, stream_replicas;

    bool trust_body_ip;
    char *trusted_proxies;
    char *ip_storage;

    char *catalogue_file;
    int64_t catalogue_refresh_ms, catalogue_ads_max, catalogue_wait_ms;

    char *spool_dir, *instance;
    int64_t spool_max_bytes, inbox_max_bytes, keep_queue_bytes;
    int64_t replay_events_per_s, replay_batches_per_s;

    char *auth_keys; /* the lines themselves; NULL: there are none */
    bool require_collect_key, require_read_key;
    char *auth_jwt_alg, *auth_jwt_key, *auth_jwt_issuer, *auth_jwt_audience;
    int64_t auth_jwt_leeway_s;
    int64_t rate_limit_rps, rate_limit_burst, rate_limit_clients_max;

    char *legacy_analytics;
    int64_t query_cache_ms, board_cache_ms, query_deadline_ms, stale_after_ms;
    int64_t redis_slow_ms, pg_slow_ms;

    int64_t proof_deadline_ms;
    int64_t audit_interval_ms, audit_span_ms, audit_settle_ms;

    /* Read off the strings above by settings_resolve. */
    enum ip_storage ip_keep;
    struct trusted_proxies proxies;
    bool legacy_analytics_map;
    char instance_name[SETTINGS_INSTANCE_SIZE]; /* INSTANCE, or the host's name */
};

extern const struct option_row settings_rows[];

/* Applies what one row alone cannot check. Call it once, after config_load. */
MUST_CHECK bool settings_resolve(struct settings *settings, struct error *err);
void settings_free(struct settings *settings);
