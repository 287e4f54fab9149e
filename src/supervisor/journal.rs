//! Who runs, on disk, for the monitor that comes after a kill -9.
//!
//! `DIR/journal` is text: a head that names the colony, the boot and the pid namespace, then a line for each run's
//! beginning, written by the run itself before it executes its program, and one for its end:
//!
//! ```text
//! ncolony 1 colony 5f0c…  boot 0d3e… pidns 4026531836
//! + 00000000000000000001 0000000123 00000000012345678901 web
//! - 00000000000000000001
//! ```
//!
//! A line that is torn or not understood is passed over. Nothing is synced: a killed monitor's writes are the kernel's
//! already, and after a crash of the machine the boot is another and the file means nothing. `DIR/lock` is held while a
//! monitor lives.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::model::{Incarnation, Name};
use crate::process::{Announce, Remembered};

/// The journal of a colony.
#[derive(Debug)]
pub(super) struct Journal {
    /// Marks this colony's processes.
    pub(super) colony: u64,
    /// The number of the first run to come.
    pub(super) next: NonZeroU64,
    /// What ran when the monitor before this one stopped writing.
    pub(super) remembered: Vec<(Name, Remembered)>,
    /// `None` where nothing can be written.
    file: Option<Writer>,
    trouble: Option<String>,
    line: Vec<u8>,
}

#[derive(Debug)]
struct Writer {
    dir: PathBuf,
    file: File,
    len: u64,
    _lock: Flock<File>,
}

/// Why no monitor can begin here.
#[derive(Debug)]
pub(super) enum Taken {
    /// Another monitor holds the lock; its pid, if it told.
    By(String),
}

/// A line is `\n+ RUN PID BORN NAME\n`, numbers padded with zeros; the leading newline ends whatever was torn before it.
const RUN: Range<usize> = 3..23;
const PID: Range<usize> = 24..34;
const BORN: Range<usize> = 35..55;
const NAME: usize = 56;
/// Past this many bytes the file is written anew with what still runs.
const COMPACT_AT: u64 = 1 << 20;

impl Journal {
    /// Opens the journal in `dir`, and makes both where they are missing. Where that cannot be, supervision goes on
    /// without: [`Journal::trouble`] says why.
    ///
    /// # Errors
    /// When another monitor lives here: two would start every process twice.
    pub(super) fn open(dir: &Path) -> Result<Journal, Taken> {
        match Journal::open_writable(dir) {
            Ok(journal) => Ok(journal),
            Err(Unusable::Taken(by)) => Err(Taken::By(by)),
            Err(Unusable::Io(what, error)) => Ok(Journal {
                colony: new_colony(),
                next: NonZeroU64::MIN,
                remembered: Vec::new(),
                file: None,
                trouble: Some(format!(
                    "cannot {what} {}: {error}; a monitor that comes after a kill -9 of this one will not know what runs",
                    dir.display()
                )),
                line: Vec::new(),
            }),
        }
    }

    fn open_writable(dir: &Path) -> Result<Journal, Unusable> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| Unusable::Io("make", e))?;
        let lock = lock(dir)?;
        let path = dir.join("journal");
        // A journal that cannot be read is as good as none; it is replaced below.
        let past = fs::read(&path).map(|bytes| parse(&bytes)).unwrap_or_default();
        let head = Head::now(past.head.as_ref());
        let is_ours = past.head.as_ref().is_some_and(|before| before.boot == head.boot && before.pidns == head.pidns);
        let running = if is_ours { past.running } else { BTreeMap::new() };
        let next = running.keys().next_back().map_or(past.last, |run| run.get().max(past.last));
        let file = write_whole(dir, &head, &running).map_err(|e| Unusable::Io("write in", e))?;
        let len = file.metadata().map(|meta| meta.len()).unwrap_or(0);
        Ok(Journal {
            colony: head.colony,
            next: NonZeroU64::MIN.saturating_add(next),
            remembered: running.into_values().collect(),
            file: Some(Writer { dir: dir.to_path_buf(), file, len, _lock: lock }),
            trouble: None,
            line: Vec::new(),
        })
    }

    /// The line that a run writes of itself.
    pub(super) fn announce(&mut self, run: Incarnation, name: &Name) -> Option<Announce<'_>> {
        let writer = self.file.as_ref()?;
        self.line.clear();
        // Writing to a Vec does not fail.
        let _ = write!(self.line, "\n+ {:020} {:010} {:020} {name}\n", run.get(), 0, 0);
        Some(Announce { to: writer.file.as_fd(), line: &mut self.line, pid: PID, born: BORN })
    }

    /// To be called after a start: looks whether the run could write its line.
    pub(super) fn announced(&mut self) {
        let Some(writer) = &mut self.file else { return };
        let len = writer.file.metadata().map_or(0, |meta| meta.size());
        self.trouble = (len < writer.len + self.line.len() as u64)
            .then(|| format!("{} cannot be written to (is the disk full?)", writer.dir.display()));
        writer.len = len;
        if len > COMPACT_AT {
            self.compact();
        }
    }

    /// Notes that nothing of a run is left.
    pub(super) fn ended(&mut self, run: Incarnation) {
        let Some(writer) = &mut self.file else { return };
        let line = format!("\n- {:020}\n", run.get());
        match (&writer.file).write_all(line.as_bytes()) {
            Ok(()) => writer.len += line.len() as u64,
            Err(error) => self.trouble = Some(format!("cannot write in {}: {error}", writer.dir.display())),
        }
    }

    /// What is wrong with the journal, if anything is.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn compact(&mut self) {
        let Some(writer) = &mut self.file else { return };
        let Ok(bytes) = fs::read(writer.dir.join("journal")) else { return };
        let past = parse(&bytes);
        let head = Head::now(past.head.as_ref());
        if let Ok(file) = write_whole(&writer.dir, &head, &past.running) {
            writer.len = file.metadata().map(|meta| meta.len()).unwrap_or(0);
            writer.file = file;
        }
    }
}

enum Unusable {
    Taken(String),
    Io(&'static str, io::Error),
}

fn lock(dir: &Path) -> Result<Flock<File>, Unusable> {
    let path = dir.join("lock");
    let file = open(&path, false).map_err(|e| Unusable::Io("open the lock in", e))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
            Ok(lock)
        }
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
            Err(Unusable::Taken(fs::read_to_string(&path).unwrap_or_default().trim().to_string()))
        }
        Err((_, errno)) => Err(Unusable::Io("lock", errno.into())),
    }
}

/// Never through a link that somebody may have put there.
fn open(path: &Path, append: bool) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).read(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    if append {
        options.append(true)
    } else {
        options.write(true)
    };
    options.open(path)
}

fn write_whole(dir: &Path, head: &Head, running: &BTreeMap<Incarnation, (Name, Remembered)>) -> io::Result<File> {
    let path = dir.join("journal.new");
    let _ = fs::remove_file(&path);
    let file = open(&path, true)?;
    let mut text = format!("{head}\n");
    for (run, (name, past)) in running {
        text.push_str(&format!("\n+ {:020} {:010} {:020} {name}\n", run.get(), past.pid, past.born));
    }
    (&file).write_all(text.as_bytes())?;
    fs::rename(&path, dir.join("journal"))?;
    Ok(file)
}

/// Where and when the numbers of a journal mean something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Head {
    colony: u64,
    boot: String,
    pidns: u64,
}

impl Head {
    /// This boot and namespace; the colony's mark is kept.
    fn now(before: Option<&Head>) -> Head {
        Head {
            colony: before.map_or_else(new_colony, |head| head.colony),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_string(),
            pidns: fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino()),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ncolony 1 colony {:016x} boot {} pidns {}", self.colony, self.boot, self.pidns)
    }
}

fn new_colony() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[derive(Debug, Default)]
struct Past {
    head: Option<Head>,
    running: BTreeMap<Incarnation, (Name, Remembered)>,
    last: u64,
}

fn parse(bytes: &[u8]) -> Past {
    let mut past = Past::default();
    for line in bytes.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        if let Some((name, run)) = parse_start(line) {
            past.last = past.last.max(run.run.get());
            past.running.insert(run.run, (name, run));
        } else if let Some(run) = line.strip_prefix("- ").and_then(parse_run) {
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
    (text.len() == RUN.len()).then(|| text.parse().ok().and_then(NonZeroU64::new).map(Incarnation::new))?
}

fn parse_head(line: &str) -> Option<Head> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["ncolony", "1", "colony", colony, "boot", boot, "pidns", pidns] = words[..] else { return None };
    Some(Head { colony: u64::from_str_radix(colony, 16).ok()?, boot: boot.into(), pidns: pidns.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Journal, NAME, Taken, parse};
    use crate::model::{Incarnation, Name};

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn write_start(journal: &mut Journal, text: &str, pid: u32) -> Incarnation {
        let run = Incarnation::new(journal.next);
        journal.next = journal.next.saturating_add(1);
        let announce = journal.announce(run, &name(text)).expect("writable");
        let (pid_at, born_at) = (announce.pid.clone(), announce.born.clone());
        announce.line[pid_at].copy_from_slice(format!("{pid:010}").as_bytes());
        announce.line[born_at].copy_from_slice(format!("{:020}", 77).as_bytes());
        std::io::Write::write_all(&mut fs::File::from(announce.to.try_clone_to_owned().expect("dup")), announce.line)
            .expect("write");
        journal.announced();
        run
    }

    #[test]
    fn what_ran_is_remembered_and_what_ended_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(dir.path()).expect("free");
        let web = write_start(&mut journal, "web server", 41);
        let db = write_start(&mut journal, "db", 42);
        journal.ended(web);
        assert_eq!(journal.trouble(), None);
        let colony = journal.colony;
        drop(journal);

        let journal = Journal::open(dir.path()).expect("free again");
        assert_eq!(journal.colony, colony);
        let [(found, past)] = &journal.remembered[..] else { panic!("{:?}", journal.remembered) };
        assert_eq!((found, past.run, past.pid, past.born), (&name("db"), db, 42, 77));
        assert!(journal.next.get() > db.get());
    }

    #[test]
    fn a_second_monitor_is_told_the_firsts_pid() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Journal::open(dir.path()).expect("free");
        let Err(Taken::By(pid)) = Journal::open(dir.path()) else { panic!("two monitors in one place") };
        assert_eq!(pid, std::process::id().to_string());
        drop(first);
        assert!(Journal::open(dir.path()).is_ok());
    }

    #[test]
    fn a_journal_torn_at_any_byte_is_read_as_far_as_it_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(dir.path()).expect("free");
        write_start(&mut journal, "a", 41);
        write_start(&mut journal, "b", 42);
        let whole = fs::read(dir.path().join("journal")).expect("it is there");
        for cut in 0..whole.len() {
            let mut torn = whole[..cut].to_vec();
            assert!(parse(&torn).running.len() <= 2);
            // What is written after the tear is whole.
            torn.extend_from_slice(b"\n+ 00000000000000000009 0000000043 00000000000000000077 c\n");
            assert!(parse(&torn).running.values().any(|(found, _)| *found == name("c")), "cut at {cut}");
        }
    }

    #[test]
    fn a_journal_of_another_boot_means_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(dir.path()).expect("free");
        write_start(&mut journal, "a", 41);
        drop(journal);
        let path = dir.path().join("journal");
        let text = fs::read_to_string(&path).expect("it is there").replace(" boot ", " boot x");
        fs::write(&path, text).expect("write");
        assert_eq!(Journal::open(dir.path()).expect("free").remembered, []);
    }

    #[test]
    fn without_a_writable_place_it_says_so_and_remembers_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("write");
        let mut journal = Journal::open(&file.join("below")).expect("free");
        assert!(journal.trouble().is_some_and(|text| text.contains("kill -9")));
        assert!(journal.announce(Incarnation::new(journal.next), &name("a")).is_none());
    }

    #[test]
    fn a_long_life_does_not_make_a_long_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(dir.path()).expect("free");
        let stays = write_start(&mut journal, "stays", 41);
        for pid in 0..30_000 {
            let run = write_start(&mut journal, "comes-and-goes", 100 + pid);
            journal.ended(run);
        }
        let len = fs::metadata(dir.path().join("journal")).expect("it is there").len();
        assert!(len <= super::COMPACT_AT + 4096, "{len} bytes");
        drop(journal);
        let journal = Journal::open(dir.path()).expect("free");
        assert_eq!(journal.remembered.iter().map(|(_, past)| past.run).collect::<Vec<_>>(), [stays]);
    }

    #[test]
    fn the_fields_are_where_the_ranges_say() {
        let line = format!("\n+ {:020} {:010} {:020} web", 1, 2, 3);
        assert_eq!(&line[super::RUN], format!("{:020}", 1));
        assert_eq!(&line[super::PID], format!("{:010}", 2));
        assert_eq!(&line[super::BORN], format!("{:020}", 3));
        assert_eq!(&line[NAME..], "web");
    }
}
