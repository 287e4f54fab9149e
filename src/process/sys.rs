//! The raw calls: the only `unsafe` of the crate.
//!
//! A run is made by `clone(CLONE_VM | CLONE_VFORK)` on a stack of its own: no page table is copied, no thread is needed,
//! `clone3` is not used (old seccomp profiles refuse it), and the parent stands still until the child has executed its
//! program or given up, so that a failed step is reported through memory that both see. Between clone and exec the child
//! makes raw system calls on prepared memory only: no allocation, no lock, no log. libc's `setuid` family is avoided, since
//! it would try to change the threads of the parent, whose memory the child shares.
#![expect(unsafe_code, reason = "clone, wait, kill and pidfd are raw system calls; every use is in this file")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;

use libc::{c_long, pid_t};

use crate::model::{Exit, Signal, Step};

/// All that the child needs, made before it exists.
pub(super) struct Blueprint<'a> {
    /// What to execute: tried in this order, as execvp does along PATH.
    pub programs: &'a [CString],
    pub argv: &'a [CString],
    pub env: &'a [CString],
    pub dir: Option<&'a CString>,
    pub identity: Option<&'a Identity>,
    /// For 0, 1 and 2.
    pub stdio: [BorrowedFd<'a>; 3],
    /// The soft limit of open files that the monitor was given; it has raised its own.
    pub nofile: Option<(u64, u64)>,
    /// The limits of "file locks" that tell whose it is.
    pub brand: Option<(u64, u64)>,
    pub announce: Option<Announce<'a>>,
}

/// Whom the child becomes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Identity {
    /// In ascending order; `None`: the groups are right already.
    pub groups: Option<Vec<u32>>,
    pub gid: u32,
    /// `None`: the user is right already.
    pub uid: Option<u32>,
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
pub(super) struct Nursery {
    stack: *mut c_void,
    report: *mut Report,
    /// For 0, 1, 2 and the announcement. They are low, since they are made early, so a table that ends after them is small.
    pad: [OwnedFd; 4],
    /// Whether children can take a table of descriptors of their own.
    shares: bool,
}

#[repr(C)]
struct Report {
    step: c_int,
    errno: c_int,
}

const STACK: usize = 64 * 1024;

/// The child's arguments, on the parent's stack while it stands still.
struct Order {
    programs: Vec<*const c_char>,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    dir: *const c_char,
    identity: *const Identity,
    pad: [RawFd; 4],
    shares: bool,
    /// Room for as many groups as the identity has.
    groups: Vec<u32>,
    nofile: Option<libc::rlimit64>,
    brand: Option<libc::rlimit64>,
    announce: *mut RawAnnounce,
    parent: pid_t,
    report: *mut Report,
}

struct RawAnnounce {
    line: *mut u8,
    len: usize,
    pid: std::ops::Range<usize>,
    born: std::ops::Range<usize>,
}

impl Nursery {
    /// To be called early, while descriptors are low.
    pub(super) fn new(null: BorrowedFd<'_>) -> io::Result<Nursery> {
        let pad = || null.try_clone_to_owned();
        let pad = [pad()?, pad()?, pad()?, pad()?];
        let stack = map(STACK, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE)?;
        let report = map(size_of::<Report>(), libc::MAP_SHARED | libc::MAP_ANONYMOUS)?.cast();
        Ok(Nursery { stack, report, pad, shares: true })
    }

    /// Makes a child and waits until it executes its program; returns its pid and, where there are pidfds, its own. All signals are blocked meanwhile, so that no handler of
    /// ours runs in the child, whose memory is ours.
    ///
    /// # Errors
    /// The step that failed, and the errno.
    pub(super) fn launch(&mut self, plan: &mut Blueprint<'_>) -> Result<(pid_t, Option<OwnedFd>), (Step, i32)> {
        self.furnish(plan).map_err(|errno| (Step::Descriptors, errno))?;
        let mut launched = self.launch_once(plan);
        if self.shares && matches!(launched, Err((Step::Descriptors, _))) {
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

    fn launch_once(&mut self, plan: &mut Blueprint<'_>) -> Result<(pid_t, Option<OwnedFd>), (Step, i32)> {
        let mut announce = plan.announce.as_mut().map(|announce| RawAnnounce {
            line: announce.line.as_mut_ptr(),
            len: announce.line.len(),
            pid: announce.pid.clone(),
            born: announce.born.clone(),
        });
        let mut order = Order {
            programs: pointers(plan.programs),
            argv: pointers(plan.argv),
            env: pointers(plan.env),
            dir: plan.dir.map_or(ptr::null(), |dir| dir.as_ptr()),
            identity: plan.identity.map_or(ptr::null(), ptr::from_ref),
            pad: self.pad.each_ref().map(AsRawFd::as_raw_fd),
            shares: self.shares,
            groups: plan.identity.and_then(|identity| identity.groups.clone()).unwrap_or_default(),
            nofile: plan.nofile.map(limit),
            brand: plan.brand.map(limit),
            announce: announce.as_mut().map_or(ptr::null_mut(), ptr::from_mut),
            parent: nix::unistd::getpid().as_raw(),
            report: self.report,
        };
        // SAFETY: the page was mapped for this and no child runs.
        unsafe { self.report.write_volatile(Report { step: -1, errno: 0 }) };
        let (pid, pidfd) = self.clone_blocked(&mut order).map_err(|errno| (Step::Fork, errno))?;
        // SAFETY: as above; the child has executed another program or is gone.
        let report = unsafe { self.report.read_volatile() };
        match STEPS.get(usize::try_from(report.step).unwrap_or(usize::MAX)) {
            None => Ok((pid, pidfd)),
            Some(step) => {
                // It has exited; nobody else may collect it.
                let _ = wait(Which::Pid(pid), Wait::Block);
                Err((*step, report.errno))
            }
        }
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

/// What may fail in the child, by the number that it reports.
const STEPS: [Step; 8] =
    [Step::Session, Step::Descriptors, Step::Groups, Step::Gid, Step::Uid, Step::Verify, Step::Directory, Step::Exec];
const SESSION: c_int = 0;
const DESCRIPTORS: c_int = 1;
const GROUPS: c_int = 2;
const GID: c_int = 3;
const UID: c_int = 4;
const VERIFY: c_int = 5;
const DIRECTORY: c_int = 6;
const EXEC: c_int = 7;

/// The child. Never returns.
extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: `launch` passes a valid `Order` that stays in place until this process executes or exits; see the module's
    // head for what may be called here.
    unsafe {
        let order = &mut *order.cast::<Order>();
        let (step, errno) = be_born(order);
        (*order.report).errno = errno;
        (*order.report).step = step;
        raw_exit()
    }
}

/// # Safety
/// Only in the child: see [`child`].
unsafe fn be_born(order: &mut Order) -> (c_int, c_int) {
    // SAFETY: raw system calls on memory that `launch` prepared.
    unsafe {
        if call(libc::SYS_setsid, [0; 4]).is_err() {
            return (SESSION, errno());
        }
        default_signals();
        if order.shares && own_descriptors(order).is_err() {
            return (DESCRIPTORS, errno());
        }
        for (to, from) in (0..3).zip(order.pad) {
            if call(libc::SYS_dup3, [c_long::from(from), to, 0, 0]).is_err() {
                return (DESCRIPTORS, errno());
            }
        }
        // Keeping the monitor's higher limit of files is harmless, and a brand is the second of two marks: a refusal of
        // either is no reason not to run.
        for (which, limit) in [(libc::RLIMIT_NOFILE, &order.nofile), (libc::RLIMIT_LOCKS, &order.brand)] {
            if let Some(limit) = limit {
                let _ = call(libc::SYS_prlimit64, [0, which as c_long, ptr::from_ref(limit) as c_long, 0]);
            }
        }
        if let Some(identity) = order.identity.as_ref()
            && let Err(step) = become_user(identity, &mut order.groups)
        {
            return (step, errno());
        }
        if !order.dir.is_null() && call(libc::SYS_chdir, [order.dir as c_long, 0, 0, 0]).is_err() {
            return (DIRECTORY, errno());
        }
        if let Some(announce) = order.announce.as_mut() {
            write_announcement(announce, order.pad[3]);
        }
        // A monitor that was killed meanwhile must not leave a run that nobody knows.
        if call(libc::SYS_getppid, [0; 4]) != Ok(c_long::from(order.parent)) {
            raw_exit();
        }
        let none: u64 = 0;
        let _ = call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as c_long, ptr::from_ref(&none) as c_long, 0, 8]);
        (EXEC, execute(order))
    }
}

/// A table of descriptors of its own that ends after the pad; before that, the table is the parent's.
///
/// # Safety
/// Only in the child: see [`child`].
unsafe fn own_descriptors(order: &Order) -> Result<(), ()> {
    let above = order.pad.iter().copied().max().unwrap_or(2) + 1;
    // CLOSE_RANGE_UNSHARE, which is 2. Old kernels and some sandboxes have unshare alone, which copies all.
    // SAFETY: raw system calls without memory.
    unsafe {
        call(libc::SYS_close_range, [c_long::from(above), c_long::from(u32::MAX), 2, 0])
            .or_else(|()| call(libc::SYS_unshare, [c_long::from(libc::CLONE_FILES), 0, 0, 0]))
            .map(drop)
    }
}

/// Along PATH as execvp does it: a program that may not be executed is remembered while the search goes on.
///
/// # Safety
/// Only in the child: see [`child`].
unsafe fn execute(order: &Order) -> c_int {
    let mut worst = libc::ENOENT;
    // The last entry is the list's terminating null pointer.
    let tried = &order.programs[..order.programs.len() - 1];
    for program in tried {
        let args = [*program as c_long, order.argv.as_ptr() as c_long, order.env.as_ptr() as c_long, 0];
        // SAFETY: null-terminated lists of C strings that live in the parent.
        let _ = unsafe { call(libc::SYS_execve, args) };
        match errno() {
            libc::ENOENT | libc::ENOTDIR if tried.len() > 1 => {}
            libc::EACCES => worst = libc::EACCES,
            other => return other,
        }
    }
    worst
}

/// Groups first, user last: each needs the rights that the next gives up. Then what the kernel says is compared with
/// what was asked for: a child never runs with more.
///
/// # Safety
/// Only in the child: see [`child`].
unsafe fn become_user(identity: &Identity, room: &mut [u32]) -> Result<(), c_int> {
    // SAFETY: raw system calls; the pointers are to live memory of the right size.
    unsafe {
        let gid = c_long::from(identity.gid);
        if let Some(groups) = &identity.groups {
            call(libc::SYS_setgroups, [groups.len() as c_long, groups.as_ptr() as c_long, 0, 0])
                .map_err(|()| GROUPS)?;
            // More than there is room for is an error.
            let count = call(libc::SYS_getgroups, [room.len() as c_long, room.as_mut_ptr() as c_long, 0, 0])
                .map_err(|()| VERIFY)?;
            if !room.iter().take(count as usize).all(|group| groups.binary_search(group).is_ok()) {
                return Err(VERIFY);
            }
        }
        call(libc::SYS_setresgid, [gid, gid, gid, 0]).map_err(|()| GID)?;
        let mut ids = [0u32; 6];
        let base = ids.as_mut_ptr();
        let at = |index: usize| base.add(index) as c_long;
        if let Some(uid) = identity.uid {
            let uid = c_long::from(uid);
            call(libc::SYS_setresuid, [uid, uid, uid, 0]).map_err(|()| UID)?;
        }
        call(libc::SYS_getresuid, [at(0), at(1), at(2), 0]).map_err(|()| VERIFY)?;
        call(libc::SYS_getresgid, [at(3), at(4), at(5), 0]).map_err(|()| VERIFY)?;
        let ids = base.cast::<[u32; 6]>().read_volatile();
        let uid_is_right = identity.uid.is_none_or(|uid| ids[..3] == [uid; 3]);
        if uid_is_right && ids[3..] == [identity.gid; 3] { Ok(()) } else { Err(VERIFY) }
    }
}

/// # Safety
/// Only in the child: the handlers are the parent's code.
unsafe fn default_signals() {
    // The kernel's struct sigaction, all zero: SIG_DFL, no flags, an empty mask. libc's would refuse 32 and 33.
    let default = [0u64; 4];
    for number in 1..=64 {
        // KILL and STOP are refused, which is as it should be.
        // SAFETY: the kernel reads 32 bytes.
        let _ = unsafe { call(libc::SYS_rt_sigaction, [number, ptr::from_ref(&default) as c_long, 0, 8]) };
    }
}

/// # Safety
/// Only in the child: see [`child`].
unsafe fn write_announcement(announce: &mut RawAnnounce, to: RawFd) {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the line is `len` bytes that belong to the parent, which stands still; the clock writes to our stack.
    unsafe {
        let _ =
            call(libc::SYS_clock_gettime, [libc::CLOCK_BOOTTIME as c_long, ptr::from_mut(&mut now) as c_long, 0, 0]);
        let pid = call(libc::SYS_getpid, [0; 4]).unwrap_or(0);
        let line = std::slice::from_raw_parts_mut(announce.line, announce.len);
        digits(line, &announce.pid, pid as u64);
        digits(line, &announce.born, now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64);
        let _ = call(libc::SYS_write, [c_long::from(to), announce.line as c_long, announce.len as c_long, 0]);
    }
}

/// Writes a number, right-aligned, filled with zeros.
fn digits(line: &mut [u8], range: &std::ops::Range<usize>, mut number: u64) {
    if let Some(field) = line.get_mut(range.clone()) {
        for place in field.iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
}

/// # Safety
/// Ends the process at once; only in the child.
unsafe fn raw_exit() -> ! {
    loop {
        // SAFETY: exit_group does not return.
        let _ = unsafe { call(libc::SYS_exit_group, [127, 0, 0, 0]) };
    }
}

/// # Safety
/// As the system call demands.
unsafe fn call(number: c_long, args: [c_long; 4]) -> Result<c_long, ()> {
    // SAFETY: the caller's.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3]) };
    if result < 0 { Err(()) } else { Ok(result) }
}

/// Whom to wait for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// Whoever is a child of this very thread.
    Own,
    /// Whoever is a child of this process.
    Any,
    /// This child.
    Pid(pid_t),
}

/// How to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wait {
    /// Not at all: collect who has ended.
    Poll,
    /// Until it ends.
    Block,
}

/// Collects a child that has ended. Raw, since typed wrappers cannot say "real-time signal".
///
/// # Errors
/// The errno; `ECHILD` when there is no such child.
pub(super) fn wait(which: Which, how: Wait) -> Result<Option<(pid_t, Exit)>, i32> {
    let (kind, id, only) = match which {
        Which::Own => (libc::P_ALL, 0, libc::__WNOTHREAD),
        Which::Any => (libc::P_ALL, 0, 0),
        Which::Pid(pid) => (libc::P_PID, pid as libc::id_t, 0),
    };
    let options = libc::WEXITED | only | if how == Wait::Poll { libc::WNOHANG } else { 0 };
    loop {
        let mut info: libc::siginfo_t = zeroed();
        // SAFETY: `info` is valid for writing.
        if unsafe { libc::waitid(kind, id, &mut info, options) } == 0 {
            // SAFETY: waitid fills in these fields, or leaves them zero.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            return Ok((pid != 0).then(|| (pid, exit(info.si_code, status))));
        }
        match errno() {
            libc::EINTR => {}
            other => return Err(other),
        }
    }
}

/// Whether a process is our own child, ended or not.
pub(super) fn is_child(pid: pid_t) -> bool {
    let mut info: libc::siginfo_t = zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for writing.
    unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, options) == 0 || errno() != libc::ECHILD }
}

/// Whether a process group has a member that is our own child, ended or not; exact, whatever became of its number.
pub(super) fn has_child_in_group(group: pid_t) -> bool {
    let mut info: libc::siginfo_t = zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for writing.
    unsafe { libc::waitid(libc::P_PGID, group as libc::id_t, &mut info, options) == 0 }
}

fn exit(code: c_int, status: c_int) -> Exit {
    match (code, Signal::from_raw(status)) {
        (libc::CLD_KILLED, Some(signal)) => Exit::Killed { signal, core_dumped: false },
        (libc::CLD_DUMPED, Some(signal)) => Exit::Killed { signal, core_dumped: true },
        _ => Exit::Code(status as u8),
    }
}

/// Sends a signal, 0 to ask only, to a process or, with a negative number, to a group.
///
/// # Errors
/// The errno; `ESRCH` when there is no such process.
pub(super) fn kill(pid: pid_t, signal: c_int) -> Result<(), i32> {
    // SAFETY: kill has no memory in its arguments.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(errno()) }
}

/// A descriptor of a process, which no other process can come to be.
///
/// # Errors
/// The errno; `ENOSYS` or `EPERM` where the kernel or a sandbox has no pidfds.
pub(super) fn pidfd_open(pid: pid_t) -> Result<OwnedFd, i32> {
    // SAFETY: no memory in the arguments; a descriptor that it returns is new, and so ours.
    unsafe {
        match libc::syscall(libc::SYS_pidfd_open, pid, 0) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd as RawFd)),
            _ => Err(errno()),
        }
    }
}

/// Sends a signal through a pidfd.
///
/// # Errors
/// The errno.
pub(super) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: c_int) -> Result<(), i32> {
    let info: *const libc::siginfo_t = ptr::null();
    // SAFETY: a null siginfo means what kill does.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    if result == 0 { Ok(()) } else { Err(errno()) }
}

/// Marks every descriptor from 3 on as not for children. Whoever started us may have left some open.
///
/// # Errors
/// The errno; `ENOSYS` or `EINVAL` where the kernel has no such call.
pub(super) fn close_on_exec_from_3() -> Result<(), i32> {
    // CLOSE_RANGE_CLOEXEC, which is 4.
    // SAFETY: it closes nothing now and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 4u32) };
    if result == 0 { Ok(()) } else { Err(errno()) }
}

/// Marks one descriptor as not for children.
pub(super) fn close_on_exec(fd: RawFd) {
    // SAFETY: it changes a flag of the descriptor, if there is one of that number.
    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Makes `slot` another name of `from`; children do not get it.
fn place(from: BorrowedFd<'_>, slot: &OwnedFd) -> Result<(), i32> {
    // SAFETY: both are open, and the slot's descriptor stays the slot's.
    match unsafe { libc::dup3(from.as_raw_fd(), slot.as_raw_fd(), libc::O_CLOEXEC) } {
        // dup3 refuses to make a descriptor its own copy.
        -1 if from.as_raw_fd() != slot.as_raw_fd() => Err(errno()),
        _ => Ok(()),
    }
}

fn limit((soft, hard): (u64, u64)) -> libc::rlimit64 {
    libc::rlimit64 { rlim_cur: soft, rlim_max: hard }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

fn map(len: usize, flags: c_int) -> io::Result<*mut c_void> {
    // SAFETY: a new anonymous mapping.
    let at = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at) }
}

fn zeroed<T: Copy>() -> T {
    // SAFETY: used for the C structs of signals only, for which all zero is valid.
    unsafe { std::mem::zeroed() }
}

fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}
