//! What the processes of a run use.

/// Processor time, in microseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CpuTime {
    /// In programs.
    pub user: u64,
    /// In the kernel, for them.
    pub system: u64,
}

/// What a process uses, with all that it has started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// What its runs have used, since it was added. It never becomes less.
    pub cpu: CpuTime,
    /// What its present run has; `None` while nothing is known of that.
    pub footprint: Option<Footprint>,
}

/// What the processes of a run have together, at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Footprint {
    /// Bytes of memory that are resident; what several share counts for each of them.
    pub resident: u64,
    /// Bytes of memory that the kernel counts for it and cannot simply take back; of a run with a cgroup of its own.
    pub working_set: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Open descriptors; `None` where they cannot be seen.
    pub open_fds: Option<u64>,
}

impl CpuTime {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: CpuTime) -> CpuTime {
        CpuTime { user: self.user.saturating_add(other.user), system: self.system.saturating_add(other.system) }
    }

    /// What this is more than the other; nothing where it is less.
    #[must_use]
    pub fn minus(self, other: CpuTime) -> CpuTime {
        CpuTime { user: self.user.saturating_sub(other.user), system: self.system.saturating_sub(other.system) }
    }

    /// The less of both, in each mode.
    #[must_use]
    pub fn min(self, other: CpuTime) -> CpuTime {
        CpuTime { user: self.user.min(other.user), system: self.system.min(other.system) }
    }
}
