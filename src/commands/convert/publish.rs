//! Where the process files go: to stdout, or each into a file of its own.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process;

use super::conversion::Conversion;
use super::write;
use crate::messages::{publish_over, sync_directory};

/// All files as one stream of YAML documents, each headed by its file's name.
pub(super) fn stream(conversion: &Conversion) -> String {
    let documents = conversion.processes.iter().map(|process| {
        let separator = if conversion.processes.len() > 1 { "---\n" } else { "" };
        format!("{separator}# {}.yaml\n{}", process.name, write::text(process))
    });
    documents.collect()
}

/// Writes each process's file into a directory, which is made if it is not there. Each appears whole, and where one is in
/// the way none is written.
pub(super) fn files(conversion: &Conversion, dir: &Path, force: bool) -> Result<(), String> {
    let cannot = |path: &Path, error: std::io::Error| format!("cannot write {}: {error}", path.display());
    fs::create_dir_all(dir).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{} is no directory, nothing was written", dir.display()),
        _ => cannot(dir, error),
    })?;
    for process in &conversion.processes {
        in_the_way(dir, &process.name, force)?;
    }
    for process in &conversion.processes {
        let path = dir.join(format!("{}.yaml", process.name));
        let beside = dir.join(format!(".ncolony.{}.new", process::id()));
        // There may be secrets in an environment, and the monitor refuses what others can write.
        publish_over(&path, &beside, write::text(process).as_bytes(), 0o644).map_err(|error| cannot(&path, error))?;
    }
    sync_directory(dir).map_err(|error| cannot(dir, error))
}

fn in_the_way(dir: &Path, name: &str, force: bool) -> Result<(), String> {
    let file = |extension: &str| -> PathBuf { dir.join(format!("{name}{extension}")) };
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let own = file(".yaml");
    if !force && is_there(&own) {
        return Err(format!("{} is there already, nothing was written; --force writes over it", own.display()));
    }
    // A second file of one name would be an error of both.
    match ["", ".json", ".yml"].map(file).iter().find(|path| is_there(path)) {
        Some(other) => {
            Err(format!("{} describes {name} already, nothing was written; remove it first", other.display()))
        }
        None => Ok(()),
    }
}
