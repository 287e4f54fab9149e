//! The programs that the binary consists of.

pub mod ctl;
