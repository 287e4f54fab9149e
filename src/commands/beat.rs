//! `ncolony beat`: a heart for programs that have none of their own.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::parent_id;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;

use super::pulse::{Pulse, in_full};
use crate::cli::BeatArgs;
use crate::health::{Heartless, OwnHeart};
use crate::model::{Exit, Signal};
use crate::process::solo::{self, Leash, Place, Signals, Solo, Start, Whom};
use crate::supervisor;

const WHO: &str = "ncolony beat";
/// The exit status of `--while` where it is us who failed, as the reaper has it; 126 and 127 are the command's.
const OUR_FAULT: u8 = 125;

/// Beats once, again and again, or while a command runs. All signals are blocked, and `mask` is what was when this program
/// began.
///
/// Exit status: 0 when it has beaten, 1 when it could not. With `--while`, the command's.
pub fn run(args: &BeatArgs, mask: SigSet) -> ExitCode {
    let heart = OwnHeart::from_environment();
    if args.during {
        return ExitCode::from(during(heart, args, mask));
    }
    supervisor::release_unheard_signals();
    solo::collect_nothing_as_pid_1();
    let heart = match heart {
        Ok(heart) => heart,
        Err(error) => return fail(&error),
    };
    match args.every {
        None => heart.beat().map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS),
        Some(pause) => {
            again_and_again(heart, pause);
            ExitCode::SUCCESS
        }
    }
}

fn fail(error: &Heartless) -> ExitCode {
    eprintln!("{WHO}: {}", in_full(error));
    ExitCode::FAILURE
}

fn pause(heart: &OwnHeart, asked: Option<f64>) -> Duration {
    asked.map_or_else(|| heart.pause(), Duration::from_secs_f64)
}

/// Until whoever has started us has ended: in a script's background it would else tell of a heart that stands still.
fn again_and_again(heart: OwnHeart, asked: Option<f64>) {
    let parent = parent_id();
    let pause = pause(&heart, asked);
    let mut pulse = Pulse::of(WHO, heart, pause);
    while parent_id() == parent {
        let next_at = pulse.beat(Instant::now());
        thread::sleep(next_at.saturating_duration_since(Instant::now()));
    }
}

/// Where nobody asks for a heartbeat the command runs all the same: a script needs no other line to be run by hand.
fn during(heart: Result<OwnHeart, Heartless>, args: &BeatArgs, mask: SigSet) -> u8 {
    let mut pulse = match heart {
        Ok(heart) => {
            let pause = pause(&heart, args.every.flatten());
            Some(Pulse::of(WHO, heart, pause))
        }
        Err(error) if error.is_unasked() => None,
        Err(error) => {
            eprintln!("{WHO}: {}", in_full(&error));
            return OUR_FAULT;
        }
    };
    let argv: Vec<CString> = args.command.iter().cloned().filter_map(c_string).collect();
    let signals = Signals::Inherited(mask);
    // Who kills this process means the command.
    let start = Start { argv: &argv, place: Place::Foreground, signals, leash: Leash::Kill, streams: None, who: WHO };
    match Solo::start(&start) {
        Ok(solo) => u8::try_from(until_it_ends(solo, pulse.as_mut()).shell_code()).unwrap_or(OUR_FAULT),
        Err(errno) => {
            eprintln!("{WHO}: cannot fork: {}", nix::errno::Errno::from_raw(errno).desc());
            OUR_FAULT
        }
    }
}

fn until_it_ends(mut solo: Solo, mut pulse: Option<&mut Pulse>) -> Exit {
    loop {
        solo.reap();
        if let Some(exit) = solo.exit() {
            return exit;
        }
        let next_at = pulse.as_mut().map(|pulse| pulse.beat(Instant::now()));
        match solo::next_signal(next_at.map(|at| at.saturating_duration_since(Instant::now()))) {
            // The terminal means us, and the command has it.
            None | Some(Signal::CHLD | Signal::TTIN | Signal::TTOU) => {}
            // It may have ended just now.
            Some(signal) => drop(solo.send(Whom::Process, signal)),
        }
    }
}

/// The kernel has cut the words at their NULs.
fn c_string(word: OsString) -> Option<CString> {
    CString::new(word.into_vec()).ok()
}
