//! What the processes of all runs use: one walk over /proc for the whole colony, in a thread of its own.
//!
//! At a thousand processes a walk takes tens of milliseconds, so nobody waits for it on the loop, and whoever asks for it
//! is told what it cost, to ask the less often.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use libc::pid_t;
use nix::sys::signal::SigSet;
use nix::time::{ClockId, clock_gettime};

use super::ledger::{Ledger, Times};
use super::proc_fs::{Listed, Stat};
use super::{Children, First, Kin, cgroup, proc_fs};
use crate::model::{CpuTime, Footprint, Incarnation};

/// Enough for a path and a few lines.
const STACK: usize = 128 * 1024;

/// Looks at what runs use.
pub struct Sampler {
    shared: Arc<Shared>,
    is_busy: bool,
}

struct Shared {
    wake: Box<dyn Fn() + Send + Sync>,
    /// Held by a thread for as long as it looks.
    ledger: Mutex<Ledger>,
    sample: Mutex<Option<Sample>>,
}

/// By what the processes of runs are known.
#[derive(Debug, Default)]
pub struct Roots {
    /// What descends from nothing else of its run: main processes, helpers, orphans.
    members: Vec<(pid_t, Incarnation)>,
    /// Groups and sessions that are a run's.
    groups: Vec<(pid_t, Incarnation)>,
    /// Cgroups by which a run's memory is limited.
    cgroups: Vec<(Incarnation, PathBuf)>,
}

/// What a look has shown.
#[derive(Debug, Default)]
pub struct Sample {
    /// How long a processor was busy with it.
    pub cost: Duration,
    /// What each run has of which there are processes.
    pub footprints: Vec<(Incarnation, Footprint)>,
    /// What each has used since the last look, runs included that have ended since.
    pub grown: Vec<(Incarnation, CpuTime)>,
}

impl Children {
    /// By what the processes of all runs are known.
    pub fn all_roots(&mut self) -> Roots {
        match self.adopted.list() {
            listed @ Listed::All(_) => self.census(listed),
            // Looking at all of a crowd is for when something has ended.
            Listed::Crowd | Listed::Unknown => {}
        }
        let mains = self.by_pid.iter().map(|(pid, run)| (*pid, *run));
        let strays = self.strays.iter().filter_map(|(pid, owner)| Some((*pid, owner.run?)));
        let group = |(run, kin): (&Incarnation, &Kin)| match kin.first {
            First::Child | First::Gone(true) => Some((kin.pid, *run)),
            First::Gone(false) => None,
        };
        Roots {
            members: mains.chain(self.helpers.all()).chain(strays).collect(),
            groups: self.runs.iter().filter_map(group).collect(),
            cgroups: self.cgroups.of_memory(),
        }
    }

    /// What those have used that were collected since the last time, helpers and orphans included.
    pub fn take_spent(&mut self) -> Vec<(Incarnation, CpuTime)> {
        std::mem::take(&mut self.spent)
    }
}

impl Sampler {
    /// `wake` is called, by another thread, whenever there is an answer. No thread is made before one is needed.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Sampler {
        let shared = Shared { wake: Box::new(wake), ledger: Mutex::default(), sample: Mutex::default() };
        Sampler { shared: Arc::new(shared), is_busy: false }
    }

    /// Begins a look, unless one is under way. `spent` is what was told of ends since the last one was begun. Does not
    /// block. Where no thread can be had nothing is looked at, and `spent` is not counted.
    pub fn ask(&mut self, roots: Roots, spent: Vec<(Incarnation, CpuTime)>) {
        if self.is_busy {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("sampler".into()).stack_size(STACK);
        let spawned = thread.spawn(move || {
            let _ = SigSet::all().thread_block();
            let sample = look(&roots, spent, &mut lock(&shared.ledger));
            *lock(&shared.sample) = Some(sample);
            (shared.wake)();
        });
        self.is_busy = spawned.is_ok();
    }

    /// Whether a look is under way.
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// The answer, once.
    pub fn answer(&mut self) -> Option<Sample> {
        let sample = self.is_busy.then(|| lock(&self.shared.sample).take()).flatten()?;
        self.is_busy = false;
        Some(sample)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(roots: &Roots, spent: Vec<(Incarnation, CpuTime)>, ledger: &mut Ledger) -> Sample {
    let processes = Processes::now();
    let owners = processes.owners(roots);
    let owned = || processes.0.iter().zip(&owners).filter_map(|((pid, stat), owner)| Some((*pid, stat, (*owner)?)));
    let members =
        owned().map(|(pid, stat, run)| ((pid, stat.start), run, Times { own: stat.cpu, waited: stat.waited }));
    let grown = ledger.enter(members, spent);
    let mut footprints: HashMap<Incarnation, Footprint> = HashMap::new();
    let (fds, page) = (proc_fs::Fds::find(), proc_fs::page_size());
    for (pid, stat, run) in owned().filter(|(_, stat, _)| stat.lives()) {
        let all = footprints.entry(run).or_insert(Footprint { open_fds: Some(0), ..Footprint::default() });
        all.resident = all.resident.saturating_add(stat.resident.saturating_mul(page));
        all.threads += u64::from(stat.threads);
        all.open_fds = all.open_fds.zip(fds.of(pid)).map(|(all, own)| all + own);
    }
    for (run, dir) in &roots.cgroups {
        if let Some(footprint) = footprints.get_mut(run) {
            footprint.working_set = cgroup::working_set(dir);
        }
    }
    let cost = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    Sample { cost, footprints: footprints.into_iter().collect(), grown }
}

/// All processes that can be seen, by pid.
struct Processes(Vec<(pid_t, Stat)>);

impl Processes {
    fn now() -> Processes {
        let mut pids = proc_fs::all();
        pids.sort_unstable();
        Processes(pids.into_iter().filter_map(|pid| Some((pid, proc_fs::stat(pid)?))).collect())
    }

    fn index(&self, pid: pid_t) -> Option<usize> {
        self.0.binary_search_by_key(&pid, |(pid, _)| *pid).ok()
    }

    /// To which run each belongs.
    fn owners(&self, roots: &Roots) -> Vec<Option<Incarnation>> {
        let members: HashMap<pid_t, Incarnation> = roots.members.iter().copied().collect();
        let groups: HashMap<pid_t, Incarnation> = roots.groups.iter().copied().collect();
        let mut owners: Vec<Option<Option<Incarnation>>> = vec![None; self.0.len()];
        for index in 0..self.0.len() {
            let (mut line, mut next, mut owner) = (Vec::new(), Some(index), None);
            // Up to an ancestor of which it is known whose it is.
            while let Some(index) = next {
                let (pid, _) = &self.0[index];
                owner = owners[index].unwrap_or_else(|| members.get(pid).copied());
                if owner.is_some() || owners[index].is_some() {
                    break;
                }
                // For a chain that turns in a circle, which is one that changed while we looked.
                owners[index] = Some(None);
                line.push(index);
                next = self.parent(index);
            }
            if let Some(index) = next {
                owners[index] = Some(owner);
            }
            for index in line.into_iter().rev() {
                let (_, stat) = &self.0[index];
                owner = owner.or_else(|| groups.get(&stat.session).or(groups.get(&stat.group)).copied());
                owners[index] = Some(owner);
            }
        }
        owners.into_iter().map(Option::flatten).collect()
    }

    /// Whoever is younger than its child is not its parent: the number has passed on while we looked.
    fn parent(&self, index: usize) -> Option<usize> {
        let (_, stat) = &self.0[index];
        self.index(stat.parent).filter(|parent| self.0[*parent].1.start <= stat.start)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Processes, Roots, Sample, Sampler};
    use crate::model::{CpuTime, Incarnation};
    use crate::process::proc_fs::Stat;

    fn run(number: u64) -> Incarnation {
        Incarnation::new(NonZeroU64::new(number).expect("not 0"))
    }

    fn stat(parent: i32, group: i32, session: i32, start: u64) -> Stat {
        let cpu = CpuTime::default();
        Stat { state: b'S', parent, group, session, cpu, waited: cpu, threads: 1, start, resident: 1 }
    }

    #[test]
    fn a_process_is_of_the_run_that_it_descends_from_or_whose_group_or_session_it_is_in() {
        let roots = Roots {
            members: vec![(10, run(1)), (20, run(2)), (21, run(2))],
            groups: vec![(10, run(1)), (20, run(2)), (30, run(3))],
            cgroups: Vec::new(),
        };
        // pid, what it shows, whose it is
        let rows = [
            (2, stat(1, 2, 2, 5), None, "the monitor"),
            (10, stat(2, 10, 10, 10), Some(1), "a main process"),
            (11, stat(10, 10, 10, 11), Some(1), "its child"),
            (12, stat(11, 12, 12, 12), Some(1), "a grandchild with a session of its own"),
            (13, stat(12, 20, 20, 13), Some(1), "descent comes before the session"),
            (14, stat(2, 14, 14, 14), None, "a child of the monitor that is nobody's"),
            (15, stat(14, 30, 15, 15), Some(3), "in the group of a run whose main process has gone"),
            (16, stat(15, 16, 16, 16), Some(3), "below that"),
            (17, stat(1, 20, 20, 17), Some(2), "an orphan that did not come to the monitor"),
            (21, stat(2, 21, 21, 21), Some(2), "a helper"),
            (22, stat(21, 21, 21, 22), Some(2), "of a helper"),
            (23, stat(21, 23, 23, 20), None, "older than its parent, whose number passed on"),
            (40, stat(41, 40, 40, 40), None, "in a circle"),
            (41, stat(40, 41, 41, 40), None, "in a circle"),
            (50, stat(99, 50, 50, 50), None, "whose parent has gone"),
        ];
        let processes = Processes(rows.iter().map(|(pid, stat, ..)| (*pid, *stat)).collect());
        for ((pid, _, expected, what), owner) in rows.iter().zip(processes.owners(&roots)) {
            assert_eq!(owner, expected.map(run), "{pid}: {what}");
        }
    }

    /// The next answer.
    fn sampled(sampler: &mut Sampler, roots: Roots, spent: Vec<(Incarnation, CpuTime)>) -> Sample {
        sampler.ask(roots, spent);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(sample) = sampler.answer() {
                return sample;
            }
            assert!(Instant::now() < deadline && sampler.is_busy(), "there is an answer to each question");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn our_own_process_uses_what_it_uses() {
        let us = || Roots { members: vec![(std::process::id() as i32, run(7))], ..Roots::default() };
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let mut sampler = Sampler::new(move || _ = count.fetch_add(1, Ordering::SeqCst));
        assert!(sampler.answer().is_none() && !sampler.is_busy());
        let first = sampled(&mut sampler, us(), Vec::new());
        let [(of, footprint)] = first.footprints[..] else { panic!("{first:?}") };
        assert_eq!(of, run(7));
        assert!((1 << 20..1 << 34).contains(&footprint.resident), "{footprint:?}");
        // This thread, that of the harness, the sampler's.
        assert!(footprint.threads >= 3 && footprint.open_fds.is_some_and(|fds| fds >= 3), "{footprint:?}");
        assert_eq!(footprint.working_set, None);
        assert!(first.cost > Duration::ZERO);

        // Some work that must be seen, and an end that was told.
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(100) {
            std::hint::black_box((0..1000).sum::<u64>());
        }
        let told = CpuTime { user: 3_000_000_000, system: 0 };
        let second = sampled(&mut sampler, us(), vec![(run(8), told)]);
        let grown = |of| second.grown.iter().find(|(run, _)| *run == of).map(|(_, cpu)| *cpu);
        assert!(grown(run(7)).is_some_and(|cpu| (1..1_000_000_000).contains(&(cpu.user + cpu.system))), "{second:?}");
        assert_eq!(grown(run(8)), Some(told));
        // Whoever polls may have an answer before it is told that there is one.
        let deadline = Instant::now() + Duration::from_secs(60);
        while woken.load(Ordering::SeqCst) < 2 {
            assert!(Instant::now() < deadline, "told of one answer in two");
            thread::sleep(Duration::from_millis(1));
        }
    }
}
