//! Main processes that have gone without their exit status: somebody else has collected it. Nobody should, since there is
//! one owner of processes; but a run must not stay up for ever for that.

use libc::pid_t;

use super::{Children, First, proc_fs, sys};
use crate::model::Exit;

impl Children {
    /// Looks whether this main process, which is said to have ended, has been collected by somebody else.
    pub(super) fn find_stolen(&mut self, pid: pid_t) {
        if self.is_known(pid) && !sys::is_child(pid) && has_ended(pid) {
            tracing::error!(pid, "the exit status of process {pid} was collected by somebody else");
            // Nobody knows since when its number may be another's: only where kinship can be seen is the group believed.
            self.note_stolen(pid, First::Gone(self.adopts));
        }
    }

    /// The same for all whose end nothing tells: without a pidfd.
    pub(super) fn find_stolen_unwatched(&mut self) {
        if self.exits.are_incomplete() {
            let unwatched =
                self.by_pid.keys().copied().chain(self.helpers.pids()).filter(|pid| !self.exits.watches(*pid));
            for pid in unwatched.collect::<Vec<_>>() {
                self.find_stolen(pid);
            }
        }
    }

    /// The kernel has given this number to a new child, so the one that had it has been collected.
    pub(super) fn note_child_of_that_number(&mut self, pid: pid_t) {
        self.note_stolen(pid, First::Gone(false));
    }

    fn note_stolen(&mut self, pid: pid_t, first: First) {
        if self.helpers.collected(pid, Exit::Unknown).is_some() {
            self.exits.collected(pid);
        }
        let Some(run) = self.by_pid.remove(&pid) else { return };
        self.exits.collected(pid);
        if let Some(kin) = self.runs.get_mut(&run) {
            kin.first = first;
        }
        self.stolen.push(run);
    }
}

/// Whether nobody of that number is our living child. Where /proc tells nothing, the kernel's word must do.
fn has_ended(pid: pid_t) -> bool {
    let us = std::process::id() as pid_t;
    proc_fs::stat(pid).is_none_or(|stat| !stat.lives() || stat.parent != us)
}
