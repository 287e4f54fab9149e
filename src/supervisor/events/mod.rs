//! What happens to the processes, in the kubelet's words: told in the log, and kept in a record that can be asked for.
//!
//! ```text
//! let told = Told::of(name, Reason::Started, why.as_str()).run(run).pid(pid);
//! self.events.tell(told, format_args!("started {name}: {}", why.as_str()));
//! ```
//!
//! A record's message is the same text for the same cause, with no number in it that changes from time to time: what is
//! told again is counted. The line of the log says what it likes.

mod departed;
mod record;
mod said;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;

use crate::model::{Event, EventKind, EventsAsked, Incarnation, Name, ProcessEvent, Reason, Stamp, Wall};
use departed::Departed;
use record::{Record, kept};
use said::Said;

/// The records of all processes, and the one way to tell of them.
#[derive(Debug, Default)]
pub(super) struct Events {
    living: BTreeMap<Name, Record>,
    departed: Departed,
    /// Of those that live, and of which something is told now and then.
    said: BTreeMap<Name, Said>,
    now: Stamp,
}

/// Something that happened to a process.
#[derive(Clone, Debug)]
pub(super) struct Told<'a> {
    process: &'a Name,
    run: Option<Incarnation>,
    pid: Option<i32>,
    reason: Reason,
    message: Cow<'static, str>,
    level: Level,
    times: u32,
}

/// How loud the log says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    /// As it should be.
    Info,
    /// Somebody may want to look.
    Warn,
    /// Somebody has to do something.
    Error,
}

impl<'a> Told<'a> {
    /// This happened to this process, for a cause that is always told with the same message. As loud as its kind.
    pub(super) fn of(process: &'a Name, reason: Reason, message: impl Into<Cow<'static, str>>) -> Told<'a> {
        let level = match reason.kind() {
            EventKind::Normal => Level::Info,
            EventKind::Warning => Level::Warn,
        };
        Told { process, run: None, pid: None, reason, message: message.into(), level, times: 1 }
    }

    /// To this run of it.
    pub(super) fn run(self, run: Incarnation) -> Told<'a> {
        Told { run: Some(run), ..self }
    }

    /// Whose main process, or whatever it is about, is this.
    pub(super) fn pid(self, pid: i32) -> Told<'a> {
        Told { pid: Some(pid), ..self }
    }

    /// So many times.
    pub(super) fn times(self, times: u32) -> Told<'a> {
        Told { times, ..self }
    }

    /// As loud as this.
    pub(super) fn level(self, level: Level) -> Told<'a> {
        Told { level, ..self }
    }
}

impl Events {
    /// What is told from now on happens now.
    pub(super) fn begin_turn(&mut self, now: Stamp) {
        self.now = now;
        self.departed.forget_the_old(now.at);
    }

    /// There is a process of this name from now on. What is remembered of one before it belongs to its record.
    pub(super) fn admit(&mut self, name: &Name) {
        if !self.living.contains_key(name) {
            let before = self.departed.take(name).unwrap_or_default();
            self.living.insert(name.clone(), before);
        }
    }

    /// There is none any more. Its record is kept for a while.
    pub(super) fn forget(&mut self, name: &Name) {
        self.said.remove(name);
        if let Some(record) = self.living.remove(name) {
            self.departed.put(name.clone(), record, self.now.at);
        }
    }

    /// Says it in the log with this line, and files it.
    pub(super) fn tell(&mut self, told: Told<'_>, line: fmt::Arguments<'_>) {
        told.log(None, line);
        self.note(told);
    }

    /// Says it in the log alone: it is part of what was filed before.
    pub(super) fn say(&self, told: &Told<'_>, line: fmt::Arguments<'_>) {
        told.log(None, line);
    }

    /// Files it. The log has it in another line, or does not need it.
    pub(super) fn note(&mut self, told: Told<'_>) {
        let Told { process, reason, message, times, .. } = told;
        let now = self.now.wall;
        self.with_record(process, |record| record.add(reason, kept(message), times, now));
    }

    /// Files what may happen each second. The log says it at first, when the message changes, and then once a minute,
    /// with how often it has happened.
    pub(super) fn tell_now_and_then(&mut self, told: Told<'_>) {
        let Stamp { at, wall } = self.now;
        let Told { process, reason, times, .. } = told;
        let message = kept(told.message.clone());
        let count = self.with_record(process, |record| record.add(reason, message.clone(), times, wall));
        // Of what is no process not enough is told to be worth remembering.
        let is_news = !self.living.contains_key(process)
            || self.said.entry(process.clone()).or_default().is_news(reason, &message, at);
        if is_news {
            told.log(Some(count).filter(|count| *count > 1), format_args!("{process}: {message}"));
        }
    }

    /// The events that are asked for, in the order in which they last happened.
    pub(super) fn answer(&self, asked: &EventsAsked) -> Vec<ProcessEvent> {
        let records: Vec<(&Name, &Record)> = match &asked.of {
            Some(name) => {
                let record = self.living.get(name).or_else(|| self.departed.get(name));
                record.map(|record| (name, record)).into_iter().collect()
            }
            None => self.living.iter().chain(self.departed.iter()).collect(),
        };
        newest(&records, asked.newest)
    }

    /// A name that is no process has its record among the departed: so there are never more records than processes, and
    /// a hundred.
    fn with_record<T>(&mut self, name: &Name, change: impl FnOnce(&mut Record) -> T) -> T {
        if let Some(record) = self.living.get_mut(name) {
            return change(record);
        }
        let mut record = self.departed.take(name).unwrap_or_default();
        let value = change(&mut record);
        self.departed.put(name.clone(), record, self.now.at);
        value
    }
}

/// The last so many events of these records. Each record is looked into only as far as it may have some of them.
fn newest(records: &[(&Name, &Record)], most: usize) -> Vec<ProcessEvent> {
    let mut found: BinaryHeap<Reverse<(Wall, usize, usize)>> = BinaryHeap::new();
    for (which, (_, record)) in records.iter().enumerate() {
        for (index, event) in record.events().iter().enumerate().rev() {
            found.push(Reverse((event.last, which, index)));
            // What falls out is this one or was there before it: if this one, so would be all that are older.
            if found.len() > most && found.pop() == Some(Reverse((event.last, which, index))) {
                break;
            }
        }
    }
    let found = found.into_sorted_vec();
    let shown = |(which, index): (usize, usize)| {
        let (name, record): (&Name, &Record) = records[which];
        let event: &Event = &record.events()[index];
        ProcessEvent { process: name.clone(), event: event.clone() }
    };
    found.into_iter().rev().map(|Reverse((_, which, index))| shown((which, index))).collect()
}

impl Told<'_> {
    fn log(&self, count: Option<u32>, line: fmt::Arguments<'_>) {
        let Told { process, pid, level, .. } = self;
        let (run, reason) = (self.run.map(Incarnation::get), self.reason.as_str());
        match level {
            Level::Info => tracing::info!(%process, run, pid, reason = %reason, count, "{line}"),
            Level::Warn => tracing::warn!(%process, run, pid, reason = %reason, count, "{line}"),
            Level::Error => tracing::error!(%process, run, pid, reason = %reason, count, "{line}"),
        }
    }
}

#[cfg(test)]
mod tests;
