//! Writing a message, and files that appear whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{error, fmt, process};

use serde_json::{Value, json};

use crate::model::Request;

/// So many names are tried before the directory counts as full.
const TRIES: u32 = 10_000;

/// The number of the next message of this program, as NColony counts them.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A message that could not be written.
#[derive(Debug)]
pub enum Error {
    /// The file could not be written.
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Every name that a message of ours may have is taken in this directory.
    Full(PathBuf),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Write { path, .. } => write!(f, "cannot write {}", path.display()),
            Error::Full(dir) => write!(f, "cannot write to {}: every name for a message is taken", dir.display()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Write { source, .. } => Some(source),
            Error::Full(_) => None,
        }
    }
}

/// Puts `request` into the messages directory `dir`, under a name like NColony's (`000Message.PID`) that nobody has. The
/// file appears whole. Returns its path.
///
/// # Errors
/// When `dir` is missing or cannot be written to.
pub fn write(dir: &Path, request: &Request) -> Result<PathBuf, Error> {
    let text = text(request);
    for _ in 0..TRIES {
        let name = format!("{:03}Message.{}", NEXT.fetch_add(1, Ordering::Relaxed), process::id());
        let (path, beside) = (dir.join(&name), dir.join(format!("{name}.new")));
        let written = write_new(&beside, text.as_bytes(), 0o644).and_then(|()| publish_new(&beside, &path));
        match written {
            Ok(()) => return Ok(path),
            // Of a process in another PID namespace, or of one that was killed before it was done.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::Write { path, source }),
        }
    }
    Err(Error::Full(dir.to_path_buf()))
}

/// The text of a message that asks for this.
pub fn text(request: &Request) -> String {
    let kind = request.kind();
    let value: Value = match request {
        Request::Restart(name) | Request::Stop(name) | Request::Start(name) | Request::Trigger(name) => {
            json!({"type": kind, "name": name.as_str()})
        }
        Request::RestartAll => json!({"type": kind}),
        Request::RestartGroup(group) => json!({"type": kind, "group": group}),
        Request::Signal(name, signal) => {
            json!({"type": kind, "name": name.as_str(), "signal": signal.to_string()})
        }
    };
    value.to_string()
}

/// Writes the file `path`, which is replaced as a whole or left as it is, and flushes it to the disk.
pub fn publish_over(path: &Path, beside: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    write_new(beside, text, mode)?;
    fs::rename(beside, path).inspect_err(|_| forget(beside))
}

/// Flushes a directory's names to the disk.
pub fn sync_directory(dir: &Path) -> io::Result<()> {
    match File::open(dir)?.sync_all() {
        // Not every file system does this for directories.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// Writes a file that does not exist, or none.
fn write_new(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text).and_then(|()| file.sync_all()).inspect_err(|_| forget(path))
}

/// Gives the file `beside` the name `path`, unless that is taken.
fn publish_new(beside: &Path, path: &Path) -> io::Result<()> {
    // Unlike rename, a link never replaces anything.
    let linked = fs::hard_link(beside, path);
    let published = match &linked {
        Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
            // A file system without hard links. The look before the renaming is the best that is left.
            match path.symlink_metadata() {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => return fs::rename(beside, path).inspect_err(|_| forget(beside)),
            }
        }
        Ok(()) | Err(_) => linked,
    };
    forget(beside);
    published
}

/// Deletes what nobody will read. If it stays, its name ends in `.new`, and every reader passes it over.
fn forget(beside: &Path) {
    let _ = fs::remove_file(beside);
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::model::{Name, Request, Signal};

    #[test]
    fn the_texts_are_ncolonys_and_after_their_pattern() {
        let web = Name::parse("we\"b").expect("a name");
        assert_eq!(text(&Request::Restart(web.clone())), r#"{"type":"RESTART","name":"we\"b"}"#);
        assert_eq!(text(&Request::Stop(web.clone())), r#"{"type":"STOP","name":"we\"b"}"#);
        assert_eq!(text(&Request::Start(web.clone())), r#"{"type":"START","name":"we\"b"}"#);
        let signal = Request::Signal(web, Signal::TERM);
        assert_eq!(text(&signal), r#"{"type":"SIGNAL","name":"we\"b","signal":"SIGTERM"}"#);
        assert_eq!(text(&Request::RestartAll), r#"{"type":"RESTART-ALL"}"#);
        assert_eq!(text(&Request::RestartGroup("g".into())), r#"{"type":"RESTART-GROUP","group":"g"}"#);
    }
}
