use std::fmt;
use std::io;
use std::path::PathBuf;

use super::read::Trouble;
use crate::config::Diagnostic;
use crate::messages;
use crate::model::{NameError, Signal, shell_word};

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
    /// The monitor would refuse what it is to be compared with.
    NoDiff(Vec<Diagnostic>),
    /// A directory cannot be used.
    Directory { flag: &'static str, path: PathBuf, source: io::Error },
    /// The directory cannot be listed.
    Unlisted(String),
    /// What is to be applied cannot be read.
    Source { path: PathBuf, source: io::Error },
    /// A directory to be applied holds nothing.
    NoFiles { dir: PathBuf },
    /// `--name` beside something that has one.
    NameOfFile { path: PathBuf },
    /// A document on stdin says nowhere what it is called.
    NoHead,
    /// There is nothing on stdin.
    NothingPassed,
    /// Two of what is to be applied have one name.
    Twice { name: String },
    /// Two files describe one process.
    Several { name: String, paths: [PathBuf; 2] },
    /// The file is a link.
    Link { path: PathBuf, target: PathBuf },
    /// A key cannot be set without changing more than that.
    Entangled { path: PathBuf, key: &'static str, value: String },
    /// One of a set has no file of its own.
    Replica { name: String, set: String },
    /// Other files depend on what is to go.
    Needed(Vec<Diagnostic>),
    /// No process is of this group.
    UnknownGroup { group: String, nearest: Option<String> },
    /// The process has no schedule.
    NoSchedule { name: String },
    /// The monitor does not tell.
    Trouble(Trouble),
    /// The monitor has not taken a message in time.
    NotTaken,
    /// The monitor would refuse a message.
    WouldRefuse { why: String },
    /// The monitor has refused a message that it would have taken a moment before.
    SetAside { why: Option<String> },
    /// The monitor runs the files of another directory.
    OtherConfig { messages: PathBuf, config: PathBuf, theirs: PathBuf },
    /// It will not be so.
    Failed { name: String, why: String },
    /// It is not so yet.
    TimedOut { name: String, how: String },
    /// Nobody would hear of it.
    NoMonitor { dir: PathBuf },
    /// The process is described by a file of another name.
    OtherFile { name: String, path: PathBuf },
    /// No file describes a process of this name.
    Unknown { name: String, dir: PathBuf, nearest: Option<String> },
    /// No files describe these, and the others are deleted.
    Missing { names: Vec<String>, dir: PathBuf },
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
            Error::Refused(diagnostics) => refusal(f, "the monitor would refuse this; nothing is written", diagnostics),
            Error::NoDiff(diagnostics) => refusal(f, "the monitor would refuse this", diagnostics),
            Error::Directory { flag, path, .. } => write!(f, "cannot use {flag} {}", path.display()),
            Error::Unlisted(why) => f.write_str(why),
            Error::Source { path, .. } if path.as_os_str() == "-" => f.write_str("cannot read stdin"),
            Error::Source { path, .. } => write!(f, "cannot read {}", path.display()),
            Error::NoFiles { dir } => write!(f, "there are no process files in {}", dir.display()),
            Error::NameOfFile { path } => write!(f, "--name is of a file on stdin; {} has a name", path.display()),
            Error::NothingPassed => f.write_str("there are no process files on stdin"),
            Error::NoHead => f.write_str("a file on stdin does not say what it is called"),
            Error::Twice { name } => write!(f, "two of these files describe {name:?}"),
            Error::Several { name, paths: [one, other] } => {
                write!(f, "{} and {} both describe {name:?}", one.display(), other.display())
            }
            Error::Link { path, target } => {
                write!(f, "{} is a link to {}; nothing is written", path.display(), target.display())
            }
            Error::Entangled { path, key, .. } => {
                write!(f, "cannot set {key} in {} and leave all else there as it is", path.display())
            }
            Error::Replica { name, set } => write!(f, "{name:?} may be a replica of {set:?}, and has no file"),
            Error::Needed(diagnostics) => refusal(f, "other files depend on that; nothing is deleted", diagnostics),
            Error::UnknownGroup { group, .. } => write!(f, "no process is of the group {group:?}"),
            Error::NoSchedule { name } => write!(f, "process {name:?} has no schedule"),
            Error::Trouble(trouble) => write!(f, "{trouble}"),
            Error::NotTaken => f.write_str("timed out: the monitor has not taken what it was asked"),
            Error::WouldRefuse { why } => write!(f, "the monitor would refuse that, and is not asked: {why}"),
            Error::SetAside { why } => {
                let why = why.as_deref().unwrap_or("its log says why");
                write!(f, "the monitor has refused what it was asked: {why}")
            }
            Error::OtherConfig { messages, config, theirs } => {
                let [messages, config, theirs] = [messages, config, theirs].map(|path| path.display());
                write!(f, "the monitor that takes messages in {messages} runs the files of {theirs}, not of {config}")
            }
            Error::Failed { name, why } => write!(f, "process/{name} is not as it is to be: {why}"),
            Error::TimedOut { name, how } => write!(f, "timed out waiting for process/{name}: {how}"),
            Error::NoMonitor { dir } => write!(f, "no monitor takes messages in {}; nothing is asked", dir.display()),
            Error::OtherFile { name, path } => write!(f, "{} describes {name:?} already", path.display()),
            Error::Unknown { name, dir, .. } => write!(f, "process {name:?} not found in {}", dir.display()),
            Error::Missing { names, dir } => {
                let dir = dir.display();
                let each: Vec<String> =
                    names.iter().map(|name| format!("process {name:?} not found in {dir}")).collect();
                f.write_str(&each.join("\nerror: "))
            }
            Error::Write { path, .. } => write!(f, "cannot write {}", path.display()),
            Error::Delete { path, .. } => write!(f, "cannot delete {}", path.display()),
            Error::Message(_) => f.write_str("cannot ask the monitor"),
        }
    }
}

fn refusal(f: &mut fmt::Formatter<'_>, head: &str, diagnostics: &[Diagnostic]) -> fmt::Result {
    f.write_str(head)?;
    diagnostics.iter().try_for_each(|diagnostic| write!(f, "\n{diagnostic}"))
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Name { source, .. } => Some(source),
            Error::Extras { source, .. }
            | Error::Source { source, .. }
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
            | Error::NoDiff(_)
            | Error::Missing { .. }
            | Error::OtherFile { .. }
            | Error::Unknown { .. }
            | Error::Unlisted(_)
            | Error::NoFiles { .. }
            | Error::NameOfFile { .. }
            | Error::NoHead
            | Error::NothingPassed
            | Error::Twice { .. }
            | Error::Several { .. }
            | Error::Link { .. }
            | Error::Entangled { .. }
            | Error::Replica { .. }
            | Error::Needed(_)
            | Error::UnknownGroup { .. }
            | Error::NoSchedule { .. }
            | Error::NoMonitor { .. }
            | Error::Trouble(_)
            | Error::NotTaken
            | Error::WouldRefuse { .. }
            | Error::SetAside { .. }
            | Error::OtherConfig { .. }
            | Error::Failed { .. }
            | Error::TimedOut { .. } => None,
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
                Some(format!("edit that file, or delete it first: {}", super::typed("remove", name)))
            }
            Error::NoHead => Some(
                "begin it with a line such as \"# web.yaml\", or give --name web; \"---\" parts several".to_string(),
            ),
            Error::Missing { .. } => Some("with --ignore-not-found that is no error".to_string()),
            Error::Several { .. } => Some("the monitor takes neither; delete one of them".to_string()),
            Error::Link { .. } => Some("change the file that it leads to, or delete the link first".to_string()),
            Error::Entangled { key, value, .. } => Some(format!("write it there yourself: {key}: {value}")),
            Error::Replica { set, .. } => Some(format!("name the set: {set}")),
            Error::Needed(_) => Some("delete those as well, edit them first, or give --force".to_string()),
            Error::UnknownGroup { nearest: Some(nearest), .. } => Some(format!("did you mean {nearest:?}?")),
            Error::UnknownGroup { nearest: None, .. } => {
                Some("groups are what \"group\" lists in process files".into())
            }
            Error::NoSchedule { name } => Some(format!("to run it anew: {}", super::typed("restart", name))),
            Error::Trouble(trouble) => trouble.advice(),
            Error::Failed { name, .. } | Error::TimedOut { name, .. } => Some(super::typed("why", name)),
            Error::OtherConfig { theirs, .. } => {
                let theirs = shell_word(&theirs.to_string_lossy());
                Some(format!("pass --config {theirs}, or as --messages the directory of the monitor that you mean"))
            }
            Error::NoMonitor { .. } => {
                Some("a monitor that starts later drops what is older than itself; is --messages right?".to_string())
            }
            Error::Signal { nearest: Some(nearest), .. } => Some(format!("did you mean {nearest}?")),
            Error::Signal { nearest: None, .. } => Some("name one such as HUP, SIGUSR1, RTMIN+3 or 15".to_string()),
            Error::Unknown { nearest: Some(nearest), .. } => Some(format!("did you mean {nearest:?}?")),
            Error::Unknown { name, nearest: None, .. } => {
                Some(format!("its file would be {name}, {name}.json, {name}.yaml or {name}.yml there"))
            }
            Error::Name { .. }
            | Error::Env(_)
            | Error::EnvInherit(_)
            | Error::NoCommand
            | Error::NoGroup
            | Error::Extras { .. }
            | Error::ExtrasSyntax { .. }
            | Error::Refused(_)
            | Error::NoDiff(_)
            | Error::Unlisted(_)
            | Error::Source { .. }
            | Error::NoFiles { .. }
            | Error::NothingPassed
            | Error::NameOfFile { .. }
            | Error::Twice { .. }
            | Error::Write { .. }
            | Error::Delete { .. }
            | Error::NotTaken
            | Error::WouldRefuse { .. }
            | Error::SetAside { .. }
            | Error::Message(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn a_command_that_is_advised_is_told_as_a_shell_takes_it() {
        let name = || "my web".to_string();
        let rows = [
            (Error::NoSchedule { name: name() }, "ncolony ctl restart 'my web'"),
            (Error::OtherFile { name: name(), path: "my web.json".into() }, "ncolony ctl remove 'my web'"),
            (Error::TimedOut { name: name(), how: String::new() }, "ncolony ctl why 'my web'"),
            (Error::Failed { name: name(), why: String::new() }, "ncolony ctl why 'my web'"),
        ];
        for (error, expected) in rows {
            let advice = error.advice().unwrap_or_default();
            assert!(advice.ends_with(expected), "{advice}");
        }
    }
}
