//! The signals that the monitor itself obeys.

use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
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

/// Holds all signals back until [`Signals::install`] has somebody to hear them: the first act of `main`, since a signal
/// that finds no handler ends us, or, as PID 1, is lost.
pub fn hold() {
    // It cannot fail: SIG_BLOCK and a full set are valid.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
}

/// Lets the signals come again, for a program that has no use for [`hold`].
pub fn release() {
    // It cannot fail, either.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

impl Signals {
    /// Installs the handlers, then lets the signals come, to this thread.
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
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
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
