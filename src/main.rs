//! The binary: parse, dispatch, turn an error into an exit status.

use std::process::ExitCode;

use clap::Parser as _;
use ncolony::cli::{Cli, Command};
use ncolony::commands::ctl;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Ctl(args) => ctl::run(&args),
        Command::Run(_) | Command::Demo(_) | Command::Check(_) => ExitCode::FAILURE,
    }
}
