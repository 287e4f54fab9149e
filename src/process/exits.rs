//! Who has ended, without asking for everybody: `waitid` for any child walks over all of them, which at five thousand
//! costs more than starting one. A pidfd becomes readable when its process ends, and epoll hands out the readable ones.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use libc::pid_t;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// The main processes that are watched.
#[derive(Default)]
pub(super) struct Exits {
    epoll: Option<Epoll>,
    watched: HashMap<pid_t, OwnedFd>,
    /// Those of children that were collected.
    collected: Vec<OwnedFd>,
    /// How many are not: no pidfds here, or none left.
    unwatched: usize,
}

/// How many are handed out at once.
pub(super) const BATCH: usize = 64;

impl Exits {
    pub(super) fn new() -> Exits {
        Exits { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ok(), ..Exits::default() }
    }

    /// Watches a new child, if that can be.
    pub(super) fn watch(&mut self, pid: pid_t, pidfd: Option<OwnedFd>) {
        let watching = match (&self.epoll, &pidfd) {
            // A pid is positive.
            (Some(epoll), Some(fd)) => epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, pid as u64)).is_ok(),
            (Some(_) | None, Some(_) | None) => false,
        };
        match pidfd.filter(|_| watching) {
            Some(fd) => drop(self.watched.insert(pid, fd)),
            None => self.unwatched += 1,
        }
    }

    /// Some of the watched that have ended; fewer than a [`BATCH`] when there are no more.
    pub(super) fn ended(&mut self) -> Vec<pid_t> {
        self.let_go();
        let mut events = [EpollEvent::empty(); BATCH];
        let ready = self.epoll.as_ref().and_then(|epoll| epoll.wait(&mut events, EpollTimeout::ZERO).ok()).unwrap_or(0);
        events[..ready].iter().map(|event| event.data() as pid_t).collect()
    }

    /// This child was collected.
    pub(super) fn collected(&mut self, pid: pid_t) {
        match self.watched.remove(&pid) {
            Some(pidfd) => self.collected.push(pidfd),
            None => self.unwatched = self.unwatched.saturating_sub(1),
        }
    }

    /// Closes the descriptors of those that were collected, which takes them out of the epoll. That takes its time, for
    /// which nobody's replacement shall wait.
    pub(super) fn let_go(&mut self) {
        self.collected.clear();
    }

    /// Whether this child's end is told here.
    pub(super) fn watches(&self, pid: pid_t) -> bool {
        self.watched.contains_key(&pid)
    }

    /// Whether everybody must be asked for.
    pub(super) fn are_incomplete(&self) -> bool {
        self.unwatched > 0
    }
}
