//! Requests that come at once are one restart, however long it takes to read them: one that was seen before the present
//! run began has been answered by it.

use super::observed::{Fact, Observed};

use super::record::{Ask, Record};
use crate::model::Moment;

impl Observed {
    /// Whether this asks for a restart, was first seen at that moment, and there has been a start since.
    ///
    /// No time of a file's counts here, so that no step of the wall clock can hide a request.
    pub fn has_answered(&self, fact: &Fact, found: Moment) -> bool {
        let Fact::Asked(name, ask) = fact else { return false };
        match ask {
            Ask::Named | Ask::Broad => {
                // A stop came between the two.
                let is_of = |record: &Record| !record.stopped && began(record) >= Some(found);
                self.records.get(name).is_some_and(is_of)
            }
            Ask::Trigger => false,
        }
    }
}

/// When a run was last begun, or was tried to.
fn began(record: &Record) -> Option<Moment> {
    let run = record.life.run().filter(|run| !run.inherited).map(|run| run.since.at);
    let failed = record.failed.as_ref().map(|failed| failed.at.at);
    run.or(record.last.as_ref().map(|last| last.began)).max(failed)
}
