//! What a probe's command leaves behind: it is killed when the command has ended, so that what is started every few
//! seconds does not fill the container. Its processes are told by its group and by a mark of its own in their environment;
//! one that has left its group and cleared its environment is the run's, and ends with that.

use std::collections::HashSet;

use libc::pid_t;

use super::{Children, proc_fs, tree};
use crate::model::{HelperId, Incarnation, Signal};

/// To whom an adopted process belongs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Owner {
    pub(super) run: Option<Incarnation>,
    /// The probe that has started it, if one has.
    pub(super) probe: Option<HelperId>,
}

/// The mark of a probe's processes: their run's, so that no other colony's is taken for it, and its number.
pub(super) fn mark(run: &str, probe: HelperId) -> String {
    format!("{run}.{}", probe.get())
}

/// Which probe a process bears the mark of, beside the mark of its run.
pub(super) fn probe_of_mark(run: &str, probe: &str) -> Option<HelperId> {
    let number = probe.strip_prefix(run)?.strip_prefix('.')?;
    number.parse().ok().map(HelperId::new)
}

impl Children {
    /// The adopted processes of a run.
    pub(super) fn strays_of(&self, run: Incarnation) -> impl Iterator<Item = pid_t> {
        self.strays.iter().filter(move |(_, owner)| owner.run == Some(run)).map(|(pid, _)| *pid)
    }

    /// Whether something lives whose probe has ended.
    pub(super) fn has_leavings(&self) -> bool {
        self.leavings().next().is_some()
    }

    fn leavings(&self) -> impl Iterator<Item = pid_t> {
        let has_ended = |owner: &&Owner| owner.probe.is_some_and(|probe| !self.helpers.is_there(probe));
        self.strays.iter().filter(move |(_, owner)| has_ended(owner)).map(|(pid, _)| *pid)
    }

    /// Kills what is left of probes whose commands have ended. What turns up later is killed when something else ends, or
    /// at the next sweep.
    pub(super) fn end_leavings(&mut self) {
        let groups = self.helpers.groups_of_ended_probes();
        let mut told = HashSet::new();
        for _ in 0..tree::SWEEPS {
            // A group without a member that is ours is somebody else's by now: it is looked at before each signal.
            for group in &groups {
                if tree::is_group_ours(*group, self.adopts, self.strays.keys()) {
                    let _ = tree::send(-group, Signal::KILL);
                }
            }
            let is_new =
                |pid: &pid_t| proc_fs::stat(*pid).is_some_and(|stat| stat.lives() && told.insert((*pid, stat.start)));
            let left: Vec<pid_t> = self.leavings().filter(is_new).collect();
            if left.is_empty() {
                return;
            }
            tree::signal_each(&left, Signal::KILL);
            let listed = self.adopted.list();
            self.census(listed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{mark, probe_of_mark};
    use crate::model::HelperId;

    #[test]
    fn a_probes_mark_is_of_its_run_and_of_no_other() {
        let probe = HelperId::new(std::num::NonZeroU64::MIN);
        let told = mark("00ff.7", probe);
        assert_eq!(told, "00ff.7.1");
        assert_eq!(probe_of_mark("00ff.7", &told), Some(probe));
        for (run, told) in
            [("00ff.8", "00ff.7.1"), ("00ff.7", "00ff.7"), ("00ff.7", "00ff.7.0"), ("00ff.7", "00ff.71.1")]
        {
            assert_eq!(probe_of_mark(run, told), None, "{run} {told}");
        }
    }
}
