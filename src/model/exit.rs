use std::fmt;
use std::num::NonZeroU64;

use super::nearest;

/// One run of one process. Never reused, unlike a pid.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Incarnation(NonZeroU64);

impl Incarnation {
    /// The run with this number; the first is 1.
    pub const fn new(number: NonZeroU64) -> Self {
        Incarnation(number)
    }

    /// The run's number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One process that is started for a run beside its main one. Never reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HelperId(NonZeroU64);

impl HelperId {
    /// The helper with this number; the first is 1.
    pub const fn new(number: NonZeroU64) -> Self {
        HelperId(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// A signal, 1 to 64. A plain number, since real-time signals have no name in any enum that we know.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Signal(u8);

/// Linux's names on x86-64 and arm64; index + 1 is the number.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

impl Signal {
    /// SIGHUP
    pub const HUP: Signal = Signal(1);
    /// SIGINT
    pub const INT: Signal = Signal(2);
    /// SIGQUIT
    pub const QUIT: Signal = Signal(3);
    /// SIGALRM
    pub const ALRM: Signal = Signal(14);
    /// SIGCHLD
    pub const CHLD: Signal = Signal(17);
    /// SIGSTOP
    pub const STOP: Signal = Signal(19);
    /// SIGTSTP
    pub const TSTP: Signal = Signal(20);
    /// SIGTTIN
    pub const TTIN: Signal = Signal(21);
    /// SIGTTOU
    pub const TTOU: Signal = Signal(22);
    /// SIGKILL
    pub const KILL: Signal = Signal(9);
    /// SIGTERM
    pub const TERM: Signal = Signal(15);
    /// SIGCONT
    pub const CONT: Signal = Signal(18);

    /// The signal with this number, if there is one.
    pub fn from_raw(number: i32) -> Option<Signal> {
        u8::try_from(number).ok().filter(|n| (1..=64).contains(n)).map(Signal)
    }

    /// Parses `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`, in any case.
    pub fn parse(text: &str) -> Option<Signal> {
        let upper = text.trim().to_ascii_uppercase();
        if let Ok(number) = upper.parse() {
            return Signal::from_raw(number);
        }
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(index) = NAMES.iter().position(|name| *name == bare) {
            return Signal::from_raw(index as i32 + 1);
        }
        // 34 and 64, as every libc for Linux gives them to programs.
        let realtime = match (bare.strip_prefix("RTMIN"), bare.strip_prefix("RTMAX")) {
            (Some(""), _) => Some(34),
            (Some(rest), _) => rest.strip_prefix('+').and_then(|n| n.parse::<i32>().ok()).map(|n| 34 + n),
            (_, Some("")) => Some(64),
            (_, Some(rest)) => rest.strip_prefix('-').and_then(|n| n.parse::<i32>().ok()).map(|n| 64 - n),
            (None, None) => None,
        };
        realtime.filter(|n| (34..=64).contains(n)).and_then(Signal::from_raw)
    }

    /// The signal whose name `text` is most likely a misspelling of.
    pub fn misspelt(text: &str) -> Option<Signal> {
        let upper = text.trim().to_ascii_uppercase();
        nearest(upper.strip_prefix("SIG").unwrap_or(&upper), NAMES).and_then(Signal::parse)
    }

    /// The signal's number.
    pub const fn as_raw(self) -> i32 {
        self.0 as i32
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (NAMES.get(usize::from(self.0) - 1), self.0) {
            (Some(name), _) => write!(f, "SIG{name}"),
            (None, n @ 34..) => write!(f, "SIGRTMIN+{}", n - 34),
            (None, n) => write!(f, "signal {n}"),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a run ended, as `wait` tells it; code and signal are never folded into one number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// It exited with this code, 0 to 255.
    Code(u8),
    /// A signal ended it.
    Killed {
        /// Which one.
        signal: Signal,
        /// Whether the kernel wrote a core file.
        core_dumped: bool,
    },
    /// It ended while nobody of ours could wait for it: it was started by a monitor before this one, or somebody else has
    /// collected its status.
    Unknown,
}

impl Exit {
    /// Whether it exited with code 0.
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The one number that shells make of it: the code, or 128 + the signal's number; 255 when unknown.
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => i32::from(code),
            Exit::Killed { signal, .. } => 128 + signal.as_raw(),
            Exit::Unknown => 255,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Killed { signal, core_dumped: false } => write!(f, "killed by {signal}"),
            Exit::Killed { signal, core_dumped: true } => write!(f, "killed by {signal}, core dumped"),
            Exit::Unknown => f.write_str("ended unobserved"),
        }
    }
}

/// The step of a start that failed, in the order in which they are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// The pipes for its output, or /dev/null for its input.
    Output,
    /// The socket at which it says what it has to say.
    Notify,
    /// Looking up the user or its groups.
    User,
    /// Reading the files of its environment, and putting it together.
    Environment,
    /// Finding the program in the child's PATH.
    Program,
    /// Making the new process.
    Fork,
    /// A session of its own.
    Session,
    /// Making and joining the cgroup that keeps its limits.
    Cgroup,
    /// Putting descriptors 0, 1 and 2 in place.
    Descriptors,
    /// Writing oom_score_adj.
    OomScore,
    /// prlimit
    Rlimits,
    /// setpriority
    Nice,
    /// umask
    Umask,
    /// Dropping capabilities from the bounding set.
    Bounding,
    /// setgroups
    Groups,
    /// setresgid
    Gid,
    /// setresuid
    Uid,
    /// Looking whether the identity is the one asked for.
    Verify,
    /// capset and the ambient set.
    Capabilities,
    /// PR_SET_NO_NEW_PRIVS
    NoNewPrivs,
    /// Looking whether the capabilities are the ones asked for.
    VerifyRights,
    /// chdir
    Directory,
    /// execve
    Exec,
}

/// A start that failed: which step, the kernel's reason, and what it was done to. Plain data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StartError {
    /// The step that failed.
    pub step: Step,
    /// The errno, where the kernel refused; 0 where we did.
    pub errno: i32,
    /// A sentence's end that says what failed, such as `user "www" not found`.
    pub what: String,
}

impl StartError {
    /// Whether waiting a little is likely to help: out of processes, descriptors or memory, or a program that is being
    /// written (ETXTBSY). Such a start is tried again within seconds, however often it failed.
    pub fn is_transient(&self) -> bool {
        // EINTR, EAGAIN, ENOMEM, ENFILE, EMFILE, ETXTBSY
        matches!(self.errno, 4 | 11 | 12 | 23 | 24 | 26)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for StartError {}

#[cfg(test)]
mod tests {
    use super::{Exit, Signal};

    #[test]
    fn signals_are_parsed_as_kill_and_systemd_write_them() {
        let rows: &[(&str, Option<i32>)] = &[
            ("TERM", Some(15)),
            ("SIGTERM", Some(15)),
            ("sigquit", Some(3)),
            ("15", Some(15)),
            ("64", Some(64)),
            ("0", None),
            ("65", None),
            ("-1", None),
            ("SIGRTMIN", Some(34)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMAX-1", Some(63)),
            ("RTMIN+31", None),
            ("RTMAX-31", None),
            ("SIGNOPE", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Signal::parse(text).map(Signal::as_raw), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_misspelt_signal_is_recognised() {
        let rows =
            [("HPU", Some(1)), ("sigtrem", Some(15)), ("USR3", Some(10)), ("Q", None), ("HELLO", None), ("", None)];
        for (text, expected) in rows {
            assert_eq!(Signal::misspelt(text).map(Signal::as_raw), expected, "{text:?}");
        }
    }

    #[test]
    fn every_signal_prints_a_name_that_parses_back() {
        for number in (1..=31).chain(34..=64) {
            let signal = Signal::from_raw(number).expect("1..=64 are signals");
            assert_eq!(Signal::parse(&signal.to_string()), Some(signal), "{signal}");
        }
    }

    #[test]
    fn a_signal_is_128_and_its_number_only_for_shells() {
        let killed = Exit::Killed { signal: Signal::KILL, core_dumped: false };
        assert_eq!(killed.shell_code(), 137);
        assert_ne!(killed, Exit::Code(137));
    }
}
