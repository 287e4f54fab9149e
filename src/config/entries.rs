//! The entries of the directory, and what was made of each when it was last read.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::hash::{DefaultHasher, Hasher as _};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::{Moment, Name, ProcessSpec};

use super::diagnostic::Diagnostic;
use super::file::{self, Kind, ReadError, Stamp, Trust};
use super::graph::Mentions;
use super::lists::Lists;
use super::manifest::{self, Defaults, Manifest};
use super::news::News;
use super::text;

/// A link that leads nowhere for so long is a mistake, and not a mount in the middle of its swap.
const LOST: Duration = Duration::from_secs(2);

/// Every entry that may be a process file.
pub(super) struct Entries {
    defaults: Defaults,
    trust: Trust,
    known: HashMap<CString, Box<Known>>,
    /// Counts the scans: what was not seen in the last one is gone.
    scans: u64,
    desk: Desk,
}

/// What is at hand whenever a file is read.
struct Desk {
    buffer: Box<[u8]>,
    lists: Lists,
}

struct Known {
    seen: u64,
    /// `None`: its name is no process's name.
    file: Option<Candidate>,
}

/// An entry whose name is a process's name.
pub(super) struct Candidate {
    pub(super) name: Name,
    pub(super) file: Arc<str>,
    pub(super) verdict: Verdict,
    /// Set when it tells whether the file was written since.
    stamp: Option<Stamp>,
    /// The hash of what was read; `None` when the verdict is not about what was read.
    content: Option<u64>,
    /// Whether it was said that it is no file.
    is_noticed: bool,
    /// Since when there is nothing behind it.
    lost: Option<Moment>,
}

/// What an entry is good for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// There is nothing behind it, or a directory.
    Nothing,
    /// A process, how many of it, warnings, and where it names others.
    Good(Arc<ProcessSpec>, Option<u32>, Vec<Diagnostic>, Option<Mentions>),
    /// What is wrong with it.
    Bad(Vec<Diagnostic>),
}

/// Whether an entry of this name is passed over in silence.
pub(super) fn is_ignored(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 5] = [b".new", b"~", b".bak", b".swp", b".tmp"];
    name.starts_with(b".") || ENDS.iter().any(|end| name.ends_with(end))
}

/// The process that a file of this name describes; or what there is to say.
pub(super) fn process_of(file: &[u8]) -> Result<Name, String> {
    let text = std::str::from_utf8(file).map_err(|_| "its name is not UTF-8".to_string())?;
    let stem = [".json", ".yaml", ".yml"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    Name::parse(stem).map_err(|error| error.to_string())
}

impl Entries {
    pub(super) fn new(defaults: Defaults, trust: Trust) -> Entries {
        let desk = Desk { buffer: file::buffer(), lists: Lists::default() };
        Entries { defaults, trust, known: HashMap::new(), scans: 0, desk }
    }

    /// Every entry that was there at the last look and is a process's by its name.
    pub(super) fn files(&self) -> impl Iterator<Item = &Candidate> {
        self.known.values().filter_map(|known| known.file.as_ref())
    }

    /// Looks at these entries, which are all that there are. Returns whether anything came out otherwise than before.
    pub(super) fn look(&mut self, dir: BorrowedFd<'_>, names: &[CString], now: Moment, news: &mut Vec<News>) -> bool {
        self.scans += 1;
        let mut is_touched = false;
        for name in names {
            is_touched |= self.look_at(dir, name, now, news);
        }
        let before = self.known.len();
        self.known.retain(|_, known| known.seen == self.scans);
        self.desk.lists.tidy();
        is_touched || self.known.len() != before
    }

    /// Looks at these entries, which are some of all. Returns whether each is a good file by itself: there is nothing to
    /// say of it, and it names no other.
    pub(super) fn glance(&mut self, dir: BorrowedFd<'_>, names: &[CString], now: Moment, news: &mut Vec<News>) -> bool {
        names.iter().all(|name| {
            self.look_at(dir, name, now, news);
            let candidate = self.known.get(name).and_then(|known| known.file.as_ref());
            candidate.is_some_and(|candidate| match &candidate.verdict {
                Verdict::Good(_, _, warnings, mentions) => warnings.is_empty() && mentions.is_none(),
                Verdict::Nothing | Verdict::Bad(_) => false,
            })
        })
    }

    /// Takes an entry for one that holds this text, or for none.
    pub(super) fn suppose(&mut self, file: &str, text: Option<&[u8]>) {
        // What is called otherwise than a file may be is none.
        let Ok(entry) = CString::new(file) else { return };
        let Some(text) = text else {
            self.known.remove(&entry);
            return;
        };
        let mut candidate = first_sight(&entry, &mut Vec::new());
        if let Some(candidate) = &mut candidate {
            candidate.verdict = verdict(&candidate.file, text, &self.defaults, &mut self.desk.lists);
        }
        self.known.insert(entry, Box::new(Known { seen: self.scans, file: candidate }));
    }

    /// Returns whether it came out otherwise than before.
    fn look_at(&mut self, dir: BorrowedFd<'_>, name: &CString, now: Moment, news: &mut Vec<News>) -> bool {
        if !self.known.contains_key(name) {
            self.known.insert(name.clone(), Box::new(Known { seen: 0, file: first_sight(name, news) }));
        }
        let Some(known) = self.known.get_mut(name) else { return false };
        known.seen = self.scans;
        let Some(candidate) = &mut known.file else { return false };
        let eye = Eye { dir, now, defaults: &self.defaults, trust: &self.trust };
        candidate.look(&eye, name, &mut self.desk, news)
    }
}

fn first_sight(entry: &CStr, news: &mut Vec<News>) -> Option<Candidate> {
    match process_of(entry.to_bytes()) {
        Ok(name) => {
            let file = String::from_utf8_lossy(entry.to_bytes()).into();
            Some(Candidate {
                name,
                file,
                verdict: Verdict::Nothing,
                stamp: None,
                content: None,
                is_noticed: false,
                lost: None,
            })
        }
        Err(why) => {
            news.push(News::Ignored { entry: entry.to_bytes().escape_ascii().to_string(), why });
            None
        }
    }
}

/// What a text is good for.
fn verdict(file: &str, text: &[u8], defaults: &Defaults, lists: &mut Lists) -> Verdict {
    match manifest::parse(file, text, defaults) {
        Ok(Manifest { mut spec, replicas, warnings, mentions }) => {
            spec.depends_on = lists.share(spec.depends_on);
            Verdict::Good(Arc::new(spec), replicas, warnings, mentions)
        }
        Err(diagnostics) => Verdict::Bad(diagnostics),
    }
}

/// What is needed to look at an entry.
struct Eye<'a> {
    dir: BorrowedFd<'a>,
    now: Moment,
    defaults: &'a Defaults,
    trust: &'a Trust,
}

impl Candidate {
    fn look(&mut self, eye: &Eye<'_>, entry: &CStr, desk: &mut Desk, news: &mut Vec<News>) -> bool {
        let kind = file::kind_of(eye.dir, entry);
        self.lost = matches!(kind, Kind::Absent).then(|| self.lost.unwrap_or(eye.now));
        let verdict = match kind {
            Kind::File(stamp) if self.stamp == Some(stamp) => return false,
            Kind::File(_) => match self.read(eye, entry, desk) {
                Some(verdict) => verdict,
                None => return false,
            },
            Kind::Absent => {
                if self.lost.is_some_and(|since| eye.now.since(since) >= LOST) {
                    self.notice("it is a link to nothing", news);
                }
                self.without_content(Verdict::Nothing)
            }
            Kind::Directory => {
                self.notice("it is a directory", news);
                self.without_content(Verdict::Nothing)
            }
            Kind::Special(what) => self.unreadable(format!("is {what}, not a regular file")),
            Kind::Unknown(errno) => self.unreadable(format!("cannot be examined: {}", errno.desc())),
        };
        let is_other = verdict != self.verdict;
        self.verdict = verdict;
        is_other
    }

    /// `None`: the content is what it was.
    fn read(&mut self, eye: &Eye<'_>, entry: &CStr, desk: &mut Desk) -> Option<Verdict> {
        let read_at = SystemTime::now();
        let (stamp, bytes) = match file::read(eye.dir, entry, eye.trust, &mut desk.buffer) {
            Ok(read) => read,
            Err(ReadError::Absent) => return Some(self.without_content(Verdict::Nothing)),
            Err(ReadError::Refused(why)) => return Some(self.unreadable(why)),
            Err(ReadError::TooLarge) => {
                let diagnostic = text::too_large(&self.file);
                return Some(self.without_content(Verdict::Bad(vec![diagnostic])));
            }
        };
        self.stamp = stamp.is_settled(read_at).then_some(stamp);
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        let content = Some(hasher.finish());
        if content == self.content {
            return None;
        }
        self.content = content;
        Some(verdict(&self.file, bytes, eye.defaults, &mut desk.lists))
    }

    fn notice(&mut self, why: &str, news: &mut Vec<News>) {
        if !std::mem::replace(&mut self.is_noticed, true) {
            news.push(News::Ignored { entry: self.file.to_string(), why: why.to_string() });
        }
    }

    fn unreadable(&mut self, why: String) -> Verdict {
        let diagnostic = Diagnostic::of_file(&self.file, why);
        self.without_content(Verdict::Bad(vec![diagnostic]))
    }

    fn without_content(&mut self, verdict: Verdict) -> Verdict {
        (self.stamp, self.content) = (None, None);
        verdict
    }
}
