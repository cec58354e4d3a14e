#!/usr/bin/env bash
# How fast an auditor gets the log: benches/export.sh [sqlite|postgres]
#
# EVENTS (1,000,000) of a population of a quarter as many certificates are brought into the log of an installation from nothing, which serves as one
# process. Then all of it is exported as JSON lines over the operators' listener (mutual TLS): first as auditors do it, files fetched while later parts are
# prepared; then in two steps, prepared and fetched. Each export is verified offline. DIRECTORY is where it happens.
export TMPDIR=${DIRECTORY:-${TMPDIR:-/tmp}}
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
[ -x /usr/bin/time ] || { echo "benches/export.sh: needs /usr/bin/time (package time)" >&2; exit 1; }
database=${1:-sqlite}
events=${EVENTS:-1000000}
features=testing
store=sqlite://tsunagi.sqlite
url=sqlite://$home/pki/tsunagi.sqlite
if [ "$database" = postgres ]; then
    with_postgres "$@"
    features=testing,postgres
    psql -q "$TSUNAGI_TEST_POSTGRES" -c 'CREATE DATABASE export'
    url=$(sed -E 's#/[^/?]*(\?|$)#/export\1#' <<<"$TSUNAGI_TEST_POSTGRES")
    store=$url
fi
(cd "$root" && cargo build --release --locked --quiet -p schema --features "$features" --example population --example log_population)
examples=${CARGO_TARGET_DIR:-$root/target}/release/examples

machine
prepare "$store"
"$examples/population" --url "$url" --certificates $((events / 4)) --revoked 0 >/dev/null 2>"$home/population.log"
"$examples/log_population" --url "$url" --events "$events" 2>"$home/events.log"
begun=$SECONDS
serve all
await_ready
size() { "$program" log show --settings "$home/pki" --output json | jq -r '.note.size // .signed_size // 0'; }
until [ "$(size)" -ge "$events" ]; do sleep 1; done
echo "$(size) leaves under a checkpoint after $((SECONDS - begun)) s"

# export DIRECTORY: at the end, time and memory of the client.
export_to() {
    /usr/bin/time -f '%e s, client %M KiB at most' "$program" audit export --settings "$home/pki" --to-leaf "$events" --to-dir "$1" \
        --output json 2>"$home/time" >/dev/null || { cat "$home/time" >&2; return 1; }
    tail -n 1 "$home/time"
}
state() { "$program" audit list --settings "$home/pki" --limit 1 --output json | jq -r '.[0].state'; }
key=$("$program" log show --settings "$home/pki" --output json | jq -r .verifier_key)
verify() { /usr/bin/time -f '%e s, %M KiB at most' "$program" audit verify "$1" --log-key "$key" 2>&1 >/dev/null | tail -n 1; }

echo "end to end: $(export_to "$home/export")"
du -sh "$home/export" | cut -f1
echo "verified: $(verify "$home/export")"
rm -rf "$home/export"

"$program" audit export --settings "$home/pki" --to-leaf "$events" --to-dir "$home/export" >/dev/null 2>&1 &
client=$!
await 30 test -s "$home/export/export.part"
kill -9 "$client"
begun=$(date +%s.%N)
until [ "$(state)" = ready ]; do sleep 0.1; done
echo "prepared: $(echo "$(date +%s.%N) - $begun" | bc) s"
echo "fetched: $(export_to "$home/export")"
report_servers
