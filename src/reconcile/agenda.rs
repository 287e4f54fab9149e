use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Moment, Name};

/// Which processes need a look, and when: deadlines as data, so that one wake-up serves all and an event costs the same
/// in a colony of five thousand as in one of five.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    dirty: BTreeSet<Name>,
    due: BTreeSet<(Moment, Name)>,
    at: BTreeMap<Name, Moment>,
}

impl Agenda {
    /// Something about this process changed: look at it now.
    pub(super) fn touch(&mut self, name: &Name) {
        if !self.dirty.contains(name) {
            self.dirty.insert(name.clone());
        }
    }

    /// Look at this process at that moment, and not before unless it is touched.
    pub(super) fn file(&mut self, name: Name, wait: Option<Moment>) {
        if let Some(before) = self.at.remove(&name) {
            self.due.remove(&(before, name.clone()));
        }
        if let Some(moment) = wait {
            self.due.insert((moment, name.clone()));
            self.at.insert(name, moment);
        }
    }

    /// Takes out, in the order of their names, the processes to look at now; at most `limit`, the rest stay.
    pub(super) fn take(&mut self, now: Moment, limit: usize) -> Vec<Name> {
        while self.due.first().is_some_and(|(moment, _)| *moment <= now) {
            if let Some((_, name)) = self.due.pop_first() {
                self.at.remove(&name);
                self.dirty.insert(name);
            }
        }
        if self.dirty.len() <= limit {
            return std::mem::take(&mut self.dirty).into_iter().collect();
        }
        (0..limit).filter_map(|_| self.dirty.pop_first()).collect()
    }

    /// When to look next; `Moment::ZERO` when something waits already.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        match self.dirty.is_empty() {
            false => Some(Moment::ZERO),
            true => self.due.first().map(|(moment, _)| *moment),
        }
    }

    #[cfg(test)]
    pub(super) fn is_due(&self, name: &Name, now: Moment) -> bool {
        self.dirty.contains(name) || self.filed_at(name).is_some_and(|at| at <= now)
    }

    #[cfg(test)]
    pub(super) fn filed_at(&self, name: &Name) -> Option<Moment> {
        self.at.get(name).copied()
    }
}
