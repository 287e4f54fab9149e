//! The nouns. Everything else imports these; these import nothing of ours.

mod calendar;
mod cron;
#[cfg(test)]
mod daylight;
mod dependency;
mod environment;
mod event;
mod exit;
mod expand;
#[cfg(test)]
mod expressions;
mod log;
mod name;
mod nearest;
mod ordered;
mod probe;
mod request;
mod rlimit;
mod security;
mod shell;
mod shown;
mod snapshot;
mod span;
mod spec;
mod time;
mod usage;
mod utc;
mod zones;

pub use calendar::Calendar;
pub use cron::{Cron, CronError};
pub use dependency::{Condition, Dependency, DependencyLists};
pub use environment::{
    Composer, EnvFile, EnvFrom, EnvValue, Found, Inherited, MAX_ALL, MAX_ONE, References, TooLong, Variable, Variables,
    matches,
};
pub use event::{Event, EventKind, EventsAsked, ProcessEvent, Reason};
pub use exit::{Exit, HelperId, Incarnation, Signal, StartError, Step};
pub use expand::expand;
pub use log::{LogAnswer, LogAsked, LogFrom, LogLine, LogPlace, LogRun, LogTold};
pub use name::{Name, NameError};
pub use nearest::{edits, nearest};
pub use ordered::{Beside, map_of, set_of, sort_by};
pub use probe::{Notify, Probe, ProbeHandler, ProbeKind, ProbeResult, ProbeVerdict};
pub use request::Request;
pub use rlimit::{Resource, Rlimit};
pub use security::{Account, Capabilities, CapabilitySet, Security};
pub use shell::shell_word;
pub use shown::shown;
pub use snapshot::{
    Check, ConfigView, EndView, EndingView, ExitReason, FileError, HeartbeatView, Phase, ProbeView, ProcessView,
    Snapshot, State, WaitView, WatchView,
};
pub use span::Span;
pub use spec::{
    Backoff, Birth, Concurrency, Fingerprint, Format, Heartbeat, HttpGet, Kill, Limits, OnFull, Output, PreStop,
    ProcessSpec, Replica, Restart, RestartRule, Rhythm, RuleAction, RuleOperator, Schedule, Scheme, Stop,
};
pub use time::{Moment, Stamp, Wall};
pub use usage::{CpuTime, Footprint, Usage};
pub use utc::utc;
pub use zones::Zones;
