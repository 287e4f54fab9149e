//! A mark that a process keeps when it clears its environment and leaves its session: the soft limit of "file locks",
//! which Linux hands down by fork and exec, and has not enforced since 2.4. Only the soft limit is used, so that a
//! monitor below this one can set its own.

use libc::pid_t;
use nix::sys::resource::{Resource, getrlimit};

use crate::model::Incarnation;

/// Limits that name runs.
pub(super) struct Brands {
    /// The hard limit, which stays as it is; `None`: it leaves no room.
    hard: Option<u64>,
    colony: u64,
}

/// The lower bits are the run's number, those above tell colonies apart; the top one is free, since all ones would mean
/// "no limit".
const RUN_BITS: u32 = 35;
const COLONY_BITS: u32 = 28;

impl Brands {
    pub(super) fn new(colony: u64) -> Brands {
        let colony = (colony & ((1 << COLONY_BITS) - 1)) << RUN_BITS;
        let hard = getrlimit(Resource::RLIMIT_LOCKS).ok().map(|(_, hard)| hard);
        Brands { hard: hard.filter(|hard| *hard >= colony | ((1 << RUN_BITS) - 1)), colony }
    }

    /// The soft and the hard limit for a run.
    pub(super) fn of(&self, run: Incarnation) -> Option<(u64, u64)> {
        let hard = self.hard?;
        (run.get() >> RUN_BITS == 0).then_some((self.colony | run.get(), hard))
    }

    /// The number of the run whose limit a process has.
    pub(super) fn run_of(&self, pid: pid_t) -> Option<u64> {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
        let run = soft_limit(&limits)? ^ self.colony;
        (run != 0 && run >> RUN_BITS == 0).then_some(run)
    }
}

fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks "))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::soft_limit;

    #[test]
    fn the_soft_limit_of_file_locks_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max cpu time              unlimited            unlimited            seconds   \n\
                      Max file locks            12345                unlimited            locks     \n";
        assert_eq!(soft_limit(limits), Some(12345));
        assert_eq!(soft_limit(&limits.replace("12345    ", "unlimited")), None);
        assert_eq!(soft_limit("nonsense"), None);
    }
}
