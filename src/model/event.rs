use std::borrow::Cow;

use super::{Name, Wall};

/// Something that happened to a process, once or often: the same reason with the same message is one event with a count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// What happened.
    pub reason: Reason,
    /// Which of its kind, or why. Untrusted text of one line, at most [`Event::MOST_BYTES`]; may be empty.
    pub message: Cow<'static, str>,
    /// How often.
    pub count: u32,
    /// When first.
    pub first: Wall,
    /// When last.
    pub last: Wall,
}

impl Event {
    /// The longest message, in bytes: that of an event in Kubernetes.
    pub const MOST_BYTES: usize = 1024;
}

/// An event, and whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessEvent {
    /// The process, which may be gone.
    pub process: Name,
    /// What happened to it.
    pub event: Event,
}

/// Which events are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventsAsked {
    /// Those of this process; `None`: of all.
    pub of: Option<Name>,
    /// The last so many of them.
    pub newest: usize,
}

/// Whether an event is as it should be; an event's `type` in Kubernetes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// It is.
    Normal,
    /// Somebody may want to look.
    Warning,
}

impl EventKind {
    /// As kubectl shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        }
    }
}

/// What happened to a process, in the words of the kubelet and of Kubernetes' controllers where they have one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// A process file describes it that did not before.
    Created,
    /// A run began.
    Started,
    /// A start failed.
    Failed,
    /// A run ended of itself, with success. A Job's word.
    Completed,
    /// A run ended of itself, without. Kubernetes tells that by the container's status alone.
    Exited,
    /// A run ended after it was told to. Kubernetes has no word for it.
    Stopped,
    /// It waits before its next start, since the last one failed or its run ended too soon.
    BackOff,
    /// A run is told to end.
    Killing,
    /// A run did not end within its grace and is killed.
    ExceededGracePeriod,
    /// A run outlived SIGKILL.
    FailedKillPod,
    /// The kernel killed it for want of memory. node-problem-detector's word.
    OomKilling,
    /// A run lasted longer than `activeDeadlineSeconds` and is told to end. A Job's word.
    DeadlineExceeded,
    /// A probe failed.
    Unhealthy,
    /// A probe, or a look at a heartbeat, came to something that is no verdict.
    ProbeWarning,
    /// What was to be done right after a start failed; the run is told to end.
    FailedPostStartHook,
    /// What was to be done before a stop failed; the stop goes on.
    FailedPreStopHook,
    /// The same took all of its time, and was cut.
    UnfinishedPreStopHook,
    /// Its file is refused.
    FailedValidation,
    /// An edit of its file is in force without a new run. Kubernetes has no word for it.
    Updated,
    /// Times of its schedule passed that nothing was run for. A CronJob's word.
    MissSchedule,
    /// It is no longer wanted, and nothing of it is left. The word of all controllers.
    SuccessfulDelete,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 21] = [
        Reason::Created,
        Reason::Started,
        Reason::Failed,
        Reason::Completed,
        Reason::Exited,
        Reason::Stopped,
        Reason::BackOff,
        Reason::Killing,
        Reason::ExceededGracePeriod,
        Reason::FailedKillPod,
        Reason::OomKilling,
        Reason::DeadlineExceeded,
        Reason::Unhealthy,
        Reason::ProbeWarning,
        Reason::FailedPostStartHook,
        Reason::FailedPreStopHook,
        Reason::UnfinishedPreStopHook,
        Reason::FailedValidation,
        Reason::Updated,
        Reason::MissSchedule,
        Reason::SuccessfulDelete,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Created => "Created",
            Reason::Started => "Started",
            Reason::Failed => "Failed",
            Reason::Completed => "Completed",
            Reason::Exited => "Exited",
            Reason::Stopped => "Stopped",
            Reason::BackOff => "BackOff",
            Reason::Killing => "Killing",
            Reason::ExceededGracePeriod => "ExceededGracePeriod",
            Reason::FailedKillPod => "FailedKillPod",
            Reason::OomKilling => "OOMKilling",
            Reason::DeadlineExceeded => "DeadlineExceeded",
            Reason::Unhealthy => "Unhealthy",
            Reason::ProbeWarning => "ProbeWarning",
            Reason::FailedPostStartHook => "FailedPostStartHook",
            Reason::FailedPreStopHook => "FailedPreStopHook",
            Reason::UnfinishedPreStopHook => "UnfinishedPreStopHook",
            Reason::FailedValidation => "FailedValidation",
            Reason::Updated => "Updated",
            Reason::MissSchedule => "MissSchedule",
            Reason::SuccessfulDelete => "SuccessfulDelete",
        }
    }

    /// Whether it is as it should be. A stop is, whatever it is for, as the kubelet has it.
    pub fn kind(self) -> EventKind {
        match self {
            Reason::Created
            | Reason::Started
            | Reason::Completed
            | Reason::Stopped
            | Reason::Killing
            | Reason::Updated
            | Reason::SuccessfulDelete => EventKind::Normal,
            Reason::Failed
            | Reason::Exited
            | Reason::BackOff
            | Reason::ExceededGracePeriod
            | Reason::FailedKillPod
            | Reason::OomKilling
            | Reason::DeadlineExceeded
            | Reason::Unhealthy
            | Reason::ProbeWarning
            | Reason::FailedPostStartHook
            | Reason::FailedPreStopHook
            | Reason::UnfinishedPreStopHook
            | Reason::FailedValidation
            | Reason::MissSchedule => EventKind::Warning,
        }
    }
}
