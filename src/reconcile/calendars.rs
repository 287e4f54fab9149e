use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::observed::Observed;
use super::schedule::Progress;
use crate::model::{Name, Stamp};

/// Who follows a calendar: what the wall clock's jumps concern, and what the next monitor must know.
#[derive(Clone, Debug, Default)]
pub(super) struct Calendars {
    following: BTreeSet<Name>,
    /// What the monitor before this one has told, of those that have not been seen yet.
    remembered: BTreeMap<Name, Progress>,
    /// Those of which something else is to be remembered than was.
    unsaved: BTreeSet<Name>,
    /// The two clocks when they were last compared.
    compared: Stamp,
}

/// A clock that is so much off makes a start late by no more than that, and is not worth a look at all calendars.
const SLIGHT: Duration = Duration::from_millis(50);

impl Calendars {
    pub(super) fn remember(&mut self, name: Name, progress: Progress) {
        self.remembered.insert(name, progress);
    }

    /// This process follows a calendar from now on, or none; returns how far the monitor before this one had come.
    pub(super) fn follow(&mut self, name: &Name, any: bool) -> Option<Progress> {
        match any {
            true => self.following.insert(name.clone()),
            false => self.following.remove(name),
        };
        self.unsaved.insert(name.clone());
        self.remembered.remove(name)
    }

    /// Something of this process has changed that may be worth remembering.
    pub(super) fn changed(&mut self, name: &Name) {
        if self.following.contains(name) {
            self.unsaved.insert(name.clone());
        }
    }

    pub(super) fn forget(&mut self, name: &Name) {
        if self.following.remove(name) {
            self.unsaved.insert(name.clone());
        }
    }
}

impl Observed {
    /// Compares the two clocks: deadlines are kept on the one that does not jump, so when the other has, every calendar
    /// is looked at anew.
    pub(super) fn compare_clocks(&mut self, now: Stamp) {
        let before = self.calendars.compared;
        let expected = before.wall.plus(now.at.since(before.at));
        if expected.since(now.wall).max(now.wall.since(expected)) > SLIGHT {
            self.calendars.compared = now;
            for name in &self.calendars.following {
                self.agenda.touch(name);
            }
        }
    }

    /// Those of whose calendars something else is to be remembered than was, and what; `None`: nothing.
    pub fn take_unsaved(&mut self) -> Vec<(Name, Option<Progress>)> {
        let names = std::mem::take(&mut self.calendars.unsaved);
        let progress = |name: &Name| self.records.get(name).and_then(|record| record.progress.clone());
        names.into_iter().map(|name| (name.clone(), progress(&name))).collect()
    }
}
