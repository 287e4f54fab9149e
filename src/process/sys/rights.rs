//! What a child may do: groups, user, capabilities. What the kernel says is compared with what was asked for, since a
//! sandbox may say "done" and do nothing: a child never runs with more.

use std::ffi::c_int;
use std::ptr;

use libc::c_long;

use super::child::{Failed, call, failed, prctl, unkept};
use super::errno;
use crate::model::Step;

/// Whom the child becomes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::process) struct Identity {
    /// In ascending order; `None`: the groups are right already.
    pub groups: Option<Vec<u32>>,
    pub gid: u32,
    /// `None`: the user is right already.
    pub uid: Option<u32>,
}

/// The capabilities that the monitor has, as the kernel's bits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::process) struct Held {
    pub permitted: u64,
    pub inheritable: u64,
    pub bounding: u64,
    pub ambient: u64,
}

/// The capabilities that the child is to have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::process) struct Rights {
    /// What goes from the bounding set.
    pub taken: u64,
    /// What is left in it.
    pub bounding: u64,
    /// The effective ones, too.
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
    /// Whether it stops being root, at which the kernel would clear what it is to keep.
    pub outlives_root: bool,
}

/// `_LINUX_CAPABILITY_VERSION_3`, in which a set is two words, and the calling thread.
const HEADER: [u32; 2] = [0x2008_0522, 0];

/// Asks the kernel what this thread has.
///
/// # Errors
/// The errno.
pub(in crate::process) fn held() -> Result<Held, i32> {
    // SAFETY: raw system calls on memory of our own.
    unsafe {
        // No kernel knows this one: who says otherwise does not ask the kernel, and no answer of theirs is to be believed.
        match prctl(libc::PR_CAPBSET_READ, 1000, 0) {
            Ok(_) => return Err(libc::ENOSYS),
            Err(()) if errno() != libc::EINVAL => return Err(errno()),
            Err(()) => {}
        }
        let [_, permitted, inheritable] = capget().map_err(|()| errno())?;
        let set = |probe: unsafe fn(c_int) -> Option<bool>| -> u64 {
            (0..64).filter(|number| probe(*number) == Some(true)).fold(0, |set, number| set | 1 << number)
        };
        Ok(Held { permitted, inheritable, bounding: set(is_bounding), ambient: set(is_ambient) })
    }
}

/// Groups first, user last: each needs the rights that the next gives up.
///
/// # Safety
/// Only in the child: see [`super::child::child`].
pub(super) unsafe fn become_user(identity: &Identity, room: &mut [u32]) -> Result<(), Failed> {
    // SAFETY: raw system calls; the pointers are to live memory of the right size.
    unsafe {
        let gid = c_long::from(identity.gid);
        if let Some(groups) = &identity.groups {
            call(libc::SYS_setgroups, [groups.len() as c_long, groups.as_ptr() as c_long, 0, 0])
                .map_err(|()| failed(Step::Groups))?;
            // More than there is room for is an error.
            let count = call(libc::SYS_getgroups, [room.len() as c_long, room.as_mut_ptr() as c_long, 0, 0])
                .map_err(|()| failed(Step::Verify))?;
            if !room.iter().take(count as usize).all(|group| groups.binary_search(group).is_ok()) {
                return Err(unkept(Step::Verify));
            }
        }
        call(libc::SYS_setresgid, [gid, gid, gid, 0]).map_err(|()| failed(Step::Gid))?;
        let mut ids = [0u32; 6];
        let base = ids.as_mut_ptr();
        let at = |index: usize| base.add(index) as c_long;
        if let Some(uid) = identity.uid {
            let uid = c_long::from(uid);
            call(libc::SYS_setresuid, [uid, uid, uid, 0]).map_err(|()| failed(Step::Uid))?;
        }
        call(libc::SYS_getresuid, [at(0), at(1), at(2), 0]).map_err(|()| failed(Step::Verify))?;
        call(libc::SYS_getresgid, [at(3), at(4), at(5), 0]).map_err(|()| failed(Step::Verify))?;
        let ids = base.cast::<[u32; 6]>().read_volatile();
        let uid_is_right = identity.uid.is_none_or(|uid| ids[..3] == [uid; 3]);
        if uid_is_right && ids[3..] == [identity.gid; 3] { Ok(()) } else { Err(unkept(Step::Verify)) }
    }
}

/// What must be done while it has the monitor's rights: the bounding set, from which whatever it executes gets its own.
///
/// # Safety
/// Only in the child: see [`super::child::child`].
pub(super) unsafe fn narrow_bounds(rights: &Rights) -> Result<(), Failed> {
    // SAFETY: these calls have no memory in their arguments.
    unsafe {
        for number in (0..64).filter(|number| rights.taken >> number & 1 == 1) {
            prctl(libc::PR_CAPBSET_DROP, number, 0)
                .map_err(|()| Failed { which: number as c_int, ..failed(Step::Bounding) })?;
        }
        if rights.outlives_root {
            prctl(libc::PR_SET_KEEPCAPS, 1, 0).map_err(|()| failed(Step::Capabilities))?;
        }
    }
    Ok(())
}

/// The sets of its own, when it is who it will be.
///
/// # Safety
/// Only in the child: see [`super::child::child`].
pub(super) unsafe fn take_rights(rights: &Rights) -> Result<(), Failed> {
    let Rights { permitted, inheritable, ambient, .. } = *rights;
    // Effective, permitted, inheritable: the low words, then the high ones.
    let low = [permitted as u32, permitted as u32, inheritable as u32];
    let high = [(permitted >> 32) as u32, (permitted >> 32) as u32, (inheritable >> 32) as u32];
    let data = [low, high];
    // SAFETY: raw system calls; the pointers are to live memory of the right size.
    unsafe {
        call(libc::SYS_capset, [ptr::from_ref(&HEADER) as c_long, ptr::from_ref(&data) as c_long, 0, 0])
            .map_err(|()| failed(Step::Capabilities))?;
        // A kernel without ambient capabilities has none to clear; what is left is looked at below.
        let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as c_long, 0);
        for number in (0..64).filter(|number| ambient >> number & 1 == 1) {
            prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as c_long, number)
                .map_err(|()| failed(Step::Capabilities))?;
        }
    }
    Ok(())
}

/// # Safety
/// Only in the child: see [`super::child::child`].
pub(super) unsafe fn verify_rights(rights: &Rights) -> Result<(), Failed> {
    let has = |set: u64, number: c_int| Some(set >> number & 1 == 1);
    // SAFETY: raw system calls on memory of our own.
    unsafe {
        let sets = capget().map_err(|()| failed(Step::VerifyRights))?;
        let are_right = sets == [rights.permitted, rights.permitted, rights.inheritable]
            && (0..64).all(|number| is_bounding(number) == has(rights.bounding, number))
            && (0..64).all(|number| is_ambient(number) == has(rights.ambient, number));
        if are_right { Ok(()) } else { Err(unkept(Step::VerifyRights)) }
    }
}

/// Effective, permitted and inheritable.
///
/// # Safety
/// None but that of a system call.
unsafe fn capget() -> Result<[u64; 3], ()> {
    let mut data = [[0u32; 3]; 2];
    // SAFETY: the kernel reads the header, which it may write to as well, and writes two times three words.
    let [low, high] = unsafe {
        let mut header = HEADER;
        call(libc::SYS_capget, [ptr::from_mut(&mut header) as c_long, ptr::from_mut(&mut data) as c_long, 0, 0])?;
        ptr::from_ref(&data).read_volatile()
    };
    let set = |index: usize| u64::from(low[index]) | u64::from(high[index]) << 32;
    Ok([set(0), set(1), set(2)])
}

/// Whether a capability is in the bounding set; `None` when that cannot be asked. A number that the kernel does not know
/// is in none.
///
/// # Safety
/// None but that of a system call.
unsafe fn is_bounding(number: c_int) -> Option<bool> {
    // SAFETY: no memory in the arguments.
    answer(unsafe { prctl(libc::PR_CAPBSET_READ, c_long::from(number), 0) })
}

/// # Safety
/// None but that of a system call.
unsafe fn is_ambient(number: c_int) -> Option<bool> {
    // SAFETY: no memory in the arguments.
    answer(unsafe { prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET as c_long, c_long::from(number)) })
}

fn answer(result: Result<c_long, ()>) -> Option<bool> {
    match result {
        Ok(found) => Some(found == 1),
        Err(()) => (errno() == libc::EINVAL).then_some(false),
    }
}
