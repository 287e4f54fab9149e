//! The child's side of a start: raw system calls on memory that the parent has prepared, from clone to exec.

use std::convert::Infallible;
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;

use libc::{c_long, pid_t};

use super::errno;
use super::rights::{Identity, become_user, narrow_bounds, take_rights, verify_rights};
use super::traits::{Traits, renounce_new_privs, take_early, take_late};
use crate::model::Step;

#[repr(C)]
pub(super) struct Report {
    pub(super) step: c_int,
    pub(super) errno: c_int,
    pub(super) which: c_int,
}

/// What failed, and why.
#[derive(Clone, Copy, Debug)]
pub(in crate::process) struct Failed {
    pub step: Step,
    /// 0 where the kernel said that it was done, and it was not.
    pub errno: c_int,
    /// Which limit or capability it was about.
    pub which: c_int,
}

/// The child's arguments, on the parent's stack while it stands still.
pub(super) struct Order {
    pub(super) programs: Vec<*const c_char>,
    pub(super) argv: Vec<*const c_char>,
    /// Ends with the variable that is `own_pid`, where there is one.
    pub(super) env: Vec<*const c_char>,
    pub(super) own_pid: Option<OwnPid>,
    pub(super) dir: *const c_char,
    pub(super) identity: *const Identity,
    pub(super) traits: *const Traits,
    pub(super) pad: [RawFd; 4],
    pub(super) shares: bool,
    /// The signals that have not their default action here.
    pub(super) changed: *const [c_int],
    /// Where it joins its cgroup.
    pub(super) cgroup: Option<RawFd>,
    /// Room for as many groups as the identity has.
    pub(super) groups: Vec<u32>,
    pub(super) nofile: Option<libc::rlimit64>,
    pub(super) brand: Option<libc::rlimit64>,
    pub(super) announce: *mut RawAnnounce,
    pub(super) parent: pid_t,
    pub(super) report: *mut Report,
}

/// A variable, `NAME=` and room for digits and a NUL, to which the child adds its pid.
pub(super) struct OwnPid {
    pub(super) at: *mut u8,
    pub(super) len: usize,
}

pub(super) struct RawAnnounce {
    pub(super) line: *mut u8,
    pub(super) len: usize,
    pub(super) pid: std::ops::Range<usize>,
    pub(super) born: std::ops::Range<usize>,
}

/// What may fail in the child; it reports a step by its number.
pub(super) const STEPS: [Step; 17] = [
    Step::Session,
    Step::Cgroup,
    Step::Descriptors,
    Step::OomScore,
    Step::Rlimits,
    Step::Nice,
    Step::Umask,
    Step::Bounding,
    Step::Groups,
    Step::Gid,
    Step::Uid,
    Step::Verify,
    Step::Capabilities,
    Step::NoNewPrivs,
    Step::VerifyRights,
    Step::Directory,
    Step::Exec,
];

/// The child. Never returns.
pub(super) extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: `launch` passes a valid `Order` that stays in place until this process executes or exits; see the module's
    // head for what may be called here.
    unsafe {
        let order = &mut *order.cast::<Order>();
        let Err(failed) = be_born(order);
        (*order.report).errno = failed.errno;
        (*order.report).which = failed.which;
        (*order.report).step = failed.step as c_int;
        raw_exit()
    }
}

/// # Safety
/// Only in the child: see [`child`].
unsafe fn be_born(order: &mut Order) -> Result<Infallible, Failed> {
    // SAFETY: raw system calls on memory that `launch` prepared.
    unsafe {
        if call(libc::SYS_setsid, [0; 4]).is_err() {
            return Err(failed(Step::Session));
        }
        // Before it does anything that could be counted, and while it is who may.
        if let Some(cgroup) = order.cgroup
            && call(libc::SYS_write, [c_long::from(cgroup), c"0".as_ptr() as c_long, 1, 0]).is_err()
        {
            return Err(failed(Step::Cgroup));
        }
        default_signals(&*order.changed);
        if order.shares && own_descriptors(order).is_err() {
            return Err(failed(Step::Descriptors));
        }
        for (to, from) in (0..3).zip(order.pad) {
            if call(libc::SYS_dup3, [c_long::from(from), to, 0, 0]).is_err() {
                return Err(failed(Step::Descriptors));
            }
        }
        // Keeping the monitor's higher limit of files is harmless, and a brand is the second of two marks: a refusal of
        // either is no reason not to run.
        for (which, limit) in [(libc::RLIMIT_NOFILE, &order.nofile), (libc::RLIMIT_LOCKS, &order.brand)] {
            if let Some(limit) = limit {
                let _ = call(libc::SYS_prlimit64, [0, which as c_long, ptr::from_ref(limit) as c_long, 0]);
            }
        }
        let traits = order.traits.as_ref();
        let rights = traits.and_then(|traits| traits.rights.as_ref());
        traits.map_or(Ok(()), |traits| take_early(traits))?;
        rights.map_or(Ok(()), |rights| narrow_bounds(rights))?;
        if let Some(identity) = order.identity.as_ref() {
            become_user(identity, &mut order.groups)?;
        }
        rights.map_or(Ok(()), |rights| take_rights(rights))?;
        if traits.is_some_and(|traits| traits.no_new_privs) {
            renounce_new_privs()?;
        }
        rights.map_or(Ok(()), |rights| verify_rights(rights))?;
        if !order.dir.is_null() && call(libc::SYS_chdir, [order.dir as c_long, 0, 0, 0]).is_err() {
            return Err(failed(Step::Directory));
        }
        if let Some(variable) = &order.own_pid {
            write_own_pid(variable);
        }
        if let Some(announce) = order.announce.as_mut() {
            write_announcement(announce, order.pad[3]);
        }
        traits.map_or(Ok(()), |traits| take_late(traits))?;
        // A monitor that was killed meanwhile must not leave a run that nobody knows.
        if call(libc::SYS_getppid, [0; 4]) != Ok(c_long::from(order.parent)) {
            raw_exit();
        }
        let none: u64 = 0;
        let _ = call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as c_long, ptr::from_ref(&none) as c_long, 0, 8]);
        Err(Failed { step: Step::Exec, errno: execute(order), which: 0 })
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

/// # Safety
/// Only in the child: the handlers are the parent's code.
unsafe fn default_signals(changed: &[c_int]) {
    // The kernel's struct sigaction, all zero: SIG_DFL, no flags, an empty mask. libc's would refuse 32 and 33.
    let default = [0u64; 4];
    for number in changed {
        // SAFETY: the kernel reads 32 bytes.
        let _ =
            unsafe { call(libc::SYS_rt_sigaction, [c_long::from(*number), ptr::from_ref(&default) as c_long, 0, 8]) };
    }
}

/// The signals that are ignored or have handlers; a child has them back at their default action.
pub(super) fn changed_signals() -> Vec<c_int> {
    (1..=64).filter(|number| !is_default(*number)).collect()
}

fn is_default(number: c_int) -> bool {
    let mut present = [0u64; 4];
    // SAFETY: the kernel writes 32 bytes, as above.
    let told =
        unsafe { call(libc::SYS_rt_sigaction, [c_long::from(number), 0, ptr::from_mut(&mut present) as c_long, 8]) };
    told.is_ok() && present[0] == libc::SIG_DFL as u64
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
        let written = call(libc::SYS_write, [c_long::from(to), announce.line as c_long, announce.len as c_long, 0]);
        if written.is_err() && errno() == libc::EFBIG {
            forget_size_signal();
        }
    }
}

/// # Safety
/// Only in the child: see [`child`].
unsafe fn write_own_pid(variable: &OwnPid) {
    // SAFETY: `len` bytes that belong to the parent, which stands still.
    let (bytes, pid) = unsafe {
        (std::slice::from_raw_parts_mut(variable.at, variable.len), call(libc::SYS_getpid, [0; 4]).unwrap_or(0) as u64)
    };
    // Left-aligned: to many a reader a zero before it would mean an octal number.
    let from = bytes.iter().position(|byte| *byte == b'=').map_or(0, |equals| equals + 1);
    let to = from + pid.checked_ilog10().unwrap_or(0) as usize + 1;
    digits(bytes, &(from..to), pid);
    if let Some(end) = bytes.get_mut(to) {
        *end = 0;
    }
}

/// Past the limit of a file's size, which is the monitor's as well, SIGXFSZ waits for us, and would end the program as soon
/// as it is let through. To ignore a signal is to drop it.
///
/// # Safety
/// Only in the child: see [`child`].
unsafe fn forget_size_signal() {
    for handler in [libc::SIG_IGN, libc::SIG_DFL] {
        // As in `default_signals`.
        let action = [handler as u64, 0, 0, 0];
        // SAFETY: the kernel reads 32 bytes.
        let _ = unsafe {
            call(libc::SYS_rt_sigaction, [c_long::from(libc::SIGXFSZ), ptr::from_ref(&action) as c_long, 0, 8])
        };
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
pub(super) unsafe fn call(number: c_long, args: [c_long; 4]) -> Result<c_long, ()> {
    // SAFETY: the caller's.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3]) };
    if result < 0 { Err(()) } else { Ok(result) }
}

/// # Safety
/// As the option demands. The arguments that it does not have must be zero.
pub(super) unsafe fn prctl(option: c_int, first: c_long, second: c_long) -> Result<c_long, ()> {
    let none: c_long = 0;
    // SAFETY: the caller's.
    let result = unsafe { libc::syscall(libc::SYS_prctl, c_long::from(option), first, second, none, none) };
    if result < 0 { Err(()) } else { Ok(result) }
}

/// The last system call failed at this step.
pub(super) fn failed(step: Step) -> Failed {
    Failed { step, errno: errno(), which: 0 }
}

/// The kernel said that it was done, and it was not.
pub(super) fn unkept(step: Step) -> Failed {
    Failed { step, errno: 0, which: 0 }
}
