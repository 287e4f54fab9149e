//! What HTTP, metrics and the control program may see: a value, made when somebody asks, with no way back.

use std::sync::Arc;

use super::{Account, Exit, Moment, Name, ProbeKind, ProbeVerdict, ProcessSpec, Stamp, Usage, Wall};

/// The colony at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was made.
    pub taken: Stamp,
    /// The monitor's own phase.
    pub phase: Phase,
    /// When the monitor began.
    pub started: Wall,
    /// When the loop last finished looking at everything; `None` before the first time.
    pub reconciled: Option<Moment>,
    /// Every process, by name.
    pub processes: Vec<ProcessView>,
    /// The configuration directory.
    pub config: ConfigView,
    /// The watch on both directories.
    pub watch: WatchView,
    /// Checks of the monitor itself that are shown beside the processes' (`?verbose`), such as the journal's.
    pub checks: Vec<Check>,
    /// Adopted processes that live now and belong to no run.
    pub strays: u64,
    /// When it was last looked at what the processes use, if it was.
    pub sampled: Option<Wall>,
}

/// The monitor's own phase.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The first full look at the configuration is not done.
    Starting,
    /// At work.
    Running,
    /// Ending: not ready, whatever the processes do.
    ShuttingDown,
}

/// One process, as outsiders see it. But for [`ProcessView::spec`] no environment, no arguments: no secrets.
#[derive(Clone, Debug)]
pub struct ProcessView {
    /// Its name.
    pub name: Name,
    /// What it is doing.
    pub state: State,
    /// The kubelet's word for why, such as `CrashLoopBackOff`; empty while it simply runs.
    pub reason: &'static str,
    /// A sentence that says more, such as `back-off 8 s: exit code 1`; may be empty. Untrusted text.
    pub message: String,
    /// Of what it waits for to be started, the first [`WaitView::MOST`], in the order of its file; of the first `message`
    /// tells, too.
    pub waits_for: Vec<WaitView>,
    /// What its run says of itself, by sd_notify's `STATUS`: one line; may be empty. Untrusted text.
    pub status: String,
    /// Whether it is run at times.
    pub scheduled: bool,
    /// The last time of its schedule that was run for.
    pub last_scheduled: Option<Wall>,
    /// Times of its schedule that nothing was run for.
    pub missed: u64,
    /// How long after the time that it was for the last run of its schedule began, in seconds.
    pub lag: Option<f64>,
    /// Whether it is meant to end: not scheduled, and its `restartPolicy` is not `Always`.
    pub task: bool,
    /// How often what is desired of it has changed, its file's appearance included.
    pub generation: u64,
    /// The generation that it is governed by: it lags while a run goes on that an edit is to end.
    pub observed_generation: u64,
    /// Whether the desired state wants it running now.
    pub desired: bool,
    /// Whether a main process lives now.
    pub up: bool,
    /// As those that depend on it see it: up, and beating where a heartbeat is asked for; a process that is meant to end
    /// counts when it ended well, and a schedule between its runs.
    pub ready: bool,
    /// Whether it has started: up, what follows its start done, and its startup probe has succeeded; or it has run, and is
    /// ready without.
    pub has_started: bool,
    /// Whether it is down as its file says: suspended, or between two runs of its schedule.
    pub rests: bool,
    /// Whether `/healthz` waits for it.
    pub gate: bool,
    /// The main process.
    pub pid: Option<i32>,
    /// When the present or last run began.
    pub started: Option<Wall>,
    /// How long the present run lasts, in seconds.
    pub uptime: Option<f64>,
    /// Runs begun since the process was added.
    pub starts: u64,
    /// Starts after the first; of a schedule, those alone that tried a run again that had failed.
    pub restarts: u64,
    /// Starts that failed.
    pub start_failures: u64,
    /// Runs ended, by reason, in the order of [`ExitReason::ALL`].
    pub exits: [u64; ExitReason::ALL.len()],
    /// How the last run ended.
    pub last_end: Option<EndView>,
    /// The delay before the next start, in seconds; 0 if none.
    pub restart_delay: f64,
    /// When the next start is due, if one is.
    pub next_start: Option<Wall>,
    /// The end of a run, if one is under way.
    pub ending: Option<EndingView>,
    /// The interval of a scheduled process, in seconds.
    pub interval: Option<f64>,
    /// When a scheduled process last ended with success.
    pub last_success: Option<Wall>,
    /// SIGKILLs after a grace ran out.
    pub kills: u64,
    /// Bytes of memory that a run may have, where that is limited.
    pub memory_limit: Option<u64>,
    /// Its heartbeat, where one is asked for.
    pub heartbeat: Option<HeartbeatView>,
    /// Its probes, by kind.
    pub probes: Vec<ProbeView>,
    /// Bytes read from stdout and stderr.
    pub log_bytes: [u64; 2],
    /// Bytes dropped from stdout and stderr because nobody took them.
    pub log_dropped: [u64; 2],
    /// What it uses, as far as anybody wants to know.
    pub usage: Option<Usage>,
    /// The file that describes it.
    pub file: String,
    /// A hash of what that asks for.
    pub config_hash: u64,
    /// Who its runs are.
    pub user: Option<Account>,
    /// Why its file is refused at present; the last good version is in force.
    pub file_error: Option<String>,
    /// What is asked of it; of one that is not wanted any more, what governs its last run. For its owner's eyes: there
    /// are arguments and the environment in it.
    pub spec: Option<Arc<ProcessSpec>>,
}

impl ProcessView {
    /// Whether it is as its file wants it: ready, or at rest. The colony's health is about this.
    pub fn is_as_wanted(&self) -> bool {
        self.ready || self.rests
    }
}

/// What a process is doing; the values of the label `state` of `ncolony_process_state`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Waiting for its time or its turn.
    Pending,
    /// Running, not yet ready.
    Starting,
    /// Running.
    Running,
    /// Waiting, since it ended too soon or could not be started.
    Backoff,
    /// Being ended.
    Stopping,
    /// Not wanted running.
    Stopped,
    /// Ended for good, with success.
    Completed,
    /// Ended for good, without.
    Failed,
}

impl State {
    /// All of them, in the order in which they are shown.
    pub const ALL: [State; 8] = [
        State::Pending,
        State::Starting,
        State::Running,
        State::Backoff,
        State::Stopping,
        State::Stopped,
        State::Completed,
        State::Failed,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Starting => "starting",
            State::Running => "running",
            State::Backoff => "backoff",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::Completed => "completed",
            State::Failed => "failed",
        }
    }
}

/// Why a run ended; the values of the label `reason` of `ncolony_process_exits_total`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExitReason {
    /// Exit code 0, of itself.
    Completed,
    /// Another exit code, of itself.
    Error,
    /// A signal that we did not send.
    Signal,
    /// Its heartbeat stopped.
    Heartbeat,
    /// It had more memory than its limit, or the kernel killed it for want of memory.
    Oom,
    /// Its startup or liveness probe, or its HTTP check, failed.
    Probe,
    /// It lasted longer than `activeDeadlineSeconds`.
    Deadline,
    /// We were asked: a message, an edit, a removal, the shutdown.
    Requested,
}

impl ExitReason {
    /// All of them, in the order of [`ProcessView::exits`].
    pub const ALL: [ExitReason; 8] = [
        ExitReason::Completed,
        ExitReason::Error,
        ExitReason::Signal,
        ExitReason::Heartbeat,
        ExitReason::Oom,
        ExitReason::Probe,
        ExitReason::Deadline,
        ExitReason::Requested,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            ExitReason::Completed => "completed",
            ExitReason::Error => "error",
            ExitReason::Signal => "signal",
            ExitReason::Heartbeat => "heartbeat",
            ExitReason::Oom => "oom",
            ExitReason::Probe => "probe",
            ExitReason::Deadline => "deadline",
            ExitReason::Requested => "requested",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct EndView {
    /// What `wait` told.
    pub exit: Exit,
    /// Why.
    pub reason: ExitReason,
    /// When.
    pub at: Wall,
    /// How long the run lasted, in seconds.
    pub lasted: f64,
}

/// A heartbeat.
#[derive(Clone, Debug)]
pub struct HeartbeatView {
    /// When the last beat of this run was seen, if one was.
    pub last: Option<Wall>,
    /// The age at which it counts as lost, in seconds.
    pub timeout: f64,
    /// Restarts for the want of it.
    pub misses: u64,
}

/// What the probes of one kind of a process have shown.
#[derive(Clone, Debug)]
pub struct ProbeView {
    /// Which.
    pub kind: ProbeKind,
    /// Of the present run, by the thresholds.
    pub verdict: ProbeVerdict,
    /// Why the last one of this run that failed did. Untrusted text.
    pub why: Option<Arc<str>>,
    /// Why the last one of this run could not be made, if it could not. Untrusted text.
    pub unmade: Option<Arc<str>>,
    /// How many succeeded, of all runs.
    pub successful: u64,
    /// How many failed.
    pub failed: u64,
    /// How many could not be made, or mean nothing.
    pub unknown: u64,
    /// How long all of them together took, in seconds.
    pub seconds: f64,
    /// Since when all that it has shown of this run were failures, if the last was.
    pub failing_since: Option<Wall>,
    /// When it asks next, while this run is asked.
    pub next: Option<Wall>,
}

/// The configuration directory.
#[derive(Clone, Debug)]
pub struct ConfigView {
    /// The directory.
    pub dir: String,
    /// Why it cannot be listed, if it cannot.
    pub dir_error: Option<String>,
    /// The files that are refused now.
    pub errors: Vec<FileError>,
    /// The names of the files that describe nobody, as they ask for no replicas.
    pub empty: Vec<Name>,
    /// When it was last read whole.
    pub loaded: Option<Wall>,
    /// How often what is desired has changed.
    pub generation: u64,
    /// The users besides root whose files are taken, if it matters whose they are.
    pub trusted_uids: Option<Vec<u32>>,
}

/// A file that is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileError {
    /// Its name in the directory.
    pub file: String,
    /// The first line of the diagnostic, without the file's text: `web.yaml:3:1: unknown key "arsg"`.
    pub summary: String,
}

/// The end of a run, under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EndingView {
    /// When it began.
    pub began: Wall,
    /// When SIGKILL comes, if none was sent.
    pub kill: Option<Wall>,
}

/// A process that another waits for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WaitView {
    /// Its name.
    pub on: Name,
    /// In words: what is waited for, and why that may take long. Untrusted text.
    pub message: String,
}

impl WaitView {
    /// So many are told of at most: each look at a colony tells them anew.
    pub const MOST: usize = 20;
}

/// The watch on both directories.
#[derive(Clone, Debug, Default)]
pub struct WatchView {
    /// Whether inotify is in use; if not, changes are seen at the tick.
    pub active: bool,
}

/// One check of the monitor itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// Its name, as in `[+]journal ok`.
    pub name: &'static str,
    /// What is wrong, or `None`.
    pub trouble: Option<String>,
    /// Whether trouble here makes the colony not ready; else it is only shown.
    pub gates: bool,
}
