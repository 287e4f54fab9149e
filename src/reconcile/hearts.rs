//! Hearts that stop together. When most do at once it is rather the machine's or the file system's fault than theirs (a
//! disk that is full, where nobody can beat), and to restart all would make it worse: so nothing is restarted for that for
//! one period, and then one after the other.

use std::time::Duration;

use super::observed::Observed;

use super::plan::{Action, Why};
use super::record::{Life, Record, Run};
use super::timing::{self, Pulsing};
use crate::model::{Heartbeat, Incarnation, Moment, Name};

/// Fewer are no crowd.
const CROWD: usize = 3;

/// Most hearts have stopped at once, and a restart for that takes its turn.
#[derive(Clone, Debug)]
pub(super) struct Vigil {
    since: Moment,
    /// Nobody is restarted for its heart before that.
    free_at: Moment,
    /// Who was last. As soon as it beats, the next may.
    last: Option<Name>,
}

/// What a heart that has stopped comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Silence {
    /// It is restarted.
    Alone,
    /// It is one of many, which was not known yet.
    Common,
    /// It is one of many, and is not restarted before that moment.
    Held(Moment),
}

impl Observed {
    /// Judges a run whose heart has stopped.
    pub(super) fn silence(&self, heartbeat: &Heartbeat, run: &Run, now: Moment) -> Silence {
        match &self.vigil {
            Some(vigil) if now < vigil.free_at => Silence::Held(vigil.free_at),
            Some(vigil) if vigil.lasts(heartbeat.period, now) => match run.since.at >= vigil.since {
                // It had its turn: others first.
                true => Silence::Held(vigil.free_at + heartbeat.period),
                false => Silence::Alone,
            },
            Some(_) | None if self.most_are_silent(now) => Silence::Common,
            Some(_) | None => Silence::Alone,
        }
    }

    /// Whether a process's heart has stopped, and it is held for the sake of the others.
    pub(super) fn is_held(&self, record: &Record, now: Moment) -> bool {
        let Life::Up(run) = &record.life else { return false };
        run.spec.heartbeat.as_ref().is_some_and(|heartbeat| {
            timing::pulse(heartbeat, run, self.stalled_at, now) == Pulsing::Stale
                && matches!(self.silence(heartbeat, run, now), Silence::Held(_))
        })
    }

    /// Whether another has taken the turn in which this was planned.
    pub(super) fn must_wait(&self, action: &Action, now: Moment) -> bool {
        let is_held = || self.vigil.as_ref().is_some_and(|vigil| now < vigil.free_at);
        match action {
            Action::Signal(name, run, .., Why::HeartbeatStale) | Action::PreStop(name, run, Why::HeartbeatStale) => {
                self.is_up(name, *run) && is_held()
            }
            Action::Hold(..) => is_held(),
            Action::Start(..)
            | Action::PostStart(..)
            | Action::Signal(..)
            | Action::PreStop(..)
            | Action::EndPreStop(..)
            | Action::Adopt(..)
            | Action::Look(..)
            | Action::Probe(..)
            | Action::Weigh(..)
            | Action::Follow(..)
            | Action::Forget(_) => false,
        }
    }

    /// When the next may be restarted for its heart, while they take turns.
    #[cfg(test)]
    pub(super) fn free_at(&self) -> Option<Moment> {
        self.vigil.as_ref().map(|vigil| vigil.free_at)
    }

    pub(super) fn held(&mut self, name: &Name, period: Duration, now: Moment) {
        self.vigil = Some(Vigil { since: now, free_at: now + period, last: None });
        self.agenda.touch(name);
    }

    /// A run is ended for its heart: it is its turn, until it beats again or has had its time.
    pub(super) fn takes_turn(&mut self, name: &Name, now: Moment) {
        let run = self.records.get(name).and_then(|record| record.life.run());
        let Some((heartbeat, grace)) = run.and_then(|run| Some((run.spec.heartbeat.as_ref()?, run.spec.stop.grace)))
        else {
            return;
        };
        if let Some(vigil) = self.vigil.as_mut().filter(|vigil| vigil.lasts(heartbeat.period, now)) {
            vigil.free_at = now + grace + timing::first_grace(heartbeat);
            vigil.last = Some(name.clone());
        }
    }

    /// Whether this run is up, and was not told to end yet.
    pub(super) fn is_up(&self, name: &Name, id: Incarnation) -> bool {
        match self.records.get(name).map(|record| &record.life) {
            Some(Life::Up(run)) => run.id == id,
            Some(Life::Down | Life::Stopping(..) | Life::Leaving(..)) | None => false,
        }
    }

    /// A heart beats.
    pub(super) fn beats(&mut self, name: &Name, run: Incarnation, now: Moment) {
        let is_up = self.is_up(name, run);
        let Some(vigil) = self.vigil.as_mut().filter(|vigil| is_up && vigil.last.as_ref() == Some(name)) else {
            return;
        };
        (vigil.free_at, vigil.last) = (vigil.free_at.min(now), None);
        for (name, record) in &self.records {
            if record.life.run().is_some_and(|run| run.spec.heartbeat.is_some()) {
                self.agenda.touch(name);
            }
        }
    }

    fn most_are_silent(&self, now: Moment) -> bool {
        let hearts = self.records.values().filter_map(|record| is_silent(record, self.stalled_at, now));
        let (all, silent) = hearts.fold((0, 0), |(all, silent), is_silent| (all + 1, silent + usize::from(is_silent)));
        silent >= CROWD && silent * 2 > all
    }
}

impl Vigil {
    /// Whether another heart that stops now is still part of it.
    fn lasts(&self, period: Duration, now: Moment) -> bool {
        now < self.free_at + period
    }
}

/// Whether a heart that should beat has not for a good while; `None` where nothing can be said.
fn is_silent(record: &Record, stalled_at: Option<Moment>, now: Moment) -> Option<bool> {
    let run = record.life.run().filter(|run| !run.inherited)?;
    let heartbeat = run.spec.heartbeat.as_ref()?;
    match &record.life {
        Life::Down => None,
        Life::Up(run) => match run.pulse.beat {
            // Not its whole period: they do not stop in step.
            Some(beat) => Some(beat.at + heartbeat.period / 2 <= now),
            None if timing::expires_at(heartbeat, &run.pulse, stalled_at) <= now => Some(true),
            None => {
                let last = record.last.as_ref().filter(|last| last.why == Some(Why::HeartbeatStale))?;
                (now < last.at.at + heartbeat.period).then_some(true)
            }
        },
        Life::Stopping(_, stopping) | Life::Leaving(_, stopping) => {
            (stopping.why == Some(Why::HeartbeatStale)).then_some(true)
        }
    }
}
