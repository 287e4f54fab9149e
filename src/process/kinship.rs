//! Whose a process is that we have not started.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use libc::pid_t;

use super::leavings::{self, Owner};
use super::proc_fs::Listed;
use super::{Children, Kin, birth, proc_fs, tree};
use crate::model::{Incarnation, set_of};

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
    pub fn is_of(&self, run: Incarnation, pid: pid_t, uid: u32) -> bool {
        if pid <= 0 {
            // It is in a PID namespace that we do not see into, as nothing of a run can be.
            return false;
        }
        if self.pid(run) == Some(pid) {
            return true;
        }
        let Some(kin) = self.runs.get(&run) else { return false };
        match self.run_above(pid) {
            Some(of) => of == run,
            None => proc_fs::stat(pid).is_none() && (uid == 0 || uid == kin.uid),
        }
    }

    /// To which run a process belongs that is there: that of our child which it is, or descends from.
    pub(super) fn run_above(&self, pid: pid_t) -> Option<Incarnation> {
        // Where orphans do not come to us their descent tells nothing, and their marks must do.
        let Some(child) = proc_fs::line_below(std::process::id() as pid_t, pid) else {
            return (!self.adopts).then(|| self.owner_of(pid).run).flatten();
        };
        let started = self.by_pid.get(&child).copied().or_else(|| self.helpers.run_of(child));
        let known = || self.strays.get(&child).copied().unwrap_or_else(|| self.owner_of(child));
        started.or_else(|| known().run)
    }

    /// Notes who has been adopted and lives, and to which run each belongs.
    pub(super) fn census(&mut self, listed: Listed) {
        let pids: BTreeSet<pid_t> = match listed {
            Listed::All(pids) => set_of(pids),
            Listed::Crowd | Listed::Unknown => set_of(tree::children_of_ours()),
        };
        self.strays.retain(|pid, _| pids.contains(pid));
        for pid in pids {
            if !self.is_known(pid) && !self.strays.contains_key(&pid) {
                let owner = self.owner_of(pid);
                let owner = Owner { run: self.heirs.run_of(pid).or(owner.run), ..owner };
                self.strays.insert(pid, owner);
            }
        }
        self.stray_count = self.strays.len() as u64;
    }

    /// Whether we started it.
    pub(super) fn is_known(&self, pid: pid_t) -> bool {
        self.by_pid.contains_key(&pid) || self.helpers.has(pid)
    }

    /// Whose an adopted process is: by its marks or brand, its session or group, or because it was seen below a run.
    pub(super) fn owner_of(&self, pid: pid_t) -> Owner {
        let environ = proc_fs::environ(pid).unwrap_or_default();
        let mark = proc_fs::variable(&environ, birth::MARK);
        let marked = mark.as_deref().and_then(|mark| self.run_of_mark(mark)).or_else(|| self.run_of_brand(pid));
        let told = proc_fs::variable(&environ, birth::PROBE);
        let probe = mark.zip(told).and_then(|(mark, told)| leavings::probe_of_mark(&mark, &told));
        Owner { run: marked.or_else(|| self.run_of_kinship(pid)), probe }
    }

    fn run_of_kinship(&self, pid: pid_t) -> Option<Incarnation> {
        let stat = proc_fs::stat(pid)?;
        let kin = |(run, kin): (&Incarnation, &Kin)| {
            let is_kin = [stat.session, stat.group].contains(&kin.pid) || kin.escaped.contains(&(pid, stat.start));
            is_kin.then_some(*run)
        };
        // Of two with one number the later has it.
        self.runs.iter().rev().find_map(kin)
    }

    fn run_of_brand(&self, pid: pid_t) -> Option<Incarnation> {
        let run = self.brands.run_of(pid).and_then(NonZeroU64::new).map(Incarnation::new)?;
        self.runs.contains_key(&run).then_some(run)
    }

    pub(super) fn run_of_mark(&self, mark: &str) -> Option<Incarnation> {
        let (colony, number) = mark.split_once('.')?;
        let run = Incarnation::new(number.parse().ok()?);
        (u64::from_str_radix(colony, 16) == Ok(self.colony) && self.runs.contains_key(&run)).then_some(run)
    }
}
