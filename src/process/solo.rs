//! The owner of one process, for a program that does nothing but run it and collect what it leaves behind: no table, no
//! journal, no thread. Where the monitor's [`super::Children`] is at work this is not, so nobody else waits for a child.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use libc::pid_t;
use nix::sys::prctl;
use nix::sys::signal::SigSet;

use super::sys::{self, Ended, Wait, Which};
use super::tree;
use crate::model::{Exit, Signal};

/// Where the process is put.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Into a group of its own, which becomes the terminal's foreground group where there is a terminal.
    Foreground,
    /// Into a session of its own, which takes over the terminal where it can.
    Session,
    /// Nowhere: it stays in our group.
    Ours,
}

/// What becomes of signals in the process.
#[derive(Clone, Copy, Debug)]
pub enum Signals {
    /// They are as we were given them: what was ignored is, and this is what is blocked.
    Inherited(SigSet),
    /// None is blocked, and none ignored.
    Default,
}

/// What becomes of the process when we are killed, who can then not end it any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leash {
    /// It runs on.
    None,
    /// It is killed, too.
    Kill,
}

/// How a program is started.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The program, which is looked up in PATH, and its arguments; one word at least.
    pub argv: &'a [CString],
    /// Where it is put.
    pub place: Place,
    /// What becomes of signals in it.
    pub signals: Signals,
    /// What becomes of it when we are killed.
    pub leash: Leash,
    /// Its descriptors 0, 1 and 2; ours where there are none.
    pub streams: Option<[BorrowedFd<'a>; 3]>,
    /// Who speaks where it cannot be executed.
    pub who: &'a str,
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whom {
    /// The process.
    Process,
    /// All of its group.
    Group,
}

/// When nothing has come for so long, little comes.
const REST: Duration = Duration::from_secs(1);

/// A process, and whatever comes to us as its orphan.
#[derive(Debug)]
pub struct Solo {
    pid: pid_t,
    place: Place,
    /// Its end, once it has been collected.
    exit: Option<Exit>,
    /// Orphans that were collected.
    reaped: Vec<pid_t>,
}

impl Solo {
    /// Starts a program.
    ///
    /// # Errors
    /// The errno of fork(2).
    pub fn start(start: &Start<'_>) -> Result<Solo, i32> {
        sys::hear_of_children();
        let pid = sys::fork(start)?;
        Ok(Solo { pid, place: start.place, exit: None, reaped: Vec::new() })
    }

    /// The process's pid.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Collects whatever has ended, and says which orphans that were.
    pub fn reap(&mut self) -> Vec<i32> {
        while let Ok(Some(Ended { pid, exit })) = sys::wait(Which::Any, Wait::Poll) {
            if pid == self.pid && self.exit.is_none() {
                self.exit = Some(exit);
            } else {
                self.reaped.push(pid);
            }
        }
        std::mem::take(&mut self.reaped)
    }

    /// Sends a signal to what was not collected yet; after that the number may be another's.
    ///
    /// # Errors
    /// The errno.
    pub fn send(&self, whom: Whom, signal: Signal) -> Result<(), i32> {
        match (whom, self.place) {
            (Whom::Group, Place::Foreground | Place::Session) if self.has_group() => {
                sys::kill(-self.pid, signal.as_raw())
            }
            (Whom::Group, Place::Ours) | (Whom::Process, _) if self.exit.is_none() => {
                sys::kill(self.pid, signal.as_raw())
            }
            (Whom::Group | Whom::Process, _) => Err(libc::ESRCH),
        }
    }

    /// Whether the group's number is still its own.
    fn has_group(&self) -> bool {
        self.exit.is_none() || sys::has_child_in_group(self.pid)
    }

    /// Sends a signal to all of it: its group, and what has left that, here or as our child.
    pub fn send_to_tree(&self, signal: Signal) {
        let mut told = HashSet::new();
        for _ in 0..tree::SWEEPS {
            let own = tree::children_of_ours();
            // They are held before the group is told: once their parents are dead they are not found below them.
            let outside = tree::outside(self.pid, &own, &own, &mut told);
            if self.has_group() {
                let _ = tree::send(-self.pid, signal);
            }
            outside.iter().for_each(|one| one.send(signal));
            if outside.is_empty() || signal != Signal::KILL {
                return;
            }
        }
    }

    /// Sends a signal to what is left of the group, and to each child that we have. A child's number is its own until it is
    /// collected, which nobody but us does.
    pub fn send_to_children(&self, signal: Signal) {
        let _ = self.send(Whom::Group, signal);
        for pid in tree::children_of_ours() {
            let _ = sys::kill(pid, signal.as_raw());
        }
    }

    /// Asks each child that we have, and was not asked before, to end. One that is stopped is continued for that.
    pub fn ask_children(&self, asked: &mut HashSet<i32>) {
        if asked.is_empty() {
            let _ = self.send(Whom::Group, Signal::TERM);
            let _ = self.send(Whom::Group, Signal::CONT);
        }
        for pid in tree::children_of_ours() {
            if asked.insert(pid) {
                let _ = sys::kill(pid, Signal::TERM.as_raw());
                let _ = sys::kill(pid, Signal::CONT.as_raw());
            }
        }
    }

    /// Whether something is left that is our child.
    pub fn has_children(&self) -> bool {
        sys::has_child()
    }
}

/// Collects whatever has ended, where nothing was started.
pub fn reap_all() {
    while let Ok(Some(_)) = sys::wait(Which::Any, Wait::Poll) {}
}

/// As PID 1, lets the signals that ask for the end end this program, as they do elsewhere without anybody's doing.
pub fn obey_as_pid_1() {
    if is_pid_1() {
        sys::obey_as_pid_1();
    }
}

/// As PID 1, lets the kernel collect whatever comes to us; for a program that starts nothing itself.
pub fn collect_nothing_as_pid_1() {
    if is_pid_1() {
        sys::leave_children_to_the_kernel();
    }
}

fn is_pid_1() -> bool {
    std::process::id() == 1
}

/// Lets orphans come to us, unless they do already.
///
/// # Errors
/// The errno.
pub fn become_subreaper() -> Result<(), i32> {
    if is_pid_1() {
        return Ok(());
    }
    prctl::set_child_subreaper(true).map_err(|errno| errno as i32)
}

/// Lets the kernel send us this signal when our parent ends.
///
/// # Errors
/// The errno.
pub fn die_with_parent(signal: Signal) -> Result<(), i32> {
    let signal = nix::sys::signal::Signal::try_from(signal.as_raw()).map_err(|errno| errno as i32)?;
    prctl::set_pdeathsig(signal).map_err(|errno| errno as i32)
}

/// Waits for a signal, all of which must be blocked; `None` when none came for so long. Once nothing has come for a
/// moment, the pages of this program that are mapped are given back, which is most of what it takes up.
pub fn next_signal(limit: Option<Duration>) -> Option<Signal> {
    let moment = limit.map_or(REST, |limit| limit.min(REST));
    let left = limit.map(|limit| limit - moment);
    sys::next_signal(Some(moment)).or_else(|| {
        if left == Some(Duration::ZERO) {
            return None;
        }
        sys::let_go_of_text();
        sys::next_signal(left)
    })
}

/// Lets the kernel stop this process, until somebody continues it.
pub fn stop_here() {
    sys::stop_here();
}

/// Gives up the terminal that controls this process; says whether the kernel sends SIGHUP and SIGCONT for it.
pub fn leave_terminal() -> bool {
    sys::leave_terminal()
}
