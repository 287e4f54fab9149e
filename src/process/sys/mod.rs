//! The raw calls: the only `unsafe` of the crate.
//!
//! A run is made by `clone(CLONE_VM | CLONE_VFORK)` on a stack of its own: no page table is copied, no thread is needed,
//! `clone3` is not used (old seccomp profiles refuse it), and the parent stands still until the child has executed its
//! program or given up, so that a failed step is reported through memory that both see. Between clone and exec the child
//! makes raw system calls on prepared memory only: no allocation, no lock, no log. libc's `setuid` family is avoided, since
//! it would try to change the threads of the parent, whose memory the child shares.
#![expect(unsafe_code, reason = "clone, wait, kill and pidfd are raw system calls; every use is in this folder")]

mod child;
mod names;
mod nursery;
mod rights;
mod solo;
mod traits;
mod wait;

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

pub(super) use child::Failed;
pub(super) use names::look_up_in_files;
pub use nursery::Announce;
pub(super) use nursery::{Blueprint, Nursery};
pub(super) use rights::{Held, Identity, Rights, held};
pub(super) use solo::{
    fork, hear_of_children, leave_children_to_the_kernel, leave_terminal, next_signal, obey_as_pid_1, stop_here,
};
pub(super) use traits::Traits;
pub(super) use wait::{
    Ended, Wait, Which, has_child, has_child_in_group, is_child, kill, pidfd_open, pidfd_send_signal, wait,
    wait_with_usage,
};

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

/// Gives back the pages of the program itself that are mapped: all that only the start has needed stays away, and what is
/// needed again comes back at its next use, from the page cache. Some two megabytes less for whoever counts.
pub(super) fn let_go_of_text() {
    // Nothing is read from them; the linker defines where they are.
    let (start, end) = (&raw const __executable_start as usize, &raw const etext as usize);
    // SAFETY: no memory in the arguments.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let (start, end) = (start.next_multiple_of(page), end - end % page);
    if start < end {
        // SAFETY: the range is the program's read-only part, private and backed by its file, so that what is dropped is
        // read again as it was. A refusal changes nothing.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// Gives back what is free between what is in use of the heap.
pub(super) fn let_go_of_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

unsafe extern "C" {
    /// Where the program's image begins.
    static __executable_start: u8;
    /// Where its code ends; constants are before it.
    static etext: u8;
}

fn zeroed<T: Copy>() -> T {
    // SAFETY: used for C structs of numbers only, for which all zero is valid.
    unsafe { std::mem::zeroed() }
}

fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}
