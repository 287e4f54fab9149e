//! One datagram: its text, who sent it, and its descriptors.

use std::io::IoSliceMut;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd as _, RawFd};

use libc::{SCM_CREDENTIALS, SCM_RIGHTS, SOL_SOCKET};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, UnixCredentials, recvmsg};

use super::message::LONGEST;

/// Who has sent a datagram, as the kernel tells; both as they are seen from here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sender {
    /// The process; 0: none that can be seen from here.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
}

/// Room for one datagram.
pub(super) struct Room {
    text: Box<[u8]>,
    control: Vec<u8>,
}

/// What came, in a [`Room`].
pub(super) struct Received<'a> {
    pub(super) text: &'a [u8],
    /// Whether the text is all of it.
    pub(super) is_whole: bool,
    pub(super) sender: Option<Sender>,
    /// Ours from now on.
    pub(super) descriptors: Vec<RawFd>,
    /// Whether these are all that came.
    pub(super) has_all: bool,
}

/// The most that the kernel lets one message carry (SCM_MAX_FD).
const MOST_DESCRIPTORS: usize = 253;

impl Room {
    pub(super) fn new() -> Room {
        // Room for all descriptors that may come: what finds none, the kernel closes in our name and time. One byte more
        // of text than is taken, and the NUL at the end of a C string.
        Room { text: vec![0; LONGEST + 2].into(), control: cmsg_space!(UnixCredentials, [RawFd; MOST_DESCRIPTORS]) }
    }

    /// Takes the next datagram of a socket; never waits for one.
    ///
    /// # Errors
    /// `EAGAIN` when there is none.
    pub(super) fn receive(&mut self, socket: impl AsFd) -> Result<Received<'_>, Errno> {
        // An empty head ends the list of what came.
        self.control.fill(0);
        let mut into = [IoSliceMut::new(&mut self.text)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let got = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut into, Some(&mut self.control), flags)?;
        let (len, flags) = (got.bytes, got.flags);
        let Control { sender, descriptors } = control(&self.control);
        Ok(Received {
            text: &self.text[..len],
            is_whole: !flags.contains(MsgFlags::MSG_TRUNC),
            sender,
            descriptors,
            has_all: !flags.contains(MsgFlags::MSG_CTRUNC),
        })
    }
}

#[derive(Debug, Default, Eq, PartialEq)]
struct Control {
    sender: Option<Sender>,
    descriptors: Vec<RawFd>,
}

/// The parts of a `struct cmsghdr`.
const LEN: usize = size_of::<usize>();
const HEAD: usize = LEN + 8;

/// Reads what recvmsg(2) has put beside the text. By hand, since nix shows nothing of it where something was cut off, and
/// the descriptors that came all the same are ours to close.
fn control(mut buffer: &[u8]) -> Control {
    let mut control = Control::default();
    while let Some((len, level, kind)) = head(buffer) {
        let data = &buffer[HEAD..len];
        match (level, kind) {
            (SOL_SOCKET, SCM_CREDENTIALS) => {
                let numbers: Vec<i32> = numbers(data).take(2).collect();
                if let [pid, uid] = numbers[..] {
                    control.sender = Some(Sender { pid, uid: uid as u32 });
                }
            }
            (SOL_SOCKET, SCM_RIGHTS) => control.descriptors.extend(numbers(data)),
            _ => {}
        }
        buffer = buffer.get(len.next_multiple_of(LEN)..).unwrap_or_default();
    }
    control
}

/// Length, level and type of the part that begins here, if one does.
fn head(buffer: &[u8]) -> Option<(usize, i32, i32)> {
    let len = usize::from_ne_bytes(buffer.get(..LEN)?.try_into().ok()?);
    let mut rest = numbers(buffer.get(LEN..HEAD)?);
    let (level, kind) = (rest.next()?, rest.next()?);
    (HEAD..=buffer.len()).contains(&len).then_some((len, level, kind))
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = i32> {
    bytes.chunks_exact(4).filter_map(|four| four.try_into().ok()).map(i32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::{Control, HEAD, SCM_CREDENTIALS, SCM_RIGHTS, SOL_SOCKET, Sender, control};

    fn part(kind: i32, data: &[i32]) -> Vec<u8> {
        let len = HEAD + 4 * data.len();
        let mut part = [len.to_ne_bytes().as_slice(), &SOL_SOCKET.to_ne_bytes(), &kind.to_ne_bytes()].concat();
        part.extend(data.iter().flat_map(|number| number.to_ne_bytes()));
        part.resize(len.next_multiple_of(size_of::<usize>()), 0);
        part
    }

    #[test]
    fn what_stands_beside_the_text_is_read_as_far_as_it_is_whole() {
        let sender = Some(Sender { pid: 7, uid: 1000 });
        let whole = [part(SCM_CREDENTIALS, &[7, 1000, 1000]), part(SCM_RIGHTS, &[3, 4, 9]), vec![0; 64]].concat();
        assert_eq!(control(&whole), Control { sender, descriptors: vec![3, 4, 9] });
        let unknown = [part(4, &[1]), part(SCM_CREDENTIALS, &[7, 1000, 1000])].concat();
        assert_eq!(control(&unknown), Control { sender, descriptors: vec![] });
        assert_eq!(control(&[]), Control::default());
        for end in 0..whole.len() {
            let cut = control(&whole[..end]);
            assert!(cut.sender.is_none() || cut.sender == sender, "cut at {end}");
        }
        for len in [0, 1, HEAD - 1, whole.len() + 1, usize::MAX] {
            let mut wrong = whole.clone();
            wrong[..size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(control(&wrong), Control::default(), "{len}");
        }
    }
}
