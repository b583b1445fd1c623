//! Tells Cargo that the migrations are part of this crate: they are embedded by a macro, which Cargo cannot see through.

#![expect(clippy::print_stdout, reason = "it is how a build script speaks to Cargo")]

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
