//! inotify, as a hint only: it says "look again", never what there is to see. Without it all works at the tick's pace.

use std::ffi::CString;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use notify::event::{AccessKind, AccessMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// A watch on a few directories; dropping it ends it.
pub struct Watch {
    watcher: RecommendedWatcher,
    dirs: Vec<Watched>,
    overflows: Arc<AtomicU64>,
}

/// One directory.
struct Watched {
    /// Absolute, so that the events' paths can be told by it.
    path: PathBuf,
    /// Which directory the watch is on; `None` when there is none.
    identity: Option<Identity>,
    trouble: Option<WatchError>,
}

type Identity = (u64, u64);

/// What there is to look at again.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Hint {
    /// Nothing was heard.
    #[default]
    Nothing,
    /// These entries of the directory.
    Entries(Vec<CString>),
    /// All of it.
    Everything,
}

/// So many entries are named; where there are more, a look at all of them is as good.
const MOST_ENTRIES: usize = 8;

/// Why there is no watch. Changes are seen at the tick all the same.
#[derive(Debug)]
pub struct WatchError {
    what: String,
    source: Option<notify::Error>,
}

impl Watch {
    /// Watches these directories; one that is missing is watched when a [`Watch::refresh`] finds it.
    ///
    /// `on_hint` is told which directory to look at again, by its index, and at what of it. It is called on a thread of its
    /// own, must not block and must not panic.
    ///
    /// # Errors
    /// There is no inotify to be had: forbidden, or its limits are reached.
    pub fn start(dirs: &[PathBuf], on_hint: impl Fn(usize, Hint) + Send + 'static) -> Result<Watch, WatchError> {
        let paths = dirs.iter().map(std::path::absolute).collect::<Result<Vec<PathBuf>, _>>();
        let paths = paths.map_err(|error| WatchError::new("cannot tell the working directory", error.into()))?;
        let overflows = Arc::new(AtomicU64::new(0));
        let watcher = watcher(paths.clone(), Arc::clone(&overflows), on_hint)?;
        let dirs = paths.into_iter().map(|path| Watched { path, identity: None, trouble: None }).collect();
        let mut watch = Watch { watcher, dirs, overflows };
        watch.refresh();
        Ok(watch)
    }

    /// Sees to it that the watches are on the directories that now stand at the paths. Cheap: meant for every tick,
    /// before the directories are looked at.
    pub fn refresh(&mut self) {
        for dir in &mut self.dirs {
            dir.refresh(&mut self.watcher);
        }
    }

    /// Whether every directory that exists is watched.
    pub fn is_active(&self) -> bool {
        self.trouble().is_none()
    }

    /// Why one of the directories is not watched.
    pub fn trouble(&self) -> Option<&WatchError> {
        self.dirs.iter().find_map(|dir| dir.trouble.as_ref())
    }

    /// How often the kernel had more to tell than its queue holds; every directory was hinted at then.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }
}

impl Watched {
    fn refresh(&mut self, watcher: &mut RecommendedWatcher) {
        let found = identity(&self.path);
        if found != self.identity && self.identity.take().is_some() {
            // Of a directory that was deleted the watch is gone already.
            let _ = watcher.unwatch(&self.path);
        }
        self.trouble = None;
        if found.is_none() {
            return;
        }
        // Also where one is believed to be: a file system that was unmounted and mounted again takes the watch with it
        // and looks the same. For the kernel a second watch on one directory is the first.
        match watcher.watch(&self.path, RecursiveMode::NonRecursive) {
            // Replaced in between: which of the two is watched cannot be told, so the next refresh begins anew.
            Ok(()) => self.identity = found.filter(|found| identity(&self.path) == Some(*found)),
            Err(error) if is_missing(&error) => self.identity = None,
            Err(error) => {
                self.identity = None;
                self.trouble = Some(WatchError::new(&format!("cannot watch {}", self.path.display()), error));
            }
        }
    }
}

impl WatchError {
    fn new(what: &str, source: notify::Error) -> WatchError {
        let limit = match &source.kind {
            notify::ErrorKind::MaxFilesWatch => "; raise the sysctl fs.inotify.max_user_watches",
            notify::ErrorKind::Io(error) => match error.raw_os_error() {
                Some(libc::EMFILE) => "; raise the sysctl fs.inotify.max_user_instances (or the limit on open files)",
                Some(libc::ENOSPC) => "; raise the sysctl fs.inotify.max_user_watches",
                Some(_) | None => "",
            },
            notify::ErrorKind::Generic(_)
            | notify::ErrorKind::PathNotFound
            | notify::ErrorKind::WatchNotFound
            | notify::ErrorKind::InvalidConfig(_) => "",
        };
        WatchError { what: format!("{what}{limit}; changes are seen at the tick"), source: Some(source) }
    }
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for WatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

fn watcher(
    paths: Vec<PathBuf>,
    overflows: Arc<AtomicU64>,
    on_hint: impl Fn(usize, Hint) + Send + 'static,
) -> Result<RecommendedWatcher, WatchError> {
    let handler = move |event: notify::Result<Event>| {
        if event.as_ref().is_ok_and(Event::need_rescan) {
            overflows.fetch_add(1, Ordering::Relaxed);
        }
        for (index, path) in paths.iter().enumerate() {
            match hint(&event, path) {
                Hint::Nothing => {}
                hint @ (Hint::Entries(_) | Hint::Everything) => on_hint(index, hint),
            }
        }
    };
    let mut watcher = RecommendedWatcher::new(handler, Config::default())
        .map_err(|error| WatchError::new("inotify is not to be had", error))?;
    // notify does not say when its thread could not be started; all that it does after that panics, this call alone
    // returns an error. Its drop panics as well, so it is left lying.
    if let Err(error) = watcher.configure(Config::default()) {
        std::mem::forget(watcher);
        return Err(WatchError::new("cannot start a thread for inotify", error));
    }
    Ok(watcher)
}

/// What an event is a reason to look at again in this directory.
fn hint(event: &notify::Result<Event>, dir: &Path) -> Hint {
    let Ok(event) = event else { return Hint::Everything };
    match event.kind {
        // Our own looking makes these: to follow them would be to look for ever.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        EventKind::Access(_) => return Hint::Nothing,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {}
    }
    if event.paths.is_empty() || event.paths.iter().any(|path| path == dir) {
        return Hint::Everything;
    }
    let mut hint = Hint::Nothing;
    event
        .paths
        .iter()
        .filter(|path| path.parent() == Some(dir) && !is_beside(path))
        .for_each(|path| hint.add(of(path)));
    hint
}

/// What is hidden is no entry that anybody reads, but a ConfigMap is swapped by such a link.
fn of(path: &Path) -> Hint {
    let name = path.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
    match name.filter(|name| !name.to_bytes().starts_with(b".")) {
        Some(name) => Hint::Entries(vec![name]),
        None => Hint::Everything,
    }
}

impl Hint {
    /// Both.
    pub fn add(&mut self, other: Hint) {
        let before = std::mem::take(self);
        *self = match (before, other) {
            (Hint::Nothing, hint) | (hint, Hint::Nothing) => hint,
            (Hint::Everything, _) | (_, Hint::Everything) => Hint::Everything,
            (Hint::Entries(mut entries), Hint::Entries(more)) => {
                for entry in more {
                    if !entries.contains(&entry) {
                        entries.push(entry);
                    }
                }
                if entries.len() > MOST_ENTRIES { Hint::Everything } else { Hint::Entries(entries) }
            }
        };
    }
}

/// What is written beside a file before it is renamed into place, or is left beside it. No reader of either directory
/// takes it for anything, so it is no reason to read.
fn is_beside(path: &Path) -> bool {
    const ENDS: [&[u8]; 5] = [b".new", b"~", b".bak", b".swp", b".tmp"];
    ENDS.iter().any(|end| path.as_os_str().as_bytes().ends_with(end))
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        notify::ErrorKind::Generic(_)
        | notify::ErrorKind::WatchNotFound
        | notify::ErrorKind::InvalidConfig(_)
        | notify::ErrorKind::MaxFilesWatch => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use notify::event::{AccessKind, AccessMode, CreateKind, Flag};
    use notify::{Event, EventKind};

    use super::{Hint, MOST_ENTRIES, hint};

    fn entry(name: &str) -> Hint {
        Hint::Entries(vec![std::ffi::CString::new(name).expect("no NUL")])
    }

    #[test]
    fn reading_is_no_reason_to_look_and_writing_is() {
        let dir = Path::new("/a");
        let rows = [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "/a/web", Hint::Nothing),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), "/a/web", Hint::Nothing),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), "/a/web", entry("web")),
            (EventKind::Create(CreateKind::File), "/a/web", entry("web")),
            (EventKind::Create(CreateKind::File), "/a", Hint::Everything),
            (EventKind::Create(CreateKind::File), "/b/web", Hint::Nothing),
            (EventKind::Create(CreateKind::File), "/ab", Hint::Nothing),
            (EventKind::Create(CreateKind::File), "/a/web.new", Hint::Nothing),
            (EventKind::Create(CreateKind::File), "/a/..data", Hint::Everything),
        ];
        for (kind, path, expected) in rows {
            let event = Event::new(kind).add_path(path.into());
            assert_eq!(hint(&Ok(event), dir), expected, "{kind:?} {path}");
        }
        let renamed = Event::new(EventKind::Any).add_path("/a/web.new".into()).add_path("/a/web".into());
        assert_eq!(hint(&Ok(renamed), dir), entry("web"));
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(hint(&Ok(overflow), dir), Hint::Everything);
        assert_eq!(hint(&Err(notify::Error::generic("x")), dir), Hint::Everything);
    }

    #[test]
    fn hints_add_up_to_a_look_at_everything() {
        let mut sum = Hint::default();
        sum.add(entry("web"));
        sum.add(entry("web"));
        assert_eq!(sum, entry("web"));
        for number in 1..MOST_ENTRIES {
            sum.add(entry(&number.to_string()));
            assert!(matches!(&sum, Hint::Entries(entries) if entries.len() == number + 1), "{sum:?}");
        }
        sum.add(entry("one more"));
        assert_eq!(sum, Hint::Everything);
        sum.add(entry("web"));
        assert_eq!(sum, Hint::Everything);
    }
}
