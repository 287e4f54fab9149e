//! The messages directory's side of the loop: requests become facts, nonsense is set aside.

use std::path::Path;

use super::config_side::ConfigSide;
use super::meters::Meters;
use crate::failpoint;
use crate::messages::{Delivered, Inbox};
use crate::model::{Moment, Name, Request, nearest};
use crate::reconcile::{Ask, Desired, Fact};

/// The inbox, and when to look into it again.
pub(super) struct MessageSide {
    inbox: Inbox,
    more: bool,
    retry_at: Option<Moment>,
    /// Why the directory cannot be used, as it was last told.
    told: Option<String>,
}

/// What a request can be about.
pub(super) struct Known<'a> {
    /// What is to run.
    pub(super) desired: &'a Desired,
    /// Where it is said.
    pub(super) config: &'a ConfigSide,
}

/// How many files are looked at in one turn: some milliseconds' worth, so that a flood keeps no exit waiting.
const A_TURN: usize = 64;

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

    /// Looks at some messages; returns what they ask for.
    pub(super) fn read(&mut self, now: Moment, known: &Known<'_>, meters: &Meters) -> Vec<Fact> {
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
        work.handled.iter().flat_map(|message| self.obey(message, known, meters)).collect()
    }

    /// When to look again, whatever is heard.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        if self.more { Some(Moment::ZERO) } else { self.retry_at }
    }

    /// Why the directory cannot be used, if it cannot.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.inbox.dir_error()
    }

    fn obey(&mut self, message: &Delivered, known: &Known<'_>, meters: &Meters) -> Vec<Fact> {
        let kind = message.request.kind();
        if message.stale {
            tracing::info!(
                "message {} ({kind}) is older than this monitor, which has just started everything",
                message.file
            );
            self.finish(message);
            return Vec::new();
        }
        match asked(&message.request, known) {
            Ok(facts) => {
                meters.messages.with_label_values(&[kind]).inc();
                tracing::info!("message {} ({kind}) is carried out", message.file);
                failpoint::reach("message-accepted");
                self.finish(message);
                failpoint::reach("message-deleted");
                facts
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
            Some(trouble) => tracing::error!("{trouble}; no message is taken until that is mended (see --messages)"),
            None => tracing::info!("messages can be taken again"),
        }
    }

    fn finish(&mut self, message: &Delivered) {
        if let Some(trouble) = self.inbox.done(message) {
            tracing::warn!("{trouble}");
        }
    }
}

/// What a request comes to, or why it makes no sense.
fn asked(request: &Request, known: &Known<'_>) -> Result<Vec<Fact>, String> {
    let Known { desired, config } = known;
    if desired.ending.is_some() {
        return Err("the monitor is ending".to_string());
    }
    match request {
        Request::Restart(name) if desired.processes.contains_key(name) => {
            Ok(vec![Fact::Asked(name.clone(), Ask::Named)])
        }
        Request::Restart(name) if config.error_of(name).is_some() => {
            Err(format!("{name} does not run, since its file is refused"))
        }
        Request::Restart(name) => Err(unknown("process", name.as_str(), desired.processes.keys().map(Name::as_str))),
        Request::RestartAll => Ok(broad(desired.processes.keys())),
        Request::RestartGroup(group) => {
            let members =
                desired.processes.iter().filter(|(_, spec)| spec.groups.contains(group)).map(|(name, _)| name);
            let facts = broad(members);
            if facts.is_empty() {
                let groups = desired.processes.values().flat_map(|spec| spec.groups.iter().map(String::as_str));
                return Err(unknown("group", group, groups));
            }
            Ok(facts)
        }
    }
}

fn broad<'a>(names: impl Iterator<Item = &'a Name>) -> Vec<Fact> {
    names.map(|name| Fact::Asked(name.clone(), Ask::Broad)).collect()
}

fn unknown<'a>(kind: &str, word: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(word, known) {
        Some(near) => format!("there is no {kind} {word:?}; did you mean {near:?}?"),
        None => format!("there is no {kind} {word:?}"),
    }
}
