//! The room of the process files, from outside: texts, real directories, real inotify, and the checker.

mod born;
mod check;
mod directory;
mod glance;
mod golden;
mod hostile;
#[path = "../needs/mod.rs"]
mod needs;
mod order;
mod parse;
mod probes;
mod replicas;
mod trust;
mod watch;

use std::time::Duration;

use ncolony::config::Defaults;
use ncolony::model::Backoff;

/// The flags' defaults.
pub(crate) const DEFAULTS: Defaults = Defaults {
    backoff: Backoff {
        threshold: Duration::from_secs(10),
        initial: Duration::from_secs(1),
        max: Duration::from_secs(300),
    },
    grace: Duration::from_secs(5),
};
