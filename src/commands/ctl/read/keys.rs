//! Keys that are pressed while something is shown on a terminal that goes on. The terminal is as it was before when this
//! is dropped, and before a signal ends the program.

use std::io::stdin;
use std::os::fd::AsFd as _;
use std::thread::sleep;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, read, tcgetpgrp};

/// The keys, or nothing where there is no keyboard, or it is another program's.
pub(super) struct Keys(Option<Keyboard>);

struct Keyboard {
    before: Termios,
    signals: SignalFd,
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pressed {
    /// Nothing that means anything.
    Nothing,
    /// The key that ends it.
    Quit,
}

/// The keys that end it; Ctrl-D is none of a terminal's own now.
const QUIT: &[u8] = b"qQ\x04";
/// What ends a program that did not see to it otherwise.
const ENDS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

impl Keys {
    pub(super) fn open() -> Keys {
        Keys(Keyboard::open())
    }

    /// Waits so long for a key.
    pub(super) fn wait(&mut self, period: Duration) -> Pressed {
        let Some(keyboard) = &self.0 else {
            sleep(period);
            return Pressed::Nothing;
        };
        let (stdin, timeout) = (stdin(), PollTimeout::try_from(period).unwrap_or(PollTimeout::MAX));
        let mut ready = [keyboard.signals.as_fd(), stdin.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let _ = poll(&mut ready, timeout);
        let [signalled, pressed] = ready.map(|fd| fd.any().unwrap_or_default());
        if signalled && let Ok(Some(told)) = keyboard.signals.read_signal() {
            self.end_by(i32::try_from(told.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()));
        }
        let mut keys = [0; 64];
        // Not by std, which may keep some where no poll sees them.
        match pressed.then(|| read(&stdin, &mut keys)) {
            Some(Ok(count)) if !(count == 0 || keys[..count].iter().any(|key| QUIT.contains(key))) => Pressed::Nothing,
            // A terminal that is gone would be ready for ever.
            Some(Ok(_) | Err(_)) => Pressed::Quit,
            None => Pressed::Nothing,
        }
    }

    /// Ends as if the signal had come before the terminal was changed.
    fn end_by(&mut self, signal: Option<Signal>) {
        self.0 = None;
        println!();
        let _ = SigSet::from_iter(ENDS).thread_unblock();
        let _ = signal.map(raise);
    }
}

impl Keyboard {
    fn open() -> Option<Keyboard> {
        // From the background it would stop us, and change what another program sees.
        if tcgetpgrp(stdin()).ok()? != getpgrp() {
            return None;
        }
        let before = tcgetattr(stdin()).ok()?;
        let ends = SigSet::from_iter(ENDS);
        let signals = SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).ok()?;
        ends.thread_block().ok()?;
        let keyboard = Keyboard { before, signals };
        let mut raw = keyboard.before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(keyboard)
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), SetArg::TCSAFLUSH, &self.before);
    }
}
