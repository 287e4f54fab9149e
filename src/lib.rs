//! ncolony runs and heals a colony of processes inside a container: the kubelet's job, one level down.
//!
//! *Facts* come in from one process table and two directories; a pure function turns (desired, observed, now) into a
//! *plan*; one loop executes the plan, and every executed action becomes a fact. Wake-ups carry no information. Time,
//! pids and files exist only at the edge.

pub mod commands;
pub mod config;
mod failpoint;
pub mod health;
pub mod http;
pub mod messages;
pub mod model;
pub mod output;
pub mod process;
pub mod reconcile;
pub mod supervisor;
pub mod watch;

/// The command line: a package of its own, built small.
pub use ncolony_cli as cli;
pub(crate) use ncolony_tls as tls;
