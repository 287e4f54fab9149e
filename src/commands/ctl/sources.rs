//! What `apply` and `diff` are given: files, directories of files, or a stream on stdin.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::files;
use crate::config::MAX_FILE;
use crate::model::{Name, sort_by};

/// A process file that is to be.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: Name,
    /// What it is called in the configuration directory.
    pub(super) file: String,
    pub(super) text: Vec<u8>,
}

/// Reads all of it; no process may be described twice.
pub(super) fn read(paths: &[PathBuf], name: Option<&str>) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for path in paths {
        match (path.as_os_str() == "-", path.is_dir(), name) {
            (true, _, name) => sources.extend(stream(name)?),
            (false, _, Some(_)) => return Err(Error::NameOfFile { path: path.clone() }),
            (false, true, None) => sources.extend(directory(path)?),
            (false, false, None) => sources.push(file(path)?),
        }
    }
    sort_by(&mut sources, |one, other| one.name.cmp(&other.name));
    match sources.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Error::Twice { name: pair[0].name.to_string() }),
        None => Ok(sources),
    }
}

fn file(path: &Path) -> Result<Source, Error> {
    let unreadable = |source| Error::Source { path: path.to_path_buf(), source };
    // A FIFO would be waited for, and a device may have no end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it is no regular file")));
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    let called = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = files::name(files::stem(&called))?;
    // What is passed over by its whole name would be written and never read.
    files::not_ignored(&called)?;
    Ok(Source { name, file: called, text })
}

/// The files of a directory, those passed over that the monitor passes over. What has another extension is told: in the
/// directory of a monitor it would be a process, and beside the files of a repository it is a README.
fn directory(dir: &Path) -> Result<Vec<Source>, Error> {
    let unreadable = |source| Error::Source { path: dir.to_path_buf(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || files::not_ignored(&name).is_err() || path.is_dir() {
            continue;
        }
        match files::stem(&name).contains('.') && files::stem(&name) == name {
            true => super::note(&format!("note: {} is passed over: it is no .yaml, .yml or .json", path.display())),
            false => found.push(file(&path)?),
        }
    }
    match found.is_empty() {
        true => Err(Error::NoFiles { dir: dir.to_path_buf() }),
        false => Ok(found),
    }
}

/// One file called `name`; or, as `ncolony convert` writes them, several, each headed by a comment with its file's name.
fn stream(name: Option<&str>) -> Result<Vec<Source>, Error> {
    let unreadable = |source| Error::Source { path: "-".into(), source };
    let mut text = String::new();
    // More than any file that is taken, and less than what fills the memory.
    io::stdin().take(64 * MAX_FILE as u64).read_to_string(&mut text).map_err(unreadable)?;
    match name {
        Some(name) => {
            let extension = if text.trim_start().starts_with('{') { "json" } else { "yaml" };
            let (name, file) = (files::name(name)?, format!("{name}.{extension}"));
            Ok(vec![Source { name, file, text: text.into_bytes() }])
        }
        None if text.trim().is_empty() => Err(Error::NothingPassed),
        None => documents(&text).into_iter().map(headed).collect(),
    }
}

/// The documents of a YAML stream: a `---` at the beginning of a line is nothing else.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.split_inclusive('\n') {
        match (line.trim_end() == "---", documents.last_mut()) {
            (false, Some(document)) => document.push_str(line),
            (true, _) | (false, None) => documents.push(String::new()),
        }
    }
    documents.retain(|document| !document.trim().is_empty());
    documents
}

fn headed(document: String) -> Result<Source, Error> {
    let (head, text) = document.trim_start().split_once('\n').unwrap_or((&document, ""));
    let file = head.strip_prefix("# ").map(str::trim).filter(|file| files::stem(file) != *file).ok_or(Error::NoHead)?;
    files::not_ignored(file)?;
    Ok(Source { name: files::name(files::stem(file))?, file: file.to_string(), text: text.as_bytes().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::{documents, headed};

    #[test]
    fn a_stream_is_parted_where_yaml_parts_it() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[]),
            ("# a.yaml\nargs: [a]\n", &["# a.yaml\nargs: [a]\n"]),
            ("---\n# a.yaml\nx\n---\n# b.yaml\ny\n", &["# a.yaml\nx\n", "# b.yaml\ny\n"]),
            (
                "# a.yaml\ntext: |\n  ---\n  more\n--- \n# b.yaml\ny",
                &["# a.yaml\ntext: |\n  ---\n  more\n", "# b.yaml\ny"],
            ),
            ("---\n---\n", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(documents(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_document_is_called_what_its_head_says() {
        let source = headed("# a b.yaml\n# more\nargs: [a]\n".into()).expect("a source");
        assert_eq!(
            (source.name.as_str(), &*source.file, &*source.text),
            ("a b", "a b.yaml", &b"# more\nargs: [a]\n"[..])
        );
        for bad in ["args: [a]\n", "# a\nargs: [a]\n", "# ../a.yaml\n", "#a.yaml\n"] {
            assert!(headed(bad.into()).is_err(), "{bad:?}");
        }
    }
}
