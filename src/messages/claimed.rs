use std::fs::File;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Whether a monitor of this program takes the messages in there: it locks the directory, which NColony's does not.
pub fn is_claimed(dir: &Path) -> bool {
    let locked = File::open(dir).map(|dir| Flock::lock(dir, FlockArg::LockSharedNonblock));
    matches!(locked, Ok(Err((_, Errno::EWOULDBLOCK))))
}
