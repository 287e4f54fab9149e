use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::stat::fstat;
use tracing_subscriber::fmt::MakeWriter;

use super::outlet::{Note, Outlet};
use super::render::Stream;

/// The way out: the monitor's stdout and stderr, written to by others than the loop.
///
/// A clone is another handle to the same. When the last one goes, what is left is still written, unless the program ends
/// first: see [`Sink::flush`].
#[derive(Clone)]
pub struct Sink(Arc<Ends>);

struct Ends {
    /// Stdout's and stderr's; one if both lead to the same place, or their lines would be mixed there.
    outlets: Vec<Arc<Outlet>>,
    room: Arc<EventFd>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.outlets.iter().for_each(|outlet| outlet.close());
    }
}

impl Sink {
    /// Writes to the program's own stdout and stderr.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn standard() -> io::Result<Sink> {
        Sink::to(io::stdout().as_fd().try_clone_to_owned()?, io::stderr().as_fd().try_clone_to_owned()?)
    }

    /// Writes to these two, by a thread each where threads can be made.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn to(out: OwnedFd, err: OwnedFd) -> io::Result<Sink> {
        Sink::start(out, err, true)
    }

    /// The same, without threads: the loop writes, as it does where none can be made.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn without_threads(out: OwnedFd, err: OwnedFd) -> io::Result<Sink> {
        Sink::start(out, err, false)
    }

    fn start(out: OwnedFd, err: OwnedFd, threaded: bool) -> io::Result<Sink> {
        let room = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let start = |fd, label| Outlet::start(fd, label, Arc::clone(&room), threaded);
        let outlets = if same_place(&out, &err) {
            vec![start(out, "stdout")]
        } else {
            vec![start(out, "stdout"), start(err, "stderr")]
        };
        Ok(Sink(Arc::new(Ends { outlets, room })))
    }

    /// A writer for the monitor's own log, to stderr. It never blocks: what has no room is dropped, and how many lines
    /// were is written when there is room again.
    pub fn log_writer(&self) -> LogWriter {
        LogWriter { outlet: Arc::clone(self.outlet(Stream::Err)), room: Arc::clone(&self.0.room) }
    }

    /// Why lines cannot be written now, such as `cannot write to stdout: No space left on device (os error 28)`. They
    /// are dropped and counted; writing is tried again every second.
    pub fn trouble(&self) -> Option<String> {
        self.0.outlets.iter().find_map(|outlet| outlet.trouble())
    }

    /// Bytes that were taken from processes or the monitor and then could not be written. What is dropped *before* that
    /// is counted for its process, in [`Counts`](super::Counts).
    pub fn lost(&self) -> u64 {
        self.0.outlets.iter().map(|outlet| outlet.lost()).sum()
    }

    /// Lines of the monitor's own log that had no room.
    pub fn own_dropped(&self) -> u64 {
        self.0.outlets.iter().map(|outlet| outlet.own_lines_lost()).sum()
    }

    /// Sets the look of the line that says how many of those there were, so that it suits the others.
    pub fn say_dropped_with(&self, note: Note) {
        self.outlet(Stream::Err).say_with(note);
    }

    /// Waits until all lines are written, but no longer than `limit`; returns whether they are. For the very end of the
    /// program: it blocks.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        // Each has its chance, though one before it had none.
        self.0.outlets.iter().filter(|outlet| !outlet.flush(deadline)).count() == 0
    }

    pub(super) fn outlet(&self, stream: Stream) -> &Arc<Outlet> {
        &self.0.outlets[self.index(stream)]
    }

    /// Which of [`Sink::outlets`] takes this stream.
    pub(super) fn index(&self, stream: Stream) -> usize {
        stream.index().min(self.0.outlets.len() - 1)
    }

    /// The one or two destinations.
    pub(super) fn outlets(&self) -> &[Arc<Outlet>] {
        &self.0.outlets
    }

    /// Readable when there is room again for what was refused.
    pub(super) fn room(&self) -> BorrowedFd<'_> {
        self.0.room.as_fd()
    }

    /// Makes [`Sink::room`] readable.
    pub(super) fn give_room(&self) {
        let _ = self.0.room.write(1);
    }

    /// Makes [`Sink::room`] unreadable.
    pub(super) fn take_room(&self) {
        let _ = self.0.room.read();
    }
}

/// Whether both lead to one file, pipe, socket or terminal.
fn same_place(out: &OwnedFd, err: &OwnedFd) -> bool {
    match (fstat(out), fstat(err)) {
        (Ok(out), Ok(err)) => (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) | (Err(_), Err(_)) => false,
    }
}

/// Writes the monitor's own log; made by [`Sink::log_writer`]. Each `write` is one or more whole lines.
#[derive(Clone)]
pub struct LogWriter {
    outlet: Arc<Outlet>,
    room: Arc<EventFd>,
}

impl io::Write for LogWriter {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.outlet.own_line(lines);
        if self.outlet.pump() {
            // Only the loop can watch the descriptor.
            let _ = self.room.write(1);
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogWriter;

    fn make_writer(&'a self) -> LogWriter {
        self.clone()
    }
}
