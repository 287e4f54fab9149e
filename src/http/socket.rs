//! The Unix socket in the messages directory: its owner's alone, and in place of whatever a dead monitor left there.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::O_PATH;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{AccessFlags, Uid, access, getpid};
use tokio::net::{UnixListener, UnixStream};

/// Its name in the messages directory. It starts with a dot, so that no monitor takes it for a message.
pub const SOCKET: &str = ".ncolony.sock";

/// How often it is looked whether it is still there.
pub(super) const LOOK: Duration = Duration::from_secs(2);
/// So many may wait to be accepted.
const BACKLOG: i32 = 64;

/// The socket, and what is done to have it.
pub struct Socket {
    dir: PathBuf,
    listener: Option<UnixListener>,
    /// Which file it is.
    ident: Option<(u64, u64)>,
    /// What was last said to be wrong.
    told: Option<String>,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Peer {
    /// Root, or who the monitor is.
    Trusted,
    /// Somebody else.
    Stranger(Option<u32>),
}

impl Socket {
    /// Listens in this directory. Where that cannot be, the log says so, and it is tried again and again. To be called where
    /// there is a runtime, by the only monitor that takes the directory's messages.
    pub fn open(dir: &Path) -> Socket {
        let mut socket = Socket { dir: dir.to_path_buf(), listener: None, ident: None, told: None };
        socket.renew();
        socket
    }

    /// Somebody may have removed it, or the directory been made anew.
    pub(super) fn renew(&mut self) {
        let path = self.dir.join(SOCKET);
        if self.listener.is_some() && identity(&path) == self.ident {
            return;
        }
        self.listener = None;
        match bound(&self.dir).and_then(|socket| UnixListener::from_std(socket.into())) {
            Ok(listener) => {
                self.listener = Some(listener);
                self.ident = identity(&path);
                self.told = None;
            }
            Err(error) => {
                let told = Some(error.to_string());
                // Of a directory that is missing, full or not to be written it is said for messages and this in one line.
                let is_told_of = error.kind() == io::ErrorKind::StorageFull;
                if self.told != told && !is_told_of && access(&self.dir, AccessFlags::W_OK).is_ok() {
                    tracing::warn!(%error, "cannot listen at {}: ctl get and its like cannot ask", path.display());
                }
                self.told = told;
            }
        }
    }

    /// The next connection; for ever if there is nothing to connect to.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        match &self.listener {
            Some(listener) => listener.accept().await.map(|(stream, _)| stream),
            None => std::future::pending().await,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let path = self.dir.join(SOCKET);
        if self.ident.is_some() && identity(&path) == self.ident {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whose connection it is.
pub(super) fn peer(stream: &UnixStream) -> Peer {
    let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
    if uid.is_some_and(|uid| uid == 0 || uid == Uid::effective().as_raw()) {
        Peer::Trusted
    } else {
        Peer::Stranger(uid)
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// A socket of its final name that is listened to. It appears whole, with its mode, in place of a dead one.
fn bound(dir: &Path) -> io::Result<OwnedFd> {
    let opened = File::options().read(true).custom_flags(O_PATH).open(dir)?;
    expect_free(dir, &opened)?;
    let beside = format!("{SOCKET}.{}.new", getpid());
    let ours = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    // Before it has a name: Linux gives that this mode, less the umask.
    fchmod(&ours, Mode::from_bits_truncate(0o600))?;
    let _ = fs::remove_file(dir.join(&beside));
    bind(ours.as_raw_fd(), &address(dir, &opened, &beside)?)?;
    let named = listen(&ours, Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN))
        .map_err(io::Error::from)
        .and_then(|()| fs::rename(dir.join(&beside), dir.join(SOCKET)));
    if named.is_err() {
        let _ = fs::remove_file(dir.join(&beside));
    }
    named.map(|()| ours)
}

/// A file that is no socket is somebody's, and so is a socket that is listened to.
fn expect_free(dir: &Path, opened: &File) -> io::Result<()> {
    match fs::symlink_metadata(dir.join(SOCKET)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(io::Error::other("there is something else of this name, which is left alone"));
        }
        Ok(_) => {}
    }
    let probe = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    match connect(probe.as_raw_fd(), &address(dir, opened, SOCKET)?) {
        Ok(()) | Err(Errno::EAGAIN) => Err(io::Error::other("another monitor listens there")),
        Err(_) => Ok(()),
    }
}

/// The address of a name in a directory. A path of more than 107 bytes is none: then the directory's descriptor stands for it.
fn address(dir: &Path, opened: &File, name: &str) -> io::Result<UnixAddr> {
    let path = dir.join(name);
    let by_descriptor = || UnixAddr::new(format!("/proc/self/fd/{}/{name}", opened.as_raw_fd()).as_str());
    Ok(UnixAddr::new(&path).or_else(|_| by_descriptor())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::{SOCKET, Socket};

    #[tokio::test]
    async fn it_is_its_owners_alone_and_goes_with_the_monitor() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(SOCKET);
        let socket = Socket::open(dir.path());
        let meta = fs::symlink_metadata(&path).expect("it is there");
        assert!(meta.file_type().is_socket());
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1, "nothing is left beside");
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_dead_one_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(SOCKET);
        drop(UnixListener::bind(&path).expect("a socket"));
        let mut socket = Socket::open(dir.path());
        let second = Socket::open(dir.path());
        assert!(second.listener.is_none());
        drop(second);
        UnixStream::connect(&path).expect("the first one's is still there");
        fs::remove_file(&path).expect("it is there");
        socket.renew();
        UnixStream::connect(&path).expect("it is there again");
    }

    #[tokio::test]
    async fn a_file_of_that_name_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(SOCKET), "mine").expect("a file");
        drop(Socket::open(dir.path()));
        assert_eq!(fs::read_to_string(dir.path().join(SOCKET)).expect("still there"), "mine");
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_for_an_address_is_none_for_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let deep = dir.path().join("d".repeat(120));
        fs::create_dir(&deep).expect("a directory");
        let socket = Socket::open(&deep);
        assert!(socket.listener.is_some());
        assert!(deep.join(SOCKET).exists());
    }
}
