//! How well a run is, and what an outsider has written down about its probes: thresholds, gates and times, read a second
//! time, from their description.

use super::machine::{Fate, SimRun};
use crate::PostStart;
use crate::model::{Moment, Probe, ProbeKind, ProcessSpec};

/// How well a run is, and what an outsider has written down about its probes.
pub(super) struct Health {
    well_from: Moment,
    pub(super) well_until: Moment,
    /// Since when it counts as started.
    pub(super) started_at: Option<Moment>,
    /// Since when what is done right after its start is done.
    pub(super) warm_at: Moment,
    /// When its file was last edited: until then it may not have been asked.
    pub(super) edited_at: Moment,
    pub(super) books: Vec<Book>,
}

/// What was told of one probe.
pub(super) struct Book {
    pub(super) probe: Probe,
    /// Since when it is asked so: the run's start, or an edit.
    from: Moment,
    /// When the last one was begun.
    pub(super) begun_at: Option<Moment>,
    pub(super) is_under_way: bool,
    /// All that counts, in turn.
    pub(super) told: Vec<(Moment, Told)>,
    /// When nothing was shown.
    pub(super) unknown: Vec<Moment>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    /// By a probe: whether all is well.
    Shown(bool),
    /// By the process itself, or by the probe that was there before an edit.
    Said(bool),
}

impl Health {
    pub(super) fn new(spec: &ProcessSpec, fate: &Fate, now: Moment) -> Health {
        Health {
            well_from: now + fate.well_after,
            well_until: now + fate.well_after + fate.well_for,
            started_at: has_no_startup(spec).then_some(now),
            warm_at: now,
            edited_at: now,
            books: spec.probes.iter().map(|probe| Book::new(probe, now)).collect(),
        }
    }

    pub(super) fn is_well(&self, now: Moment) -> bool {
        (self.well_from..self.well_until).contains(&now)
    }

    /// Since when it has not been well, if it is not.
    pub(super) fn ails_since(&self, now: Moment) -> Option<Moment> {
        match (now < self.well_from, self.well_until <= now) {
            (true, _) => Some(Moment::ZERO),
            (false, true) => Some(self.well_until),
            (false, false) => None,
        }
    }

    pub(super) fn book(&self, kind: ProbeKind) -> Option<&Book> {
        self.books.iter().find(|book| book.probe.kind == kind)
    }

    pub(super) fn book_mut(&mut self, kind: ProbeKind) -> Option<&mut Book> {
        self.books.iter_mut().find(|book| book.probe.kind == kind)
    }

    pub(super) fn verdict(&self, kind: ProbeKind) -> Option<bool> {
        self.book(kind).and_then(Book::verdict)
    }

    /// Another spec governs the run: probes that are not the same begin anew, and what was well counts as well.
    pub(super) fn adopts(&mut self, spec: &ProcessSpec, now: Moment) {
        let before = std::mem::take(&mut self.books);
        let mut before: Vec<Option<Book>> = before.into_iter().map(Some).collect();
        for probe in &spec.probes {
            let old = before.iter_mut().find(|old| old.as_ref().is_some_and(|old| old.probe.kind == probe.kind));
            let book = match old.and_then(Option::take) {
                Some(old) if old.probe == *probe => old,
                Some(old) if old.verdict() == Some(true) => {
                    Book { told: vec![(now, Told::Said(true))], ..Book::new(probe, now) }
                }
                Some(_) | None => Book::new(probe, now),
            };
            self.books.push(book);
        }
        if has_no_startup(spec) {
            self.started_at = self.started_at.or(Some(now));
        }
    }

    pub(super) fn hears(&mut self, kind: ProbeKind, told: Told, now: Moment) {
        let Some(book) = self.book_mut(kind) else { return };
        book.told.push((now, told));
        if kind == ProbeKind::Startup && book.verdict() == Some(true) {
            self.started_at = self.started_at.or(Some(now));
        }
    }
}

impl Book {
    fn new(probe: &Probe, now: Moment) -> Book {
        let probe = probe.clone();
        let (told, unknown) = (Vec::new(), Vec::new());
        Book { probe, from: now, begun_at: None, is_under_way: false, told, unknown }
    }

    /// What was last made sure of, by so many equal results in a row, or by a word.
    pub(super) fn verdict(&self) -> Option<bool> {
        let needed = |well| if well { self.probe.success_threshold } else { self.probe.failure_threshold } as usize;
        (0..self.told.len()).rev().find_map(|last| match self.told[last].1 {
            Told::Said(well) => Some(well),
            Told::Shown(well) => {
                let first = (last + 1).checked_sub(needed(well))?;
                self.told[first..=last].iter().all(|(_, told)| *told == Told::Shown(well)).then_some(well)
            }
        })
    }

    /// When the first is due, of a run that began then.
    pub(super) fn first(&self, since: Moment) -> Moment {
        let first = (since + self.probe.initial_delay).max(self.from);
        if self.probe.handler.is_passive() { first + self.probe.period } else { first }
    }

    pub(super) fn due(&self, run: &SimRun, stalled_at: Moment) -> Moment {
        let due = match self.begun_at {
            Some(at) => at + self.probe.period,
            None => self.first(run.since),
        };
        if !self.probe.handler.is_passive() {
            return due;
        }
        let started_at = run.health.started_at.filter(|_| self.probe.kind != ProbeKind::Startup);
        let listens_from = run.health.warm_at.max(started_at.unwrap_or(Moment::ZERO)).max(stalled_at);
        due.max(listens_from + self.probe.period)
    }
}

fn has_no_startup(spec: &ProcessSpec) -> bool {
    !spec.probes.iter().any(|probe| probe.kind == ProbeKind::Startup)
}

/// Whether a run is asked such questions at all: those about the startup until it has started, the others from then on.
pub(super) fn is_asked(run: &SimRun, kind: ProbeKind) -> bool {
    let is_startup = kind == ProbeKind::Startup;
    run.post_start == PostStart::Done && is_startup == run.health.started_at.is_none()
}

/// The probe for which a run is to be ended, if there is one.
pub(super) fn failed(run: &SimRun) -> Option<ProbeKind> {
    let ends = |kind: &ProbeKind| *kind != ProbeKind::Readiness && is_asked(run, *kind);
    ProbeKind::ALL.into_iter().filter(ends).find(|kind| run.health.verdict(*kind) == Some(false))
}

impl SimRun {
    /// Whether it does what it is for, as far as was told.
    pub(super) fn is_well(&self) -> bool {
        let readiness = self.health.book(ProbeKind::Readiness);
        let is_ready = readiness.is_none_or(|book| book.verdict() == Some(true));
        let beats = self.spec.heartbeat.is_none() || self.beaten;
        self.post_start == PostStart::Done && beats && is_ready && self.health.started_at.is_some()
    }

    /// A probe is over. Whether that means anything to anybody.
    pub(super) fn takes(&mut self, kind: ProbeKind, shown: Option<bool>, now: Moment) -> bool {
        if self.empty_told {
            return false;
        }
        let Some(book) = self.health.book_mut(kind).filter(|book| book.is_under_way) else { return false };
        book.is_under_way = false;
        match shown {
            Some(well) => self.health.hears(kind, Told::Shown(well), now),
            None => book.unknown.push(now),
        }
        true
    }
}
