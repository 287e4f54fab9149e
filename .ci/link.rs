//! Tells the linker how to make the static binary small.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=.ci/link.rs");
    println!("cargo::rerun-if-changed=.ci/no-unwinding.ld");
    if is_small() {
        let script = format!("{}/.ci/no-unwinding.ld", env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
        // Relocations of a few bits each; one function where several are the same; and no tables for unwinding a stack,
        // which nothing does that aborts: together a tenth of the file.
        for arg in ["-z,pack-relative-relocs", "--icf=all", "--no-eh-frame-hdr", &format!("-T,{script}")] {
            println!("cargo::rustc-link-arg-bins=-Wl,{arg}");
        }
    }
}

/// Whether this is the release of the static binary, where the linker is the compiler's own and knows these words.
fn is_small() -> bool {
    let has = |name: &str, value: &str| env::var(name).is_ok_and(|values| values.split(',').any(|one| one == value));
    has("CARGO_CFG_TARGET_FEATURE", "crt-static")
        && has("CARGO_CFG_TARGET_ARCH", "x86_64")
        && has("CARGO_CFG_TARGET_ENV", "gnu")
        // Which aborts; cargo does not say here what a profile does at a panic.
        && has("PROFILE", "release")
}
