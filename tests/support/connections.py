"""How many connections to PostgreSQL a process has at most: docs/operations.md, Sizing."""

# By application_name, of one process; what a reader has for each partition stands beside.
GATEWAY = {"adledger gateway query": 2, "adledger gateway proof": 1, "adledger gateway audit": 1, "adledger gateway catalogue": 1, "adledger gateway inbox": 2}
INGEST = {"adledger ingest upkeep": 1, "adledger ingest dlq": 1}
INGEST_EACH, ANALYTICS_EACH = {"adledger ingest": 1}, {"adledger analytics": 1}
GRAFANA = 4  # maxOpenConns of grafana/provisioning
EXPORTER = 2
MIGRATE = 1


def needed(gateways, ingests, analytics, partitions):
    """Of a whole deployment: a reader may come to hold every partition, and keeps the connection of one that it has lost."""
    readers = ingests * (sum(INGEST.values()) + partitions * sum(INGEST_EACH.values())) + analytics * partitions * sum(ANALYTICS_EACH.values())
    return gateways * sum(GATEWAY.values()) + readers + GRAFANA + EXPORTER + MIGRATE
