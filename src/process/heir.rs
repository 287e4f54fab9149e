//! Heirs: processes that a run has named as its main ones (sd_notify's `MAINPID`), as a daemon does whose first process
//! ends once the daemon is at work. From then on the signals are theirs, and their end is the run's.
//!
//! An heir is our child only when all between it and us have gone, and its number may pass to a stranger before that: so
//! each is held by a pidfd, through which it is signalled and waited for, and one that cannot be held is none.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use libc::pid_t;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::sys::Ended;
use super::sys::{self, Which};
use super::{Children, First, Kin, Loss, Main, Who, tree};
use crate::model::{CpuTime, Exit, Incarnation, Signal};

/// All of them.
pub(super) struct Heirs {
    epoll: Epoll,
    runs: HashMap<Incarnation, Heir>,
    by_pid: HashMap<pid_t, Incarnation>,
}

struct Heir {
    pid: pid_t,
    pidfd: OwnedFd,
}

/// How many are handed out at once.
const BATCH: usize = 16;

/// Why a process is not made the main one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoHeir {
    /// Nothing that we started is left of the run, or its end is known already.
    RunOver,
    /// There is no such process.
    Gone,
    /// It is none of the run's.
    Stranger,
    /// The kernel has no pidfds, or gives us none.
    Unheld(i32),
}

impl Heirs {
    pub(super) fn new() -> io::Result<Heirs> {
        Ok(Heirs { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?, runs: HashMap::new(), by_pid: HashMap::new() })
    }

    pub(super) fn pid(&self, run: Incarnation) -> Option<pid_t> {
        self.runs.get(&run).map(|heir| heir.pid)
    }

    /// Whose heir has this number.
    pub(super) fn run_of(&self, pid: pid_t) -> Option<Incarnation> {
        self.by_pid.get(&pid).copied()
    }

    fn insert(&mut self, run: Incarnation, pid: pid_t, pidfd: OwnedFd) -> Result<(), Errno> {
        self.epoll.add(&pidfd, EpollEvent::new(EpollFlags::EPOLLIN, run.get()))?;
        self.remove(run);
        self.runs.insert(run, Heir { pid, pidfd });
        self.by_pid.insert(pid, run);
        Ok(())
    }

    /// It has gone, or another is the main process. Closing the only descriptor takes it out of the epoll.
    fn remove(&mut self, run: Incarnation) -> Option<Heir> {
        let heir = self.runs.remove(&run)?;
        self.by_pid.remove(&heir.pid);
        Some(heir)
    }

    /// A child with this number was collected. Says whose heir it was, if it was one.
    pub(super) fn collected(&mut self, pid: pid_t) -> Option<Incarnation> {
        let run = self.run_of(pid)?;
        self.remove(run).map(|_| run)
    }

    pub(super) fn signal(&self, run: Incarnation, signal: Signal) -> Result<(), i32> {
        self.runs.get(&run).map_or(Ok(()), |heir| tree::send_through(&heir.pidfd, heir.pid, signal))
    }

    pub(super) fn signal_once(&self, run: Incarnation, signal: Signal) -> Result<(), i32> {
        let heir = self.runs.get(&run).ok_or(libc::ESRCH)?;
        tree::send_once_through(&heir.pidfd, heir.pid, signal)
    }

    /// Those that have ended, with what was collected of them where that was for us.
    fn ended(&mut self) -> Vec<(Incarnation, Option<(Ended, CpuTime)>)> {
        if self.runs.is_empty() {
            return Vec::new();
        }
        let mut events = [EpollEvent::empty(); BATCH];
        let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let runs = events[..ready].iter().filter_map(|event| NonZeroU64::new(event.data())).map(Incarnation::new);
        let ended = runs.filter_map(|run| Some((run, self.remove(run)?)));
        // By its descriptor, not by its number: its parent may have collected it already.
        let collect = |heir: Heir| sys::wait_with_usage(Which::Held(heir.pidfd.as_raw_fd()));
        ended.map(|(run, heir)| (run, collect(heir))).collect()
    }
}

/// Becomes readable when an heir has ended: of one that is not our child nobody else tells us.
impl AsFd for Children {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.heirs.epoll.0.as_fd()
    }
}

impl Children {
    /// From now on this process is a run's main one. Says whether it was not.
    ///
    /// # Errors
    /// Why it cannot be; nothing has changed then.
    pub fn hand_over(&mut self, run: Incarnation, pid: pid_t) -> Result<bool, NoHeir> {
        match self.runs.get(&run) {
            Some(Kin { main: Main::First | Main::Heir, .. }) => self.make_heir(run, pid),
            Some(Kin { main: Main::Over, .. }) | None => Err(NoHeir::RunOver),
        }
    }

    /// The same for a run whose main process ended in this very turn, and had said so before: the run goes on.
    ///
    /// # Errors
    /// As [`Children::hand_over`].
    pub fn hand_over_late(&mut self, run: Incarnation, pid: pid_t) -> Result<bool, NoHeir> {
        let Some(Kin { main: Main::Over, .. }) = self.runs.get(&run) else { return self.hand_over(run, pid) };
        self.make_heir(run, pid)?;
        self.leaving.remove(&run);
        Ok(true)
    }

    fn make_heir(&mut self, run: Incarnation, pid: pid_t) -> Result<bool, NoHeir> {
        if self.pid(run) == Some(pid) {
            return Ok(false);
        }
        if self.is_first(run, pid) {
            self.heirs.remove(run);
            self.runs.get_mut(&run).into_iter().for_each(|kin| kin.main = Main::First);
            return Ok(true);
        }
        // The descriptor first, the looks after it: what is looked at then is what the descriptor holds.
        let pidfd = match sys::pidfd_open(pid) {
            Ok(pidfd) => pidfd,
            Err(libc::ESRCH | libc::EINVAL) => return Err(NoHeir::Gone),
            Err(errno) => return Err(NoHeir::Unheld(errno)),
        };
        if !self.is_below(run, pid) {
            return Err(NoHeir::Stranger);
        }
        if tree::has_ended(&pidfd) {
            return Err(NoHeir::Gone);
        }
        self.heirs.insert(run, pid, pidfd).map_err(|errno| NoHeir::Unheld(errno as i32))?;
        if let Some(kin) = self.runs.get_mut(&run) {
            kin.main = Main::Heir;
            // Nobody looks after its group's number any more: its members are found one by one.
            if let First::Gone(has_group) = &mut kin.first {
                *has_group = false;
            }
        }
        Ok(true)
    }

    /// Whether it descends from what the run consists of, and is not what we have started beside it ourselves.
    fn is_below(&self, run: Incarnation, pid: pid_t) -> bool {
        !self.is_known(pid) && self.run_above(pid) == Some(run)
    }

    fn is_first(&self, run: Incarnation, pid: pid_t) -> bool {
        self.runs.get(&run).is_some_and(|kin| matches!(kin.first, First::Child) && kin.pid == pid)
    }

    /// Collects the heirs that have ended. To be done before anybody is collected by number.
    pub(super) fn collect_heirs(&mut self, lost: &mut Vec<Loss>) {
        for (run, ended) in self.heirs.ended() {
            lost.push(Loss { run, who: Who::Heir, exit: ended.map_or(Exit::Unknown, |(ended, _)| ended.exit) });
            if let Some((ended, cpu)) = ended {
                self.orphan_collected(ended, Some(cpu), lost);
            }
        }
    }
}

impl fmt::Display for NoHeir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoHeir::RunOver => f.write_str("its main process has ended"),
            NoHeir::Gone => f.write_str("there is no such process"),
            NoHeir::Stranger => f.write_str("that process is none of its own"),
            NoHeir::Unheld(errno) => {
                let reason = Errno::from_raw(*errno).desc();
                write!(f, "that process cannot be held by a pidfd: {reason}")
            }
        }
    }
}

impl std::error::Error for NoHeir {}
