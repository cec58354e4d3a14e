#!/usr/bin/env bash
# How fast events become leaves of the log, and how soon they are under a signed checkpoint: benches/log.sh [sqlite|postgres]
#
# EVENTS (1,000,000) wait at once; then RATE (5,000) come in each second, for SECONDS_LONG (20).
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
database=${1:-sqlite}
if [ "$database" = postgres ] && [ -z "${TSUNAGI_TEST_POSTGRES:-}" ]; then
    exec "$root/scripts/with-postgres" "$0" "$@"
fi
(cd "$root" && cargo build --release --locked -p ca-service --features postgres --example log)
program=${CARGO_TARGET_DIR:-$root/target}/release/examples/log

home=$(mktemp -d "${TMPDIR:-/tmp}/tsunagi-bench.XXXXXX")
trap 'rm -rf -- "$home"' EXIT

# store NAME: the URL of a new one.
store() {
    if [ "$database" = postgres ]; then
        psql -q "$TSUNAGI_TEST_POSTGRES" -c "CREATE DATABASE $1" >&2
        sed -E "s#/[^/?]*(\?|\$)#/$1\1#" <<<"$TSUNAGI_TEST_POSTGRES"
    else
        echo "sqlite://$home/$1.sqlite"
    fi
}

printf '%s processors, load average %s\n' "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"
"$program" backlog "$(store backlog)" "$home/backlog" "${EVENTS:-1000000}"
"$program" pace "$(store pace)" "$home/pace" "${RATE:-5000}" "${SECONDS_LONG:-20}"
