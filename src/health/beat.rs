//! Heartbeats, by change: a file that is not as it was at the last look is a beat, whatever its times say.
//!
//! The looks are made by a thread, since a file system may hang. A look that takes too long is left to its thread, and
//! another thread goes on with the rest; what comes of a look that was left is not used. So a process whose file cannot
//! be looked at is not known to have missed a beat. Every look is answered, also one that was left: with that nothing is
//! known.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;

use crate::model::{Heartbeat, Incarnation, Name, Wall};

use super::stat::{Found, Place, Stat};

/// A look that takes longer is left to its thread.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most threads that are left to their looks. With so many, the next one that hangs is waited for.
const MOST_LEFT: usize = 8;
/// Enough for a stat and a few paths.
const STACK: usize = 64 * 1024;

/// Looks at the heartbeats' files for all runs.
pub struct Beats {
    shared: Arc<Shared>,
    runs: HashMap<Incarnation, Watched>,
}

/// What a look has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Look {
    /// Whose.
    pub run: Incarnation,
    /// What.
    pub seen: Seen,
}

/// What a look has shown, compared with the last one of the same run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// The file is not as it was: a beat.
    Changed {
        /// The time that the file bears, to be shown only.
        mtime: Wall,
    },
    /// It is as it was; or this was the run's first look, which no beat can be told from.
    Unchanged,
    /// There is no file.
    Missing,
    /// What is there cannot be taken for a beat, for this reason.
    Refused(String),
    /// The look was given up, since the file system does not answer: nothing is known.
    Unknown,
}

/// What is known about one run.
struct Watched {
    place: Place,
    /// What the last look found; `None` before the first.
    last: Option<Found>,
    in_flight: bool,
}

struct Shared {
    stat: Stat,
    wake: Mutex<Box<dyn Fn() + Send>>,
    state: Mutex<State>,
    /// There are looks to make.
    work: Condvar,
    /// The thread that makes them has begun one.
    begun: Condvar,
}

struct State {
    asked: VecDeque<(Incarnation, Place)>,
    /// What was found, or `None` for a look that was given up.
    found: Vec<(Incarnation, Option<Found>)>,
    /// The number of the thread that makes the looks now. Others may still hang in theirs.
    worker: Option<u64>,
    /// How many threads have been made.
    made: u64,
    /// For which run and at what that thread looks, and since when.
    looking: Option<(Incarnation, Place, Instant)>,
    /// What the threads look at that were left, by their numbers.
    left: HashMap<u64, Place>,
    /// Whether the watching thread waits for a look to begin.
    unwatched: bool,
    closed: bool,
}

impl Beats {
    /// Begins; `wake` is called, by whatever thread, whenever there are results.
    pub fn start(wake: impl Fn() + Send + 'static) -> Beats {
        Beats::start_with(|path| fs::metadata(path), wake)
    }

    /// The same, with another way to look at files.
    pub fn start_with(stat: Stat, wake: impl Fn() + Send + 'static) -> Beats {
        let state = State {
            asked: VecDeque::new(),
            found: Vec::new(),
            worker: None,
            made: 0,
            looking: None,
            left: HashMap::new(),
            unwatched: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            stat,
            wake: Mutex::new(Box::new(wake)),
            state: Mutex::new(state),
            work: Condvar::new(),
            begun: Condvar::new(),
        });
        shared.add_worker(&mut shared.lock());
        let watch = Arc::clone(&shared);
        // Without it a file system that hangs holds up the looks, and nothing else.
        let _ = thread::Builder::new().name("beats-watch".into()).stack_size(STACK).spawn(move || watch.watch());
        Beats { shared, runs: HashMap::new() }
    }

    /// A run has begun: the first look, with which later ones are compared, so that what another run has left behind
    /// is no beat.
    pub fn born(&mut self, run: Incarnation, name: &Name, heartbeat: &Heartbeat) {
        self.look(run, name, heartbeat);
    }

    /// Asks for a look, unless one for this run is being made. Does not block.
    pub fn look(&mut self, run: Incarnation, name: &Name, heartbeat: &Heartbeat) {
        let new = || Watched { place: Place::new(name, heartbeat), last: None, in_flight: false };
        let watched = self.runs.entry(run).or_insert_with(new);
        if watched.in_flight {
            return;
        }
        if !watched.place.is_of(heartbeat) {
            // An edit has moved it: another file is another first look.
            *watched = new();
        }
        watched.in_flight = true;
        self.shared.ask(run, watched.place.clone());
    }

    /// The results that have come in.
    pub fn results(&mut self) -> Vec<Look> {
        let found = std::mem::take(&mut self.shared.lock().found);
        found
            .into_iter()
            .filter_map(|(run, found)| Some(Look { run, seen: self.runs.get_mut(&run)?.compare(found) }))
            .collect()
    }

    /// A run is over: no more looks, no more results.
    pub fn forget(&mut self, run: Incarnation) {
        self.runs.remove(&run);
        self.shared.lock().asked.retain(|(asked, _)| *asked != run);
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        self.shared.begun.notify_all();
    }
}

impl Watched {
    fn compare(&mut self, found: Option<Found>) -> Seen {
        self.in_flight = false;
        let Some(found) = found else { return Seen::Unknown };
        let seen = match (&found, &self.last) {
            (Found::Missing, _) => Seen::Missing,
            (Found::Refused(reason), _) => Seen::Refused(reason.clone()),
            (Found::File { .. }, None) => Seen::Unchanged,
            (Found::File { mark, .. }, Some(Found::File { mark: last, .. })) if mark == last => Seen::Unchanged,
            (Found::File { mtime, .. }, Some(_)) => Seen::Changed { mtime: *mtime },
        };
        self.last = Some(found);
        seen
    }
}

impl State {
    /// How long the present look, if there is one, will still be waited for.
    fn patience(&self) -> Option<Duration> {
        self.looking.as_ref().map(|(_, _, since)| PATIENCE.saturating_sub(since.elapsed()))
    }
}

impl Shared {
    fn ask(self: &Arc<Self>, run: Incarnation, place: Place) {
        let mut state = self.lock();
        let near_a_hang = state.left.values().any(|left| left.is_near(&place));
        if near_a_hang {
            // It would hang too: nothing is known, and that is all.
            state.found.push((run, None));
            drop(state);
            self.wake();
            return;
        }
        if state.worker.is_none() {
            self.add_worker(&mut state);
        }
        if state.worker.is_some() || !state.left.is_empty() {
            state.asked.push_back((run, place));
            self.work.notify_one();
        } else {
            // No thread can be made: better a loop that may hang than no heartbeats.
            drop(state);
            let found = place.look(self.stat);
            self.lock().found.push((run, Some(found)));
            self.wake();
        }
    }

    fn add_worker(self: &Arc<Self>, state: &mut State) {
        let (work, number) = (Arc::clone(self), state.made);
        let thread = thread::Builder::new().name("beats".into()).stack_size(STACK);
        state.worker = thread.spawn(move || work.work(number)).is_ok().then_some(number);
        state.made += 1;
    }

    /// A thread that makes looks, until it is left to one that hangs.
    fn work(&self, number: u64) {
        let _ = SigSet::all().thread_block();
        let mut state = self.lock();
        while !state.closed && state.worker == Some(number) {
            let Some((run, place)) = state.asked.pop_front() else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.looking = Some((run, place.clone(), Instant::now()));
            if state.unwatched {
                self.begun.notify_one();
            }
            drop(state);
            let found = place.look(self.stat);
            state = self.lock();
            if state.left.remove(&number).is_some() {
                // There may be no other, if none could be made; and one more may now be left.
                state.worker = state.worker.or(Some(number));
                self.begun.notify_one();
            } else {
                state.looking = None;
                state.found.push((run, Some(found)));
            }
            drop(state);
            self.wake();
            state = self.lock();
        }
    }

    /// The thread that sees to it that no look is waited for too long. While looks are made it wakes up once in that
    /// time, else not at all.
    fn watch(self: &Arc<Self>) {
        let _ = SigSet::all().thread_block();
        let mut state = self.lock();
        while !state.closed {
            let mut pause = PATIENCE;
            match state.patience() {
                Some(Duration::ZERO) if state.left.len() < MOST_LEFT => {
                    self.leave(&mut state);
                    continue;
                }
                Some(left) if !left.is_zero() => pause = left,
                Some(_) | None => {
                    state.unwatched = true;
                    state = self.begun.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.unwatched = false;
                }
            }
            state = self.begun.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Leaves the thread that makes the looks to the one that it hangs in; another goes on.
    fn leave(self: &Arc<Self>, state: &mut State) {
        if let (Some(number), Some((run, place, _))) = (state.worker.take(), state.looking.take()) {
            let near = |(_, asked): &(Incarnation, Place)| asked.is_near(&place);
            let (hopeless, rest) = std::mem::take(&mut state.asked).into_iter().partition::<VecDeque<_>, _>(near);
            state.asked = rest;
            state.found.push((run, None));
            state.found.extend(hopeless.into_iter().map(|(run, _)| (run, None)));
            state.left.insert(number, place);
            self.add_worker(state);
            self.wake();
        }
    }

    fn wake(&self) {
        (self.wake.lock().unwrap_or_else(PoisonError::into_inner))();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
