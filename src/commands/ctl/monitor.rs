//! Whether there is a monitor that would hear of it.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::error::Error;
use crate::http::SOCKET;
use crate::messages;

/// Whether a monitor of this program is at work on a directory of messages. NColony's leaves no sign.
enum Presence {
    AtWork,
    Absent,
    /// The directory may be written but not looked at.
    Unknown,
}

fn presence(dir: &Path) -> Presence {
    match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Presence::Unknown,
        Ok(_) | Err(_) if messages::is_claimed(dir) || listens(dir) => Presence::AtWork,
        Ok(_) | Err(_) => Presence::Absent,
    }
}

/// Whether somebody answers there; of file systems without locks that is the only sign.
fn listens(dir: &Path) -> bool {
    UnixStream::connect(dir.join(SOCKET)).is_ok()
}

/// An error where nobody would hear: for what only this program's monitor understands.
pub(super) fn is_there(dir: &Path) -> Result<(), Error> {
    match presence(dir) {
        Presence::AtWork | Presence::Unknown => Ok(()),
        Presence::Absent => Err(Error::NoMonitor { dir: dir.to_path_buf() }),
    }
}

/// Says on stderr that nobody is there, and what follows.
pub(super) fn note_of_absence(dir: &Path, what_follows: &str) {
    match presence(dir) {
        Presence::AtWork | Presence::Unknown => {}
        Presence::Absent => {
            super::note(&format!("note: no monitor of ncolony's takes messages in {}; {what_follows}", dir.display()));
        }
    }
}
