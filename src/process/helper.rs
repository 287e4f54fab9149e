//! Helpers: further processes of a run that we start ourselves, as its hooks and probes. A helper is born as its run was,
//! with its mark, in a session of its own; the run is not over before it has gone; its exit is never taken for the run's.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;

use libc::pid_t;

use super::{Born, Cgroup, Children, Event, Role, tree};
use crate::model::{Birth, Exit, HelperId, Incarnation, Name, ProcessSpec, References, Signal, StartError};

/// The helpers that have not been collected.
#[derive(Default)]
pub(super) struct Helpers {
    by_pid: HashMap<pid_t, Helper>,
    /// Collected, and not told yet.
    ended: Vec<(Helper, Exit)>,
    last: u64,
}

#[derive(Clone, Copy)]
struct Helper {
    id: HelperId,
    run: Incarnation,
    pid: pid_t,
    purpose: Purpose,
}

/// What a helper is for, and so what becomes of what it leaves behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Something is done for the run: what it leaves is the run's.
    Hook,
    /// The run is asked how it is: nothing of that outlives the answer.
    Probe,
    /// A program of ours asks for the run, outside of it: not among its processes, and not within its limits.
    Errand,
}

impl Helpers {
    /// Whether this is the pid of one.
    pub(super) fn has(&self, pid: pid_t) -> bool {
        self.by_pid.contains_key(&pid)
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = pid_t> {
        self.by_pid.keys().copied()
    }

    /// The helpers of one run: our children, so that their numbers are theirs.
    pub(super) fn of(&self, run: Incarnation) -> impl Iterator<Item = pid_t> {
        self.by_pid.iter().filter(move |(_, helper)| helper.run == run).map(|(pid, _)| *pid)
    }

    /// Whose helper has this pid.
    pub(super) fn run_of(&self, pid: pid_t) -> Option<Incarnation> {
        self.by_pid.get(&pid).map(|helper| helper.run)
    }

    /// All helpers, and whose they are.
    pub(super) fn all(&self) -> impl Iterator<Item = (pid_t, Incarnation)> {
        self.by_pid.iter().map(|(pid, helper)| (*pid, helper.run))
    }

    /// This child was collected. Says whose helper it was, if it was one.
    pub(super) fn collected(&mut self, pid: pid_t, exit: Exit) -> Option<Incarnation> {
        let helper = self.by_pid.remove(&pid)?;
        self.ended.push((helper, exit));
        Some(helper.run)
    }

    /// Whether it has not been collected.
    pub(super) fn is_there(&self, id: HelperId) -> bool {
        self.by_pid.values().any(|helper| helper.id == id)
    }

    /// The groups of the probes that have been collected and not told.
    pub(super) fn groups_of_ended_probes(&self) -> Vec<pid_t> {
        let probes = self.ended.iter().filter(|(helper, _)| helper.purpose == Purpose::Probe);
        probes.map(|(helper, _)| helper.pid).collect()
    }

    /// How many have been collected and not told.
    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }

    /// Those that have ended since the last time.
    pub(super) fn take_ended(&mut self) -> Vec<Event> {
        let told = |(helper, exit): (Helper, Exit)| Event::HelperExited(helper.run, helper.id, exit);
        std::mem::take(&mut self.ended).into_iter().map(told).collect()
    }

    fn next(&self) -> HelperId {
        HelperId::new(NonZeroU64::MIN.saturating_add(self.last))
    }
}

impl Children {
    /// The number that the next helper will have.
    pub fn next_helper(&self) -> HelperId {
        self.helpers.next()
    }

    /// Starts this program as a helper of a run, for this purpose, with the environment, the user, the directory and the
    /// limits of the run itself. Returns when the program is executed.
    ///
    /// # Errors
    /// The step that failed, in words; nothing of the helper is left then.
    pub fn start_helper(
        &mut self,
        run: Incarnation,
        purpose: Purpose,
        name: &Name,
        spec: &ProcessSpec,
        argv: &[String],
        output: Option<[BorrowedFd<'_>; 2]>,
    ) -> Result<HelperId, StartError> {
        // As in a Pod, the environment's references are expanded and the hook's own are not.
        let argv = match spec.birth.references {
            References::Kept => argv.to_vec(),
            References::Expanded => argv.iter().map(|text| text.replace('$', "$$")).collect(),
        };
        // It may speak for its run, and is not asked to be alive.
        let birth = Birth { argv, sd_notify: None, ..spec.birth.clone() };
        let socket = self.runs.get(&run).and_then(|kin| kin.socket.clone());
        let probe = match purpose {
            Purpose::Probe => Some(self.helpers.next()),
            Purpose::Hook | Purpose::Errand => None,
        };
        let role = Role { probe, socket: socket.as_deref(), cgroup: Cgroup::Its };
        self.launch_helper(run, purpose, role, name, &birth, output)
    }

    /// Starts a program of ours for a run, with nothing of the run but its mark. Returns when it is executed.
    ///
    /// # Errors
    /// As those of [`Children::start_helper`].
    pub fn start_errand(
        &mut self,
        run: Incarnation,
        name: &Name,
        birth: &Birth,
        output: [BorrowedFd<'_>; 2],
    ) -> Result<HelperId, StartError> {
        let role = Role { probe: None, socket: None, cgroup: Cgroup::Ours };
        self.launch_helper(run, Purpose::Errand, role, name, birth, Some(output))
    }

    fn launch_helper(
        &mut self,
        run: Incarnation,
        purpose: Purpose,
        role: Role<'_>,
        name: &Name,
        birth: &Birth,
        output: Option<[BorrowedFd<'_>; 2]>,
    ) -> Result<HelperId, StartError> {
        let id = self.helpers.next();
        let Born { pid, pidfd, .. } = self.launch(run, role, name, birth, output, None)?;
        self.helpers.last = id.get();
        self.helpers.by_pid.insert(pid, Helper { id, run, pid, purpose });
        self.exits.watch(pid, pidfd);
        Ok(id)
    }

    /// Kills a helper, its group, and what has left that. One that has ended is passed over.
    pub fn end_helper(&mut self, id: HelperId) {
        let Some(pid) = self.helpers.by_pid.iter().find_map(|(pid, helper)| (helper.id == id).then_some(*pid)) else {
            return;
        };
        let mut told = HashSet::new();
        for sweep in 0..tree::SWEEPS {
            // They are held before the group is told: once their parents are dead they are not found below them.
            let outside = tree::outside(pid, &[pid], &[], &mut told);
            // Not collected: the group's number cannot have passed to anybody else. One that has just ended is no error.
            let _ = tree::send(-pid, Signal::KILL);
            outside.iter().for_each(|one| one.send(Signal::KILL));
            if sweep > 0 && outside.is_empty() {
                return;
            }
        }
    }
}
