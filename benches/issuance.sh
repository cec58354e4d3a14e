#!/usr/bin/env bash
# Certificates per second: benches/issuance.sh [sqlite|postgres] [ARGUMENT of `sandbox load`...]; APPLICATIONS in each step (3,000)
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
serve all
await_ready
"$program" sandbox load --installation "$home/pki" --sandbox "$home/sandbox" --applications "${APPLICATIONS:-3000}" "$@"
report_servers
