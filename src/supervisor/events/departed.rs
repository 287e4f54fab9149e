use std::collections::VecDeque;
use std::time::Duration;

use super::record::Record;
use crate::model::{Moment, Name};

/// The records of names that are no process: removed, or described by files that were never taken. In the order in which
/// something last happened to them.
#[derive(Debug, Default)]
pub(super) struct Departed(VecDeque<Gone>);

#[derive(Debug)]
struct Gone {
    name: Name,
    at: Moment,
    record: Record,
}

/// The most of them that are remembered.
pub(super) const MOST: usize = 100;
/// For how long after the last thing that happened to them.
pub(super) const REMEMBERED: Duration = Duration::from_secs(3600);

impl Departed {
    /// Remembers this one; if need be, the one to which something last happened longest ago is forgotten.
    pub(super) fn put(&mut self, name: Name, record: Record, now: Moment) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Gone { name, at: now, record });
    }

    /// What is remembered of this one, which is remembered no more.
    pub(super) fn take(&mut self, name: &Name) -> Option<Record> {
        let index = self.0.iter().rposition(|gone| gone.name == *name)?;
        self.0.remove(index).map(|gone| gone.record)
    }

    /// Forgets those whose time is over.
    pub(super) fn forget_the_old(&mut self, now: Moment) {
        while self.0.front().is_some_and(|gone| now.since(gone.at) >= REMEMBERED) {
            self.0.pop_front();
        }
    }

    pub(super) fn get(&self, name: &Name) -> Option<&Record> {
        self.0.iter().find(|gone| gone.name == *name).map(|gone| &gone.record)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Record)> {
        self.0.iter().map(|gone| (&gone.name, &gone.record))
    }
}
