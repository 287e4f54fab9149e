//! What a child has besides its name, user and rights: only who asks for one of these pays for it with a system call.

use std::ffi::c_int;
use std::ptr;

use libc::{c_long, rlimit64};

use super::child::{Failed, call, failed, prctl, unkept};
use super::rights::Rights;
use crate::model::Step;

/// All of it; what is `None` or empty stays as the monitor has it.
#[derive(Default)]
pub(in crate::process) struct Traits {
    /// What is written to /proc/self/oom_score_adj.
    pub oom_score_adj: Option<String>,
    /// Which limit, and what it becomes.
    pub rlimits: Vec<(c_int, rlimit64)>,
    pub nice: Option<i8>,
    pub umask: Option<u16>,
    pub rights: Option<Rights>,
    /// Whether what it executes may give it no rights.
    pub no_new_privs: bool,
}

/// What needs the monitor's rights, or needs nothing.
///
/// # Safety
/// Only in the child: see [`super::child::child`].
pub(super) unsafe fn take_early(traits: &Traits) -> Result<(), Failed> {
    // SAFETY: raw system calls on memory that the parent prepared.
    unsafe {
        if let Some(score) = &traits.oom_score_adj {
            write_oom_score(score.as_bytes())?;
        }
        for (which, limit) in &traits.rlimits {
            if *which == libc::RLIMIT_FSIZE as c_int { make_room(limit)? } else { set_limit(*which, limit)? }
        }
        if let Some(nice) = traits.nice {
            call(libc::SYS_setpriority, [libc::PRIO_PROCESS as c_long, 0, c_long::from(nice), 0])
                .map_err(|()| failed(Step::Nice))?;
        }
        if let Some(umask) = traits.umask {
            let umask = c_long::from(umask);
            // It cannot fail, and tells what was set before.
            let _ = call(libc::SYS_umask, [umask, 0, 0, 0]);
            if call(libc::SYS_umask, [umask, 0, 0, 0]) != Ok(umask) {
                return Err(unkept(Step::Umask));
            }
        }
    }
    Ok(())
}

/// # Safety
/// Only in the child: see [`super::child::child`].
pub(super) unsafe fn renounce_new_privs() -> Result<(), Failed> {
    // SAFETY: these calls have no memory in their arguments.
    unsafe {
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map_err(|()| failed(Step::NoNewPrivs))?;
        if prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0) == Ok(1) { Ok(()) } else { Err(unkept(Step::NoNewPrivs)) }
    }
}

/// The limit of a file's size, when its line in the journal, which is a file, is written: the limit would be the line's, too.
///
/// # Safety
/// Only in the child: see [`super::child::child`].
pub(super) unsafe fn take_late(traits: &Traits) -> Result<(), Failed> {
    for (which, limit) in &traits.rlimits {
        if *which == libc::RLIMIT_FSIZE as c_int {
            // SAFETY: as above. It is lowered, which needs no right.
            unsafe { set_limit(*which, limit)? };
        }
    }
    Ok(())
}

/// # Safety
/// Only in the child: see [`super::child::child`].
unsafe fn set_limit(which: c_int, limit: &rlimit64) -> Result<(), Failed> {
    // SAFETY: as above.
    unsafe {
        let new = ptr::from_ref(limit) as c_long;
        call(libc::SYS_prlimit64, [0, c_long::from(which), new, 0])
            .map_err(|()| Failed { which, ..failed(Step::Rlimits) })?;
        let now = read_limit(which)?;
        let is_kept = (now.rlim_cur, now.rlim_max) == (limit.rlim_cur, limit.rlim_max);
        if is_kept { Ok(()) } else { Err(Failed { which, ..unkept(Step::Rlimits) }) }
    }
}

/// # Safety
/// Only in the child: see [`super::child::child`].
unsafe fn read_limit(which: c_int) -> Result<rlimit64, Failed> {
    let mut now = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes to our stack.
    unsafe {
        call(libc::SYS_prlimit64, [0, c_long::from(which), 0, ptr::from_mut(&mut now) as c_long])
            .map_err(|()| Failed { which, ..failed(Step::Rlimits) })?;
        Ok(ptr::from_ref(&now).read_volatile())
    }
}

/// Raises the hard limit of a file's size where it is too low for what is set later, without the right to raise it.
///
/// # Safety
/// Only in the child: see [`super::child::child`].
unsafe fn make_room(limit: &rlimit64) -> Result<(), Failed> {
    let which = libc::RLIMIT_FSIZE as c_int;
    // SAFETY: as above.
    unsafe {
        if read_limit(which)?.rlim_max >= limit.rlim_max {
            return Ok(());
        }
        set_limit(which, &rlimit64 { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max })
    }
}

/// # Safety
/// Only in the child: see [`super::child::child`].
unsafe fn write_oom_score(score: &[u8]) -> Result<(), Failed> {
    let failed = |()| failed(Step::OomScore);
    let path = c"/proc/self/oom_score_adj".as_ptr() as c_long;
    let flags = c_long::from(libc::O_WRONLY | libc::O_CLOEXEC);
    // SAFETY: a C string and live memory; the descriptor is in a table of the child's own.
    unsafe {
        let fd = call(libc::SYS_openat, [c_long::from(libc::AT_FDCWD), path, flags, 0]).map_err(failed)?;
        call(libc::SYS_write, [fd, score.as_ptr() as c_long, score.len() as c_long, 0]).map_err(failed)?;
        call(libc::SYS_close, [fd, 0, 0, 0]).map_err(failed)?;
    }
    Ok(())
}
