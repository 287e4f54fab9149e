//! The messages directory's side of the loop: requests become orders, nonsense is set aside.

use std::path::Path;

use super::meters::Meters;
use super::orders::{Known, Order, orders};
use crate::failpoint;
use crate::messages::{Delivered, Inbox};
use crate::model::Moment;

/// The inbox, and when to look into it again.
pub(super) struct MessageSide {
    inbox: Inbox,
    more: bool,
    retry_at: Option<Moment>,
    /// Why the directory cannot be used, as it was last told.
    told: Option<String>,
}

/// How many files are looked at in one turn: some milliseconds' worth, so that a flood keeps no exit waiting.
const A_TURN: usize = 64;
/// What to do about a directory that cannot be used.
const REMEDY: &str = "messages and `ctl get` and its like need a directory with room that the monitor can write: in a pod a volume, such as an emptyDir (see --messages)";

impl MessageSide {
    /// To be looked into at once.
    pub(super) fn new(dir: &Path) -> MessageSide {
        let mut side = MessageSide { inbox: Inbox::open(dir), more: false, retry_at: None, told: None };
        side.want();
        side
    }

    /// Notes that the directory is to be listed.
    pub(super) fn want(&mut self) {
        self.inbox.list();
        self.more = true;
    }

    /// The same if a cheap look tells that it changed.
    pub(super) fn want_if_changed(&mut self) {
        self.inbox.list_if_changed();
        self.more |= self.inbox.has_work();
    }

    /// Whether there may be messages to look at.
    pub(super) fn has_work(&self) -> bool {
        self.more
    }

    /// Looks at some messages; returns what they ask for, and when each was first seen.
    pub(super) fn read(&mut self, now: Moment, known: &Known<'_>, meters: &Meters) -> Vec<(Moment, Order)> {
        if !self.more && self.retry_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let work = self.inbox.work(now, A_TURN);
        (self.more, self.retry_at) = (work.more, work.retry_at);
        self.tell_trouble();
        for notice in &work.notices {
            tracing::info!("{notice}");
        }
        for rejected in &work.rejected {
            meters.message_failures.inc();
            tracing::warn!("message {} was refused: {}", rejected.file, rejected.reason);
        }
        let dated = |message: &Delivered| {
            let found = message.found;
            self.obey(message, known, meters).into_iter().map(move |order| (found, order))
        };
        work.handled.iter().flat_map(dated).collect()
    }

    /// When to look again, whatever is heard.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        if self.more { Some(Moment::ZERO) } else { self.retry_at }
    }

    /// Why the directory cannot be used, if it cannot.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.inbox.dir_error()
    }

    fn obey(&mut self, message: &Delivered, known: &Known<'_>, meters: &Meters) -> Vec<Order> {
        let kind = message.request.kind();
        if message.stale {
            tracing::info!(
                "message {} ({kind}) is older than this monitor, which has just started everything",
                message.file
            );
            self.finish(message);
            return Vec::new();
        }
        match orders(&message.request, known) {
            Ok(orders) => {
                meters.messages.with_label_values(&[kind]).inc();
                tracing::info!("message {} ({kind}) is carried out", message.file);
                failpoint::reach("message-accepted");
                self.finish(message);
                failpoint::reach("message-deleted");
                orders
            }
            Err(reason) => {
                meters.message_failures.inc();
                let rejected = self.inbox.reject(message, &reason);
                tracing::warn!("message {} was refused: {}", rejected.file, rejected.reason);
                Vec::new()
            }
        }
    }

    fn tell_trouble(&mut self) {
        if self.inbox.dir_error() == self.told.as_deref() {
            return;
        }
        self.told = self.inbox.dir_error().map(str::to_string);
        match &self.told {
            Some(trouble) => tracing::error!("{trouble}; {REMEDY}"),
            None => tracing::info!("messages can be taken again"),
        }
    }

    fn finish(&mut self, message: &Delivered) {
        if let Some(trouble) = self.inbox.done(message) {
            tracing::warn!("{trouble}");
        }
    }
}
