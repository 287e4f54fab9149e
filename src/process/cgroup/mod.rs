//! A cgroup v2 for each run that has limits, where this monitor may make any: the kernel keeps the limits then.

mod around;
mod base;
mod text;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::model::{Incarnation, Limits, StartError, Step};
use around::Around;
use base::Base;

/// The cgroups of all runs that have one.
pub(super) struct Cgroups {
    colony: u64,
    place: At,
    around: Around,
    runs: HashMap<Incarnation, Own>,
    /// Those of runs that are over, which could not be removed yet.
    left: Vec<PathBuf>,
    /// Those that a monitor before this one made, which are still inhabited.
    earlier: Vec<PathBuf>,
}

/// Where they are made.
enum At {
    /// Nobody has asked for limits yet.
    Unknown,
    /// Nowhere, for this reason.
    Nowhere(String),
    Below(Base),
}

/// The cgroup of a run.
struct Own {
    dir: PathBuf,
    keeps: Keeps,
}

/// Which limits of a run the kernel keeps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keeps {
    /// That of memory.
    pub memory: bool,
    /// That of cpu.
    pub cpu: bool,
}

impl Cgroups {
    pub(super) fn new(colony: u64) -> Cgroups {
        Cgroups {
            colony,
            place: At::Unknown,
            around: Around::find(),
            runs: HashMap::new(),
            left: Vec::new(),
            earlier: Vec::new(),
        }
    }

    /// Makes a cgroup for a run that is about to begin, if it has limits that one can keep.
    ///
    /// # Errors
    /// What the kernel refused: a limit that was asked for is never silently missing.
    pub(super) fn prepare(&mut self, run: Incarnation, limits: Limits) -> Result<(), StartError> {
        if limits == Limits::default() {
            return Ok(());
        }
        let colony = self.colony;
        let At::Below(base) = self.place() else { return Ok(()) };
        let keeps = Keeps { memory: base.memory && limits.memory.is_some(), cpu: base.cpu && limits.cpu.is_some() };
        if keeps == Keeps::default() {
            return Ok(());
        }
        let dir = base.dir.join(format!("{}{run}", prefix(colony)));
        // A start that failed leaves its number to the next.
        self.left.retain(|left| *left != dir);
        if let Err((what, error)) = make(&dir, limits, keeps) {
            let _ = fs::remove_dir(&dir);
            return Err(refused(&dir, what, &error));
        }
        self.runs.insert(run, Own { dir, keeps });
        Ok(())
    }

    /// The file by which a process joins the cgroup of its run, if that has one.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn joined(&self, run: Incarnation) -> Result<Option<OwnedFd>, StartError> {
        let Some(own) = self.runs.get(&run) else { return Ok(None) };
        let file = File::options().write(true).open(own.dir.join("cgroup.procs"));
        file.map(|file| Some(OwnedFd::from(file))).map_err(|error| refused(&own.dir, "cgroup.procs", &error))
    }

    /// Which of a run's limits the kernel keeps.
    pub(super) fn keeps(&self, run: Incarnation) -> Keeps {
        self.runs.get(&run).map(|own| own.keeps).unwrap_or_default()
    }

    /// The cgroups of the runs whose memory the kernel limits.
    pub(super) fn of_memory(&self) -> Vec<(Incarnation, PathBuf)> {
        let limited = self.runs.iter().filter(|(_, own)| own.keeps.memory);
        limited.map(|(run, own)| (*run, own.dir.clone())).collect()
    }

    /// Why no cgroups can be made, once that is known.
    pub(super) fn trouble(&self) -> Option<&str> {
        match &self.place {
            At::Nowhere(why) => Some(why),
            At::Unknown | At::Below(_) => None,
        }
    }

    /// Whether it was the kernel, for want of memory, that has killed the main process of a run: it died of a SIGKILL.
    pub(super) fn killed_for_memory(&mut self, run: Incarnation) -> bool {
        match self.keeps(run).memory {
            true => self.had_oom(run),
            false => self.around.has_killed(),
        }
    }

    /// Whether the kernel has killed something in the cgroup of a run for its memory.
    fn had_oom(&self, run: Incarnation) -> bool {
        let events = self.runs.get(&run).and_then(|own| fs::read_to_string(own.dir.join("memory.events")).ok());
        events.and_then(|events| text::count(&events, "oom_kill")).is_some_and(|kills| kills > 0)
    }

    /// Kills all of a run at once, whatever it has become, where the kernel can do that.
    pub(super) fn kill(&self, run: Incarnation) {
        if let Some(own) = self.runs.get(&run) {
            kill_all(&own.dir);
        }
    }

    /// A run is over, or did not begin.
    pub(super) fn over(&mut self, run: Incarnation) {
        if let Some(own) = self.runs.remove(&run)
            && fs::remove_dir(&own.dir).is_err()
        {
            self.left.push(own.dir);
        }
    }

    /// At each tick: removes what could not be removed before. What is still in the cgroup of a run that is over has left everything
    /// else that would tell whose it is.
    pub(super) fn tidy(&mut self) {
        self.around.forget();
        let is_there = |dir: &PathBuf| removed(dir).is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
        self.left.retain(|dir| {
            kill_all(dir);
            is_there(dir)
        });
        // What is still in these is ended as the journal tells.
        self.earlier.retain(is_there);
    }

    fn place(&mut self) -> &At {
        if let At::Unknown = self.place {
            self.place = match base::take() {
                Ok(base) => {
                    tracing::info!("limits are kept by cgroups below {}", base.dir.display());
                    self.around = Around::find();
                    self.earlier = left_by_earlier(&base, &prefix(self.colony));
                    At::Below(base)
                }
                Err(why) => {
                    tracing::info!("no cgroups can be made for limits: {why}; memory is watched instead");
                    At::Nowhere(why)
                }
            };
        }
        &self.place
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        self.tidy();
    }
}

/// The cgroups of a monitor before this one, which was killed.
fn left_by_earlier(base: &Base, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(&base.dir).into_iter().flatten().flatten();
    let is_ours = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
    entries.filter(is_ours).map(|entry| entry.path()).filter(|dir| removed(dir).is_err()).collect()
}

fn prefix(colony: u64) -> String {
    format!("ncolony-{colony:016x}-")
}

/// Bytes of memory that a cgroup has, less those of files that the kernel would take back first: what cAdvisor and the
/// kubelet call its working set.
pub(super) fn working_set(dir: &Path) -> Option<u64> {
    let read = |file: &str| fs::read_to_string(dir.join(file)).ok();
    let all: u64 = read("memory.current")?.trim().parse().ok()?;
    Some(all.saturating_sub(text::count(&read("memory.stat")?, "inactive_file")?))
}

/// Makes a cgroup with these limits. If it exceeds that of memory all of it is killed, not what the kernel picks of it;
/// and as for a Pod there is no swap beyond it.
fn make(dir: &Path, limits: Limits, keeps: Keeps) -> Result<(), (&'static str, io::Error)> {
    let set = |file: &'static str, value: &str| fs::write(dir.join(file), value).map_err(|error| (file, error));
    base::make(dir).map_err(|error| ("making", error))?;
    if let Some(bytes) = limits.memory.filter(|_| keeps.memory) {
        set("memory.max", &bytes.to_string())?;
        // Kernels without these keep the limit as well.
        let _ = set("memory.oom.group", "1");
        let _ = set("memory.swap.max", "0");
    }
    if let Some(thousandths) = limits.cpu.filter(|_| keeps.cpu) {
        set("cpu.max", &text::cpu_max(thousandths))?;
    }
    Ok(())
}

fn refused(dir: &Path, what: &str, error: &io::Error) -> StartError {
    StartError {
        step: Step::Cgroup,
        errno: error.raw_os_error().unwrap_or(0),
        what: format!("cannot set its limits: {what} of the cgroup {}: {error}", dir.display()),
    }
}

fn kill_all(dir: &Path) {
    // Linux has it since 5.14; without it the tree is killed process by process, as everywhere.
    let file = File::options().write(true).open(dir.join("cgroup.kill"));
    let _ = file.and_then(|mut file| file.write_all(b"1"));
}

/// Removes a cgroup, and those that its processes have made in it.
fn removed(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            removed(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

#[cfg(test)]
mod tests;
