//! `rlimits`: what the kernel lets one process have.

use std::fmt;

/// What is limited; `prlimit` has the same words. File locks are not among them: by that limit, which Linux does not
/// enforce, the processes of a run are told from others.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Resource {
    /// Bytes of address space.
    As,
    /// Bytes of a core file.
    Core,
    /// Seconds of processor time.
    Cpu,
    /// Bytes of data.
    Data,
    /// Bytes of a file that it writes.
    Fsize,
    /// Bytes of locked memory.
    Memlock,
    /// Bytes in message queues.
    Msgqueue,
    /// 20 less the lowest nice value.
    Nice,
    /// Open files.
    Nofile,
    /// Processes and threads of its user.
    Nproc,
    /// Bytes of resident memory; Linux does not enforce it.
    Rss,
    /// The highest real-time priority.
    Rtprio,
    /// Microseconds of real-time scheduling without a pause.
    Rttime,
    /// Pending signals.
    Sigpending,
    /// Bytes of stack.
    Stack,
}

impl Resource {
    /// Each with its word.
    pub const WORDS: [(&str, Resource); 15] = [
        ("as", Resource::As),
        ("core", Resource::Core),
        ("cpu", Resource::Cpu),
        ("data", Resource::Data),
        ("fsize", Resource::Fsize),
        ("memlock", Resource::Memlock),
        ("msgqueue", Resource::Msgqueue),
        ("nice", Resource::Nice),
        ("nofile", Resource::Nofile),
        ("nproc", Resource::Nproc),
        ("rss", Resource::Rss),
        ("rtprio", Resource::Rtprio),
        ("rttime", Resource::Rttime),
        ("sigpending", Resource::Sigpending),
        ("stack", Resource::Stack),
    ];
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Resource::WORDS.iter().find(|(_, resource)| resource == self).map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

/// A limit that warns and one that it may be raised to; [`Rlimit::UNLIMITED`] in either is none.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Rlimit {
    /// The one that is enforced.
    pub soft: u64,
    /// The one that it may be raised to.
    pub hard: u64,
}

impl Rlimit {
    /// No limit.
    pub const UNLIMITED: u64 = u64::MAX;
}

impl fmt::Display for Rlimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |limit: u64| if limit == Rlimit::UNLIMITED { "unlimited".to_string() } else { limit.to_string() };
        if self.soft == self.hard {
            f.write_str(&told(self.soft))
        } else {
            write!(f, "{}:{}", told(self.soft), told(self.hard))
        }
    }
}
