//! Who runs, on disk, for the monitor that comes after a kill -9.
//!
//! `DIR/journal` is text: a head that names the colony, the boot and the namespaces of pids and of time, then a line for
//! each run's beginning, written by the run itself before it executes its program, and one for its end:
//!
//! ```text
//! ncolony 1 colony 5f0c…  boot 0d3e… pidns 4026531836 timens 4026531834
//! + 00000000000000000001 0000000123 00000000012345678901 web
//! - 00000000000000000001
//! ```
//!
//! A line that is torn or not understood is passed over. Nothing is synced: a killed monitor's writes are the kernel's
//! already, and after a crash of the machine the boot is another and the file means nothing. `DIR/lock` is held while a
//! monitor lives.

mod text;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::num::NonZeroU64;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, OFlag};
use nix::time::{ClockId, clock_gettime};

use super::lock as locks;
use crate::model::{Incarnation, Name};
use crate::process::{Announce, Remembered};
use text::{Head, Past, parse};

/// The journal of a colony.
#[derive(Debug)]
pub(super) struct Journal {
    /// Marks this colony's processes.
    pub(super) colony: u64,
    /// The number of the first run to come.
    pub(super) next: NonZeroU64,
    /// What ran when the monitor before this one stopped writing.
    pub(super) remembered: Vec<(Name, Remembered)>,
    dir: PathBuf,
    /// `None` while nothing can be written.
    file: Option<Writer>,
    trouble: Option<String>,
    line: Vec<u8>,
}

#[derive(Debug)]
struct Writer {
    file: File,
    len: u64,
    lock: Flock<File>,
}

/// Why no monitor can begin here.
#[derive(Debug)]
pub(super) enum Taken {
    /// Another monitor holds the lock; its pid, if it told.
    By(String),
}

/// Past this many bytes the file is written anew with what still runs.
const COMPACT_AT: u64 = 1 << 20;
impl Journal {
    /// Opens the journal in `dir`, and makes both where they are missing. Where nothing can be written, supervision goes
    /// on without: [`Journal::trouble`] says why. What can be read is remembered all the same.
    ///
    /// # Errors
    /// When another monitor lives here: two would start every process twice.
    pub(super) fn open(dir: &Path) -> Result<Journal, Taken> {
        let lock = match make(dir, true).and_then(|()| lock(dir, locks::PATIENCE)) {
            Err(Unusable::Taken(by)) => return Err(Taken::By(by)),
            Err(Unusable::Io(what, error)) => Err((what, error)),
            Ok(lock) => Ok(lock),
        };
        // A journal that cannot be read is as good as none.
        let mut past = fs::read(dir.join("journal")).map(|bytes| parse(&bytes)).unwrap_or_default();
        let head = Head::now(past.head.as_ref());
        if past.head.as_ref() != Some(&head) {
            past.running.clear();
        }
        let file = lock.and_then(|lock| Writer::begin(dir, lock, &head, &past).map_err(|error| ("write in", error)));
        let trouble = file.as_ref().err().map(|(what, error)| not_begun(dir, what, error));
        Ok(Journal {
            colony: head.colony,
            next: NonZeroU64::MIN.saturating_add(past.last),
            remembered: past.running.into_values().collect(),
            dir: dir.to_path_buf(),
            file: file.ok(),
            trouble,
            line: Vec::new(),
        })
    }

    /// The line that a run writes of itself.
    pub(super) fn announce(&mut self, run: Incarnation, name: &Name) -> Option<Announce<'_>> {
        let writer = self.file.as_ref()?;
        self.line = text::start(run, 0, 0, name).into_bytes();
        Some(Announce { to: writer.file.as_fd(), line: &mut self.line, pid: text::PID, born: text::BORN })
    }

    /// To be called after a start that succeeded: looks whether the run could write its line.
    pub(super) fn announced(&mut self) {
        let Some(writer) = &mut self.file else { return };
        let (before, len) = (writer.len, len_of(&writer.file));
        if len < before + self.line.len() as u64 {
            // Half a line is worse than none: half a name is another name.
            let _ = writer.file.set_len(before);
            return self.note(Some(self.unwritable()));
        }
        writer.len = len;
        self.note(None);
        if len > COMPACT_AT {
            self.compact();
        }
    }

    /// Notes that nothing of a run is left.
    pub(super) fn ended(&mut self, run: Incarnation) {
        let Some(writer) = &mut self.file else { return };
        if (&writer.file).write_all(text::end(run.get()).as_bytes()).is_err() {
            let trouble = self.unwritable();
            return self.note(Some(trouble));
        }
        writer.len = len_of(&writer.file);
    }

    /// Looks whether the journal is where it was, and puts it there again if somebody has removed it. One that could not
    /// be begun is begun, with the runs that are left by now, each with its main process while that lives; `next` is the
    /// number of the run to come.
    pub(super) fn refresh(&mut self, next: Incarnation, left: impl Iterator<Item = (Incarnation, Name, Option<i32>)>) {
        let Some(writer) = &mut self.file else { return self.begin(next, left) };
        let path = self.dir.join("journal");
        if is_at(&writer.file, &path) && is_at(&writer.lock, &self.dir.join("lock")) {
            return;
        }
        let trouble = match restore(&self.dir, writer) {
            Ok(()) => None,
            Err(Unusable::Taken(by)) => Some(taken(&self.dir, &by)),
            Err(Unusable::Io(what, error)) => {
                Some(format!("{} is gone; cannot {what} {}: {error}", path.display(), self.dir.display()))
            }
        };
        self.note(trouble);
    }

    fn begin(&mut self, next: Incarnation, left: impl Iterator<Item = (Incarnation, Name, Option<i32>)>) {
        let born = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |now| Duration::from(now).as_nanos() as u64);
        // Who lives now and has the pid is who has it in the journal. Nobody has the other: the run's mark tells the rest.
        let running =
            left.map(|(run, name, pid)| (run, (name, Remembered { run, pid: pid.unwrap_or(i32::MAX), born })));
        let past = Past { head: None, running: running.collect(), last: next.get() - 1 };
        let mut head = Head::now(None);
        head.colony = self.colony;
        let begun = make(&self.dir, true).and_then(|()| lock(&self.dir, Duration::ZERO)).and_then(|lock| {
            Writer::begin(&self.dir, lock, &head, &past).map_err(|error| Unusable::Io("write in", error))
        });
        let trouble = match begun {
            Ok(writer) => {
                self.file = Some(writer);
                None
            }
            Err(Unusable::Taken(by)) => Some(taken(&self.dir, &by)),
            Err(Unusable::Io(what, error)) => Some(not_begun(&self.dir, what, &error)),
        };
        self.note(trouble);
    }

    /// What is wrong with the journal, if anything is.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn unwritable(&self) -> String {
        format!(
            "{} cannot be written to (is the disk full?); a monitor that comes after a kill -9 of this one will not know all that runs",
            self.dir.join("journal").display()
        )
    }

    /// Keeps, and tells once, what is wrong.
    fn note(&mut self, trouble: Option<String>) {
        if self.trouble == trouble {
            return;
        }
        match &trouble {
            Some(trouble) => tracing::warn!("{trouble}"),
            None => tracing::info!("{} is written again", self.dir.join("journal").display()),
        }
        self.trouble = trouble;
    }

    fn compact(&mut self) {
        let Some(writer) = &mut self.file else { return };
        // When it fails, the file is long, and nothing else.
        let _ = rewrite(&self.dir, writer);
    }
}

impl Writer {
    fn begin(dir: &Path, lock: Flock<File>, head: &Head, past: &Past) -> io::Result<Writer> {
        write_whole(dir, head, past).map(|file| Writer { len: len_of(&file), file, lock })
    }
}

fn not_begun(dir: &Path, what: &str, error: &io::Error) -> String {
    let dir = dir.display();
    format!(
        "cannot {what} {dir}: {error}; until that is mended (see --state), a monitor that comes after a kill -9 of this one will not know what runs"
    )
}

fn taken(dir: &Path, by: &str) -> String {
    format!("another monitor, with pid {by}, has begun in {}", dir.display())
}

enum Unusable {
    Taken(String),
    Io(&'static str, io::Error),
}

fn make(dir: &Path, recursive: bool) -> Result<(), Unusable> {
    match DirBuilder::new().recursive(recursive).mode(0o711).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Unusable::Io("make", error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn lock(dir: &Path, patience: Duration) -> Result<Flock<File>, Unusable> {
    let path = dir.join("lock");
    let file = open(&path, false).map_err(|e| Unusable::Io("open the lock in", e))?;
    match locks::lock(file, patience) {
        Ok(mut lock) => {
            let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
            Ok(lock)
        }
        Err(Errno::EWOULDBLOCK) => {
            Err(Unusable::Taken(fs::read_to_string(&path).unwrap_or_default().trim().to_string()))
        }
        Err(errno) => Err(Unusable::Io("lock", errno.into())),
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

/// Writes a new journal with what still runs, in the old one's place.
fn write_whole(dir: &Path, head: &Head, past: &Past) -> io::Result<File> {
    let path = dir.join("journal.new");
    let _ = fs::remove_file(&path);
    let file = open(&path, true)?;
    // The last number is kept as that of a run that has ended: no number is given twice.
    let mut text = format!("{head}\n{}", text::end(past.last));
    for (run, (name, past)) in &past.running {
        text.push_str(&text::start(*run, past.pid, past.born, name));
    }
    (&file).write_all(text.as_bytes())?;
    fs::rename(&path, dir.join("journal"))?;
    Ok(file)
}

/// [`write_whole`] with what the journal that is open tells, wherever it is by now.
fn rewrite(dir: &Path, writer: &mut Writer) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(len_of(&writer.file)).unwrap_or(0)];
    writer.file.read_exact_at(&mut bytes, 0)?;
    let past = parse(&bytes);
    writer.file = write_whole(dir, &Head::now(past.head.as_ref()), &past)?;
    writer.len = len_of(&writer.file);
    Ok(())
}

/// The directory above is not ours to make.
fn restore(dir: &Path, writer: &mut Writer) -> Result<(), Unusable> {
    make(dir, false)?;
    if !is_at(&writer.lock, &dir.join("lock")) {
        writer.lock = lock(dir, Duration::ZERO)?;
    }
    rewrite(dir, writer).map_err(|e| Unusable::Io("write in", e))
}

/// Whether this very file still has this name.
fn is_at(file: &File, path: &Path) -> bool {
    let there = fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()));
    there.is_ok_and(|there| file.metadata().is_ok_and(|meta| (meta.dev(), meta.ino()) == there))
}

fn len_of(file: &File) -> u64 {
    file.metadata().map_or(0, |meta| meta.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Journal, Taken, parse};
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

    fn refresh(journal: &mut Journal) {
        journal.refresh(Incarnation::new(journal.next), std::iter::empty());
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
    fn no_number_is_given_twice_however_often_the_monitor_dies() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(dir.path()).expect("free");
        let web = write_start(&mut journal, "web", 41);
        journal.ended(web);
        for _ in 0..3 {
            drop(journal);
            journal = Journal::open(dir.path()).expect("free again");
            assert!(journal.next.get() > web.get());
        }
    }

    #[test]
    fn a_journal_that_was_removed_is_put_there_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        let mut journal = Journal::open(&state).expect("free");
        let web = write_start(&mut journal, "web", 41);
        fs::remove_file(state.join("journal")).expect("it is there");
        refresh(&mut journal);
        assert_eq!(journal.trouble(), None);
        fs::remove_dir_all(&state).expect("it is there");
        refresh(&mut journal);
        assert_eq!(journal.trouble(), None);
        assert!(matches!(Journal::open(&state), Err(Taken::By(_))), "its lock is held again, too");
        drop(journal);
        let journal = Journal::open(&state).expect("free again");
        assert_eq!(journal.remembered.iter().map(|(_, past)| past.run).collect::<Vec<_>>(), [web]);
    }

    #[test]
    fn a_directory_above_that_was_removed_is_not_made_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let above = dir.path().join("messages");
        let mut journal = Journal::open(&above.join("state")).expect("free");
        fs::remove_dir_all(&above).expect("it is there");
        refresh(&mut journal);
        assert!(journal.trouble().is_some_and(|text| text.contains("is gone")), "{:?}", journal.trouble());
        assert!(!above.exists());
        fs::create_dir(&above).expect("a directory");
        refresh(&mut journal);
        assert_eq!(journal.trouble(), None);
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
    fn one_that_could_not_be_begun_is_begun_when_it_can_be_with_all_that_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        fs::write(&state, "").expect("write");
        let mut journal = Journal::open(&state).expect("free");
        let said = journal.trouble().map(str::to_string);
        refresh(&mut journal);
        assert!(said.is_some() && journal.trouble() == said.as_deref(), "{said:?} {:?}", journal.trouble());
        fs::remove_file(&state).expect("it is there");
        let run = |number: u64| Incarnation::new(number.try_into().expect("not 0"));
        let left = [(run(3), name("web"), Some(41)), (run(5), name("rest"), None)];
        journal.refresh(run(8), left.into_iter());
        assert_eq!(journal.trouble(), None);
        journal.next = 8.try_into().expect("not 0");
        assert_eq!(write_start(&mut journal, "later", 43), run(8));
        journal.ended(run(5));
        let colony = journal.colony;
        drop(journal);
        let journal = Journal::open(&state).expect("free again");
        assert_eq!((journal.colony, journal.next.get()), (colony, 9));
        let found: Vec<_> = journal.remembered.iter().map(|(name, past)| (name.as_str(), past.run, past.pid)).collect();
        assert_eq!(found, [("web", run(3), 41), ("later", run(8), 43)]);
        assert!(journal.remembered.iter().all(|(_, past)| past.born > 0));
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
}
