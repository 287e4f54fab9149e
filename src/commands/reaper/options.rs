//! What `ncolony reaper` takes, and what it takes under the names of tini, dumb-init and catatonit. Read by hand, in the way
//! of getopt(3), up to the first word that is no option: an init is started a million times a day, and what follows is
//! somebody else's command line.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::time::Duration;

use crate::model::Signal;
use crate::process::solo::{Place, Whom};

/// As whom it was started: what is expected of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Guise {
    /// `ncolony reaper`
    Ncolony,
    /// `tini`
    Tini,
    /// `dumb-init`
    DumbInit,
    /// `catatonit`
    Catatonit,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Task {
    /// Run this.
    Run(Box<Options>),
    /// Run nothing, collect orphans, until somebody asks for the end.
    Pause,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Print the license.
    License,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Options {
    /// Where the program is put.
    pub(super) place: Place,
    /// Whom signals are passed on to.
    pub(super) whom: Whom,
    /// Whether signals' dispositions are the default ones in the program, and nothing is blocked there.
    pub(super) resets_signals: bool,
    /// Codes that count as 0.
    pub(super) forgiven: Vec<u8>,
    /// The signal for us when our parent ends.
    pub(super) parent_death: Option<Signal>,
    /// What signals become; `None`: nothing.
    pub(super) rewrites: Vec<(Signal, Option<Signal>)>,
    /// Whether each orphan is told of.
    pub(super) warns: bool,
    /// How much is told of the rest.
    pub(super) verbosity: u8,
    /// From the first TERM, INT or ALRM to SIGKILL.
    pub(super) killtime: Option<Duration>,
    /// What what is left has between TERM and SIGKILL, when the program has ended.
    pub(super) grace: Duration,
    /// The program and its arguments; one at least.
    pub(super) command: Vec<CString>,
}

/// What is wrong with a command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Misuse(pub(super) String);

/// The level at which only what goes wrong is told.
const QUIET: u8 = 1;
/// The level at which all is told; between the two: what was started, and how it ended.
const ALL: u8 = 3;
/// What is left over has so long.
const GRACE: Duration = Duration::from_secs(5);

impl Guise {
    /// The guise that a program's name stands for.
    pub fn of(program: &OsStr) -> Option<Guise> {
        let bytes = program.as_bytes();
        let name = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or(bytes);
        match name {
            // As which docker and podman start what they are given for `--init`.
            b"tini" | b"docker-init" => Some(Guise::Tini),
            // As its releases are named: `tini-static`, `tini-amd64`, `tini-static-arm64`.
            [b't', b'i', b'n', b'i', b'-', ..] => Some(Guise::Tini),
            b"dumb-init" => Some(Guise::DumbInit),
            b"catatonit" | b"podman-init" => Some(Guise::Catatonit),
            b"ncolony-reaper" => Some(Guise::Ncolony),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Guise::Ncolony => "ncolony reaper",
            Guise::Tini => "tini",
            Guise::DumbInit => "dumb-init",
            Guise::Catatonit => "catatonit",
        }
    }

    /// Whether options may stand behind the program's name, up to `--`, as getopt(3) has it: `tini -s sh -- -c true`. Where
    /// no `--` follows they are the program's here, and mostly an error there.
    fn permutes(self) -> bool {
        match self {
            Guise::Tini | Guise::Catatonit => true,
            Guise::Ncolony | Guise::DumbInit => false,
        }
    }

    fn defaults(self) -> Options {
        let is_session = self == Guise::DumbInit;
        Options {
            place: if is_session { Place::Session } else { Place::Foreground },
            whom: if is_session { Whom::Group } else { Whom::Process },
            resets_signals: is_session,
            forgiven: Vec::new(),
            parent_death: None,
            rewrites: Vec::new(),
            warns: false,
            verbosity: QUIET,
            killtime: None,
            grace: GRACE,
            command: Vec::new(),
        }
    }
}

/// One option.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flag {
    Group,
    Single,
    Session,
    Subreaper,
    ParentDeath,
    Forgive,
    Warn,
    Verbose,
    Rewrite,
    Killtime,
    Grace,
    Pause,
    Help,
    Version,
    License,
}

/// Letter, word, which flag, and whether a value follows.
const FLAGS: [(u8, &str, Flag, bool); 16] = [
    (b'g', "group", Flag::Group, false),
    (b'c', "single-child", Flag::Single, false),
    (b'S', "session", Flag::Session, false),
    (b's', "subreaper", Flag::Subreaper, false),
    (b'p', "parent-death-signal", Flag::ParentDeath, true),
    (b'e', "expect-exit-code", Flag::Forgive, true),
    (b'w', "warn", Flag::Warn, false),
    (b'v', "verbose", Flag::Verbose, false),
    (b'r', "rewrite", Flag::Rewrite, true),
    (b'k', "killtime", Flag::Killtime, true),
    (b't', "grace", Flag::Grace, true),
    (b'P', "pause", Flag::Pause, false),
    (b'h', "help", Flag::Help, false),
    (b'V', "version", Flag::Version, false),
    (b'l', "license", Flag::License, false),
    // As catatonit has it.
    (b'L', "license", Flag::License, false),
];

/// Reads the words after the program's name. `variable` is the environment.
pub(super) fn parse(
    guise: Guise,
    words: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Task, Misuse> {
    let mut options = guise.defaults();
    let words: Vec<OsString> = words.into_iter().collect();
    let goes_on = guise.permutes() && words.iter().any(|word| word == "--") && variable("POSIXLY_CORRECT").is_none();
    from_environment(guise, &mut options, variable);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let task = match word.as_bytes() {
            b"--" => break,
            [b'-', b'-', long @ ..] => take_long(&mut options, long, &mut words)?,
            [b'-', letters @ ..] if !letters.is_empty() => take_letters(&mut options, letters, &mut words)?,
            _ => {
                options.command.push(c_string(word)?);
                if !goes_on {
                    break;
                }
                None
            }
        };
        if let Some(task) = task {
            return Ok(task);
        }
    }
    for word in words {
        options.command.push(c_string(word)?);
    }
    // Its one level is all of it.
    if guise == Guise::DumbInit && options.verbosity > QUIET {
        options.verbosity = ALL;
    }
    if options.command.is_empty() {
        return Err(Misuse("no command: expected the program to run, and its arguments".into()));
    }
    Ok(Task::Run(Box::new(options)))
}

fn from_environment(guise: Guise, options: &mut Options, variable: impl Fn(&str) -> Option<OsString>) {
    match guise {
        Guise::Tini => {
            if variable("TINI_KILL_PROCESS_GROUP").is_some() {
                options.whom = Whom::Group;
            }
            if let Some(level) = variable("TINI_VERBOSITY") {
                options.verbosity = as_atoi(level.as_bytes());
            }
        }
        Guise::DumbInit => {
            if variable("DUMB_INIT_SETSID").is_some_and(|value| value == "0") {
                single(options);
            }
            if variable("DUMB_INIT_DEBUG").is_some_and(|value| value == "1") {
                options.verbosity = ALL;
            }
        }
        Guise::Ncolony | Guise::Catatonit => {}
    }
}

/// The number that a text begins with, as atoi(3), by which tini reads its level: 0 where there is none, and for less.
fn as_atoi(text: &[u8]) -> u8 {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum: u8, digit| sum.saturating_mul(10).saturating_add(digit - b'0'))
}

fn take_long(
    options: &mut Options,
    word: &[u8],
    words: &mut impl Iterator<Item = OsString>,
) -> Result<Option<Task>, Misuse> {
    let (name, value) = match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    };
    let shown = String::from_utf8_lossy(name);
    let Some((_, _, flag, takes)) = called(name) else { return Err(Misuse(format!("unknown option --{shown}"))) };
    match (takes, value) {
        (false, None) => take(options, *flag, b""),
        (false, Some(_)) => Err(Misuse(format!("--{shown} takes no value"))),
        (true, Some(value)) => take(options, *flag, value),
        (true, None) => take(options, *flag, &following(words, &format!("--{shown}"))?),
    }
}

/// The option of this word, or of the only one that begins so, as getopt_long(3) has it.
fn called(name: &[u8]) -> Option<&'static (u8, &'static str, Flag, bool)> {
    let mut begin_so = FLAGS.iter().filter(|(_, long, ..)| !name.is_empty() && long.as_bytes().starts_with(name));
    let first = begin_so.next()?;
    let is_only = first.1.len() == name.len() || begin_so.all(|other| other.2 == first.2);
    is_only.then_some(first)
}

/// Several letters behind one dash; the value of the last may follow at once.
fn take_letters(
    options: &mut Options,
    letters: &[u8],
    words: &mut impl Iterator<Item = OsString>,
) -> Result<Option<Task>, Misuse> {
    for (at, letter) in letters.iter().enumerate() {
        let shown = char::from(*letter);
        let known = FLAGS.iter().find(|(known, ..)| known == letter);
        let Some((_, _, flag, takes)) = known else { return Err(Misuse(format!("unknown option -{shown}"))) };
        let rest = &letters[at + 1..];
        let task = match (takes, rest.is_empty()) {
            (false, _) => take(options, *flag, b"")?,
            (true, false) => return take(options, *flag, rest),
            (true, true) => return take(options, *flag, &following(words, &format!("-{shown}"))?),
        };
        if task.is_some() {
            return Ok(task);
        }
    }
    Ok(None)
}

fn following(words: &mut impl Iterator<Item = OsString>, option: &str) -> Result<Vec<u8>, Misuse> {
    words.next().map(OsString::into_vec).ok_or_else(|| Misuse(format!("{option} takes a value, and there is none")))
}

fn take(options: &mut Options, flag: Flag, value: &[u8]) -> Result<Option<Task>, Misuse> {
    match flag {
        Flag::Group => options.whom = Whom::Group,
        Flag::Single => single(options),
        Flag::Session => options.place = Place::Session,
        // It always is one, where it is not PID 1.
        Flag::Subreaper => {}
        Flag::ParentDeath => options.parent_death = Some(signal(value)?),
        Flag::Forgive => options.forgiven.push(number(value, "an exit code", 255)?),
        Flag::Warn => options.warns = true,
        Flag::Verbose => options.verbosity = options.verbosity.saturating_add(1),
        Flag::Rewrite => options.rewrites.push(rewrite(value)?),
        Flag::Killtime => options.killtime = Some(seconds(value)?),
        Flag::Grace => options.grace = seconds(value)?,
        Flag::Pause => return Ok(Some(Task::Pause)),
        Flag::Help => return Ok(Some(Task::Help)),
        Flag::Version => return Ok(Some(Task::Version)),
        Flag::License => return Ok(Some(Task::License)),
    }
    Ok(None)
}

/// As dumb-init has it: no session, and signals are the program's alone.
fn single(options: &mut Options) {
    (options.place, options.whom) = (Place::Ours, Whom::Process);
}

fn signal(value: &[u8]) -> Result<Signal, Misuse> {
    let text = String::from_utf8_lossy(value);
    Signal::parse(&text).ok_or_else(|| {
        let meant = Signal::misspelt(&text).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        Misuse(format!("{text:?} is no signal: expected a name or a number, such as TERM or 15{meant}"))
    })
}

/// `15:3`, or `15:0`: a signal, and what becomes of it.
fn rewrite(value: &[u8]) -> Result<(Signal, Option<Signal>), Misuse> {
    let at = value.iter().position(|byte| *byte == b':').ok_or_else(|| {
        let text = String::from_utf8_lossy(value);
        Misuse(format!("{text:?} is no rewriting: expected two signals, such as 15:3, or 15:0 to drop the first"))
    })?;
    let (from, to) = (signal(&value[..at])?, &value[at + 1..]);
    Ok((from, if to == b"0" { None } else { Some(signal(to)?) }))
}

fn number(value: &[u8], what: &str, most: u8) -> Result<u8, Misuse> {
    let text = String::from_utf8_lossy(value);
    text.parse().map_err(|_| Misuse(format!("{text:?} is not {what}: expected a number from 0 to {most}")))
}

fn seconds(value: &[u8]) -> Result<Duration, Misuse> {
    let text = String::from_utf8_lossy(value);
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| Misuse(format!("{text:?} is no number of seconds, such as 5 or 0.5")))
}

fn c_string(word: OsString) -> Result<CString, Misuse> {
    // The kernel has cut the words at their NULs.
    CString::new(word.into_vec()).map_err(|_| Misuse("a word with a NUL in it".into()))
}

#[cfg(test)]
mod tests;
