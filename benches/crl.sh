#!/usr/bin/env bash
# Lists of many certificates beside `openssl ca -gencrl`, in one run: benches/crl.sh [ENTRIES...] (100,000 and 1,000,000)
#
# SHARDED=10000000 measures as well how long so many entries in SHARDS (128) shards take; DIRECTORY is where the stores are made,
# for the disk counts: lists are synced to it.
#
# Each store is made anew: SQLite, one CA key (P-256), so many certificates, all revoked, of random 20-octet serial numbers. Ours is
# then published twice, in a process of its own: the first time without a list before, the second time held against it. OpenSSL's
# index.txt has a line for each of the same certificates, with serial number, date and reason of revocation, taken from that store;
# its list has the same extensions and is signed by the same key. No status service is asked.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
[ -x /usr/bin/time ] || { echo "benches/crl.sh: needs /usr/bin/time (package time)" >&2; exit 1; }
(cd "$root" && cargo build --quiet --release --locked -p crl-publisher --example publish)
publish=${CARGO_TARGET_DIR:-$root/target}/release/examples/publish
home=$(mktemp -d "${DIRECTORY:-${TMPDIR:-/tmp}}/tsunagi-bench.XXXXXX")
trap 'rm -rf -- "$home"' EXIT
[ $# -gt 0 ] || set -- 100000 1000000

# The list that OpenSSL makes: $1 is the directory with ca.key, ca.der and index.txt.
gencrl() {
    cat >"$1/openssl.cnf" <<EOF
[ca]
default_ca = measured
[measured]
database = $1/index.txt
crlnumber = $1/crlnumber
certificate = $1/ca.pem
private_key = $1/ca.key
default_md = sha256
default_crl_days = 1
unique_subject = no
crl_extensions = extensions
[extensions]
authorityKeyIdentifier = keyid:always
issuingDistributionPoint = critical, @point
[point]
fullname = URI:http://status.example/crl/signature-1.crl
EOF
    echo 01 >"$1/crlnumber"
    openssl x509 -inform der -in "$1/ca.der" -out "$1/ca.pem"
    /usr/bin/time -f '%e s, %M KiB at most' -o "$1/time" \
        openssl ca -gencrl -config "$1/openssl.cnf" -passin pass:measure -out "$1/openssl.crl"
}

printf '%s processors, %s MiB, load average %s, %s, %s\n' "$(nproc)" "$(awk '/MemTotal/ { printf "%d", $2 / 1024 }' /proc/meminfo)" \
    "$(cut -d' ' -f1-3 /proc/loadavg)" "$(uname -sr)" "$(openssl version)"
for entries in "$@"; do
    echo "== $entries entries in one list"
    mkdir "$home/$entries"
    "$publish" fill "$home/$entries" "$entries" 1
    "$publish" index "$home/$entries" >"$home/$entries/index.txt"
    gencrl "$home/$entries"
    echo "openssl ca -gencrl: $(cat "$home/$entries/time")"
    /usr/bin/time -f 'the whole process: %e s, %M KiB at most' "$publish" run "$home/$entries" 2>&1
    openssl crl -inform der -in "$home/$entries/shelf/signature-1/2.crl" -CAfile "$home/$entries/ca.pem" -verify -noout 2>&1
    rm -rf -- "${home:?}/$entries"
done
if [ -n "${SHARDED:-}" ]; then
    echo "== $SHARDED entries in ${SHARDS:-128} lists"
    mkdir "$home/sharded"
    "$publish" fill "$home/sharded" "$SHARDED" "${SHARDS:-128}"
    /usr/bin/time -f 'the whole process: %e s, %M KiB at most' "$publish" run "$home/sharded" 2>&1
fi
