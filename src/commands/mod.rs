//! The programs behind the command line, one a file.

pub mod check;
