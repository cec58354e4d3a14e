#!/usr/bin/env bash
# What the log costs issuance: benches/log_cost.sh [ARGUMENT of `sandbox load`...]; ROUNDS (4), APPLICATIONS in each (3,000), on SQLite
#
# The same program serves the same installation by turns with the log as it is by default, and with one that brings nothing in for a
# minute (log.interval_milliseconds), which is longer than a turn: what is counted then waits for the next. How much came into the log
# during each turn is printed, so that everybody sees that it was so.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

leaves() { "$program" log show --settings "$home/pki" --output json | python3 -c 'import json, sys; print(json.load(sys.stdin)["size"])'; }

# The processor time that the server has used, in hundredths of a second.
used() { awk -v ticks="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); printf "%d", ($12 + $13) * 100 / ticks }' "/proc/${servers[0]}/stat"; }

# Until nothing waits for the log any more.
is_quiet() {
    local before after
    before=$(leaves)
    sleep 1.5
    after=$(leaves)
    [ "$before" = "$after" ]
}

# turn NAME ARGUMENT...: one measurement, with the environment as it is.
turn() {
    local name=$1 before after begun ended
    shift
    serve "$name"
    await_ready
    await 120 is_quiet
    before=$(leaves)
    begun=$(used)
    "$program" sandbox load --installation "$home/pki" --sandbox "$home/sandbox" --applications "${APPLICATIONS:-3000}" \
        --clients 64 --output json "$@" >"$home/load.json"
    ended=$(used)
    after=$(leaves)
    python3 - "$name" "$before" "$after" "$begun" "$ended" "$home/load.json" <<'PYTHON'
import json, sys
name, before, after, begun, ended, report = sys.argv[1:]
step = json.load(open(report))["steps"][0]
print(f"{name:<12} {step['certificates_per_second']:8.1f} certificates/s   p50 {step['p50_ms']:6.1f} ms   p99 {step['p99_ms']:6.1f} ms   "
      f"processor {(int(ended) - int(begun)) * 10 / step['issued']:.2f} ms an application   errors {step['errors'] or 'none'}   leaves {int(after) - int(before)}", flush=True)
PYTHON
    kill "${servers[@]}"
    wait "${servers[@]}" 2>/dev/null || true
    servers=()
}

machine
prepare sqlite://tsunagi.sqlite
export TSUNAGI__LOG__MAX_LAG_SECONDS=86400
for _ in $(seq "${ROUNDS:-4}"); do
    TSUNAGI__LOG__INTERVAL_MILLISECONDS=60000 turn without-log "$@"
    turn with-log "$@"
done
