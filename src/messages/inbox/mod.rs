//! The state of an inbox, and the order of its work.

mod handling;
mod listing;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::dir::OwningIter;

use super::aside::Aside;
use super::directory::{Directory, FileTime, Ident, State};
use super::remembered::Remembered;
use super::work::{Delivered, Rejected, Work};
use crate::model::Moment;

/// So many names are held at once, the oldest; the others are found by the next listing.
const QUEUE_AT_MOST: usize = 8_192;
/// So many messages that cannot be deleted are remembered. Beyond that nothing is acted on: it could not be known
/// what was acted on before.
const STUCK_AT_MOST: usize = 4_096;

/// The messages directory, read a few files at a time.
///
/// Its memory is bounded, whatever the directory holds.
#[derive(Debug)]
pub struct Inbox {
    path: PathBuf,
    directory: Option<Directory>,
    directory_error: Option<String>,
    wanted: bool,
    listing: Option<Listing>,
    /// What the directory was like when the last listing began.
    listed: Option<State>,
    /// How many listings were begun.
    number: u64,
    /// Whether what is in the queue was there before us.
    stale: Staleness,
    /// By order of handling, with when each was found.
    queue: BTreeMap<(FileTime, CString), Moment>,
    waiting: HashMap<CString, Waiting>,
    retry_at: Option<Moment>,
    /// Given to the caller, and not yet given back.
    out: HashSet<CString>,
    /// Acted on or refused, and still there since they can be neither deleted nor renamed.
    stuck: Remembered<Ident>,
    noticed: Remembered<CString>,
    aside: Aside,
}

/// Where a file of the queue comes from.
#[derive(Clone, Copy, Debug)]
struct Sight {
    written: FileTime,
    found: Moment,
}

/// A listing that is under way.
#[derive(Debug)]
struct Listing {
    names: OwningIter,
    /// Some names found no room in the queue.
    overflowed: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Staleness {
    /// The directory was not listed yet.
    Unlisted,
    /// What the first listing finds is stale.
    First,
    /// All that is found is new.
    Over,
}

/// A message that is half written.
#[derive(Debug)]
struct Waiting {
    since: Moment,
    written: FileTime,
    stale: bool,
}

impl Inbox {
    /// The inbox at `path`, which is looked for at each listing: it may be missing now, vanish, or be replaced.
    pub fn open(path: &Path) -> Inbox {
        Inbox {
            path: path.to_path_buf(),
            directory: None,
            directory_error: None,
            wanted: false,
            listing: None,
            listed: None,
            number: 0,
            stale: Staleness::Unlisted,
            queue: BTreeMap::new(),
            waiting: HashMap::new(),
            retry_at: None,
            out: HashSet::new(),
            stuck: Remembered::new(),
            noticed: Remembered::new(),
            aside: Aside::default(),
        }
    }

    /// Notes that the directory is to be listed (again). Costs nothing; [`work`](Inbox::work) does it.
    pub fn list(&mut self) {
        self.wanted = true;
    }

    /// Notes that the directory is to be listed if it is not as it was when it last was. Costs one look, and may miss a
    /// change that came right after another: a hint like others.
    pub fn list_if_changed(&mut self) {
        self.wanted |= State::of(&self.path) != self.listed;
    }

    /// Whether there is something to do at once.
    pub fn has_work(&self) -> bool {
        self.wanted || self.listing.is_some() || !self.queue.is_empty()
    }

    /// Why the directory cannot be used at present, if it cannot.
    pub fn dir_error(&self) -> Option<&str> {
        self.directory_error.as_deref()
    }

    /// Looks at or handles at most `limit` files. A file costs some 30 µs.
    pub fn work(&mut self, now: Moment, limit: usize) -> Work {
        let mut work = Work::default();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.queue.extend(self.waiting.iter().map(|(name, waiting)| ((waiting.written, name.clone()), now)));
        }
        for _ in 0..limit {
            if !self.step(now, &mut work) {
                break;
            }
        }
        work.more = self.has_work();
        work.retry_at = self.retry_at;
        work
    }

    /// The message was acted on, or dropped as stale: its file is deleted. Returns what to log if that failed.
    pub fn done(&mut self, message: &Delivered) -> Option<String> {
        self.out.remove(&message.name);
        let error =
            self.while_it_is(&message.name, message.ident, |directory| directory.delete(&message.name)).err()?;
        Some(format!(
            "message {} was handled, but cannot be deleted: {}; it is not acted on again",
            message.file,
            error.desc()
        ))
    }

    /// The message makes no sense: its file is set aside.
    pub fn reject(&mut self, message: &Delivered, reason: &str) -> Rejected {
        self.out.remove(&message.name);
        self.refuse(&message.name, message.ident, reason)
    }

    /// One file's worth of work; whether there was any.
    fn step(&mut self, now: Moment, work: &mut Work) -> bool {
        // The first listing may be handled before it is whole: what is dropped needs no order.
        let full = self.stale == Staleness::First && self.queue.len() >= QUEUE_AT_MOST;
        if (self.listing.is_none() || full)
            && let Some(((written, name), found)) = self.queue.pop_first()
        {
            self.handle(&name, Sight { written, found }, now, work);
            return true;
        }
        match self.listing.as_mut().map(|listing| listing.names.next()) {
            Some(Some(Ok(entry))) => self.found(entry.file_name(), now, work),
            Some(Some(Err(errno))) => self.abandon_listing(errno),
            Some(None) => self.end_listing(),
            None if self.wanted => self.begin_listing(),
            None => return false,
        }
        true
    }
}
