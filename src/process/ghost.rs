//! Runs that a monitor before this one started: no children of ours, so they cannot be waited for, and their numbers may
//! pass to strangers. They are recognised exactly, or left alone, and signalled through descriptors that only they can be
//! behind.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::{AsFd as _, OwnedFd};

use libc::pid_t;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::proc_fs::Stat;
use super::{birth, proc_fs, sys, tree};
use crate::model::{Incarnation, Signal, map_of};

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

/// A process for good: pid and start time.
type Key = (pid_t, u64);

/// All runs of earlier monitors of which something lives.
#[derive(Default)]
pub(super) struct Ghosts {
    runs: BTreeMap<Incarnation, Ghost>,
    /// Who lives of each, as far as it was seen: once seen to be of a run, always of it, whatever becomes of its
    /// parent, its session or its environment.
    kin: HashMap<Key, Incarnation>,
    /// Who bears no mark of a run. Looking at an environment is what a census costs most.
    unmarked: HashSet<Key>,
    /// Whether all was looked at in this turn.
    fresh: bool,
}

struct Ghost {
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

impl Ghosts {
    /// Looks for remembered runs, each with its mark. Returns those of which something is left; what has their numbers
    /// otherwise is a stranger.
    pub(super) fn find(&mut self, remembered: impl Iterator<Item = (Remembered, String)>) -> Vec<Incarnation> {
        self.runs = map_of(remembered.map(|(past, mark)| (past.run, Ghost::look(&past, mark))));
        self.fresh = false;
        if !self.runs.is_empty() {
            self.census();
        }
        let left: HashSet<Incarnation> = self.kin.values().copied().collect();
        self.runs.retain(|run, ghost| ghost.main_lives() || left.contains(run));
        self.runs.keys().copied().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn contains(&self, run: Incarnation) -> bool {
        self.runs.contains_key(&run)
    }

    /// The main process, while it lives.
    pub(super) fn pid(&self, run: Incarnation) -> Option<pid_t> {
        self.runs.get(&run).filter(|ghost| ghost.main_lives()).map(|ghost| ghost.pid)
    }

    /// A new turn: what was seen in the one before is old. Returns the runs whose main processes have gone since.
    pub(super) fn just_ended(&mut self) -> Vec<Incarnation> {
        self.fresh = false;
        self.runs.iter_mut().filter_map(|(run, ghost)| ghost.has_just_ended().then_some(*run)).collect()
    }

    /// Whether anything of a run lives. When all that was known of it has gone, everything is looked at once more.
    pub(super) fn is_left(&mut self, run: Incarnation) -> bool {
        if self.pid(run).is_some() || self.known(run).any(is_alive) {
            return true;
        }
        self.census();
        self.known(run).next().is_some()
    }

    pub(super) fn close(&mut self, run: Incarnation) {
        self.runs.remove(&run);
        self.kin.retain(|_, owner| *owner != run);
        if self.runs.is_empty() {
            *self = Ghosts::default();
        }
    }

    pub(super) fn signal_main(&self, run: Incarnation, signal: Signal) -> Result<(), i32> {
        self.runs.get(&run).map_or(Ok(()), |ghost| ghost.signal(signal))
    }

    pub(super) fn signal_all(&mut self, run: Incarnation, signal: Signal) -> Result<(), i32> {
        self.census();
        let main = self.pid(run);
        let sent = self.signal_main(run, signal);
        for (pid, start) in self.known(run).filter(|(pid, _)| Some(*pid) != main) {
            // The descriptor first, the look after it: what is looked at then is what the descriptor holds.
            let pidfd = sys::pidfd_open(pid);
            if is_alive((pid, start)) {
                // It may refuse, being another user's; there is nothing else to be done about it.
                let _ = match &pidfd {
                    Ok(pidfd) => tree::send_through(pidfd, pid, signal),
                    Err(_) => tree::send(pid, signal),
                };
            }
        }
        sent
    }

    /// Looks at every process, once a turn, for any number of ghosts: what bears a run's mark is of that run, what is in
    /// its session, and what descends from such. Never this monitor, from wherever it was started.
    pub(super) fn census(&mut self) {
        if self.fresh {
            return;
        }
        self.fresh = true;
        let us = std::process::id() as pid_t;
        let stats =
            proc_fs::all().into_iter().filter(|pid| *pid != us).filter_map(|pid| Some((pid, proc_fs::stat(pid)?)));
        let living: HashMap<pid_t, Stat> = stats.filter(|(_, stat)| stat.lives()).collect();
        let is_there = |key: &Key| living.get(&key.0).is_some_and(|stat| stat.start == key.1);
        self.kin.retain(|key, _| is_there(key));
        self.unmarked.retain(is_there);
        self.find_marked(&living);
        self.find_related(&living);
    }

    fn find_marked(&mut self, living: &HashMap<pid_t, Stat>) {
        for (run, ghost) in self.runs.iter().filter(|(_, ghost)| ghost.main_lives()) {
            if let Some(stat) = living.get(&ghost.pid) {
                self.kin.insert((ghost.pid, stat.start), *run);
            }
        }
        let by_mark: HashMap<&str, Incarnation> =
            self.runs.iter().map(|(run, ghost)| (ghost.mark.as_str(), *run)).collect();
        for (pid, stat) in living {
            let key = (*pid, stat.start);
            if self.kin.contains_key(&key) || self.unmarked.contains(&key) {
                continue;
            }
            // An empty one may be that of a process in the midst of an exec: it is looked at again.
            let Some(environ) = proc_fs::environ(*pid).filter(|environ| !environ.is_empty()) else { continue };
            match proc_fs::variable(&environ, birth::MARK).and_then(|mark| by_mark.get(mark.as_str())) {
                Some(run) => _ = self.kin.insert(key, *run),
                None => _ = self.unmarked.insert(key),
            }
        }
    }

    fn find_related(&mut self, living: &HashMap<pid_t, Stat>) {
        let mut below: HashMap<pid_t, Vec<pid_t>> = HashMap::new();
        let mut sessions: HashMap<pid_t, Vec<pid_t>> = HashMap::new();
        for (pid, stat) in living {
            below.entry(stat.parent).or_default().push(*pid);
            sessions.entry(stat.session).or_default().push(*pid);
        }
        let mut next: Vec<(pid_t, Incarnation)> = self.kin.iter().map(|((pid, _), run)| (*pid, *run)).collect();
        while let Some((pid, run)) = next.pop() {
            let Some(stat) = living.get(&pid) else { continue };
            // Nobody else can have the number of a session that has a member.
            let own_session = self.runs.get(&run).is_some_and(|ghost| ghost.pid == stat.session);
            let mates = own_session.then(|| sessions.remove(&stat.session)).flatten().unwrap_or_default();
            // Whoever is older than its parent is another's child: the number has passed on while we looked.
            let is_younger = |child: &pid_t| living.get(child).is_some_and(|child| child.start >= stat.start);
            let children = below.remove(&pid).unwrap_or_default().into_iter().filter(is_younger);
            for relative in children.chain(mates) {
                let Some(stat) = living.get(&relative) else { continue };
                let key = (relative, stat.start);
                if let std::collections::hash_map::Entry::Vacant(vacant) = self.kin.entry(key) {
                    vacant.insert(run);
                    next.push((relative, run));
                }
            }
        }
    }

    fn known(&self, run: Incarnation) -> impl Iterator<Item = Key> {
        self.kin.iter().filter(move |(_, owner)| **owner == run).map(|(key, _)| *key)
    }
}

impl Ghost {
    fn look(remembered: &Remembered, mark: String) -> Ghost {
        let Remembered { pid, born, .. } = *remembered;
        // The descriptor first, as above.
        let pidfd = sys::pidfd_open(pid).ok();
        let main = if is_same(pid, born) { Main::Alive(pidfd) } else { Main::Untold };
        Ghost { pid, born, mark, main }
    }

    /// Says once that the main process has gone.
    fn has_just_ended(&mut self) -> bool {
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

    fn signal(&self, signal: Signal) -> Result<(), i32> {
        match &self.main {
            Main::Alive(Some(pidfd)) => tree::send_through(pidfd, self.pid, signal),
            Main::Alive(None) if is_same(self.pid, self.born) => tree::send(self.pid, signal),
            Main::Alive(None) | Main::Untold | Main::Gone => Ok(()),
        }
    }

    fn main_lives(&self) -> bool {
        match self.main {
            Main::Alive(_) => true,
            Main::Untold | Main::Gone => false,
        }
    }
}

/// Whether the process with this pid is the one that had it when the clock showed `born`: whoever has the number after
/// it was born later, and whoever had it before was gone.
fn is_same(pid: pid_t, born: u64) -> bool {
    proc_fs::stat(pid).is_some_and(|stat| stat.lives() && stat.start <= born / TICK_NANOS)
}

fn is_alive((pid, start): Key) -> bool {
    proc_fs::stat(pid).is_some_and(|stat| stat.lives() && stat.start == start)
}
