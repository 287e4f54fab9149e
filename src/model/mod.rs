//! The nouns. Everything else imports these; these import nothing of ours.

mod exit;
mod name;
mod nearest;
mod request;
mod snapshot;
mod spec;
mod time;

pub use exit::{Exit, Incarnation, Signal, StartError, Step};
pub use name::{Name, NameError};
pub use nearest::{edits, nearest};
pub use request::Request;
pub use snapshot::{
    Check, ConfigView, EndView, ExitReason, FileError, HeartbeatView, Phase, ProcessView, Snapshot, State, WatchView,
};
pub use spec::{
    Backoff, Birth, Fingerprint, Format, Heartbeat, Kill, OnFull, Output, ProcessSpec, Restart, Schedule, Stop,
};
pub use time::{Moment, Stamp, Wall};
