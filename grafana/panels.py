"""What the dashboards show. tools/dashboards makes grafana/dashboards/*.json of it.

A row is (title, lines), a line is panels side by side. graph, stat, gauge and table take a title, what it means, a unit
and (query, legend) pairs; a third part is a unit of its own, on the right axis. Steps are the values from which it is yellow or
red, base what it is below them: green, or what is wrong with too little. Steps are those of the alerts where there is one, else
where a setting's limit is near. What is a mere volume has none: WITHOUT_A_LIMIT of tests/monitoring/test_dashboards.py lists it.
"""

COLLECT = 'route=~"(/api/v1)?/ads/(click|impression)|/api/v1/events|/api/v1/ads/[{]id[}]/.+"'
GATEWAY = 'job="gateway", instance=~"$instance"'
JOBS = 'job=~"gateway|ingest|analytics"'
RATE = "[$__rate_interval]"
BUSINESS = "quarter_at >= date_trunc('hour', $__timeFrom()::timestamptz) AND quarter_at < $__timeTo()::timestamptz"
# By received_at, which has a small index in the order of the rows. An id may be up to a day older: that bound is for the days' tables.
VISITORS = ("SELECT count(DISTINCT visitor) AS visitors FROM events WHERE type = 1 AND reason = 0 AND received_at BETWEEN now() - interval '5 minutes' AND now()"
            " AND event_id >= (lpad(to_hex((extract(epoch FROM now() - interval '25 hours') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid")
MIB = 1 << 20
NEVER = {"steps": ((0.001, "yellow"),)}  # a rate of what does not happen while all is well
SOME = {"base": "yellow", "steps": ((1, "green"),)}  # of what there is none when nothing comes in
# Names of adledger.v1.EventType.
TYPE = "(ARRAY['click', 'impression', 'start', 'first_quartile', 'midpoint', 'third_quartile', 'complete', 'skip'])[type]"


def _panel(kind, title, help_, unit, *targets, steps=(), base="green", stack=False, source="prometheus", low=None, high=None):
    return {"kind": kind, "title": title, "help": help_, "unit": unit, "targets": targets, "steps": steps, "base": base, "stack": stack, "source": source, "min": low, "max": high}


def graph(*args, **more):
    return _panel("timeseries", *args, **{"low": 0, **more})


def stat(*args, **more):
    return _panel("stat", *args, **more)


def gauge(*args, **more):
    return _panel("gauge", *args, **{"low": 0, "high": 1, **more})


def sql(kind, title, help_, unit, query, **more):
    return _panel(kind, title, help_, unit, (query, ""), source="postgres", **more)


def quantiles(metric, by, where=""):
    """p50 and p99 of a histogram, as (query, legend) pairs."""
    return tuple((f"histogram_quantile({q}, sum by ({by}le) (rate({metric}_bucket{{{where}}}{RATE})))", legend)
                 for q, legend in ((0.5, "p50"), (0.99, "p99")))


def labelled(pairs, prefix):
    return tuple((query, f"{prefix} {legend}") for query, legend in pairs)


OVERVIEW = {
    "uid": "adledger-overview", "title": "adledger / Overview", "help": "Golden signals, and the pipeline from the client to the numbers.",
    "variables": [("instance", 'label_values(adledger_service_ready{job="gateway"}, instance)', "gateway")],
    "rows": [
        ("Golden signals", [
            [stat("Ready", "Instances that may get traffic; 0 as well when none answers.", "short", (f"sum by (job) (adledger_service_ready) or sum by (job) (up{{{JOBS}}})", "{{job}}"), base="red", steps=((1, "green"),)),
             stat("Accepted", "Events answered 202 a second.", "ops", ("sum(adledger:events_accepted:rate1m)", "events/s"), base="yellow", steps=((0.001, "green"),)),
             stat("5xx of collect requests", "Share of the last 5 minutes; the promise allows 0.1 %.", "percentunit", ("adledger:collect_errors:ratio_rate5m", "5xx"), steps=((0.001, "yellow"), (0.01, "red"))),
             stat("Slow collect requests", "Share over 250 ms in the last 5 minutes; the promise allows 1 %.", "percentunit", ("adledger:collect_slow:ratio_rate5m", "slow"), steps=((0.01, "yellow"), (0.1, "red"))),
             stat("Ledger", "1: the last audit balanced.", "short", ("min(adledger_ledger_balanced)", "balanced"), base="red", steps=((1, "green"),)),
             stat("Age of the numbers", "How old what is stored and counted is.", "s", ("max by (job) (adledger:reader_age_seconds)", "{{job}}"), steps=((5, "yellow"), (60, "red")))],
            [graph("Requests by route", "Answers a second by route template.", "reqps", (f"sum by (route) (rate(adledger_http_requests_total{{{GATEWAY}}}{RATE}))", "{{route}}")),
             graph("Answers by class", "Classes of status; aborted: the client left before its answer.", "reqps", (f"sum by (code) (rate(adledger_http_requests_total{{{GATEWAY}}}{RATE}))", "{{code}}"), stack=True),
             graph("Collect latency", "From a request's last byte to its answer's last byte, which waits for the disk.", "s", *quantiles("adledger_http_request_seconds", "", f"{GATEWAY}, {COLLECT}"), steps=((0.25, "red"),))],
        ]),
        ("The pipeline, left to right", [
            [graph("Events in", "Accepted by type, a second.", "ops", ("adledger:events_accepted:rate1m", "{{type}}"), stack=True),
             graph("On the stream", "Messages that wait to be read, or to be trimmed once they are older than the dedup window.", "short", ("max by (partition) (adledger_stream_messages)", "ADS_{{partition}}")),
             graph("Reader lag", "Messages behind the stream's end.", "short", ("adledger:reader_lag_messages", "{{job}} {{partition}}"), steps=((10000, "yellow"), (100000, "red"))),
             graph("Stored and counted", "Events into PostgreSQL and into Redis, a second.", "ops", (f"sum(rate(adledger_ingest_events_stored_total{RATE}))", "stored"), (f"sum(rate(adledger_analytics_events_counted_total{RATE}))", "counted"))],
            [graph("Freshness", "From a gateway's receipt to the row and to the counter, oldest of each transaction or call.", "s",
                   *labelled(quantiles("adledger_reader_freshness_seconds", "", 'job="ingest"'), "row"), *labelled(quantiles("adledger_reader_freshness_seconds", "", 'job="analytics"'), "counter"), steps=((5, "yellow"),)),
             graph("Age", "Time since when all that was published is stored or counted.", "s", ("adledger:reader_age_seconds", "{{job}} {{partition}}"), steps=((5, "yellow"), (60, "red"))),
             graph("Stream fill", "Share of STREAM_MAX_BYTES; a full stream refuses.", "percentunit", ("adledger:stream_fill:ratio", "ADS_{{partition}}"), steps=((0.7, "yellow"), (0.95, "red")), high=1)],
        ]),
    ],
}

RELIABILITY = {
    "uid": "adledger-reliability", "title": "adledger / Reliability", "help": "What keeps the promise when something is down: breakers, spool, inbox, ledger, dead letters.",
    "variables": [("instance", 'label_values(adledger_service_ready{job="gateway"}, instance)', "gateway")],
    "rows": [
        ("The promise", [
            [graph("Burn of the error budget", "Share of collect requests answered 5xx, by window; 0.1 % is the budget.", "percentunit",
                   ("adledger:collect_errors:ratio_rate5m", "5m"), ("adledger:collect_errors:ratio_rate1h", "1h"), ("adledger:collect_errors:ratio_rate6h", "6h"), steps=((0.001, "yellow"), (0.0144, "red"))),
             graph("Batches by line of keeping", "Where what was answered 202 was kept.", "ops", (f"sum(rate(adledger_batches_stored_total{{{GATEWAY}}}{RATE}))", "stream"), (f"sum by (line) (rate(adledger_batches_kept_total{{{GATEWAY}}}{RATE}))", "{{line}}"), stack=True),
             graph("Batches handed on", "Batches that the stream did not take, by why.", "ops", (f"sum by (reason) (rate(adledger_batches_handed_on_total{{{GATEWAY}}}{RATE}))", "{{reason}}"), **NEVER)],
            [graph("Answered 503", "Batches that no line took in time.", "ops", (f"sum(rate(adledger_batches_abandoned_total{{{GATEWAY}}}{RATE}))", "abandoned"), (f"sum(rate(adledger_batches_expired_total{{{GATEWAY}}}{RATE}))", "expired"), steps=((0.001, "red"),)),
             graph("Refused by their fault", "Events that are wrong, by code; the client's to mend.", "ops", (f"sum by (code) (rate(adledger_events_rejected_total{{{GATEWAY}}}{RATE}))", "{{code}}")),
             graph("Not admitted", "Requests without a right, or over their rate.", "ops", (f"sum by (code) (rate(adledger_requests_refused_total{{{GATEWAY}}}{RATE}))", "{{code}}"), (f"sum by (kind) (rate(adledger_rate_limited_total{{{GATEWAY}}}{RATE}))", "429 {{kind}}"))],
        ]),
        ("Breakers", [
            [graph("Breakers that are not closed", "Open ones refuse at once; a half-open one tries.", "short", ('sum by (job, dependency, state) (adledger_breaker_state{state!="closed"})', "{{job}} {{dependency}} {{state}}"), steps=((1, "red"),)),
             graph("Breaker transitions", "Changes of state and their reason, a second.", "ops", (f"sum by (job, dependency, to, reason) (rate(adledger_breaker_transitions_total{RATE}))", "{{job}} {{dependency}} {{to}} {{reason}}"), **NEVER),
             graph("Calls by result", "What came of the calls that breakers let through.", "ops", (f"sum by (job, dependency, result) (rate(adledger_breaker_calls_total{RATE}))", "{{job}} {{dependency}} {{result}}"))],
        ]),
        ("Spool and inbox", [
            [graph("Spool", "Events that wait in spools.", "short", (f"adledger_spool_events{{{GATEWAY}}}", "{{instance}}"), steps=((1, "yellow"),)),
             graph("Spool fill", "Share of SPOOL_MAX_BYTES.", "percentunit", (f"adledger:spool_fill:ratio{{{GATEWAY}}}", "{{instance}}"), steps=((0.5, "yellow"), (0.8, "red")), high=1),
             graph("Oldest in spool and inbox", "Age of what has waited longest.", "s", (f"max(adledger_spool_oldest_age_seconds{{{GATEWAY}}})", "spool"), ("max(adledger_inbox_oldest_age_seconds)", "inbox"), steps=((60, "yellow"), (900, "red"))),
             graph("Inbox", "Events in PostgreSQL's inbox, of all gateways.", "short", ("max(adledger_inbox_events)", "events"), steps=((1, "red"),))],
            [graph("Replayed", "Batches published from spools and inbox, a second.", "ops", (f"sum(rate(adledger_spool_replayed_batches_total{{{GATEWAY}}}{RATE}))", "spool"), (f"sum(rate(adledger_inbox_replayed_batches_total{{{GATEWAY}}}{RATE}))", "inbox")),
             graph("Spool writes", "Batches handed to the spool, by what became of them.", "ops", (f"sum by (result) (rate(adledger_spool_writes_total{{{GATEWAY}}}{RATE}))", "{{result}}"), **NEVER),
             graph("Spool write time", "One transaction with its sync, of batches that were kept. One has half of what is left until KEEP_DEADLINE_MS: 0.275 s after PUBLISH_DEADLINE_MS; then it is the inbox's turn.", "s", *quantiles("adledger_spool_write_seconds", "", GATEWAY), steps=((0.15, "yellow"), (0.275, "red"))),
             graph("Spool disk", "Free share of the file system under SPOOL_DIR.", "percentunit", (f"adledger_spool_disk_free_bytes{{{GATEWAY}}} / adledger_spool_disk_bytes{{{GATEWAY}}}", "{{instance}}"), base="red", steps=((0.1, "yellow"), (0.2, "green")), high=1)],
        ]),
        ("The ledger", [
            [stat("Lost", "Batches that the last audit misses and nothing explains.", "short", ("max(adledger_ledger_lost_batches)", "lost"), steps=((1, "red"),)),
             stat("Pending", "Batches on their way.", "short", ("max(adledger_ledger_pending_batches)", "pending"), steps=((1, "yellow"), (10000, "red"))),
             stat("Unproven", "Batches of gateways that died before they could tell.", "short", ("max(adledger_ledger_unproven_batches)", "unproven"), steps=((1, "yellow"),)),
             stat("Last audit", "How long ago it was.", "s", ("time() - max(adledger_ledger_audited_at_seconds)", "ago"), steps=((300, "yellow"), (900, "red"))),
             stat("Dead letters, 1 h", "Events set aside in the last hour.", "short", ("sum(increase(adledger_dead_letters_total[1h]))", "dead"), steps=((1, "yellow"),)),
             stat("Gaps, 1 h", "Messages that were gone from the stream unread.", "short", ("sum(increase(adledger_reader_gap_messages_total[1h]))", "gone"), steps=((1, "red"),))],
            [graph("Dead letters by reason", "Events set aside, a second.", "ops", (f"sum by (code) (rate(adledger_dead_letters_total{RATE}))", "{{code}}"), **NEVER),
             graph("Duplicates", "Events and batches that were there already.", "ops", (f"sum(rate(adledger_ingest_duplicates_total{RATE}))", "events"), (f"sum(rate(adledger_ingest_batches_repeated_total{RATE}))", "batches")),
             graph("Repairs", "Quarter hours whose counts in Redis were set to the rollups'.", "ops", (f"sum(rate(adledger_analytics_repairs_total{RATE}))", "repairs"), (f"sum(rate(adledger_analytics_rebuilds_total{RATE}))", "rebuilds"), **NEVER),
             graph("Clock skew", "Newest time of receipt minus the reader's clock; above 0 a gateway's clock is ahead.", "s", ("max by (job, partition) (adledger_reader_clock_skew_seconds)", "{{job}} {{partition}}"), steps=((5, "yellow"),), low=None)],
        ]),
    ],
}

BUSINESS_BOARD = {
    "uid": "adledger-business", "title": "adledger / Business", "help": "Clicks, impressions, rates and ads, as PostgreSQL has them; valid events unless it says otherwise.",
    "refresh": "1m",  # each look is a question to the PostgreSQL that ingest writes to
    "variables": [],
    "rows": [
        ("In this time range", [
            [sql("stat", "Clicks", "Valid clicks, by quarter hours.", "short", f"SELECT coalesce(sum(count), 0) AS clicks FROM ad_quarter WHERE type = 1 AND reason = 0 AND {BUSINESS}", **SOME),
             sql("stat", "Impressions", "Valid impressions.", "short", f"SELECT coalesce(sum(count), 0) AS impressions FROM ad_quarter WHERE type = 2 AND reason = 0 AND {BUSINESS}", **SOME),
             sql("stat", "CTR", "Clicks a impression.", "percentunit", f"SELECT sum(count) FILTER (WHERE type = 1)::float8 / nullif(sum(count) FILTER (WHERE type = 2), 0) AS ctr FROM ad_quarter WHERE reason = 0 AND {BUSINESS}", steps=((1, "yellow"),)),
             sql("stat", "Invalid clicks", "Share of the clicks that are kept as invalid traffic.", "percentunit",
                 f"SELECT coalesce(sum(count) FILTER (WHERE reason <> 0)::float8 / nullif(sum(count), 0), 0) AS invalid FROM ad_quarter WHERE type = 1 AND {BUSINESS}", steps=((0.1, "yellow"), (0.3, "red"))),
             sql("stat", "Unique visitors, last 5 minutes", "Distinct visitors who clicked; exact.", "short", VISITORS, **SOME),
             sql("stat", "Ads served", "Ads that are not archived; without one every event is refused.", "short", "SELECT count(*) AS ads FROM ads WHERE archived_at IS NULL", base="red", steps=((1, "green"),))],
        ]),
        ("Over time", [
            [sql("timeseries", "Events by type", "Valid events a quarter hour.", "short",
                 f"SELECT quarter_at AS time, {TYPE} AS metric, sum(count)::float8 AS value FROM ad_quarter WHERE reason = 0 AND {BUSINESS} GROUP BY 1, 2 ORDER BY 1", low=0),
             sql("timeseries", "CTR over time", "Clicks a impression, by quarter hour.", "percentunit",
                 f"SELECT quarter_at AS time, sum(count) FILTER (WHERE type = 1)::float8 / nullif(sum(count) FILTER (WHERE type = 2), 0) AS ctr FROM ad_quarter WHERE reason = 0 AND {BUSINESS} GROUP BY 1 ORDER BY 1", low=0, steps=((1, "yellow"),))],
            [graph("Live events by type", "Accepted a second, from the gateways.", "ops", ("adledger:events_accepted:rate1m", "{{type}}"), stack=True),
             graph("Live invalid traffic", "Accepted but kept as invalid, by reason.", "ops", (f"sum by (reason) (rate(adledger_events_invalid_total{RATE}))", "{{reason}}"), stack=True)],
        ]),
        ("Ads", [
            [sql("table", "Top ads", "By valid clicks in this time range.", "short",
                 f"SELECT q.ad_id, a.title, sum(count) FILTER (WHERE type = 1) AS clicks, sum(count) FILTER (WHERE type = 2) AS impressions, round(sum(count) FILTER (WHERE type = 1) / nullif(sum(count) FILTER (WHERE type = 2), 0), 6) AS ctr"
                 f" FROM ad_quarter q LEFT JOIN ads a ON a.id = q.ad_id WHERE reason = 0 AND {BUSINESS} GROUP BY 1, 2 ORDER BY clicks DESC NULLS LAST LIMIT 20"),
             sql("table", "Videos", "How far the videos of each ad were watched, in this time range.", "short",
                 "SELECT ad_id, coalesce(sum(count) FILTER (WHERE type = 3), 0) AS started, coalesce(sum(count) FILTER (WHERE type = 5), 0) AS half, coalesce(sum(count) FILTER (WHERE type = 7), 0) AS completed, coalesce(sum(count) FILTER (WHERE type = 8), 0) AS skipped"
                 f" FROM ad_quarter WHERE type IN (3, 5, 7, 8) AND reason = 0 AND {BUSINESS} GROUP BY 1 ORDER BY started DESC LIMIT 20")],
        ]),
    ],
}


def process(title, help_, unit, expr, **more):
    return graph(title, help_, unit, (expr, "{{job}} {{instance}}"), **more)


SERVICES = {
    "uid": "adledger-services", "title": "adledger / Services", "help": "Queues, pools, queries and the processes themselves.",
    "variables": [("instance", 'label_values(adledger_service_ready{job="gateway"}, instance)', "gateway")],
    "rows": [
        ("Gateway", [
            [graph("Queues", "Share of what each queue may hold.", "percentunit", (f"adledger_lane_queue_bytes{{{GATEWAY}}} / adledger_lane_queue_max_bytes{{{GATEWAY}}}", "lanes {{instance}}"),
                   (f"adledger_spool_queue_bytes{{{GATEWAY}}} / adledger_keep_queue_max_bytes{{{GATEWAY}}}", "spool {{instance}}"), (f"adledger_inbox_queue_bytes{{{GATEWAY}}} / adledger_keep_queue_max_bytes{{{GATEWAY}}}", "inbox {{instance}}"), steps=((0.5, "yellow"), (0.9, "red")), high=1),
             graph("Query pools", "Threads at work, of those there are, and jobs that wait, of those that may; on the right the jobs that were refused a second.", "percentunit",
                   (f"sum by (pool) (adledger_query_pool_busy{{{GATEWAY}}}) / sum by (pool) (adledger_query_pool_threads{{{GATEWAY}}})", "busy {{pool}}"),
                   (f"sum by (pool) (adledger_query_pool_queued{{{GATEWAY}}}) / sum by (pool) (adledger_query_pool_queue_max{{{GATEWAY}}})", "queue {{pool}}"),
                   (f"sum by (pool) (rate(adledger_query_pool_rejected_total{{{GATEWAY}}}{RATE}))", "refused {{pool}}", "ops"), steps=((0.9, "yellow"), (1, "red"))),
             graph("Connections", "Share of the client connections that there may be; on the right those that were refused a second.", "percentunit",
                   (f"adledger_http_connections{{{GATEWAY}}} / adledger_http_connections_max{{{GATEWAY}}}", "{{instance}}"), (f"rate(adledger_http_connections_refused_total{{{GATEWAY}}}{RATE})", "refused {{instance}}", "ops"), steps=((0.9, "yellow"), (1, "red"))),
             graph("Event loop threads", "Share of the loop threads that are connected to NATS.", "percentunit", (f"adledger_loops_connected{{{GATEWAY}}} / adledger_loops{{{GATEWAY}}}", "{{instance}}"), base="red", steps=((0.01, "yellow"), (1, "green")), high=1)],
            [graph("Publish to ack", "A batch's first try until the stream has synced it.", "s", *quantiles("adledger_publish_seconds", "", GATEWAY), steps=((0.25, "yellow"), (0.4, "red"))),
             graph("Events in a batch", "Group commit: they grow with load.", "short", *quantiles("adledger_batch_events", "", GATEWAY)),
             graph("Messages published", "Batches a second: NATS message throughput.", "ops", (f"sum(rate(adledger_batches_sent_total{{{GATEWAY}}}{RATE}))", "sent"), (f"sum(rate(adledger_batches_retried_total{{{GATEWAY}}}{RATE}))", "again"), (f"sum(rate(adledger_batches_refused_total{{{GATEWAY}}}{RATE}))", "refused"), (f"sum by (result) (rate(adledger_heartbeats_total{{{GATEWAY}}}{RATE}))", "heartbeat {{result}}")),
             graph("Latency by route", "p99 of each route.", "s", (f"histogram_quantile(0.99, sum by (route, le) (rate(adledger_http_request_seconds_bucket{{{GATEWAY}}}{RATE})))", "{{route}}"), steps=((0.25, "yellow"), (1, "red")))],
            [graph("Batches in flight", "Share of the batches that may wait for their ack; at 100 % the next ones grow, then wait in the lanes' queues.", "percentunit",
                   (f"adledger_batches_inflight{{{GATEWAY}}} / adledger_batches_inflight_max{{{GATEWAY}}}", "{{instance}}"), steps=((1, "yellow"),), high=1),
             graph("Boards", "Share of the places for boards that are in use; on the right the requests for one more that were refused a second.", "percentunit",
                   (f"adledger_boards_in_use{{{GATEWAY}}} / adledger_boards_max{{{GATEWAY}}}", "{{instance}}"), (f"sum by (instance, reason) (rate(adledger_boards_refused_total{{{GATEWAY}}}{RATE}))", "refused {{reason}} {{instance}}", "ops"), steps=((0.9, "yellow"), (1, "red")))],
        ]),
        ("Queries", [
            [graph("Redis hit and miss", "Readings answered by Redis, and those that PostgreSQL answered in its place.", "ops",
                   (f"sum(rate(adledger_redis_queries_total{{{GATEWAY}}}{RATE})) - sum(rate(adledger_redis_failures_total{{{GATEWAY}}}{RATE}))", "hit"), (f"sum(rate(adledger_redis_failures_total{{{GATEWAY}}}{RATE}))", "miss"), (f"sum(rate(adledger_postgres_queries_total{{{GATEWAY}}}{RATE}))", "asked of PostgreSQL")),
             graph("Shared answers", "Analytics answers that came from an earlier or a waiting request.", "ops", (f"sum(rate(adledger_query_cache_hits_total{{{GATEWAY}}}{RATE}))", "shared")),
             graph("Redis commands", "By result, of the readers.", "ops", (f"sum by (job, result) (rate(adledger_redis_commands_total{RATE}))", "{{job}} {{result}}")),
             graph("PostgreSQL statements", "By result, of every service.", "ops", (f"sum by (job, result) (rate(adledger_pg_statements_total{RATE}))", "{{job}} {{result}}"))],
        ]),
        ("Readers", [
            [graph("Messages read", "From the stream, a second.", "ops", (f"sum by (job) (rate(adledger_reader_messages_total{RATE}))", "{{job}}")),
             graph("Ingest transactions", "By how they ended.", "ops", (f"sum by (result) (rate(adledger_ingest_transactions_total{RATE}))", "{{result}}")),
             graph("Ingest transaction time", "From begin to commit; the breaker finds it slow from PG_SLOW_MS, 2 s, on.", "s", *quantiles("adledger_ingest_store_seconds", ""), steps=((2, "yellow"), (5, "red"))),
             graph("Events in a transaction", "They grow with load.", "short", *quantiles("adledger_ingest_batch_events", ""))],
            [graph("Analytics calls", "Script calls that moved the position, and those that lost it to another process.", "ops", (f"sum(rate(adledger_analytics_applies_total{RATE}))", "applied"), (f"sum(rate(adledger_analytics_applies_lost_total{RATE}))", "lost")),
             graph("Analytics call time", "One script call with its changes, for which questions to Redis wait: REDIS_SLOW_MS, QUERY_DEADLINE_MS.", "s", *quantiles("adledger_analytics_apply_seconds", ""), steps=((0.25, "yellow"), (1, "red"))),
             graph("Messages in a call", "Folded into one call.", "short", *quantiles("adledger_analytics_fold_messages", "")),
             graph("Partitions held", "Leases of each process.", "short", ("sum by (job, instance) (adledger_reader_lease_held)", "{{job}} {{instance}}"))],
        ]),
        ("Stores", [
            [graph("Redis memory", "Share of maxmemory; nothing is evicted, at 1 it refuses writes.", "percentunit", ("redis_memory_used_bytes / (redis_memory_max_bytes > 0)", "{{instance}}"), steps=((0.8, "yellow"), (0.95, "red")), high=1),
             graph("PostgreSQL connections", "Share of those that may be, without the ones kept for superusers.", "percentunit",
                   ("sum by (instance) (pg_stat_activity_count) / on (instance) max by (instance) (pg_settings_max_connections - pg_settings_superuser_reserved_connections)", "{{instance}}"), steps=((0.8, "yellow"), (0.95, "red")), high=1),
             graph("PostgreSQL size", "Tables and indexes of the database, without its log.", "bytes", ('pg_database_size_bytes{datname="adledger"}', "{{instance}}")),
             graph("JetStream store", "All streams together, share of max_file_store.", "percentunit", ("jetstream_server_total_message_bytes / (jetstream_server_max_storage > 0)", "{{server_name}}"), steps=((0.7, "yellow"), (0.9, "red")), high=1)],
            [graph("Redis keyspace hits and misses", "Keys that were read and were there, or were not, by whomever and in scripts too; an ad or a minute without clicks has no key.", "ops",
                   (f"sum(rate(redis_keyspace_hits_total{RATE}))", "hits"), (f"sum(rate(redis_keyspace_misses_total{RATE}))", "misses")),
             graph("Redis query throughput", "Commands that Redis has done, a second; a script's own count, too.", "ops", (f"sum by (instance) (rate(redis_commands_processed_total{RATE}))", "{{instance}}")),
             graph("PostgreSQL transactions", "Of the database, a second; a statement alone is one, too.", "ops",
                   (f'sum(rate(pg_stat_database_xact_commit{{datname="adledger"}}{RATE}))', "committed"), (f'sum(rate(pg_stat_database_xact_rollback{{datname="adledger"}}{RATE}))', "rolled back"))],
        ]),
        ("Processes", [
            [process("CPU", "Processors in use; a reader's container may use 1, a gateway's 2.", "short", f"rate(process_cpu_seconds_total{{{JOBS}}}{RATE})"),
             process("Resident memory", "Bounded by settings; a container is killed at 512 MiB.", "bytes", f"process_resident_memory_bytes{{{JOBS}}}", steps=((384 * MIB, "yellow"), (480 * MIB, "red"))),
             process("File descriptors", "Share of the limit.", "percentunit", f"process_open_fds{{{JOBS}}} / process_max_fds{{{JOBS}}}", steps=((0.9, "red"),)),
             process("Threads", "They do not grow; a container may have 128.", "short", f"process_threads{{{JOBS}}}", steps=((96, "yellow"), (120, "red")))],
            [process("Up since", "Time since the start; CrashLoop counts the starts of a quarter of an hour.", "s", f"time() - process_start_time_seconds{{{JOBS}}}", base="yellow", steps=((900, "green"),)),
             graph("Builds", "Versions that run; more than one while they are replaced.", "short", ("count by (version, commit) (adledger_build_info)", "{{version}} {{commit}}")),
             graph("Log lines lost", "Lines that could not be written.", "ops", (f"sum by (job) (rate(adledger_log_lines_lost_total{RATE}))", "{{job}}"), **NEVER),
             graph("Connections made", "To NATS, PostgreSQL and Redis, a second; many are a sign of trouble.", "ops", (f"sum by (job) (rate(adledger_pg_connects_total{RATE}))", "PostgreSQL {{job}}"), (f"sum by (job) (rate(adledger_redis_connects_total{RATE}))", "Redis {{job}}"), (f"sum(rate(adledger_nats_connects_total{RATE}))", "NATS"), steps=((1, "yellow"),))],
        ]),
    ],
}

DASHBOARDS = [OVERVIEW, RELIABILITY, BUSINESS_BOARD, SERVICES]
