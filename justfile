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

# Try generated requests against the whole API for so many seconds; installs schemathesis into a throwaway folder.
schemathesis SECONDS="300":
    crates/server/tests/schemathesis.sh {{ SECONDS }}
