//! The cgroup that this monitor may divide: found, taken, and its controllers handed on to those below it.
//!
//! The kernel hands controllers on only where no process is in the cgroup itself, so the monitor, with all that is there,
//! moves into a cgroup of its own below it. That is done when the first limit is asked for, and only where it is nobody
//! else's: the root of a container's namespace, or a cgroup in which there is nobody but this monitor and its children.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use libc::pid_t;

use super::text::{self, Hierarchy, Place};
use crate::process::proc_fs;

/// Where the monitor itself is.
const MONITOR: &str = "ncolony-monitor";
/// How often those are moved that have come meanwhile.
const SWEEPS: usize = 16;

/// A cgroup below which runs can have theirs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Base {
    pub(super) dir: PathBuf,
    /// Whether memory can be limited there.
    pub(super) memory: bool,
    /// Whether cpu can be.
    pub(super) cpu: bool,
}

/// Finds it and takes it.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn take() -> Result<Base, String> {
    let read = |file: &str| fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"));
    let Place { dirs, is_root } =
        text::place(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?, Hierarchy::Unified)?;
    let us = std::process::id() as pid_t;
    let is_ours = |dir: &&PathBuf| inhabitants(dir).is_ok_and(|pids| pids.contains(&us));
    let own = dirs.iter().find(is_ours).ok_or("the mount of cgroup v2 does not show this monitor's own")?;
    match own.file_name().is_some_and(|name| name == MONITOR) {
        // A monitor before this one has moved here, and whoever started this one with it.
        true => hand_on(own.parent().unwrap_or(own)),
        false => divide(own, is_root),
    }
}

fn divide(own: &Path, is_root: bool) -> Result<Base, String> {
    offered(own)?;
    // The root of all has no type, and may hand on what it has whoever is in it.
    if own.join("cgroup.type").exists() {
        if !is_root && !is_alone(own) {
            return Err(format!("the cgroup {} has other inhabitants than this monitor", own.display()));
        }
        let monitor = own.join(MONITOR);
        make(&monitor).map_err(|error| format!("no cgroup can be made in {}: {error}", own.display()))?;
        move_all(own, &monitor).map_err(|error| format!("{} cannot be cleared: {error}", own.display()))?;
    }
    hand_on(own)
}

/// The controllers that there are, of those that are wanted.
fn offered(dir: &Path) -> Result<(bool, bool), String> {
    let controllers = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    let (memory, cpu) = (text::lists(&controllers, "memory"), text::lists(&controllers, "cpu"));
    match memory || cpu {
        true => Ok((memory, cpu)),
        false => Err(format!("{} has neither the memory nor the cpu controller", dir.display())),
    }
}

fn hand_on(dir: &Path) -> Result<Base, String> {
    let (memory, cpu) = offered(dir)?;
    let control = dir.join("cgroup.subtree_control");
    let hand = |controller: &str| fs::write(&control, controller);
    let refused = |error: io::Error| format!("{} cannot hand on its controllers: {error}", dir.display());
    let (memory, cpu) = (memory.then(|| hand("+memory")), cpu.then(|| hand("+cpu")));
    let base = Base { dir: dir.into(), memory: matches!(memory, Some(Ok(()))), cpu: matches!(cpu, Some(Ok(()))) };
    if base.memory || base.cpu {
        return Ok(base);
    }
    let why = memory.and_then(Result::err).or(cpu.and_then(Result::err));
    Err(why.map_or_else(|| format!("{} has no controllers", dir.display()), refused))
}

fn is_alone(dir: &Path) -> bool {
    let us = std::process::id() as pid_t;
    let ours: HashSet<pid_t> = proc_fs::descendants(&[us]).into_iter().chain([us]).collect();
    inhabitants(dir).is_ok_and(|pids| pids.iter().all(|pid| ours.contains(pid)))
}

fn move_all(from: &Path, to: &Path) -> io::Result<()> {
    for _ in 0..SWEEPS {
        let pids = inhabitants(from)?;
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            match fs::write(to.join("cgroup.procs"), pid.to_string()) {
                // It has ended meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                moved => moved?,
            }
        }
    }
    Ok(())
}

fn inhabitants(dir: &Path) -> io::Result<Vec<pid_t>> {
    Ok(text::pids(&fs::read_to_string(dir.join("cgroup.procs"))?))
}

/// Makes a cgroup, if it is not there.
pub(super) fn make(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use super::{Base, MONITOR, divide};

    /// A directory that looks like a cgroup with these files; the kernel's part, to empty it, is not played.
    fn fake(files: &[(&str, &str)]) -> TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).expect("a file"));
        dir
    }

    fn read(dir: &Path, file: &str) -> Option<String> {
        fs::read_to_string(dir.join(file)).ok()
    }

    const BOTH: (&str, &str) = ("cgroup.controllers", "cpuset cpu io memory pids\n");
    const TYPE: (&str, &str) = ("cgroup.type", "domain\n");

    fn us() -> String {
        std::process::id().to_string()
    }

    #[test]
    fn the_monitor_moves_out_of_a_cgroup_that_is_its_own_and_hands_on_its_controllers() {
        let dir = fake(&[BOTH, TYPE, ("cgroup.procs", &us())]);
        assert_eq!(divide(dir.path(), false), Ok(Base { dir: dir.path().into(), memory: true, cpu: true }));
        assert_eq!(read(&dir.path().join(MONITOR), "cgroup.procs"), Some(us()));
        assert_eq!(read(dir.path(), "cgroup.subtree_control").as_deref(), Some("+cpu"), "the last of two");
    }

    #[test]
    fn a_cgroup_with_others_in_it_is_left_alone_unless_it_is_the_containers() {
        let others = format!("1\n{}\n", us());
        let dir = fake(&[BOTH, TYPE, ("cgroup.procs", &others)]);
        let why = divide(dir.path(), false).expect_err("others are there");
        assert!(why.contains("has other inhabitants than this monitor"), "{why}");
        assert!(!dir.path().join(MONITOR).exists());
        assert!(divide(dir.path(), true).is_ok());
        assert!(dir.path().join(MONITOR).exists());
    }

    #[test]
    fn the_root_of_all_hands_on_whoever_is_in_it() {
        let dir = fake(&[("cgroup.controllers", "memory\n"), ("cgroup.procs", "1\n2\n")]);
        assert_eq!(divide(dir.path(), true), Ok(Base { dir: dir.path().into(), memory: true, cpu: false }));
        assert!(!dir.path().join(MONITOR).exists());
        assert_eq!(read(dir.path(), "cgroup.subtree_control").as_deref(), Some("+memory"));
    }

    #[test]
    fn nothing_is_touched_where_there_is_nothing_to_hand_on() {
        for controllers in ["hugetlb misc\n", ""] {
            let dir = fake(&[("cgroup.controllers", controllers), TYPE, ("cgroup.procs", &us())]);
            let why = divide(dir.path(), true).expect_err("no controllers");
            assert!(why.ends_with("has neither the memory nor the cpu controller"), "{why}");
            assert!(!dir.path().join(MONITOR).exists());
        }
        let dir = fake(&[BOTH, TYPE, ("cgroup.procs", &us())]);
        fs::create_dir(dir.path().join("cgroup.subtree_control")).expect("a directory");
        let why = divide(dir.path(), false).expect_err("it cannot be written");
        assert!(why.contains("cannot hand on its controllers"), "{why}");
    }
}
