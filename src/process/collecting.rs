//! Collecting those that have ended: main processes through their pidfds, orphans where the kernel puts them, and at each
//! tick whoever there is.

use libc::pid_t;

use super::crowd::Accounts;
use super::exits::BATCH;
use super::kin::{First, Kin, Loss, Main, Who};
use super::proc_fs::Listed;
use super::sys::{self, Ended, Which};
use super::{Children, Event, tree};
use crate::model::{CpuTime, Exit, Incarnation, Signal};

impl Children {
    /// Collects everything that has ended. No zombie is left, whoever's it was.
    pub fn reap(&mut self) -> Vec<Event> {
        let mut lost = Vec::new();
        self.collect_heirs(&mut lost);
        self.collect_watched(&mut lost);
        if self.exits.are_incomplete() {
            self.collect(Which::Own, &mut lost);
        }
        self.settle(lost)
    }

    fn settle(&mut self, mut lost: Vec<Loss>) -> Vec<Event> {
        let listed = self.collect_orphans(&mut lost);
        let unobserved = self.ghosts.just_ended().into_iter().chain(std::mem::take(&mut self.stolen));
        lost.extend(unobserved.map(|run| Loss { run, who: Who::First, exit: Exit::Unknown }));
        if lost.is_empty() && self.leaving.is_empty() && self.helpers.ended() == 0 && !self.has_leavings() {
            return Vec::new();
        }
        self.census(listed);
        self.end_leavings();
        // Before the end of their runs, after which nothing is heard of these.
        let mut events = self.helpers.take_ended();
        for run in std::mem::take(&mut self.leaving) {
            if self.close_if_empty(run) {
                events.push(Event::Emptied(run));
            }
        }
        // All of them first: a run is left by those only that are left after all.
        let mut over = Vec::new();
        for Loss { run, who, exit } in lost {
            match self.runs.get_mut(&run).is_none_or(|kin| kin.loses(who)) {
                true => over.push((run, exit)),
                false if matches!(who, Who::First) => events.push(Event::FirstExited(run, exit)),
                false => {}
            }
        }
        for (run, exit) in over {
            if matches!(exit, Exit::Killed { signal: Signal::KILL, .. }) && self.cgroups.killed_for_memory(run) {
                events.push(Event::OomKilled(run));
            }
            let rest = !self.close_if_empty(run);
            events.push(Event::Exited(run, exit, rest));
        }
        events
    }

    /// The relist: asks for every child, whatever was told of which.
    pub fn sweep(&mut self) -> Vec<Event> {
        let mut lost = Vec::new();
        self.collect_heirs(&mut lost);
        self.collect(Which::Any, &mut lost);
        self.collect_watched(&mut lost);
        self.find_stolen_unwatched();
        let events = self.settle(lost);
        self.count_crowd();
        self.cgroups.tidy();
        events
    }

    /// Closes what is still held of processes that were collected. To be called when there is nothing more urgent to do.
    pub fn let_go(&mut self) {
        self.exits.let_go();
    }

    fn collect_watched(&mut self, lost: &mut Vec<Loss>) {
        loop {
            let before = lost.len() + self.helpers.ended();
            let ready = self.exits.ended();
            for pid in &ready {
                self.collect(Which::Pid(*pid), lost);
                self.find_stolen(*pid);
            }
            if ready.len() < BATCH || lost.len() + self.helpers.ended() == before {
                return;
            }
        }
    }

    fn collect(&mut self, which: Which, lost: &mut Vec<Loss>) {
        while let Some((ended, cpu)) = sys::wait_with_usage(which) {
            let Ended { pid, exit } = ended;
            if let Some(run) = self.by_pid.remove(&pid) {
                self.exits.collected(pid);
                self.spent.push((run, cpu));
                lost.push(Loss { run, who: Who::First, exit });
            } else if let Some(run) = self.helpers.collected(pid, exit) {
                self.exits.collected(pid);
                self.spent.push((run, cpu));
            } else {
                self.orphan_collected(ended, Some(cpu), lost);
            }
            // Of one there is no more to be had.
            if let Which::Pid(_) = which {
                return;
            }
        }
    }

    pub(super) fn orphan_collected(&mut self, ended: Ended, cpu: Option<CpuTime>, lost: &mut Vec<Loss>) {
        let Ended { pid, exit } = ended;
        self.orphans_reaped += 1;
        self.spent.extend(self.strays.remove(&pid).and_then(|owner| owner.run).zip(cpu));
        lost.extend(self.heirs.collected(pid).map(|run| Loss { run, who: Who::Heir, exit }));
    }

    /// Orphans are looked for where the kernel puts them; a crowd of them is collected by asking for any.
    fn collect_orphans(&mut self, lost: &mut Vec<Loss>) -> Listed {
        loop {
            let listed = self.adopted.list();
            let before = self.orphans_reaped;
            match &listed {
                Listed::All(pids) => self.stray_count = self.collect_listed(pids, lost),
                Listed::Crowd if self.crowds.is_some() => self.collect_crowd(lost),
                Listed::Crowd | Listed::Unknown => self.collect(Which::Any, lost),
            }
            if self.orphans_reaped == before {
                return listed;
            }
        }
    }

    /// Collects those of the listed that have ended, and says how many orphans there were.
    fn collect_listed(&mut self, pids: &[pid_t], lost: &mut Vec<Loss>) -> u64 {
        let mut orphans = 0;
        for pid in pids.iter().copied() {
            if self.is_known(pid) {
                continue;
            }
            orphans += 1;
            if let Some((ended, cpu)) = sys::wait_with_usage(Which::Pid(pid)) {
                self.orphan_collected(ended, Some(cpu), lost);
            }
        }
        orphans
    }

    /// Whose they are is looked at where something has ended; how many they are shall be known where nothing does.
    fn count_crowd(&mut self) {
        if let Listed::Crowd = self.adopted.list() {
            let all = tree::children_of_ours();
            self.stray_count = all.into_iter().filter(|pid| !self.is_known(*pid)).count() as u64;
        }
    }

    fn collect_crowd(&mut self, lost: &mut Vec<Loss>) {
        loop {
            // What somebody has used who was never seen alive is nobody's.
            let accounts = if self.strays.is_empty() { Accounts::Nobodys } else { Accounts::Kept };
            let share = self.crowds.as_ref().map(|crowds| crowds.collect(accounts)).unwrap_or_default();
            if share.is_empty() {
                return;
            }
            for (ended, cpu) in share {
                self.orphan_collected(ended, cpu, lost);
            }
        }
    }

    /// Forgets a run whose main process has gone when nothing else of it is left; else it is leaving.
    fn close_if_empty(&mut self, run: Incarnation) -> bool {
        let left = match self.runs.get_mut(&run) {
            Some(Kin { first: First::Child, .. } | Kin { main: Main::Heir, .. }) => true,
            Some(Kin { first: First::Gone(has_group), pid, .. }) => {
                *has_group = *has_group && tree::is_group_ours(*pid, self.adopts, self.strays.keys());
                *has_group
                    || self.strays.values().any(|owner| owner.run == Some(run))
                    || self.helpers.of(run).next().is_some()
            }
            None => self.ghosts.contains(run) && self.ghosts.is_left(run),
        };
        if left {
            self.leaving.insert(run);
        } else {
            self.runs.remove(&run);
            self.cgroups.over(run);
            self.ghosts.close(run);
        }
        !left
    }
}
