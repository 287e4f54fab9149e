//! One child alone, for a program that does nothing but look after it: made by fork, since there is no second thread and
//! next to no memory to copy.

use std::ffi::{CStr, c_char, c_int};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libc::pid_t;
use nix::sys::signal::SigSet;

use super::{errno, zeroed};
use crate::model::Signal;
use crate::process::solo::{Leash, Place, Signals, Start};

/// Whether SIGPIPE was ignored when this program began. Rust's runtime ignores it before `main`, so it must be looked at
/// before that.
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// The C library calls this before it calls what Rust calls `main`.
// SAFETY: the section holds pointers to functions of this kind; this one touches nothing but a flag of its own.
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER: extern "C" fn() = remember_pipe;

extern "C" fn remember_pipe() {
    let mut action: libc::sigaction = zeroed();
    // SAFETY: `action` is valid for writing, and nothing is changed.
    if unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), &mut action) } == 0 {
        PIPE_WAS_IGNORED.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
    }
}

/// Starts a program.
///
/// # Errors
/// The errno of fork. That the program cannot be executed is said on stderr, and is the child's status: 127 where there is
/// none, 126 where it is not to be executed.
pub(in crate::process) fn fork(start: &Start<'_>) -> Result<pid_t, i32> {
    let us = std::process::id();
    let pointers: Vec<*const c_char> = start.argv.iter().map(|arg| arg.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: there is one thread, so the child may do whatever it likes.
    match unsafe { libc::fork() } {
        -1 => Err(errno()),
        0 => {
            put_on(start.leash, us);
            // Before its place, which takes over the terminal that is its standard input.
            take(start.streams);
            take_place(start.place);
            pass_on(&start.signals);
            // SAFETY: a list of C strings that ends with a null pointer.
            unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
            give_up(&start.argv[0], start.who)
        }
        pid => Ok(pid),
    }
}

fn put_on(leash: Leash, parent: u32) {
    if leash == Leash::None {
        return;
    }
    // SAFETY: no memory in the arguments; `_exit` ends this process, which is the child.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // It may have been killed before it could be asked for.
        if std::os::unix::process::parent_id() != parent {
            libc::_exit(libc::EXIT_FAILURE);
        }
    }
}

fn take(streams: Option<[BorrowedFd<'_>; 3]>) {
    for (number, stream) in (0..).zip(streams.iter().flatten()) {
        // SAFETY: the standard descriptors are nobody's in this process, which is about to execute another program.
        unsafe { libc::dup2(stream.as_raw_fd(), number) };
    }
}

fn take_place(place: Place) {
    // SAFETY: none of these has memory in its arguments. A terminal that is not there refuses, and that is all.
    unsafe {
        match place {
            Place::Ours => {}
            Place::Foreground => {
                libc::setpgid(0, 0);
                // SIGTTOU, which this would raise, is still blocked.
                libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpgrp());
            }
            Place::Session => {
                libc::setsid();
                libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0);
            }
        }
    }
}

fn pass_on(signals: &Signals) {
    let (mask, last) = match signals {
        Signals::Inherited(mask) => (*mask, None),
        Signals::Default => (SigSet::empty(), Some(libc::SIGRTMAX())),
    };
    // SAFETY: the mask is a valid set; the dispositions are the default ones.
    unsafe {
        for signal in 1..=last.unwrap_or(0) {
            libc::signal(signal, libc::SIG_DFL);
        }
        if last.is_none() && !PIPE_WAS_IGNORED.load(Ordering::Relaxed) {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        }
        libc::sigprocmask(libc::SIG_SETMASK, mask.as_ref(), ptr::null_mut());
    }
}

/// The child's end, when there is nothing to execute.
fn give_up(program: &CStr, who: &str) -> ! {
    let errno = errno();
    let reason = nix::errno::Errno::from_raw(errno).desc();
    // In one piece, which stderr does not see to.
    let line = format!("{who}: cannot execute {program:?}: {reason}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    let status = if errno == libc::ENOENT { 127 } else { 126 };
    // SAFETY: it ends this process, which is the child.
    unsafe { libc::_exit(status) }
}

/// Waits for a signal, all of which must be blocked; `None` when none came for so long.
pub(in crate::process) fn next_signal(limit: Option<Duration>) -> Option<Signal> {
    let all = SigSet::all();
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(limit.subsec_nanos() as i32),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: a valid set; nothing is wanted of where it came from.
    let signal: c_int = unsafe { libc::sigtimedwait(all.as_ref(), ptr::null_mut(), limit) };
    Signal::from_raw(signal)
}

/// Lets the kernel stop this process, until somebody continues it.
pub(in crate::process) fn stop_here() {
    // SAFETY: no memory in the arguments.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Gives up the terminal that controls this process; says whether it led the session that had it, so that the kernel sends
/// SIGHUP and SIGCONT now.
pub(in crate::process) fn leave_terminal() -> bool {
    // SAFETY: no memory in the arguments.
    unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCNOTTY) == 0 && libc::getsid(0) == libc::getpid() }
}

/// SIGCHLD counts only where it is not ignored; whoever started us may have left it so.
pub(in crate::process) fn hear_of_children() {
    // SAFETY: the default disposition.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// For PID 1, to which the kernel passes a signal only where it has a handler: these end it as they end any other process, as
/// far as its status goes. What was ignored stays so.
pub(in crate::process) fn obey_as_pid_1() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        let mut action: libc::sigaction = zeroed();
        // SAFETY: `action` is valid for both; the handler makes one system call, which may be made anywhere.
        unsafe {
            if libc::sigaction(signal, ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_DFL {
                action.sa_sigaction = end_by as extern "C" fn(c_int) as usize;
                libc::sigaction(signal, &action, ptr::null_mut());
            }
        }
    }
}

extern "C" fn end_by(signal: c_int) {
    // SAFETY: it ends this process.
    unsafe { libc::_exit(128 + signal) };
}

/// Lets the kernel collect children by itself, for a program that has none but orphans.
pub(in crate::process) fn leave_children_to_the_kernel() {
    // SAFETY: a disposition that exists.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}
