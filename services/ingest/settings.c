#include "settings.h"

#include "ingest_metrics.h"

enum { TURN_MS = 500 }; /* a wait for messages, after which the lease is looked at */

const struct option_row settings_rows[] = {
    PROCESS_ROWS(process),
    ENDPOINT_ROWS_NATS(endpoints),
    ENDPOINT_ROWS_POSTGRES(endpoints),
    OPTION_LISTEN_HOST("INGEST_HOST", FIELD(ops_host), "0.0.0.0",
                       "address of /health and /metrics"),
    OPTION_LISTEN_PORT("INGEST_PORT", FIELD(ops_port), 8081, "port of /health and /metrics"),
    OPTION_INT("PARTITIONS", FIELD(partitions), 1, 1, INGEST_PARTITIONS_MAX,
               "streams that the events are spread over; the same for every service, for good"),
    OPTION_INT("BATCH_EVENTS", FIELD(batch_events), 4000, 1, 20000,
               "events per transaction; the last message may go over it"),
    OPTION_INT("BATCH_WAIT_MS", FIELD(batch_wait_ms), 50, 0, 5000,
               "milliseconds that a transaction waits to become fuller"),
    OPTION_INT("FETCH_MESSAGES", FIELD(fetch_messages), 1000, 1, 10000,
               "messages taken from the stream at a time"),
    OPTION_INT("FETCH_BYTES", FIELD(fetch_bytes), 2 << 20, 1 << 16, 1 << 28,
               "bytes taken from the stream at a time"),
    OPTION_INT("PG_CONNECT_MS", FIELD(pg_connect_ms), 2000, 50, 60000,
               "deadline of a connection to PostgreSQL in milliseconds"),
    OPTION_INT("PG_QUERY_MS", FIELD(pg_query_ms), 5000, 50, 60000,
               "deadline of a statement in milliseconds"),
    OPTION_INT("PG_SLOW_MS", FIELD(pg_slow_ms), 2000, 1, 60000,
               "a transaction over these milliseconds is slow for the breaker"),
    OPTION_INT("PG_LOCK_MS", FIELD(pg_lock_ms), 1000, 1, 60000,
               "milliseconds that a statement waits for a lock"),
    OPTION_INT("NATS_CONNECT_MS", FIELD(nats_connect_ms), 2000, 50, 60000,
               "deadline of a connection to NATS in milliseconds"),
    OPTION_INT("NATS_REQUEST_MS", FIELD(nats_request_ms), 2000, 50, 60000,
               "deadline of a request to NATS in milliseconds"),
    OPTION_INT("STREAM_MAX_BYTES", FIELD(stream_max_bytes), 1LL << 30, 1 << 20, 1LL << 50,
               "size limit of each stream in bytes; full is refused, never deleted"),
    OPTION_INT("STREAM_DEDUP_MS", FIELD(stream_dedup_ms), 120000, 1000, 3600000,
               "how long a stream remembers message ids, in milliseconds"),
    OPTION_INT("STREAM_REPLICAS", FIELD(stream_replicas), 1, 1, 5, "copies of each stream"),
    OPTION_INT("LEASE_TTL_MS", FIELD(lease_ttl_ms), 3000, 300, 60000,
               "a partition whose reader is silent for so many milliseconds is free"),
    OPTION_INT("RETENTION_DAYS", FIELD(retention_days), 90, 1, 3650,
               "days that events are kept; their sums are kept for ever"),
    OPTION_INT("DEAD_LETTER_DAYS", FIELD(dead_letter_days), 90, 1, 3650,
               "days that dead letters are kept"),
    OPTION_INT("DLQ_MAX_BYTES", FIELD(dlq_max_bytes), 64 << 20, 1 << 20, 1LL << 40,
               "size limit of the stream ADS_DLQ in bytes; its oldest go first"),
    OPTION_INT("PARTITIONS_AHEAD_DAYS", FIELD(partitions_ahead_days), 3, 1, 30,
               "days whose tables are made ahead"),
    OPTION_END,
};

struct endpoints_reload settings_reload(const struct settings *settings)
{
    return (struct endpoints_reload){
        .rows = settings_rows,
        .settings = settings,
        .settings_size = sizeof(*settings),
        .process_offset = offsetof(struct settings, process),
        .endpoints_offset = offsetof(struct settings, endpoints),
    };
}

struct stream_limits settings_stream_limits(const struct settings *settings)
{
    return (struct stream_limits){
        .max_bytes = settings->stream_max_bytes,
        .dedup_window_ms = settings->stream_dedup_ms,
        .replicas = (int)settings->stream_replicas,
    };
}

struct lease_options settings_lease_options(const struct settings *settings)
{
    return (struct lease_options){
        .service = "ingest",
        .partition_count = (uint32_t)settings->partitions,
        .ttl_ms = (int)settings->lease_ttl_ms,
    };
}

struct upkeep_options settings_upkeep_options(const struct settings *settings)
{
    return (struct upkeep_options){
        .postgres = settings->endpoints.live.postgres,
        .connect_ms = (int)settings->pg_connect_ms,
        .ahead_days = settings->partitions_ahead_days,
        .retention_days = settings->retention_days,
        .dead_letter_days = settings->dead_letter_days,
    };
}

struct dlq_options settings_dlq_options(const struct settings *settings)
{
    return (struct dlq_options){
        .postgres = settings->endpoints.live.postgres,
        .connect_ms = (int)settings->pg_connect_ms,
        .query_ms = (int)settings->pg_query_ms,
        .max_bytes = settings->dlq_max_bytes,
        .replicas = (int)settings->stream_replicas,
    };
}

struct workers_options settings_workers_options(const struct settings *settings)
{
    return (struct workers_options){
        .partition_count = (uint32_t)settings->partitions,
        .postgres = settings->endpoints.live.postgres,
        .connect_ms = (int)settings->pg_connect_ms,
        .query_ms = (int)settings->pg_query_ms,
        .fetch_messages = (size_t)settings->fetch_messages,
        .fetch_bytes = (size_t)settings->fetch_bytes,
        .request_ms = (int)settings->nats_request_ms,
        .ingest = {.batch_events = (size_t)settings->batch_events,
                   .wait_ms = TURN_MS,
                   .linger_ms = (int)settings->batch_wait_ms,
                   .retention_days = settings->retention_days,
                   .slow_ms = settings->pg_slow_ms,
                   .lock_ms = (int)settings->pg_lock_ms,
                   .stream = settings_stream_limits(settings)},
    };
}

void settings_free(struct settings *settings)
{
    endpoints_close(&settings->endpoints);
    config_free(settings_rows, settings);
}
