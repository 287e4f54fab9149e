//! From a spec to what the child is made of.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString, c_int};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::unistd::Uid;

use super::capabilities::{self, Users};
use super::explain::reason;
use super::identity;
use super::sys::{self, Identity, Rights, Traits};
use crate::model::{Birth, Capabilities, Name, Resource, Rlimit, StartError, Step};

/// Where a program is looked up first when the child has no PATH (NColony's rule on older Twisted).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What a child is made of.
pub(super) struct Prepared {
    pub programs: Vec<CString>,
    /// Where its program is looked for.
    pub path: OsString,
    pub argv: Vec<CString>,
    pub env: Vec<CString>,
    pub dir: Option<CString>,
    pub identity: Option<Identity>,
    /// What it has besides; `None` where it asks for nothing.
    pub traits: Option<Traits>,
}

/// Prepares a run. `mark` tells this run's processes from all others.
///
/// # Errors
/// What can be known to be wrong before there is a child.
pub(super) fn prepare(name: &Name, birth: &Birth, mark: &str) -> Result<Prepared, StartError> {
    let mut env: BTreeMap<OsString, OsString> =
        birth.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    for inherited in &birth.env_inherit {
        // As in NColony: what is inherited wins, and an unset one becomes the empty string.
        env.insert(inherited.into(), std::env::var_os(inherited).unwrap_or_default());
    }
    let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_else(default_path);
    env.insert("NCOLONY_NAME".into(), name.as_str().into());
    env.insert("NCOLONY_CONFIG".into(), birth.config.clone().into());
    env.insert(MARK.into(), mark.into());
    if let Some(replica) = birth.replica {
        env.insert("NCOLONY_REPLICA".into(), replica.to_string().into());
    }

    let identity = identity::resolve(&birth.security)?;
    let program = birth.argv.first().map_or("", String::as_str);
    Ok(Prepared {
        programs: candidates(program, &path).collect::<Result<_, _>>()?,
        path,
        argv: birth.argv.iter().map(|arg| c_string(arg.clone().into())).collect::<Result<_, _>>()?,
        env: env.into_iter().map(pair).collect::<Result<_, _>>()?,
        dir: birth.working_dir.as_ref().map(|dir| c_string(dir.clone().into())).transpose()?,
        traits: traits(birth, identity.uid)?,
        identity: identity.change,
    })
}

/// Most processes ask for none of these: then nothing is looked up and nothing is done.
fn traits(birth: &Birth, uid: u32) -> Result<Option<Traits>, StartError> {
    // Every field by name, so that a new one cannot be forgotten here.
    let Birth {
        argv: _,
        env: _,
        env_inherit: _,
        config: _,
        security,
        working_dir: _,
        rlimits,
        nice,
        oom_score_adj,
        umask,
        limits: _,
        output: _,
        replica: _,
    } = birth;
    let asks = !rlimits.is_empty()
        || nice.is_some()
        || oom_score_adj.is_some()
        || umask.is_some()
        || security.capabilities.is_some()
        || security.no_new_privs;
    if !asks {
        return Ok(None);
    }
    let limit = |limit: &Rlimit| libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
    Ok(Some(Traits {
        oom_score_adj: oom_score_adj.map(|score| score.to_string()),
        rlimits: rlimits.iter().map(|(resource, asked)| (number_of(*resource), limit(asked))).collect(),
        nice: *nice,
        umask: *umask,
        rights: security.capabilities.as_ref().map(|asked| rights(asked, uid)).transpose()?,
        no_new_privs: security.no_new_privs,
    }))
}

fn rights(asked: &Capabilities, uid: u32) -> Result<Rights, StartError> {
    let held = sys::held().map_err(|errno| {
        let what = format!("cannot tell the monitor's own capabilities: {}", reason(errno));
        StartError { step: Step::Capabilities, errno, what }
    })?;
    capabilities::plan(asked, &held, Users::of(Uid::effective().as_raw(), uid))
}

/// The kernel's number of a limit.
pub(super) fn number_of(resource: Resource) -> c_int {
    let number = match resource {
        Resource::As => libc::RLIMIT_AS,
        Resource::Core => libc::RLIMIT_CORE,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Fsize => libc::RLIMIT_FSIZE,
        Resource::Memlock => libc::RLIMIT_MEMLOCK,
        Resource::Msgqueue => libc::RLIMIT_MSGQUEUE,
        Resource::Nice => libc::RLIMIT_NICE,
        Resource::Nofile => libc::RLIMIT_NOFILE,
        Resource::Nproc => libc::RLIMIT_NPROC,
        Resource::Rss => libc::RLIMIT_RSS,
        Resource::Rtprio => libc::RLIMIT_RTPRIO,
        Resource::Rttime => libc::RLIMIT_RTTIME,
        Resource::Sigpending => libc::RLIMIT_SIGPENDING,
        Resource::Stack => libc::RLIMIT_STACK,
    };
    number as c_int
}

/// The variable that tells a run's processes from all others, also when they have left its group and session.
pub(super) const MARK: &str = "NCOLONY_RUN";

/// On newer Twisted NColony looks in the monitor's PATH, so that is searched too: in many an image the programs are in
/// `/usr/local/bin`. The child does not get the variable.
fn default_path() -> OsString {
    let mut path = OsString::from(DEFAULT_PATH);
    if let Some(monitors) = std::env::var_os("PATH") {
        path.push(":");
        path.push(monitors);
    }
    path
}

fn candidates(program: &str, path: &OsStr) -> impl Iterator<Item = Result<CString, StartError>> {
    let fixed = program.contains('/').then(|| c_string(program.into()));
    let searched = path.as_bytes().split(|byte| *byte == b':').filter_map({
        let search = !program.contains('/');
        // An empty or relative entry would mean the working directory, where anybody may have planted a program.
        move |dir| (search && dir.starts_with(b"/")).then(|| [dir, b"/", program.as_bytes()].concat())
    });
    fixed.into_iter().chain(searched.map(|bytes| c_string(OsString::from_vec(bytes))))
}

fn pair((name, value): (OsString, OsString)) -> Result<CString, StartError> {
    let mut bytes = name.into_vec();
    bytes.push(b'=');
    bytes.extend_from_slice(value.as_bytes());
    c_string(OsString::from_vec(bytes))
}

fn c_string(text: OsString) -> Result<CString, StartError> {
    CString::new(text.into_vec()).map_err(|_| StartError {
        step: Step::Program,
        errno: 0,
        what: "an argument or a variable holds a NUL byte".into(),
    })
}
