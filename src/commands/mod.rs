//! The programs that the binary consists of.

pub mod beat;
pub mod check;
pub mod checker;
pub mod convert;
pub mod ctl;
pub mod demo;
pub mod documents;
pub mod https_get;
mod printed;
mod pulse;
pub mod reaper;
pub mod run;
pub mod scheduler;
