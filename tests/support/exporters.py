"""What rules and dashboards may ask of the stores' exporters, by the job and the image that tells it.

tests/deploy/test_compose.py asks Debian's exporters of Redis and PostgreSQL for it; NATS's is checked by name only, for
Debian has none. Change a version here together with its names.
"""

EXPORTERS = {
    "nats": ("natsio/prometheus-nats-exporter:0.15.0", {"jetstream_server_total_message_bytes", "jetstream_server_max_storage"}),
    "postgres": ("prometheuscommunity/postgres-exporter:v0.15.0", {"pg_up", "pg_stat_activity_count", "pg_settings_max_connections", "pg_settings_superuser_reserved_connections",
                                                                  "pg_database_size_bytes", "pg_stat_replication_pg_wal_lsn_diff", "pg_stat_database_xact_commit", "pg_stat_database_xact_rollback"}),
    "redis": ("oliver006/redis_exporter:v1.67.0", {"redis_up", "redis_memory_used_bytes", "redis_memory_max_bytes", "redis_keyspace_hits_total", "redis_keyspace_misses_total",
                                                   "redis_commands_processed_total"}),
}
TOLD = set().union(*(names for _, names in EXPORTERS.values()))


def jobs_asked(expr):
    """The exporters that have to answer a query."""
    return {job for job, (_, names) in EXPORTERS.items() if any(name in expr for name in names)}
