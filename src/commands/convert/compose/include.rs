//! Other compose files that one includes: each stands by itself, its paths are relative to its own directory, and its
//! services are added.

use super::super::conversion::{Error, Place};
use super::super::sources::Source;
use super::super::text;
use super::item::Item;
use crate::config::read_yaml;

/// What an entry of `include` comes to.
pub(in super::super) enum Included {
    /// This file, by its path.
    File(String),
    /// It is not followed, for this reason.
    Not(&'static str),
}

/// The entries of `include`, and where each stands.
///
/// # Errors
/// When the file is no YAML, or `include` is none of what compose takes.
pub(in super::super) fn included(source: &Source) -> Result<Vec<(Place, Included)>, Error> {
    let root = read_yaml(&source.text).map_err(|(line, message)| source.place(line).error(message))?;
    let root = Item::new(&source.file, "", root.line, &root);
    let mut found = Vec::new();
    for item in root.entries()?.iter().filter(|item| item.path == "include") {
        for entry in item.items()? {
            found.push((entry.place(), of_entry(&entry)?));
        }
    }
    Ok(found)
}

fn of_entry(entry: &Item<'_>) -> Result<Included, Error> {
    if !entry.is_map() {
        return Ok(of_path(entry.raw()?));
    }
    let parts = entry.entries()?;
    if parts.iter().any(|part| part.key != "path" && !part.is_null()) {
        return Ok(Included::Not("with a directory or variables of its own it is not followed; give the file, too"));
    }
    let Some(path) = parts.iter().find(|part| part.key == "path") else {
        return Err(entry.error("expected a path"));
    };
    match &path.items()?[..] {
        [path] => Ok(of_path(path.raw()?)),
        _ => Ok(Included::Not("compose merges these files; convert what docker compose config prints")),
    }
}

fn of_path(path: String) -> Included {
    if text::refers(&path) || path.contains('$') || path.contains("://") || path.starts_with("git@") {
        return Included::Not("this is not followed; give the file, too");
    }
    Included::File(path)
}
