//! One entry of the directory: what it is, whether it may command, and what it holds. Never blocks on what is no file.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlink};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use super::manifest::MAX_FILE;

/// Whose files are taken.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trust {
    /// Whether it is asked at all: we are root, and `--insecure-config` was not given.
    pub enforce: bool,
    /// Users besides root whose files are taken (`--trusted-uid`).
    pub uids: Vec<u32>,
}

/// What tells one version of a file from the next without reading it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What an entry is, links followed.
pub(super) enum Kind {
    /// Nothing: it has vanished, or is a link to nothing.
    Absent,
    /// A directory.
    Directory,
    /// A regular file.
    File(Stamp),
    /// Something that must not be opened; its name.
    Special(&'static str),
    /// It cannot be told.
    Unknown(Errno),
}

/// Why a file's bytes are not to be had.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is not there any more.
    Absent,
    /// It is larger than any process file may be.
    TooLarge,
    /// It may not be read, or is not what it was.
    Refused(String),
}

impl Stamp {
    fn of(stat: &FileStat) -> Stamp {
        Stamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// Whether a later write can be told by the stamp. Timestamps are as coarse as two seconds on some file systems:
    /// a file written twice within that may look the same.
    pub(super) fn is_settled(&self, read_at: SystemTime) -> bool {
        const COARSEST: Duration = Duration::from_secs(2);
        [self.modified, self.changed].into_iter().all(|(seconds, nanos)| {
            let since_epoch = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
            let written_at = UNIX_EPOCH.checked_add(since_epoch).unwrap_or(UNIX_EPOCH);
            // A time in the future, after a step of the clock, is as good as one in the past: the next write gets another.
            read_at.duration_since(written_at).unwrap_or_else(|error| error.duration()) >= COARSEST
        })
    }
}

/// Looks at an entry without opening it.
pub(super) fn kind_of(dir: BorrowedFd<'_>, name: &CStr) -> Kind {
    match fstatat(dir, name, AtFlags::empty()) {
        Ok(stat) => match file_type(&stat) {
            SFlag::S_IFREG => Kind::File(Stamp::of(&stat)),
            SFlag::S_IFDIR => Kind::Directory,
            other => Kind::Special(type_name(other)),
        },
        // A loop of links leads nowhere, like a link to nothing.
        Err(Errno::ENOENT | Errno::ELOOP) => Kind::Absent,
        Err(errno) => Kind::Unknown(errno),
    }
}

/// Room for the largest file, and the byte by which it is told from a larger one. Kept, since clearing it costs more
/// than reading most files does.
pub(super) fn buffer() -> Box<[u8]> {
    vec![0; MAX_FILE + 1].into_boxed_slice()
}

/// Reads a regular file of at most [`MAX_FILE`] bytes into a [`buffer`]. All checks are made on what is opened.
pub(super) fn read<'b>(
    dir: BorrowedFd<'_>,
    name: &CStr,
    trust: &Trust,
    buffer: &'b mut [u8],
) -> Result<(Stamp, &'b [u8]), ReadError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let file = match openat(dir, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::ENOENT | Errno::ELOOP) => return Err(ReadError::Absent),
        Err(errno) => return Err(ReadError::Refused(format!("cannot be opened: {}", errno.desc()))),
    };
    let stat = fstat(&file).map_err(|errno| ReadError::Refused(format!("cannot be examined: {}", errno.desc())))?;
    if file_type(&stat) != SFlag::S_IFREG {
        return Err(ReadError::Refused(format!("is {}, not a regular file", type_name(file_type(&stat)))));
    }
    trust.of_file(dir, name, &file, &stat).map_err(ReadError::Refused)?;
    Ok((Stamp::of(&stat), fill(&file, buffer)?))
}

/// Reads until the end or until the buffer is full: sizes are not to be believed, of files in /proc least of all.
fn fill<'b>(file: &OwnedFd, buffer: &'b mut [u8]) -> Result<&'b [u8], ReadError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match nix::unistd::read(file, rest) {
            Ok(0) => return Ok(&buffer[..filled]),
            Ok(count) => filled += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(ReadError::Refused(format!("cannot be read: {}", errno.desc()))),
        }
    }
    Err(ReadError::TooLarge)
}

impl Trust {
    /// Why no file in this directory may be taken, if none may.
    pub(super) fn of_directory(&self, dir: BorrowedFd<'_>) -> Result<(), String> {
        if !self.enforce {
            return Ok(());
        }
        let stat = fstat(dir).map_err(|errno| format!("its directory cannot be examined: {}", errno.desc()))?;
        self.judge("its directory", &stat, dir)
    }

    fn of_file(&self, dir: BorrowedFd<'_>, name: &CStr, file: &OwnedFd, stat: &FileStat) -> Result<(), String> {
        if !self.enforce {
            return Ok(());
        }
        self.judge("it", stat, file.as_fd())?;
        if is_link(dir, name) { self.of_target(file) } else { Ok(()) }
    }

    /// A link leads to another directory, whose writers command as well.
    fn of_target(&self, file: &OwnedFd) -> Result<(), String> {
        let unknown = |errno: Errno| format!("the directory that its link leads to cannot be told: {}", errno.desc());
        let target = readlink(format!("/proc/self/fd/{}", file.as_raw_fd()).as_str()).map_err(unknown)?;
        let parent = Path::new(&target).parent().unwrap_or(Path::new("/"));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let parent = nix::fcntl::open(parent, flags, Mode::empty()).map_err(unknown)?;
        let stat = fstat(&parent).map_err(unknown)?;
        self.judge("the directory that its link leads to", &stat, parent.as_fd())
    }

    /// Why a file would not be taken that this user writes into a directory, if it would not be.
    ///
    /// # Errors
    /// Why.
    pub fn of_writing(&self, dir: &Path, uid: u32, mode: u32) -> Result<(), String> {
        if !self.enforce {
            return Ok(());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(dir, flags, Mode::empty())
            .map_err(|errno| format!("its directory cannot be examined: {}", errno.desc()))?;
        self.of_directory(dir.as_fd())?;
        self.weigh("it", uid, mode)
    }

    fn judge(&self, what: &str, stat: &FileStat, fd: BorrowedFd<'_>) -> Result<(), String> {
        // Nobody writes to a mount that cannot be written: a ConfigMap's files are 0777 on one.
        let is_fixed = || fstatvfs(fd).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY));
        self.weigh(what, stat.st_uid, stat.st_mode).or_else(|why| if is_fixed() { Ok(()) } else { Err(why) })
    }

    fn weigh(&self, what: &str, uid: u32, mode: u32) -> Result<(), String> {
        let is_trusted = uid == 0 || self.uids.contains(&uid);
        if is_trusted && mode & 0o022 == 0 {
            return Ok(());
        }
        Err(if is_trusted {
            format!("{what} can be written by others; \"chmod go-w\" it, or give --insecure-config")
        } else {
            format!("{what} belongs to user {uid}; chown it to root, or give --trusted-uid {uid} or --insecure-config")
        })
    }
}

fn is_link(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    // What cannot be told is taken for a link: it is judged more strictly.
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_or(true, |stat| file_type(&stat) == SFlag::S_IFLNK)
}

fn file_type(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn type_name(kind: SFlag) -> &'static str {
    match kind {
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFSOCK => "a socket",
        SFlag::S_IFCHR | SFlag::S_IFBLK => "a device",
        SFlag::S_IFDIR => "a directory",
        _ => "something else",
    }
}
