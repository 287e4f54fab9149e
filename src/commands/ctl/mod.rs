//! `ncolony ctl`: changes the two directories that a monitor watches, and nothing else.
//!
//! The files are NColony's, byte for byte, so that either program drives either monitor. Everything is checked before
//! anything is written; files appear whole. Unlike NColony's, which writes whatever it is told, `restart` and its like look whether
//! there is such a process: a script expects an exit status of 1 for a misspelt name, not silence.

mod add;
mod ask;
mod awaiting;
mod change;
mod effect;
mod error;
mod exact;
mod files;
mod json;
mod monitor;
mod read;
mod rollout;
mod sources;
mod steps;
mod unified;
mod whom;

use std::error::Error as _;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::error::Error;
use self::read::{Monitor, Trouble, object};
use super::{check, documents};
use crate::cli::{
    CONFIG_DIR, CONFIG_VARIABLE, CheckArgs, CheckTheseArgs, CtlArgs, CtlVerb, MESSAGES_DIR, MESSAGES_VARIABLE,
    RolloutVerb,
};
use crate::config::Trust;
use crate::messages;
use crate::model::{Name, Request, shell_word, sort_by};

/// `diff` could not tell, or the command line makes no sense.
const TROUBLE: u8 = 2;

/// Does what `args` ask for; says on stdout what was done, and on stderr what went wrong.
///
/// Exit status 0: done (for what the monitor does: asked for); 1: not done, and nothing changed. Of `diff`, 0: nothing
/// differs; 1: something does; 2: it cannot be told. Of all, 2: the command line makes no sense.
pub fn run(args: &CtlArgs) -> ExitCode {
    let _ = GIVEN.set(given(args));
    let is_diff = matches!(args.verb, CtlVerb::Diff(_));
    match execute(args) {
        Ok(_) if IS_LOST.load(Ordering::Relaxed) => trouble(is_diff),
        Ok(status) => status,
        Err(error) => {
            note(&explain(&error));
            trouble(is_diff || matches!(error, Error::Trouble(Trouble::Usage(_))))
        }
    }
}

fn trouble(is_diff_or_usage: bool) -> ExitCode {
    if is_diff_or_usage { ExitCode::from(TROUBLE) } else { ExitCode::FAILURE }
}

pub(super) use files::{KIND, KINDS};

/// The names of the processes that files describe, for whoever completes a command line; none of what is no directory.
pub(super) fn names(dir: &Path) -> Vec<String> {
    files::all(dir)
}

/// The names of the processes that a monitor has, and of the sets whose replicas they are; none where nobody answers at once.
pub(super) fn known(messages: &Path) -> Vec<String> {
    let list = Monitor::of(messages).within(Duration::from_millis(500)).get("/v1/processes?brief=true");
    let list = list.unwrap_or_default();
    let all = object::list(&list, "/items").iter().flat_map(|process| [object::set(process), object::name(process)]);
    let mut names: Vec<String> = all.filter(|name| !name.is_empty()).map(str::to_string).collect();
    sort_by(&mut names, Ord::cmp);
    names.dedup();
    names
}

fn execute(args: &CtlArgs) -> Result<ExitCode, Error> {
    if uses_config(&args.verb) {
        monitor::watches(args)?;
    }
    match &args.verb {
        CtlVerb::Read(verb) => return Ok(read::run(&args.messages, verb)),
        CtlVerb::Add(add) => add::add(&args.config, add)?,
        CtlVerb::Remove(name) => files::remove(&args.config, files::bare(name.get()))?,
        CtlVerb::Apply(apply) => change::apply(args, apply)?,
        CtlVerb::Diff(diff) if change::diff(args, diff)? => return Ok(ExitCode::FAILURE),
        CtlVerb::Diff(_) => {}
        CtlVerb::Delete(delete) => change::delete(args, delete)?,
        CtlVerb::Scale(scale) => change::scale(args, scale)?,
        CtlVerb::Restart(names) => ask::restart(args, names)?,
        CtlVerb::Rollout(rollout) => match &rollout.verb {
            RolloutVerb::Restart(whom) => ask::rollout(args, whom)?,
            RolloutVerb::Status(status) => rollout::status(args, status)?,
        },
        CtlVerb::Stop(names) => ask::stop(args, names)?,
        CtlVerb::Start(names) => ask::start(args, names)?,
        CtlVerb::Trigger(names) => ask::trigger(args, names)?,
        CtlVerb::Signal(to) => ask::signal(args, to)?,
        CtlVerb::Check(CheckTheseArgs { path: Some(path) }) => {
            return Ok(check::run(&CheckArgs { path: path.clone() }, &Trust::default()));
        }
        CtlVerb::Check(CheckTheseArgs { path: None }) => {
            let is_theirs = monitor::watches(args).is_ok();
            let trust = if is_theirs { monitor::trust(&args.messages) } else { Trust::default() };
            return Ok(check::run(&CheckArgs { path: args.config.clone() }, &trust));
        }
        CtlVerb::Explain(explain) => return Ok(documents::explain(explain)),
        CtlVerb::RestartAll => send(args, &Request::RestartAll)?,
        CtlVerb::RestartGroup(group) if group.group.is_empty() => return Err(Error::NoGroup),
        CtlVerb::RestartGroup(group) => send(args, &Request::RestartGroup(group.group.clone()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a verb reads or writes the directory of process files as that of a monitor.
fn uses_config(verb: &CtlVerb) -> bool {
    match verb {
        CtlVerb::Read(_) | CtlVerb::Check(_) | CtlVerb::Explain(_) | CtlVerb::RestartAll | CtlVerb::RestartGroup(_) => {
            false
        }
        CtlVerb::Add(_)
        | CtlVerb::Remove(_)
        | CtlVerb::Apply(_)
        | CtlVerb::Diff(_)
        | CtlVerb::Delete(_)
        | CtlVerb::Scale(_)
        | CtlVerb::Restart(_)
        | CtlVerb::Rollout(_)
        | CtlVerb::Stop(_)
        | CtlVerb::Start(_)
        | CtlVerb::Trigger(_)
        | CtlVerb::Signal(_) => true,
    }
}

fn send(ctl: &CtlArgs, request: &Request) -> Result<(), Error> {
    files::directory(&ctl.messages, "--messages")?;
    monitor::would_obey(ctl, std::slice::from_ref(request))?;
    let path = messages::write(&ctl.messages, request).map_err(Error::Message)?;
    // Not on stdout, where NColony's says nothing.
    monitor::note_of_silence(
        &ctl.messages,
        &format!("{} is written, and one that starts later drops it", path.display()),
    );
    Ok(())
}

/// The directories that were given, as they were, for whoever is told what to type next.
static GIVEN: OnceLock<String> = OnceLock::new();

fn given(args: &CtlArgs) -> String {
    let flag = |flag: &str, dir: &Path, variable: &str, default: &str| {
        let unsaid = std::env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from);
        if dir == unsaid { String::new() } else { format!(" {flag} {}", shell_word(&dir.to_string_lossy())) }
    };
    flag("--messages", &args.messages, MESSAGES_VARIABLE, MESSAGES_DIR)
        + &flag("--config", &args.config, CONFIG_VARIABLE, CONFIG_DIR)
}

/// What to type for a verb and a process.
fn typed(verb: &str, name: &str) -> String {
    format!("ncolony ctl{} {verb} {}", GIVEN.get().map_or("", String::as_str), shell_word(name))
}

/// Says what became of a process, as kubectl does.
fn say(name: &Name, word: &str, is_dry: bool) {
    print(&format!("process/{name} {word}{}\n", if is_dry { " (dry run)" } else { "" }));
}

/// Whether something that was to be printed could not be.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// A reader that has gone away is no reason to fail: the exit status tells all. A full disk is, as for `cp`.
fn print(text: &str) {
    let mut stdout = std::io::stdout();
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    if let Err(error) = printed.map_err(|error| (error.kind() != ErrorKind::BrokenPipe).then_some(error))
        && let Some(error) = error
        && !IS_LOST.swap(true, Ordering::Relaxed)
    {
        note(&format!("error: cannot print what is done: {error}"));
    }
}

fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
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
