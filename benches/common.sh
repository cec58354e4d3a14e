# What the measurements share: an installation from nothing in a temporary directory, served as asked, and taken away at the end.
#
# Sourced by issuance.sh, cascade.sh and flood.sh. TSUNAGI names the program (a release build; built with --features postgres
# for PostgreSQL); without it target/release/tsunagi is taken, and built if it is not there.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

program=${TSUNAGI:-$root/target/release/tsunagi}
if [ ! -x "$program" ]; then
    (cd "$root" && cargo build --release --locked --features postgres)
fi

home=$(mktemp -d "${TMPDIR:-/tmp}/tsunagi-bench.XXXXXX")
port=${TSUNAGI_BENCH_PORT:-18000}
servers=()
back_office=

finish() {
    local status=$?
    trap - EXIT INT TERM HUP
    for process in "${servers[@]}" $back_office; do
        kill "$process" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$home"/*.log >&2 || true
    fi
    rm -rf -- "$home"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# await SECONDS COMMAND...: until the command succeeds.
await() {
    local left=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { echo "gave up waiting for: $*" >&2; return 1; }
        sleep 0.1
    done
}

# The mock back office, which writes nothing down, and an installation beside it without rate limits.
prepare() {
    local store=$1
    "$program" sandbox back-office --forget --dir "$home/sandbox" --listen "127.0.0.1:$port" \
        --status-listen "127.0.0.1:$((port + 1))" --push-listen "127.0.0.1:$((port + 5))" >"$home/back-office.log" 2>&1 &
    back_office=$!
    await 60 test -s "$home/sandbox/sandbox.json"
    "$program" init "$home/pki" --sandbox "$home/sandbox" --store "$store" --ra-listen "127.0.0.1:$((port + 2))" \
        --operators-listen "127.0.0.1:$((port + 3))" --status-listen "127.0.0.1:$((port + 4))" >"$home/init.log" 2>&1
    export TSUNAGI__RA__LIMITS__LISTENER__REQUESTS_PER_SECOND=0 TSUNAGI__OPERATORS__LIMITS__LISTENER__REQUESTS_PER_SECOND=0
    export RUST_LOG=${RUST_LOG:-warn}
}

# serve NAME [--role ROLE...]: one process.
serve() {
    local name=$1
    shift
    "$program" serve --settings "$home/pki" "$@" >"$home/$name.log" 2>&1 &
    servers+=($!)
}

is_ready() {
    curl -sf --cacert "$home/pki/ra/tls-ca.pem" --resolve "localhost:$((port + 2)):127.0.0.1" "https://localhost:$((port + 2))/health/ready"
}

# Until holders are served: the CA role leads and has drawn a beacon.
await_ready() { await 60 is_ready; }

# The most memory that a server has held so far (VmHWM), in MiB, and the processor time it has used, in seconds.
report_servers() {
    local process
    for process in "${servers[@]}"; do
        awk -v name="$(tr '\0' ' ' <"/proc/$process/cmdline" | sed 's/.* serve /serve /')" -v ticks="$(getconf CLK_TCK)" '
            FILENAME ~ /status$/ && $1 == "VmHWM:" { memory = $2 / 1024 }
            FILENAME ~ /stat$/ { sub(/^.*\) /, ""); time = ($12 + $13) / ticks }
            END { printf "peak memory %.0f MiB, processor time %.0f s: %s\n", memory, time, name }
        ' "/proc/$process/status" "/proc/$process/stat"
    done
    awk -v ticks="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); printf "processor time %.0f s: mock back office\n", ($12 + $13) / ticks }' \
        "/proc/$back_office/stat"
}

# Where PostgreSQL is asked for, the script runs itself again under a throwaway server.
with_postgres() {
    if [ -z "${TSUNAGI_TEST_POSTGRES:-}" ]; then
        trap - EXIT
        rm -rf -- "$home"
        exec "$root/scripts/with-postgres" "$0" "$@"
    fi
}

machine() {
    printf '%s processors, %s MiB, load average %s, %s\n' "$(nproc)" "$(awk '/MemTotal/ { printf "%d", $2 / 1024 }' /proc/meminfo)" \
        "$(cut -d' ' -f1-3 /proc/loadavg)" "$(uname -sr)"
}
