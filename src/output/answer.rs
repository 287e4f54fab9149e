use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};

use super::pipe::CHUNK;

/// Our end of a pipe in which a process tells us alone: the last of it is kept, and nothing is written anywhere.
pub(super) struct Answer {
    fd: OwnedFd,
    kept: Vec<u8>,
}

/// How much is kept.
const KEPT: usize = 1024;

/// Whether there may be more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    Some,
    /// Not now.
    Nothing,
    /// Never again: nobody holds the other end.
    End,
}

impl Answer {
    /// A new one: ours, and the process's end.
    pub(super) fn open() -> io::Result<(Answer, OwnedFd)> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        // Only ours: a program that finds its stdout non-blocking loses output.
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Answer { fd: ours, kept: Vec::new() }, theirs))
    }

    /// Reads once. `scratch` has [`CHUNK`] bytes at least.
    pub(super) fn hear(&mut self, scratch: &mut [u8]) -> Heard {
        match read(&self.fd, &mut scratch[..CHUNK]) {
            Ok(0) => Heard::End,
            Ok(count) => {
                let newest = &scratch[count.saturating_sub(KEPT)..count];
                let too_many = (self.kept.len() + newest.len()).saturating_sub(KEPT);
                self.kept.drain(..too_many);
                self.kept.extend_from_slice(newest);
                Heard::Some
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }

    /// What it said last, when it has ended: what is in the pipe by now is part of it, what others write later is not.
    pub(super) fn last_words(mut self, scratch: &mut [u8]) -> Vec<u8> {
        // A pipe holds one chunk; sixteen, if its writer has asked for all that anybody may have.
        for _ in 0..16 {
            if self.hear(scratch) != Heard::Some {
                break;
            }
        }
        self.kept
    }
}

impl AsFd for Answer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
