//! Tells the program which compiler makes it, for `ncolony_build_info`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../../.ci/compiler.rs");
    // cargo runs this again when the compiler changes, and says which it is.
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let output = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    let version = String::from_utf8_lossy(&output.stdout);
    // `rustc 1.89.0 (29483883e 2025-08-04)`
    println!("cargo::rustc-env=NCOLONY_RUSTC={}", version.split(' ').nth(1).unwrap_or("unknown"));
}
