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
        "cannot {what} {dir}: {error}; until that is mended (see --state), a monitor that comes after a kill -9 of this one will not know what runs, nor any what schedules have missed"
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
mod tests;
