//! `ncolony ctl`: changes the two directories that a monitor watches, and nothing else.
//!
//! The files are NColony's, byte for byte, so that either program drives either monitor. Everything is checked before
//! anything is written; files appear whole. Unlike NColony's, which writes whatever it is told, `restart` looks whether
//! there is such a process: a script expects an exit status of 1 for a misspelt name, not silence.

mod add;
mod error;
mod files;
mod json;

use std::error::Error as _;
use std::path::Path;
use std::process::ExitCode;

use self::error::Error;
use crate::cli::{CtlArgs, CtlVerb};
use crate::messages;
use crate::model::Request;

/// Does what `args` ask for; says on stderr what went wrong.
///
/// Exit status 0: done (for a restart: asked for); 1: not done, and nothing changed.
pub fn run(args: &CtlArgs) -> ExitCode {
    match execute(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn execute(args: &CtlArgs) -> Result<(), Error> {
    match &args.verb {
        CtlVerb::Add(add) => add::add(&args.config, add),
        CtlVerb::Remove(name) => files::remove(&args.config, name.get()),
        CtlVerb::Restart(name) => {
            let name = files::existing(&args.config, name.get())?;
            send(&args.messages, &Request::Restart(name))
        }
        CtlVerb::RestartAll => send(&args.messages, &Request::RestartAll),
        CtlVerb::RestartGroup(group) if group.group.is_empty() => Err(Error::NoGroup),
        CtlVerb::RestartGroup(group) => send(&args.messages, &Request::RestartGroup(group.group.clone())),
    }
}

fn send(dir: &Path, request: &Request) -> Result<(), Error> {
    files::directory(dir, "--messages")?;
    messages::write(dir, request).map(drop).map_err(Error::Message)
}

/// The error, its causes, and what to do, for a terminal.
fn explain(error: &Error) -> String {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    if let Some(advice) = error.advice() {
        text.push_str(&format!("\n  {advice}"));
    }
    text
}
