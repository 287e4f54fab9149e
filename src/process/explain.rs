//! From a failed step to words.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;

use super::birth::{Prepared, number_of};
use super::sys::Failed;
use crate::model::{Birth, CapabilitySet, StartError, Step};

/// The failed step in words: what was tried, to what, and the kernel's reason.
pub(super) fn explain(birth: &Birth, prepared: &Prepared, failed: Failed) -> StartError {
    let Failed { step, errno, which } = failed;
    let reason = reason(errno);
    let program = &*prepared.argv.first().map(|program| program.to_string_lossy()).unwrap_or_default();
    let dir = birth.working_dir.as_deref().unwrap_or(Path::new("."));
    let (uid, gid) = prepared.identity.as_ref().map_or((None, 0), |identity| (identity.uid, identity.gid));
    let what = match step {
        Step::Output => format!("cannot make its output's pipes: {reason}"),
        Step::Notify => format!("cannot make its notify socket: {reason}"),
        Step::User | Step::Environment | Step::Program => reason.clone(),
        Step::Fork => format!("cannot make a process: {reason}"),
        Step::Session => format!("cannot make its session: {reason}"),
        Step::Cgroup => format!("cannot join the cgroup that keeps its limits: {reason}"),
        Step::Descriptors => format!("cannot put its descriptors in place: {reason}"),
        Step::OomScore => {
            format!("cannot set its oomScoreAdj to {}: {reason}", birth.oom_score_adj.unwrap_or_default())
        }
        Step::Rlimits => limit_failed(birth, which, &reason),
        Step::Nice => format!("cannot set its nice value to {}: {reason}", birth.nice.unwrap_or_default()),
        Step::Umask => "its umask is not the one asked for; it was not run".to_string(),
        Step::Bounding => {
            let capability = CapabilitySet::from_bits(1 << which);
            let takes = if errno == Errno::EPERM as i32 { WITHOUT_SETPCAP } else { "" };
            format!("cannot drop the capability {capability} from its bounding set: {reason}{takes}")
        }
        Step::Groups => format!("cannot set its supplementary groups: {reason}{}", not_root(errno)),
        Step::Gid => format!("cannot become group {gid}: {reason}{}", not_root(errno)),
        Step::Uid => format!("cannot become user {}: {reason}{}", uid.unwrap_or_default(), not_root(errno)),
        Step::Verify => "its user or group is not the one asked for; it was not run".to_string(),
        Step::Capabilities => format!("cannot set its capabilities: {reason}"),
        Step::NoNewPrivs => format!("cannot set no_new_privs: {reason}"),
        Step::VerifyRights => "its capabilities are not the ones asked for; it was not run".to_string(),
        Step::Directory => format!("cannot enter its working directory {}: {reason}", dir.display()),
        Step::Exec => exec_failed(program, birth, prepared, errno),
    };
    StartError { step, errno, what }
}

/// What to do where nobody may become another.
fn not_root(errno: i32) -> &'static str {
    match Errno::from_raw(errno) {
        Errno::EPERM => WHAT_IT_TAKES,
        _ => "",
    }
}

/// To become another user or group.
pub(super) const WHAT_IT_TAKES: &str = "; that takes the capabilities SETUID and SETGID, which root has if its container keeps them: grant them, or name one user for all, in a pod by securityContext.runAsUser, and no user or group in the file";

/// To drop a capability.
const WITHOUT_SETPCAP: &str =
    "; that takes the capability SETPCAP: grant it to the monitor, or drop the container's capabilities instead";

fn limit_failed(birth: &Birth, which: i32, reason: &str) -> String {
    match birth.rlimits.iter().find(|(resource, _)| number_of(**resource) == which) {
        Some((resource, limit)) => format!("cannot set its limit {resource} to {limit}: {reason}"),
        None => format!("cannot set its limits: {reason}"),
    }
}

fn exec_failed(program: &str, birth: &Birth, prepared: &Prepared, errno: i32) -> String {
    let hint = match Errno::from_raw(errno) {
        Errno::ENOENT if prepared.programs.iter().any(|found| exists(found, birth)) => {
            return format!("cannot execute {program:?}: the interpreter that it names does not exist (ENOENT)");
        }
        Errno::ENOENT => return not_found(program, prepared),
        Errno::EACCES => "; is it a file with the x bit?",
        Errno::ENOEXEC => "; a script needs a #! line",
        _ => "",
    };
    format!("cannot execute {program:?}: {}{hint}", reason(errno))
}

fn not_found(program: &str, prepared: &Prepared) -> String {
    if program.contains('/') {
        return format!("program {program:?} not found (ENOENT)");
    }
    let hint = if prepared.programs.is_empty() { "; only absolute entries are searched" } else { "" };
    format!("program {program:?} not found in PATH {} (ENOENT){hint}", prepared.path.display())
}

/// Whether there is such a file, seen from where the child would have been.
fn exists(program: &CStr, birth: &Birth) -> bool {
    let program = Path::new(OsStr::from_bytes(program.to_bytes()));
    birth.working_dir.as_deref().unwrap_or(Path::new("")).join(program).is_file()
}

/// The kernel's reason in words.
pub(super) fn reason(errno: i32) -> String {
    if errno == 0 {
        return "it was said to be done, and it was not".to_string();
    }
    let errno = Errno::from_raw(errno);
    format!("{} ({errno:?})", errno.desc())
}
