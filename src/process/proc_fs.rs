//! What /proc tells of processes. Where it does not, the answer is "nothing known", never a guess.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::sync::LazyLock;

use libc::pid_t;
use nix::unistd::{SysconfVar, sysconf};

use crate::model::CpuTime;

/// Clock ticks are hundredths of a second in all that /proc shows.
const TICK_MICROS: u64 = 10_000;

/// What `/proc/PID/stat` tells of a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stat {
    /// R, S, D, Z, T ...
    pub state: u8,
    pub parent: pid_t,
    pub group: pid_t,
    pub session: pid_t,
    /// What all of its threads have used.
    pub cpu: CpuTime,
    /// The same of the children that it has waited for, and of theirs.
    pub waited: CpuTime,
    pub threads: u32,
    /// Clock ticks since boot; with the pid it names a process for good.
    pub start: u64,
    /// Pages of memory.
    pub resident: u64,
}

impl Stat {
    /// Whether it is more than a zombie. A main thread that has ended looks like one while other threads run on.
    pub(super) fn lives(&self) -> bool {
        match self.state {
            b'X' | b'x' => false,
            b'Z' => self.threads > 1,
            _ => true,
        }
    }
}

/// Whether /proc tells of this PID namespace. It may be missing, or be that of the host: then its numbers are others'.
pub(super) fn is_ours() -> bool {
    static IS_OURS: LazyLock<bool> = LazyLock::new(|| {
        let us = std::fs::read_link("/proc/self");
        us.is_ok_and(|us| us.to_str() == Some(&std::process::id().to_string()))
    });
    *IS_OURS
}

pub(super) fn stat(pid: pid_t) -> Option<Stat> {
    // Longer than any such line; the kernel gives it whole.
    let mut line = [0; 2048];
    let length = File::open(of(pid, "stat")?).ok()?.read(&mut line).ok()?;
    parse_stat(&line[..length])
}

fn of(pid: pid_t, file: &str) -> Option<String> {
    is_ours().then(|| format!("/proc/{pid}/{file}"))
}

/// The second field is the program's name in parentheses, and may hold anything, parentheses included: the fields are
/// counted from the last one.
pub(super) fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let after = bytes.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(bytes.get(after + 1..)?).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let mut id = || fields.next()?.parse().ok();
    let (parent, group, session) = (id()?, id()?, id()?);
    // Terminal, its group, flags, four kinds of faults; then priority, nice; then a timer; then the virtual size.
    let mut number = |passed: usize| fields.nth(passed)?.parse::<u64>().ok();
    let mut ticks = |passed| number(passed).map(|ticks| ticks.saturating_mul(TICK_MICROS));
    let cpu = CpuTime { user: ticks(7)?, system: ticks(0)? };
    let waited = CpuTime { user: ticks(0)?, system: ticks(0)? };
    let threads = u32::try_from(number(2)?).ok()?;
    let (start, resident) = (number(1)?, number(1)?);
    Some(Stat { state, parent, group, session, cpu, waited, threads, start, resident })
}

/// A process's environment, as it was when the program was executed. `None` as well where the kernel does not let us
/// look.
pub(super) fn environ(pid: pid_t) -> Option<Vec<u8>> {
    let mut environ = Vec::new();
    // The kernel's limit for arguments and environment together is 6 MiB; a process may show more by prctl.
    File::open(of(pid, "environ")?).ok()?.take(8 << 20).read_to_end(&mut environ).ok()?;
    Some(environ)
}

/// A variable in an environment.
pub(super) fn variable(environ: &[u8], name: &str) -> Option<String> {
    environ
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .and_then(|value| String::from_utf8(value.to_vec()).ok())
}

/// What `/proc/PID/statm` tells of a process's memory, in pages; the whole line, so that two that share one memory are
/// equal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Resident {
    pub size: u64,
    pub all: u64,
    /// Of all: files, and what is meant to be shared.
    pub shared: u64,
    pub data: u64,
}

pub(super) fn resident(pid: pid_t) -> Option<Resident> {
    parse_statm(&std::fs::read_to_string(of(pid, "statm")?).ok()?)
}

fn parse_statm(line: &str) -> Option<Resident> {
    let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    let [size, all, shared, _text, _lib, data, ..] = fields[..] else { return None };
    Some(Resident { size, all, shared, data })
}

/// The bytes of a process's memory, of what it shares with others its part. `None` where the kernel does not let us look.
pub(super) fn proportional(pid: pid_t) -> Option<u64> {
    parse_pss(&std::fs::read_to_string(of(pid, "smaps_rollup")?).ok()?)
}

fn parse_pss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// How open descriptors are counted here.
pub(super) struct Fds {
    /// The size of the directory is their number since Linux 6.2, and 0 before.
    is_size: bool,
}

impl Fds {
    pub(super) fn find() -> Fds {
        Fds { is_size: std::fs::metadata("/proc/self/fd").is_ok_and(|dir| dir.len() > 0) }
    }

    /// How many a process has open; `None` where that cannot be seen, or it has just ended.
    pub(super) fn of(&self, pid: pid_t) -> Option<u64> {
        let dir = of(pid, "fd")?;
        match self.is_size {
            true => Some(std::fs::metadata(dir).ok()?.len()),
            false => Some(std::fs::read_dir(dir).ok()?.count() as u64),
        }
    }
}

pub(super) fn page_size() -> u64 {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

/// All pids.
pub(super) fn all() -> Vec<pid_t> {
    let entries = is_ours().then(|| std::fs::read_dir("/proc").ok()).flatten();
    entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The children of a process, of all its threads. Those of a process that ends meanwhile may be missing.
pub(super) fn children(pid: pid_t) -> Vec<pid_t> {
    let tasks = of(pid, "task").and_then(|path| std::fs::read_dir(path).ok());
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| std::fs::read(task.path().join("children")).ok())
        .flat_map(|list| parse_pids(&list))
        .collect()
}

/// All that descend from these; the given ones are not in the answer.
pub(super) fn descendants(roots: &[pid_t]) -> Vec<pid_t> {
    let mut seen: HashSet<pid_t> = roots.iter().copied().collect();
    let (mut found, mut next) = (Vec::new(), roots.to_vec());
    while let Some(pid) = next.pop() {
        let new: Vec<pid_t> = children(pid).into_iter().filter(|child| seen.insert(*child)).collect();
        found.extend(&new);
        next.extend(new);
    }
    found
}

/// Whether a process descends from one of these.
pub(super) fn is_below(pid: pid_t, roots: &HashSet<pid_t>) -> bool {
    let parents = std::iter::successors(stat(pid).map(|stat| stat.parent), |pid| stat(*pid).map(|stat| stat.parent));
    // A chain that turns in a circle is one that changed while we looked.
    parents.take(LONGEST_LINE).any(|parent| roots.contains(&parent))
}

/// The child of `ancestor` that a process is, or descends from. The line is looked at from below, and who ends meanwhile
/// passes its children on: then it is begun again.
pub(super) fn line_below(ancestor: pid_t, pid: pid_t) -> Option<pid_t> {
    (0..LOOKS).find_map(|_| {
        let mut child = pid;
        for _ in 0..LONGEST_LINE {
            match stat(child)?.parent {
                parent if parent == ancestor => return Some(child),
                // It is nobody's, or of another PID namespace.
                0 => return None,
                parent => child = parent,
            }
        }
        None
    })
}

/// How often a line is looked at that is broken.
const LOOKS: usize = 4;

/// No line of ancestors is longer: there are not more pids.
const LONGEST_LINE: usize = 1 << 22;

/// The list of this process's main thread's children, kept open.
///
/// The kernel gives an adopted orphan to the adopter's first living thread, the main one, while a process that we start
/// is a child of the thread that started it. So when the loop runs on another thread this list holds orphans alone, and
/// looking at it costs as much as there are orphans, however many processes run.
pub(super) struct Adopted(Option<File>);

/// How much of the list is read: some six hundred pids. A longer one is a crowd, and handled as such.
const LIST: usize = 4096;

/// A look at the list of adopted orphans.
pub(super) enum Listed {
    /// All of them.
    All(Vec<pid_t>),
    /// More than were read.
    Crowd,
    /// The kernel does not keep such lists.
    Unknown,
}

impl Adopted {
    pub(super) fn open() -> Adopted {
        let pid = std::process::id();
        Adopted(is_ours().then(|| File::open(format!("/proc/self/task/{pid}/children")).ok()).flatten())
    }

    pub(super) fn list(&self) -> Listed {
        let mut buffer = [0; LIST];
        match self.0.as_ref().map(|file| file.read_at(&mut buffer, 0)) {
            Some(Ok(len)) if len + 16 < LIST => Listed::All(parse_pids(&buffer[..len])),
            Some(Ok(_)) => Listed::Crowd,
            Some(Err(_)) | None => Listed::Unknown,
        }
    }
}

fn parse_pids(list: &[u8]) -> Vec<pid_t> {
    list.split(u8::is_ascii_whitespace).filter_map(|pid| std::str::from_utf8(pid).ok()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{CpuTime, Resident, Stat, parse_pids, parse_pss, parse_stat, parse_statm};

    #[test]
    fn a_program_named_like_the_fields_does_not_shift_them() {
        let line = b"42 (a) Z 1 (b)) S 7 42 40 0 -1 4194560 1 2 3 4 15 16 17 18 20 0 9 0 12345 400000 77 1 2\n";
        let expected = Stat {
            state: b'S',
            parent: 7,
            group: 42,
            session: 40,
            cpu: CpuTime { user: 150_000, system: 160_000 },
            waited: CpuTime { user: 170_000, system: 180_000 },
            threads: 9,
            start: 12345,
            resident: 77,
        };
        assert_eq!(parse_stat(line), Some(expected));
    }

    #[test]
    fn torn_or_foreign_text_is_nothing_known() {
        let line = b"42 (a) S 7 42 40 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0\n";
        // The last byte but the newline is the last field that is read.
        for cut in 0..line.len() - 1 {
            assert_eq!(parse_stat(&line[..cut]), None, "cut at {cut}");
        }
        assert_eq!(parse_stat(b"not a stat line"), None);
        assert_eq!(parse_stat(&[0xff; 100]), None);
    }

    #[test]
    fn memory_is_read_in_pages_and_in_shares() {
        let pages = Resident { size: 2155, all: 987, shared: 823, data: 231 };
        assert_eq!(parse_statm("2155 987 823 250 0 231 0\n"), Some(pages));
        let zombie = Resident { size: 0, all: 0, shared: 0, data: 0 };
        assert_eq!(parse_statm("0 0 0 0 0 0 0\n"), Some(zombie));
        for torn in ["", "2155 987", "2155 987 x 250 0 231 0", "-1 0 0 0 0 0 0"] {
            assert_eq!(parse_statm(torn), None, "{torn:?}");
        }
        let rollup =
            "5581-7ffd ---p 00000000 00:00 0   [rollup]\nRss:     3948 kB\nPss:       861 kB\nPss_Dirty: 600 kB\n";
        assert_eq!(parse_pss(rollup), Some(861 * 1024));
        for torn in ["", "Rss: 1 kB\n", "Pss: kB\n", "Pss: 18446744073709551615 kB\n", "Pss: 12"] {
            assert_eq!(parse_pss(torn), None, "{torn:?}");
        }
    }

    #[test]
    fn a_list_of_pids_is_read_as_far_as_it_is_one() {
        assert_eq!(parse_pids(b"12 345 6 "), [12, 345, 6]);
        assert_eq!(parse_pids(b""), [0i32; 0]);
        assert_eq!(parse_pids(b"12 x 6"), [12, 6]);
    }
}
