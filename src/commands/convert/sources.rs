//! What is read: files of text, and service directories, both within bounds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::conversion::{Error, Place};
use super::text::MARKS;
use crate::model;

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// The most entries of a directory that are looked at.
const MAX_ENTRIES: usize = 1000;

/// One of the paths of the command line, read.
#[derive(Debug)]
pub(super) enum Input {
    File(Source),
    Directory(ServiceDir),
}

/// A file.
#[derive(Debug)]
pub(super) struct Source {
    /// As it was called by whoever named it.
    pub(super) file: String,
    /// The directory that it is in, as an absolute path.
    pub(super) dir: PathBuf,
    pub(super) text: String,
    /// Files that it brings in: those that it includes, its drop-ins.
    pub(super) more: Vec<Source>,
}

/// A directory that describes a service.
#[derive(Debug)]
pub(super) struct ServiceDir {
    pub(super) file: String,
    /// As an absolute path.
    pub(super) path: PathBuf,
    /// Its files by their path in it, `log/run`; what is no text is empty.
    pub(super) files: BTreeMap<String, String>,
}

impl Source {
    /// The last part of its path.
    pub(super) fn base(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn place(&self, line: usize) -> Place {
        Place::new(&self.file, line)
    }
}

impl ServiceDir {
    /// What it is called.
    pub(super) fn base(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    /// What a file of it holds, without the blanks around it.
    pub(super) fn value(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(|text| text.trim())
    }
}

/// Reads a path of the command line: a file, a service directory, or a directory of service directories.
pub(super) fn read(path: &Path) -> Result<Vec<Input>, Error> {
    let what = |error: &io::Error| if error.kind() == io::ErrorKind::NotFound { "be found" } else { "be read" };
    let metadata = fs::metadata(path).map_err(|error| cannot(path, what(&error), &error))?;
    if !metadata.is_dir() {
        return Ok(vec![Input::File(file(path)?)]);
    }
    let service = directory(path)?;
    if is_service(&service) {
        return Ok(vec![Input::Directory(service)]);
    }
    let mut services = Vec::new();
    for below in entries(path)?.into_iter().filter(|below| below.is_dir() && !is_hidden(below)) {
        services.push(directory(&below)?);
    }
    services.retain(is_service);
    if services.is_empty() {
        let message = "is a directory, and neither it nor those in it hold a file \"run\" or \"type\" as a service of \
                       s6 or runit does; for other formats give the files";
        return Err(shown(path, 0).error(message));
    }
    Ok(services.into_iter().map(Input::Directory).collect())
}

fn is_service(directory: &ServiceDir) -> bool {
    directory.has("run") || directory.has("type")
}

/// Reads a file, which must be text.
pub(super) fn file(path: &Path) -> Result<Source, Error> {
    let place = shown(path, 0);
    let bytes = bounded(path).map_err(|error| cannot(path, "be read", &error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(place.error(format!("larger than {MAX_FILE} bytes, which no configuration is")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        shown(path, line_of(before)).error("this is no text (not UTF-8)")
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text);
    if let Some(at) = text.find(['\0', MARKS[0], MARKS[1]]) {
        return Err(shown(path, line_of(&text.as_bytes()[..at])).error("this is no text (a control character)"));
    }
    if text.trim().is_empty() {
        return Err(place.error("the file is empty"));
    }
    let dir = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_path_buf));
    Ok(Source { file: place.file, dir: dir.unwrap_or_default(), text, more: Vec::new() })
}

/// The files that a pattern of supervisord's means, in order: `*` and `?` may stand in the last part of the path.
/// `None`: they stand elsewhere, too.
pub(super) fn matching(dir: &Path, pattern: &str) -> Option<Vec<PathBuf>> {
    let path = dir.join(pattern);
    let (parent, last) = (path.parent()?, path.file_name()?.to_str()?);
    if parent.to_str()?.contains(['*', '?', '[']) || last.contains('[') {
        return None;
    }
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // As in a shell, a star does not mean hidden files.
        model::matches(last.as_bytes(), name.as_bytes()) && (last.starts_with('.') || !name.starts_with('.'))
    };
    let found = entries(parent).unwrap_or_default().into_iter().filter(is_meant);
    Some(found.filter(|path| !path.is_dir()).collect())
}

/// The drop-ins of a unit that lie beside it, in the order of their names: `a-b@c.service.d/*.conf`, those of its template
/// and of all names that begin alike (`a-b@.service.d`, `a-.service.d`), and of its kind (`service.d`). Of two of one name
/// the one that is for fewer units counts; an empty one does nothing but that.
pub(super) fn drop_ins(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    let template = stem.split_once('@').map(|(template, _)| format!("{template}@.{kind}"));
    let prefixes = stem.rmatch_indices('-').map(|(at, _)| format!("{}.{kind}", &stem[..=at]));
    let mut found: Vec<PathBuf> = Vec::new();
    for name in [name.to_string()].into_iter().chain(template).chain(prefixes).chain([kind.to_string()]) {
        let more = matching(&path.with_file_name(format!("{name}.d")), "*.conf").unwrap_or_default();
        for path in more {
            if !found.iter().any(|known| known.file_name() == path.file_name()) {
                found.push(path);
            }
        }
    }
    found.retain(|path| fs::metadata(path).map_or(true, |metadata| metadata.len() > 0));
    model::sort_by(&mut found, |a, b| a.file_name().cmp(&b.file_name()));
    found
}

/// A service directory's files and those one level below.
fn directory(path: &Path) -> Result<ServiceDir, Error> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut files = BTreeMap::new();
    for entry in entries(path)? {
        if !entry.is_dir() {
            insert(&mut files, path, &entry);
            continue;
        }
        // `supervise` is what runs, not what shall run.
        let base = entry.file_name().unwrap_or_default();
        if !is_hidden(&entry) && base != "supervise" && base != "event" {
            for below in entries(&entry)?.iter().filter(|below| !below.is_dir()) {
                insert(&mut files, path, below);
            }
        }
    }
    Ok(ServiceDir { file: shown(path, 0).file, path: absolute, files })
}

fn insert(files: &mut BTreeMap<String, String>, dir: &Path, path: &Path) {
    let name = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
    // A program in place of a script is no text, and neither is what cannot be read: that it is there is enough.
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let bytes = if is_file { bounded(path).unwrap_or_default() } else { Vec::new() };
    let text = String::from_utf8(bytes).unwrap_or_default();
    let is_text = text.len() as u64 <= MAX_FILE && !text.contains(['\0', MARKS[0], MARKS[1]]);
    files.insert(name, if is_text { text } else { String::new() });
}

/// The paths in a directory, in order.
fn entries(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = fs::read_dir(path).map_err(|error| cannot(path, "be listed", &error))?;
    let mut found: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).take(MAX_ENTRIES + 1).collect();
    if found.len() > MAX_ENTRIES {
        return Err(shown(path, 0).error(format!("holds more than {MAX_ENTRIES} files; is this the right directory?")));
    }
    model::sort_by(&mut found, Ord::cmp);
    Ok(found)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// The file's bytes, and one more than may be of a larger one.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn line_of(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

fn shown(path: &Path, line: usize) -> Place {
    let text = path.display().to_string();
    Place::new(if text.len() > 1 { text.trim_end_matches('/') } else { &text }, line)
}

fn cannot(path: &Path, what: &str, error: &io::Error) -> Error {
    shown(path, 0).error(format!("cannot {what}: {error}"))
}
