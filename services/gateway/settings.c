#include "settings.h"

#include "spool_dir.h"

#include <string.h>
#include <unistd.h>

const struct option_row settings_rows[] = {
    PROCESS_ROWS(process),
    ENDPOINT_ROWS_NATS(endpoints),
    ENDPOINT_ROWS_POSTGRES(endpoints),
    ENDPOINT_ROWS_REDIS(endpoints),

    OPTION_LISTEN_HOST("HTTP_HOST", FIELD(http_host), "0.0.0.0",
                       "address to listen on; :: for both IPs"),
    OPTION_LISTEN_PORT("HTTP_PORT|PORT", FIELD(http_port), 8080, "port to listen on"),
    OPTION_INT("WORKER_COUNT", FIELD(worker_count), 1, 1, 64, "loop threads"),
    OPTION_INT("CONNECTIONS_MAX", FIELD(connections_max), 10000, 1, 1000000,
               "client connections at a time; beyond, they are refused with 503"),
    OPTION_INT("REQUEST_TIMEOUT_MS", FIELD(request_timeout_ms), 10000, 100, 600000,
               "ms for a client to send a whole request"),
    OPTION_INT("IDLE_TIMEOUT_MS", FIELD(idle_timeout_ms), 60000, 100, 3600000,
               "ms that a connection may be idle"),
    OPTION_INT("DRAIN_MS", FIELD(drain_ms), 15000, 0, 20000,
               "ms that requests under way have at a stop"),
    OPTION_STRING("CORS_ORIGINS", FIELD(cors_origins), "",
                  "origins that browsers may call from, commas between; * for any"),

    OPTION_INT("PARTITIONS", FIELD(partitions), 1, 1, 64,
               "streams that events are spread over by ad; the same in every service, for good"),
    OPTION_INT("MAX_INFLIGHT", FIELD(inflight_max), 2, 1, 16,
               "batches a thread and partition that wait for their ack"),
    OPTION_INT("BATCH_BYTES", FIELD(batch_bytes), 256 << 10, 4 << 10, 8 << 20,
               "bytes of events in a batch; the server's max_payload may lower it"),
    OPTION_INT("LANE_QUEUE_BYTES", FIELD(lane_queue_bytes), 4 << 20, 64 << 10, 1 << 30,
               "bytes a thread and partition that wait to be kept; beyond: 503 overloaded"),
    OPTION_INT("PUBLISH_TRY_MS", FIELD(publish_try_ms), 150, 20, 10000,
               "ms without an ack after which a batch is sent again"),
    OPTION_INT("PUBLISH_DEADLINE_MS", FIELD(publish_deadline_ms), 400, 50, 30000,
               "ms from a batch's first event until the spool has it instead of the stream"),
    OPTION_INT(
        "KEEP_DEADLINE_MS", FIELD(keep_deadline_ms), 950, 100, 60000,
        "ms from a batch's first event to its verdict by stream, spool or inbox; beyond: 503"),
    OPTION_INT("NATS_SLOW_MS", FIELD(nats_slow_ms), 250, 1, 30000,
               "ms for an ack, above which it is slow; mostly slow ones open the breaker"),
    OPTION_INT("STREAM_MAX_BYTES", FIELD(stream_max_bytes), 1LL << 30, 1 << 20, 1LL << 50,
               "bytes that a partition's stream may hold; a full one refuses"),
    OPTION_INT("STREAM_DEDUP_MS", FIELD(stream_dedup_ms), 120000, 1000, 3600000,
               "ms in which a stream knows a batch's id again"),
    OPTION_INT("STREAM_REPLICAS", FIELD(stream_replicas), 1, 1, 5, "copies of each stream"),

    OPTION_BOOL("TRUST_BODY_IP", FIELD(trust_body_ip), 0,
                "the body's ip counts as the visitor's; on for callers that are servers"),
    OPTION_STRING("TRUSTED_PROXIES", FIELD(trusted_proxies), "",
                  "networks whose X-Forwarded-For counts, commas between"),
    OPTION_CHOICE("IP_STORAGE", FIELD(ip_storage), "truncated", "full|truncated|none",
                  "what is stored of an address; truncated is its /24 or /48"),

    RELOADABLE(SECRET, "AUTH_KEYS", FIELD(auth_keys),
               "the keys, NAME ROLE SHA256 [rps=N] [burst=N] a line; as a rule AUTH_KEYS_FILE"),
    RELOADABLE(BOOL, "REQUIRE_COLLECT_KEY", FIELD(require_collect_key), 0,
               "recording events needs a key of role collect, server or admin"),
    RELOADABLE(BOOL, "REQUIRE_READ_KEY", FIELD(require_read_key), 0,
               "analytics needs a key of role read, server or admin"),
    RELOADABLE(CHOICE, "AUTH_JWT_ALG", FIELD(auth_jwt_alg), "off", "off|HS256|RS256",
               "how the tokens that are taken beside keys are signed"),
    RELOADABLE(SECRET, "AUTH_JWT_KEY", FIELD(auth_jwt_key),
               "HS256: the secret, 32 bytes or more; RS256: the public key as PEM"),
    RELOADABLE(STRING, "AUTH_JWT_ISSUER", FIELD(auth_jwt_issuer), "",
               "what a token's iss must be; empty: not looked at"),
    RELOADABLE(STRING, "AUTH_JWT_AUDIENCE", FIELD(auth_jwt_audience), "",
               "what a token's aud must be or hold; empty: not looked at"),
    RELOADABLE(INT, "AUTH_JWT_LEEWAY_S", FIELD(auth_jwt_leeway_s), 30, 0, 300,
               "s that a token's times may be off"),
    RELOADABLE(
        INT, "RATE_LIMIT_RPS", FIELD(rate_limit_rps), 0, 0, 1000000,
        "requests a second by one client address or key; an event of a batch is one; 0: off"),
    RELOADABLE(INT, "RATE_LIMIT_BURST", FIELD(rate_limit_burst), 0, 0, 1000000,
               "requests that may come at once; 0: as many as in a second"),
    OPTION_INT("RATE_LIMIT_CLIENTS_MAX", FIELD(rate_limit_clients_max), 65536, 64, 16 << 20,
               "client addresses that are remembered, 16 bytes each"),

    OPTION_STRING("CATALOGUE_FILE", FIELD(catalogue_file), "/var/lib/adledger/catalogue.json",
                  "file that keeps the ads for a start without PostgreSQL"),
    OPTION_INT("CATALOGUE_REFRESH_MS", FIELD(catalogue_refresh_ms), 30000, 100, 3600000,
               "ms between two reads of the ads, beside those that a change asks for"),
    OPTION_INT("CATALOGUE_ADS_MAX", FIELD(catalogue_ads_max), 100000, 1, 10000000,
               "ads that are kept in memory"),
    OPTION_INT("CATALOGUE_WAIT_MS", FIELD(catalogue_wait_ms), 5000, 0, 600000,
               "ms to wait for the ads at a start before events are taken unchecked"),

    OPTION_STRING("SPOOL_DIR", FIELD(spool_dir), "/var/lib/adledger/spool",
                  "directory that keeps batches while the stream does not take them"),
    OPTION_STRING("INSTANCE", FIELD(instance), "",
                  "this gateway's name in SPOOL_DIR; empty: the host's name"),
    OPTION_INT("SPOOL_MAX_BYTES", FIELD(spool_max_bytes), 1LL << 30, 8 << 20, 1LL << 42,
               "bytes on disk that the spool may take, its log included; a full one refuses"),
    OPTION_INT("INBOX_MAX_BYTES", FIELD(inbox_max_bytes), 1LL << 30, 1 << 20, 1LL << 42,
               "bytes in PostgreSQL's inbox at which it takes no more"),
    OPTION_INT("KEEP_QUEUE_BYTES", FIELD(keep_queue_bytes), 32 << 20, 1 << 20, 1 << 30,
               "bytes that wait for the spool's thread, and for the inbox's"),
    OPTION_INT("REPLAY_EVENTS_PER_S", FIELD(replay_events_per_s), 20000, 100, 10000000,
               "events a second that are published from spool and inbox"),
    OPTION_INT("REPLAY_BATCHES_PER_S", FIELD(replay_batches_per_s), 5000, 10, 1000000,
               "batches a second, likewise"),

    OPTION_CHOICE("LEGACY_ANALYTICS", FIELD(legacy_analytics), "list", "list|map",
                  "what GET /ads/analytics without parameters answers"),
    OPTION_INT("QUERY_CACHE_MS", FIELD(query_cache_ms), 50, 0, 60000,
               "ms that one ad's numbers are kept"),
    OPTION_INT("BOARD_CACHE_MS", FIELD(board_cache_ms), 1000, 0, 60000,
               "ms that the numbers of all ads are kept"),
    OPTION_INT("QUERY_DEADLINE_MS", FIELD(query_deadline_ms), 1000, 50, 30000,
               "ms that a query may take"),
    OPTION_INT("REDIS_SLOW_MS", FIELD(redis_slow_ms), 250, 1, 30000,
               "ms after which an answer of Redis is slow for its breaker"),
    OPTION_INT("PG_SLOW_MS", FIELD(pg_slow_ms), 750, 1, 60000,
               "ms after which an answer of PostgreSQL is slow for its breaker"),
    OPTION_INT("STALE_AFTER_MS", FIELD(stale_after_ms), 10000, 100, 3600000,
               "ms of lag after which numbers are marked stale"),

    OPTION_INT("PROOF_DEADLINE_MS", FIELD(proof_deadline_ms), 10000, 100, 20000,
               "ms that a receipt, an audit or a question about dead letters may take"),
    OPTION_INT("AUDIT_INTERVAL_MS", FIELD(audit_interval_ms), 60000, 100, 3600000,
               "ms between two audits that one of the gateways does by itself"),
    OPTION_INT("AUDIT_SPAN_MS", FIELD(audit_span_ms), 900000, 1000, 86400000,
               "ms that such an audit looks back"),
    OPTION_INT("AUDIT_SETTLE_MS", FIELD(audit_settle_ms), 60000, 0, 3600000,
               "newest ms that it leaves out: what is in them may still be on its way"),
    OPTION_END,
};

/* A host's name has no other characters than these either. */
static bool resolve_instance(struct settings *settings, struct error *err)
{
    char *name = settings->instance_name;

    if (settings->instance[0] == '\0') {
        if (gethostname(name, SETTINGS_INSTANCE_SIZE) != 0)
            return error_set(err, ERROR_INVALID, "INSTANCE: this host has no name: set it");
        name[SETTINGS_INSTANCE_SIZE - 1] = '\0';
    } else if (strlen(settings->instance) < SETTINGS_INSTANCE_SIZE) {
        memcpy(name, settings->instance, strlen(settings->instance) + 1);
    }
    if (!spool_dir_is_instance(name))
        return error_set(err, ERROR_INVALID,
                         "INSTANCE: 1 to %d letters, digits, '.', '_' and '-', no '.' first",
                         SPOOL_INSTANCE_MAX);
    return true;
}

bool settings_resolve(struct settings *settings, struct error *err)
{
    if (!endpoints_resolve(&settings->endpoints, err))
        return false;
    if (!trusted_proxies_parse(settings->trusted_proxies, &settings->proxies, err))
        return error_wrap(err, "TRUSTED_PROXIES");
    if (!ip_storage_parse(settings->ip_storage, &settings->ip_keep))
        return error_set(err, ERROR_INVALID, "IP_STORAGE: \"%s\" is none of full, truncated, none",
                         settings->ip_storage);
    if (!resolve_instance(settings, err))
        return false;
    settings->legacy_analytics_map = strcmp(settings->legacy_analytics, "map") == 0;
    if (settings->publish_try_ms > settings->publish_deadline_ms)
        return error_set(err, ERROR_INVALID,
                         "PUBLISH_TRY_MS: must not be above PUBLISH_DEADLINE_MS");
    if (settings->publish_deadline_ms >= settings->keep_deadline_ms)
        return error_set(err, ERROR_INVALID, "PUBLISH_DEADLINE_MS: must be below KEEP_DEADLINE_MS");
    return true;
}

void settings_free(struct settings *settings)
{
    endpoints_close(&settings->endpoints);
    config_free(settings_rows, settings);
}
