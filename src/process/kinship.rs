//! Whose a process is that has said something.

use std::collections::HashSet;

use libc::pid_t;

use super::{Children, proc_fs};
use crate::model::Incarnation;

impl Children {
    /// Whether anything of a run that we started is left.
    pub fn has(&self, run: Incarnation) -> bool {
        self.runs.contains_key(&run)
    }

    /// Whether a process that was there a moment ago, as this user, belongs to a run: its main process, what descends from
    /// that, and its orphans.
    ///
    /// Whoever has gone meanwhile has left no trace of its descent. It is believed if its user was root or the run's own:
    /// such a process can do to the run whatever it likes, without asking anybody.
    pub fn is_of(&mut self, run: Incarnation, pid: pid_t, uid: u32) -> bool {
        if pid <= 0 {
            // It is in a PID namespace that we do not see into, as nothing of a run can be.
            return false;
        }
        if self.pid(run) == Some(pid) {
            return true;
        }
        let Some(kin) = self.runs.get(&run) else { return false };
        if proc_fs::stat(pid).is_none() {
            return uid == 0 || uid == kin.uid;
        }
        let roots: HashSet<pid_t> = self.roots(run).into_iter().collect();
        // Where orphans do not come to us their descent tells nothing, and their marks must do.
        roots.contains(&pid) || proc_fs::is_below(pid, &roots) || (!self.adopts && self.owner_of(pid).run == Some(run))
    }
}
