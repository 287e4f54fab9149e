use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};

use super::lines::{Lines, MAX_KEPT, Written};
use super::log::{Logs, line_of};
use super::outlet::Outlet;
use super::render::Style;
use crate::model::{LogLine, Wall, utc};

/// The most that is read from one pipe before another has its turn: what a pipe holds, by default.
pub(super) const CHUNK: usize = 64 * 1024;
/// Room for what was kept of a pipe and a chunk behind it.
pub(super) const SCRATCH: usize = MAX_KEPT + CHUNK;

/// Our end of a pipe that a process writes to.
pub(super) struct Pipe {
    fd: OwnedFd,
    lines: Lines,
    /// The number of the run that prints; `None`: somebody prints for the present one.
    run: Option<u64>,
    /// Whether it is in a queue for room.
    pub(super) waits: bool,
    /// What was read and not yet written: an unfinished line, or, with `backlog`, lines that had no room.
    kept: Vec<u8>,
    /// When the last of that was read.
    kept_at: Wall,
    backlog: bool,
    /// No writer is left.
    eof: bool,
    /// Set when the main process has gone: how much may still be read that it has written.
    last_words: Option<usize>,
}

/// How a turn went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// The pipe waits for more, or its turn is over.
    Open,
    /// There are lines that have no room.
    Full,
    /// No writer is left, and all is written.
    Ended,
}

/// A turn: how it went, from where in the scratch and how many bytes were read, and how many dropped in it.
pub(super) struct Moved {
    pub(super) turn: Turn,
    pub(super) start: usize,
    pub(super) read: usize,
    pub(super) dropped: usize,
}

/// The time at which lines are read.
pub(super) struct Now {
    pub(super) wall: Wall,
    /// As the lines have it.
    pub(super) text: String,
}

impl Now {
    pub(super) fn read() -> Now {
        let now = SystemTime::now();
        Now { wall: Wall::from(now), text: utc(now) }
    }
}

/// A pipe that nobody has yet.
pub(super) struct Blank {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Blank {
    /// Makes one.
    ///
    /// # Errors
    /// If there are no descriptors left, or no memory.
    pub(super) fn new() -> io::Result<Blank> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        // Only ours: a program that finds its stdout non-blocking loses output.
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Blank { ours, theirs })
    }

    /// Our end, for a process that prints these lines, and its own.
    pub(super) fn split(self, lines: Lines, run: Option<u64>) -> (Pipe, OwnedFd) {
        let Blank { ours: fd, theirs } = self;
        let (kept, kept_at, last_words) = (Vec::new(), Wall::default(), None);
        (Pipe { fd, lines, run, waits: false, kept, kept_at, backlog: false, eof: false, last_words }, theirs)
    }
}

impl AsFd for Blank {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}

impl Pipe {
    /// The main process has gone: what is in the pipe now is its last words, and a line that it did not end is one.
    pub(super) fn main_has_gone(&mut self) {
        // A pipe holds at most its capacity; what is read beyond that has been written later, by others.
        let capacity = fcntl(&self.fd, FcntlArg::F_GETPIPE_SZ).ok().and_then(|size| usize::try_from(size).ok());
        self.last_words = Some(capacity.unwrap_or(CHUNK));
    }

    /// Whether the main process has gone and its last words are not all read.
    pub(super) fn has_last_words(&self) -> bool {
        self.last_words.is_some()
    }

    /// Whose lines these are.
    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// What has come of a line that has not ended.
    pub(super) fn unfinished(&self) -> Option<LogLine> {
        (!self.backlog && !self.kept.is_empty()).then(|| line_of(&self.kept, self.kept_at))
    }

    /// Reads once, a chunk at most, and writes the lines. `scratch` has [`SCRATCH`] bytes.
    pub(super) fn turn(&mut self, outlet: &Outlet, logs: &mut Logs, scratch: &mut [u8], now: &Now) -> Moved {
        let mut moved = Moved { turn: Turn::Open, start: 0, read: 0, dropped: 0 };
        if self.backlog {
            let kept = std::mem::take(&mut self.kept);
            self.write(&kept, self.eof, outlet, logs, now, &mut moved);
        }
        if moved.turn == Turn::Open && !self.eof {
            self.read(outlet, logs, scratch, now, &mut moved);
        }
        if moved.turn == Turn::Open && self.eof {
            moved.turn = Turn::Ended;
        }
        moved
    }

    fn read(&mut self, outlet: &Outlet, logs: &mut Logs, scratch: &mut [u8], now: &Now, moved: &mut Moved) {
        let start = self.kept.len();
        let Some(space) = scratch.get_mut(start..) else {
            return;
        };
        let most = space.len().min(CHUNK);
        let last = match read(&self.fd, &mut space[..most]) {
            Ok(0) => {
                self.eof = true;
                true
            }
            Ok(count) => {
                (moved.start, moved.read) = (start, count);
                self.last_words = self.last_words.and_then(|left| left.checked_sub(count)).filter(|left| *left > 0);
                false
            }
            Err(Errno::EINTR) => return,
            Err(Errno::EAGAIN) => self.last_words.is_some(),
            // It cannot be read, now or ever: as good as closed.
            Err(_) => {
                self.eof = true;
                true
            }
        };
        scratch[..start].copy_from_slice(&self.kept);
        self.write(&scratch[..start + moved.read], last, outlet, logs, now, moved);
        if last && moved.turn == Turn::Open {
            self.last_words = None;
        }
    }

    /// Writes the lines in `bytes` and keeps the rest.
    fn write(&mut self, bytes: &[u8], last: bool, outlet: &Outlet, logs: &mut Logs, now: &Now, moved: &mut Moved) {
        let Written { used, dropped, full } = self.lines.write(bytes, last, &now.text, &mut outlet.page());
        let Style { name, stream, .. } = &self.lines.style;
        logs.push(name, self.run, *stream, now.wall, &bytes[..used]);
        self.kept.clear();
        self.kept.extend_from_slice(&bytes[used..]);
        self.kept_at = now.wall;
        if self.kept.is_empty() {
            // Most pipes keep nothing most of the time; there may be thousands.
            self.kept = Vec::new();
        }
        self.backlog = full;
        moved.dropped += dropped;
        if full {
            moved.turn = Turn::Full;
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
