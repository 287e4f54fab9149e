use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::model::{Moment, Name};

/// Which processes need a look, and when: deadlines as data, so that one wake-up serves all and an event costs the same
/// in a colony of five thousand as in one of five.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    dirty: BTreeSet<Name>,
    due: BTreeSet<(Moment, Name)>,
    at: BTreeMap<Name, Moment>,
    /// Due to be started, and over what one turn may start.
    held: BTreeSet<Name>,
    /// Who of them came last. The next turn goes on from there, or a few that start over and over would keep those
    /// behind them in the alphabet waiting for ever.
    left_off: Option<Name>,
    /// When the round through those that are held began that is under way; none if nobody is held.
    round: Option<Moment>,
    /// When the round before it began: whoever was held then has been looked at.
    done_until: Option<Moment>,
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

    /// Look at this process in the next turn, before those that are dirty then: it may start as soon as there is room.
    pub(super) fn hold(&mut self, name: Name) {
        if self.held.is_empty() {
            self.done_until = self.round.take().or(self.done_until);
            self.left_off = None;
        }
        self.held.insert(name);
    }

    /// Takes out the processes to look at first: those that were held, in turn, as many as may start.
    pub(super) fn take_held(&mut self, limit: usize, now: Moment) -> Vec<Name> {
        let mut names = Vec::new();
        while names.len() < limit {
            let Some(name) = self.next_held(now) else { break };
            self.held.remove(&name);
            // Nobody is looked at twice in one pass.
            self.dirty.remove(&name);
            self.file(name.clone(), None);
            self.left_off = Some(name.clone());
            names.push(name);
        }
        names
    }

    /// Who of those that are held comes next, round after round.
    fn next_held(&mut self, now: Moment) -> Option<Name> {
        let after = self.left_off.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        if let Some(name) = self.held.range::<Name, _>((after, Bound::Unbounded)).next().cloned() {
            self.round.get_or_insert(now);
            return Some(name);
        }
        let first = self.held.first().cloned()?;
        self.done_until = self.round.replace(now);
        Some(first)
    }

    /// Up to when all that was to be done has been done, as far as that is known: before now only while more is to be
    /// started than a turn may.
    pub(super) fn done_until(&self, now: Moment) -> Option<Moment> {
        match self.dirty.is_empty() && self.held.is_empty() {
            true => Some(now),
            false => self.done_until,
        }
    }

    /// Takes out the processes to look at now, in the order of their names.
    pub(super) fn take(&mut self, now: Moment) -> Vec<Name> {
        while self.due.first().is_some_and(|(moment, _)| *moment <= now) {
            if let Some((_, name)) = self.due.pop_first() {
                self.at.remove(&name);
                self.dirty.insert(name);
            }
        }
        std::mem::take(&mut self.dirty).into_iter().collect()
    }

    /// When to look next; `Moment::ZERO` when something waits already.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        match self.dirty.is_empty() && self.held.is_empty() {
            false => Some(Moment::ZERO),
            true => self.due.first().map(|(moment, _)| *moment),
        }
    }

    #[cfg(test)]
    pub(super) fn is_due(&self, name: &Name, now: Moment) -> bool {
        self.dirty.contains(name) || self.held.contains(name) || self.filed_at(name).is_some_and(|at| at <= now)
    }

    #[cfg(test)]
    pub(super) fn filed_at(&self, name: &Name) -> Option<Moment> {
        self.at.get(name).copied()
    }
}
