//! Whether there is a monitor that would hear of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde_json::Value;

use super::error::Error;
use super::read::{Monitor, Trouble, object::text, quoted};
use crate::cli::CtlArgs;
use crate::config::Trust;
use crate::http::SOCKET;
use crate::messages;
use crate::model::{Name, Request};

/// By then a monitor has read what was written right before. It hears of it at once.
pub(super) const NOTICED: Duration = Duration::from_millis(300);
/// What can be done without an answer is not put off for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What was written so long ago has been read by any monitor that is not held up.
const FRESH: Duration = Duration::from_secs(1);

/// Whether a monitor of this program is at work on a directory of messages. NColony's leaves no sign.
enum Presence {
    AtWork,
    Absent,
    /// The directory may be written but not looked at.
    Unknown,
}

fn presence(dir: &Path) -> Presence {
    match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Presence::Unknown,
        Ok(_) | Err(_) if messages::is_claimed(dir) || listens(dir) => Presence::AtWork,
        Ok(_) | Err(_) => Presence::Absent,
    }
}

/// Whether somebody answers there; of file systems without locks that is the only sign.
fn listens(dir: &Path) -> bool {
    UnixStream::connect(dir.join(SOCKET)).is_ok()
}

/// Looks whether the monitor of these messages, if one answers, runs the files of this directory. Whoever is wrong would
/// change what nobody reads, and ask for what is not known.
pub(super) fn watches(ctl: &CtlArgs) -> Result<(), Error> {
    match theirs(&ctl.messages) {
        Some(theirs) if is_another(&theirs, &ctl.config) => {
            let theirs = theirs.canonicalize().unwrap_or(theirs);
            Err(Error::OtherConfig { messages: ctl.messages.clone(), config: ctl.config.clone(), theirs })
        }
        Some(_) | None => Ok(()),
    }
}

/// The directory of process files that the monitor tells, as this process finds it. In another PID namespace it has no
/// number here, and its paths are another's.
fn theirs(messages: &Path) -> Option<PathBuf> {
    let socket = UnixStream::connect(messages.join(SOCKET)).ok()?;
    let pid = getsockopt(&socket, PeerCredentials).ok()?.pid();
    let version = match Monitor::of(messages).within(PATIENCE).get("/v1/version") {
        Ok(version) if pid > 0 => version,
        Err(Trouble::Silent) => {
            super::note("note: the monitor does not answer: its loop may hang");
            return None;
        }
        Ok(_) | Err(_) => return None,
    };
    let dir = text(&version, "/config/directory");
    Some(match dir.strip_prefix('/') {
        Some(below) => PathBuf::from(format!("/proc/{pid}/root")).join(below),
        None => PathBuf::from(format!("/proc/{pid}/cwd")).join(dir),
    })
}

/// What the monitor tells of itself; nothing, where none answers.
pub(super) fn state(messages: &Path) -> Value {
    Monitor::of(messages).within(PATIENCE).get("/v1/version").unwrap_or_default()
}

/// Whose files the monitor takes, where that can be known: seen from another user namespace, its users are others.
pub(super) fn trust(messages: &Path) -> Trust {
    let socket = UnixStream::connect(messages.join(SOCKET));
    let is_root = socket.is_ok_and(|socket| getsockopt(&socket, PeerCredentials).is_ok_and(|peer| peer.uid() == 0));
    match state(messages).pointer("/config/trustedUids").and_then(Value::as_array) {
        Some(uids) if is_root => {
            let uids = uids.iter().filter_map(|uid| u32::try_from(uid.as_u64()?).ok()).collect();
            Trust { enforce: true, uids }
        }
        Some(_) | None => Trust::default(),
    }
}

/// Whether it takes nothing up any more.
pub(super) fn is_ending(state: &Value) -> bool {
    text(state, "/phase") == "ShuttingDown"
}

/// Whether these are two directories. What cannot be looked at may be one.
fn is_another(one: &Path, other: &Path) -> bool {
    let ident = |path: &Path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((ident(one), ident(other)), (Ok(one), Ok(other)) if one != other)
}

/// Looks whether the monitor would obey all of these, if one answers: what it refuses stays beside its messages, and its log
/// alone says why.
pub(super) fn would_obey(ctl: &CtlArgs, requests: &[Request]) -> Result<(), Error> {
    let begun = Instant::now();
    for request in requests {
        loop {
            match refusal(&ctl.messages, request) {
                Ok(None) => break,
                // It may not have read yet what was written right before.
                Ok(Some(_)) if is_fresh(&ctl.config) && begun.elapsed() < FRESH => thread::sleep(FRESH / 20),
                Ok(Some(why)) => return Err(Error::WouldRefuse { why }),
                // Nobody tells, or an older monitor that cannot.
                Err(_) => return Ok(()),
            }
        }
    }
    Ok(())
}

/// Leaves out those of whom the monitor would refuse it, and says why; all of them are an error.
pub(super) fn leave_alone(
    ctl: &CtlArgs,
    names: &mut Vec<Name>,
    request: &dyn Fn(Name) -> Request,
) -> Result<(), Error> {
    let mut refused: Vec<(Name, String)> = Vec::new();
    for name in names.iter() {
        match refusal(&ctl.messages, &request(name.clone())) {
            Ok(why) => refused.extend(why.map(|why| (name.clone(), why))),
            Err(_) => return Ok(()),
        }
    }
    if refused.len() == names.len() {
        return refused.pop().map_or(Ok(()), |(_, why)| Err(Error::WouldRefuse { why }));
    }
    for (name, why) in &refused {
        super::note(&format!("note: process/{name} is left alone: {why}"));
    }
    let refused: BTreeSet<Name> = refused.into_iter().map(|(name, _)| name).collect();
    names.retain(|name| !refused.contains(name));
    Ok(())
}

/// Why the monitor would refuse it now, if it would.
pub(super) fn refusal(messages: &Path, request: &Request) -> Result<Option<String>, Trouble> {
    let path = format!("/v1/verdict?message={}", quoted(&messages::text(request)));
    let verdict = Monitor::of(messages).within(PATIENCE).get(&path)?;
    Ok(Some(text(&verdict, "/message").to_string()).filter(|why| !why.is_empty()))
}

fn is_fresh(dir: &Path) -> bool {
    let changed = fs::metadata(dir).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < FRESH))
}

/// An error where nobody would hear: for what only this program's monitor understands.
pub(super) fn is_there(dir: &Path) -> Result<(), Error> {
    match presence(dir) {
        Presence::AtWork | Presence::Unknown => Ok(()),
        Presence::Absent => Err(Error::NoMonitor { dir: dir.to_path_buf() }),
    }
}

/// Says on stderr that nobody hears what NColony's monitor would, too, and what follows. It leaves no sign: where a monitor
/// of this program has never been, nothing is said.
pub(super) fn note_of_silence(dir: &Path, what_follows: &str) {
    if dir.join(messages::STATE).exists() {
        note_of_absence(dir, what_follows);
    }
}

/// Says on stderr that nobody reads files, there or any more, and what follows.
pub(super) fn note_of_unread(dir: &Path, what_follows: &str) {
    if is_ending(&state(dir)) {
        return super::note(&format!("note: the monitor of {} is ending; {what_follows}", dir.display()));
    }
    note_of_absence(dir, what_follows);
}

/// Says on stderr that nobody is there, and what follows.
pub(super) fn note_of_absence(dir: &Path, what_follows: &str) {
    match presence(dir) {
        Presence::AtWork | Presence::Unknown => {}
        Presence::Absent => {
            super::note(&format!("note: no monitor of ncolony's takes messages in {}; {what_follows}", dir.display()));
        }
    }
}
