//! Whom a child becomes: user, group and supplementary groups, from its file and the user database.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist, getgroups};

use super::explain::WHAT_IT_TAKES;
use super::sys::{self, Identity};
use crate::model::{self, Account, Security, StartError, Step};

/// Whom a child becomes.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Resolved {
    /// What is to be changed; `None` when it is the monitor's own already.
    pub change: Option<Identity>,
    /// The user that it will be.
    pub uid: u32,
}

/// The identity that `security` asks for.
///
/// # Errors
/// A name that nobody has, a user without a group, or root where it must not be. Nothing is guessed: a run with more
/// rights than asked for would be worse than none.
pub(super) fn resolve(security: &Security) -> Result<Resolved, StartError> {
    let Security { user, group, supplemental_groups, non_root, .. } = security;
    let change = if user.is_none() && group.is_none() && supplemental_groups.is_empty() {
        None
    } else {
        change(user.as_ref(), group.as_ref(), supplemental_groups)?
    };
    let uid = change.as_ref().and_then(|change| change.uid).unwrap_or_else(|| Uid::effective().as_raw());
    if *non_root && uid == 0 {
        return Err(refusal(match user {
            Some(user) => format!("runAsNonRoot is set, and its user, {user}, is root"),
            None => "runAsNonRoot is set, and it would run as the monitor's user, root; set runAsUser".to_string(),
        }));
    }
    Ok(Resolved { change, uid })
}

/// Why this monitor cannot start anybody with this identity, as far as that is known without a try.
pub fn forbidden(security: &Security) -> Option<String> {
    let change = match resolve(security) {
        Ok(resolved) => resolved.change?,
        Err(error) => return Some(error.what),
    };
    let has = |capability: u64| sys::held().map_or(true, |held| held.permitted & (1 << capability) != 0);
    let is_other_group = change.groups.is_some() || change.gid != Gid::effective().as_raw();
    match change.uid {
        Some(uid) if !has(SETUID) => Some(format!("the monitor may not become user {uid}{WHAT_IT_TAKES}")),
        Some(_) | None if is_other_group && !has(SETGID) => {
            Some(format!("the monitor may not become group {} or set groups{WHAT_IT_TAKES}", change.gid))
        }
        Some(_) | None => None,
    }
}

/// The kernel's numbers.
const SETGID: u64 = 6;
const SETUID: u64 = 7;

fn change(
    user: Option<&Account>,
    group: Option<&Account>,
    supplemental: &[Account],
) -> Result<Option<Identity>, StartError> {
    let asked = user.map(user_id).transpose()?;
    let group = group.map(group_id).transpose()?;
    let supplemental = supplemental.iter().map(group_id).collect::<Result<Vec<u32>, _>>()?;
    let known = lookup(asked.unwrap_or_else(|| Uid::effective().as_raw()));
    let gid = match (asked, group, &known) {
        (_, Some(gid), _) => gid,
        // Who asks for further groups only keeps what it has.
        (None, None, _) => Gid::effective().as_raw(),
        (Some(_), None, Some(user)) => user.gid.as_raw(),
        (Some(uid), None, None) => return Err(no_group(uid)),
    };
    let current = current_groups();
    let own = match (asked, group) {
        (None, None) => current.clone().unwrap_or_default(),
        (_, _) => groups_of(known.as_ref(), gid),
    };
    let groups = sorted(own.into_iter().chain(supplemental.iter().copied()).collect());
    let uid = asked.filter(|uid| *uid != Uid::effective().as_raw() || Uid::current() != Uid::effective());
    // The group itself counts as one, listed or not. Where setgroups is refused to all (a user namespace without a
    // mapping) who has no others needs none.
    let with_gid = |groups: &[u32]| sorted(groups.iter().copied().chain([gid]).collect());
    let now = current.map(|now| with_gid(&now));
    let same_groups = now.as_ref().is_some_and(|now| *now == with_gid(&groups));
    let unchanged = uid.is_none() && gid == Gid::effective().as_raw() && Gid::current() == Gid::effective();
    // A user that may not call setgroups may still ask for what it is already.
    let has_supplemental = now.is_some_and(|now| supplemental.iter().all(|group| now.contains(group)));
    let keep_groups = same_groups || (unchanged && has_supplemental && !Uid::effective().is_root());
    if unchanged && keep_groups {
        return Ok(None);
    }
    Ok(Some(Identity { groups: (!keep_groups).then_some(groups), gid, uid }))
}

fn user_id(account: &Account) -> Result<u32, StartError> {
    let name = match account {
        Account::Id(uid) => return Ok(*uid),
        Account::Name(name) => name,
    };
    let user = User::from_name(name).ok().flatten().ok_or_else(|| unknown("user", name, "/etc/passwd"))?;
    Ok(user.uid.as_raw())
}

fn group_id(account: &Account) -> Result<u32, StartError> {
    let name = match account {
        Account::Id(gid) => return Ok(*gid),
        Account::Name(name) => name,
    };
    let group = Group::from_name(name).ok().flatten().ok_or_else(|| unknown("group", name, "/etc/group"))?;
    Ok(group.gid.as_raw())
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
    refusal(format!("user {uid} is not in the user database, so its group is unknown; set gid, too"))
}

fn unknown(kind: &str, name: &str, file: &str) -> StartError {
    let mut what = format!("{kind} {name:?} is not in the user database");
    let listed = std::fs::read_to_string(file).unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.split(':').next());
    if let Some(near) = model::nearest(name, names) {
        what.push_str(&format!("; did you mean {near:?}?"));
    }
    refusal(what)
}

fn refusal(what: String) -> StartError {
    StartError { step: Step::User, errno: 0, what }
}
