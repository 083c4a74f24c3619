#!/bin/sh
# Runs once, on an empty data directory: the database, and a login for each service with just the rights it needs.
# The group roles are made here, so that no login needs CREATEROLE; config/sql grants them what they may.
set -eu
# psql takes a file that it cannot read for an empty password, and goes on.
for login in ingest gateway analytics monitor dashboard; do
    grep -q . "/run/secrets/${login}_password" || {
        echo "/run/secrets/${login}_password: no password in it; give it one, and begin again with an empty data directory" >&2
        exit 1
    }
done
psql -v ON_ERROR_STOP=1 --quiet --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set owner `cat /run/secrets/ingest_password`
\set gateway `cat /run/secrets/gateway_password`
\set analytics `cat /run/secrets/analytics_password`
\set monitor `cat /run/secrets/monitor_password`
\set dashboard `cat /run/secrets/dashboard_password`
CREATE ROLE adledger_ingest NOLOGIN;
CREATE ROLE adledger_gateway NOLOGIN;
CREATE ROLE adledger_dashboard NOLOGIN;
-- Ingest owns the tables: only an owner may attach and drop their partitions.
CREATE ROLE adledger LOGIN PASSWORD :'owner';
CREATE ROLE gateway LOGIN PASSWORD :'gateway' IN ROLE adledger_gateway;
CREATE ROLE analytics LOGIN PASSWORD :'analytics' IN ROLE adledger_ingest;
CREATE ROLE monitor LOGIN PASSWORD :'monitor' IN ROLE pg_monitor;
CREATE ROLE dashboard LOGIN PASSWORD :'dashboard' IN ROLE adledger_dashboard;
ALTER ROLE dashboard SET default_transaction_read_only = on;
ALTER ROLE dashboard SET statement_timeout = '20s';
CREATE DATABASE adledger OWNER adledger TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE CONNECT, TEMPORARY ON DATABASE adledger FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE adledger TO adledger, gateway, analytics, monitor, dashboard;
SQL
