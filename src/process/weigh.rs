//! How much memory the processes of a run have together.
//!
//! Reading it may hang, where a process holds its own memory's lock and waits for a file system: so a thread reads, and
//! one that hangs is left to it. Every question is answered, also one that was left: with that nothing is known.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use libc::pid_t;
use nix::sys::signal::SigSet;

use super::proc_fs;
use crate::model::Incarnation;

/// A reading that takes longer is left to its thread.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most threads that are left so. With so many nothing is read until one comes back.
const MOST_LEFT: usize = 8;
/// Enough for a path and a few lines.
const STACK: usize = 128 * 1024;
/// An excess is read again after each of these: a child that was just made by `vfork` shares its parent's memory, and
/// shows it as its own.
const CONFIRM: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(30)];

/// Weighs runs.
pub struct Weigher {
    shared: Arc<Shared>,
}

struct Shared {
    read: Read,
    patience: Duration,
    wake: Mutex<Box<dyn Fn() + Send>>,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    asked: VecDeque<Question>,
    answers: Vec<(Incarnation, Option<u64>)>,
    /// Who is being weighed, and since when.
    reading: Option<(Incarnation, Instant)>,
    /// The number of the thread that reads now.
    worker: Option<u64>,
    /// How many threads have been made.
    made: u64,
    /// How many of them hang.
    left: usize,
    closed: bool,
}

/// How runs are weighed: [`weigh`], or what stands for it where a reading that hangs is wanted.
type Read = fn(&Question) -> Option<u64>;

/// Who is to be weighed.
struct Question {
    run: Incarnation,
    /// What belongs to it, and all that descends from these.
    roots: Vec<pid_t>,
    /// Up to this nobody needs to know exactly.
    limit: u64,
}

impl Weigher {
    /// `wake` is called, by whatever thread, whenever there are answers. No thread is made before one is needed.
    pub fn new(wake: impl Fn() + Send + 'static) -> Weigher {
        Weigher::with(weigh, PATIENCE, wake)
    }

    fn with(read: Read, patience: Duration, wake: impl Fn() + Send + 'static) -> Weigher {
        let (wake, state) = (Mutex::new(Box::new(wake) as _), Mutex::default());
        Weigher { shared: Arc::new(Shared { read, patience, wake, state, work: Condvar::new() }) }
    }

    /// Asks how much memory these processes, and all that descend from them, have. Does not block.
    pub fn ask(&mut self, run: Incarnation, roots: Vec<i32>, limit: u64) {
        let mut state = self.shared.lock();
        self.shared.leave_what_hangs(&mut state);
        if state.worker.is_none() && state.left < MOST_LEFT {
            self.shared.add_worker(&mut state);
        }
        match state.worker {
            Some(_) => state.asked.push_back(Question { run, roots, limit }),
            None => state.answers.push((run, None)),
        }
        self.shared.work.notify_one();
    }

    /// The answers that have come in: bytes, or `None` where nothing is known.
    pub fn answers(&mut self) -> Vec<(Incarnation, Option<u64>)> {
        let mut state = self.shared.lock();
        self.shared.leave_what_hangs(&mut state);
        std::mem::take(&mut state.answers)
    }
}

impl Drop for Weigher {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn add_worker(self: &Arc<Self>, state: &mut State) {
        let (shared, number) = (Arc::clone(self), state.made);
        let thread = thread::Builder::new().name("weigher".into()).stack_size(STACK);
        state.worker = thread.spawn(move || shared.work(number)).is_ok().then_some(number);
        state.made += 1;
    }

    /// Leaves the thread that reads to its reading, if that has taken too long; another goes on.
    fn leave_what_hangs(self: &Arc<Self>, state: &mut State) {
        let Some((run, _)) = state.reading.filter(|(_, since)| since.elapsed() > self.patience) else { return };
        state.reading = None;
        state.worker = None;
        state.left += 1;
        state.answers.push((run, None));
        if state.left < MOST_LEFT {
            self.add_worker(state);
        }
        if state.worker.is_none() {
            let unread = std::mem::take(&mut state.asked);
            state.answers.extend(unread.into_iter().map(|question| (question.run, None)));
        }
    }

    fn work(&self, number: u64) {
        let _ = SigSet::all().thread_block();
        let mut state = self.lock();
        while !state.closed && state.worker == Some(number) {
            let Some(question) = state.asked.pop_front() else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.reading = Some((question.run, Instant::now()));
            drop(state);
            let weight = (self.read)(&question);
            state = self.lock();
            if state.worker != Some(number) {
                state.left = state.left.saturating_sub(1);
                return;
            }
            state.reading = None;
            state.answers.push((question.run, weight));
            drop(state);
            (self.wake.lock().unwrap_or_else(PoisonError::into_inner))();
            state = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sum of what is resident, as long as that is within the limit: it is quickly read, and never too little. What
/// several share counts for each of them in it, so beyond the limit it is read exactly, and more than once.
fn weigh(question: &Question) -> Option<u64> {
    if !proc_fs::is_ours() {
        return None;
    }
    let rough = members(&question.roots).filter_map(proc_fs::resident).map(|pages| pages.all).sum::<u64>();
    let rough = rough.saturating_mul(proc_fs::page_size());
    if rough <= question.limit {
        return Some(rough);
    }
    let mut least = exact(question);
    for pause in CONFIRM {
        if least <= question.limit {
            break;
        }
        thread::sleep(pause);
        least = least.min(exact(question));
    }
    Some(least)
}

fn members(roots: &[pid_t]) -> impl Iterator<Item = pid_t> {
    roots.iter().copied().chain(proc_fs::descendants(roots))
}

/// The sum of each one's proportional share. Where that may not be read, another user's, say, it is what it has for
/// itself: so nothing that is only shared exceeds a limit.
fn exact(question: &Question) -> u64 {
    let pages: HashMap<pid_t, proc_fs::Resident> =
        members(&question.roots).filter_map(|pid| Some((pid, proc_fs::resident(pid)?))).collect();
    // One memory, seen twice.
    let is_its_parents = |pid: pid_t, own: &proc_fs::Resident| {
        proc_fs::stat(pid).and_then(|stat| pages.get(&stat.parent)).is_some_and(|parents| parents == own)
    };
    let shares = pages.iter().filter(|(pid, own)| !is_its_parents(**pid, own)).map(|(pid, own)| {
        proc_fs::proportional(*pid)
            .unwrap_or_else(|| own.all.saturating_sub(own.shared).saturating_mul(proc_fs::page_size()))
    });
    shares.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Question, Weigher};
    use crate::model::Incarnation;

    /// No machine is so slow.
    const LONG: Duration = Duration::from_secs(600);

    fn run(number: u64) -> Incarnation {
        Incarnation::new(NonZeroU64::new(number).expect("not 0"))
    }

    /// The answers, when there are so many.
    fn answers(weigher: &mut Weigher, count: usize) -> Vec<(Incarnation, Option<u64>)> {
        let (mut found, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(60));
        while found.len() < count && Instant::now() < deadline {
            found.append(&mut weigher.answers());
            thread::sleep(Duration::from_millis(5));
        }
        found
    }

    #[test]
    fn a_process_is_weighed_roughly_within_its_limit_and_exactly_beyond() {
        let us = std::process::id() as i32;
        let mut weigher = Weigher::with(super::weigh, LONG, || {});
        weigher.ask(run(1), vec![us], u64::MAX);
        weigher.ask(run(2), vec![us], 0);
        weigher.ask(run(3), Vec::new(), 0);
        let found = answers(&mut weigher, 3);
        let [(one, Some(rough)), (two, Some(exact)), (three, Some(nothing))] = found[..] else { panic!("{found:?}") };
        assert_eq!([one, two, three], [run(1), run(2), run(3)]);
        assert!((100_000..1 << 34).contains(&rough), "{rough}");
        assert!((100_000..1 << 34).contains(&exact), "{exact}");
        assert_eq!(nothing, 0);
    }

    #[test]
    fn a_reading_that_hangs_is_left_and_the_others_are_made() {
        fn read(question: &Question) -> Option<u64> {
            if question.limit == 0 {
                loop {
                    thread::park();
                }
            }
            Some(question.limit)
        }
        let mut weigher = Weigher::with(read, Duration::from_secs(5), || {});
        weigher.ask(run(1), Vec::new(), 0);
        weigher.ask(run(2), Vec::new(), 7);
        assert_eq!(answers(&mut weigher, 2), [(run(1), None), (run(2), Some(7))]);
    }

    #[test]
    fn when_all_hang_every_question_is_answered_with_nothing() {
        fn read(_: &Question) -> Option<u64> {
            loop {
                thread::park();
            }
        }
        let mut weigher = Weigher::with(read, Duration::from_millis(20), || {});
        for number in 1..=super::MOST_LEFT as u64 + 2 {
            weigher.ask(run(number), Vec::new(), 0);
        }
        let found = answers(&mut weigher, super::MOST_LEFT + 2);
        assert_eq!(found.len(), super::MOST_LEFT + 2);
        assert!(found.iter().all(|(_, weight)| weight.is_none()), "{found:?}");
        weigher.ask(run(99), Vec::new(), 0);
        assert_eq!(weigher.answers(), [(run(99), None)]);
    }
}
