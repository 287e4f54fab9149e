//! What is known of one process.

use std::sync::Arc;
use std::time::Duration;

use super::hooks::{PostStart, Stage};
use super::plan::Why;
use super::probes::{self, ProbeTally, Probing};
use super::schedule::Progress;
use super::weight::Scales;
use crate::model::{Exit, ExitReason, Fingerprint, Incarnation, Moment, ProcessSpec, Stamp, StartError, Wall};

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
    /// How many times of its schedule were missed before the one that it is for.
    pub missed: u64,
    /// Whether it was started by a monitor before this one.
    pub inherited: bool,
    /// What is done right after its start.
    pub post_start: PostStart,
    /// What is known of its heartbeat.
    pub pulse: Pulse,
    /// Whether its startup probe has succeeded once; without one it counts as started at once.
    pub has_started: bool,
    /// What is known by its probes, in the order of [`ProcessSpec::probes`].
    pub probing: Vec<Probing>,
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
    /// Those of them that follow another: not the first, and of a schedule not those that were for a time of it, or were
    /// asked for.
    pub restarts: u64,
    /// Starts that failed.
    pub start_failures: u64,
    /// Runs ended, in the order of [`ExitReason::ALL`].
    pub exits: [u64; ExitReason::ALL.len()],
    /// SIGKILLs after a grace.
    pub kills: u64,
    /// What its probes have shown; of those kinds that have shown something.
    pub probes: Vec<ProbeTally>,
    /// Times of a schedule that nothing was run for.
    pub missed: u64,
    /// How long after its time the last run of a schedule began that was begun for one.
    pub lag: Option<Duration>,
    /// When a run last ended with success.
    pub last_success: Option<Wall>,
}

impl Life {
    /// The run that lives, or whose rest does.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Life::Down => None,
            Life::Up(run) | Life::Stopping(run, _) | Life::Leaving(run, _) => Some(run),
        }
    }

    pub(super) fn run_mut(&mut self) -> Option<&mut Run> {
        match self {
            Life::Down => None,
            Life::Up(run) | Life::Stopping(run, _) | Life::Leaving(run, _) => Some(run),
        }
    }
}

impl Run {
    pub(super) fn new(id: Incarnation, spec: Arc<ProcessSpec>, now: Stamp) -> Run {
        let (pulse, scales) = (Pulse::new(now.at), Scales::default());
        let post_start = if spec.post_start.is_some() { PostStart::Due } else { PostStart::Done };
        let (has_started, probing) = (probes::starts_at_once(&spec), probes::begin(&spec, now.at));
        Run {
            id,
            spec,
            generation: 0,
            since: now,
            missed: 0,
            inherited: false,
            post_start,
            pulse,
            has_started,
            probing,
            scales,
            oom_killed: false,
        }
    }

    /// From the beginning of its end, for this reason, to SIGKILL. A probe may have a grace of its own (KEP-2238).
    pub(super) fn grace(&self, why: Option<Why>) -> Duration {
        let own = match why {
            Some(Why::ProbeFailed(kind)) => self.spec.probes.iter().find(|probe| probe.kind == kind),
            Some(_) | None => None,
        };
        own.and_then(|probe| probe.grace).unwrap_or(self.spec.stop.grace)
    }
}

impl Stopping {
    pub(super) fn new(why: Option<Why>, asked_at: Moment) -> Stopping {
        Stopping { why, stage: Stage::Asked, asked_at, rest_asked: false, killed_at: None }
    }
}

impl Pulse {
    pub(super) fn new(from: Moment) -> Pulse {
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
            (Some(Why::ProbeFailed(_)), _) => ExitReason::Probe,
            (Some(Why::PostStartFailed), _) => ExitReason::Error,
            (Some(Why::DeadlineExceeded), _) => ExitReason::Deadline,
            (Some(_), _) => ExitReason::Requested,
            (None, Exit::Code(0)) => ExitReason::Completed,
            (None, Exit::Code(_) | Exit::Unknown) => ExitReason::Error,
            (None, Exit::Killed { .. }) => ExitReason::Signal,
        }
    }
}
