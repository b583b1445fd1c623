#!/usr/bin/env bash
# Builds what the harnesses play with into target/harness: the program with crash points, planted bugs and short waits, the
# scripted sink and the fault proxy. With --release optimised. Copied, because the next ordinary build takes the names.
set -euo pipefail
cd "$(dirname "$0")/../../.."

cargo=${CARGO:-cargo}
folder=${CARGO_TARGET_DIR:-target}/$([[ ${1:-} == --release ]] && echo release || echo debug)
$cargo build --locked "$@" --package muster-testkit --bins
$cargo build --locked "$@" --package muster-server --features fault-injection --bin muster
mkdir -p target/harness
# A harness that is at play keeps what it began with: a running program's file cannot be written to, but another can take its place.
rm -f target/harness/*
cp "$folder/muster" "$folder/scripted-sink" "$folder/fault-proxy" "$folder/trace-check" target/harness/
# Whoever runs the plain program next gets the plain one.
rm "$folder/muster"
