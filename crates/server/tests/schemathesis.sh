#!/usr/bin/env bash
# Generated requests against a running program: schemathesis reads the OpenAPI document and tries what it allows and
# what it forbids. Needs Python and the network once, to install it; `just schemathesis` runs it.
set -euo pipefail
cd "$(dirname "$0")/../../.."

seconds=${1:-300}
port=${PORT:-18099}
folder=$(mktemp --directory)
program=''
tidy() {
    [[ -z $program ]] || { kill "$program" && wait "$program"; } 2>/dev/null || true
    rm -rf "$folder"
}
trap tidy EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'schemathesis>=4.4,<5'
cargo build --package muster-server
target/debug/muster up --state-dir "$folder/state" --http-addr "127.0.0.1:$port" >"$folder/said" 2>"$folder/log" &
program=$!
for _ in $(seq 600); do
    # Its last line: by then it has said everything, the key included.
    ! grep --quiet 'Ctrl-C' "$folder/said" || break
    kill -0 "$program" || { cat "$folder/log" >&2; exit 1; }
    sleep 0.1
done
key=$(grep --only-matching --extended-regexp --max-count=1 'mk_[A-Za-z0-9]+_[A-Za-z0-9]+' "$folder/said" | head --lines=1)

# Left out: positive_data_acceptance, because a schema cannot say that an instant lies in the future, that an id is one
# of the caller's own or that a template parses; those are tested by hand in http/bad_input.rs.
cat >"$folder/schemathesis.toml" <<'END'
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "412", "413", "414", "415", "422", "431"]
END
# A key that comes again gets the answer that was stored, of a thing that may be gone by then; idempotency has tests of
# its own.
cat >"$folder/hooks.py" <<'END'
import schemathesis


@schemathesis.hook
def map_headers(context, headers):
    if headers:
        headers.pop("Idempotency-Key", None)
    return headers
END
cd "$folder"
export SCHEMATHESIS_HOOKS=hooks PYTHONPATH="$folder"
"$folder/venv/bin/st" run "http://127.0.0.1:$port/openapi.json" --header "Authorization: Bearer $key" \
    --phases examples,coverage,fuzzing,stateful --checks all --exclude-checks positive_data_acceptance \
    --mode all --generation-allow-x00 true --continue-on-failure --max-examples 100 --max-time "$seconds"
