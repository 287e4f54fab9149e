//! One destination: a bounded buffer, and a thread that writes it with blocking writes.
//!
//! Everything is a line in one buffer, so lines are never torn or mixed. The thread takes the whole buffer at once; in
//! the meantime an empty one is filled. Where no thread can be made, the loop itself writes, no more at a time than
//! poll(2) promises will not block.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::SigSet;
use nix::unistd::write;

/// The most that waits in a buffer. As much again may be on its way out: 1 MiB for a destination.
const LIMIT: usize = 512 * 1024;
/// Processes may fill the buffer up to here; the rest is for the monitor's own lines and the last one's overhang.
const CHILDREN_LIMIT: usize = LIMIT - 64 * 1024;
/// How long a destination that failed is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// What a pipe takes whole when poll(2) says that it is writable: POSIX's PIPE_BUF, as Linux has it.
const PIPE_BUF: usize = 4096;

pub(super) struct Outlet {
    fd: OwnedFd,
    /// Its name in messages.
    label: &'static str,
    state: Mutex<State>,
    /// There is work for the thread.
    work: Condvar,
    /// All that was there is written.
    done: Condvar,
    /// Tells the loop that there is room again.
    room: Arc<EventFd>,
}

#[derive(Default)]
struct State {
    /// Whole lines, waiting.
    buffer: Vec<u8>,
    /// Whether a thread writes, else the loop does.
    threaded: bool,
    /// Whether the thread has nothing to do.
    idle: bool,
    /// Whether somebody waits for room.
    wanted: bool,
    /// Nothing more will come: the thread ends when it has written what there is.
    closed: bool,
    /// Why the last write failed, and when the next may be tried.
    trouble: Option<(Errno, Instant)>,
    /// Whether the last thing written was a part of a line.
    torn: bool,
    /// Bytes that were taken and then could not be written.
    lost: u64,
    /// The monitor's own lines that had no room, and of which that was not said yet.
    own_dropped: u64,
    /// All of them.
    own_dropped_ever: u64,
    /// How that is said.
    note: Option<Note>,
}

/// Makes the line that says how many of the monitor's own are missing, its newline included.
pub type Note = fn(u64) -> String;

/// Whether the next line of a process can be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Offer {
    /// Yes.
    Room,
    /// Not before something has been written. The loop is told when it has.
    Full,
    /// No: what is taken now would be lost.
    Trouble,
}

impl Outlet {
    /// Begins to write to `fd`; without a thread if `threaded` is false or none can be made.
    pub(super) fn start(fd: OwnedFd, label: &'static str, room: Arc<EventFd>, threaded: bool) -> Arc<Outlet> {
        let state = Mutex::new(State { threaded, buffer: Vec::with_capacity(LIMIT), ..State::default() });
        let outlet = Arc::new(Outlet { fd, label, state, work: Condvar::new(), done: Condvar::new(), room });
        if threaded {
            let work = Arc::clone(&outlet);
            let thread = thread::Builder::new().name(format!("write-{label}")).stack_size(64 * 1024);
            outlet.lock().threaded = thread.spawn(move || work.run()).is_ok();
        }
        outlet
    }

    /// Opens the buffer for lines.
    pub(super) fn page(&self) -> Page<'_> {
        Page { outlet: self, state: self.lock(), wakes: true }
    }

    /// Takes one line of the monitor's own, or counts it as dropped. The thread is not woken before [`Outlet::kick`]: a
    /// turn of the loop logs before it starts what it logs about, and must not wait for the processor meanwhile.
    pub(super) fn own_line(&self, line: &[u8]) {
        let mut page = self.page();
        page.wakes = false;
        if page.state.in_trouble() || page.state.closed || page.state.buffer.len() + line.len() > LIMIT {
            page.state.own_dropped += 1;
            page.state.own_dropped_ever += 1;
        } else {
            page.state.buffer.extend_from_slice(line);
        }
    }

    /// The monitor's own lines that had no room.
    pub(super) fn own_lines_lost(&self) -> u64 {
        self.lock().own_dropped_ever
    }

    /// Sets how it is said that own lines are missing.
    pub(super) fn say_with(&self, note: Note) {
        self.lock().note = Some(note);
    }

    /// Has the thread write what waits.
    pub(super) fn kick(&self) {
        drop(self.page());
    }

    /// Why nothing can be written, if so.
    pub(super) fn trouble(&self) -> Option<String> {
        let (errno, _) = self.lock().trouble?;
        Some(format!("cannot write to {}: {}", self.label, io::Error::from(errno)))
    }

    /// Bytes that were taken and then could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// Waits until all is written, at most until `deadline`; returns whether it is.
    pub(super) fn flush(&self, deadline: Instant) -> bool {
        self.kick();
        let mut state = self.lock();
        while !state.is_done() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            if state.threaded {
                state = self.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                drop(state);
                self.wait_writable(PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
                self.pump();
                state = self.lock();
            }
        }
        true
    }

    /// Writes what can be written at once, where there is no thread to do it. Returns whether something is left, for
    /// which the loop must watch the descriptor.
    pub(super) fn pump(&self) -> bool {
        let mut state = self.lock();
        if state.threaded {
            return false;
        }
        while !state.buffer.is_empty() && self.wait_writable(PollTimeout::ZERO) {
            let most = state.buffer.len().min(PIPE_BUF);
            let mut piece: Vec<u8> = state.buffer.drain(..most).collect();
            if state.torn && state.trouble.is_some() {
                // After a failure, what comes next is another line.
                piece.insert(0, b'\n');
            }
            let written = self.write_all(&piece);
            state.wrote(&piece, written);
            if written.is_err() {
                // The rest may begin within a line.
                state.lost += state.buffer.len() as u64;
                state.buffer.clear();
            }
        }
        self.give_room(&mut state);
        !state.buffer.is_empty()
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
    }

    /// The thread.
    fn run(&self) {
        // Signals are the loop's.
        let _ = SigSet::all().thread_block();
        let mut batch = Vec::with_capacity(LIMIT);
        while self.take(&mut batch) {
            let written = self.write_all(&batch);
            self.lock().wrote(&batch, written);
            batch.clear();
        }
    }

    /// Waits for lines and takes all; `false` when there will be none.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        while state.buffer.is_empty() {
            state.idle = true;
            self.done.notify_all();
            if state.closed {
                return false;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        std::mem::swap(batch, &mut state.buffer);
        if state.torn {
            batch.insert(0, b'\n');
        }
        self.give_room(&mut state);
        true
    }

    fn give_room(&self, state: &mut State) {
        state.note_own_dropped();
        if state.wanted && state.buffer.len() < CHILDREN_LIMIT {
            state.wanted = false;
            let _ = self.room.write(1);
        }
    }

    /// Writes all of it, unless it fails: then how much was written, and why no more.
    fn write_all(&self, bytes: &[u8]) -> Result<(), (usize, Errno)> {
        let mut written = 0;
        while written < bytes.len() {
            match write(&self.fd, &bytes[written..]) {
                Ok(0) => return Err((written, Errno::EIO)),
                Ok(more) => written += more,
                Err(Errno::EINTR) => {}
                // Somebody has made it non-blocking for all who share it.
                Err(Errno::EAGAIN) => {
                    self.wait_writable(PollTimeout::NONE);
                }
                Err(errno) => return Err((written, errno)),
            }
        }
        Ok(())
    }

    fn wait_writable(&self, timeout: PollTimeout) -> bool {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
        poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl State {
    fn is_done(&self) -> bool {
        self.buffer.is_empty() && (self.idle || !self.threaded)
    }

    /// Whether a failure is so recent that writing is not tried.
    fn in_trouble(&self) -> bool {
        self.trouble.is_some_and(|(_, again)| Instant::now() < again)
    }

    fn wrote(&mut self, bytes: &[u8], written: Result<(), (usize, Errno)>) {
        let through = match written {
            Ok(()) => {
                self.trouble = None;
                bytes.len()
            }
            Err((through, errno)) => {
                self.trouble = Some((errno, Instant::now() + RETRY));
                self.lost += (bytes.len() - through) as u64;
                through
            }
        };
        if let Some(end) = bytes[..through].last() {
            self.torn = *end != b'\n';
        }
        self.note_own_dropped();
    }

    /// Says how many of the monitor's own lines are missing, once that can be said.
    fn note_own_dropped(&mut self) {
        if self.own_dropped == 0 || self.trouble.is_some() || self.buffer.len() >= CHILDREN_LIMIT {
            return;
        }
        let plain: Note = |lines| format!("{lines} lines of the monitor's own log were dropped\n");
        let note = self.note.unwrap_or(plain);
        self.buffer.extend_from_slice(note(self.own_dropped).as_bytes());
        self.own_dropped = 0;
    }
}

/// The buffer, open for lines.
pub(super) struct Page<'a> {
    outlet: &'a Outlet,
    state: MutexGuard<'a, State>,
    /// Whether the thread is woken when it closes.
    wakes: bool,
}

impl Page<'_> {
    /// Whether a line may be appended. If not, the loop is told as soon as it may.
    pub(super) fn offer(&mut self) -> Offer {
        if self.state.in_trouble() {
            Offer::Trouble
        } else if self.state.buffer.len() < CHILDREN_LIMIT {
            Offer::Room
        } else {
            self.state.wanted = true;
            Offer::Full
        }
    }

    /// Where to append it: whole lines, of 16 KiB at most.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.state.buffer
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        if self.wakes && self.state.idle && !self.state.buffer.is_empty() {
            self.outlet.work.notify_one();
        }
    }
}
