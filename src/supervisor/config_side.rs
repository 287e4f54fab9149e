//! The configuration directory's side of the loop: when to read it, and what to make of what was read.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::events::{Events, Level, Told};
use super::meters::Meters;
use super::pace::Pace;
use crate::config::{Diagnostic, Directory, News, Scan, Severity};
use crate::model::{ConfigView, FileError, Moment, Name, ProcessSpec, Reason, Stamp, Wall};
use crate::watch::Hint;

/// Why the directory is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trigger {
    /// Something was heard.
    Event,
    /// The tick.
    Poll,
    /// SIGHUP
    Signal,
}

/// The directory, and what the last scan found.
pub(super) struct ConfigSide {
    directory: Directory,
    dir: String,
    pace: Pace,
    wanted: Option<Trigger>,
    /// What of it.
    heard: Hint,
    /// Whether what is to be read must not wait.
    is_hurried: bool,
    rescan_at: Option<Moment>,
    processes: Arc<BTreeMap<Name, Arc<ProcessSpec>>>,
    errors: Vec<FileError>,
    dir_error: Option<String>,
    loaded: Option<Wall>,
    generation: u64,
}

impl ConfigSide {
    /// To be read at once.
    pub(super) fn new(dir: String, directory: Directory, now: Moment) -> ConfigSide {
        ConfigSide {
            directory,
            dir,
            pace: Pace::new(now),
            wanted: Some(Trigger::Poll),
            heard: Hint::Everything,
            is_hurried: false,
            rescan_at: None,
            processes: Arc::default(),
            errors: Vec::new(),
            dir_error: None,
            loaded: None,
            generation: 0,
        }
    }

    /// Notes that what was heard of is to be read.
    pub(super) fn hear(&mut self, hint: Hint) {
        if hint != Hint::Nothing {
            self.wanted.get_or_insert(Trigger::Event);
            self.heard.add(hint);
        }
    }

    /// Notes that the directory is to be read, all of it.
    pub(super) fn want(&mut self, trigger: Trigger) {
        self.heard = Hint::Everything;
        self.wanted = match (self.wanted, trigger) {
            (Some(Trigger::Signal), _) | (_, Trigger::Signal) => Some(Trigger::Signal),
            (Some(Trigger::Poll), _) | (_, Trigger::Poll) => Some(Trigger::Poll),
            (None | Some(Trigger::Event), Trigger::Event) => Some(Trigger::Event),
        };
    }

    /// Notes that the directory is to be read if a cheap look tells that it changed.
    pub(super) fn want_if_changed(&mut self) {
        if self.directory.looks_changed() {
            self.want(Trigger::Event);
        }
    }

    /// What is to be read, if anything is, must not wait: there are messages, and they may be about what was written before
    /// them, or be meant to undo it.
    pub(super) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// Reads the directory if it is to be read. Returns the names whose desired state changed.
    pub(super) fn read(&mut self, now: Stamp, meters: &Meters, events: &mut Events) -> Vec<Name> {
        if self.rescan_at.is_some_and(|at| at <= now.at) {
            self.want(Trigger::Event);
        }
        let is_hurried = std::mem::take(&mut self.is_hurried);
        let Some(trigger) = self.wanted else { return Vec::new() };
        // A tick and a person do not wait; what was heard does, when there was much of it.
        if trigger == Trigger::Event && !is_hurried && self.pace.ready_at(now.at) > now.at {
            return Vec::new();
        }
        let began = processor_time();
        let scan = match std::mem::take(&mut self.heard) {
            Hint::Entries(entries) => self.directory.glance(&entries, now.at),
            Hint::Nothing | Hint::Everything => self.directory.scan(now.at),
        };
        if trigger == Trigger::Event {
            self.pace.spend(processor_time().saturating_sub(began));
        }
        meters.scans.with_label_values(&[trigger.as_str()]).inc();
        self.wanted = None;
        self.take(scan, now, events)
    }

    /// When to read again, whatever is heard.
    pub(super) fn wake_at(&mut self, now: Moment) -> Option<Moment> {
        let wanted = match self.wanted {
            Some(Trigger::Event) => Some(self.pace.ready_at(now)),
            Some(Trigger::Poll | Trigger::Signal) => Some(now),
            None => None,
        };
        [wanted, self.rescan_at].into_iter().flatten().min()
    }

    /// What is desired.
    pub(super) fn processes(&self) -> &BTreeMap<Name, Arc<ProcessSpec>> {
        &self.processes
    }

    /// The file that a process's version in force came from.
    pub(super) fn file_of(&self, name: &Name) -> String {
        self.directory.file_of(name).unwrap_or_default().to_string()
    }

    /// Why the file of this name is refused, if it is.
    pub(super) fn error_of(&self, name: &Name) -> Option<String> {
        // A snapshot asks for each process, and mostly there is none.
        if self.errors.is_empty() { None } else { self.directory.error_of(name) }
    }

    /// The names of the files that describe nobody, as they ask for no replicas.
    pub(super) fn empty(&self) -> impl Iterator<Item = &Name> {
        self.directory.empty()
    }

    /// Why a file is refused of which no version is in force, if there is one: what it describes cannot begin.
    pub(super) fn unborn(&self) -> Option<String> {
        self.directory.unborn()
    }

    /// As outsiders see it.
    pub(super) fn view(&self) -> ConfigView {
        ConfigView {
            dir: self.dir.clone(),
            dir_error: self.dir_error.clone(),
            errors: self.errors.clone(),
            empty: self.empty().cloned().collect(),
            loaded: self.loaded,
            generation: self.generation,
            trusted_uids: self.directory.trusted_uids(),
        }
    }

    fn take(&mut self, scan: Scan, now: Stamp, events: &mut Events) -> Vec<Name> {
        for news in &scan.news {
            match news {
                News::Unlisted(why) if self.loaded.is_none() => {
                    tracing::error!("{why}; nothing is started until it can be read (see --config)")
                }
                news => tell(news, events),
            }
        }
        self.rescan_at = scan.rescan_at;
        self.errors = scan.errors;
        if scan.dir_error.is_none() {
            self.loaded = Some(now.wall);
        }
        self.dir_error = scan.dir_error;
        if !scan.changed {
            return Vec::new();
        }
        self.generation += 1;
        let before = std::mem::replace(&mut self.processes, scan.processes);
        for name in self.processes.keys().filter(|name| !before.contains_key(*name)) {
            events.admit(name);
            events.note(Told::of(name, Reason::Created, "a process file describes it"));
        }
        difference(&before, &self.processes)
    }
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Trigger::Event => "event",
            Trigger::Poll => "poll",
            Trigger::Signal => "signal",
        }
    }
}

/// How long this thread has run. Not the time that passed: on a busy machine a scan takes long and costs little.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// The names under which the two have something else, or one has something and the other nothing.
fn difference(before: &BTreeMap<Name, Arc<ProcessSpec>>, after: &BTreeMap<Name, Arc<ProcessSpec>>) -> Vec<Name> {
    let changed = after.iter().filter(|(name, spec)| !before.get(*name).is_some_and(|old| Arc::ptr_eq(old, spec)));
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    changed.map(|(name, _)| name).chain(gone).cloned().collect()
}

/// Who reads on a terminal is shown the lines of the files, too. Elsewhere a log is collected by the line.
fn tell(news: &News, events: &mut Events) {
    let text = if std::io::stderr().is_terminal() { news.to_string() } else { format!("{news:#}") };
    match news {
        News::Refused { name, diagnostics, .. } => {
            let why = diagnostics.iter().find(|one| one.severity == Severity::Error).map(Diagnostic::summary);
            let told = Told::of(name, Reason::FailedValidation, why.unwrap_or_default()).level(Level::Error);
            events.tell(told, format_args!("{text}"));
        }
        News::Warned { name, .. } => tracing::warn!(process = %name, "{text}"),
        News::Mended { name } => tracing::info!(process = %name, "{text}"),
        News::Unlisted(_) | News::Distrusted(_) => tracing::error!("{text}"),
        News::Ignored { .. } | News::Listed | News::Trusted => tracing::info!("{text}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ConfigSide, Trigger};
    use crate::config::{Defaults, Directory, Trust};
    use crate::model::{Moment, Stamp, Wall};
    use crate::supervisor::events::Events;
    use crate::supervisor::meters::Meters;

    #[test]
    fn what_was_written_before_a_message_is_read_before_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (meters, mut events) = (Meters::new(&prometheus::Registry::new()).expect("meters"), Events::default());
        let now = Stamp { at: Moment::ZERO + Duration::from_secs(1), wall: Wall::default() };
        let directory = Directory::new(dir.path(), Defaults::STANDARD, Trust::default());
        let mut side = ConfigSide::new(String::new(), directory, now.at);
        assert_eq!(side.read(now, &meters, &mut events), []);
        side.pace.spend(Duration::from_secs(1));
        std::fs::write(dir.path().join("web"), r#"{"args": ["/bin/true"]}"#).expect("a file");
        side.want(Trigger::Event);
        assert_eq!(side.read(now, &meters, &mut events), [], "there was much to read lately");
        side.hurry();
        let read: Vec<String> = side.read(now, &meters, &mut events).iter().map(ToString::to_string).collect();
        assert_eq!(read, ["web"]);
        side.want(Trigger::Event);
        assert!(side.wake_at(now.at).is_some_and(|at| at > now.at), "once, and the next waits again");
    }
}
