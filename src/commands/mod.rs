//! The programs that the binary consists of.

// By the names that these rooms have in the monitor.
use ncolony::{cli, config, failpoint, health, http, messages, model, process, supervisor};

pub mod beat;
pub mod check;
pub mod checker;
pub mod convert;
pub mod ctl;
pub mod demo;
pub mod documents;
pub mod https_get;
pub mod printed;
mod pulse;
pub mod reaper;
pub mod run;
pub mod scheduler;
