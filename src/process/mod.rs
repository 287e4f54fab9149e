//! The one owner of processes: it starts, signals and collects them, on one thread; nothing else in the program waits for
//! a child.
//!
//! A pid or a group is signalled only while something of it that is ours has not been collected: until then the kernel
//! cannot give the number to anybody else. Whatever our processes start stays below us, since we adopt its orphans
//! (as PID 1, or as a subreaper), so a run is over when nothing of it is left: not in its group, not outside of it.

mod birth;
mod brand;
mod capabilities;
mod cgroup;
mod collecting;
mod crowd;
mod env_file;
mod environment;
pub mod errand;
mod exits;
mod explain;
mod ghost;
mod heir;
mod helper;
mod identity;
mod kin;
mod kinship;
mod leavings;
mod ledger;
mod proc_fs;
pub mod solo;
mod stolen;
mod sys;
mod tree;
mod usage;
mod weigh;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use libc::pid_t;
use nix::sys::resource::{self, getrlimit, setrlimit};

use crate::model::{
    Birth, CpuTime, Exit, HelperId, Incarnation, Name, ProcessSpec, Resource, Signal, StartError, Step, set_of,
};
use birth::Marks;
use brand::Brands;
use cgroup::Cgroups;
use exits::Exits;
use ghost::Ghosts;
use heir::Heirs;
use helper::Helpers;
use kin::{First, Kin, Loss, Main, Who};
use leavings::Owner;
use proc_fs::{Adopted, Listed};
use sys::{Blueprint, Nursery};

pub use cgroup::Keeps;
pub use crowd::{CrowdCollector, Crowds, crowds};
pub use ghost::Remembered;
pub use heir::NoHeir;
pub use helper::Purpose;
pub use identity::forbidden;
pub use sys::Announce;
pub use usage::{Roots, Sample, Sampler};
pub use weigh::Weigher;

/// Gives back the memory that only this program's start has needed: of its heap, and of its own code.
pub fn let_go_of_start() {
    sys::let_go_of_heap();
    sys::let_go_of_text();
}

/// Has names of users, groups and hosts looked up by nothing that a static program would have to load. To be called before
/// the first look.
pub fn look_names_up_in_files() {
    sys::look_up_in_files();
}

/// Every process that is ours.
pub struct Children {
    nursery: Nursery,
    exits: Exits,
    null: File,
    nofile: Option<(u64, u64)>,
    brands: Brands,
    cgroups: Cgroups,
    adopted: Adopted,
    /// Who collects a crowd of them, if anybody does.
    crowds: Option<Crowds>,
    /// Whether orphans come to us.
    adopts: bool,
    colony: u64,
    next: NonZeroU64,
    /// The runs of which something is left.
    runs: BTreeMap<Incarnation, Kin>,
    /// Those that a monitor before this one started.
    ghosts: Ghosts,
    /// The pids of what was started for them, which are their groups' and sessions', too.
    by_pid: HashMap<pid_t, Incarnation>,
    /// Their main processes where those are not the ones that we have started.
    heirs: Heirs,
    /// What we start for runs beside their main processes.
    helpers: Helpers,
    /// Runs whose main process has gone.
    leaving: BTreeSet<Incarnation>,
    /// Runs whose main process has gone without its status, which was not told yet.
    stolen: Vec<Incarnation>,
    /// Adopted processes that live, and to whom each belongs, as of the last census.
    strays: BTreeMap<pid_t, Owner>,
    stray_count: u64,
    orphans_reaped: u64,
    /// What those of runs have used that were collected, and that was not told yet.
    spent: Vec<(Incarnation, CpuTime)>,
}

/// A process that has just been started.
struct Born {
    pid: pid_t,
    pidfd: Option<OwnedFd>,
    uid: u32,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// Its main process ended; the flag says whether something that it started is left.
    Exited(Incarnation, Exit, bool),
    /// The process that was started for it ended, and another is the main one.
    FirstExited(Incarnation, Exit),
    /// The kernel has killed it for want of memory; its exit comes next.
    OomKilled(Incarnation),
    /// Nothing of it is left.
    Emptied(Incarnation),
    /// One of its helpers ended.
    HelperExited(Incarnation, HelperId, Exit),
}

/// What a process is to its run.
#[derive(Clone, Copy)]
struct Role<'a> {
    /// The probe that it is the command of.
    probe: Option<HelperId>,
    /// Where it says what it has to say for the run.
    socket: Option<&'a str>,
    cgroup: Cgroup,
}

/// Whose limits it is within: the run's, or the monitor's own.
#[derive(Clone, Copy)]
enum Cgroup {
    Its,
    Ours,
}

/// Whom to signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// The main process.
    Main,
    /// All of the run.
    Tree,
}

/// Why there can be no owner of processes.
#[derive(Debug)]
pub struct Unable {
    what: &'static str,
    source: io::Error,
}

impl Children {
    /// Becomes the owner. To be called before anything is started, with the signal handlers in place. `colony` and `next`
    /// come from the journal: with a run's number, `colony` marks all of the run's processes.
    ///
    /// # Errors
    /// When /dev/null or memory for a child's stack cannot be had.
    pub fn new(colony: u64, next: NonZeroU64) -> Result<Children, Unable> {
        keep_descriptors_from_children();
        // Where it is refused, orphans go to PID 1 as they do without us, and a run's rest is its group.
        let adopts = nix::sys::prctl::set_child_subreaper(true);
        if let Err(error) = adopts {
            tracing::warn!(%error, "cannot become a subreaper; orphans of the processes will not be collected here");
        }
        if !proc_fs::is_ours() {
            tracing::warn!(
                "/proc is missing or tells of another PID namespace: what leaves its process group is not found"
            );
        }
        let null = File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .map_err(|source| Unable { what: "cannot open /dev/null", source })?;
        let nursery =
            Nursery::new(null.as_fd()).map_err(|source| Unable { what: "cannot make room for children", source })?;
        Ok(Children {
            nursery,
            exits: Exits::new(),
            null,
            nofile: raise_nofile(),
            brands: Brands::new(colony),
            cgroups: Cgroups::new(colony),
            adopted: Adopted::open(),
            crowds: None,
            adopts: adopts.is_ok() || std::process::id() == 1,
            colony,
            next,
            runs: BTreeMap::new(),
            ghosts: Ghosts::default(),
            by_pid: HashMap::new(),
            heirs: Heirs::new().map_err(|source| Unable { what: "cannot watch processes", source })?,
            helpers: Helpers::default(),
            leaving: BTreeSet::new(),
            stolen: Vec::new(),
            strays: BTreeMap::new(),
            stray_count: 0,
            orphans_reaped: 0,
            spent: Vec::new(),
        })
    }

    /// The number that the next run will have.
    pub fn next_run(&self) -> Incarnation {
        Incarnation::new(self.next)
    }

    /// Starts a run with these descriptors for its output (the monitor's own where `None`), and this for its
    /// `NOTIFY_SOCKET`. Returns when the program is executed.
    ///
    /// # Errors
    /// The step that failed, in words; nothing of the run is left then.
    pub fn start(
        &mut self,
        name: &Name,
        spec: &ProcessSpec,
        output: Option<[BorrowedFd<'_>; 2]>,
        announce: Option<Announce<'_>>,
        socket: Option<String>,
    ) -> Result<(Incarnation, pid_t), StartError> {
        let run = self.next_run();
        self.cgroups.prepare(run, spec.birth.limits)?;
        let role = Role { probe: None, socket: socket.as_deref(), cgroup: Cgroup::Its };
        let launched = self.launch(run, role, name, &spec.birth, output, announce);
        if launched.is_err() {
            self.cgroups.over(run);
        }
        let Born { pid, pidfd, uid } = launched?;
        self.next = self.next.saturating_add(1);
        self.runs.insert(run, Kin { pid, first: First::Child, main: Main::First, escaped: Vec::new(), uid, socket });
        self.by_pid.insert(pid, run);
        self.exits.watch(pid, pidfd);
        Ok((run, pid))
    }

    /// Makes a process of this run.
    fn launch(
        &mut self,
        run: Incarnation,
        role: Role<'_>,
        name: &Name,
        birth: &Birth,
        output: Option<[BorrowedFd<'_>; 2]>,
        announce: Option<Announce<'_>>,
    ) -> Result<Born, StartError> {
        let mark = self.mark(run);
        let probe = role.probe.map(|probe| leavings::mark(&mark, probe));
        let marks = Marks { run: &mark, probe: probe.as_deref(), socket: role.socket };
        let mut prepared = birth::prepare(name, birth, &marks)?;
        let mut own_pid = prepared.own_pid.take();
        let cgroup = match role.cgroup {
            Cgroup::Its => self.cgroups.joined(run)?,
            Cgroup::Ours => None,
        };
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let [out, err] = output.unwrap_or([stdout.as_fd(), stderr.as_fd()]);
        let mut plan = Blueprint {
            programs: &prepared.programs,
            argv: &prepared.argv,
            env: &prepared.env,
            own_pid: own_pid.as_deref_mut(),
            dir: prepared.dir.as_ref(),
            identity: prepared.identity.as_ref(),
            traits: prepared.traits.as_ref(),
            stdio: [self.null.as_fd(), out, err],
            nofile: self.nofile.filter(|_| !birth.rlimits.contains_key(&Resource::Nofile)),
            brand: self.brands.of(run),
            cgroup: cgroup.as_ref().map(|procs| procs.as_fd()),
            announce,
        };
        let launched = self.nursery.launch(&mut plan);
        let (pid, pidfd) = launched.map_err(|failed| explain::explain(birth, &prepared, failed))?;
        self.note_number_passed_on(pid);
        self.note_child_of_that_number(pid);
        Ok(Born { pid, pidfd, uid: prepared.uid })
    }

    /// Takes over what an earlier monitor started, as far as it lives and is, beyond doubt, what was remembered.
    pub fn inherit(&mut self, remembered: &[Remembered]) -> Vec<Incarnation> {
        if let Some(last) = remembered.iter().map(|past| past.run.get()).max() {
            self.next = self.next.max(NonZeroU64::MIN.saturating_add(last));
        }
        let marks: Vec<String> = remembered.iter().map(|past| self.mark(past.run)).collect();
        self.ghosts.find(remembered.iter().cloned().zip(marks))
    }

    /// The pid of a run's main process, while it lives.
    pub fn pid(&self, run: Incarnation) -> Option<pid_t> {
        match self.runs.get(&run) {
            Some(Kin { main: Main::First, first: First::Child, pid, .. }) => Some(*pid),
            Some(Kin { main: Main::Heir, .. }) => self.heirs.pid(run),
            Some(Kin { main: Main::First | Main::Over, .. }) => None,
            None => self.ghosts.pid(run),
        }
    }

    /// Which of a run's limits the kernel keeps.
    pub fn keeps(&self, run: Incarnation) -> Keeps {
        self.cgroups.keeps(run)
    }

    /// Why the kernel keeps no limits here, once that is known.
    pub fn keeps_nothing(&self) -> Option<&str> {
        self.cgroups.trouble()
    }

    /// What belongs to a run and descends from nothing else of it: its main process, its helpers, and its orphans as far
    /// as they are known.
    pub fn roots(&mut self, run: Incarnation) -> Vec<pid_t> {
        match self.adopted.list() {
            listed @ Listed::All(_) => self.census(listed),
            // Looking at all of a crowd is for when something has ended.
            Listed::Crowd | Listed::Unknown => {}
        }
        let mains = self.runs.get(&run).and_then(Kin::living).into_iter().chain(self.pid(run));
        // The heir may be an orphan, too.
        let roots: BTreeSet<pid_t> = set_of(self.strays_of(run).chain(mains).chain(self.helpers.of(run)));
        roots.into_iter().collect()
    }

    /// Sends a signal, and SIGCONT after any but SIGKILL, so that a stopped process can obey.
    ///
    /// # Errors
    /// The errno of the refusal; a process that has just ended is no error.
    pub fn signal(&mut self, run: Incarnation, reach: Reach, signal: Signal) -> Result<(), i32> {
        let sent = match reach {
            Reach::Main => self.signal_main(run, signal),
            Reach::Tree => {
                if signal == Signal::KILL {
                    self.cgroups.kill(run);
                }
                self.signal_tree(run, signal)
            }
        };
        match sent {
            Err(libc::ESRCH) => Ok(()),
            other => other,
        }
    }

    /// Sends a signal to the main process of a run, and no SIGCONT after it: a process that is to stop stays stopped.
    ///
    /// # Errors
    /// The errno, where the kernel refused; ESRCH where there is none that we started.
    pub fn signal_once(&self, run: Incarnation, signal: Signal) -> Result<(), i32> {
        match self.runs.get(&run) {
            // Not collected yet, so its number is its own.
            Some(Kin { main: Main::First, first: First::Child, pid, .. }) => sys::kill(*pid, signal.as_raw()),
            Some(Kin { main: Main::Heir, .. }) => self.heirs.signal_once(run, signal),
            Some(Kin { main: Main::First | Main::Over, .. }) | None => Err(libc::ESRCH),
        }
    }

    /// Remembers which descendants of a run have left its group, so that they are known for its own when they are
    /// orphans, whatever became of their environment.
    pub fn remember_escaped(&mut self, run: Incarnation) {
        match self.runs.get_mut(&run) {
            Some(kin) => {
                let roots: Vec<pid_t> = kin.living().into_iter().chain(self.heirs.pid(run)).collect();
                kin.escaped = tree::escaped(&roots, kin.pid);
            }
            None if self.ghosts.contains(run) => self.ghosts.census(),
            None => {}
        }
    }

    /// From now on a crowd of orphans is collected by the main thread. Only for an owner on another one.
    #[must_use]
    pub fn with_crowds(mut self, crowds: Option<Crowds>) -> Children {
        self.crowds = crowds;
        self
    }

    /// Whether a run of an earlier monitor is left: its end wakes nobody, so it must be looked for.
    pub fn has_ghosts(&self) -> bool {
        !self.ghosts.is_empty()
    }

    /// Whether some run has lost its main process but not all the rest, whose end may wake nobody.
    pub fn has_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Adopted processes collected so far.
    pub fn orphans_reaped(&self) -> u64 {
        self.orphans_reaped
    }

    /// Adopted processes that lived at the last look.
    pub fn strays(&self) -> u64 {
        self.stray_count
    }

    /// Sends a signal to all that is left below us, whoever's it is: for the end of the colony, when no run is left.
    /// Says whether there was anything.
    pub fn signal_strays(&mut self, signal: Signal) -> bool {
        let listed = self.adopted.list();
        self.census(listed);
        let roots: Vec<pid_t> = self.strays.keys().copied().collect();
        tree::signal_each(&roots, signal);
        !roots.is_empty()
    }

    /// Whether something that we adopted lives.
    pub fn has_strays(&mut self) -> bool {
        let listed = self.adopted.list();
        self.census(listed);
        !self.strays.is_empty()
    }

    /// The kernel has given this number away, so no group of that name is an earlier run's.
    fn note_number_passed_on(&mut self, pid: pid_t) {
        for run in &self.leaving {
            if let Some(Kin { pid: number, first: First::Gone(has_group), .. }) = self.runs.get_mut(run)
                && *number == pid
            {
                *has_group = false;
            }
        }
    }

    fn mark(&self, run: Incarnation) -> String {
        format!("{:016x}.{run}", self.colony)
    }

    fn signal_main(&mut self, run: Incarnation, signal: Signal) -> Result<(), i32> {
        match self.runs.get(&run) {
            Some(Kin { main: Main::First, first: First::Child, pid, .. }) => tree::send(*pid, signal),
            Some(Kin { main: Main::Heir, .. }) => self.heirs.signal(run, signal),
            Some(Kin { main: Main::First | Main::Over, .. }) => Ok(()),
            None => self.ghosts.signal_main(run, signal),
        }
    }

    fn signal_tree(&mut self, run: Incarnation, signal: Signal) -> Result<(), i32> {
        if self.ghosts.contains(run) {
            return self.ghosts.signal_all(run, signal);
        }
        let (mut sent, mut told) = (Ok(()), HashSet::new());
        for sweep in 0..tree::SWEEPS {
            let listed = self.adopted.list();
            self.census(listed);
            let Some(kin) = self.runs.get(&run) else { return sent };
            let (lives, has_group) = match &kin.first {
                First::Child => (true, true),
                First::Gone(has_group) => (false, *has_group),
            };
            // Where there is no group to be told, all are outside of it: no group has the number 0.
            let group = if has_group { kin.pid } else { 0 };
            let own: Vec<pid_t> = self.strays_of(run).chain(self.helpers.of(run)).collect();
            let roots: Vec<pid_t> = own.iter().copied().chain(lives.then_some(kin.pid)).collect();
            // They are held before the group is told: once their parents are dead they are not found below them.
            let outside = tree::outside(group, &roots, &own, &mut told);
            // Not collected, or with a member below us: the group's number cannot have passed to anybody else.
            if sweep == 0 && (lives || (has_group && tree::is_group_ours(kin.pid, self.adopts, self.strays.keys()))) {
                sent = tree::send(-kin.pid, signal);
            }
            for one in &outside {
                one.send(signal);
            }
            if signal != Signal::KILL || (sweep > 0 && outside.is_empty()) {
                break;
            }
        }
        sent
    }
}

impl std::fmt::Debug for Children {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Children").field("runs", &self.runs.len()).field("strays", &self.strays).finish_non_exhaustive()
    }
}

impl std::fmt::Display for Unable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for Unable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A start that could not even be tried, since its pipes could not be made.
pub fn no_output(error: &io::Error) -> StartError {
    let what = format!("cannot make its output's pipes: {error}");
    StartError { step: Step::Output, errno: error.raw_os_error().unwrap_or(0), what }
}

/// A start that could not even be tried, since its notify socket could not be made.
pub fn no_socket(error: &io::Error) -> StartError {
    let what = format!("cannot make its notify socket: {error}");
    StartError { step: Step::Notify, errno: error.raw_os_error().unwrap_or(0), what }
}

/// Whoever started us may have left descriptors open; children get 0, 1 and 2 alone.
fn keep_descriptors_from_children() {
    if sys::close_on_exec_from_3().is_ok() {
        return;
    }
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        sys::close_on_exec(fd);
    }
}

/// The monitor needs three descriptors a process (two pipes, a pidfd); the children get the limit that it was given itself.
fn raise_nofile() -> Option<(u64, u64)> {
    let (soft, hard) = getrlimit(resource::Resource::RLIMIT_NOFILE).ok()?;
    setrlimit(resource::Resource::RLIMIT_NOFILE, hard, hard).ok()?;
    (soft != hard).then_some((soft, hard))
}
