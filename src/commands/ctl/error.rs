use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::config::Diagnostic;
use crate::messages;
use crate::model::{NameError, Signal};

/// Why a verb was not done. Nothing was changed then.
#[derive(Debug)]
pub(super) enum Error {
    /// No process can have this name.
    Name { name: String, source: NameError },
    /// A file of this name would be passed over by the monitor.
    Ignored { name: String, ending: &'static str },
    /// The extension of a file is not part of its process's name.
    Extension { name: String, stem: String },
    /// Not NAME=VALUE.
    Env(String),
    /// Not a variable's name.
    EnvInherit(String),
    /// The program's name is empty.
    NoCommand,
    /// The group's name is empty.
    NoGroup,
    /// There is no such signal.
    Signal { text: String, nearest: Option<Signal> },
    /// The file of extras cannot be read.
    Extras { path: PathBuf, source: io::Error },
    /// The file of extras is not JSON.
    ExtrasSyntax { path: PathBuf, source: serde_json::Error },
    /// The file of extras holds JSON, but not an object.
    ExtrasShape { path: PathBuf },
    /// The monitor would refuse the file.
    Refused(Vec<Diagnostic>),
    /// A directory cannot be used.
    Directory { flag: &'static str, path: PathBuf, source: io::Error },
    /// The process is described by a file of another name.
    OtherFile { name: String, path: PathBuf },
    /// No file describes a process of this name.
    Unknown { name: String, dir: PathBuf, nearest: Option<String> },
    /// A process file cannot be written.
    Write { path: PathBuf, source: io::Error },
    /// A process file cannot be deleted.
    Delete { path: PathBuf, source: io::Error },
    /// A message cannot be written.
    Message(messages::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Name { name, .. } => write!(f, "{name:?} is no name for a process"),
            Error::Ignored { name, ending } => {
                write!(f, "{name:?} is no name for a process: files ending in \"{ending}\" are passed over")
            }
            Error::Extension { name, stem } => write!(f, "the file {name:?} describes the process {stem:?}"),
            Error::Env(text) => write!(f, "--env {text:?} is not NAME=VALUE"),
            Error::EnvInherit(text) => write!(f, "--env-inherit {text:?} is not the name of a variable"),
            Error::NoCommand => f.write_str("--cmd is empty"),
            Error::NoGroup => f.write_str("the group's name is empty"),
            Error::Signal { text, .. } => write!(f, "there is no signal {text:?}"),
            Error::Extras { path, .. } => write!(f, "cannot read --extras {}", path.display()),
            Error::ExtrasSyntax { path, .. } => write!(f, "--extras {} is not JSON", path.display()),
            Error::ExtrasShape { path } => write!(f, "--extras {} holds no JSON object", path.display()),
            Error::Refused(diagnostics) => {
                f.write_str("the monitor would refuse this file; nothing is written")?;
                diagnostics.iter().try_for_each(|diagnostic| write!(f, "\n{diagnostic}"))
            }
            Error::Directory { flag, path, .. } => write!(f, "cannot use {flag} {}", path.display()),
            Error::OtherFile { name, path } => write!(f, "{} describes {name:?} already", path.display()),
            Error::Unknown { name, dir, .. } => write!(f, "no process {name:?} in {}", dir.display()),
            Error::Write { path, .. } => write!(f, "cannot write {}", path.display()),
            Error::Delete { path, .. } => write!(f, "cannot delete {}", path.display()),
            Error::Message(_) => f.write_str("cannot ask the monitor"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Name { source, .. } => Some(source),
            Error::Extras { source, .. }
            | Error::Directory { source, .. }
            | Error::Write { source, .. }
            | Error::Delete { source, .. } => Some(source),
            Error::ExtrasSyntax { source, .. } => Some(source),
            Error::Message(source) => Some(source),
            Error::Ignored { .. }
            | Error::Extension { .. }
            | Error::Env(_)
            | Error::EnvInherit(_)
            | Error::NoCommand
            | Error::NoGroup
            | Error::Signal { .. }
            | Error::ExtrasShape { .. }
            | Error::Refused(_)
            | Error::OtherFile { .. }
            | Error::Unknown { .. } => None,
        }
    }
}

impl Error {
    /// What to do about it, where that does not follow.
    pub(super) fn advice(&self) -> Option<String> {
        match self {
            Error::Ignored { ending, .. } => Some(format!("choose a name that does not end in \"{ending}\"")),
            Error::Extension { stem, .. } => Some(format!("the name is {stem:?}, without the extension")),
            Error::ExtrasShape { .. } => Some("write its keys as {\"KEY\": VALUE, …}".to_string()),
            Error::Directory { flag, .. } => {
                Some(format!("pass the directory that the monitor was given as {flag}; it is not created here"))
            }
            Error::OtherFile { name, .. } => {
                Some(format!("edit that file, or delete it first: ncolony ctl remove {name}"))
            }
            Error::Signal { nearest: Some(nearest), .. } => Some(format!("did you mean {nearest}?")),
            Error::Signal { nearest: None, .. } => Some("name one such as HUP, SIGUSR1, RTMIN+3 or 15".to_string()),
            Error::Unknown { nearest: Some(nearest), .. } => Some(format!("did you mean {nearest:?}?")),
            Error::Unknown { nearest: None, .. } => {
                Some("its file would be NAME, NAME.json, NAME.yaml or NAME.yml there".to_string())
            }
            Error::Name { .. }
            | Error::Env(_)
            | Error::EnvInherit(_)
            | Error::NoCommand
            | Error::NoGroup
            | Error::Extras { .. }
            | Error::ExtrasSyntax { .. }
            | Error::Refused(_)
            | Error::Write { .. }
            | Error::Delete { .. }
            | Error::Message(_) => None,
        }
    }
}
