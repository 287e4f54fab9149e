//! The signals that the monitor itself obeys.

use std::future::pending;
use std::io;

use nix::sys::signal::{self, SigSet, SigmaskHow, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::solo;

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

/// What hears them. A signal is a hint: several may count as one.
#[derive(Debug)]
pub(super) struct Signals {
    /// CHLD waits here, where there are such descriptors: the end of a process shall not be heard by way of an interrupt, a
    /// handler and a pipe, for which its replacement would wait.
    children: Option<AsyncFd<SignalFd>>,
    /// The handler, for where there are none. It is there in any case: were the signal ignored, nobody could collect a child.
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

/// Lets the signals come again, for a program that has installed what hears them.
pub fn release() {
    // It cannot fail, either.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Lets the signals come again, for a program that has no use for [`hold`]: each does what it does by default, and what
/// asks for the end does so as PID 1, too.
pub fn release_unheard() {
    solo::obey_as_pid_1();
    release();
}

impl Signals {
    /// Installs the handlers, then lets what they are for come, to this thread.
    ///
    /// # Errors
    /// When the kernel refuses a handler.
    pub(super) fn install() -> io::Result<Signals> {
        let signals = Signals {
            children: children().ok(),
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
        let mut let_through = SigSet::from_iter(LET_THROUGH);
        if signals.children.is_some() {
            let_through.remove(signal::SIGCHLD);
        }
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&let_through), None)?;
        Ok(signals)
    }

    /// Waits for the next one. Cancel-safe: each `recv` is, and nothing else happens here.
    pub(super) async fn next(&mut self) -> Asked {
        let [usr1, usr2, alarm] = &mut self.ignored;
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.quit.recv() => Asked::End,
            () = heard(self.children.as_ref()) => Asked::Look,
            _ = self.child.recv() => Asked::Look,
            _ = self.hangup.recv() => Asked::Rescan,
            _ = usr1.recv() => Asked::Nothing,
            _ = usr2.recv() => Asked::Nothing,
            _ = alarm.recv() => Asked::Nothing,
        }
    }
}

/// Where CHLD can be read; it must be held back for that.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for the sake of types that do not own their descriptor; SignalFd does"
)]
fn children() -> io::Result<AsyncFd<SignalFd>> {
    let mask = SigSet::from_iter([signal::SIGCHLD]);
    let descriptor = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

/// Waits for the next CHLD, and takes it: one that comes while children are being looked for is another.
async fn heard(children: Option<&AsyncFd<SignalFd>>) {
    let Some(children) = children else { return pending().await };
    // An error means that the event loop ends.
    let Ok(mut ready) = children.readable().await else { return pending().await };
    let _ = children.get_ref().read_signal();
    ready.clear_ready();
}
