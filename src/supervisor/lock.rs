//! Locks that keep two monitors apart.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// How long a lock may outlive its monitor: the kernel takes a moment to end what was killed, and a run that was about
/// to execute its program has the descriptor, too.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(10);

/// Locks a file, or a directory, for this monitor alone.
///
/// # Errors
/// EWOULDBLOCK: somebody else has held it for as long. All else: there are no locks here.
pub(super) fn lock(mut file: File, patience: Duration) -> Result<Flock<File>, Errno> {
    let deadline = Instant::now() + patience;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) if Instant::now() < deadline => file,
            Err((_, errno)) => return Err(errno),
        };
        thread::sleep(RETRY);
    }
}
