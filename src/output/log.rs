//! What processes have printed last, kept to be asked for: of each the present run's and the one's before, each no more
//! than so many bytes, and all together no more than so many.
//!
//! When all room is taken, who wants more takes it from itself, or, if it has less than its share, from whoever has most.
//! So one that floods leaves room for those that seldom say a word.

use std::collections::{HashMap, VecDeque};

use super::escape::{SHOWN, escape};
use super::render::Stream;
use crate::model::{LogAsked, LogFrom, LogLine, LogPlace, LogRun, LogTold, Name, Wall};

/// How much is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Room {
    /// Bytes of each run.
    pub each: usize,
    /// Bytes of all together.
    pub all: usize,
}

/// The most that is told at a time.
const TOLD: usize = 64 * 1024;
/// What it takes to remember a process, beside its text.
const ENTRY: usize = 256;
/// Room grows by so much.
const STEP: usize = 512;
/// Less than this of a text says nothing.
const LEAST: usize = 64;
/// What it takes to remember when something was read.
const MARK: usize = size_of::<Mark>();

/// What all processes have printed last.
pub(super) struct Logs {
    room: Room,
    by_name: HashMap<Name, Log>,
    /// Bytes of memory that are taken.
    held: usize,
}

/// What one process has.
#[derive(Default)]
struct Log {
    present: Ring,
    previous: Ring,
}

/// What one run has.
#[derive(Default)]
struct Ring {
    run: u64,
    text: VecDeque<u8>,
    /// When what was read, in its order.
    marks: VecDeque<Mark>,
    /// How many bytes have come in all.
    offset: u64,
}

/// Up to where something was read, and when.
#[derive(Clone, Copy)]
struct Mark {
    until: u64,
    at: Wall,
    stream: Stream,
}

impl Logs {
    pub(super) fn new(room: Room) -> Logs {
        Logs { room, by_name: HashMap::new(), held: 0 }
    }

    /// A run begins. What is kept of the one before is now the previous run's.
    pub(super) fn begin(&mut self, name: &Name, run: u64) {
        if let Some(log) = self.by_name.get_mut(name) {
            let before = log.held();
            log.begin(run);
            self.held = self.held + log.held() - before;
        }
    }

    /// Takes what this run of a process has printed, or somebody for the present one: whole lines, or a piece of a very
    /// long one.
    pub(super) fn push(&mut self, name: &Name, run: Option<u64>, stream: Stream, at: Wall, bytes: &[u8]) {
        if bytes.is_empty() || !self.keeps_some() {
            return;
        }
        if !self.by_name.contains_key(name) {
            self.by_name.insert(name.clone(), Log::default());
            self.held += ENTRY;
        }
        let Some(log) = self.by_name.get_mut(name) else { return };
        let before = log.held();
        let Some(ring) = log.of_run(run) else { return };
        ring.push(stream, at, bytes, self.room.each);
        self.held = self.held + log.held() - before;
        if self.held > self.room.all {
            self.make_room(name);
        }
    }

    /// Whether anything is kept.
    pub(super) fn keeps_some(&self) -> bool {
        self.room.each.min(self.room.all) > 0
    }

    /// Forgets what a process has printed.
    pub(super) fn forget(&mut self, name: &Name) {
        if let Some(log) = self.by_name.remove(name) {
            self.held -= log.held() + ENTRY;
        }
    }

    /// The lines that are asked for.
    pub(super) fn told(&self, asked: &LogAsked) -> LogTold {
        let Some(log) = self.by_name.get(&asked.process) else { return LogTold::default() };
        match asked.from {
            LogFrom::Last { lines, since } => {
                let ring = match asked.run {
                    LogRun::Present => &log.present,
                    LogRun::Previous => &log.previous,
                };
                ring.told_from(ring.last(lines, since), ring)
            }
            LogFrom::After(place) if place.run == log.previous.run && asked.run == LogRun::Present => {
                let told = log.previous.told_from(place.offset, &log.present);
                // All of it is told: what follows is the next run's.
                match told.lines.is_empty() {
                    true => log.present.told_from(0, &log.present),
                    false => told,
                }
            }
            LogFrom::After(place) if place.run == log.previous.run => {
                log.previous.told_from(place.offset, &log.previous)
            }
            LogFrom::After(place) if place.run == log.present.run => log.present.told_from(place.offset, &log.present),
            // So much has happened meanwhile that nothing is left of where it was.
            LogFrom::After(_) => log.present.told_from(0, &log.present),
        }
    }

    /// Gives back what is too much: of this process, as far as it has more than its share, else of who has most.
    fn make_room(&mut self, name: &Name) {
        let share = (self.room.all / self.by_name.len()).saturating_sub(ENTRY);
        while self.held > self.room.all {
            let is_rich = self.by_name.get(name).is_some_and(|log| log.held() > share);
            let largest = || self.by_name.iter().max_by_key(|(_, log)| log.held()).map(|(name, _)| name.clone());
            let Some(poorer) = (if is_rich { Some(name.clone()) } else { largest() }) else { return };
            let Some(log) = self.by_name.get_mut(&poorer) else { return };
            let before = log.held();
            let too_much = self.held - self.room.all;
            log.shrink(before.saturating_sub(too_much).max(share.min(before.saturating_sub(1))));
            self.held = self.held + log.held() - before;
            if log.held() >= before {
                return;
            }
        }
    }
}

impl Log {
    fn held(&self) -> usize {
        self.present.held() + self.previous.held()
    }

    fn begin(&mut self, run: u64) {
        if run > self.present.run {
            self.previous = std::mem::replace(&mut self.present, Ring { run, ..Ring::default() });
            // It gets nothing more: what is beyond its text is not needed.
            self.previous.text.shrink_to_fit();
            self.previous.marks.shrink_to_fit();
        }
    }

    /// Where this run's lines belong; nowhere if it was over long ago.
    fn of_run(&mut self, run: Option<u64>) -> Option<&mut Ring> {
        let run = run.unwrap_or(self.present.run);
        self.begin(run);
        [&mut self.present, &mut self.previous].into_iter().find(|ring| ring.run == run)
    }

    /// Makes do with so many bytes: the older run's go first.
    fn shrink(&mut self, most: usize) {
        let present = self.present.held();
        self.previous.shrink(most.saturating_sub(present));
        self.present.shrink(most.saturating_sub(self.previous.held()));
    }
}

impl Ring {
    /// The memory that it takes.
    fn held(&self) -> usize {
        self.text.capacity() + self.marks.capacity() * MARK
    }

    /// The offset of the first byte that is kept.
    fn first(&self) -> u64 {
        self.offset - self.text.len() as u64
    }

    fn push(&mut self, stream: Stream, at: Wall, bytes: &[u8], most: usize) {
        let last = self.marks.back();
        // Neither stream goes on in the other's line.
        if last.is_some_and(|mark| mark.stream != stream) && self.text.back().is_some_and(|byte| *byte != b'\n') {
            self.put(b"\n", most);
        }
        self.put(bytes, most);
        match self.marks.back_mut() {
            Some(mark) if mark.at == at && mark.stream == stream => mark.until = self.offset,
            Some(_) | None => self.mark(Mark { until: self.offset, at, stream }, most),
        }
    }

    /// Marks take no more than half of the room; where there are too many, the older half goes, with its text.
    fn mark(&mut self, mark: Mark, most: usize) {
        if self.marks.len() * MARK >= most / 2 && !self.marks.is_empty() {
            let until = self.marks[self.marks.len() / 2].until;
            self.keep((self.offset - until) as usize);
        }
        if self.marks.len() == self.marks.capacity() {
            self.marks.reserve_exact(self.marks.len().clamp(2, STEP / MARK));
        }
        self.marks.push_back(mark);
    }

    fn put(&mut self, bytes: &[u8], most: usize) {
        let most = most.saturating_sub(self.marks.capacity() * MARK).max(most / 2);
        let newest = &bytes[bytes.len().saturating_sub(most)..];
        let too_many = (self.text.len() + newest.len()).saturating_sub(most);
        self.text.drain(..too_many);
        let needed = self.text.len() + newest.len();
        if needed > self.text.capacity() {
            self.text.reserve_exact(needed.next_multiple_of(STEP).min(most) - self.text.len());
        } else if self.text.capacity() > most {
            self.text.shrink_to(most);
        }
        self.text.extend(newest);
        self.offset += bytes.len() as u64;
        self.forget_marks();
    }

    fn shrink(&mut self, most: usize) {
        while self.held() > most && !self.text.is_empty() {
            let keep = (self.text.len() * 3 / 4).min(most);
            self.keep(if keep < LEAST { 0 } else { keep });
            self.text.shrink_to_fit();
            self.marks.shrink_to_fit();
        }
        if self.text.is_empty() && self.held() > most {
            self.marks = VecDeque::new();
            self.text = VecDeque::new();
        }
    }

    /// Keeps the last so many bytes.
    fn keep(&mut self, keep: usize) {
        self.text.drain(..self.text.len().saturating_sub(keep));
        self.forget_marks();
    }

    fn forget_marks(&mut self) {
        let first = self.first();
        while self.marks.len() > 1 && self.marks.front().is_some_and(|mark| mark.until <= first) {
            self.marks.pop_front();
        }
    }

    /// Where the lines begin that are asked for.
    fn last(&self, lines: Option<usize>, since: Option<Wall>) -> u64 {
        let mut from = self.first();
        if let Some(since) = since {
            let older = self.marks.iter().take_while(|mark| mark.at < since).last();
            from = from.max(older.map_or(0, |mark| mark.until));
        }
        if let Some(lines) = lines {
            from = from.max(self.offset - self.tail(lines) as u64);
        }
        from
    }

    /// How many bytes the last so many lines have.
    fn tail(&self, lines: usize) -> usize {
        let ends = self.text.iter().rev().enumerate().filter(|(_, byte)| **byte == b'\n');
        // The last line's own end is none of those before it.
        let is_ended = self.text.back() == Some(&b'\n');
        match lines {
            0 => 0,
            _ => ends.map(|(at, _)| at).nth(lines - usize::from(!is_ended)).unwrap_or(self.text.len()),
        }
    }

    /// The lines from there on, as many as are told at a time. The log ends where `last` does.
    fn told_from(&self, from: u64, last: &Ring) -> LogTold {
        let begin = from.max(self.first()).min(self.offset);
        let at = (begin - self.first()) as usize;
        let bytes: Vec<u8> = self.text.range(at..).take(TOLD).copied().collect();
        // Whole lines, unless there is one that is longer than that, or no more of it.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(bytes.len(), |newline| newline + 1);
        let used = if bytes.len() < TOLD { bytes.len() } else { whole };
        let next = LogPlace { run: self.run, offset: begin + used as u64 };
        LogTold {
            lines: self.lines(begin, &bytes[..used]),
            unfinished: Vec::new(),
            skipped: begin.saturating_sub(from),
            next,
            end: LogPlace { run: last.run, offset: last.offset },
        }
    }

    fn lines(&self, begin: u64, bytes: &[u8]) -> Vec<LogLine> {
        let mut offset = begin;
        let mut marks = self.marks.iter().peekable();
        let mut lines = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            while marks.peek().is_some_and(|mark| mark.until <= offset) {
                marks.next();
            }
            let at = marks.peek().map_or(Wall::default(), |mark| mark.at);
            lines.push(line_of(line, at));
            offset += line.len() as u64;
        }
        lines
    }
}

/// A line as it is told, with or without its end.
pub(super) fn line_of(line: &[u8], at: Wall) -> LogLine {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let mut shown = Vec::with_capacity(text.len());
    escape(text.strip_suffix(b"\r").unwrap_or(text), usize::MAX, &SHOWN, &mut shown);
    LogLine { at, text: String::from_utf8_lossy(&shown).into_owned() }
}

#[cfg(test)]
mod tests;
