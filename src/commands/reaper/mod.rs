//! `ncolony reaper`: PID 1 for one program. It starts it, passes on every signal that can be, collects whatever is orphaned,
//! ends with its status, and leaves nothing behind.
//!
//! Under the names of tini, dumb-init and catatonit it is what their users know; what differs is said in the README.

mod options;
mod rest;

use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use nix::sys::signal::SigSet;

pub use options::Guise;
use options::{Options, Task};

use crate::model::{Exit, Signal};
use crate::process::solo::{self, Leash, Place, Signals, Solo, Start, Whom};

/// The exit status where it is us who failed; 126 and 127 are the program's, as in shells.
const OUR_FAULT: u8 = 125;
const HELP: &str = include_str!("help.txt");

/// Runs it. All signals are blocked, and `mask` is what was when this program began.
pub fn run(guise: Guise, words: impl IntoIterator<Item = OsString>, mask: SigSet) -> ExitCode {
    let who = guise.name();
    match options::parse(guise, words, |name| std::env::var_os(name)) {
        Ok(Task::Run(options)) => ExitCode::from(look_after(who, &options, mask)),
        Ok(Task::Pause) => ExitCode::from(pause()),
        Ok(Task::Help) => print(&HELP.replace("{name}", who)),
        Ok(Task::Version) => print(version(guise)),
        Ok(Task::License) => print(include_str!("../../../LICENSE")),
        Err(misuse) => {
            say(who, format_args!("{}; see {who} --help", misuse.0));
            ExitCode::from(OUR_FAULT)
        }
    }
}

/// As the real ones tell it: engines read it out of this line.
fn version(guise: Guise) -> &'static str {
    match guise {
        Guise::Ncolony => concat!("ncolony reaper ", env!("CARGO_PKG_VERSION"), "\n"),
        Guise::Tini => concat!("tini version ", env!("CARGO_PKG_VERSION"), " (ncolony)\n"),
        Guise::DumbInit => concat!("dumb-init v", env!("CARGO_PKG_VERSION"), " (ncolony)\n"),
        Guise::Catatonit => concat!("tini version ", env!("CARGO_PKG_VERSION"), "_catatonit (ncolony)\n"),
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(OUR_FAULT),
    }
}

fn look_after(who: &'static str, options: &Options, mask: SigSet) -> u8 {
    if let Err(errno) = options.parent_death.map_or(Ok(()), solo::die_with_parent) {
        say(who, format_args!("cannot ask for a signal when the parent ends: {}", words(errno)));
        return OUR_FAULT;
    }
    if let Err(errno) = solo::become_subreaper() {
        let why = words(errno);
        say(who, format_args!("neither PID 1 nor a subreaper ({why}); orphans of the program are not collected"));
    }
    let signals = if options.resets_signals { Signals::Default } else { Signals::Inherited(mask) };
    // Before the program begins, which takes the terminal over.
    let led = options.place == Place::Session && solo::leave_terminal();
    let start = Start { argv: &options.command, place: options.place, signals, leash: Leash::None, streams: None, who };
    let solo = match Solo::start(&start) {
        Ok(solo) => solo,
        Err(errno) => {
            say(who, format_args!("cannot fork: {}", words(errno)));
            return OUR_FAULT;
        }
    };
    // A working directory that is a mount point could not be unmounted while we are in it.
    let _ = nix::unistd::chdir("/");
    let echoes = if led { vec![Signal::HUP, Signal::CONT] } else { Vec::new() };
    let mut reaper = Reaper { who, options, solo, echoes, kill_at: None };
    reaper.tell(2, format_args!("started {:?} as pid {}", options.command[0], reaper.solo.pid()));
    let exit = reaper.until_it_ends();
    reaper.tell(2, format_args!("the program has ended: {exit}"));
    reaper.end_the_rest();
    status(exit, &options.forgiven)
}

/// What looks after one program.
struct Reaper<'a> {
    who: &'static str,
    options: &'a Options,
    solo: Solo,
    /// Signals that come of our leaving the terminal, once each, and are nobody's.
    echoes: Vec<Signal>,
    /// When it is killed, since it was asked to end.
    kill_at: Option<Instant>,
}

impl Reaper<'_> {
    fn until_it_ends(&mut self) -> Exit {
        loop {
            self.reap();
            if let Some(exit) = self.solo.exit() {
                return exit;
            }
            let limit = self.kill_at.map(|at| at.saturating_duration_since(Instant::now()));
            match solo::next_signal(limit) {
                Some(Signal::CHLD) => {}
                Some(signal) => self.pass_on(signal),
                None if self.kill_at.is_some_and(|at| at <= Instant::now()) => self.kill(),
                // Something that is no signal has ended the wait.
                None => {}
            }
        }
    }

    fn reap(&mut self) {
        for pid in self.solo.reap() {
            let level = if self.options.warns { 0 } else { 3 };
            self.tell(level, format_args!("reaped zombie process with pid={pid}"));
        }
    }

    fn pass_on(&mut self, signal: Signal) {
        if let Some(at) = self.echoes.iter().position(|echo| *echo == signal) {
            self.echoes.swap_remove(at);
            return self.tell(3, format_args!("{signal} comes of having left the terminal, and is dropped"));
        }
        match self.rewritten(signal) {
            Some(sent) => self.send(signal, sent),
            None => self.tell(3, format_args!("{signal} is dropped")),
        }
        if STOPS.contains(&signal) && self.is_stopped_too() {
            solo::stop_here();
        }
    }

    fn send(&mut self, signal: Signal, sent: Signal) {
        match self.solo.send(self.options.whom, sent) {
            Ok(()) => self.tell(3, format_args!("passed on {signal} as {sent}")),
            // It has ended just now.
            Err(errno) if errno == nix::errno::Errno::ESRCH as i32 => {}
            Err(errno) => self.tell(1, format_args!("cannot pass on {sent}: {}", words(errno))),
        }
        if ASKS_TO_END.contains(&signal) && self.kill_at.is_none() {
            self.kill_at = self.options.killtime.map(|killtime| Instant::now() + killtime);
        }
    }

    /// Job control: whether we are stopped when the program is, so that whoever started us sees it. It is so as well where
    /// the signal is dropped: the program in our group has it from the terminal itself.
    fn is_stopped_too(&self) -> bool {
        match self.options.place {
            Place::Session | Place::Ours => true,
            // The terminal stops the program alone.
            Place::Foreground => false,
        }
    }

    /// What a signal becomes, by `--rewrite` first, then by what the terminal means by it.
    fn rewritten(&self, signal: Signal) -> Option<Signal> {
        let rewrite = self.options.rewrites.iter().rev().find(|(from, _)| *from == signal);
        match (rewrite, self.options.place) {
            (Some((_, to)), _) => *to,
            // A session without a terminal has no job control: its members would not stop for these.
            (None, Place::Session) if STOPS.contains(&signal) => Some(Signal::STOP),
            // The terminal means us, and the program has it.
            (None, Place::Foreground) if TERMINAL.contains(&signal) => None,
            (None, Place::Foreground | Place::Session | Place::Ours) => Some(signal),
        }
    }

    fn kill(&mut self) {
        self.tell(1, format_args!("the program has had its time, and is killed"));
        self.kill_at = None;
        // All of its group, where it has one of its own.
        let _ = self.solo.send(Whom::Group, Signal::KILL);
    }

    fn tell(&self, level: u8, what: fmt::Arguments<'_>) {
        if self.options.verbosity >= level {
            say(self.who, what);
        }
    }
}

const ASKS_TO_END: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::ALRM];
const STOPS: [Signal; 3] = [Signal::TSTP, Signal::TTIN, Signal::TTOU];
const TERMINAL: [Signal; 2] = [Signal::TTIN, Signal::TTOU];

/// The program's code, or 128 + n; one that is forgiven is 0.
fn status(exit: Exit, forgiven: &[u8]) -> u8 {
    let code = u8::try_from(exit.shell_code()).unwrap_or(OUR_FAULT);
    if forgiven.contains(&code) { 0 } else { code }
}

/// Collects orphans until it is asked to end.
fn pause() -> u8 {
    let _ = solo::become_subreaper();
    loop {
        match solo::next_signal(None) {
            Some(Signal::CHLD) => solo::reap_all(),
            Some(signal) if ASKS_TO_END.contains(&signal) => return 0,
            Some(_) | None => {}
        }
    }
}

/// All of a line in one piece: stderr passes on what it is given piece by piece, and whoever keeps a log by the piece would
/// have several lines.
fn say(who: &str, what: fmt::Arguments<'_>) {
    // There is nobody to tell where that fails.
    let _ = std::io::stderr().write_all(format!("{who}: {what}\n").as_bytes());
}

fn words(errno: i32) -> &'static str {
    nix::errno::Errno::from_raw(errno).desc()
}
