//! From the queue to the caller, or out of the way.

use std::ffi::CStr;
use std::time::Duration;

use nix::errno::Errno;

use super::super::directory::{Content, Directory, Ident, LONGEST, shown};
use super::super::parse::{Parsed, parse};
use super::super::work::{Delivered, Rejected, Work};
use super::{Inbox, Sight, Staleness, Waiting};
use crate::model::{Moment, Request};

/// How long a half-written message has to become whole.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const RETRY: Duration = Duration::from_millis(200);
/// So many are waited for; further ones are refused at once.
const WAITING_AT_MOST: usize = 1_000;
/// So many foreign files are told of.
const NOTICED_AT_MOST: usize = 256;

impl Inbox {
    pub(super) fn handle(&mut self, name: &CStr, sight: Sight, now: Moment, work: &mut Work) {
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
            Parsed::Request(request) => {
                // Another file may have taken the name since.
                let found = if ident.written() == sight.written { sight.found } else { now };
                work.handled.push(self.deliver(name, ident, request, found, waited));
            }
            Parsed::Refused(reason) => work.rejected.push(self.refuse(name, ident, &reason)),
            Parsed::Incomplete => work.rejected.extend(self.wait(name, ident, now, waited)),
        }
    }

    fn deliver(
        &mut self,
        name: &CStr,
        ident: Ident,
        request: Request,
        found: Moment,
        waited: Option<Waiting>,
    ) -> Delivered {
        let stale = waited.map_or(self.stale == Staleness::First, |waited| waited.stale);
        self.out.insert(name.to_owned());
        Delivered { file: shown(name), request, stale, found, name: name.to_owned(), ident }
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

    pub(super) fn refuse(&mut self, name: &CStr, ident: Ident, reason: &str) -> Rejected {
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
    pub(super) fn while_it_is(
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

    pub(super) fn notice(&mut self, name: &CStr, what: &str, work: &mut Work) {
        if self.noticed.len() < NOTICED_AT_MOST && !self.noticed.seen_again(name, self.number) {
            self.noticed.insert(name.to_owned(), self.number);
            work.notices.push(format!("{} {what}", shown(name)));
        }
    }
}
