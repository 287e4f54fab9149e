//! A run that a monitor before this one started: not our child, so it cannot be waited for, and its numbers may pass to
//! strangers. It is recognised exactly, or left alone, and signalled through descriptors that only it can be behind.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, OwnedFd};

use libc::pid_t;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::proc_fs;
use super::{birth, sys, tree};
use crate::model::{Incarnation, Signal};

/// What the journal tells of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remembered {
    /// Which run.
    pub run: Incarnation,
    /// Its main process.
    pub pid: i32,
    /// When the main process was born: nanoseconds of CLOCK_BOOTTIME, read by itself.
    pub born: u64,
}

/// Clock ticks are hundredths of a second in all that /proc shows.
const TICK_NANOS: u64 = 10_000_000;
/// A process reads the clock a little after the kernel made it; never before.
const BIRTH_TICKS: u64 = 100;

pub(super) struct Ghost {
    pid: pid_t,
    born: u64,
    mark: String,
    main: Main,
}

enum Main {
    /// It lives; the descriptor is missing where there are no pidfds.
    Alive(Option<OwnedFd>),
    /// It has gone, which nobody was told.
    Untold,
    /// It has gone.
    Gone,
}

impl Ghost {
    /// Looks for a remembered run, `marks` being those that live. `None` when nothing of it is left, or what has its
    /// numbers is a stranger.
    pub(super) fn find(remembered: &Remembered, mark: String, marks: &BTreeSet<String>) -> Option<Ghost> {
        // The descriptor first, the look after it: what is looked at then is what the descriptor holds.
        let pidfd = sys::pidfd_open(remembered.pid).ok();
        let main = match is_same(remembered.pid, remembered.born) {
            true => Main::Alive(pidfd),
            false => Main::Untold,
        };
        let ghost = Ghost { pid: remembered.pid, born: remembered.born, mark, main };
        ghost.is_anything_left(marks).then_some(ghost)
    }

    /// Says once that the main process has gone.
    pub(super) fn has_just_ended(&mut self) -> bool {
        let ended = match &self.main {
            Main::Gone => return false,
            Main::Untold => true,
            Main::Alive(Some(pidfd)) => {
                poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
            }
            Main::Alive(None) => !is_same(self.pid, self.born),
        };
        if ended {
            self.main = Main::Gone;
        }
        ended
    }

    pub(super) fn is_anything_left(&self, marks: &BTreeSet<String>) -> bool {
        self.main_lives() || marks.contains(&self.mark)
    }

    pub(super) fn signal_main(&self, signal: Signal) -> Result<(), i32> {
        match &self.main {
            Main::Alive(Some(pidfd)) => tree::send_through(pidfd, signal),
            Main::Alive(None) if is_same(self.pid, self.born) => tree::send(self.pid, signal),
            Main::Alive(None) | Main::Untold | Main::Gone => Ok(()),
        }
    }

    pub(super) fn signal_all(&self, signal: Signal) {
        let _ = self.signal_main(signal);
        for pid in self.members() {
            let pidfd = sys::pidfd_open(pid);
            if self.is_member(pid) {
                let _ = match &pidfd {
                    Ok(pidfd) => tree::send_through(pidfd, signal),
                    Err(_) => tree::send(pid, signal),
                };
            }
        }
    }

    fn main_lives(&self) -> bool {
        match self.main {
            Main::Alive(_) => true,
            Main::Untold | Main::Gone => false,
        }
    }

    /// All that lives of the run, less its main process.
    fn members(&self) -> Vec<pid_t> {
        let main = self.main_lives().then_some(self.pid);
        let mut members: Vec<pid_t> =
            proc_fs::all().into_iter().filter(|pid| Some(*pid) != main && self.is_member(*pid)).collect();
        let mut roots = members.clone();
        roots.extend(main);
        let below = proc_fs::descendants(&roots).into_iter().filter(|pid| !members.contains(pid)).collect::<Vec<_>>();
        members.extend(below);
        members
    }

    /// By its mark; or by its session while the session's leader, which cannot be mistaken, lives.
    fn is_member(&self, pid: pid_t) -> bool {
        let Some(stat) = proc_fs::stat(pid) else { return false };
        if stat.state == b'Z' {
            return false;
        }
        let in_session = self.main_lives() && stat.session == self.pid;
        in_session || proc_fs::variable(pid, birth::MARK).is_some_and(|mark| mark == self.mark)
    }
}

/// The marks of all processes that live: one pass for any number of ghosts.
pub(super) fn living_marks() -> BTreeSet<String> {
    let marked = proc_fs::all().into_iter().filter_map(|pid| Some((pid, proc_fs::variable(pid, birth::MARK)?)));
    marked.filter(|(pid, _)| proc_fs::stat(*pid).is_some_and(|stat| stat.state != b'Z')).map(|(_, mark)| mark).collect()
}

/// Whether the process with this pid is the one that read `born` off the clock when it was new: whoever has the number
/// after it was born later.
fn is_same(pid: pid_t, born: u64) -> bool {
    let ticks = born / TICK_NANOS;
    proc_fs::stat(pid)
        .is_some_and(|stat| stat.state != b'Z' && stat.start <= ticks && ticks - stat.start <= BIRTH_TICKS)
}
