use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::desired::{Desired, Haste};
use super::hearts::Silence;
use super::hooks::{self, Cut, Next, PostStart, Stage};
use super::observed::Observed;
use super::probes::{self, Probed};
use super::record::{Life, Record, Run, Stopping};
use super::rolling;
use super::schedule;
use super::timing::{self, Due, Pulsing};
use super::weight::{self, Excess, Weighing};
use crate::model::{Incarnation, Kill, Moment, Name, ProbeKind, ProcessSpec, Signal, Stamp};

/// Why something is done: one value for the log, the metrics and whoever asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// Its file appeared.
    Created,
    /// The last run ended, and had lasted long enough.
    Ended,
    /// The wait after a failure is over.
    BackoffOver,
    /// Its time has come.
    Scheduled,
    /// A message asked for it.
    Requested,
    /// A message asked for a run of the schedule.
    Triggered,
    /// Its file went away.
    Removed,
    /// Its file says `suspend`.
    Suspended,
    /// A message stopped it.
    Stopped,
    /// It was removed or suspended, and was wanted again before it was gone, or is suspended no more.
    WantedAgain,
    /// Its file changed in what a run is born with.
    SpecChanged,
    /// Its heartbeat stopped.
    HeartbeatStale,
    /// This probe of it failed.
    ProbeFailed(ProbeKind),
    /// What was to be done right after its start failed.
    PostStartFailed,
    /// It has more memory than it may.
    MemoryExceeded(Excess),
    /// The kernel killed it for want of memory.
    OomKilled,
    /// It lasted longer than it may.
    DeadlineExceeded,
    /// The next run of its schedule is due.
    Replaced,
    /// The monitor ends.
    Shutdown,
    /// It was started by a monitor that is no more.
    Inherited,
    /// Its main process ended, and this was left.
    LeftBehind,
    /// It had its grace.
    GraceOver,
    /// It had of its grace what the shutdown's time leaves it.
    CutShort,
    /// The monitor was told twice to end.
    Hurried,
    /// It outlived a SIGKILL.
    Undying,
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// The main process.
    Main,
    /// Everything of the run: its group, and what has left the group.
    Tree,
}

/// What to do. Each, executed, yields one fact.
#[derive(Clone, Debug)]
pub enum Action {
    /// Begin a run.
    Start(Name, Arc<ProcessSpec>, Why),
    /// Begin what is to be done right after the start.
    PostStart(Name, Incarnation),
    /// Begin what is to be done before the stop signal.
    PreStop(Name, Incarnation, Why),
    /// End it before it is over.
    EndPreStop(Name, Incarnation, Cut),
    /// Send a signal.
    Signal(Name, Incarnation, Target, Signal, Why),
    /// From now on the living run is governed by this spec.
    Adopt(Name, Arc<ProcessSpec>),
    /// Restart nothing for a heart that has stopped for so long, since most have, this one's among them.
    Hold(Name, Duration),
    /// Look at a run's heartbeat.
    Look(Name, Incarnation),
    /// Begin a probe of a run.
    Probe(Name, Incarnation, ProbeKind),
    /// Weigh a run: how much memory have its processes?
    Weigh(Name, Incarnation),
    /// Follow this calendar from now on, or none.
    Follow(Name, Option<Arc<str>>),
    /// Drop what is known of a process.
    Forget(Name),
}

impl Action {
    /// The process that it is about.
    pub(super) fn name(&self) -> &Name {
        match self {
            Action::Start(name, ..)
            | Action::PostStart(name, _)
            | Action::PreStop(name, ..)
            | Action::EndPreStop(name, ..)
            | Action::Signal(name, ..)
            | Action::Adopt(name, _)
            | Action::Hold(name, _)
            | Action::Look(name, _)
            | Action::Probe(name, ..)
            | Action::Weigh(name, _)
            | Action::Follow(name, _)
            | Action::Forget(name) => name,
        }
    }
}

/// What to do now, and when to look again.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Plan {
    /// In the order of the names.
    pub actions: Vec<Action>,
    /// For each process with nothing to do: when to look at it again; `None`: when something happens.
    pub waits: Vec<(Name, Option<Moment>)>,
}

/// Compares what is wanted with what is, for these processes. Changes nothing, and cannot fail.
pub fn reconcile<'a>(
    desired: &Desired,
    observed: &Observed,
    names: impl IntoIterator<Item = &'a Name>,
    now: Stamp,
) -> Plan {
    let mut plan = Plan::default();
    let nothing = Record::default();
    for name in names {
        let spec = desired.processes.get(name);
        let record = observed.records.get(name);
        if spec.is_none() && record.is_none() {
            continue;
        }
        let case = Case { name, desired, observed, now };
        match case.decide(spec, record.unwrap_or(&nothing)) {
            Verdict::Do(action) => plan.actions.push(action),
            Verdict::Wait(moment) => plan.waits.push((name.clone(), moment)),
        }
    }
    plan
}

impl Why {
    /// Whether an end for this reason was asked for, and so is no failure of the process.
    pub fn is_request(self) -> bool {
        match self {
            Why::Requested
            | Why::Removed
            | Why::Suspended
            | Why::Stopped
            | Why::Replaced
            | Why::SpecChanged
            | Why::Shutdown
            | Why::Inherited
            | Why::Hurried => true,
            Why::Created
            | Why::Ended
            | Why::BackoffOver
            | Why::Scheduled
            | Why::Triggered
            | Why::WantedAgain
            | Why::HeartbeatStale
            | Why::ProbeFailed(_)
            | Why::PostStartFailed
            | Why::MemoryExceeded(_)
            | Why::OomKilled
            | Why::DeadlineExceeded
            | Why::LeftBehind
            | Why::GraceOver
            | Why::CutShort
            | Why::Undying => false,
        }
    }

    /// In words, to follow "because".
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Created => "it is new",
            Why::Ended => "the last run ended",
            Why::BackoffOver => "the back-off is over",
            Why::Scheduled => "its time has come",
            Why::Requested => "a message asked for it",
            Why::Triggered => "a message asked for it now",
            Why::Removed => "its file was removed",
            Why::Suspended => "it is suspended",
            Why::Stopped => "a message stopped it",
            Why::WantedAgain => "it is wanted again",
            Why::SpecChanged => "its file changed",
            Why::HeartbeatStale => "its heartbeat stopped",
            Why::ProbeFailed(ProbeKind::Startup) => "its startup probe failed",
            Why::ProbeFailed(ProbeKind::Liveness) => "its liveness probe failed",
            Why::ProbeFailed(ProbeKind::Readiness) => "its readiness probe failed",
            Why::ProbeFailed(ProbeKind::HttpCheck) => "its HTTP check failed",
            Why::PostStartFailed => "its postStart failed",
            Why::MemoryExceeded(_) => "its memory limit was exceeded",
            Why::OomKilled => "the kernel killed it for want of memory",
            Why::DeadlineExceeded => "it lasted longer than activeDeadlineSeconds",
            Why::Replaced => "the next run is due",
            Why::Shutdown => "the monitor ends",
            Why::Inherited => "a monitor before this one started it",
            Why::LeftBehind => "its main process ended",
            Why::GraceOver => "its grace is over",
            Why::CutShort => "its grace was cut short, for the shutdown to end in time",
            Why::Hurried => "the monitor was told twice to end",
            Why::Undying => "it outlived the last one",
        }
    }
}

impl fmt::Display for Why {
    /// As [`Why::as_str`], with what was measured.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::MemoryExceeded(excess) => excess.fmt(f),
            other => f.write_str(other.as_str()),
        }
    }
}

impl Target {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Target::Main => "main process",
            Target::Tree => "process tree",
        }
    }
}

enum Verdict {
    Do(Action),
    Wait(Option<Moment>),
}

impl Verdict {
    fn until(moment: Moment) -> Verdict {
        Verdict::Wait((moment != Moment::NEVER).then_some(moment))
    }

    /// The same, but no wait is longer than until then.
    fn or_at(self, moment: Moment) -> Verdict {
        match self {
            Verdict::Do(action) => Verdict::Do(action),
            Verdict::Wait(wait) => Verdict::until(wait.unwrap_or(Moment::NEVER).min(moment)),
        }
    }
}

/// One process at one moment.
struct Case<'a> {
    name: &'a Name,
    desired: &'a Desired,
    observed: &'a Observed,
    now: Stamp,
}

impl Case<'_> {
    fn decide(&self, spec: Option<&Arc<ProcessSpec>>, record: &Record) -> Verdict {
        if let Some(calendar) = spec.and_then(|spec| schedule::to_follow(spec, record)) {
            return Verdict::Do(Action::Follow(self.name.clone(), calendar));
        }
        match (spec, &record.life) {
            (None, Life::Down) => Verdict::Do(Action::Forget(self.name.clone())),
            (None, Life::Up(run)) => self.stop_in_turn(run, self.unwanted()),
            (Some(spec), Life::Down) => self.start(spec, record),
            (Some(spec), Life::Up(run)) => self.keep(spec, record, run),
            (_, Life::Stopping(run, stopping)) => self.await_main(run, stopping),
            (_, Life::Leaving(run, stopping)) => self.await_rest(run, stopping),
        }
    }

    fn unwanted(&self) -> Why {
        match self.desired.ending {
            None => Why::Removed,
            Some(Haste::Graceful | Haste::Now) => Why::Shutdown,
        }
    }

    fn start(&self, spec: &Arc<ProcessSpec>, record: &Record) -> Verdict {
        let suspended = spec.suspend && !(record.triggered && spec.schedule.is_some());
        // What it depends on has it looked at when that has changed, whenever it is due.
        if suspended || record.stopped || !self.observed.order.waits.is_free(self.name) {
            return Verdict::Wait(None);
        }
        match timing::due_at(spec, record, self.now) {
            Due::At(moment, why) if moment <= self.now.at => {
                Verdict::Do(Action::Start(self.name.clone(), Arc::clone(spec), why))
            }
            Due::At(moment, _) => Verdict::until(moment),
            Due::Never => Verdict::Wait(None),
        }
    }

    fn keep(&self, spec: &Arc<ProcessSpec>, record: &Record, run: &Run) -> Verdict {
        if run.inherited {
            return self.stop(run, Why::Inherited);
        }
        // As with a CronJob, to suspend or to edit a schedule is about the runs to come; the one that runs is left alone.
        let is_of_schedule = schedule::is_of_schedule(run, spec);
        if spec.suspend && !is_of_schedule {
            return self.stop_in_turn(run, Why::Suspended);
        }
        if record.stopped {
            return self.stop(run, Why::Stopped);
        }
        let is_reborn = run.spec.born != spec.born;
        let renewal = rolling::renewal(spec, record, run, self.now.at);
        if let Some(why) = renewal
            && rolling::is_its_turn(self.desired, self.observed, spec, run, self.now.at)
        {
            return self.stop(run, why);
        }
        match run.post_start {
            PostStart::Due => return Verdict::Do(Action::PostStart(self.name.clone(), run.id)),
            PostStart::Failed => return self.stop(run, Why::PostStartFailed),
            PostStart::UnderWay | PostStart::Done => {}
        }
        if is_reborn && !is_of_schedule {
            // As long as it waits for its turn, or has not lasted long enough, it is governed by what it was born with.
            let turn = if renewal == Some(Why::SpecChanged) { Moment::NEVER } else { timing::settled_at(run) };
            return self.examine(&run.spec, record, run).or_at(turn);
        }
        if !is_reborn && run.spec.whole != spec.whole {
            return Verdict::Do(Action::Adopt(self.name.clone(), Arc::clone(spec)));
        }
        self.examine(spec, record, run)
    }

    /// Looks after a run that is as it is wanted: it may last too long, be in the next one's way, weigh too much, hang, or
    /// fail its probes.
    fn examine(&self, spec: &ProcessSpec, record: &Record, run: &Run) -> Verdict {
        let now = self.now.at;
        let (too_long_at, replaced_at) = (timing::too_long_at(run), schedule::replaced_at(spec, record, self.now));
        if too_long_at <= now {
            return self.stop(run, Why::DeadlineExceeded);
        }
        if replaced_at <= now {
            return self.stop(run, Why::Replaced);
        }
        let weighed_at = match weight::judge(run, now) {
            Weighing::Exceeded(excess) => return self.stop(run, Why::MemoryExceeded(excess)),
            Weighing::Due => return Verdict::Do(Action::Weigh(self.name.clone(), run.id)),
            Weighing::Wait(moment) => moment,
        };
        let looked_at = match self.listen(run) {
            Verdict::Wait(moment) => moment,
            act @ Verdict::Do(_) => return act,
        };
        let probed_at = match probes::judge(run, self.observed.stalled_at, now) {
            Probed::Failed(kind) => return self.stop(run, Why::ProbeFailed(kind)),
            Probed::Due(kind) => return Verdict::Do(Action::Probe(self.name.clone(), run.id, kind)),
            Probed::Wait(moment) => Some(moment),
        };
        let looks = [weighed_at, looked_at, probed_at].into_iter().flatten();
        Verdict::until(looks.fold(too_long_at.min(replaced_at), Moment::min))
    }

    /// Looks after a run's heart.
    fn listen(&self, run: &Run) -> Verdict {
        let now = self.now.at;
        let Some(heartbeat) = &run.spec.heartbeat else { return Verdict::Wait(None) };
        let look = || Verdict::Do(Action::Look(self.name.clone(), run.id));
        match timing::pulse(heartbeat, run, self.observed.stalled_at, now) {
            Pulsing::Look => look(),
            Pulsing::Looking => Verdict::Wait(None),
            Pulsing::Wait(moment) => Verdict::Wait(Some(moment)),
            Pulsing::Stale => match self.observed.silence(heartbeat, run, now) {
                Silence::Alone => self.stop(run, Why::HeartbeatStale),
                Silence::Common => Verdict::Do(Action::Hold(self.name.clone(), heartbeat.period)),
                Silence::Held(until) => match timing::look_again_at(heartbeat, run) {
                    again if again <= now => look(),
                    again => Verdict::Wait(Some(again.min(until))),
                },
            },
        }
    }

    /// What depends on it, and is to end as well, ends first.
    fn stop_in_turn(&self, run: &Run, why: Why) -> Verdict {
        let latest = self.observed.order.latest(self.name);
        match self.desired.ending {
            Some(Haste::Now) => self.kill(run, why),
            None | Some(Haste::Graceful) if self.observed.order.holds(self.name) && self.now.at < latest => {
                Verdict::Wait((latest < Moment::NEVER).then_some(latest))
            }
            None | Some(Haste::Graceful) => self.stop(run, why),
        }
    }

    fn stop(&self, run: &Run, why: Why) -> Verdict {
        match (self.desired.ending, &run.spec.stop.pre_stop) {
            (Some(Haste::Now), _) => self.kill(run, why),
            (None | Some(Haste::Graceful), Some(_)) => Verdict::Do(Action::PreStop(self.name.clone(), run.id, why)),
            (None | Some(Haste::Graceful), None) => self.ask(run, why),
        }
    }

    fn ask(&self, run: &Run, why: Why) -> Verdict {
        match run.spec.stop.kill {
            Kill::Mixed => self.signal(run, Target::Main, run.spec.stop.signal, why),
            Kill::Group => self.signal(run, Target::Tree, run.spec.stop.signal, why),
        }
    }

    fn await_main(&self, run: &Run, stopping: &Stopping) -> Verdict {
        let latest = self.observed.order.latest(self.name);
        let next = hooks::next(run, stopping, self.grace(run, stopping), latest, self.now.at);
        match (next, stopping.killed_at) {
            (None, Some(at)) => self.await_death(run, at),
            (None, None) => self.escalate(run, stopping),
            (Some(_), _) if self.desired.ending == Some(Haste::Now) => self.kill(run, Why::Hurried),
            (Some(Next::Wait(until)), _) => Verdict::Wait(Some(until)),
            (Some(Next::End), _) => self.end_pre_stop(run, Cut::TimeUp),
            // A hook is begun for a reason.
            (Some(Next::Ask), _) => self.ask(run, stopping.why.unwrap_or(Why::LeftBehind)),
        }
    }

    fn await_rest(&self, run: &Run, stopping: &Stopping) -> Verdict {
        match stopping.killed_at {
            Some(at) => self.await_death(run, at),
            None if stopping.stage == Stage::PreStop => self.end_pre_stop(run, Cut::MainGone),
            None if stopping.rest_asked || self.desired.ending == Some(Haste::Now) => self.escalate(run, stopping),
            None => self.signal(run, Target::Tree, run.spec.stop.signal, stopping.why.unwrap_or(Why::LeftBehind)),
        }
    }

    /// After SIGKILL there is nothing to do but to wait, for ever, and to send it again, since it may have been refused or
    /// the tree have grown: a second copy would be worse.
    fn await_death(&self, run: &Run, killed_at: Moment) -> Verdict {
        let again_at = killed_at + timing::KILL_AGAIN;
        if again_at <= self.now.at { self.kill(run, Why::Undying) } else { Verdict::Wait(Some(again_at)) }
    }

    fn escalate(&self, run: &Run, stopping: &Stopping) -> Verdict {
        let grace_ends = stopping.asked_at + self.grace(run, stopping);
        let deadline = grace_ends.min(self.observed.order.latest(self.name));
        match self.desired.ending {
            Some(Haste::Now) => self.kill(run, Why::Hurried),
            None | Some(Haste::Graceful) if grace_ends <= self.now.at => self.kill(run, Why::GraceOver),
            None | Some(Haste::Graceful) if deadline <= self.now.at => self.kill(run, Why::CutShort),
            None | Some(Haste::Graceful) => Verdict::Wait(Some(deadline)),
        }
    }

    fn grace(&self, run: &Run, stopping: &Stopping) -> Duration {
        timing::grace(run, stopping, self.desired.processes.get(self.name).map(AsRef::as_ref))
    }

    fn end_pre_stop(&self, run: &Run, cut: Cut) -> Verdict {
        Verdict::Do(Action::EndPreStop(self.name.clone(), run.id, cut))
    }

    fn kill(&self, run: &Run, why: Why) -> Verdict {
        self.signal(run, Target::Tree, Signal::KILL, why)
    }

    fn signal(&self, run: &Run, target: Target, signal: Signal, why: Why) -> Verdict {
        Verdict::Do(Action::Signal(self.name.clone(), run.id, target, signal, why))
    }
}
