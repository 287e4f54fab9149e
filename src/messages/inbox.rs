use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::dir::OwningIter;
use nix::errno::Errno;

use super::aside::Aside;
use super::directory::{Content, Directory, FileTime, Ident, Kind, LONGEST, is_ignored, shown};
use super::parse::{Parsed, parse};
use super::remembered::Remembered;
use super::work::{Delivered, Rejected, Work};
use crate::model::{Moment, Request};

/// How long a half-written message has to become whole.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const RETRY: Duration = Duration::from_millis(200);
/// So many are waited for; further ones are refused at once.
const WAITING_AT_MOST: usize = 1_000;
/// So many names are held at once, the oldest; the others are found by the next listing.
const QUEUE_AT_MOST: usize = 8_192;
/// So many messages that cannot be deleted are remembered. Beyond that nothing is acted on: it could not be known
/// what was acted on before.
const STUCK_AT_MOST: usize = 4_096;
/// So many foreign files are told of.
const NOTICED_AT_MOST: usize = 256;

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
    /// How many listings were begun.
    number: u64,
    /// Whether what is in the queue was there before us.
    stale: Staleness,
    /// By order of handling.
    queue: BTreeSet<(FileTime, CString)>,
    waiting: HashMap<CString, Waiting>,
    retry_at: Option<Moment>,
    /// Given to the caller, and not yet given back.
    out: HashSet<CString>,
    /// Acted on or refused, and still there since they can be neither deleted nor renamed.
    stuck: Remembered<Ident>,
    noticed: Remembered<CString>,
    aside: Aside,
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
            number: 0,
            stale: Staleness::Unlisted,
            queue: BTreeSet::new(),
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

    /// Why the directory cannot be used at present, if it cannot.
    pub fn dir_error(&self) -> Option<&str> {
        self.directory_error.as_deref()
    }

    /// Looks at or handles at most `limit` files. A file costs some 30 µs.
    pub fn work(&mut self, now: Moment, limit: usize) -> Work {
        let mut work = Work::default();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.queue.extend(self.waiting.iter().map(|(name, waiting)| (waiting.written, name.clone())));
        }
        for _ in 0..limit {
            if !self.step(now, &mut work) {
                break;
            }
        }
        work.more = self.wanted || self.listing.is_some() || !self.queue.is_empty();
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
            && let Some((_, name)) = self.queue.pop_first()
        {
            self.handle(&name, now, work);
            return true;
        }
        match self.listing.as_mut().map(|listing| listing.names.next()) {
            Some(Some(Ok(entry))) => self.found(entry.file_name(), work),
            Some(Some(Err(errno))) => self.abandon_listing(errno),
            Some(None) => self.end_listing(),
            None if self.wanted => self.begin_listing(),
            None => return false,
        }
        true
    }

    fn begin_listing(&mut self) {
        self.wanted = false;
        self.number += 1;
        self.aside.forget();
        let opened = Directory::open(&self.path).and_then(|directory| Ok((directory.names()?, directory)));
        let (names, directory) = match opened {
            Ok(opened) => opened,
            Err(errno) => return self.lose_directory(errno),
        };
        if !self.directory.as_ref().is_some_and(|last| last.is_same_as(&directory)) {
            self.queue.clear();
            self.waiting.clear();
        }
        self.stale = match self.stale {
            Staleness::Unlisted => Staleness::First,
            Staleness::First | Staleness::Over => Staleness::Over,
        };
        self.directory = Some(directory);
        self.listing = Some(Listing { names, overflowed: false });
    }

    fn lose_directory(&mut self, errno: Errno) {
        // What comes to be there was not there before us.
        if errno == Errno::ENOENT {
            self.stale = Staleness::Over;
        }
        self.directory_error = Some(format!("cannot open {}: {}", self.path.display(), errno.desc()));
        self.directory = None;
        self.queue.clear();
        self.waiting.clear();
        self.retry_at = None;
    }

    fn abandon_listing(&mut self, errno: Errno) {
        self.listing = None;
        self.directory_error = Some(format!("cannot list {}: {}", self.path.display(), errno.desc()));
    }

    fn end_listing(&mut self) {
        self.wanted |= self.listing.take().is_some_and(|listing| listing.overflowed);
        self.stuck.forget_before(self.number);
        self.noticed.forget_before(self.number);
        self.directory_error = self.is_stuck().then(|| {
            let path = self.path.display();
            format!("{STUCK_AT_MOST} messages in {path} can be neither deleted nor renamed: no more are acted on")
        });
    }

    fn is_stuck(&self) -> bool {
        self.stuck.len() >= STUCK_AT_MOST
    }

    /// A name of the listing.
    fn found(&mut self, name: &CStr, work: &mut Work) {
        let Some(directory) = &self.directory else { return };
        if is_ignored(name) {
            return self.aside.found(directory, name);
        }
        let entry = match directory.look_up(name) {
            Ok(entry) => entry,
            Err(Errno::ENOENT) => return,
            Err(errno) => return self.notice(name, &format!("cannot be looked at: {}", errno.desc()), work),
        };
        self.noticed.seen_again(name, self.number);
        if self.stuck.seen_again(&entry.ident, self.number) {
            return;
        }
        match entry.kind {
            Kind::File => self.enqueue(entry.ident.written(), name),
            Kind::Link => work.rejected.push(self.refuse(name, entry.ident, "links are not followed")),
            Kind::Foreign(what) => self.notice(name, &format!("is {what}, and no message"), work),
        }
    }

    fn enqueue(&mut self, written: FileTime, name: &CStr) {
        self.queue.insert((written, name.to_owned()));
        if self.queue.len() > QUEUE_AT_MOST {
            self.queue.pop_last();
            self.listing.iter_mut().for_each(|listing| listing.overflowed = true);
        }
    }

    fn handle(&mut self, name: &CStr, now: Moment, work: &mut Work) {
        let waited = self.waiting.remove(name);
        if self.out.contains(name) || self.is_stuck() {
            return;
        }
        let Some(directory) = &self.directory else { return };
        let (ident, text) = match directory.read(name) {
            Content::Text(ident, text) => (ident, text),
            Content::TooLong(ident) => {
                let reason = format!("longer than {} KiB", LONGEST / 1024);
                return work.rejected.push(self.refuse(name, ident, &reason));
            }
            Content::Gone => return,
            Content::Unreadable(error) => return self.notice(name, &format!("cannot be read: {error}"), work),
        };
        if self.stuck.seen_again(&ident, self.number) {
            return;
        }
        match parse(&text) {
            Parsed::Request(request) => work.handled.push(self.deliver(name, ident, request, waited)),
            Parsed::Refused(reason) => work.rejected.push(self.refuse(name, ident, &reason)),
            Parsed::Incomplete => work.rejected.extend(self.wait(name, ident, now, waited)),
        }
    }

    fn deliver(&mut self, name: &CStr, ident: Ident, request: Request, waited: Option<Waiting>) -> Delivered {
        let stale = waited.map_or(self.stale == Staleness::First, |waited| waited.stale);
        self.out.insert(name.to_owned());
        Delivered { file: shown(name), request, stale, name: name.to_owned(), ident }
    }

    /// A half-written message is waited for, but not for ever.
    fn wait(&mut self, name: &CStr, ident: Ident, now: Moment, waited: Option<Waiting>) -> Option<Rejected> {
        let waiting =
            waited.unwrap_or(Waiting { since: now, written: ident.written(), stale: self.stale == Staleness::First });
        if now.since(waiting.since) >= PATIENCE {
            let reason = format!("not a whole JSON object, for {} s by now", PATIENCE.as_secs());
            return Some(self.refuse(name, ident, &reason));
        }
        if self.waiting.len() >= WAITING_AT_MOST {
            let reason = format!("not a whole JSON object, and {WAITING_AT_MOST} others are waited for");
            return Some(self.refuse(name, ident, &reason));
        }
        self.waiting.insert(name.to_owned(), waiting);
        self.retry_at.get_or_insert(now + RETRY);
        None
    }

    fn refuse(&mut self, name: &CStr, ident: Ident, reason: &str) -> Rejected {
        let mut aside = std::mem::take(&mut self.aside);
        let put = self.while_it_is(name, ident, |directory| aside.put(directory, name));
        self.aside = aside;
        let reason = match put {
            Ok(()) => reason.to_string(),
            Err(errno) => format!("{reason}; it cannot be set aside ({}) and is passed over from now on", errno.desc()),
        };
        Rejected { file: shown(name), reason }
    }

    /// Gets `name` out of the way by `remove`, provided that it still stands for the file that was read: a sender may
    /// have put the next message in its place. Where that fails, the file is remembered.
    fn while_it_is(
        &mut self,
        name: &CStr,
        ident: Ident,
        remove: impl FnOnce(&Directory) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let removed = match directory.look_up(name) {
            Ok(entry) if entry.ident == ident => remove(directory),
            Ok(_) => {
                self.wanted = true;
                Ok(())
            }
            Err(errno) => Err(errno),
        };
        match removed {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => {
                self.stuck.insert(ident, self.number);
                Err(errno)
            }
        }
    }

    fn notice(&mut self, name: &CStr, what: &str, work: &mut Work) {
        if self.noticed.len() < NOTICED_AT_MOST && !self.noticed.seen_again(name, self.number) {
            self.noticed.insert(name.to_owned(), self.number);
            work.notices.push(format!("{} {what}", shown(name)));
        }
    }
}
