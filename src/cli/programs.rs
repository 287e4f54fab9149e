//! The programs beside the monitor: its control program and the reaper apart, which are read elsewhere.

use std::ffi::OsString;

use clap::Args;

use super::seconds_above_zero;

/// `ncolony beat`
#[derive(Args, Clone, Debug)]
pub struct BeatArgs {
    /// Beat again and again, as long as whoever has started this lives [default: every third of the period]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, value_parser = seconds_above_zero)]
    pub every: Option<Option<f64>>,

    /// Run a command, and beat for as long as it runs; the exit status is the command's
    #[arg(long = "while", requires = "command")]
    pub during: bool,

    /// The command of --while
    #[arg(last = true, value_name = "COMMAND", requires = "during")]
    pub command: Vec<OsString>,
}
