//! The sockets of all runs that have one.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{Shutdown, UnixAddr, bind, setsockopt, shutdown, sockopt};

use super::closing::{Closing, Descriptors};
use super::message::{Refused, Said, parse};
use super::receive::{Received, Room, Sender};
use crate::model::{Incarnation, Moment};

/// Where all runs say what they have to say.
pub struct Sockets {
    epoll: Epoll,
    /// Where the sockets get their names; `None` where they cannot.
    dir: Option<PathBuf>,
    runs: HashMap<Incarnation, Socket>,
    /// Those that have said a lot, and are not listened to before that moment; the earliest first.
    resting: VecDeque<(Moment, Incarnation)>,
    room: Room,
}

/// Whose process has to find a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// The monitor's own user's.
    Ours,
    /// Perhaps another's.
    Another,
}

/// One datagram.
#[derive(Debug)]
pub struct Heard {
    /// At whose socket it came.
    pub run: Incarnation,
    /// Who has sent it.
    pub sender: Option<Sender>,
    /// What it says.
    pub said: Result<Said, Refused>,
    /// To be dropped when it has been handled.
    pub descriptors: Descriptors,
}

/// What was said since the last look.
#[derive(Debug)]
pub struct Drained {
    /// In the order in which it was said, run by run.
    pub heard: Vec<Heard>,
    /// Whether there may be more to hear at once. If not, the descriptor will become readable when there is.
    pub more: bool,
}

struct Socket {
    socket: UnixDatagram,
    path: Option<PathBuf>,
    closing: Arc<Closing>,
    /// Since when, and how many datagrams were heard since then.
    lately: (Moment, usize),
}

/// The most sockets that are listened to in one [`Sockets::drain`].
const MOST_TURNS: usize = 16;
/// The most datagrams of one run in so long. Who says more is not listened to for as long: then the kernel makes it wait.
const MOST_DATAGRAMS: usize = 64;
const WHILE: Duration = Duration::from_millis(50);
/// The most descriptors of one run that are kept because they cannot be closed; with so many it is not listened to.
const MOST_UNCLOSED: usize = 512;
/// The most datagrams that are looked through at the end of a run, or of its main process. The kernel keeps as many as
/// net.unix.max_dgram_qlen says: 10, or 512 on many a system.
const MOST_LAST: usize = 4096;

impl Sockets {
    /// None yet; they will get their names in this directory, which is made when it is wanted.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn new(dir: &Path) -> io::Result<Sockets> {
        remove_sockets(dir);
        Ok(Sockets {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            dir: std::path::absolute(dir).ok(),
            runs: HashMap::new(),
            resting: VecDeque::new(),
            room: Room::new(),
        })
    }

    /// Makes the socket of a run that is to be started, and says what it is called: a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// When the kernel refuses, for the want of descriptors, say.
    pub fn open(&mut self, run: Incarnation, owner: Owner) -> io::Result<String> {
        let (socket, path, name) = match self.named(run, owner) {
            Some((socket, path, name)) => (socket, Some(path), name),
            None => abstract_socket().map(|(socket, name)| (socket, None, name))?,
        };
        let socket = Socket { socket, path, closing: Arc::default(), lately: (Moment::ZERO, 0) };
        socket.socket.set_nonblocking(true)?;
        setsockopt(&socket.socket, sockopt::PassCred, &true)?;
        self.epoll.add(&socket.socket, watched(run))?;
        self.runs.insert(run, socket);
        Ok(name)
    }

    /// A socket with a path, if it can have one that its user can reach.
    fn named(&self, run: Incarnation, owner: Owner) -> Option<(UnixDatagram, PathBuf, String)> {
        let dir = self.dir.as_ref()?;
        let path = dir.join(run.to_string());
        let name = path.to_str()?.to_string();
        // Anybody may go through, and nobody may look around. Where it is there already, or cannot be made, bind will tell.
        let _ = DirBuilder::new().recursive(true).mode(0o711).create(dir);
        let _ = fs::remove_file(&path);
        if owner == Owner::Another && !is_open_to_all(dir) {
            return None;
        }
        let socket = UnixDatagram::bind(&path).ok()?;
        match fs::set_permissions(&path, fs::Permissions::from_mode(0o666)) {
            Ok(()) => Some((socket, path, name)),
            Err(_) => {
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Hears what was said since the last time, of each run but so much. Never waits. To be called when the descriptor is
    /// readable, and at [`Sockets::wake_at`].
    pub fn drain(&mut self, now: Moment) -> Drained {
        self.wake(now);
        let mut events = [EpollEvent::empty(); MOST_TURNS];
        let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let mut heard = Vec::new();
        for event in &events[..ready] {
            let Some(run) = std::num::NonZeroU64::new(event.data()).map(Incarnation::new) else { continue };
            self.hear(run, now, &mut heard);
        }
        Drained { heard, more: ready == MOST_TURNS }
    }

    fn hear(&mut self, run: Incarnation, now: Moment, heard: &mut Vec<Heard>) {
        let Some(socket) = self.runs.get_mut(&run) else { return };
        if now.since(socket.lately.0) >= WHILE {
            socket.lately = (now, 0);
        }
        while socket.lately.1 < MOST_DATAGRAMS && socket.closing.left() < MOST_UNCLOSED {
            match self.room.receive(&socket.socket) {
                Ok(received) => heard.push(understood(run, received, &socket.closing)),
                Err(_) => return,
            }
            socket.lately.1 += 1;
        }
        if self.epoll.modify(&socket.socket, &mut EpollEvent::new(EpollFlags::empty(), run.get())).is_ok() {
            self.resting.push_back((now + WHILE, run));
        }
    }

    /// Hears all that a run has said by now: at the end of its main process, say.
    pub fn drain_run(&mut self, run: Incarnation) -> Vec<Heard> {
        let Some(socket) = self.runs.get(&run) else { return Vec::new() };
        let received = (0..MOST_LAST)
            .map_while(|_| Some(understood(run, self.room.receive(&socket.socket).ok()?, &socket.closing)));
        received.collect()
    }

    fn wake(&mut self, now: Moment) {
        while let Some((_, run)) = self.resting.front().copied().filter(|(until, _)| *until <= now) {
            self.resting.pop_front();
            if let Some(socket) = self.runs.get(&run) {
                // It cannot fail: it is watched already, for nothing.
                let _ = self.epoll.modify(&socket.socket, &mut watched(run));
            }
        }
    }

    /// When to listen again, whatever is heard.
    pub fn wake_at(&self) -> Option<Moment> {
        self.resting.front().map(|(until, _)| *until)
    }

    /// Closes the socket of a run that is over. What was said last is not heard.
    pub fn close(&mut self, run: Incarnation) {
        let Some(Socket { socket, path, closing, .. }) = self.runs.remove(&run) else { return };
        path.map(fs::remove_file);
        // With descriptors still in it, it could take long to close.
        let _ = shutdown(socket.as_raw_fd(), Shutdown::Read);
        for _ in 0..MOST_LAST {
            match self.room.receive(&socket) {
                Ok(received) => drop(Descriptors::new(received.descriptors, &closing)),
                Err(_) => break,
            }
        }
    }
}

impl AsFd for Sockets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// What a monitor before this one has left there.
fn remove_sockets(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn watched(run: Incarnation) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN, run.get())
}

/// The kernel finds a name that nobody has.
fn abstract_socket() -> io::Result<(UnixDatagram, String)> {
    let socket = UnixDatagram::unbound()?;
    bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
    let address = socket.local_addr()?;
    // Five hexadecimal digits.
    let name = address.as_abstract_name().and_then(|name| std::str::from_utf8(name).ok());
    let name = name.ok_or_else(|| io::Error::other("the kernel gave it no name"))?;
    Ok((socket, format!("@{name}")))
}

/// Whether every user may go through this directory and all above it.
fn is_open_to_all(dir: &Path) -> bool {
    let may_pass = |dir: &Path| fs::metadata(dir).is_ok_and(|metadata| metadata.mode() & 0o001 != 0);
    fs::canonicalize(dir).is_ok_and(|dir| dir.ancestors().all(may_pass))
}

fn understood(run: Incarnation, received: Received<'_>, closing: &Arc<Closing>) -> Heard {
    let Received { text, is_whole, sender, descriptors, has_all } = received;
    let descriptors = Descriptors::new(descriptors, closing);
    let said = match (is_whole, has_all, sender) {
        (false, _, _) => Err(Refused::TooLong),
        (true, false, _) => Err(Refused::Descriptors),
        (true, true, None) => Err(Refused::Anonymous),
        (true, true, Some(_)) => parse(text, descriptors.len()),
    };
    Heard { run, sender, said, descriptors }
}
