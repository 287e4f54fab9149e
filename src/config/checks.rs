//! The directory of process files, as far as NColony's two checks go: for a checker that is a program of its own, under
//! whichever monitor. Of each file one key is read, whatever else is in it: the monitor that runs it has taken the rest.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::fd::AsFd as _;
use std::path::{Path as FilePath, PathBuf};

use super::diagnostic::Source;
use super::directory::list;
use super::entries::process_of;
use super::file::{self, Kind, ReadError, Trust};
use super::node::Value;
use super::report::{Path, Report};
use super::{Diagnostic, json, keys, text, yaml};
use crate::model::{Heartbeat, Probe};

/// One of NColony's checks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CheckKind {
    /// `ncolony.beatcheck`
    Heartbeat,
    /// `ncolony.httpcheck`
    Http,
}

/// What a process file asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// `ncolony.beatcheck`
    Heartbeat(Heartbeat),
    /// `ncolony.httpcheck`
    Http(Probe),
}

/// A file that asks to be checked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The file's name, extension included.
    pub file: String,
    /// Another one for another text.
    pub version: u64,
    /// What it asks for.
    pub check: Check,
}

/// The directory, looked at again and again.
pub struct CheckList {
    path: PathBuf,
    kind: CheckKind,
    known: BTreeMap<String, Known>,
    buffer: Box<[u8]>,
    /// What was last told of the directory.
    trouble: Option<String>,
}

#[derive(Default)]
struct Known {
    version: Option<u64>,
    /// Of the last good text.
    check: Option<Check>,
    /// What was last told of it.
    trouble: Option<String>,
}

impl CheckList {
    /// A directory that has not been looked at yet.
    pub fn new(path: &FilePath, kind: CheckKind) -> CheckList {
        CheckList { path: path.to_path_buf(), kind, known: BTreeMap::new(), buffer: file::buffer(), trouble: None }
    }

    /// Looks. Returns what is new to say. A file that turns bad is checked as before, and so are all while the directory
    /// cannot be read.
    pub fn look(&mut self) -> Vec<String> {
        let (listing, trouble) = match list(&self.path) {
            Ok(listing) => (Some(listing), None),
            Err(why) => (None, Some(why)),
        };
        let mut news = Vec::new();
        if trouble != self.trouble {
            news.push(trouble.clone().unwrap_or_else(|| format!("{} can be read again", self.path.display())));
            self.trouble = trouble;
        }
        let Some(listing) = listing else { return news };
        let mut before = std::mem::take(&mut self.known);
        for entry in &listing.names {
            let file = String::from_utf8_lossy(entry.to_bytes()).into_owned();
            let mut known = before.remove(&file).unwrap_or_default();
            let read = match file::kind_of(listing.dir.as_fd(), entry) {
                Kind::Absent | Kind::Directory => continue,
                Kind::Special(kind) => Err(format!("it is {kind}, not a regular file")),
                Kind::Unknown(errno) => Err(errno.desc().to_string()),
                Kind::File(_) => match file::read(listing.dir.as_fd(), entry, &Trust::default(), &mut self.buffer) {
                    Ok((_, text)) => Ok(text),
                    Err(ReadError::Absent) => continue,
                    Err(ReadError::TooLarge) => Err("it is too large".to_string()),
                    Err(ReadError::Refused(why)) => Err(format!("it {why}")),
                },
            };
            let judged = process_of(entry.to_bytes()).and(read);
            known.take(self.kind, &file, judged, &mut news);
            self.known.insert(file, known);
        }
        news
    }

    /// Which files ask to be checked.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = self.known.iter().filter_map(|(file, known)| {
            Some(Asked { file: file.clone(), version: known.version?, check: known.check.clone()? })
        });
        asked.collect()
    }
}

impl Known {
    fn take(&mut self, kind: CheckKind, file: &str, text: Result<&[u8], String>, news: &mut Vec<String>) {
        let version = text.as_ref().ok().map(|text| hash(text));
        if version.is_some() && version == self.version {
            return;
        }
        let judged = match text {
            Ok(text) => check(kind, file, text).map_err(|found| {
                let told: Vec<String> = found.iter().map(Diagnostic::to_string).collect();
                told.join("\n")
            }),
            Err(why) => Err(format!("{file}: {why}")),
        };
        let trouble = match judged {
            Ok(check) => {
                (self.version, self.check) = (version, check);
                None
            }
            Err(why) => Some(why),
        };
        if trouble != self.trouble {
            news.push(trouble.clone().unwrap_or_else(|| format!("{file} is good again")));
            self.trouble = trouble;
        }
    }
}

fn hash(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
}

/// What the text of a process file asks for; `None`: no such check.
fn check(kind: CheckKind, file: &str, text: &[u8]) -> Result<Option<Check>, Vec<Diagnostic>> {
    let text = text::decoded(file, text)?;
    let source = || Source { file, text };
    let is_json = text.trim_start().starts_with('{');
    let root = if is_json { json::parse(text) } else { yaml::parse(text) };
    let root = root.map_err(|malformed| vec![text::malformed(&source(), malformed, is_json)])?;
    let Value::Map(entries) = &root.value else { return Err(vec![text::not_a_map(&source(), &root)]) };
    let key = kind.key();
    // Of two the last counts, as in Python.
    let entry = entries.iter().rev().find(|entry| entry.key == key && !matches!(entry.node.value, Value::Null));
    let Some(entry) = entry else { return Ok(None) };
    let mut report = Report::new(source(), entries);
    let path = &Path::top(key);
    let check = match kind {
        CheckKind::Heartbeat => keys::heartbeat::heartbeat(&mut report, path, &entry.node).map(Check::Heartbeat),
        CheckKind::Http => keys::http_check::http_check(&mut report, path, &entry.node).map(Check::Http),
    };
    if report.has_errors() { Err(report.finish()) } else { Ok(check) }
}

impl CheckKind {
    fn key(self) -> &'static str {
        match self {
            CheckKind::Heartbeat => "ncolony.beatcheck",
            CheckKind::Http => "ncolony.httpcheck",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Check, CheckKind, CheckList};

    const GOOD: &str = r#"{"args": ["x"], "ncolony.beatcheck": {"period": 4, "grace": 3, "status": "/s"}}"#;

    fn files(list: &CheckList) -> Vec<String> {
        list.asked().into_iter().map(|asked| asked.file).collect()
    }

    #[test]
    fn one_key_is_read_of_each_file_and_a_bad_file_hurts_only_itself() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a file");
        write("good", GOOD);
        // The monitor below may be one that takes these for the application's.
        write("theirs", &GOOD.replace("[\"x\"]", "7, \"schedule\": 5, \"args\": []"));
        write("yaml.yaml", "args: [x]\nncolony.beatcheck: {period: 4, grace: 3, status: /s}\n");
        write("none", r#"{"args": ["x"], "ncolony.beatcheck": null}"#);
        write("broken", "{");
        write("list", "[1]");
        write("number", &GOOD.replace("4", "\"4\""));
        write("half.new", "{");
        fs::create_dir(dir.path().join("directory")).expect("a directory");
        nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        let mut list = CheckList::new(dir.path(), CheckKind::Heartbeat);
        let news = list.look();
        assert_eq!(files(&list), ["good", "theirs", "yaml.yaml"], "{news:?}");
        assert_eq!(news.len(), 4, "{news:?}");
        assert!(news.iter().any(|told| told.contains("fifo: it is a FIFO")), "{news:?}");
        assert_eq!(list.look(), [""; 0], "once");
        assert_eq!(files(&CheckList::new(dir.path(), CheckKind::Http)), [""; 0]);

        // What turns bad is checked as before, and what is mended as it says now.
        write("good", "{");
        assert_eq!((list.look().len(), files(&list).len()), (1, 3));
        write("good", &GOOD.replace("4", "5"));
        assert_eq!(list.look(), ["good is good again"]);
        let Check::Heartbeat(heartbeat) = &list.asked()[0].check else { panic!("a heartbeat") };
        assert_eq!(heartbeat.period.as_secs(), 5);
        fs::remove_file(dir.path().join("theirs")).expect("it is there");
        list.look();
        assert_eq!(files(&list), ["good", "yaml.yaml"]);
    }

    #[test]
    fn a_directory_that_goes_away_takes_no_check_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (here, away) = (dir.path().join("here"), dir.path().join("away"));
        fs::create_dir(&here).expect("a directory");
        fs::write(here.join("web"), GOOD).expect("a file");
        let mut list = CheckList::new(&here, CheckKind::Heartbeat);
        assert_eq!(list.look(), [""; 0]);
        fs::rename(&here, &away).expect("ours");
        assert_eq!(list.look(), [format!("cannot open {}: No such file or directory", here.display())]);
        assert_eq!((list.look().len(), files(&list)), (0, vec!["web".to_string()]));
        fs::rename(&away, &here).expect("ours");
        assert_eq!(list.look(), [format!("{} can be read again", here.display())]);
    }
}
