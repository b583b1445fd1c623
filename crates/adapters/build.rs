//! Tells Cargo that the migrations are part of this crate: they are embedded by a macro, which Cargo cannot see through.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
