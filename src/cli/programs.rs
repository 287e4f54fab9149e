//! The programs beside the monitor: its control program and the reaper apart, which are read elsewhere.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{CONFIG_DIR, MESSAGES_DIR, seconds_above_zero};

/// `ncolony beat`
#[derive(Args, Clone, Debug)]
pub struct BeatArgs {
    /// Beat again and again, as long as whoever has started this lives [default: every third of the period]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, value_parser = seconds_above_zero, allow_negative_numbers = true)]
    pub every: Option<Option<f64>>,

    /// Run a command, and beat for as long as it runs; the exit status is the command's
    #[arg(long = "while", requires = "command")]
    pub during: bool,

    /// The command of --while
    #[arg(last = true, value_name = "COMMAND", requires = "during")]
    pub command: Vec<OsString>,
}

/// `ncolony beatcheck`, `ncolony httpcheck`
#[derive(Args, Clone, Debug)]
pub struct CheckerArgs {
    /// The monitor's directory of process files
    #[arg(long, value_name = "DIR", default_value = CONFIG_DIR)]
    pub config: PathBuf,

    /// The monitor's directory for messages
    #[arg(long, value_name = "DIR", default_value = MESSAGES_DIR)]
    pub messages: PathBuf,

    /// How often the process files are looked at, and the hearts
    #[arg(long, visible_alias = "frequency", value_name = "SECONDS", default_value = "10", value_parser = seconds_above_zero, allow_negative_numbers = true)]
    pub freq: f64,
}

/// `ncolony scheduler`
#[derive(Args, Clone, Debug)]
pub struct SchedulerArgs {
    /// A word of the command, the program first; may be repeated
    #[arg(long = "arg", value_name = "ARG", required = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,

    /// From one start to the next; a run that takes longer leaves out what is due meanwhile
    #[arg(long, value_name = "SECONDS", value_parser = seconds_above_zero, allow_negative_numbers = true)]
    pub frequency: f64,

    /// From a run's start to SIGTERM, to all that it has started
    #[arg(long, value_name = "SECONDS", value_parser = seconds_above_zero, allow_negative_numbers = true)]
    pub timeout: f64,

    /// From there to SIGKILL
    #[arg(long, value_name = "SECONDS", value_parser = seconds_above_zero, allow_negative_numbers = true)]
    pub grace: f64,
}
