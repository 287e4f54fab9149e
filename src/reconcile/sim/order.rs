//! The order of starts and stops, read a second time, from its description, by trying everything: what may start, and
//! who must have ended before whom.

use std::collections::BTreeSet;
use std::time::Duration;

use super::history::History;
use super::machine::{SimRun, World};
use super::specs::name_of;
use crate::Why;
use crate::model::{Condition, Dependency, Moment, Name, ProcessSpec};

impl World {
    /// The run of a process of which something is left, as far as the core was told.
    fn present(&self, name: &Name) -> Option<&SimRun> {
        self.runs.iter().rev().find(|run| run.name == *name && !run.empty_told)
    }

    /// Whether all that this spec depends on is as it must be.
    pub(super) fn is_free(&self, spec: &ProcessSpec) -> bool {
        spec.depends_on.iter().all(|Dependency { name, condition }| {
            let members = self.members(name);
            !members.is_empty() && members.iter().all(|name| self.is_met(name, condition))
        })
    }

    /// Of all that it depends on, what is not as it must be.
    pub(super) fn unmet(&self, spec: &ProcessSpec) -> Vec<Name> {
        let named =
            spec.depends_on.iter().flat_map(|on| self.members(&on.name).into_iter().map(move |name| (name, on)));
        named.filter(|(name, on)| !self.is_met(name, &on.condition)).map(|(name, _)| name).collect()
    }

    /// Those that are desired and called so: one process, or all replicas of one file.
    fn members(&self, name: &Name) -> Vec<Name> {
        let processes = self.desired.processes.iter();
        processes.filter(|(one, spec)| is_called(one, spec, name)).map(|(one, _)| one.clone()).collect()
    }

    fn is_met(&self, name: &Name, condition: &Condition) -> bool {
        let Some((spec, ledger)) = self.desired.processes.get(name).zip(self.ledgers.get(name)) else { return false };
        let run = self.present(name);
        let up = run.filter(|run| !run.inherited && run.ending_at.is_none());
        let over = run.is_none() && spec.schedule.is_none() && ledger.due_at(spec, self.now) == Moment::NEVER;
        let is_well = up.is_some_and(SimRun::is_well);
        let rests = run.is_none() && spec.schedule.is_some() && !spec.suspend && !ledger.stopped;
        match condition {
            Condition::Started if spec.schedule.is_some() => up.is_some() || ledger.starts > 0,
            Condition::Started => up.is_some() || over,
            Condition::Ready => is_well || (over && ledger.succeeded()) || (rests && !ledger.backs_off(spec)),
            Condition::Completed => ledger.succeeded() && (over || spec.schedule.is_some()),
        }
    }

    /// Whether a run is to end because its process is not wanted any more, or not now.
    fn is_leaving(&self, run: &SimRun) -> bool {
        match self.desired.processes.get(&run.name) {
            None => true,
            Some(spec) => spec.suspend && !(spec.schedule.is_some() && run.spec.schedule.is_some()),
        }
    }

    fn leaving(&self) -> Vec<&SimRun> {
        self.runs.iter().filter(|run| !run.empty_told && self.is_leaving(run)).collect()
    }

    /// Those that depend on this process, that live and are to end as it is, and without whose end it may not be told.
    pub(super) fn held_by(&self, name: &Name) -> Vec<Name> {
        let leaving = self.leaving();
        let Some(on) = leaving.iter().find(|run| run.name == *name) else { return Vec::new() };
        let holders = leaving.iter().filter(|run| run.name != *name && depends(run, on) && !run.undying);
        holders.map(|run| run.name.clone()).filter(|holder| !leads(&leaving, name, holder)).collect()
    }

    /// A run that is up may be told to end, for a reason that has an order.
    pub(super) fn is_its_turn(&self, name: &Name, why: Why) -> bool {
        match why {
            Why::Removed | Why::Shutdown | Why::Suspended => {}
            _ => return true,
        }
        // Where time is short, somebody's may be over before those have died that it waits for.
        self.latest(name) <= self.now.at || self.held_by(name).is_empty()
    }

    /// When it is killed whatever its grace, as the core has worked it out: whether well, is for its tables to say, and
    /// for the end, which must come in time.
    pub(super) fn latest(&self, name: &Name) -> Moment {
        self.latest.get(name).copied().unwrap_or(Moment::NEVER)
    }

    /// How long the end of all may take: the longest chain of graces, and for each of its links what a lost wake-up and
    /// a SIGKILL that does nothing cost.
    pub(super) fn longest_end(&self, link: Duration) -> Duration {
        let leaving = self.leaving();
        let longest = leaving.iter().map(|run| chain(&leaving, run, &mut BTreeSet::new(), link)).max();
        longest.unwrap_or_default()
    }

    /// Whether to take this dependency would close a circle among what is desired.
    pub(super) fn closes_a_circle(&self, name: &Name, on: &Name) -> bool {
        let (mut open, mut seen) = (vec![file_of(on)], BTreeSet::new());
        while let Some(next) = open.pop() {
            if next == file_of(name) {
                return true;
            }
            if seen.insert(next.clone()) {
                let members = self.members(&next);
                let specs = members.iter().filter_map(|name| self.desired.processes.get(name));
                open.extend(specs.flat_map(|spec| &*spec.depends_on).map(|dependency| file_of(&dependency.name)));
            }
        }
        false
    }
}

impl History {
    /// What is desired has changed.
    pub(super) fn arrange(&mut self) {
        self.observed.arrange(&self.world.desired, self.world.now.at);
        self.world.latest.clone_from(&self.observed.order.latest);
        self.world.time_hooks();
    }
}

/// The file that describes a process, if it is wanted: files depend on each other, not processes.
fn file_of(name: &Name) -> Name {
    let set = name.as_str().split_once('-').map(|(set, _)| name_of(set));
    set.unwrap_or_else(|| name.clone())
}

/// Whether a process that is described so is meant by this name.
fn is_called(one: &Name, spec: &ProcessSpec, name: &Name) -> bool {
    one == name || spec.replica.as_ref().is_some_and(|replica| replica.set == *name)
}

/// Whether one run was told to depend on what the other is of.
fn depends(run: &SimRun, on: &SimRun) -> bool {
    run.spec.depends_on.iter().any(|dependency| is_called(&on.name, &on.spec, &dependency.name))
}

/// Whether one depends on another, by way of any number of runs.
fn leads(runs: &[&SimRun], from: &Name, to: &Name) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::new());
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            let from: Vec<&&SimRun> = runs.iter().filter(|run| run.name == *name).collect();
            let on = runs.iter().filter(|on| from.iter().any(|run| depends(run, on)));
            open.extend(on.map(|on| &on.name));
        }
    }
    false
}

fn chain<'a>(runs: &[&'a SimRun], run: &'a SimRun, passed: &mut BTreeSet<&'a Name>, link: Duration) -> Duration {
    if !passed.insert(&run.name) {
        return Duration::ZERO;
    }
    let on = |other: &&&SimRun| depends(run, other);
    let next = runs.iter().filter(on).map(|other| chain(runs, other, passed, link)).max();
    passed.remove(&run.name);
    run.spec.stop.grace + link + next.unwrap_or_default()
}
