#!/bin/sh
# PostgreSQL takes only a key that is its user's own and closed to all others; the secret is the host's user's, and read by group.
set -eu
install -m 600 /run/secrets/postgres.key /var/run/postgresql/postgres.key
exec docker-entrypoint.sh "$@"
