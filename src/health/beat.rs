//! Heartbeats, by change: a file that is not as it was at the last look is a beat, whatever its times say.
//!
//! The looks are made by a thread, since a file system may hang. A look that takes too long is left to its thread, and
//! another thread goes on with the rest; what comes of a look that was left is not used. So a process whose file cannot
//! be looked at is not known to have missed a beat. Every look is answered, also one that was left: with that nothing is
//! known.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;

use crate::model::{Incarnation, Name, ProbeKind, Wall};

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
    hearts: HashMap<Heart, Watched>,
}

/// Whose heart it is, and who listens: for each, the looks are compared with each other.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Heart {
    /// The run.
    pub run: Incarnation,
    /// Who listens to it.
    pub listener: Listener,
}

/// Who listens to a heart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Listener {
    /// `ncolony.beatcheck`
    Beatcheck,
    /// A probe of this kind.
    Probe(ProbeKind),
}

/// What a look has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Look {
    /// Whose.
    pub heart: Heart,
    /// What.
    pub seen: Seen,
}

/// What a look has shown, compared with the last one at the same heart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// The file is not as it was: a beat.
    Changed {
        /// The time that the file bears, to be shown only.
        mtime: Wall,
    },
    /// It is as it was.
    Unchanged,
    /// This was the first look, which no beat can be told from.
    First,
    /// There is no file, which would be this one.
    Missing(PathBuf),
    /// What is there cannot be taken for a beat, for this reason.
    Refused(String),
    /// The look was given up, since the file system does not answer: nothing is known.
    Unknown,
}

/// What is known about one heart.
struct Watched {
    place: Place,
    /// What the last look found; `None` before the first.
    last: Option<Found>,
    in_flight: bool,
    /// Where it is to be looked for next, when the look in flight, which is made elsewhere, is over.
    moved: Option<Place>,
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
    asked: VecDeque<(Heart, Place)>,
    /// What was found, or `None` for a look that was given up.
    found: Vec<(Heart, Option<Found>)>,
    /// The number of the thread that makes the looks now. Others may still hang in theirs.
    worker: Option<u64>,
    /// How many threads have been made.
    made: u64,
    /// For whom and at what that thread looks, and since when.
    looking: Option<(Heart, Place, Instant)>,
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
        Beats { shared, hearts: HashMap::new() }
    }

    /// Asks for a look at the file of this process, unless one at this heart is being made; the first look is what later
    /// ones are compared with. So one is to be made when a run begins: then what another run has left behind is no beat.
    /// Does not block.
    pub fn look(&mut self, heart: Heart, name: &Name, file: &Path) {
        let watched = self.hearts.entry(heart).or_insert_with(|| Watched::new(Place::new(name, file)));
        let is_elsewhere = !watched.place.is_of(file);
        if watched.in_flight {
            // An edit has moved it: what comes of the look in flight is nobody's.
            watched.moved = is_elsewhere.then(|| Place::new(name, file));
            return;
        }
        if is_elsewhere {
            // Another file is another first look.
            *watched = Watched::new(Place::new(name, file));
        }
        watched.in_flight = true;
        self.shared.ask(heart, watched.place.clone());
    }

    /// Asks for the first look at a heart, unless there has been one at this file.
    pub fn begin(&mut self, heart: Heart, name: &Name, file: &Path) {
        let is_known = |watched: &Watched| watched.moved.as_ref().unwrap_or(&watched.place).is_of(file);
        if !self.hearts.get(&heart).is_some_and(is_known) {
            self.look(heart, name, file);
        }
    }

    /// Nobody listens to this heart any more.
    pub fn leave(&mut self, heart: Heart) {
        if self.hearts.remove(&heart).is_some() {
            self.shared.lock().asked.retain(|(asked, _)| *asked != heart);
        }
    }

    /// The results that have come in.
    pub fn results(&mut self) -> Vec<Look> {
        let found = std::mem::take(&mut self.shared.lock().found);
        found.into_iter().filter_map(|(heart, found)| Some(Look { heart, seen: self.compare(heart, found)? })).collect()
    }

    fn compare(&mut self, heart: Heart, found: Option<Found>) -> Option<Seen> {
        let watched = self.hearts.get_mut(&heart)?;
        let Some(place) = watched.moved.take() else { return Some(watched.compare(found)) };
        *watched = Watched { in_flight: true, ..Watched::new(place.clone()) };
        self.shared.ask(heart, place);
        None
    }

    /// A run is over: no more looks, no more results.
    pub fn forget(&mut self, run: Incarnation) {
        for listener in [Listener::Beatcheck].into_iter().chain(ProbeKind::ALL.map(Listener::Probe)) {
            self.leave(Heart { run, listener });
        }
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
    fn new(place: Place) -> Watched {
        Watched { place, last: None, in_flight: false, moved: None }
    }

    fn compare(&mut self, found: Option<Found>) -> Seen {
        self.in_flight = false;
        let Some(found) = found else { return Seen::Unknown };
        let seen = match (&found, &self.last) {
            (Found::Missing(path), _) => Seen::Missing(path.clone()),
            (Found::Refused(reason), _) => Seen::Refused(reason.clone()),
            (Found::File { .. }, None) => Seen::First,
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
    fn ask(self: &Arc<Self>, heart: Heart, place: Place) {
        let mut state = self.lock();
        let near_a_hang = state.left.values().any(|left| left.is_near(&place));
        if near_a_hang {
            // It would hang too: nothing is known, and that is all.
            state.found.push((heart, None));
            drop(state);
            self.wake();
            return;
        }
        if state.worker.is_none() {
            self.add_worker(&mut state);
        }
        if state.worker.is_some() || !state.left.is_empty() {
            state.asked.push_back((heart, place));
            self.work.notify_one();
        } else {
            // No thread can be made: better a loop that may hang than no heartbeats.
            drop(state);
            let found = place.look(self.stat);
            self.lock().found.push((heart, Some(found)));
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
            let Some((heart, place)) = state.asked.pop_front() else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.looking = Some((heart, place.clone(), Instant::now()));
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
                state.found.push((heart, Some(found)));
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
        if let (Some(number), Some((heart, place, _))) = (state.worker.take(), state.looking.take()) {
            let near = |(_, asked): &(Heart, Place)| asked.is_near(&place);
            let (hopeless, rest) = std::mem::take(&mut state.asked).into_iter().partition::<VecDeque<_>, _>(near);
            state.asked = rest;
            state.found.push((heart, None));
            state.found.extend(hopeless.into_iter().map(|(heart, _)| (heart, None)));
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
