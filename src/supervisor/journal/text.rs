//! The journal's text, and what it tells.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;

use crate::model::{Incarnation, Name};
use crate::process::Remembered;

/// A line is `\n+ RUN PID BORN NAME\n`, numbers padded with zeros; the leading newline ends whatever was torn before it.
pub(super) const RUN: Range<usize> = 3..23;
pub(super) const PID: Range<usize> = 24..34;
pub(super) const BORN: Range<usize> = 35..55;
pub(super) const NAME: usize = 56;

/// Where and when the numbers of a journal mean something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) colony: u64,
    boot: String,
    pidns: u64,
    timens: u64,
}

impl Head {
    /// This boot and these namespaces; the colony's mark is kept.
    pub(super) fn now(before: Option<&Head>) -> Head {
        // 0 where the kernel has no such namespace.
        let namespace = |kind| fs::metadata(format!("/proc/self/ns/{kind}")).map_or(0, |meta| meta.ino());
        Head {
            colony: before.map_or_else(new_colony, |head| head.colony),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_string(),
            pidns: namespace("pid"),
            timens: namespace("time"),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { colony, boot, pidns, timens } = self;
        write!(f, "ncolony 1 colony {colony:016x} boot {boot} pidns {pidns} timens {timens}")
    }
}

pub(super) fn new_colony() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// What a journal tells.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) head: Option<Head>,
    /// What has begun and not ended.
    pub(super) running: BTreeMap<Incarnation, (Name, Remembered)>,
    /// The highest number that was given to a run.
    pub(super) last: u64,
}

/// The line of a run's beginning, its pid and its birth.
pub(super) fn start(run: Incarnation, pid: i32, born: u64, name: &Name) -> String {
    format!("\n+ {:020} {pid:010} {born:020} {name}\n", run.get())
}

/// The line of a run's end.
pub(super) fn end(run: u64) -> String {
    format!("\n- {run:020}\n")
}

/// Reads what can be understood; all else is passed over.
pub(super) fn parse(bytes: &[u8]) -> Past {
    let mut past = Past::default();
    for line in bytes.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        if let Some((name, run)) = parse_start(line) {
            past.last = past.last.max(run.run.get());
            past.running.insert(run.run, (name, run));
        } else if let Some(run) = line.strip_prefix("- ").and_then(parse_run) {
            past.last = past.last.max(run.get());
            past.running.remove(&run);
        } else if let Some(head) = parse_head(line) {
            past.head = Some(head);
        }
    }
    past
}

fn parse_start(line: &str) -> Option<(Name, Remembered)> {
    // The ranges count the newline before the line.
    let field = |range: Range<usize>| line.get(range.start - 1..range.end - 1);
    line.strip_prefix("+ ")?;
    let run = parse_run(field(RUN)?)?;
    let pid = field(PID)?.parse().ok().filter(|pid| *pid > 0)?;
    let born = field(BORN)?.parse().ok().filter(|born| *born > 0)?;
    Some((Name::parse(line.get(NAME - 1..)?).ok()?, Remembered { run, pid, born }))
}

fn parse_run(text: &str) -> Option<Incarnation> {
    // No colony comes so far; a number beyond leaves none for the runs to come.
    let number: u64 = text.parse().ok().filter(|number| text.len() == RUN.len() && *number < u64::MAX / 2)?;
    NonZeroU64::new(number).map(Incarnation::new)
}

fn parse_head(line: &str) -> Option<Head> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["ncolony", "1", "colony", colony, "boot", boot, "pidns", pidns, "timens", timens] = words[..] else {
        return None;
    };
    let colony = u64::from_str_radix(colony, 16).ok()?;
    Some(Head { colony, boot: boot.into(), pidns: pidns.parse().ok()?, timens: timens.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::{BORN, NAME, PID, RUN, end, parse, start};
    use crate::model::{Incarnation, Name};

    #[test]
    fn the_fields_are_where_the_ranges_say() {
        let web = Name::parse("web").expect("a name");
        let line = start(Incarnation::new(NonZeroU64::MIN), 2, 3, &web);
        assert_eq!(&line[RUN], format!("{:020}", 1));
        assert_eq!(&line[PID], format!("{:010}", 2));
        assert_eq!(&line[BORN], format!("{:020}", 3));
        assert_eq!(&line[NAME..], "web\n");
    }

    #[test]
    fn a_number_that_leaves_none_for_the_runs_to_come_is_passed_over() {
        let past = parse(format!("{}{}", end(7), end(u64::MAX)).as_bytes());
        assert_eq!(past.last, 7);
    }
}
