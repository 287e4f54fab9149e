//! `ncolony ctl`: changes the two directories that a monitor watches, and nothing else.
//!
//! The files are NColony's, byte for byte, so that either program drives either monitor. Everything is checked before
//! anything is written; files appear whole. Unlike NColony's, which writes whatever it is told, `restart` and its like look whether
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
use crate::model::{Name, Request, Signal};

/// Does what `args` ask for; says on stderr what went wrong.
///
/// Exit status 0: done (for what the monitor does: asked for); 1: not done, and nothing changed.
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
        CtlVerb::Restart(name) => ask(args, name.get(), Request::Restart),
        CtlVerb::Stop(name) => ask(args, name.get(), Request::Stop),
        CtlVerb::Start(name) => ask(args, name.get(), Request::Start),
        CtlVerb::Trigger(name) => ask(args, name.get(), Request::Trigger),
        CtlVerb::Signal(to) => {
            let signal = signal(&to.signal)?;
            ask(args, &to.name, |name| Request::Signal(name, signal))
        }
        CtlVerb::RestartAll => send(&args.messages, &Request::RestartAll),
        CtlVerb::RestartGroup(group) if group.group.is_empty() => Err(Error::NoGroup),
        CtlVerb::RestartGroup(group) => send(&args.messages, &Request::RestartGroup(group.group.clone())),
    }
}

fn ask(args: &CtlArgs, name: &str, request: impl Fn(Name) -> Request) -> Result<(), Error> {
    let name = files::called(&args.config, name)?;
    send(&args.messages, &request(name))
}

fn signal(text: &str) -> Result<Signal, Error> {
    Signal::parse(text).ok_or_else(|| Error::Signal { text: text.to_string(), nearest: Signal::misspelt(text) })
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
