//! The binary: parse, dispatch.

use std::process::ExitCode;

use clap::Parser as _;
use ncolony::cli::{Cli, Command};
use ncolony::commands::{check, ctl, demo, run};
use ncolony::supervisor;

fn main() -> ExitCode {
    // Before anything else: a signal that comes too early must be neither lost nor fatal.
    supervisor::hold_signals();
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => with_signals(|| check::run(&args)),
        Command::Ctl(args) => with_signals(|| ctl::run(&args)),
    }
}

fn with_signals(program: impl FnOnce() -> ExitCode) -> ExitCode {
    supervisor::release_signals();
    program()
}
