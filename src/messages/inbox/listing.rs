//! From the directory to the queue.

use std::ffi::CStr;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use super::super::directory::{Directory, FileTime, Kind, State, is_ignored};
use super::super::work::Work;
use super::{Inbox, Listing, QUEUE_AT_MOST, STUCK_AT_MOST, Staleness};
use crate::model::Moment;

impl Inbox {
    /// Opens the directory anew: another one may have its path by now.
    pub(super) fn begin_listing(&mut self) {
        self.wanted = false;
        self.number += 1;
        self.aside.forget();
        // Before the names are read: what comes meanwhile makes it another.
        self.listed = State::of(&self.path);
        let opened = Directory::open(&self.path).and_then(|directory| Ok((directory.names()?, directory)));
        let (names, directory) = match opened {
            Ok(opened) => opened,
            Err(errno) => return self.lose_directory(errno),
        };
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
        self.waiting.clear();
        self.retry_at = None;
    }

    pub(super) fn abandon_listing(&mut self, errno: Errno) {
        self.listing = None;
        self.directory_error = Some(format!("cannot list {}: {}", self.path.display(), errno.desc()));
    }

    pub(super) fn end_listing(&mut self) {
        self.wanted |= self.listing.take().is_some_and(|listing| listing.overflowed);
        self.stuck.forget_before(self.number);
        self.noticed.forget_before(self.number);
        let path = self.path.display();
        self.directory_error = match (self.is_stuck(), unwritable(&self.path)) {
            (true, _) => Some(format!(
                "{STUCK_AT_MOST} messages in {path} can be neither deleted nor renamed: no more are acted on"
            )),
            (false, Some(errno)) => Some(format!("cannot write in {path}: {}", errno.desc())),
            (false, None) => is_full(&self.path).then(|| format!("cannot write in {path}: it is full")),
        };
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.len() >= STUCK_AT_MOST
    }

    /// A name of the listing.
    pub(super) fn found(&mut self, name: &CStr, now: Moment, work: &mut Work) {
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
            Kind::File => self.enqueue(entry.ident.written(), name, now),
            Kind::Link => work.rejected.push(self.refuse(name, entry.ident, "links are not followed")),
            Kind::Foreign(what) => self.notice(name, &format!("is {what}, and no message"), work),
        }
    }

    fn enqueue(&mut self, written: FileTime, name: &CStr, now: Moment) {
        self.queue.entry((written, name.to_owned())).or_insert(now);
        if self.queue.len() > QUEUE_AT_MOST {
            self.queue.pop_last();
            self.listing.iter_mut().for_each(|listing| listing.overflowed = true);
        }
    }
}

/// Why nothing can be taken out of the directory, if nothing can. A message there is acted on once all the same.
fn unwritable(path: &Path) -> Option<Errno> {
    access(path, AccessFlags::W_OK).err()
}

/// Whether nobody can send a message for want of room. Where a file system counts no blocks or no files, there is always some.
fn is_full(path: &Path) -> bool {
    let is_used_up = |all, left| all > 0 && left == 0;
    statvfs(path)
        .is_ok_and(|fs| is_used_up(fs.blocks(), fs.blocks_available()) || is_used_up(fs.files(), fs.files_available()))
}

#[cfg(test)]
mod tests {
    use super::{Inbox, Moment, QUEUE_AT_MOST};

    #[test]
    fn the_queue_keeps_the_oldest_and_does_not_grow() {
        let mut inbox = Inbox::open("/nowhere".as_ref());
        for second in (0..2 * QUEUE_AT_MOST as i64).rev() {
            inbox.enqueue((second, 0), c"m", Moment::ZERO);
        }
        assert_eq!(inbox.queue.len(), QUEUE_AT_MOST);
        assert_eq!(inbox.queue.last_key_value().map(|((written, _), _)| written.0), Some(QUEUE_AT_MOST as i64 - 1));
    }
}
