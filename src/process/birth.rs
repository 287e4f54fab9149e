//! From a spec to what the child is made of, and from a failed step to words.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use nix::errno::Errno;

use super::identity;
use super::sys::Identity;
use crate::model::{Birth, Name, StartError, Step};

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

    let program = birth.argv.first().map_or("", String::as_str);
    Ok(Prepared {
        programs: candidates(program, &path).collect::<Result<_, _>>()?,
        path,
        argv: birth.argv.iter().map(|arg| c_string(arg.clone().into())).collect::<Result<_, _>>()?,
        env: env.into_iter().map(pair).collect::<Result<_, _>>()?,
        dir: birth.working_dir.as_ref().map(|dir| c_string(dir.clone().into())).transpose()?,
        identity: identity::resolve(birth)?,
    })
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

/// The failed step in words: what was tried, to what, and the kernel's reason.
pub(super) fn explain(birth: &Birth, prepared: &Prepared, step: Step, errno: i32) -> StartError {
    let reason = reason(errno);
    let program = birth.argv.first().map_or("", String::as_str);
    let dir = birth.working_dir.as_deref().unwrap_or(Path::new("."));
    let (uid, gid) = prepared.identity.as_ref().map_or((None, 0), |identity| (identity.uid, identity.gid));
    let what = match step {
        Step::Output => format!("cannot make its output's pipes: {reason}"),
        Step::User | Step::Program => reason.clone(),
        Step::Fork => format!("cannot make a process: {reason}"),
        Step::Session => format!("cannot make its session: {reason}"),
        Step::Descriptors => format!("cannot put its descriptors in place: {reason}"),
        Step::Groups => format!("cannot set its supplementary groups: {reason}"),
        Step::Gid => format!("cannot become group {gid}: {reason}"),
        Step::Uid => format!("cannot become user {}: {reason}", uid.unwrap_or_default()),
        Step::Verify => "its user or group is not the one asked for; it was not run".to_string(),
        Step::Directory => format!("cannot enter its working directory {}: {reason}", dir.display()),
        Step::Exec => exec_failed(program, birth, prepared, errno),
    };
    StartError { step, errno, what }
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

fn reason(errno: i32) -> String {
    let errno = Errno::from_raw(errno);
    format!("{} ({errno:?})", errno.desc())
}
