use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::model::{HelperId, Incarnation, LogAsked, LogFrom, LogRun, LogTold, Name, OnFull, Output};

use super::answer::{Answer, Heard};
use super::lines::Lines;
use super::log::{Logs, Room};
use super::outlet::Offer;
use super::pipe::{Blank, CHUNK, Moved, Now, Pipe, SCRATCH, Turn};
use super::render::{Stream, Style};
use super::sink::Sink;
use super::tail::Tail;

/// The most pipes that have a turn in one [`Capture::drain`].
const MOST_TURNS: usize = 64;
/// The epoll key of "there is room again", and of a destination that the loop itself writes to. A run's pipes have
/// twice its number, and one more; a helper's likewise, with the topmost bit; what is said to us alone has the one below.
const ROOM: u64 = 0;

/// Reads what all processes print, and hands it to a [`Sink`], line by line.
pub struct Capture {
    epoll: Epoll,
    sink: Sink,
    /// Boxed, since half of a table is empty.
    pipes: HashMap<u64, Box<Pipe>>,
    /// What is said to us alone.
    answers: HashMap<u64, Answer>,
    /// For the next run, so that it need not wait for them; they are watched already.
    spare: Option<([u64; 2], [Blank; 2])>,
    counts: BTreeMap<Name, Counts>,
    /// What those have printed last with whom the colony may end.
    tails: HashMap<Name, Tail>,
    /// What all have printed last, to be asked for.
    logs: Logs,
    /// For each destination, the pipes that wait for room in it and are not watched meanwhile. Only the first may keep
    /// lines that it has read already, so that what is kept does not grow with their number.
    waiting: [VecDeque<u64>; 2],
    /// Whether the loop watches a destination for room, since there is no thread to write.
    watched: [bool; 2],
    scratch: Vec<u8>,
}

/// The ends of the pipes that a new process gets as its stdout and stderr: to be given to it and then closed.
#[derive(Debug)]
pub struct Stdio {
    /// Its stdout.
    pub out: OwnedFd,
    /// Its stderr.
    pub err: OwnedFd,
}

/// What a process has printed since it was added: stdout's and stderr's.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Bytes read.
    pub bytes: [u64; 2],
    /// Bytes of these that were dropped.
    pub dropped: [u64; 2],
}

/// How far [`Capture::drain`] came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drained {
    /// There may be more to do at once: call again, after other work. If not, the descriptor will become readable when
    /// there is.
    pub more: bool,
}

impl Capture {
    /// Captures nothing yet, and will keep as much as there is room for.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn new(sink: Sink, room: Room) -> io::Result<Capture> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(sink.room(), EpollEvent::new(EpollFlags::EPOLLIN, ROOM))?;
        Ok(Capture {
            epoll,
            sink,
            pipes: HashMap::new(),
            answers: HashMap::new(),
            spare: None,
            counts: BTreeMap::new(),
            tails: HashMap::new(),
            logs: Logs::new(room),
            waiting: [VecDeque::new(), VecDeque::new()],
            watched: [false; 2],
            scratch: vec![0; SCRATCH],
        })
    }

    /// Makes the pipes for the next run beforehand, if they are not there. Where descriptors are scarce that is left to the
    /// start itself: one more than these must be free, for the start's other needs.
    pub fn provide(&mut self, next: Incarnation) {
        if self.spare.is_none()
            && let Ok(_one_more) = self.epoll.0.try_clone()
        {
            let keys = keys_of_run(next);
            self.spare = self.watched_pipes(keys).ok().map(|pipes| (keys, pipes));
        }
    }

    /// Whether there are pipes for the next start already.
    pub fn is_provided(&self) -> bool {
        self.spare.is_some()
    }

    /// Makes the pipes for a new run, whose lines will look as `output` says.
    ///
    /// # Errors
    /// If there are no descriptors left, or no memory for pipes. Nothing is changed then.
    pub fn open(&mut self, run: Incarnation, name: &Name, output: Output) -> io::Result<Stdio> {
        let stdio = self.open_both(keys_of_run(run), name, output, Some(run.get()))?;
        self.logs.begin(name, run.get());
        Ok(stdio)
    }

    /// The same for a process that is started for a run beside its main one; its lines look as the run's do.
    ///
    /// # Errors
    /// As [`Capture::open`].
    pub fn open_helper(&mut self, helper: HelperId, name: &Name, output: Output) -> io::Result<Stdio> {
        self.open_both(keys_of_helper(helper), name, output, None)
    }

    /// Makes a pipe for what a helper says, on both streams, to us alone: [`Capture::answer`] gives the last of it, and no
    /// line is written.
    ///
    /// # Errors
    /// As [`Capture::open`].
    pub fn open_answer(&mut self, helper: HelperId) -> io::Result<OwnedFd> {
        let (answer, theirs) = Answer::open()?;
        let key = key_of_answer(helper);
        self.epoll.add(&answer, EpollEvent::new(EpollFlags::EPOLLIN, key))?;
        self.answers.insert(key, answer);
        Ok(theirs)
    }

    /// What a helper has said last, about a kilobyte; to be called when it has ended, or is not listened to any more. Whoever
    /// holds the other end of its pipe is not waited for.
    pub fn answer(&mut self, helper: HelperId) -> Vec<u8> {
        let Some(answer) = self.answers.remove(&key_of_answer(helper)) else { return Vec::new() };
        let _ = self.epoll.delete(&answer);
        answer.last_words(&mut self.scratch)
    }

    fn open_both(&mut self, keys: [u64; 2], name: &Name, output: Output, run: Option<u64>) -> io::Result<Stdio> {
        let [out, err] = self.pipes(keys)?;
        self.counts.entry(name.clone()).or_default();
        let mut give = |blank: Blank, stream: Stream| {
            let style = Style { name: name.clone(), stream, format: output.format };
            let (pipe, theirs) = blank.split(Lines::new(style, output.on_full), run);
            self.pipes.insert(keys[stream.index()], Box::new(pipe));
            theirs
        };
        Ok(Stdio { out: give(out, Stream::Out), err: give(err, Stream::Err) })
    }

    /// Two pipes that are watched under these keys: those that are there, or new ones.
    fn pipes(&mut self, keys: [u64; 2]) -> io::Result<[Blank; 2]> {
        let Some((watched_as, pipes)) = self.spare.take() else { return self.watched_pipes(keys) };
        if watched_as != keys {
            for (pipe, key) in pipes.iter().zip(keys) {
                self.epoll.modify(pipe, &mut EpollEvent::new(EpollFlags::EPOLLIN, key))?;
            }
        }
        Ok(pipes)
    }

    fn watched_pipes(&self, keys: [u64; 2]) -> io::Result<[Blank; 2]> {
        let pipes = [Blank::new()?, Blank::new()?];
        for (pipe, key) in pipes.iter().zip(keys) {
            self.epoll.add(pipe, EpollEvent::new(EpollFlags::EPOLLIN, key))?;
        }
        Ok(pipes)
    }

    /// Reads from the pipes that have something, at most 64 KiB each and about `budget` bytes in all, in turns. Never
    /// blocks. To be called when the descriptor is readable, until nothing more is to be done.
    pub fn drain(&mut self, budget: usize) -> Drained {
        let mut events = [EpollEvent::empty(); MOST_TURNS];
        // The kernel moves whom it reports to the end of its queue, so all that it reports must have their turn.
        let most = (budget / CHUNK).clamp(1, MOST_TURNS);
        let Ok(ready) = self.epoll.wait(&mut events[..most], EpollTimeout::ZERO) else {
            return Drained { more: true };
        };
        let now = Now::read();
        for event in &events[..ready] {
            match event.data() {
                ROOM => self.use_room(most, &now),
                key if key & (HELPERS | ANSWERS) == ANSWERS => self.hear(key),
                key => self.ready(key, &now),
            }
        }
        self.pump();
        self.sink.outlets().iter().for_each(|outlet| outlet.kick());
        Drained { more: ready > 0 }
    }

    /// The main process of `run` has gone: all that is in its pipes is read, and a last line without a newline written.
    /// What has no room follows when it has. The pipes themselves stay open as long as somebody holds their other ends,
    /// but nothing waits for that.
    pub fn ended(&mut self, run: Incarnation) {
        self.have_ended(keys_of_run(run));
    }

    /// The same for a helper.
    pub fn helper_ended(&mut self, helper: HelperId) {
        self.have_ended(keys_of_helper(helper));
    }

    fn have_ended(&mut self, keys: [u64; 2]) {
        let now = Now::read();
        for key in keys {
            if let Some(pipe) = self.pipes.get_mut(&key) {
                pipe.main_has_gone();
                self.ready(key, &now);
            }
        }
        self.pump();
    }

    /// What a process has printed, in all its runs.
    pub fn counts(&self, name: &Name) -> Counts {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Keeps the last lines of the run that is to begin, until another one does.
    pub fn keep_last_lines(&mut self, name: &Name) {
        self.tails.insert(name.clone(), Tail::default());
    }

    /// Keeps none of them any more.
    pub fn forget_last_lines(&mut self, name: &Name) {
        self.tails.remove(name);
    }

    /// The last lines of a process that were kept, each with a newline at its end: about 2 KiB, of both streams.
    pub fn last_lines(&self, name: &Name) -> String {
        self.tails.get(name).map(Tail::lines).unwrap_or_default()
    }

    /// What was printed last of what is asked for, as much as is told at a time; what `run`, which goes on, has begun to
    /// print counts as a line of each stream.
    pub fn log(&self, asked: &LogAsked, run: Option<Incarnation>) -> LogTold {
        let keys = run.filter(|_| asked.run == LogRun::Present && self.logs.keeps_some()).map(keys_of_run);
        let lines = keys.into_iter().flatten().filter_map(|key| self.pipes.get(&key)?.unfinished());
        let (most, since) = match asked.from {
            LogFrom::Last { lines, since } => (lines.unwrap_or(usize::MAX), since),
            LogFrom::After(_) => (usize::MAX, None),
        };
        let unfinished: Vec<_> = lines.filter(|line| since.is_none_or(|since| line.at >= since)).take(most).collect();
        let mut asked = asked.clone();
        if let LogFrom::Last { lines: Some(lines), .. } = &mut asked.from {
            *lines -= unfinished.len();
        }
        LogTold { unfinished, ..self.logs.told(&asked) }
    }

    /// Forgets what a process has printed: there is none of this name any more.
    pub fn forget(&mut self, name: &Name) {
        self.logs.forget(name);
        self.counts.remove(name);
        self.tails.remove(name);
    }

    /// At the end of the program: reads what is left and waits until it is written, but no longer than `limit`; returns
    /// whether all is written. It blocks.
    pub fn finish(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let more = self.drain(MOST_TURNS * CHUNK).more;
            let left = deadline.saturating_duration_since(Instant::now());
            let all_taken = !more && self.waiting.iter().all(VecDeque::is_empty);
            if all_taken || left.is_zero() {
                return self.sink.flush(left) && all_taken;
            }
            if !more {
                let mut fds = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
                let _ = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
            }
        }
    }

    fn hear(&mut self, key: u64) {
        if let Some(answer) = self.answers.get_mut(&key)
            && answer.hear(&mut self.scratch) == Heard::End
        {
            // An end would be told for ever; what was said is kept until it is asked for.
            let _ = self.epoll.delete(&*answer);
        }
    }

    /// A pipe has something to read, or has ended.
    fn ready(&mut self, key: u64, now: &Now) {
        let turn = match self.pipes.get(&key) {
            Some(pipe) if pipe.waits => return,
            Some(pipe) if self.must_queue(pipe) => Turn::Full,
            Some(_) => self.turns(key, now),
            None => return,
        };
        match turn {
            Turn::Open => {}
            Turn::Full => self.queue(key),
            Turn::Ended => self.close(key),
        }
    }

    fn queue(&mut self, key: u64) {
        if let Some(pipe) = self.pipes.get_mut(&key) {
            // A hang-up is reported whatever one asks for: with this, once and not for ever.
            let _ = self.epoll.modify(&*pipe, &mut EpollEvent::new(EpollFlags::EPOLLONESHOT, key));
            pipe.waits = true;
            self.waiting[self.sink.index(pipe.lines().style.stream)].push_back(key);
        }
    }

    /// Whether others wait for room before this one, or there is none.
    fn must_queue(&self, pipe: &Pipe) -> bool {
        let Lines { style, on_full, .. } = pipe.lines();
        *on_full == OnFull::Block
            && (!self.waiting[self.sink.index(style.stream)].is_empty()
                || self.sink.outlet(style.stream).page().offer() == Offer::Full)
    }

    /// There is room: those that wait have a turn each, in their order, as long as it lasts; no more than `most` of
    /// them now.
    fn use_room(&mut self, most: usize, now: &Now) {
        self.sink.take_room();
        for index in 0..self.sink.outlets().len() {
            let mut turns = 0;
            while let Some(key) = self.waiting[index].front().copied() {
                if turns == most {
                    self.sink.give_room();
                    break;
                }
                turns += 1;
                let full = self.sink.outlets()[index].page().offer() == Offer::Full;
                match if full { Turn::Full } else { self.turns(key, now) } {
                    Turn::Full => break,
                    Turn::Open => {
                        self.waiting[index].pop_front();
                        self.watch_again(key);
                    }
                    Turn::Ended => {
                        self.waiting[index].pop_front();
                        self.close(key);
                    }
                }
            }
        }
    }

    fn watch_again(&mut self, key: u64) {
        if let Some(pipe) = self.pipes.get_mut(&key) {
            pipe.waits = false;
            let _ = self.epoll.modify(&*pipe, &mut EpollEvent::new(EpollFlags::EPOLLIN, key));
        }
    }

    /// One turn for a pipe; as many as its last words need, if its process has gone.
    fn turns(&mut self, key: u64, now: &Now) -> Turn {
        loop {
            let Some(pipe) = self.pipes.get_mut(&key) else {
                return Turn::Open;
            };
            let style = &pipe.lines().style;
            let (stream, name) = (style.stream, style.name.clone());
            let Moved { turn, start, read, dropped } =
                pipe.turn(self.sink.outlet(stream), &mut self.logs, &mut self.scratch, now);
            let goes_on = turn == Turn::Open && pipe.has_last_words();
            if let Some(counts) = self.counts.get_mut(&name) {
                counts.bytes[stream.index()] += read as u64;
                counts.dropped[stream.index()] += dropped as u64;
            }
            if let Some(tail) = self.tails.get_mut(&name) {
                tail.push(stream, &self.scratch[start..start + read]);
            }
            if !goes_on {
                return turn;
            }
        }
    }

    /// Writes, where no thread does, and sees to it that the loop wakes up when more can be written.
    fn pump(&mut self) {
        for (index, outlet) in self.sink.outlets().iter().enumerate() {
            let left = outlet.pump();
            if left != self.watched[index] {
                let changed = if left {
                    self.epoll.add(outlet.as_ref(), EpollEvent::new(EpollFlags::EPOLLOUT, ROOM))
                } else {
                    self.epoll.delete(outlet.as_ref())
                };
                if changed.is_ok() {
                    self.watched[index] = left;
                }
            }
        }
    }

    fn close(&mut self, key: u64) {
        if let Some(pipe) = self.pipes.remove(&key) {
            // Before it is closed: between fork and exec a child holds a copy, which would keep it in the set.
            let _ = self.epoll.delete(&pipe);
        }
    }
}

impl AsFd for Capture {
    /// The epoll instance: readable when [`Capture::drain`] has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// The keys of a run's stdout and stderr. Neither these nor a helper's number ever come near the topmost bit.
fn keys_of_run(run: Incarnation) -> [u64; 2] {
    [0, 1].map(|stream| run.get().wrapping_mul(2).wrapping_add(stream))
}

fn keys_of_helper(helper: HelperId) -> [u64; 2] {
    [0, 1].map(|stream| HELPERS | helper.get().wrapping_mul(2).wrapping_add(stream))
}

fn key_of_answer(helper: HelperId) -> u64 {
    ANSWERS | helper.get()
}

/// Tells the keys of helpers from those of runs.
const HELPERS: u64 = 1 << 63;
/// Tells the keys of what is said to us alone from both.
const ANSWERS: u64 = 1 << 62;
