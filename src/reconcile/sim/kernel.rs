//! A process table as a kernel keeps it: pids are used again at once, zombies stay until their parent reaps them,
//! orphans go to the monitor, and nothing dies that is frozen.

use std::time::Duration;

use crate::model::{Exit, Incarnation, Moment, Signal};

/// A place in the process table. 0 is the monitor.
pub(super) type Pid = usize;

pub(super) const MONITOR: Pid = 0;

#[derive(Clone, Copy, Debug)]
pub(super) struct Proc {
    /// Of which run it is; `None` for a stranger.
    pub(super) run: Option<Incarnation>,
    pub(super) role: Role,
    pub(super) parent: Pid,
    pub(super) state: State,
    /// When it ends if nobody interferes.
    pub(super) ends_at: Moment,
    /// How it ends then.
    pub(super) exit: Exit,
    /// How long after the stop signal it ends; `None`: it ignores it.
    pub(super) obeys: Option<Duration>,
    stop_pending: bool,
    kill_pending: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Main,
    /// A child in the main process's group.
    Member,
    /// What is done before the stop signal: a child of the monitor's, in the run's name.
    Hook,
    /// What is done right after the start, likewise.
    PostStart,
    /// A child with a session of its own.
    Escaped,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Runs,
    /// By SIGSTOP: until SIGCONT.
    Stopped,
    /// In the kernel's hands: no signal has an effect before it is thawed.
    Frozen,
    Zombie(Exit),
}

/// Which free pid is used next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reuse {
    LastFreed,
    Lowest,
}

pub(super) struct Kernel {
    table: Vec<Option<Proc>>,
    free: Vec<Pid>,
    reuse: Reuse,
}

impl Proc {
    pub(super) fn new(run: Option<Incarnation>, role: Role, parent: Pid) -> Proc {
        Proc {
            run,
            role,
            parent,
            state: State::Runs,
            ends_at: Moment::NEVER,
            exit: Exit::Code(0),
            obeys: Some(Duration::ZERO),
            stop_pending: false,
            kill_pending: false,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, State::Zombie(_))
    }

    /// Alive, and not in the kernel's hands: SIGKILL ends it.
    pub(super) fn is_mortal(&self) -> bool {
        matches!(self.state, State::Runs | State::Stopped)
    }
}

impl Kernel {
    pub(super) fn new(reuse: Reuse) -> Kernel {
        Kernel { table: vec![None], free: Vec::new(), reuse }
    }

    pub(super) fn fork(&mut self, proc: Proc) -> Pid {
        let place = match self.reuse {
            Reuse::LastFreed => self.free.len().checked_sub(1),
            Reuse::Lowest => (0..self.free.len()).min_by_key(|at| self.free[*at]),
        };
        match place {
            Some(place) => {
                let pid = self.free.swap_remove(place);
                self.table[pid] = Some(proc);
                pid
            }
            None => {
                self.table.push(Some(proc));
                self.table.len() - 1
            }
        }
    }

    pub(super) fn procs(&self) -> impl Iterator<Item = (Pid, &Proc)> {
        self.table.iter().enumerate().filter_map(|(pid, proc)| Some((pid, proc.as_ref()?)))
    }

    pub(super) fn get(&self, pid: Pid) -> Option<&Proc> {
        self.table.get(pid)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, pid: Pid) -> Option<&mut Proc> {
        self.table.get_mut(pid)?.as_mut()
    }

    /// The nth living process that `choose` accepts, counted around.
    pub(super) fn nth(&self, n: u64, choose: impl Fn(&Proc) -> bool) -> Option<Pid> {
        let count = self.procs().filter(|(_, proc)| choose(proc)).count() as u64;
        let n = n.checked_rem(count)?;
        self.procs().filter(|(_, proc)| choose(proc)).nth(n as usize).map(|(pid, _)| pid)
    }

    /// Whether something of the run lives.
    pub(super) fn lives(&self, run: Incarnation) -> bool {
        self.procs().any(|(_, proc)| proc.run == Some(run) && proc.is_alive())
    }

    /// When the next SIGCHLD comes if nobody interferes; `Moment::ZERO` when there is something to reap.
    pub(super) fn next_exit(&self) -> Option<Moment> {
        let moments = self.procs().map(|(_, proc)| match proc.state {
            State::Runs => proc.ends_at,
            State::Zombie(_) if proc.parent == MONITOR => Moment::ZERO,
            State::Zombie(_) | State::Stopped | State::Frozen => Moment::NEVER,
        });
        moments.min().filter(|at| *at != Moment::NEVER)
    }

    /// Ends what has come to its end.
    pub(super) fn advance(&mut self, now: Moment) {
        for pid in 1..self.table.len() {
            if let Some(proc) = &self.table[pid]
                && proc.state == State::Runs
                && proc.ends_at <= now
            {
                let exit = proc.exit;
                self.die(pid, exit);
            }
        }
    }

    pub(super) fn signal(&mut self, pid: Pid, signal: Signal, now: Moment) {
        let Some(proc) = self.get_mut(pid) else { return };
        match (proc.state, signal) {
            (State::Zombie(_), _) => {}
            (State::Frozen, Signal::KILL) => proc.kill_pending = true,
            (_, Signal::KILL) => self.die(pid, Exit::Killed { signal, core_dumped: false }),
            (State::Frozen, Signal::CONT) | (State::Runs, Signal::CONT) => {}
            (State::Stopped, Signal::CONT) => self.resume(pid, now),
            (State::Frozen | State::Stopped, _) => proc.stop_pending = true,
            (State::Runs, _) => self.obey(pid, now),
        }
    }

    pub(super) fn stop(&mut self, pid: Pid) {
        if let Some(proc) = self.get_mut(pid).filter(|proc| proc.state == State::Runs) {
            proc.state = State::Stopped;
        }
    }

    pub(super) fn freeze(&mut self, pid: Pid) {
        if let Some(proc) = self.get_mut(pid).filter(|proc| proc.is_alive()) {
            proc.state = State::Frozen;
        }
    }

    pub(super) fn thaw(&mut self, pid: Pid, now: Moment) {
        if let Some(proc) = self.get_mut(pid).filter(|proc| proc.state == State::Frozen) {
            match proc.kill_pending {
                true => self.die(pid, Exit::Killed { signal: Signal::KILL, core_dumped: false }),
                false => self.resume(pid, now),
            }
        }
    }

    fn resume(&mut self, pid: Pid, now: Moment) {
        let Some(proc) = self.get_mut(pid) else { return };
        proc.state = State::Runs;
        if std::mem::take(&mut proc.stop_pending) {
            self.obey(pid, now);
        }
    }

    fn obey(&mut self, pid: Pid, now: Moment) {
        let Some(proc) = self.get_mut(pid) else { return };
        if let Some(lag) = proc.obeys {
            proc.ends_at = proc.ends_at.min(now + lag);
            if lag.is_zero() {
                let exit = proc.exit;
                self.die(pid, exit);
            }
        }
    }

    pub(super) fn die(&mut self, pid: Pid, exit: Exit) {
        let Some(proc) = self.get_mut(pid) else { return };
        proc.state = State::Zombie(exit);
        let parent = proc.parent;
        for orphan in self.table.iter_mut().flatten().filter(|proc| proc.parent == pid) {
            orphan.parent = MONITOR;
        }
        // Every other parent never waits: its zombies are the monitor's once it is gone.
        if parent != MONITOR && pid.is_multiple_of(2) {
            self.release(pid);
        }
    }

    /// Takes out a zombie that is the monitor's to reap.
    pub(super) fn reap(&mut self) -> Option<(Pid, Proc, Exit)> {
        let (pid, proc, exit) = self.procs().find_map(|(pid, proc)| match proc.state {
            State::Zombie(exit) if proc.parent == MONITOR => Some((pid, *proc, exit)),
            State::Zombie(_) | State::Runs | State::Stopped | State::Frozen => None,
        })?;
        self.release(pid);
        Some((pid, proc, exit))
    }

    fn release(&mut self, pid: Pid) {
        self.table[pid] = None;
        self.free.push(pid);
    }
}
