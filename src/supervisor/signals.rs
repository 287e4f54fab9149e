//! The signals that the monitor itself obeys.

use std::io;

use nix::sys::signal::{self, SigSet, SigmaskHow, sigprocmask};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks of the monitor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// CHLD: look for children that have ended.
    Look,
    /// HUP: look at the configuration now.
    Rescan,
    /// TERM, INT, QUIT: end; when asked again, at once.
    End,
    /// USR1, USR2, ALRM: nothing, but they must not kill us.
    Nothing,
}

/// The handlers. A signal is a hint: several may count as one.
#[derive(Debug)]
pub(super) struct Signals {
    child: Signal,
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    ignored: [Signal; 3],
}

/// What is let through, to this thread: what has a handler, what a fault of our own raises, and what job control needs.
/// All else stays held back for good. As PID 1 the kernel shields us from signals without a handler only where no thread
/// blocks them; and nobody in a container shall be able to end it with SIGPWR, or a terminal stop it with SIGTTOU.
const LET_THROUGH: [signal::Signal; 16] = [
    signal::SIGCHLD,
    signal::SIGHUP,
    signal::SIGTERM,
    signal::SIGINT,
    signal::SIGQUIT,
    signal::SIGUSR1,
    signal::SIGUSR2,
    signal::SIGALRM,
    signal::SIGSEGV,
    signal::SIGBUS,
    signal::SIGILL,
    signal::SIGFPE,
    signal::SIGTRAP,
    signal::SIGABRT,
    signal::SIGSYS,
    signal::SIGTSTP,
];

/// Holds all signals back until the loop has installed handlers to hear them: the first act of `main`, since a signal
/// that finds no handler ends us, or, as PID 1, is lost. Returns what was held back before.
pub fn hold() -> SigSet {
    let mut before = SigSet::empty();
    // It cannot fail: SIG_BLOCK and a full set are valid.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
    before
}

/// Lets the signals come again, for a program that has no use for [`hold`].
pub fn release() {
    // It cannot fail, either.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

impl Signals {
    /// Installs the handlers, then lets what they are for come, to this thread.
    ///
    /// # Errors
    /// When the kernel refuses a handler.
    pub(super) fn install() -> io::Result<Signals> {
        let signals = Signals {
            child: signal(SignalKind::child())?,
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            ignored: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
                signal(SignalKind::alarm())?,
            ],
        };
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&SigSet::from_iter(LET_THROUGH)), None)?;
        Ok(signals)
    }

    /// Waits for the next one. Cancel-safe: each `recv` is, and nothing else happens here.
    pub(super) async fn next(&mut self) -> Asked {
        let [usr1, usr2, alarm] = &mut self.ignored;
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.quit.recv() => Asked::End,
            _ = self.child.recv() => Asked::Look,
            _ = self.hangup.recv() => Asked::Rescan,
            _ = usr1.recv() => Asked::Nothing,
            _ = usr2.recv() => Asked::Nothing,
            _ = alarm.recv() => Asked::Nothing,
        }
    }
}
