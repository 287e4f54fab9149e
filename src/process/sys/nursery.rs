//! The parent's side of a start: what is made ready, the clone, and what is heard of it.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

use libc::pid_t;

use super::child::{Failed, Order, OwnPid, RawAnnounce, Report, STEPS, changed_signals, child};
use super::rights::Identity;
use super::traits::Traits;
use super::{Wait, Which, errno, place, wait, zeroed};
use crate::model::Step;

/// All that the child needs, made before it exists.
pub(in crate::process) struct Blueprint<'a> {
    /// What to execute: tried in this order, as execvp does along PATH.
    pub programs: &'a [CString],
    pub argv: &'a [CString],
    pub env: &'a [CString],
    /// A variable whose value is the child's own pid: `NAME=`, then room for the digits, and a NUL.
    pub own_pid: Option<&'a mut [u8]>,
    pub dir: Option<&'a CString>,
    pub identity: Option<&'a Identity>,
    pub traits: Option<&'a Traits>,
    /// For 0, 1 and 2.
    pub stdio: [BorrowedFd<'a>; 3],
    /// The soft limit of open files that the monitor was given; it has raised its own.
    pub nofile: Option<(u64, u64)>,
    /// The limits of "file locks" that tell whose it is.
    pub brand: Option<(u64, u64)>,
    /// The cgroup.procs of the one that keeps its limits.
    pub cgroup: Option<BorrowedFd<'a>>,
    pub announce: Option<Announce<'a>>,
}

/// A line that the child itself writes before it executes its program, so that no crash of the monitor can leave a run
/// unrecorded. Its pid and its birth (nanoseconds of CLOCK_BOOTTIME) are filled in, right-aligned, by the child.
#[derive(Debug)]
pub struct Announce<'a> {
    /// A descriptor that is open for appending.
    pub to: BorrowedFd<'a>,
    /// The line; where the numbers go it holds blanks or zeros.
    pub line: &'a mut [u8],
    /// Where the pid goes.
    pub pid: std::ops::Range<usize>,
    /// Where the birth goes.
    pub born: std::ops::Range<usize>,
}

/// A stack for the child, a page that it reports through, and low descriptors that it starts from; all used by one child at
/// a time.
pub(in crate::process) struct Nursery {
    stack: *mut c_void,
    report: *mut Report,
    /// For 0, 1, 2 and the announcement. They are low, since they are made early, so a table that ends after them is small.
    pad: [OwnedFd; 4],
    /// Whether children can take a table of descriptors of their own.
    shares: bool,
    /// The signals that a child has to give their default action back: asked for once, since it takes as long as all else
    /// that a child does.
    changed: Vec<c_int>,
}

const STACK: usize = 64 * 1024;

impl Nursery {
    /// To be called early, while descriptors are low, but with the signal handlers in place.
    pub(in crate::process) fn new(null: BorrowedFd<'_>) -> io::Result<Nursery> {
        let pad = || null.try_clone_to_owned();
        let pad = [pad()?, pad()?, pad()?, pad()?];
        let stack = map(STACK, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE)?;
        let report = map(size_of::<Report>(), libc::MAP_SHARED | libc::MAP_ANONYMOUS)?.cast();
        Ok(Nursery { stack, report, pad, shares: true, changed: changed_signals() })
    }

    /// Makes a child and waits until it executes its program; returns its pid and, where there are pidfds, its own. All signals are blocked meanwhile, so that no handler of
    /// ours runs in the child, whose memory is ours.
    ///
    /// # Errors
    /// What failed, and why.
    pub(in crate::process) fn launch(&mut self, plan: &mut Blueprint<'_>) -> Result<(pid_t, Option<OwnedFd>), Failed> {
        self.furnish(plan).map_err(|errno| Failed { step: Step::Descriptors, errno, which: 0 })?;
        let mut launched = self.launch_once(plan);
        if self.shares && matches!(launched, Err(Failed { step: Step::Descriptors, .. })) {
            // A sandbox refuses both ways to a table of its own: then it gets a copy.
            self.shares = false;
            launched = self.launch_once(plan);
        }
        // Else the pipes would never end.
        let _ = (1..4).try_for_each(|slot| place(self.pad[0].as_fd(), &self.pad[slot]));
        launched
    }

    fn furnish(&self, plan: &Blueprint<'_>) -> Result<(), i32> {
        for (from, slot) in plan.stdio.iter().zip(&self.pad) {
            place(*from, slot)?;
        }
        plan.announce.as_ref().map_or(Ok(()), |announce| place(announce.to, &self.pad[3]))
    }

    fn launch_once(&mut self, plan: &mut Blueprint<'_>) -> Result<(pid_t, Option<OwnedFd>), Failed> {
        let mut announce = plan.announce.as_mut().map(|announce| RawAnnounce {
            line: announce.line.as_mut_ptr(),
            len: announce.line.len(),
            pid: announce.pid.clone(),
            born: announce.born.clone(),
        });
        let own_pid = plan.own_pid.as_mut().map(|variable| OwnPid { at: variable.as_mut_ptr(), len: variable.len() });
        let mut order = Order {
            programs: pointers(plan.programs, None),
            argv: pointers(plan.argv, None),
            env: pointers(plan.env, own_pid.as_ref().map(|variable| variable.at.cast_const().cast())),
            own_pid,
            dir: plan.dir.map_or(ptr::null(), |dir| dir.as_ptr()),
            identity: plan.identity.map_or(ptr::null(), ptr::from_ref),
            traits: plan.traits.map_or(ptr::null(), ptr::from_ref),
            pad: self.pad.each_ref().map(AsRawFd::as_raw_fd),
            shares: self.shares,
            changed: ptr::from_ref(self.changed.as_slice()),
            cgroup: plan.cgroup.map(|procs| procs.as_raw_fd()),
            groups: plan.identity.and_then(|identity| identity.groups.clone()).unwrap_or_default(),
            nofile: plan.nofile.map(limit),
            brand: plan.brand.map(limit),
            announce: announce.as_mut().map_or(ptr::null_mut(), ptr::from_mut),
            parent: nix::unistd::getpid().as_raw(),
            report: self.report,
        };
        // SAFETY: the page was mapped for this and no child runs.
        unsafe { self.report.write_volatile(Report { step: -1, errno: 0, which: 0 }) };
        let (pid, pidfd) =
            self.clone_blocked(&mut order).map_err(|errno| Failed { step: Step::Fork, errno, which: 0 })?;
        // SAFETY: as above; the child has executed another program or is gone.
        let report = unsafe { self.report.read_volatile() };
        if report.step < 0 {
            return Ok((pid, pidfd));
        }
        // It has exited; nobody else may collect it.
        let _ = wait(Which::Pid(pid), Wait::Block);
        let step = STEPS.into_iter().find(|step| *step as c_int == report.step).unwrap_or(Step::Exec);
        Err(Failed { step, errno: report.errno, which: report.which })
    }

    fn clone_blocked(&mut self, order: &mut Order) -> Result<(pid_t, Option<OwnedFd>), i32> {
        let mut all: libc::sigset_t = zeroed();
        let mut before: libc::sigset_t = zeroed();
        // SAFETY: both sets are valid; the mask is put back below on every path.
        unsafe {
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        }
        let files = if order.shares { libc::CLONE_FILES } else { 0 };
        let order: *mut c_void = ptr::from_mut(order).cast();
        let mut result = Err(libc::ENOSYS);
        for flags in WAYS_TO_CLONE {
            result = self.clone_with(flags | files, order);
            // Whether a sandbox refuses the flags or no descriptor is left for the pidfd: the next way asks for less.
            if !matches!(result, Err(libc::EPERM | libc::ENOSYS | libc::EINVAL | libc::EMFILE | libc::ENFILE)) {
                break;
            }
        }
        // SAFETY: `before` was filled in above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
        result
    }

    fn clone_with(&mut self, flags: c_int, order: *mut c_void) -> Result<(pid_t, Option<OwnedFd>), i32> {
        let mut pidfd: c_int = -1;
        // SAFETY: the stack is ours, STACK bytes long, grows down, and is used by this child alone; `order` outlives the
        // child's use of it, since CLONE_VFORK suspends this thread until the child has executed or exited. The kernel
        // writes the pidfd, if it makes one, before it returns.
        let pid = unsafe { libc::clone(child, self.stack.byte_add(STACK), flags, order, &raw mut pidfd) };
        if pid < 0 {
            return Err(errno());
        }
        // A kernel without pidfds ignores the flag.
        let has_pidfd = flags & libc::CLONE_PIDFD != 0 && pidfd >= 0;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok((pid, has_pidfd.then(|| unsafe { OwnedFd::from_raw_fd(pidfd) })))
    }
}

/// From the best to the plainest: without a pidfd an exit is looked for among all children, and without shared memory the
/// page tables are copied. CLONE_VFORK holds us back in each.
const WAYS_TO_CLONE: [c_int; 3] = [
    libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD,
    libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
    libc::CLONE_VFORK | libc::SIGCHLD,
];

// SAFETY: the two mappings are reached through `&mut self` only, so whichever thread owns the value owns them.
unsafe impl Send for Nursery {}

fn limit((soft, hard): (u64, u64)) -> libc::rlimit64 {
    libc::rlimit64 { rlim_cur: soft, rlim_max: hard }
}

fn pointers(strings: &[CString], more: Option<*const c_char>) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain(more).chain([ptr::null()]).collect()
}

fn map(len: usize, flags: c_int) -> io::Result<*mut c_void> {
    // SAFETY: a new anonymous mapping.
    let at = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at) }
}
