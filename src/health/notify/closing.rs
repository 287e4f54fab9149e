//! Descriptors that somebody has passed to us, and how they are closed.
//!
//! To close a descriptor may take for ever: of a socket that lingers, or of a file system that does not answer. So a thread
//! does it, one for each sender of such, which lives as long as there is something to close.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::signal::SigSet;
use nix::unistd::close;

/// Descriptors that came with a datagram. They are closed, without waiting for that, when this is dropped.
#[derive(Debug)]
pub struct Descriptors {
    fds: Vec<RawFd>,
    closing: Arc<Closing>,
}

/// What is to be closed for one sender.
#[derive(Debug, Default)]
pub(super) struct Closing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    fds: Vec<RawFd>,
    /// Whether a thread is at work, and has one more.
    at_work: bool,
}

/// Enough for a loop around one system call.
const STACK: usize = 64 * 1024;

impl Descriptors {
    /// These are ours now, and nobody else's in this program.
    pub(super) fn new(fds: Vec<RawFd>, closing: &Arc<Closing>) -> Descriptors {
        Descriptors { fds, closing: Arc::clone(closing) }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.fds.len()
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        if !self.fds.is_empty() {
            self.closing.take(std::mem::take(&mut self.fds));
        }
    }
}

impl Closing {
    /// How many are not closed yet.
    pub(super) fn left(&self) -> usize {
        let state = self.lock();
        state.fds.len() + usize::from(state.at_work)
    }

    fn take(self: &Arc<Self>, fds: Vec<RawFd>) {
        let mut state = self.lock();
        state.fds.extend(fds);
        if state.at_work {
            return;
        }
        let work = Arc::clone(self);
        let thread = thread::Builder::new().name("notify-close".into()).stack_size(STACK);
        state.at_work = thread.spawn(move || work.work()).is_ok();
        if !state.at_work {
            // No thread can be made: better a loop that may wait than descriptors that are never closed.
            let fds = std::mem::take(&mut state.fds);
            drop(state);
            fds.into_iter().for_each(end);
        }
    }

    fn work(&self) {
        let _ = SigSet::all().thread_block();
        loop {
            let mut state = self.lock();
            let Some(fd) = state.fds.pop() else {
                state.at_work = false;
                return;
            };
            drop(state);
            end(fd);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whatever close(2) answers, the number is free again.
fn end(fd: RawFd) {
    let _ = close(fd);
}
