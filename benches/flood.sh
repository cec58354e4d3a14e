#!/usr/bin/env bash
# Card events by the million, with issuance and OCSP beside them: benches/flood.sh [sqlite|postgres] [ARGUMENT of `sandbox flood`...]
#
# 1,000,000 events (EVENTS) of which 40,000 end a certificate each (of 20,000 HOLDERS); with --scope the events only make the cards known, and one
# event of the back office's feed ends all of one key.
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
"$program" sandbox flood --installation "$home/pki" --sandbox "$home/sandbox" --holders "${HOLDERS:-20000}" --events "${EVENTS:-1000000}" --patience 1800 \
    --file "$home/card-events.jsonl" "$@"
report_servers
if [ "$database" = sqlite ]; then
    # Notices to holders and commands to phones come after all this, in their own time.
    begun=$SECONDS
    await 900 python3 -c '
import sqlite3, sys
store = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
behind, = store.execute("SELECT (SELECT position FROM event_counter) - MIN(position) FROM follower").fetchone()
waiting, = store.execute("SELECT COUNT(*) FROM notice WHERE state = 1").fetchone()
sys.exit(behind + waiting > 0)' "$home/pki/tsunagi.sqlite"
    echo "every notice told and every command made $((SECONDS - begun)) s after the last look; then:"
    report_servers
    printf 'database %s MiB, write-ahead log %s MiB\n' \
        "$(($(stat -c %s "$home/pki/tsunagi.sqlite") >> 20))" "$(($(stat -c %s "$home/pki/tsunagi.sqlite-wal" 2>/dev/null || echo 0) >> 20))"
fi
