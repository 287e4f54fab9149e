//! Signals to what a run has started.

use std::collections::HashSet;
use std::os::fd::{AsFd as _, OwnedFd};

use libc::pid_t;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::proc_fs;
use super::sys;
use crate::model::Signal;

/// How often a kill goes over a tree that keeps growing; what is left is killed again a second later.
pub(super) const SWEEPS: usize = 16;

/// Sends a signal to a process, or with a negative number to a group, and SIGCONT after any but SIGKILL.
///
/// # Errors
/// The errno of the first that was refused.
pub(super) fn send(pid: pid_t, signal: Signal) -> Result<(), i32> {
    sys::kill(pid, signal.as_raw())?;
    if signal != Signal::KILL {
        sys::kill(pid, Signal::CONT.as_raw())?;
    }
    Ok(())
}

/// Whether a process group has a member that is ours. A group of that number without one is somebody else's: the number
/// was free, and was given away. Where orphans do not come to us, `adopts` false, their kinship cannot be seen: a group
/// that has had members ever since is ours.
pub(super) fn is_group_ours<'a>(group: pid_t, adopts: bool, strays: impl Iterator<Item = &'a pid_t>) -> bool {
    if sys::kill(-group, 0) == Err(libc::ESRCH) {
        return false;
    }
    if !adopts || sys::has_child_in_group(group) {
        return true;
    }
    let strays: Vec<pid_t> = strays.copied().collect();
    proc_fs::descendants(&strays).into_iter().any(|pid| proc_fs::stat(pid).is_some_and(|stat| stat.group == group))
}

/// Somebody to be signalled, who cannot come to be somebody else meanwhile: a child of ours, or held by a pidfd where
/// there are such.
pub(super) struct Held {
    pid: pid_t,
    pidfd: Option<OwnedFd>,
}

impl Held {
    /// [`send`]. It may refuse, being another user's; there is nothing else to be done about it.
    pub(super) fn send(&self, signal: Signal) {
        let _ = match &self.pidfd {
            Some(pidfd) => send_through(pidfd, self.pid, signal),
            None => send(self.pid, signal),
        };
    }
}

/// Those of a run that have left its group: its orphans, `own`, which are our children, and all that descends from
/// `roots`. Only who is not in `told` yet, and is then.
pub(super) fn outside(group: pid_t, roots: &[pid_t], own: &[pid_t], told: &mut HashSet<(pid_t, u64)>) -> Vec<Held> {
    let mut is_new = |pid: &pid_t| {
        let stat = proc_fs::stat(*pid).filter(|stat| stat.group != group && stat.lives());
        stat.is_some_and(|stat| told.insert((*pid, stat.start)))
    };
    let orphans = own.iter().copied().filter(&mut is_new).map(|pid| Held { pid, pidfd: None });
    let mut held: Vec<Held> = orphans.collect();
    let known: HashSet<pid_t> = roots.iter().copied().collect();
    held.extend(proc_fs::descendants(roots).into_iter().filter(is_new).filter_map(|pid| hold(pid, &known)));
    held
}

/// Signals each of `own`, our children, and all that descends from them. A SIGKILL is repeated while more turn up.
pub(super) fn signal_each(own: &[pid_t], signal: Signal) {
    let mut told = HashSet::new();
    for _ in 0..SWEEPS {
        // No group has the number 0, so all are outside.
        let held = outside(0, own, own, &mut told);
        for one in &held {
            one.send(signal);
        }
        if held.is_empty() || signal != Signal::KILL {
            return;
        }
    }
}

/// Descendants of these processes that are not in this group: pid and start time.
pub(super) fn escaped(roots: &[pid_t], group: pid_t) -> Vec<(pid_t, u64)> {
    let stats = proc_fs::descendants(roots).into_iter().filter_map(|below| Some((below, proc_fs::stat(below)?)));
    stats.filter(|(_, stat)| stat.group != group).map(|(below, stat)| (below, stat.start)).collect()
}

/// Our children, by the kernel's list, or where there is none by looking at every process.
pub(super) fn children_of_ours() -> Vec<pid_t> {
    let us = std::process::id() as pid_t;
    let listed = proc_fs::children(us);
    if !listed.is_empty() {
        return listed;
    }
    proc_fs::all().into_iter().filter(|pid| proc_fs::stat(*pid).is_some_and(|stat| stat.parent == us)).collect()
}

/// A grandchild may end, and its number pass on, between the look and the signal: so it is held by a pidfd first, and
/// looked at again. Where there are no pidfds the look alone must do.
fn hold(pid: pid_t, roots: &HashSet<pid_t>) -> Option<Held> {
    let pidfd = sys::pidfd_open(pid);
    let is_there = !matches!(pidfd, Err(libc::ESRCH)) && proc_fs::is_below(pid, roots);
    is_there.then(|| Held { pid, pidfd: pidfd.ok() })
}

/// [`send`], through a pidfd of this process. Where a sandbox refuses that, by its number: it has not passed on while the
/// pidfd shows that the process lives.
///
/// # Errors
/// The errno of the first that was refused.
pub(super) fn send_through(pidfd: &OwnedFd, pid: pid_t, signal: Signal) -> Result<(), i32> {
    send_once_through(pidfd, pid, signal)?;
    if signal != Signal::KILL {
        send_once_through(pidfd, pid, Signal::CONT)?;
    }
    Ok(())
}

/// The same, and no SIGCONT after it.
///
/// # Errors
/// The errno.
pub(super) fn send_once_through(pidfd: &OwnedFd, pid: pid_t, signal: Signal) -> Result<(), i32> {
    match sys::pidfd_send_signal(pidfd.as_fd(), signal.as_raw()) {
        Err(libc::EPERM | libc::ENOSYS) if !has_ended(pidfd) => sys::kill(pid, signal.as_raw()),
        sent => sent,
    }
}

/// Whether the process behind a pidfd has ended; where that cannot be asked, it may have.
pub(super) fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO) != Ok(0)
}
