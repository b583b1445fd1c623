# The commands of everyday work. Everything here is also one plain command; nothing depends on just.

# List the commands.
default:
    @just --list

# All checks, exactly as CI runs them.
check:
    .ci/run

# Format all code.
fmt:
    cargo fmt --all

# Run the tests; give a name to run some of them.
test *ARGS:
    cargo test --workspace {{ ARGS }}

# Watch a campaign run from launch to completion, with a database and a mail server of its own.
demo *ARGS:
    cargo run --release --package muster-server -- demo {{ ARGS }}

# Run everything in one process: API, worker, and a private database below .muster/.
up *ARGS:
    cargo run --release --package muster-server -- up {{ ARGS }}

# Write docs/openapi.json from the routes.
openapi:
    cargo run --quiet --package muster-server -- openapi > docs/openapi.json

# Write docs/lifecycle.md from the status graph.
lifecycle:
    UPDATE=1 cargo test --quiet --package muster-domain --test lifecycle_doc

# Write crates/adapters/src/postgres/schema.rs from the migrations.
schema:
    UPDATE_DOCS=1 cargo test --quiet --package muster-adapters --test postgres schema
    rustfmt --edition 2024 crates/adapters/src/postgres/schema.rs

# Build what the harnesses play with: the program with crash points and bugs to plant, the scripted sink, the fault proxy.
harness-build *ARGS:
    crates/testkit/harness/build.sh {{ ARGS }}

# Kill and stop workers at every point of a delivery, a launch and a pause.
crash-matrix *ARGS: harness-build
    crates/testkit/harness/crash_matrix.py {{ ARGS }}

# Send 100,000 mails while everything around them fails; --small: 10,000; --seed N: the same faults again. Optimised, as what is shipped.
chaos *ARGS: (harness-build "--release")
    crates/testkit/harness/chaos.py {{ ARGS }}

# Plant eight bugs, one after the other, and demand that the harnesses find each.
planted-bugs *ARGS: harness-build
    crates/testkit/harness/planted_bugs.py {{ ARGS }}

# Spoil a green run in one way after the other, and demand that the checker sees each.
checker-test *ARGS: harness-build
    crates/testkit/harness/checker_test.py {{ ARGS }}

# Restart the database, kill its sessions, cut its commits, make its statements fail, set clocks wrong.
postgres-faults *ARGS: harness-build
    crates/testkit/harness/postgres_faults.py {{ ARGS }}

# Measure a figure of reliability: sigterm, pauses, unsubscribes, launches, kills, stall, fair, neighbours, downtime or recovery.
figures FIGURE *ARGS: harness-build
    {{ if FIGURE == "recovery" { "cargo build --package muster-server" } else { "true" } }}
    crates/testkit/harness/figures.py {{ FIGURE }} {{ ARGS }}

# Open, click, unsubscribe, bounce and complain in known numbers, and compare the figures of the API with them.
engagement *ARGS: harness-build
    crates/testkit/harness/engagement.py {{ ARGS }}

# Count mails against Postfix's own tools; needs its smtp-sink and smtp-source (Debian: postfix).
cross-check *ARGS: harness-build
    crates/testkit/harness/cross_check.py {{ ARGS }}

# Measure against limits and peers; --only SECTIONS, --save writes docs/performance.md, --help tells more.
bench *ARGS:
    cargo build --release --package muster-server --package muster-bench
    target/release/muster-bench {{ ARGS }}

# Try generated requests against the whole API for so many seconds; installs schemathesis into a throwaway folder.
schemathesis SECONDS="300":
    crates/server/tests/schemathesis.sh {{ SECONDS }}

# Explore the models at their full size; give the beginning of a name to explore some of them.
models NAME="":
    cargo run --release --package muster-models --example explore -- "{{ NAME }}"
