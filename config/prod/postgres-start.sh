#!/bin/sh
# PostgreSQL takes no key that a group may read unless root owns it; the secret is the host's user's, and read by group.
set -eu
install -m 600 /run/secrets/postgres.key /var/run/postgresql/postgres.key
exec docker-entrypoint.sh "$@"
