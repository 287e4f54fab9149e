use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::agenda::Agenda;
use super::calendars::Calendars;
use super::hearts::Vigil;
use super::hooks::{Hook, HookEnd, PostStart, Stage};
use super::order::{Order, Standing};
use super::outcome::Ends;
use super::plan::{Target, Why};
use super::rolling::Rolling;
use super::schedule::Progress;
use super::weight::{Scales, Weight};
use crate::model::{
    Exit, ExitReason, Fingerprint, Incarnation, Moment, Name, ProcessSpec, Signal, Stamp, StartError, Wall,
};

/// What is known of every process. Written by [`Observed::observe`] alone.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub(super) records: BTreeMap<Name, Record>,
    pub(super) agenda: Agenda,
    pub(super) order: Order,
    /// Whose record was touched by the present fact, and what it was before.
    pub(super) stirred: Option<(Name, Standing)>,
    pub(super) ends: Ends,
    pub(super) calendars: Calendars,
    pub(super) rolling: Rolling,
    /// When this monitor was last found to have been stalled; heartbeats from before are no evidence.
    pub(super) stalled_at: Option<Moment>,
    /// Set when most hearts have stopped at once.
    pub(super) vigil: Option<Vigil>,
}

/// What is known of one process.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What it does now.
    pub life: Life,
    /// From what its last start was made, successful or not.
    pub tried: Option<Tried>,
    /// The last start, if it failed.
    pub failed: Option<Failed>,
    /// The end of the last run.
    pub last: Option<End>,
    /// Failures in a row: short runs and failed starts.
    pub streak: u32,
    /// When the last run of a schedule was due that has a rhythm.
    pub slot: Option<Moment>,
    /// How far its calendar has been followed, where it has one.
    pub progress: Option<Progress>,
    /// A restart that was asked for and is not done.
    pub asked: Option<Ask>,
    /// Whether a run of a schedule was asked for, whatever its next time is, and is not begun.
    pub triggered: bool,
    /// Whether a message has stopped it; a message or an edit takes that back.
    pub stopped: bool,
    /// How often what is desired of it has changed.
    pub generation: u64,
    /// What is counted.
    pub tally: Tally,
}

/// What a process does now.
#[derive(Clone, Debug, Default)]
pub enum Life {
    /// Nothing of it runs.
    #[default]
    Down,
    /// Its main process runs.
    Up(Run),
    /// Its main process runs and was told to end.
    Stopping(Run, Stopping),
    /// Its main process has gone; something that it started has not.
    Leaving(Run, Stopping),
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Which one.
    pub id: Incarnation,
    /// By what it is governed: what it was started from, or, after an edit that needs no new run, the edited.
    pub spec: Arc<ProcessSpec>,
    /// Which [`Record::generation`] that was.
    pub generation: u64,
    /// When it began.
    pub since: Stamp,
    /// Whether it was started by a monitor before this one.
    pub inherited: bool,
    /// What is done right after its start.
    pub post_start: PostStart,
    /// What is known of its heartbeat.
    pub pulse: Pulse,
    /// What is known of its memory.
    pub scales: Scales,
    /// Whether the kernel has killed it for its memory; its end is not told yet.
    pub oom_killed: bool,
}

/// A run's heartbeat, as far as it was looked at.
#[derive(Clone, Debug)]
pub struct Pulse {
    /// When it began to be asked for; the grace counts from here.
    pub from: Moment,
    /// When the last beat was seen.
    pub beat: Option<Stamp>,
    /// When a look was last asked for.
    pub looked_at: Moment,
    /// Whether that look has not been answered yet.
    pub looking: bool,
    /// When a look was last given up. What the file was like until then is not known.
    pub blind_at: Option<Moment>,
}

/// The end of a run, under way.
#[derive(Clone, Copy, Debug)]
pub struct Stopping {
    /// Why; `None` when the main process ended of itself.
    pub why: Option<Why>,
    /// Whether the main process was asked, or what is before that.
    pub stage: Stage,
    /// From when the grace counts.
    pub asked_at: Moment,
    /// Whether what the main process started was told, too.
    pub rest_asked: bool,
    /// When SIGKILL was last sent.
    pub killed_at: Option<Moment>,
}

/// From what a start was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tried {
    /// See [`ProcessSpec::born`].
    pub born: Fingerprint,
    /// See [`ProcessSpec::whole`].
    pub whole: Fingerprint,
}

/// A start that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Why.
    pub error: StartError,
    /// When.
    pub at: Stamp,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct End {
    /// What `wait` told.
    pub exit: Exit,
    /// Why we, or the kernel for its memory, ended it; `None` when it ended of itself.
    pub why: Option<Why>,
    /// When it began.
    pub began: Moment,
    /// When its main process ended.
    pub at: Stamp,
    /// How long the run lasted.
    pub lasted: Duration,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ask {
    /// A restart of this process: one that has ended for good runs again.
    Named,
    /// A restart of all or of a group: only what runs, or waits to run again, is meant.
    Broad,
    /// A run of this schedule now, though it be suspended. [`super::may_trigger`] says when that makes no sense.
    Trigger,
}

/// What is counted while the record lives.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Runs begun.
    pub starts: u64,
    /// Starts that failed.
    pub start_failures: u64,
    /// Runs ended, in the order of [`ExitReason::ALL`].
    pub exits: [u64; ExitReason::ALL.len()],
    /// SIGKILLs after a grace.
    pub kills: u64,
    /// Times of a schedule that nothing was run for.
    pub missed: u64,
    /// When a run last ended with success.
    pub last_success: Option<Wall>,
}

/// What became true.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A run began.
    Started(Name, Incarnation, Arc<ProcessSpec>),
    /// A start failed.
    StartFailed(Name, Arc<ProcessSpec>, StartError),
    /// A run of an earlier monitor lives; this spec says how to end it.
    Inherited(Name, Incarnation, Arc<ProcessSpec>),
    /// The living run is governed by this spec from now on.
    Adopted(Name, Arc<ProcessSpec>),
    /// What is done right after the start was begun, or could not be.
    PostStart(Name, Incarnation, Hook),
    /// It is over.
    PostStartOver(Name, Incarnation, HookEnd),
    /// What is done before the stop signal was begun, or could not be.
    PreStop(Name, Incarnation, Why, Hook),
    /// It is over, well or not.
    PreStopOver(Name, Incarnation),
    /// A signal was sent, or at least tried: a refusal is logged, and waiting for its effect is all that is left.
    Signalled(Name, Incarnation, Target, Signal, Why),
    /// Its heart has stopped as most have at once: nothing is restarted for that for so long.
    Held(Name, Duration),
    /// A look at the heartbeat was asked for.
    Looking(Name, Incarnation),
    /// The look found a beat since the one before.
    Beat(Name, Incarnation),
    /// The look found none.
    NoBeat(Name, Incarnation),
    /// The look was given up: whether there was a beat is not known.
    Blind(Name, Incarnation),
    /// A run is being weighed.
    Weighing(Name, Incarnation),
    /// A weighing was answered.
    Weighed(Name, Incarnation, Weight),
    /// The kernel has killed the main process for want of memory. Its end is told next.
    OomKilled(Name, Incarnation),
    /// The main process ended; the flag says whether something that it started is left.
    Exited(Name, Incarnation, Exit, bool),
    /// Nothing of the run is left.
    Emptied(Name, Incarnation),
    /// A restart is asked for, or a run.
    Asked(Name, Ask),
    /// Somebody wants it stopped, until further notice.
    StopAsked(Name),
    /// Somebody wants it started, now, if it is not up.
    StartAsked(Name),
    /// The desired state of this process has changed.
    Edited(Name),
    /// It is to be looked at, whatever was heard.
    Touched(Name),
    /// The process is no longer wanted and nothing of it is left.
    Forgotten(Name),
    /// The monitor itself did not run for a while.
    Stalled,
    /// How far the monitor before this one has followed the calendar of a process.
    Remembered(Name, Progress),
    /// This calendar is followed from now on.
    Following(Name, Option<Arc<str>>),
}

impl Observed {
    /// What is known of each process, by name.
    pub fn records(&self) -> &BTreeMap<Name, Record> {
        &self.records
    }

    /// When to look next, whatever happens in between; `Moment::ZERO`: now.
    pub fn wake_at(&self) -> Option<Moment> {
        self.agenda.wake_at()
    }

    /// Folds a fact in. It decides nothing and cannot fail; a fact about a run that is not the present one is dropped.
    pub fn observe(&mut self, fact: Fact, now: Stamp) {
        self.fold(fact, now);
        if let Some((name, before)) = self.stirred.take() {
            self.tell_dependents(&name, before);
        }
    }

    fn fold(&mut self, fact: Fact, now: Stamp) {
        match fact {
            Fact::Started(name, id, spec) => {
                self.calendars.changed(&name);
                self.record(name).started(id, spec, now);
            }
            Fact::StartFailed(name, spec, error) => self.record(name).start_failed(&spec, error, now),
            Fact::Inherited(name, id, spec) => self.record(name).inherited(id, spec, now),
            Fact::Adopted(name, spec) => self.record(name).adopted(spec, now.at),
            Fact::PostStart(name, id, hook) => self.of_run(&name, id, |record| record.post_start(hook)),
            Fact::PostStartOver(name, id, end) => self.of_run(&name, id, |record| record.post_start_over(end)),
            Fact::PreStop(name, id, why, hook) => {
                let is_turn = why == Why::HeartbeatStale && self.is_up(&name, id);
                self.of_run(&name, id, |record| record.pre_stop(why, hook, now.at));
                if is_turn {
                    self.takes_turn(&name, now.at);
                }
            }
            Fact::PreStopOver(name, id) => self.of_run(&name, id, Record::pre_stop_over),
            Fact::Signalled(name, id, target, signal, why) => {
                let is_turn = why == Why::HeartbeatStale && self.is_up(&name, id);
                self.of_run(&name, id, |record| record.signalled(target, signal, why, now.at));
                if is_turn {
                    self.takes_turn(&name, now.at);
                }
                if why == Why::Undying {
                    self.give_up_on(&name);
                }
            }
            Fact::Held(name, period) => self.held(&name, period, now.at),
            Fact::Looking(name, id) => self.of_run(&name, id, |record| record.looking(now.at)),
            Fact::Beat(name, id) => {
                self.of_run(&name, id, |record| record.looked(Some(now)));
                self.beats(&name, id, now.at);
            }
            Fact::NoBeat(name, id) => self.of_run(&name, id, |record| record.looked(None)),
            Fact::Blind(name, id) => self.of_run(&name, id, |record| record.blind(now.at)),
            Fact::Weighing(name, id) => self.of_run(&name, id, |record| record.weighing(now.at)),
            Fact::Weighed(name, id, weight) => self.of_run(&name, id, |record| record.weighed(weight)),
            Fact::OomKilled(name, id) => self.of_run(&name, id, Record::oom_killed),
            Fact::Exited(name, id, exit, rest) => self.of_run(&name, id, |record| record.exited(exit, rest, now)),
            Fact::Emptied(name, id) => self.of_run(&name, id, Record::emptied),
            Fact::Asked(name, ask) => self.record(name).asked(ask),
            Fact::StopAsked(name) => self.record(name).stop_asked(),
            Fact::StartAsked(name) => self.record(name).start_asked(),
            Fact::Edited(name) => self.record(name).edited(),
            Fact::Touched(name) => self.touch(&name),
            Fact::Forgotten(name) => {
                self.records.remove(&name);
                self.calendars.forget(&name);
                self.agenda.file(name, None);
            }
            Fact::Stalled => self.stalled_at = Some(now.at),
            Fact::Remembered(name, progress) => self.calendars.remember(name, progress),
            Fact::Following(name, calendar) => {
                let before = self.calendars.follow(&name, calendar.is_some());
                self.record(name).follow(calendar, before, now);
            }
        }
    }

    fn record(&mut self, name: Name) -> &mut Record {
        self.touch(&name);
        let record = self.records.entry(name.clone()).or_default();
        self.stirred = Some((name, Standing::of(record)));
        record
    }

    fn of_run(&mut self, name: &Name, id: Incarnation, fold: impl FnOnce(&mut Record)) {
        let Some(record) = self.records.get_mut(name) else { return };
        if record.life.run().is_some_and(|run| run.id == id) {
            self.stirred = Some((name.clone(), Standing::of(record)));
            fold(record);
            self.touch(name);
        }
    }
}

impl Life {
    /// The run that lives, or whose rest does.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Life::Down => None,
            Life::Up(run) | Life::Stopping(run, _) | Life::Leaving(run, _) => Some(run),
        }
    }

    fn run_mut(&mut self) -> Option<&mut Run> {
        match self {
            Life::Down => None,
            Life::Up(run) | Life::Stopping(run, _) | Life::Leaving(run, _) => Some(run),
        }
    }
}

impl Record {
    fn started(&mut self, id: Incarnation, spec: Arc<ProcessSpec>, now: Stamp) {
        let tried = Tried::of(&spec);
        if self.tried != Some(tried) {
            self.streak = 0;
        }
        if let Some(schedule) = &spec.schedule {
            self.take_time(schedule, now);
        }
        self.tried = Some(tried);
        self.failed = None;
        self.asked = None;
        self.triggered = false;
        self.tally.starts += 1;
        self.life = Life::Up(Run { generation: self.generation, ..Run::new(id, spec, now) });
    }

    fn start_failed(&mut self, spec: &ProcessSpec, error: StartError, now: Stamp) {
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

    fn inherited(&mut self, id: Incarnation, spec: Arc<ProcessSpec>, now: Stamp) {
        self.life = Life::Up(Run { inherited: true, ..Run::new(id, spec, now) });
    }

    fn adopted(&mut self, spec: Arc<ProcessSpec>, now: Moment) {
        self.tried = Some(Tried::of(&spec));
        // Whoever edits a file need not wait, whether the process was up at that moment or down.
        self.streak = 0;
        if let Some(run) = self.life.run_mut() {
            if run.spec.heartbeat != spec.heartbeat {
                // Nobody has looked at that file yet, and a beat can only be told from a first look: it is due at once. A
                // look that is under way stays so: its answer is not one to a look that is yet to be made.
                run.pulse = Pulse { from: now, beat: None, looked_at: Moment::ZERO, ..run.pulse };
            }
            run.spec = spec;
            run.generation = self.generation;
        }
    }

    fn post_start(&mut self, hook: Hook) {
        if let Some(run) = self.life.run_mut() {
            run.post_start = match hook {
                Hook::UnderWay => PostStart::UnderWay,
                Hook::Over => PostStart::Failed,
            };
        }
    }

    fn post_start_over(&mut self, end: HookEnd) {
        if let Some(run) = self.life.run_mut() {
            run.post_start = match end {
                HookEnd::Well => PostStart::Done,
                HookEnd::Failed => PostStart::Failed,
            };
        }
    }

    fn pre_stop(&mut self, why: Why, hook: Hook, now: Moment) {
        let stage = match hook {
            Hook::UnderWay => Stage::PreStop,
            Hook::Over => Stage::PreStopOver,
        };
        self.life = match std::mem::take(&mut self.life) {
            Life::Up(run) => Life::Stopping(run, Stopping { stage, ..Stopping::new(Some(why), now) }),
            other @ (Life::Down | Life::Stopping(..) | Life::Leaving(..)) => other,
        };
    }

    fn pre_stop_over(&mut self) {
        if let Life::Stopping(_, stopping) | Life::Leaving(_, stopping) = &mut self.life
            && stopping.stage == Stage::PreStop
        {
            stopping.stage = Stage::PreStopOver;
        }
    }

    fn signalled(&mut self, target: Target, signal: Signal, why: Why, now: Moment) {
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

    fn looking(&mut self, now: Moment) {
        if let Some(run) = self.life.run_mut() {
            run.pulse.looked_at = now;
            run.pulse.looking = true;
        }
    }

    fn looked(&mut self, beat: Option<Stamp>) {
        if let Some(run) = self.life.run_mut() {
            run.pulse.looking = false;
            run.pulse.beat = beat.or(run.pulse.beat);
        }
    }

    fn blind(&mut self, now: Moment) {
        if let Some(run) = self.life.run_mut() {
            run.pulse.looking = false;
            run.pulse.blind_at = Some(now);
        }
    }

    fn weighing(&mut self, now: Moment) {
        if let Some(run) = self.life.run_mut() {
            run.scales.asked(now);
        }
    }

    fn weighed(&mut self, weight: Weight) {
        if let Some(run) = self.life.run_mut() {
            run.scales.answered(weight);
        }
    }

    fn oom_killed(&mut self) {
        if let Some(run) = self.life.run_mut() {
            run.oom_killed = true;
        }
    }

    fn exited(&mut self, exit: Exit, rest: bool, now: Stamp) {
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

    fn ended(&mut self, run: &Run, end: End) {
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

    fn emptied(&mut self) {
        if let Life::Leaving(..) = self.life {
            self.life = Life::Down;
        }
    }

    fn asked(&mut self, ask: Ask) {
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

    fn stop_asked(&mut self) {
        self.stopped = true;
        self.asked = None;
        self.triggered = false;
    }

    /// What is up stays as it is; what is down, or on its way there, is started as by a restart.
    fn start_asked(&mut self) {
        self.stopped = false;
        match self.life {
            Life::Up(_) => {}
            Life::Down | Life::Stopping(..) | Life::Leaving(..) => self.asked = Some(Ask::Named),
        }
    }

    fn edited(&mut self) {
        self.generation += 1;
        self.stopped = false;
    }
}

impl Run {
    fn new(id: Incarnation, spec: Arc<ProcessSpec>, now: Stamp) -> Run {
        let (pulse, scales) = (Pulse::new(now.at), Scales::default());
        let post_start = if spec.post_start.is_some() { PostStart::Due } else { PostStart::Done };
        Run { id, spec, generation: 0, since: now, inherited: false, post_start, pulse, scales, oom_killed: false }
    }
}

impl Stopping {
    fn new(why: Option<Why>, asked_at: Moment) -> Stopping {
        Stopping { why, stage: Stage::Asked, asked_at, rest_asked: false, killed_at: None }
    }
}

impl Pulse {
    fn new(from: Moment) -> Pulse {
        Pulse { from, beat: None, looked_at: from, looking: false, blind_at: None }
    }
}

impl Tried {
    pub(super) fn of(spec: &ProcessSpec) -> Tried {
        Tried { born: spec.born, whole: spec.whole }
    }
}

impl End {
    /// Whether the run did what it was for: code 0, and of itself. What we end for a stale heartbeat may still say 0.
    pub fn is_success(&self) -> bool {
        self.why.is_none() && self.exit.is_success()
    }

    /// Whether the process is to blame: it neither succeeded nor was asked to end.
    pub fn is_failure(&self) -> bool {
        !self.is_success() && !self.why.is_some_and(Why::is_request)
    }

    /// Why, in the metric's words.
    pub fn reason(&self) -> ExitReason {
        match (self.why, self.exit) {
            (Some(Why::HeartbeatStale), _) => ExitReason::Heartbeat,
            (Some(Why::MemoryExceeded(_) | Why::OomKilled), _) => ExitReason::Oom,
            (Some(Why::PostStartFailed), _) => ExitReason::Error,
            (Some(Why::DeadlineExceeded), _) => ExitReason::Deadline,
            (Some(_), _) => ExitReason::Requested,
            (None, Exit::Code(0)) => ExitReason::Completed,
            (None, Exit::Code(_) | Exit::Unknown) => ExitReason::Error,
            (None, Exit::Killed { .. }) => ExitReason::Signal,
        }
    }
}
