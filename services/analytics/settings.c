#include "settings.h"

#include "changes.h"
#include "fold.h"
#include "meters.h"

_Static_assert((FOLD_ENTRIES_LIMIT + 2) * CHANGES_ENTRY_ARGS_MAX <= CHANGES_ARGS_MAX,
               "a full fold fits into a list of changes");

const struct option_row settings_rows[] = {
    PROCESS_ROWS(process),
    ENDPOINT_ROWS_NATS(endpoints),
    ENDPOINT_ROWS_POSTGRES(endpoints),
    ENDPOINT_ROWS_REDIS(endpoints),

    OPTION_LISTEN_HOST("ANALYTICS_HOST", FIELD(ops_host), "0.0.0.0",
                       "address of /health, /metrics and /info; :: for both IPs"),
    OPTION_LISTEN_PORT("ANALYTICS_PORT", FIELD(ops_port), 8082, "port of the same"),
    OPTION_INT("PARTITIONS", FIELD(partitions), 1, 1, PARTITIONS_MAX,
               "streams that events are spread over by ad; the same in every service, for good"),
    OPTION_INT("LEASE_TTL_MS", FIELD(lease_ttl_ms), 3000, 500, 60000,
               "ms after which the partitions of a process that died are taken over"),
    OPTION_INT("FETCH_MESSAGES", FIELD(fetch_messages), 4000, 1, 100000,
               "stream messages read at once"),
    OPTION_INT("FETCH_BYTES", FIELD(fetch_bytes), 4 << 20, 64 << 10, 256 << 20,
               "bytes of stream messages read at once"),
    OPTION_INT("FOLD_WAIT_MS", FIELD(fold_wait_ms), 250, 0, 5000,
               "most ms to wait for more events under load; a lone event never waits"),
    OPTION_INT("FOLD_ENTRIES_MAX", FIELD(fold_entries_max), 5000, 100, FOLD_ENTRIES_LIMIT,
               "most counters and visitors in one call; fewer when calls take long"),
    OPTION_INT("RECENT_IDS_MAX", FIELD(recent_ids_max), 500000, 1000, 100000000,
               "recent event ids known to a partition, 16 bytes each; repairs mend what it misses"),
    OPTION_INT("TRIM_INTERVAL_MS", FIELD(trim_interval_ms), 10000, 100, 3600000,
               "ms between two trims of a stream"),
    OPTION_INT("STREAM_DEDUP_MS", FIELD(stream_dedup_ms), 120000, 1000, 3600000,
               "ms in which a stream knows a batch's id again; nothing younger is trimmed"),
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

void settings_free(struct settings *settings)
{
    endpoints_close(&settings->endpoints);
    config_free(settings_rows, settings);
}
