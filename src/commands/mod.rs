//! The programs that the binary consists of.

pub mod check;
pub mod ctl;
pub mod demo;
pub mod reaper;
pub mod run;
