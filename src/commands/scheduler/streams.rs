//! What a run prints, line by line, with the number of the descriptor in front; and what the scheduler has to say between.
//! A reader that does not read makes the run wait, and never the scheduler.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, stdout};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// The standard descriptors of one run, as it gets them.
pub(super) struct Theirs {
    input: File,
    output: PipeWriter,
    errors: PipeWriter,
}

/// Where its output comes out.
pub(super) struct Streams([Stream; 2]);

struct Stream {
    number: u8,
    /// `None` when it has ended.
    pipe: Option<PipeReader>,
    /// The beginning of a line.
    rest: Vec<u8>,
}

/// What is to be written to the standard output, and has not been.
#[derive(Default)]
pub(super) struct Pen {
    waiting: Vec<u8>,
    is_closed: bool,
}

/// A longer line is cut.
const LONGEST_LINE: usize = 16 * 1024;
/// With more than that waiting nothing more is read.
const MOST_WAITING: usize = 64 * 1024;
/// A pipe that can be written takes so much at once without making us wait.
const PIECE: usize = 4096;

impl Theirs {
    /// Makes both ends.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(super) fn new() -> io::Result<(Theirs, Streams)> {
        let input = File::open("/dev/null")?;
        let ((out, output), (err, errors)) = (io::pipe()?, io::pipe()?);
        let streams = Streams([Stream::new(1, out)?, Stream::new(2, err)?]);
        Ok((Theirs { input, output, errors }, streams))
    }

    /// In the order of their numbers.
    pub(super) fn fds(&self) -> [BorrowedFd<'_>; 3] {
        [self.input.as_fd(), self.output.as_fd(), self.errors.as_fd()]
    }
}

impl Streams {
    /// Those that may have something to say.
    pub(super) fn open(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().filter_map(|stream| stream.pipe.as_ref().map(AsFd::as_fd))
    }

    /// Reads what is there, and passes on the lines.
    pub(super) fn read(&mut self, pen: &mut Pen) {
        self.0.iter_mut().for_each(|stream| stream.read(pen));
    }

    /// Nobody is left who could write: reads what is there, and passes on the last lines, whole or not.
    pub(super) fn finish(mut self, pen: &mut Pen) {
        for stream in &mut self.0 {
            stream.read(pen);
            if !stream.rest.is_empty() {
                let line = std::mem::take(&mut stream.rest);
                pen.line(stream.number, &line);
            }
        }
    }
}

impl Stream {
    fn new(number: u8, pipe: PipeReader) -> io::Result<Stream> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Stream { number, pipe: Some(pipe), rest: Vec::new() })
    }

    fn read(&mut self, pen: &mut Pen) {
        let mut buffer = [0; PIECE];
        while let Some(pipe) = &mut self.pipe
            && pen.has_room()
        {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.take(&buffer[..count], pen),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn take(&mut self, bytes: &[u8], pen: &mut Pen) {
        self.rest.extend_from_slice(bytes);
        let mut used = 0;
        while let Some(length) = self.rest[used..].iter().position(|byte| *byte == b'\n') {
            pen.line(self.number, &self.rest[used..used + length]);
            used += length + 1;
        }
        self.rest.drain(..used);
        if self.rest.len() >= LONGEST_LINE {
            let line = std::mem::take(&mut self.rest);
            pen.line(self.number, &line);
        }
    }
}

impl Pen {
    /// What the scheduler itself has to say.
    pub(super) fn say(&mut self, text: &str) {
        self.put(&[super::WHO.as_bytes(), b": ", text.as_bytes(), b"\n"]);
    }

    fn line(&mut self, number: u8, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.put(&[format!("[{number}] ").as_bytes(), line, b"\n"]);
    }

    fn put(&mut self, parts: &[&[u8]]) {
        if !self.is_closed {
            parts.iter().for_each(|part| self.waiting.extend_from_slice(part));
        }
    }

    /// Whether more of a run's output may be read.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    /// Whether something waits to be written.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes a piece of it; to be called when the standard output can be written.
    pub(super) fn write(&mut self) {
        let piece = &self.waiting[..self.waiting.len().min(PIECE)];
        match nix::unistd::write(stdout(), piece) {
            Ok(count) => drop(self.waiting.drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // Nobody will ever read it.
            Err(_) => *self = Pen { waiting: Vec::new(), is_closed: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Write as _, pipe};

    use super::{LONGEST_LINE, Pen, Stream};

    #[test]
    fn lines_have_the_number_of_their_descriptor_in_front_and_long_ones_are_cut() {
        let (reader, mut writer) = pipe().expect("a pipe");
        let mut stream = Stream::new(2, reader).expect("a stream");
        let mut pen = Pen::default();
        writer.write_all(b"one\ntw").expect("room");
        stream.read(&mut pen);
        assert_eq!(pen.waiting, b"[2] one\n");
        writer.write_all(b"o\r\n\nthree").expect("room");
        stream.read(&mut pen);
        assert_eq!(pen.waiting, b"[2] one\n[2] two\n[2] \n");
        pen.waiting.clear();
        writer.write_all(&vec![b'x'; LONGEST_LINE]).expect("room");
        drop(writer);
        stream.read(&mut pen);
        assert!(stream.pipe.is_none() && pen.waiting.starts_with(b"[2] threexxx"));
        assert!(pen.waiting.len() >= LONGEST_LINE, "{}", pen.waiting.len());
    }

    #[test]
    fn what_nobody_takes_is_not_read_any_further() {
        let (reader, mut writer) = pipe().expect("a pipe");
        let mut stream = Stream::new(1, reader).expect("a stream");
        let mut pen = Pen { waiting: vec![b'x'; super::MOST_WAITING], is_closed: false };
        writer.write_all(b"one\n").expect("room");
        stream.read(&mut pen);
        assert_eq!(pen.waiting.len(), super::MOST_WAITING);
        pen.waiting.clear();
        stream.read(&mut pen);
        assert_eq!(pen.waiting, b"[1] one\n");
    }
}
