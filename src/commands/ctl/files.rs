//! The process files of a configuration directory, by the name of their process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::messages::sync_directory;
use crate::model::{Name, nearest, sort_by};

/// What kubectl's users write before a name.
pub(crate) const KIND: &str = "process/";
/// And what they write before names, apart.
pub(crate) const KINDS: [&str; 4] = ["process", "processes", "proc", "procs"];
/// What the name of a process's file may add to the process's name.
const EXTENSIONS: [&str; 4] = ["", ".json", ".yaml", ".yml"];
/// Files with these endings are no process files: they are being written, or an editor's.
const IGNORED: [&str; 5] = [".new", "~", ".bak", ".swp", ".tmp"];

/// Looks whether the directory that was given as `flag` is one.
pub(super) fn directory(path: &Path, flag: &'static str) -> Result<(), Error> {
    let found = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => io::ErrorKind::NotADirectory.into(),
        Err(error) => error,
    };
    Err(Error::Directory { flag, path: path.to_path_buf(), source: found })
}

/// The name in what kubectl's users write for it: `process/web`. No name holds a "/" itself.
pub(super) fn bare(text: &str) -> &str {
    text.strip_prefix(KIND).unwrap_or(text)
}

/// Looks whether a file of this name is one that the monitor reads.
pub(super) fn not_ignored(text: &str) -> Result<(), Error> {
    match IGNORED.into_iter().find(|ending| text.ends_with(ending)) {
        Some(ending) => Err(Error::Ignored { name: text.to_string(), ending }),
        None => Ok(()),
    }
}

/// Parses the name of a process whose file can exist.
pub(super) fn name(text: &str) -> Result<Name, Error> {
    let name = Name::parse(text).map_err(|source| Error::Name { name: text.to_string(), source })?;
    not_ignored(text)?;
    match stem(text) {
        stem if stem != text => Err(Error::Extension { name: text.to_string(), stem: stem.to_string() }),
        _ => Ok(name),
    }
}

/// The name of the process that a file of this name describes.
pub(super) fn stem(file: &str) -> &str {
    let with_extension = EXTENSIONS.iter().filter(|extension| !extension.is_empty());
    with_extension.filter_map(|extension| file.strip_suffix(extension)).find(|stem| !stem.is_empty()).unwrap_or(file)
}

/// The files that describe the process `name`: one, unless somebody made a mistake.
pub(super) fn of(dir: &Path, name: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for extension in EXTENSIONS {
        let path = dir.join(format!("{name}{extension}"));
        match path.symlink_metadata() {
            Ok(metadata) if !metadata.is_dir() => found.push(path),
            Ok(_) => {}
            Err(error) if is_absence(&error) => {}
            Err(source) => return Err(Error::Directory { flag: "--config", path: dir.to_path_buf(), source }),
        }
    }
    Ok(found)
}

/// The file that describes the process `name`, if there is one; several are an error.
pub(super) fn one_of(dir: &Path, name: &str) -> Result<Option<PathBuf>, Error> {
    let found = of(dir, name)?;
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        [one, other, ..] => {
            Err(Error::Several { name: name.to_string(), paths: [one, other].map(|path| path.to_path_buf()) })
        }
    }
}

/// What a process file holds.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |source| Error::Source { path: path.to_path_buf(), source };
    // A FIFO would be waited for.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it is no regular file")));
    }
    fs::read(path).map_err(unreadable)
}

/// A name that is too long with its extension is no file's name.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename)
}

/// The process called `text`, if a file describes one.
pub(super) fn existing(dir: &Path, text: &str) -> Result<Name, Error> {
    directory(dir, "--config")?;
    // A file's name in place of the process's is told apart from a process that does not exist.
    let name = name(text)?;
    match of(dir, text)?.is_empty() {
        false => Ok(name),
        true => Err(unknown(dir, text)),
    }
}

/// The process called `text`, if a file describes it, or may describe a set of replicas that it is one of: `web-0`, of
/// `web`. Whether it is, the monitor knows.
pub(super) fn called(dir: &Path, text: &str) -> Result<Name, Error> {
    match (existing(dir, text), set_of(text)) {
        (Err(Error::Unknown { .. }), Some(set)) if !of(dir, set)?.is_empty() => name(text),
        (found, _) => found,
    }
}

/// The process called `text`, if a file of its own describes it.
pub(super) fn described(dir: &Path, text: &str) -> Result<Name, Error> {
    match (existing(dir, text), set_of(text)) {
        (Err(Error::Unknown { .. }), Some(set)) if !of(dir, set)?.is_empty() => {
            Err(Error::Replica { name: text.to_string(), set: set.to_string() })
        }
        (found, _) => found,
    }
}

/// The set that a replica of this name is one of.
fn set_of(text: &str) -> Option<&str> {
    let is_index = |index: &str| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    text.rsplit_once('-').filter(|(_, index)| is_index(index)).map(|(set, _)| set)
}

/// Deletes the file of the process `text`; all of them, should there be several, since what is wanted is that the
/// process is gone. No such file is an error, as it is in NColony.
pub(super) fn remove(dir: &Path, text: &str) -> Result<(), Error> {
    let name = existing(dir, text)?;
    delete(dir, &name)
}

/// Deletes all files of a process.
pub(super) fn delete(dir: &Path, name: &Name) -> Result<(), Error> {
    for path in of(dir, name.as_str())? {
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Delete { path, source }),
        }
    }
    sync_directory(dir).map_err(|source| Error::Delete { path: dir.to_path_buf(), source })
}

/// That nobody has this name, and who has the nearest.
pub(super) fn unknown(dir: &Path, text: &str) -> Error {
    let names = all(dir);
    let nearest = nearest(text, names.iter().map(String::as_str)).map(str::to_string);
    Error::Unknown { name: text.to_string(), dir: dir.to_path_buf(), nearest }
}

/// The names of all processes that files describe; none of a directory that cannot be read.
pub(super) fn all(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|file| not_ignored(file).is_ok())
        .map(|file| stem(&file).to_string())
        .filter(|stem| name(stem).is_ok())
        .collect();
    sort_by(&mut names, Ord::cmp);
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::{name, stem};

    #[test]
    fn a_files_extension_is_not_part_of_the_name() {
        let rows = [("web", "web"), ("web.json", "web"), ("web.yaml", "web"), ("web.yml", "web"), ("v1.2", "v1.2")];
        for (file, expected) in rows {
            assert_eq!(stem(file), expected);
        }
    }

    #[test]
    fn names_that_no_process_can_have_are_refused() {
        for good in ["web", "größe", "a b", "v1.2", "web.new.1"] {
            assert!(name(good).is_ok(), "{good:?}");
        }
        for bad in ["", ".web", "../web", "a/b", "a\nb", "web.new", "web~", "web.bak", "web.swp", "web.tmp", "web.json"]
        {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
