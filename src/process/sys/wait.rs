//! Waiting and signalling.

use std::ffi::c_int;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;

use libc::pid_t;

use super::{errno, zeroed};
use crate::model::{CpuTime, Exit, Signal};

/// Whom to wait for.
#[derive(Clone, Copy, Debug)]
pub(in crate::process) enum Which {
    /// Whoever is a child of this very thread.
    Own,
    /// Whoever is a child of this process.
    Any,
    /// This child.
    Pid(pid_t),
    /// The process behind this pidfd, if it is a child.
    Held(RawFd),
}

/// How to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::process) enum Wait {
    /// Not at all: collect who has ended.
    Poll,
    /// Until it ends.
    Block,
}

/// A child that has ended and was collected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::process) struct Ended {
    pub(in crate::process) pid: pid_t,
    pub(in crate::process) exit: Exit,
}

/// Collects a child that has ended.
///
/// # Errors
/// The errno; `ECHILD` when there is no such child.
pub(in crate::process) fn wait(which: Which, how: Wait) -> Result<Option<Ended>, i32> {
    waitid(which, how, ptr::null_mut())
}

/// Collects a child that has ended, if there is one, and says what it had used, with the children that it had waited
/// for. The kernel takes a tenth more of its time for that than for the collecting alone.
pub(in crate::process) fn wait_with_usage(which: Which) -> Option<(Ended, CpuTime)> {
    let mut usage: libc::rusage = zeroed();
    let ended = waitid(which, Wait::Poll, &mut usage).ok().flatten()?;
    Some((ended, CpuTime { user: micros(usage.ru_utime), system: micros(usage.ru_stime) }))
}

/// Raw, since typed wrappers cannot say "real-time signal", nor libc's what it had used.
fn waitid(which: Which, how: Wait, usage: *mut libc::rusage) -> Result<Option<Ended>, i32> {
    let (kind, id, only) = match which {
        Which::Own => (libc::P_ALL, 0, libc::__WNOTHREAD),
        Which::Any => (libc::P_ALL, 0, 0),
        Which::Pid(pid) => (libc::P_PID, pid as libc::id_t, 0),
        Which::Held(pidfd) => (libc::P_PIDFD, pidfd as libc::id_t, 0),
    };
    let options = libc::WEXITED | only | if how == Wait::Poll { libc::WNOHANG } else { 0 };
    loop {
        let mut info: libc::siginfo_t = zeroed();
        // SAFETY: `info` is valid for writing, and `usage` is, or null.
        if unsafe { libc::syscall(libc::SYS_waitid, kind, id, &mut info, options, usage) } == 0 {
            // SAFETY: waitid fills in these fields, or leaves them zero.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            return Ok((pid != 0).then(|| Ended { pid, exit: exit(info.si_code, status) }));
        }
        match errno() {
            libc::EINTR => {}
            other => return Err(other),
        }
    }
}

/// Whether a process is our own child, ended or not.
pub(in crate::process) fn is_child(pid: pid_t) -> bool {
    let mut info: libc::siginfo_t = zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for writing.
    unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, options) == 0 || errno() != libc::ECHILD }
}

/// Whether there is a child, ended or not.
pub(in crate::process) fn has_child() -> bool {
    let mut info: libc::siginfo_t = zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for writing.
    unsafe { libc::waitid(libc::P_ALL, 0, &mut info, options) == 0 }
}

/// Whether a process group has a member that is our own child, ended or not; exact, whatever became of its number.
pub(in crate::process) fn has_child_in_group(group: pid_t) -> bool {
    let mut info: libc::siginfo_t = zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for writing.
    unsafe { libc::waitid(libc::P_PGID, group as libc::id_t, &mut info, options) == 0 }
}

fn micros(time: libc::timeval) -> u64 {
    (time.tv_sec as u64).saturating_mul(1_000_000).saturating_add(time.tv_usec as u64)
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
pub(in crate::process) fn kill(pid: pid_t, signal: c_int) -> Result<(), i32> {
    // SAFETY: kill has no memory in its arguments.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(errno()) }
}

/// A descriptor of a process, which no other process can come to be.
///
/// # Errors
/// The errno; `ENOSYS` or `EPERM` where the kernel or a sandbox has no pidfds.
pub(in crate::process) fn pidfd_open(pid: pid_t) -> Result<OwnedFd, i32> {
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
pub(in crate::process) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: c_int) -> Result<(), i32> {
    let info: *const libc::siginfo_t = ptr::null();
    // SAFETY: a null siginfo means what kill does.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    if result == 0 { Ok(()) } else { Err(errno()) }
}
