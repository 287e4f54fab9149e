//! The messages directory as an open descriptor: every name is looked up in it, no link is followed, nothing blocks.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{self, FileStat, Mode, SFlag};
use nix::unistd::{self, UnlinkatFlags};

/// The longest message, in bytes.
pub(super) const LONGEST: u64 = 64 * 1024;

/// One file with one content.
///
/// The time is that of the last write and not ctime: a `chmod` after the copy, or another link removed, would make the
/// same message look like a new one, and it would be acted on twice.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Ident {
    dev: u64,
    ino: u64,
    size: i64,
    written: FileTime,
}

impl Ident {
    /// When the file was written.
    pub(super) fn written(self) -> FileTime {
        self.written
    }
}

/// Seconds and nanoseconds since 1970, as the file system has them.
pub(super) type FileTime = (i64, i64);

/// What a name in the directory stands for.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ident: Ident,
    pub(super) kind: Kind,
    /// When the file, or its name, was changed.
    pub(super) changed: FileTime,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    File,
    Link,
    /// Nothing that a message could be in; what it is.
    Foreign(&'static str),
}

/// What opening and reading a file gave.
#[derive(Debug)]
pub(super) enum Content {
    Text(Ident, Vec<u8>),
    TooLong(Ident),
    /// It has gone, or is something else by now: the next listing tells.
    Gone,
    Unreadable(io::Error),
}

/// What tells one state of a directory's list from another: each entry that comes or goes changes its time, which is
/// coarse.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct State(Ident);

impl State {
    /// That of the directory at `path`, if there is one.
    pub(super) fn of(path: &Path) -> Option<State> {
        stat::stat(path).ok().map(|stat| State(ident(&stat)))
    }
}

#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Directory, Errno> {
        let fd = fcntl::open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Directory { fd })
    }

    /// Its names, from the first; `.` and `..` among them.
    pub(super) fn names(&self) -> Result<OwningIter, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Dir::openat(&self.fd, c".", flags, Mode::empty())?.into_iter())
    }

    pub(super) fn look_up(&self, name: &CStr) -> Result<Entry, Errno> {
        let stat = stat::fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(Entry { ident: ident(&stat), kind: kind(&stat), changed: (stat.st_ctime, stat.st_ctime_nsec) })
    }

    pub(super) fn read(&self, name: &CStr) -> Content {
        match self.try_read(name) {
            Ok(content) => content,
            // ELOOP: a link has taken the name.
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO) => Content::Gone,
                Some(_) | None => Content::Unreadable(error),
            },
        }
    }

    fn try_read(&self, name: &CStr) -> io::Result<Content> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let fd = fcntl::openat(&self.fd, name, flags, Mode::empty())?;
        let stat = stat::fstat(&fd)?;
        if kind(&stat) != Kind::File {
            return Ok(Content::Gone);
        }
        let mut text = Vec::new();
        File::from(fd).take(LONGEST + 1).read_to_end(&mut text)?;
        match text.len() as u64 > LONGEST {
            true => Ok(Content::TooLong(ident(&stat))),
            false => Ok(Content::Text(ident(&stat), text)),
        }
    }

    pub(super) fn delete(&self, name: &CStr) -> Result<(), Errno> {
        unistd::unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)
    }

    pub(super) fn rename(&self, from: &CStr, to: &CStr) -> Result<(), Errno> {
        fcntl::renameat(&self.fd, from, &self.fd, to)
    }
}

fn ident(stat: &FileStat) -> Ident {
    Ident { dev: stat.st_dev, ino: stat.st_ino, size: stat.st_size, written: (stat.st_mtime, stat.st_mtime_nsec) }
}

fn kind(stat: &FileStat) -> Kind {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFLNK => Kind::Link,
        SFlag::S_IFDIR => Kind::Foreign("a directory"),
        SFlag::S_IFIFO => Kind::Foreign("a FIFO"),
        SFlag::S_IFSOCK => Kind::Foreign("a socket"),
        _ => Kind::Foreign("a device"),
    }
}

/// A name as a log may show it.
pub(super) fn shown(name: &CStr) -> String {
    let mut text = String::new();
    for c in name.to_string_lossy().chars() {
        match c.is_control() {
            true => text.extend(c.escape_default()),
            false => text.push(c),
        }
    }
    text
}

/// Whether a name is nobody's concern: hidden, being written, or an editor's.
pub(super) fn is_ignored(name: &CStr) -> bool {
    let name = name.to_bytes();
    let endings: [&[u8]; 5] = [b".new", b"~", b".bak", b".swp", b".tmp"];
    name.starts_with(b".") || endings.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{Content, Directory};

    #[test]
    fn what_became_a_link_or_a_fifo_after_the_look_is_not_read() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("file"), "text").expect("a file");
        symlink("file", dir.path().join("link")).expect("a link");
        nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        let directory = Directory::open(dir.path()).expect("the directory");
        assert!(matches!(directory.read(c"file"), Content::Text(_, text) if text == b"text"));
        for name in [c"link", c"fifo", c"nothing"] {
            assert!(matches!(directory.read(name), Content::Gone), "{name:?}");
        }
    }
}
