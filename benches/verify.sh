#!/usr/bin/env bash
# How fast an export is verified offline: benches/verify.sh [jsonl|csv]
#
# Writes an export of LEAVES (10,000,000) leaves of a log that nobody kept, half a kilobyte each (4.3 GB for ten million), in TMPDIR; verifies it and
# reports from it; prints the time, the processor time and the most memory of each; takes everything away.
set -euo pipefail
leaves=${LEAVES:-10000000}
format=${1:-jsonl}
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
[ -x /usr/bin/time ] || { echo "benches/verify.sh: needs /usr/bin/time (package time)" >&2; exit 1; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

(cd "$root" && cargo build --release --locked --quiet -p audit-log --features testing --example synthetic_export)
(cd "$root" && cargo build --release --locked --quiet -p tsunagi)
target=${CARGO_TARGET_DIR:-$root/target}/release
"$target/examples/synthetic_export" "$place/export" "$leaves" "$format" >"$place/log.vkey"
du -sh "$place/export"

measured() {
    local label=$1
    shift
    /usr/bin/time -f "$label: %e s, processor %U s + %S s, VmHWM %M KiB" "$@" >"$place/said"
}
for turn in 1 2; do
    measured "verify $format, $leaves leaves, turn $turn" "$target/tsunagi" audit verify "$place/export" --log-key "$place/log.vkey"
    grep -qx 'Nothing is wrong.' "$place/said"
done
measured "report latency" "$target/tsunagi" audit report "$place/export" latency
