//! From a spec to what the child is made of.

use std::ffi::{CString, OsStr, OsString, c_int};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::unistd::Uid;

use super::capabilities::{self, Users};
use super::environment::{self, Composed};
use super::explain::reason;
use super::identity;
use super::sys::{self, Identity, Rights, Traits};
use crate::model::{Birth, Capabilities, Name, Resource, Rlimit, StartError, Step, Variables, map_of};

/// Where a program is looked up first when the child has no PATH (NColony's rule on older Twisted).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What a child is made of.
pub(super) struct Prepared {
    pub programs: Vec<CString>,
    /// Where its program is looked for.
    pub path: OsString,
    pub argv: Vec<CString>,
    pub env: Vec<CString>,
    /// A variable whose value the child fills in: its own pid.
    pub own_pid: Option<Vec<u8>>,
    pub dir: Option<CString>,
    pub identity: Option<Identity>,
    /// The user that it will be.
    pub uid: u32,
    /// What it has besides; `None` where it asks for nothing.
    pub traits: Option<Traits>,
}

/// What tells a process's own from all others, and where it is heard.
pub(super) struct Marks<'a> {
    /// The run.
    pub run: &'a str,
    /// The probe of it that it is the command of.
    pub probe: Option<&'a str>,
    /// The socket on which it says what it has to say.
    pub socket: Option<&'a str>,
}

/// Prepares a process of a run.
///
/// # Errors
/// What can be known to be wrong before there is a child.
pub(super) fn prepare(name: &Name, birth: &Birth, marks: &Marks<'_>) -> Result<Prepared, StartError> {
    let replica = birth.replica.map(|replica| replica.to_string());
    let mut ours = vec![("NCOLONY_NAME", name.as_str()), ("NCOLONY_CONFIG", &birth.config), (MARK, marks.run)];
    ours.extend(replica.as_deref().map(|replica| ("NCOLONY_REPLICA", replica)));
    ours.extend(marks.probe.map(|probe| (PROBE, probe)));
    let silence = birth.sd_notify.and_then(|notify| notify.watchdog).map(|silence| silence.as_micros().to_string());
    ours.extend(marks.socket.map(|socket| ("NOTIFY_SOCKET", socket)));
    ours.extend(silence.as_deref().map(|silence| (WATCHDOG_USEC, silence)));
    ours.extend(silence.as_deref().map(|_| (WATCHDOG_PID, PID_ROOM)));
    let Composed { argv, mut env } = environment::compose(birth, &ours, &monitors(birth))?;
    let own_pid = silence.and_then(|_| env.remove(WATCHDOG_PID.as_bytes()));
    let path = env.get(&b"PATH"[..]).map_or_else(default_path, |path| OsString::from_vec(path.clone()));
    let identity = identity::resolve(&birth.security)?;
    let program = argv.first().map(|program| OsStr::from_bytes(program)).unwrap_or_default();
    Ok(Prepared {
        programs: candidates(program, &path).collect::<Result<_, _>>()?,
        path,
        argv: argv.into_iter().map(c_string).collect::<Result<_, _>>()?,
        env: env.into_iter().map(pair).collect::<Result<_, _>>()?,
        own_pid: own_pid.map(|room| [WATCHDOG_PID.as_bytes(), b"=", &room, b"\0"].concat()),
        dir: birth.working_dir.as_ref().map(|dir| c_string(dir.clone().into_os_string().into_vec())).transpose()?,
        traits: traits(birth, identity.uid)?,
        uid: identity.uid,
        identity: identity.change,
    })
}

/// The monitor's own environment, for who asks for any of it.
fn monitors(birth: &Birth) -> Variables {
    if birth.env_inherit.is_empty() {
        return Variables::new();
    }
    map_of(std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())))
}

/// Most processes ask for none of these: then nothing is looked up and nothing is done.
fn traits(birth: &Birth, uid: u32) -> Result<Option<Traits>, StartError> {
    // Every field by name, so that a new one cannot be forgotten here.
    let Birth {
        argv: _,
        references: _,
        env: _,
        env_from: _,
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
        sd_notify: _,
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
/// The variable that tells the processes of a probe from the others of its run.
pub(super) const PROBE: &str = "NCOLONY_PROBE";

/// What systemd calls the longest silence, and whose it is: who has another pid is not asked to ping.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// Room for any pid: there are at most 2²² of them.
const PID_ROOM: &str = "0000000";

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

fn candidates(program: &OsStr, path: &OsStr) -> impl Iterator<Item = Result<CString, StartError>> {
    let program = program.as_bytes();
    let search = !program.contains(&b'/');
    let fixed = (!search).then(|| c_string(program.to_vec()));
    // An empty or relative entry would mean the working directory, where anybody may have planted a program.
    let searched = path.as_bytes().split(|byte| *byte == b':').filter(move |dir| search && dir.starts_with(b"/"));
    fixed.into_iter().chain(searched.map(|dir| c_string([dir, b"/", program].concat())))
}

fn pair((name, value): (Vec<u8>, Vec<u8>)) -> Result<CString, StartError> {
    c_string([&name[..], b"=", &value].concat())
}

fn c_string(bytes: Vec<u8>) -> Result<CString, StartError> {
    CString::new(bytes).map_err(|_| StartError {
        step: Step::Program,
        errno: 0,
        what: "an argument or a variable holds a NUL byte".into(),
    })
}
