use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::model::{Name, Wall};

/// How files are looked at: `std::fs::metadata`, or what stands for it where a file system that hangs is wanted.
pub type Stat = fn(&Path) -> io::Result<Metadata>;

/// What tells one state of a file from another. Whether a time is old or in the future does not matter, only that it
/// is another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    dev: u64,
    ino: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

/// What one look found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Found {
    File { mark: Mark, mtime: Wall },
    Missing(PathBuf),
    Refused(String),
}

/// Where a heartbeat's file is looked for.
#[derive(Clone, Debug)]
pub(super) struct Place {
    file: PathBuf,
    name: Name,
}

impl Place {
    pub(super) fn new(name: &Name, file: &Path) -> Place {
        Place { file: file.to_path_buf(), name: name.clone() }
    }

    pub(super) fn is_of(&self, file: &Path) -> bool {
        self.file == file
    }

    /// Whether a look at this place may be expected to hang where one at `other` does.
    pub(super) fn is_near(&self, other: &Place) -> bool {
        self.file.parent() == other.file.parent()
    }

    /// Looks: at the file, or, where it is a directory, at the file of the process's name in it. Links are followed.
    pub(super) fn look(&self, stat: Stat) -> Found {
        let inner = self.file.join(self.name.as_str());
        match stat(&self.file) {
            Ok(metadata) if metadata.is_dir() => found(&inner, stat(&inner)),
            outer => found(&self.file, outer),
        }
    }
}

fn found(path: &Path, result: io::Result<Metadata>) -> Found {
    match result {
        Ok(metadata) => match refusal(&metadata) {
            None => {
                Found::File { mark: mark(&metadata), mtime: metadata.modified().map(Wall::from).unwrap_or_default() }
            }
            Some(kind) => Found::Refused(format!("{} is {kind}, not a file", path.display())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Missing(path.to_path_buf()),
        Err(error) => Found::Refused(format!("cannot look at {}: {error}", path.display())),
    }
}

/// What it is, if it is no file that can be touched.
fn refusal(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a FIFO")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

fn mark(metadata: &Metadata) -> Mark {
    Mark {
        dev: metadata.dev(),
        ino: metadata.ino(),
        size: metadata.size(),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
        ctime: (metadata.ctime(), metadata.ctime_nsec()),
    }
}
