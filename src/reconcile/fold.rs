//! How a fact changes what is known of its process. Called by [`super::Observed::observe`] alone.

use std::sync::Arc;

use super::hooks::{Hook, HookEnd, PostStart, Stage};
use super::plan::{Target, Why};
use super::record::{Ask, End, Failed, Life, Pulse, Record, Run, Stopping, Tried};
use super::weight::Weight;
use crate::model::{Exit, ExitReason, Incarnation, Moment, ProcessSpec, Signal, Stamp, StartError};

impl Record {
    pub(super) fn started(&mut self, id: Incarnation, spec: Arc<ProcessSpec>, now: Stamp) {
        let tried = Tried::of(&spec);
        if self.tried != Some(tried) {
            self.streak = 0;
        }
        let (missed_before, time_before) = (self.tally.missed, self.time());
        if let Some(schedule) = &spec.schedule {
            self.take_time(schedule, now);
        }
        let missed = self.tally.missed - missed_before;
        let is_first = self.tally.starts == 0 || self.triggered || self.time() != time_before;
        self.tried = Some(tried);
        self.failed = None;
        self.asked = None;
        self.triggered = false;
        self.tally.starts += 1;
        self.tally.restarts += u64::from(!is_first);
        self.life = Life::Up(Run { generation: self.generation, missed, ..Run::new(id, spec, now) });
    }

    pub(super) fn start_failed(&mut self, spec: &ProcessSpec, error: StartError, now: Stamp) {
        let tried = Tried::of(spec);
        if self.tried != Some(tried) {
            self.streak = 0;
        }
        self.tried = Some(tried);
        self.failed = Some(Failed { error, at: now });
        self.asked = None;
        self.triggered = false;
        self.streak = self.streak.saturating_add(1);
        self.tally.start_failures += 1;
    }

    pub(super) fn inherited(&mut self, id: Incarnation, spec: Arc<ProcessSpec>, now: Stamp) {
        self.life = Life::Up(Run { inherited: true, ..Run::new(id, spec, now) });
    }

    pub(super) fn adopted(&mut self, spec: Arc<ProcessSpec>, now: Moment) {
        self.tried = Some(Tried::of(&spec));
        // Whoever edits a file need not wait, whether the process was up at that moment or down.
        self.streak = 0;
        if let Some(run) = self.life.run_mut() {
            if run.spec.heartbeat != spec.heartbeat {
                // Nobody has looked at that file yet, and a beat can only be told from a first look: it is due at once. A
                // look that is under way stays so: its answer is not one to a look that is yet to be made.
                run.pulse = Pulse { from: now, beat: None, looked_at: Moment::ZERO, ..run.pulse };
            }
            run.probe_as(&spec, now);
            run.spec = spec;
            run.generation = self.generation;
        }
    }

    pub(super) fn post_start(&mut self, hook: Hook) {
        if let Some(run) = self.life.run_mut() {
            run.post_start = match hook {
                Hook::UnderWay => PostStart::UnderWay,
                Hook::Over => PostStart::Failed,
            };
        }
    }

    pub(super) fn post_start_over(&mut self, end: HookEnd, now: Moment) {
        if let Some(run) = self.life.run_mut() {
            run.post_start = match end {
                HookEnd::Well => PostStart::Done,
                HookEnd::Failed => PostStart::Failed,
            };
            run.is_asked_from(now);
        }
    }

    pub(super) fn pre_stop(&mut self, why: Why, hook: Hook, now: Moment) {
        let stage = match hook {
            Hook::UnderWay => Stage::PreStop,
            Hook::Over => Stage::PreStopOver,
        };
        self.life = match std::mem::take(&mut self.life) {
            Life::Up(run) => Life::Stopping(run, Stopping { stage, ..Stopping::new(Some(why), now) }),
            other @ (Life::Down | Life::Stopping(..) | Life::Leaving(..)) => other,
        };
    }

    pub(super) fn pre_stop_over(&mut self) {
        if let Life::Stopping(_, stopping) | Life::Leaving(_, stopping) = &mut self.life
            && stopping.stage == Stage::PreStop
        {
            stopping.stage = Stage::PreStopOver;
        }
    }

    pub(super) fn signalled(&mut self, target: Target, signal: Signal, why: Why, now: Moment) {
        let stopping = match &mut self.life {
            Life::Down => return,
            Life::Up(_) => Stopping::new(Some(why), now),
            Life::Stopping(_, stopping) | Life::Leaving(_, stopping) => *stopping,
        };
        let killed = signal == Signal::KILL;
        if killed && stopping.killed_at.is_none() && matches!(why, Why::GraceOver | Why::CutShort) {
            self.tally.kills += 1;
        }
        let stopping = Stopping {
            stage: Stage::Asked,
            rest_asked: stopping.rest_asked || target == Target::Tree,
            killed_at: if killed { Some(now) } else { stopping.killed_at },
            ..stopping
        };
        self.life = match std::mem::take(&mut self.life) {
            Life::Down => Life::Down,
            Life::Up(run) | Life::Stopping(run, _) => Life::Stopping(run, stopping),
            Life::Leaving(run, _) => Life::Leaving(run, stopping),
        };
    }

    pub(super) fn looking(&mut self, now: Moment) {
        if let Some(run) = self.life.run_mut() {
            run.pulse.looked_at = now;
            run.pulse.looking = true;
        }
    }

    pub(super) fn looked(&mut self, beat: Option<Stamp>) {
        if let Some(run) = self.life.run_mut() {
            run.pulse.looking = false;
            run.pulse.beat = beat.or(run.pulse.beat);
        }
    }

    pub(super) fn blind(&mut self, now: Moment) {
        if let Some(run) = self.life.run_mut() {
            run.pulse.looking = false;
            run.pulse.blind_at = Some(now);
        }
    }

    pub(super) fn weighing(&mut self, now: Moment) {
        if let Some(run) = self.life.run_mut() {
            run.scales.asked(now);
        }
    }

    pub(super) fn weighed(&mut self, weight: Weight) {
        if let Some(run) = self.life.run_mut() {
            run.scales.answered(weight);
        }
    }

    pub(super) fn oom_killed(&mut self) {
        if let Some(run) = self.life.run_mut() {
            run.oom_killed = true;
        }
    }

    pub(super) fn exited(&mut self, exit: Exit, rest: bool, now: Stamp) {
        let (run, stopping) = match std::mem::take(&mut self.life) {
            Life::Up(run) => (run, Stopping::new(None, now.at)),
            Life::Stopping(run, stopping) => (run, stopping),
            // Its end was told already.
            other @ (Life::Down | Life::Leaving(..)) => {
                self.life = other;
                return;
            }
        };
        let why = stopping.why.or(run.oom_killed.then_some(Why::OomKilled));
        self.ended(&run, End { exit, why, began: run.since.at, at: now, lasted: now.at.since(run.since.at) });
        self.life = if rest { Life::Leaving(run, stopping) } else { Life::Down };
    }

    pub(super) fn ended(&mut self, run: &Run, end: End) {
        let reason = end.reason();
        self.tally.exits[reason as usize] += 1;
        if reason == ExitReason::Completed {
            self.tally.last_success = Some(end.at.wall);
        }
        // An end that was asked for is no failure: it neither makes nor clears a streak.
        if !end.why.is_some_and(Why::is_request) {
            let good = end.lasted >= run.spec.backoff.threshold;
            self.streak = if good { 0 } else { self.streak.saturating_add(1) };
        }
        self.failed = None;
        self.last = Some(end);
    }

    pub(super) fn emptied(&mut self) {
        if let Life::Leaving(..) = self.life {
            self.life = Life::Down;
        }
    }

    pub(super) fn asked(&mut self, ask: Ask) {
        match (ask, self.asked) {
            (Ask::Named, _) => {
                self.asked = Some(Ask::Named);
                self.stopped = false;
            }
            // What a person has stopped rests, as what has ended for good does.
            (Ask::Broad, None) if !self.stopped => self.asked = Some(Ask::Broad),
            (Ask::Broad, _) => {}
            (Ask::Trigger, _) => self.triggered = self.takes_trigger(),
        }
    }

    pub(super) fn stop_asked(&mut self) {
        self.stopped = true;
        self.asked = None;
        self.triggered = false;
    }

    /// What is up stays as it is; what is down, or on its way there, is started as by a restart.
    pub(super) fn start_asked(&mut self) {
        self.stopped = false;
        match self.life {
            Life::Up(_) => {}
            Life::Down | Life::Stopping(..) | Life::Leaving(..) => self.asked = Some(Ask::Named),
        }
    }

    pub(super) fn edited(&mut self) {
        self.generation += 1;
        self.stopped = false;
    }
}
