//! inotify, as a hint only: it says "look again", never what there is to see. Without it all works at the tick's pace.

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

/// Why there is no watch. Changes are seen at the tick all the same.
#[derive(Debug)]
pub struct WatchError {
    what: String,
    source: Option<notify::Error>,
}

impl Watch {
    /// Watches these directories; one that is missing is watched when a [`Watch::refresh`] finds it.
    ///
    /// `on_hint` is told which directory to look at again, by its index. It is called on a thread of its own, must not
    /// block and must not panic.
    ///
    /// # Errors
    /// There is no inotify to be had: forbidden, or its limits are reached.
    pub fn start(dirs: &[PathBuf], on_hint: impl Fn(usize) + Send + 'static) -> Result<Watch, WatchError> {
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
    on_hint: impl Fn(usize) + Send + 'static,
) -> Result<RecommendedWatcher, WatchError> {
    let handler = move |event: notify::Result<Event>| {
        if event.as_ref().is_ok_and(Event::need_rescan) {
            overflows.fetch_add(1, Ordering::Relaxed);
        }
        for (index, path) in paths.iter().enumerate() {
            if concerns(&event, path) {
                on_hint(index);
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

/// Whether an event is a reason to look at this directory again.
fn concerns(event: &notify::Result<Event>, dir: &Path) -> bool {
    let Ok(event) = event else { return true };
    match event.kind {
        // Our own looking makes these: to follow them would be to look for ever.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        EventKind::Access(_) => return false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {}
    }
    let is_read = |path: &Path| path.parent() == Some(dir) && !is_beside(path);
    event.paths.is_empty() || event.paths.iter().any(|path| path == dir || is_read(path))
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

    use super::concerns;

    #[test]
    fn reading_is_no_reason_to_look_and_writing_is() {
        let dir = Path::new("/a");
        let rows = [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "/a/web", false),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), "/a/web", false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), "/a/web", true),
            (EventKind::Create(CreateKind::File), "/a/web", true),
            (EventKind::Create(CreateKind::File), "/a", true),
            (EventKind::Create(CreateKind::File), "/b/web", false),
            (EventKind::Create(CreateKind::File), "/ab", false),
            (EventKind::Create(CreateKind::File), "/a/web.new", false),
            (EventKind::Create(CreateKind::File), "/a/..data", true),
        ];
        for (kind, path, expected) in rows {
            let event = Event::new(kind).add_path(path.into());
            assert_eq!(concerns(&Ok(event), dir), expected, "{kind:?} {path}");
        }
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(concerns(&Ok(overflow), dir));
        assert!(concerns(&Err(notify::Error::generic("x")), dir));
    }
}
