//! The binary: as whom, parse, dispatch.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser as _};
use ncolony::cli::{self, Cli, Command};
use ncolony::config::Trust;
use ncolony::health::https;
use ncolony::model::nearest;
use ncolony::{process, supervisor};
use ncolony_commands::reaper::{self, Guise};
use ncolony_commands::{beat, check, checker, convert, ctl, demo, documents, https_get, printed, run, scheduler};

fn main() -> ExitCode {
    // Before anything else: a signal that comes too early must be neither lost nor fatal.
    let mask = supervisor::hold_signals();
    let words: Vec<OsString> = std::env::args_os().collect();
    // An init is small and quick: nothing is read that it does not need.
    if let Some(guise) = words.first().and_then(|program| Guise::of(program)) {
        return reaper::run(guise, words.into_iter().skip(1), mask);
    }
    if words.get(1).is_some_and(|word| word == "reaper") {
        return reaper::run(Guise::Ncolony, words.into_iter().skip(2), mask);
    }
    process::look_names_up_in_files();
    if words.get(1).is_some_and(|word| word == https::PROGRAM) {
        return https_get::run();
    }
    let words = cli::without_truth(spelled_out(words));
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return told(&refused(error, &words)),
    };
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => with_signals(|| check::run(&args, &Trust::default())),
        Command::Convert(args) => with_signals(|| convert::run(&args)),
        Command::Ctl(args) => with_signals(|| ctl::run(&args)),
        Command::Beat(args) => beat::run(&args, mask),
        Command::Beatcheck(args) => checker::beatcheck(&args),
        Command::Httpcheck(args) => checker::httpcheck(&args),
        Command::Scheduler(args) => scheduler::run(&args),
        Command::Explain(args) => with_signals(|| documents::explain(&args)),
        Command::Schema => with_signals(documents::schema),
        Command::Completion(args) => with_signals(|| documents::completion(&args)),
        Command::Man(args) => with_signals(|| documents::man(&args)),
        Command::Complete(args) => with_signals(|| documents::complete(&args)),
        Command::Reaper(args) => reaper::run(Guise::Ncolony, args.words, mask),
    }
}

/// Started through a link named `ncolony-ctl`, it is `ncolony ctl`. A file may also be called `ncolony-1.2-amd64`, and be
/// no program's.
fn spelled_out(words: Vec<OsString>) -> Vec<OsString> {
    let name = words.first().map(|word| word.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default());
    let command = name.and_then(|name| std::str::from_utf8(name.strip_prefix(b"ncolony-")?).ok());
    match command.filter(|command| Cli::command().find_subcommand(command).is_some()).map(OsString::from) {
        Some(command) => ["ncolony".into(), command].into_iter().chain(words.into_iter().skip(1)).collect(),
        None => words,
    }
}

/// Usage that was asked for is a document; one that was not is an error as it is.
fn told(error: &clap::Error) -> ExitCode {
    let written = error.print();
    match u8::try_from(error.exit_code()) {
        Ok(0) | Err(_) => printed::ended(written),
        Ok(code) => ExitCode::from(code),
    }
}

/// What is wrong with these words. What the environment says has no place in the usage, as if it were to be typed, nor
/// have the directories, which every verb takes.
fn refused(error: clap::Error, words: &[OsString]) -> clap::Error {
    let error =
        error.use_stderr().then(|| plain(Cli::command()).try_get_matches_from(words).err()).flatten().unwrap_or(error);
    advised(error, words)
}

/// The same, and whatever is in the environment.
fn plain(command: clap::Command) -> clap::Command {
    let plain_arg = |arg: clap::Arg| {
        let is_everywhere = arg.is_global_set();
        arg.env(None::<&str>).hide(is_everywhere)
    };
    command.mut_args(plain_arg).mut_subcommands(plain)
}

/// What was meant by a word that is no subcommand: kubectl's verbs are those of `ncolony ctl`.
fn advised(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let root = Cli::command();
    let is_first = words.get(1).is_some_and(|first| first == word.as_str());
    let programs = root.get_subcommands().filter(|_| is_first).map(|program| program.get_name());
    let verbs = root.find_subcommand("ctl").into_iter().flat_map(|ctl| ctl.get_subcommands());
    let meant = match nearest(word, programs.chain(verbs.map(|verb| verb.get_name()))) {
        Some(verb) if is_first && root.find_subcommand(verb).is_none() => format!("ctl {verb}"),
        Some(name) => name.to_string(),
        None => return error,
    };
    error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![meant]));
    error
}

fn with_signals(program: impl FnOnce() -> ExitCode) -> ExitCode {
    supervisor::release_unheard_signals();
    program()
}
