//! The programs that print documents: `explain`, `schema`, `completion`, `man`. All of it is made of what the other
//! programs read themselves: the words of the process file, and the definition of the command line.

mod complete;
mod man;
mod shells;

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;

use super::printed::print;
use crate::cli::{Cli, CompleteArgs, CompletionArgs, ExplainArgs, ManArgs};
use crate::config::{self, Explained};

/// Explains a key of the process file. 1 if there is none of this name.
pub fn explain(args: &ExplainArgs) -> ExitCode {
    let way = args.key.as_deref().unwrap_or_default();
    match config::explain(way) {
        Explained::Told(text) => print(&text),
        Explained::Unknown(near) => {
            let help = match near.as_slice() {
                [] => "ncolony explain, without a key, lists them all".to_string(),
                near => format!("did you mean {}?", near.join(", ")),
            };
            fail(&format!("error: process files have no key {way:?}\n  {help}"))
        }
    }
}

/// Prints the JSON Schema of a process file.
pub fn schema() -> ExitCode {
    print(&format!("{:#}\n", config::schema()))
}

/// Prints what a shell needs.
pub fn completion(args: &CompletionArgs) -> ExitCode {
    print(shells::script(args.shell))
}

/// Prints how a command line may go on.
pub fn complete(args: &CompleteArgs) -> ExitCode {
    print(&complete::answer(Cli::command(), args.shell, &args.words))
}

/// Prints a manual page. 1 if there is none of this name.
pub fn man(args: &ManArgs) -> ExitCode {
    match man::page(Cli::command(), &args.command) {
        Ok(page) => print(&page),
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::FAILURE
}
