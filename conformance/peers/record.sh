#!/usr/bin/env bash
# Records conformance/corpus anew: independent clients read a simulated meter through the recorder, and what they
# reported is set beside what they were sent. Needs the Python environment that `./test peers` makes.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
python=$target/peers-venv/bin/python
corpus=conformance/corpus
work=$(mktemp -d)
guek=000102030405060708090a0b0c0d0e0f
gak=d0d1d2d3d4d5d6d7d8d9dadbdcdddedf
export PYTHONDONTWRITEBYTECODE=1

cargo build --quiet -p dlms-meter-server -p dlms-conformance

# A quarter of an hour of simulated time that stands still; ports chosen by the system.
"$target/debug/meter-server" run --tcp 127.0.0.1:0 --hdlc-tcp 127.0.0.1:0 --format json --speed 0 \
    --start 2026-03-10T10:07:00Z --seed 7 --system-title 4d4d4d0000bc614e >"$work/ports" &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
until [ -s "$work/ports" ]; do read -rt 0.1 <> <(:) || :; done
port() { "$python" -c 'import json,sys; print(json.loads(open(sys.argv[1]).readline())[sys.argv[2]])' "$work/ports" "$1"; }

# record NAME STACK VERSION LINK ACCESS MAX_PDU COUNTER
record() {
    local name=$1 stack=$2 version=$3 link=$4 access=$5 pdu=$6 counter=$7
    local upstream client=(16) keys=()
    upstream=$(port "$([ "$link" = hdlc ] && echo hdlc_tcp || echo tcp)")
    "$python" - "$work" "$stack" "$link" "$access" "$pdu" "$counter" "$guek" "$gak" >"$work/plan" <<'PLAN'
import json, sys
work, stack, link, access, pdu, counter, guek, gak = sys.argv[1:]
public = [(1, "0.0.42.0.0.255", 2), (8, "0.0.1.0.0.255", 2), (1, "0.0.96.1.0.255", 2), (3, "1.0.1.8.0.255", 2),
          (17, "0.0.41.0.0.255", 2)]
metering = [(15, "0.0.40.0.0.255", 3), (3, "1.0.1.8.0.255", 2), (3, "1.0.1.8.0.255", 3), (3, "1.0.32.7.0.255", 3),
            (4, "1.0.1.6.0.255", 5), (5, "1.0.1.4.0.255", 6), (7, "1.0.99.1.0.255", 3), (7, "1.0.99.1.0.255", 4),
            (7, "0.0.99.98.0.255", 2), (70, "0.0.96.3.10.255", 2), (8, "0.0.1.0.0.255", 5)]
requests = [{"class": c, "obis": o, "attribute": a} for c, o, a in (public if access == "public" else public + metering)]
if access != "public":
    day = {"class": 7, "obis": "1.0.99.1.0.255", "attribute": 2}
    requests.append(day | {"range": ["2026-03-09T00:00:00+00:00", "2026-03-09T12:00:00+00:00"]})
    if stack == "gurux-dlms":
        requests.append(day | {"entries": [1, 24]})
plan = {"stack": stack, "host": "127.0.0.1", "link": link, "max_pdu": int(pdu), "requests": requests,
        "client": {"public": 16, "lls": 17, "hls": 1}[access]}
if access == "lls":
    plan |= {"mechanism": "lls", "password": b"12345678".hex()}
if access == "hls":
    plan |= {"mechanism": "gmac", "encryption_key": guek, "authentication_key": gak, "invocation_counter": int(counter),
             "client_title": {"gurux-dlms": "4752580000000001", "dlms-cosem": "5059440000000001"}[stack]}
print(json.dumps(plan))
PLAN
    if [ "$access" = hls ]; then
        keys=(--key "guek=$guek" --key "gak=$gak")
    fi
    "$target/debug/conformance" record --connect "$upstream" --link "$link" --session "$name" "${keys[@]}" \
        --document "recorded between the PyPI package $stack $version as client and this project's meter-server" \
        --output "$corpus/$name.jsonl" >"$work/listening" &
    local recorder=$!
    until [ -s "$work/listening" ]; do read -rt 0.1 <> <(:) || :; done
    local listening
    listening=$(sed 's/.*://' "$work/listening")
    "$python" - "$work" "$listening" <<'PORT'
import json, sys
work, port = sys.argv[1:]
plan = json.load(open(f"{work}/plan"))
json.dump(plan | {"port": int(port)}, open(f"{work}/plan", "w"))
PORT
    "$python" conformance/peers/peer.py "$work/plan" "$work/report" >/dev/null
    wait "$recorder"
    "$python" -c 'import json,sys; r=json.load(open(sys.argv[1])); json.dump([v for v in r["values"] if "value" in v], open(sys.argv[2],"w"))' \
        "$work/report" "$work/values"
    printf '%-28s ' "$name"
    "$target/debug/conformance" annotate "$corpus/$name.jsonl" "$work/values" --implementation "$stack $version"
    : >"$work/listening"
}

gurux=1.0.203
cosem=25.1.0
record gurux-wrapper-public gurux-dlms "$gurux" wrapper public 1024 0
record gurux-hdlc-public gurux-dlms "$gurux" hdlc public 1024 0
record gurux-wrapper-lls-256 gurux-dlms "$gurux" wrapper lls 256 0
record gurux-hdlc-lls-256 gurux-dlms "$gurux" hdlc lls 256 0
record gurux-wrapper-hls gurux-dlms "$gurux" wrapper hls 1024 1
record gurux-hdlc-hls-256 gurux-dlms "$gurux" hdlc hls 256 1000
record cosem-hdlc-public dlms-cosem "$cosem" hdlc public 1024 0
record cosem-wrapper-lls dlms-cosem "$cosem" wrapper lls 1024 0
record cosem-wrapper-hls-256 dlms-cosem "$cosem" wrapper hls 256 1
record cosem-hdlc-hls dlms-cosem "$cosem" hdlc hls 1024 1000

cargo test --quiet -p dlms-conformance --test peers_dlms_cosem_rs record_corpus -- --ignored
"$target/debug/conformance" replay "$corpus"
