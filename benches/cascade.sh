#!/usr/bin/env bash
# From a card event's acceptance to OCSP saying revoked: benches/cascade.sh [sqlite|postgres] [ARGUMENT of `sandbox cascade`...]
#
# On SQLite one process has all roles; on PostgreSQL each role is a process.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
database=${1:-sqlite}
if [ "$database" = postgres ]; then
    with_postgres "$@"
    store=$TSUNAGI_TEST_POSTGRES
else
    store=sqlite://tsunagi.sqlite
fi
shift || true
machine
prepare "$store"
if [ "$database" = postgres ]; then
    for role in ca status ra; do
        serve "$role" --role "$role"
    done
else
    serve all
fi
await_ready
"$program" sandbox cascade --installation "$home/pki" --sandbox "$home/sandbox" "$@"
report_servers
