//! How far the calendars have been followed, on disk: what a monitor missed while it was away, the next one makes up for.
//!
//! `DIR/schedules` is text, a line for each process: up to which time all is done with, the last time that was run for
//! (0: none), both in seconds since 1970, the process, and its calendar:
//!
//! ```text
//! 1789997400 1789997400 nightly<TAB>Europe/Berlin 30 2 * * *
//! ```
//!
//! A line that is not understood is passed over. Nothing is synced: after a crash of the machine the last run may be
//! made up for once more.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;

use crate::model::{Name, Stamp, Wall, map_of};
use crate::reconcile::Progress;

/// The file.
#[derive(Debug)]
pub(super) struct Schedules {
    path: PathBuf,
    known: BTreeMap<Name, Progress>,
    /// Why it is not written.
    trouble: Option<String>,
    /// As it was last told.
    told: Option<String>,
}

/// No more of the file is read: some ten thousand processes.
const MOST: u64 = 4 << 20;
/// Of a calendar that nobody has followed for so long nothing is kept: more than a year, for what is run once in one.
const FORGOTTEN: Duration = Duration::from_secs(400 * 86_400);

impl Schedules {
    /// Reads what the monitor before this one has left in the state directory.
    pub(super) fn open(dir: &Path, now: Stamp) -> Schedules {
        let path = dir.join("schedules");
        let known = read(&path).map(|text| parse(&text, now)).unwrap_or_default();
        Schedules { path, known, trouble: None, told: None }
    }

    /// How far each calendar had been followed.
    pub(super) fn remembered(&self) -> impl Iterator<Item = (&Name, &Progress)> {
        self.known.iter()
    }

    /// Writes down what has changed.
    pub(super) fn note(&mut self, changed: Vec<(Name, Option<Progress>)>) {
        if changed.is_empty() {
            return;
        }
        for (name, progress) in changed {
            match progress {
                Some(progress) => drop(self.known.insert(name, progress)),
                None => drop(self.known.remove(&name)),
            }
        }
        self.save();
    }

    /// Writes the file anew if somebody has removed it.
    pub(super) fn refresh(&mut self) {
        if !self.known.is_empty() && fs::symlink_metadata(&self.path).is_err() {
            self.save();
        }
    }

    /// Says once why it is not written. Not while `elsewhere` that is told of its directory.
    pub(super) fn tell_trouble(&mut self, elsewhere: Option<&str>) {
        if elsewhere.is_some() || self.told == self.trouble {
            return;
        }
        if let Some(trouble) = &self.trouble {
            tracing::warn!("{trouble}; what is missed while no monitor runs will not be made up for");
        }
        self.told.clone_from(&self.trouble);
    }

    fn save(&mut self) {
        let path = self.path.display();
        self.trouble = self.write().err().map(|error| format!("cannot write {path}: {error}"));
    }

    fn write(&self) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let _ = fs::remove_file(&beside);
        let mut file = open(File::options().write(true).create_new(true).mode(0o600), &beside)?;
        file.write_all(rendered(&self.known).as_bytes())?;
        fs::rename(&beside, &self.path)
    }
}

/// Never through a link that somebody may have put there, and never waiting for a FIFO's other end.
fn open(options: &mut fs::OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    open(File::options().read(true), path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn rendered(known: &BTreeMap<Name, Progress>) -> String {
    let seconds = |wall: Wall| wall.as_nanos() / 1_000_000_000;
    let mut text = String::new();
    for (name, Progress { calendar, up_to, last, since: _ }) in known {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} {} {name}\t{calendar}", seconds(*up_to), last.map_or(0, seconds));
    }
    text
}

fn parse(text: &str, now: Stamp) -> BTreeMap<Name, Progress> {
    let lines = text.lines().filter_map(|line| parse_line(line, now));
    map_of(lines.filter(|(_, progress)| progress.up_to.plus(FORGOTTEN) > now.wall))
}

fn parse_line(line: &str, now: Stamp) -> Option<(Name, Progress)> {
    let (head, calendar) = line.split_once('\t')?;
    let mut words = head.splitn(3, ' ');
    let (up_to, last) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let name = Name::parse(words.next()?).ok()?;
    let last = (last > 0).then(|| Wall::from_secs(last));
    Some((name, Progress { calendar: calendar.into(), up_to: Wall::from_secs(up_to), since: now, last }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{Schedules, parse};
    use crate::model::{Moment, Name, Stamp, Wall};
    use crate::reconcile::Progress;

    const NOW: Stamp = Stamp { at: Moment::ZERO, wall: Wall::from_secs(1_790_000_000) };

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn progress(up_to: u64, last: Option<u64>) -> Progress {
        let calendar = "Europe/Berlin 30 2 * * *".into();
        Progress { calendar, up_to: Wall::from_secs(up_to), since: NOW, last: last.map(Wall::from_secs) }
    }

    #[test]
    fn what_is_written_is_what_the_next_one_reads() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut schedules = Schedules::open(dir.path(), NOW);
        assert_eq!(schedules.remembered().count(), 0);
        let (done, new) = (progress(1_789_000_000, Some(1_789_000_000)), progress(1_789_999_999, None));
        schedules.note(vec![(name("a job"), Some(done.clone())), (name("new"), Some(new.clone()))]);
        schedules.note(vec![(name("gone"), Some(new.clone()))]);
        schedules.note(vec![(name("gone"), None)]);
        fs::remove_file(dir.path().join("schedules")).expect("it is there");
        schedules.refresh();
        let read = Schedules::open(dir.path(), NOW);
        assert_eq!(read.remembered().collect::<Vec<_>>(), [(&name("a job"), &done), (&name("new"), &new)]);
    }

    #[test]
    fn garbage_is_passed_over() {
        let good = "1789000000 0 web\tUTC * * * * *";
        let text = format!("\n\0\n1 2\nx 0 web\tUTC\n-1 0 web\tUTC\n1789000000 0 a/b\tUTC\n{good}\n1789000000 0 torn");
        assert_eq!(parse(&text, NOW).into_keys().collect::<Vec<_>>(), [name("web")]);
        assert!(parse("99999999999999999999 0 web\tUTC", NOW).is_empty());
        assert!(parse("1000000000 0 web\tUTC * * * * *", NOW).is_empty(), "nobody has seen it for decades");
        assert_eq!(parse(&format!("{} 0 web\tUTC", u64::MAX), NOW).len(), 1, "the core sees to the future");
    }

    #[test]
    fn a_link_is_not_followed_and_a_place_that_cannot_be_written_ends_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, "1789000000 0 web\tUTC * * * * *\n").expect("write");
        symlink(&elsewhere, dir.path().join("schedules")).expect("a link");
        let mut schedules = Schedules::open(dir.path(), NOW);
        assert_eq!(schedules.remembered().count(), 0);
        schedules.note(vec![(name("job"), Some(progress(1_789_000_000, None)))]);
        assert!(fs::read_to_string(&elsewhere).expect("it is there").contains("web"), "it was not written through");
        let mut nowhere = Schedules::open(&dir.path().join("missing"), NOW);
        nowhere.note(vec![(name("job"), Some(progress(1_789_000_000, None)))]);
    }
}
