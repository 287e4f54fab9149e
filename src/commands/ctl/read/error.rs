//! Why nothing could be shown.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, Uid, access};

use crate::model::nearest;

/// Why nothing could be shown.
#[derive(Debug)]
pub(in crate::ctl) enum Trouble {
    /// There is no socket.
    NoSocket(PathBuf),
    /// There is one, and nobody listens.
    Dead(PathBuf),
    /// It may not be used by whoever this is.
    Forbidden(PathBuf),
    /// Something else with the socket.
    Socket(PathBuf, io::Error),
    /// The monitor ended, or closed the connection, before it had answered.
    Ended,
    /// It did not answer in time.
    Silent,
    /// It speaks another language, or not this much of it.
    OtherVersion(String),
    /// There is no process of this name; there may be one of a similar name.
    NotFound(String, Option<String>),
    /// There was no run of this process before the present one.
    NoPrevious(String),
    /// The monitor says why not.
    Refused(String),
    /// The command line asks for something that makes no sense.
    Usage(String),
    /// It has a word that is none of those that it may have.
    Unknown(Unknown),
    /// What was waited for did not come.
    TimedOut(Vec<String>),
    /// Some of what was asked for was shown; the rest was told of.
    Partly,
    /// Nobody reads what is printed.
    Closed,
    /// What is printed cannot be written.
    Output(io::Error),
}

/// A word that is none of those that are expected.
#[derive(Debug)]
pub(in crate::ctl) struct Unknown {
    what: &'static str,
    word: String,
    expected: &'static [&'static str],
}

impl Trouble {
    /// There is no such `what`.
    pub(super) fn unknown(what: &'static str, word: &str, expected: &'static [&'static str]) -> Trouble {
        Trouble::Unknown(Unknown { what, word: word.to_string(), expected })
    }

    /// What to do, where there is something to be said.
    pub(in crate::ctl) fn advice(&self) -> Option<String> {
        match self {
            Trouble::NoSocket(path) => Some(why_absent(path)),
            Trouble::Dead(_) => Some("the monitor that listened there was killed; start it again".to_string()),
            Trouble::Forbidden(path) => Some(whom_to_be(path)),
            Trouble::OtherVersion(_) => Some("use the ncolony that the monitor was started from".to_string()),
            Trouble::NotFound(_, Some(nearest)) => Some(format!("did you mean {nearest:?}?")),
            Trouble::Unknown(Unknown { word, expected, .. }) => {
                let nearest = nearest_caseless(word, expected)?;
                Some(format!("did you mean {:?}?", nearest.trim_end_matches('=')))
            }
            Trouble::Silent => Some("its loop may hang: see /livez".to_string()),
            Trouble::NotFound(_, None)
            | Trouble::NoPrevious(_)
            | Trouble::Socket(..)
            | Trouble::Ended
            | Trouble::Refused(_)
            | Trouble::Usage(_)
            | Trouble::TimedOut(_)
            | Trouble::Partly
            | Trouble::Closed
            | Trouble::Output(_) => None,
        }
    }
}

/// A monitor that cannot write there either has none.
fn why_absent(socket: &Path) -> String {
    let ask = "is --messages the directory that `ncolony run` was given, and does it run?";
    match access(socket.parent().unwrap_or(socket), AccessFlags::W_OK) {
        Err(errno) if errno != Errno::ENOENT => {
            let why = errno.desc();
            format!(
                "one that cannot write in that directory ({why}) has no socket there, and says so in its log and at /healthz?verbose; else, {ask}"
            )
        }
        Ok(()) | Err(_) => ask.to_string(),
    }
}

fn whom_to_be(socket: &Path) -> String {
    match fs::metadata(socket).map(|meta| meta.uid()) {
        Ok(uid) if Uid::effective().is_root() => {
            format!(
                "root may not without the capability DAC_OVERRIDE: ask as user {uid}, as by `podman exec --user {uid}`"
            )
        }
        Ok(_) | Err(_) => "ask as root, or as the user that the monitor runs as".to_string(),
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::NoSocket(path) => write!(f, "no monitor listens at {}", path.display()),
            Trouble::Dead(path) => write!(f, "nobody listens at {} any more", path.display()),
            Trouble::Forbidden(path) => write!(f, "{} is another user's", path.display()),
            Trouble::Socket(path, error) => write!(f, "cannot ask at {}: {error}", path.display()),
            Trouble::Ended => f.write_str("the monitor has ended, or closed the connection"),
            Trouble::Silent => f.write_str("the monitor does not answer"),
            Trouble::OtherVersion(what) => write!(f, "the monitor is of another version: {what}"),
            Trouble::NotFound(name, _) => write!(f, "process {name:?} not found"),
            Trouble::NoPrevious(name) => write!(f, "previous run of {name:?} not found"),
            Trouble::Refused(why) | Trouble::Usage(why) => f.write_str(why),
            Trouble::Unknown(Unknown { what, word, expected }) => {
                write!(f, "there is no {what} {word:?}; expected {}", expected.join(", "))
            }
            Trouble::TimedOut(names) => {
                let all: Vec<String> = names.iter().map(|name| format!("process/{name}")).collect();
                write!(f, "timed out waiting for the condition on {}", all.join(", "))
            }
            Trouble::Partly => f.write_str("not all of it could be shown"),
            Trouble::Closed => f.write_str("nobody reads the output"),
            Trouble::Output(error) => write!(f, "cannot write: {error}"),
        }
    }
}

/// As these words are short, and seldom mistyped but in their case, that does not count.
fn nearest_caseless<'a>(word: &str, all: &[&'a str]) -> Option<&'a str> {
    let same = all.iter().find(|one| one.eq_ignore_ascii_case(word));
    same.copied().or_else(|| nearest(word, all.iter().copied()))
}
