//! The directory, looked at again and again: what is desired now, and what is new to say about it.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat, stat};

use crate::model::{FileError, Moment, Name, ProcessSpec};

use super::diagnostic::Diagnostic;
use super::entries::{Entries, Verdict, is_ignored};
use super::file::Trust;
use super::manifest::Defaults;
use super::news::News;
use super::slots::Slots;

/// The directory of process files, and what is remembered of it. Looks when told to; nothing here waits or watches.
pub struct Directory {
    path: PathBuf,
    trust: Trust,
    entries: Entries,
    slots: Slots,
    /// Device and inode of the directory that was last taken for ours.
    home: Option<Identity>,
    /// An empty directory that stands where ours was.
    vacant: Option<Identity>,
    trouble: Option<String>,
    distrust: Option<String>,
    /// What it was like when it was last looked at.
    listed: Option<State>,
    /// Whether entries were looked at of which nothing has been made yet.
    is_unsettled: bool,
}

type Identity = (u64, u64);

/// What tells one state of a directory's list from another: which it is, and when an entry last came or went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct State(Identity, (i64, i64));

impl State {
    fn of(path: &Path) -> Option<State> {
        let stat = stat(path).ok()?;
        Some(State((stat.st_dev, stat.st_ino), (stat.st_mtime, stat.st_mtime_nsec)))
    }
}

/// What is desired, and what is new.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Whether `processes` is another than at the scan before.
    pub changed: bool,
    /// What is desired. What has not changed is the same `Arc` as before.
    pub processes: Arc<BTreeMap<Name, Arc<ProcessSpec>>>,
    /// How many files describe that.
    pub files: usize,
    /// What there is to say, once.
    pub news: Vec<News>,
    /// The files that are refused now.
    pub errors: Vec<FileError>,
    /// Why the directory cannot be used, if it cannot; what is desired stays as it was.
    pub dir_error: Option<String>,
    /// When to look again, whatever happens: an absence counts only when it has lasted.
    pub rescan_at: Option<Moment>,
}

/// An opened directory and the entries that may be process files.
pub(super) struct Listing {
    pub(super) dir: OwnedFd,
    identity: Identity,
    pub(super) names: Vec<CString>,
}

impl Directory {
    /// A directory that has not been looked at yet.
    pub fn new(path: &Path, defaults: Defaults, trust: Trust) -> Directory {
        Directory {
            path: path.to_path_buf(),
            entries: Entries::new(defaults, trust.clone()),
            trust,
            slots: Slots::default(),
            home: None,
            vacant: None,
            trouble: None,
            distrust: None,
            listed: None,
            is_unsettled: false,
        }
    }

    /// The users besides root whose files are taken, if it matters whose they are.
    pub fn trusted_uids(&self) -> Option<Vec<u32>> {
        self.trust.enforce.then(|| self.trust.uids.clone())
    }

    /// Whether the directory's list has changed since it was last looked at, as far as one cheap look tells: its time is
    /// coarse, and an edit in place does not change it. A hint, no more.
    pub fn looks_changed(&self) -> bool {
        State::of(&self.path) != self.listed
    }

    /// Looks at the directory. Errors of single files and of the directory itself are part of what it returns.
    pub fn scan(&mut self, now: Moment) -> Scan {
        self.scan_with(Vec::new(), now)
    }

    /// Looks at these entries alone if that is enough, else at all: mostly what was heard of is one file that came whole,
    /// and in a directory of a thousand a look at all of them takes longer than its start.
    ///
    /// It is enough where each is a good file that names no other, in the directory that was there before. What goes,
    /// what is wrong and what depends on another is judged by all that there is.
    pub fn glance(&mut self, entries: &[CString], now: Moment) -> Scan {
        let mut news = Vec::new();
        let Some(dir) = self.reopened() else { return self.scan_with(news, now) };
        self.is_unsettled = true;
        if !self.entries.glance(dir.as_fd(), entries, now, &mut news) {
            return self.scan_with(news, now);
        }
        self.is_unsettled = false;
        let changed = self.slots.settle(self.entries.files(), None, now, &mut news);
        self.outcome(changed, news)
    }

    /// The directory that was last taken for ours, if it is there, and was and is in order.
    fn reopened(&self) -> Option<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open(&self.path, flags, Mode::empty()).ok()?;
        let found = fstat(&dir).ok()?;
        let is_home = self.home == Some((found.st_dev, found.st_ino)) && self.trouble.is_none();
        let is_trusted = self.distrust.is_none() && self.trust.of_directory(dir.as_fd()).is_ok();
        (is_home && is_trusted).then_some(dir)
    }

    fn scan_with(&mut self, mut news: Vec<News>, now: Moment) -> Scan {
        let was_lost = self.trouble.is_some();
        let mut changed = false;
        // First: what comes meanwhile makes it another.
        self.listed = State::of(&self.path);
        let trouble = match list(&self.path) {
            Err(text) => Some(text),
            Ok(listing) if self.is_vacant(&listing, was_lost) => {
                self.vacant = Some(listing.identity);
                Some(format!("{} is empty, and not the directory that it was: unmounted?", self.path.display()))
            }
            Ok(listing) => {
                (self.home, self.vacant) = (Some(listing.identity), None);
                changed = self.take(&listing, was_lost, now, &mut news);
                None
            }
        };
        if trouble.is_some() {
            self.slots.forget_absences();
        }
        if trouble != self.trouble {
            news.push(trouble.clone().map_or(News::Listed, News::Unlisted));
            self.trouble = trouble;
        }
        self.outcome(changed, news)
    }

    fn outcome(&self, changed: bool, news: Vec<News>) -> Scan {
        Scan {
            changed,
            processes: self.slots.processes(),
            files: self.slots.files(),
            news,
            errors: self.slots.errors(),
            dir_error: self.trouble.clone(),
            rescan_at: self.slots.rescan_at(),
        }
    }

    /// The file that a process's version in force came from.
    pub fn file_of(&self, name: &Name) -> Option<&str> {
        self.slots.file_of(name)
    }

    /// The first line of what is wrong with the file, or files, of this name.
    pub fn error_of(&self, name: &Name) -> Option<String> {
        self.slots.error_of(name)
    }

    /// The names of the files in force that describe nobody, as they ask for no replicas.
    pub fn empty(&self) -> impl Iterator<Item = &Name> {
        self.slots.empty()
    }

    /// Why the first file is refused of which no version is in force, if there is one.
    pub fn unborn(&self) -> Option<String> {
        self.slots.unborn()
    }

    /// Whether an empty directory is to be taken for an absent one: it is not the one that our processes came from,
    /// or it came back empty after it had been away.
    fn is_vacant(&self, listing: &Listing, was_lost: bool) -> bool {
        let is_another = self.home.is_some_and(|home| home != listing.identity);
        let was_vacant = self.vacant == Some(listing.identity);
        let came_back = was_lost && self.vacant.is_none();
        listing.names.is_empty() && !self.slots.is_empty() && (is_another || was_vacant || came_back)
    }

    fn take(&mut self, listing: &Listing, was_lost: bool, now: Moment, news: &mut Vec<News>) -> bool {
        let distrust = self.trust.of_directory(listing.dir.as_fd()).err();
        let is_judged_anew = distrust != self.distrust;
        if is_judged_anew {
            // Once, and not once a file.
            news.push(distrust.clone().map_or(News::Trusted, News::Distrusted));
        }
        self.distrust = distrust;
        let is_touched = self.entries.look(listing.dir.as_fd(), &listing.names, now, news);
        let is_touched = std::mem::take(&mut self.is_unsettled) || is_touched;
        // What was missing when the directory went away begins to be missing anew.
        if !(is_touched || is_judged_anew || was_lost || self.slots.rescan_at().is_some()) {
            return false;
        }
        self.slots.settle(self.entries.files(), self.distrust.as_deref(), now, news)
    }
}

/// Reads the whole list, or fails: half a list would look like removals.
pub(super) fn list(path: &Path) -> Result<Listing, String> {
    let cannot = |verb: &str, errno: Errno| format!("cannot {verb} {}: {}", path.display(), errno.desc());
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let dir = open(path, flags, Mode::empty()).map_err(|errno| cannot("open", errno))?;
    let stat = fstat(&dir).map_err(|errno| cannot("examine", errno))?;
    let copy = dir.try_clone().map_err(|_| cannot("list", Errno::last()))?;
    let mut stream = Dir::from_fd(copy).map_err(|errno| cannot("list", errno))?;
    let mut names = Vec::new();
    for entry in stream.iter() {
        let entry = entry.map_err(|errno| cannot("list", errno))?;
        if !is_ignored(entry.file_name().to_bytes()) {
            names.push(entry.file_name().to_owned());
        }
    }
    // What is said of them is said in the same order every time.
    names.sort_unstable();
    Ok(Listing { dir, identity: (stat.st_dev, stat.st_ino), names })
}

/// Judges one file by itself, as [`Directory::scan`] would.
///
/// # Errors
/// There is no such file, or its name is no process's.
pub fn check_file(path: &Path, defaults: &Defaults) -> Result<Vec<Diagnostic>, String> {
    let cannot = |why: &str| format!("cannot check {}: {why}", path.display());
    let entry = path.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
    let entry = entry.ok_or_else(|| cannot("it has no name"))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = open(dir, flags, Mode::empty()).map_err(|errno| cannot(errno.desc()))?;
    let mut news = Vec::new();
    let mut entries = Entries::new(*defaults, Trust::default());
    entries.look(dir.as_fd(), &[entry], Moment::ZERO, &mut news);
    let verdict = entries.files().next().map(|file| file.verdict.clone());
    match (verdict, news.first()) {
        (Some(Verdict::Good(_, _, diagnostics, _) | Verdict::Bad(diagnostics)), _) => Ok(diagnostics),
        (Some(Verdict::Nothing) | None, Some(News::Ignored { why, .. })) => Err(cannot(why)),
        (Some(Verdict::Nothing) | None, _) => Err(cannot(Errno::ENOENT.desc())),
    }
}
