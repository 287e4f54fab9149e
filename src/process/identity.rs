//! Whom a child becomes: user, group and supplementary groups, from the numbers of its file and the user database.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, getgrouplist, getgroups};

use super::sys::Identity;
use crate::model::{Birth, StartError, Step};

/// The identity that `birth` asks for; `None` when it is the monitor's own.
///
/// # Errors
/// A user without a group, or a user database that cannot be read. Nothing is guessed: a run with more rights than asked
/// for would be worse than none.
pub(super) fn resolve(birth: &Birth) -> Result<Option<Identity>, StartError> {
    if birth.uid.is_none() && birth.gid.is_none() {
        return Ok(None);
    }
    let user = match birth.uid {
        Some(uid) => lookup(uid),
        None => lookup(Uid::effective().as_raw()),
    };
    let gid = match (birth.gid, &user) {
        (Some(gid), _) => gid,
        (None, Some(user)) => user.gid.as_raw(),
        (None, None) => return Err(no_group(birth.uid.unwrap_or_default())),
    };
    let groups = groups_of(user.as_ref(), gid);
    let uid = birth.uid.filter(|uid| *uid != Uid::effective().as_raw() || Uid::current() != Uid::effective());
    // The group itself counts as one, listed or not. Where setgroups is refused to all (a user namespace without a
    // mapping) who has no others needs none.
    let with_gid = |groups: Vec<u32>| sorted(groups.into_iter().chain([gid]).collect());
    let same_groups = current_groups().is_some_and(|now| with_gid(now) == with_gid(groups.clone()));
    let unchanged = uid.is_none() && gid == Gid::effective().as_raw() && Gid::current() == Gid::effective();
    // A user that may not call setgroups may still ask for what it is already.
    let keep_groups = same_groups || (unchanged && !Uid::effective().is_root());
    if unchanged && keep_groups {
        return Ok(None);
    }
    Ok(Some(Identity { groups: (!keep_groups).then(|| sorted(groups)), gid, uid }))
}

/// A missing user database and a missing user are one thing: a container may have neither.
fn lookup(uid: u32) -> Option<User> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten()
}

fn groups_of(user: Option<&User>, gid: u32) -> Vec<u32> {
    let listed = user
        .and_then(|user| CString::new(user.name.as_str()).ok())
        .and_then(|name| getgrouplist(&name, Gid::from_raw(gid)).ok());
    match listed {
        Some(groups) => groups.into_iter().map(Gid::as_raw).collect(),
        None => vec![gid],
    }
}

fn current_groups() -> Option<Vec<u32>> {
    Some(getgroups().ok()?.into_iter().map(Gid::as_raw).collect())
}

fn sorted(mut groups: Vec<u32>) -> Vec<u32> {
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn no_group(uid: u32) -> StartError {
    let what = format!("user {uid} is not in the user database, so its group is unknown; set gid, too");
    StartError { step: Step::User, errno: 0, what }
}
