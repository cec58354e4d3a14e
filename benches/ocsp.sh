#!/usr/bin/env bash
# OCSP beside nginx: benches/ocsp.sh [sqlite|postgres]
#
# A store with CERTIFICATES certificates (100,000), a tenth of them revoked; the status service alone on it; nginx serving a file with the octets of
# an answer; and wrk (2 threads, CONNECTIONS connections, 16) against both, SECONDS_EACH (10) seconds each:
#   the same GET, the same POST, the same GET at half of that load, POST with a nonce of its own each, POST about certificates never asked about before.
# With WRK2 naming wrk2 (github.com/giltene/wrk2), which sends at a constant rate, nginx and ours are asked at half of that load in this way too.
# Needs nginx, wrk, curl, openssl and python3. How the certificates are made: schema/examples/population.rs says so when it is done.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
for tool in nginx wrk curl openssl python3; do
    command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 1; }
done
database=${1:-sqlite}
certificates=${CERTIFICATES:-100000}
connections=${CONNECTIONS:-16}
each=${SECONDS_EACH:-10}
features=testing
if [ "$database" = postgres ]; then
    with_postgres "$@"
    store=$TSUNAGI_TEST_POSTGRES
    url=$store
    features=testing,postgres
else
    store=sqlite://tsunagi.sqlite
    url=sqlite://$home/pki/tsunagi.sqlite
fi
status=http://127.0.0.1:$((port + 4))
watch=http://127.0.0.1:$((port + 6))
beside=http://127.0.0.1:$((port + 7))
export TSUNAGI__TELEMETRY__LISTEN=127.0.0.1:$((port + 6))

(cd "$root" && cargo build --release --locked --quiet -p schema --features "$features" --example population)
machine
wrk -v 2>&1 | head -n 1 || true
nginx -v 2>&1

# The CA role appoints the responders; then nobody but the status service is at work.
prepare "$store"
serve all
for kind in signature authentication; do
    await 120 openssl ocsp -issuer "$home/pki/ca/ca-$kind-1.pem" -CAfile "$home/pki/ca/ca-$kind-1.pem" -serial 0x1 -url "$status/ocsp"
done
kill "${servers[@]}" "$back_office"
wait "${servers[@]}" 2>/dev/null || true
servers=()
"${CARGO_TARGET_DIR:-$root/target}/release/examples/population" --url "$url" --certificates "$certificates" --revoked 0.1 2>"$home/population.log"
if [ "$database" = sqlite ]; then
    printf 'database %s MiB\n' "$(($(stat -c %s "$home/pki/tsunagi.sqlite") >> 20))"
fi
serve status --role status
await 60 curl -sf "$watch/health/ready"
printf 'status service alone: %s\n' "$(grep VmRSS "/proc/${servers[0]}/status" | tr -s '\t ' ' ')"

# Requests: one to be repeated, one whose nonce is drawn anew each time, and as many as there is time for about different certificates.
cat >"$home/requests.py" <<'EOF'
import base64, hashlib, random, subprocess, sys, urllib.parse
home, count, wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
place = "0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
def template(kind):
    out = f"{home}/template.der"
    issuer = f"{home}/pki/ca/ca-{kind}-1.pem"
    subprocess.run(["openssl", "ocsp", "-sha1", "-issuer", issuer, "-serial", place, "-no_nonce", "-reqout", out], check=True)
    octets = open(out, "rb").read()
    assert octets.endswith(bytes.fromhex(place[2:]))
    return octets[:-20]
templates = [template("signature"), template("authentication")]
def serial(number):
    octets = bytearray(hashlib.sha256(b"tsunagi population" + number.to_bytes(8, "big")).digest()[:20])
    octets[0] = max(octets[0] & 0x7F, 1)
    return bytes(octets)
def request(number):
    return templates[number % 2] + serial(number)
hot = request(0)
open(f"{home}/hot.der", "wb").write(hot)
open(f"{home}/hot.path", "w").write(urllib.parse.quote(base64.b64encode(hot).decode(), safe=""))
subprocess.run(["openssl", "ocsp", "-sha1", "-issuer", f"{home}/pki/ca/ca-signature-1.pem", "-serial", "0x" + serial(0).hex(), "-nonce",
                "-reqout", f"{home}/nonce.der"], check=True)
with open(f"{home}/cold.der", "wb") as file:
    for number in random.sample(range(1, count), min(wanted, count - 1)):
        file.write(request(number))
EOF
python3 "$home/requests.py" "$home" "$certificates" "${COLD:-1000000}"
path=$(cat "$home/hot.path")
mkdir "$home/www"
curl -sf "$status/ocsp/$path" -o "$home/www/answer"
openssl ocsp -respin "$home/www/answer" -reqin "$home/hot.der" -issuer "$home/pki/ca/ca-signature-1.pem" -CAfile "$home/pki/ca/ca-signature-1.pem" \
    >"$home/verified.log" 2>&1
grep -q 'Response verify OK' "$home/verified.log"
printf 'an answer: %s octets\n' "$(stat -c %s "$home/www/answer")"

cat >"$home/nginx.conf" <<EOF
user $(id -un);
worker_processes $(nproc);
daemon off;
pid $home/nginx.pid;
error_log $home/nginx.log;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=16;
    keepalive_requests 1000000000;
    keepalive_timeout 30;
    default_type application/ocsp-response;
    server { listen 127.0.0.1:$((port + 7)); root $home/www; }
}
EOF
nginx -p "$home" -c "$home/nginx.conf" 2>/dev/null &
servers+=($!)
await 10 curl -sf "$beside/answer"

cat >"$home/post.lua" <<EOF
local file = io.open("$home/hot.der", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = "application/ocsp-request"
EOF
cat >"$home/half.lua" <<'EOF'
-- A pause of a millisecond before some of the requests.
local share
function init(arguments) share = tonumber(arguments[1]); math.randomseed(os.time()) end
function delay() if math.random() < share then return 1 end return 0 end
EOF
cat >"$home/nonce.lua" <<EOF
local headers = { ["Content-Type"] = "application/ocsp-request" }
local threads = 0
function setup(thread) threads = threads + 1; thread:set("number", threads) end
function init()
    local file = io.open("$home/nonce.der", "rb")
    head = file:read("*a"):sub(1, -17)
    math.randomseed(os.time() * 16 + number)
end
local char, random = string.char, math.random
function request()
    local nonce = char(random(0, 255), random(0, 255), random(0, 255), random(0, 255), random(0, 255), random(0, 255), random(0, 255), random(0, 255),
        random(0, 255), random(0, 255), random(0, 255), random(0, 255), random(0, 255), random(0, 255), random(0, 255), random(0, 255))
    return wrk.format("POST", "/ocsp", headers, head .. nonce)
end
EOF
cat >"$home/cold.lua" <<EOF
local headers, length = { ["Content-Type"] = "application/ocsp-request" }, $(stat -c %s "$home/hot.der")
local threads = 0
function setup(thread) threads = threads + 1; thread:set("number", threads) end
function init(arguments)
    local file = io.open("$home/cold.der", "rb")
    local count = math.floor(file:seek("end") / length)
    -- Each thread has a half of its own, and each run a part of its own of that.
    local first = math.floor(count / 2) * (number - 1) + math.floor(count / 2 / arguments[2]) * arguments[1]
    file:seek("set", first * length)
    octets, at = file:read(math.floor(count / 2 / arguments[2]) * length), 0
end
function request()
    local from = at % #octets
    at = at + length
    return wrk.format("POST", "/ocsp", headers, octets:sub(from + 1, from + length))
end
EOF

# How the status service says that its answers came about, summed up.
ways() {
    curl -sf "$watch/metrics" | awk '
        /^tsunagi_ocsp_answers_total/ { match($1, /way="[a-z_]*/); way[substr($1, RSTART + 5, RLENGTH - 5)] = $2 }
        /^tsunagi_ocsp_responses_total/ && !/status="successful"/ { other += $2 }
        END { printf "%d %d %d %d %d %d\n", way["hot"], way["signed"], way["nonce"], way["cold"], way["cut_off"], other }'
}

# measure NAME WRKARGUMENT...: sets `rate`.
measure() {
    local name=$1 before after
    shift
    before=$(ways)
    wrk -t2 "-c$connections" "-d${each}s" --latency "$@" >"$home/wrk.log"
    after=$(ways)
    rate=$(awk '/Requests\/sec/ { printf "%d", $2 }' "$home/wrk.log")
    printf '%-28s %8d requests/s, 50%% %s, 99%% %s%s\n' "$name" "$rate" "$(awk '$1 == "50%" { print $2 }' "$home/wrk.log")" \
        "$(awk '$1 == "99%" { print $2 }' "$home/wrk.log")" "$(grep -E 'Non-2xx|Socket errors' "$home/wrk.log" | tr -s ' ' || true)"
    paste <(tr ' ' '\n' <<<"$before") <(tr ' ' '\n' <<<"$after") <(printf '%s\n' hot signed nonce cold cut_off 'no answer') |
        awk -F'\t' '$2 > $1 { printf "    %s %d", $3, $2 - $1; n = 1 } END { if (n) print "" }'
}

of() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

echo "wrk: 2 threads, $connections connections, $each s each, on the same machine; load average $(cut -d' ' -f1-3 /proc/loadavg)"
for turn in 1 2; do
    measure "nginx, a file" "$beside/answer"
    nginx=$rate
    measure "hot GET" "$status/ocsp/$path"
    get=$rate
    printf '    %s of nginx\n' "$(of "$get" "$nginx")"
    measure "hot POST" -s "$home/post.lua" "$status/ocsp"
    printf '    %s of nginx\n' "$(of "$rate" "$nginx")"
done
# Half of the load: which share of the requests must pause for that depends on the machine.
share=0.15
for step in 1 2 3 4; do
    rate=$(wrk -t2 "-c$connections" -d2s -s "$home/half.lua" "$status/ocsp/$path" -- "$share" | awk '/Requests\/sec/ { printf "%d", $2 }')
    share=$(awk -v share="$share" -v rate="$rate" -v full="$get" 'BEGIN { s = share * 2 * rate / full; if (s < 0.001) s = 0.001; if (s > 1) s = 1; print s }')
done
measure "hot GET, half load" -s "$home/half.lua" "$status/ocsp/$path" -- "$share"
printf '    %s of the full load\n' "$(of "$rate" "$get")"
# By the clock and not by the answers: from the moment of sending, and from the moment at which the request was due, which is later than that
# by what the client's timer (1 ms) and its share of the processors are late.
if [ -n "${WRK2:-}" ]; then
    for address in "$beside/answer" "$status/ocsp/$path"; do
        "$WRK2" -t2 "-c$connections" "-d${each}s" "-R$((get / 2))" --u_latency "$address" >"$home/wrk2.log"
        awk -v name="$([ "$address" = "$beside/answer" ] && echo "nginx, a file" || echo "hot GET")" '
            $1 == "50.000%" { half[++n] = $2 }
            $1 == "99.000%" { most[n] = $2 }
            $1 == "Requests/sec:" { printf "%-28s %8d requests/s, sent to answered: 50%% %s, 99%% %s; due to answered: 50%% %s, 99%% %s\n",
                name ", constant rate", $2, half[2], most[2], half[1], most[1] }' "$home/wrk2.log"
    done
fi
measure "POST with nonces" -s "$home/nonce.lua" "$status/ocsp"
# As long as there are certificates enough that were never asked about: a third for each run.
most=$(($(stat -c %s "$home/cold.der") / $(stat -c %s "$home/hot.der") / 3 / 30000))
each=$((most < 1 ? 1 : most < each ? most : each))
echo "$each s each:"
for run in 0 1; do
    measure "POST, never asked before" -s "$home/cold.lua" "$status/ocsp" -- "$run" 3
done
connections=64
measure "the same, 64 connections" -s "$home/cold.lua" "$status/ocsp" -- 2 3
echo "load average $(cut -d' ' -f1-3 /proc/loadavg)"
awk '/^Vm(HWM|RSS):/ { printf "status service: %s %.0f MiB\n", $1, $2 / 1024 }' "/proc/${servers[0]}/status"
curl -sf "$watch/metrics" | awk '/^tsunagi_ocsp_cache_(octets|entries)/ { printf "%s %s\n", $1, $2 }'
