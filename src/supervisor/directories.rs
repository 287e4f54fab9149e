//! The directories that a monitor is given, before anything is done in them.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::unistd::Uid;

use super::Error;
use super::lock::{PATIENCE, lock};
use crate::cli::RunArgs;
use crate::messages;

/// Where the journal is kept.
pub(super) fn state(args: &RunArgs) -> PathBuf {
    args.state.clone().unwrap_or_else(|| args.messages.join(messages::STATE))
}

/// Makes what is ours to make, and sees to it that no two of them are one.
///
/// # Errors
/// What is there and is no directory; and one directory for two purposes. There a monitor would take process files for
/// messages, or write a pid over a process file: it would destroy what it was given.
pub(super) fn prepare(args: &RunArgs) -> Result<(), Error> {
    let state = state(args);
    let mut all = vec![("--config", args.config.as_path()), ("--messages", args.messages.as_path())];
    all.extend(args.pid.as_deref().map(|pid| ("--pid", pid)));
    for (_, path) in &all {
        expect_directory(path)?;
    }
    // What the user writes into is made by the user: a misspelt --config must not look like an empty colony. Without messages
    // the inbox says so, and what to do.
    for (flag, path) in &all[1..] {
        make(flag, path);
    }
    all.push(("--state", &state));
    for (index, (flag, path)) in all.iter().enumerate() {
        if let Some((other, _)) = all[..index].iter().find(|(_, before)| is_same(before, path)) {
            return Err(Error::OneForTwo(other, flag, path.to_path_buf()));
        }
    }
    if Uid::effective().is_root() && !args.insecure_config {
        keep_from_others(&args.messages);
    }
    Ok(())
}

/// Whoever writes messages commands what root runs. The volume that a kubelet makes is everybody's, and without a sticky bit:
/// there the processes' users could take away even the journal. A sticky bit is nothing that comes about by itself.
fn keep_from_others(messages: &Path) {
    let Ok(meta) = fs::metadata(messages) else { return };
    let mode = meta.mode();
    let path = messages.display();
    let every = format!("{path} can be written by everybody, who can so command what root runs");
    if mode & 0o002 == 0 {
        return;
    }
    if mode & 0o1000 != 0 || meta.uid() != 0 {
        return tracing::warn!("{every}; \"chmod go-w\" it, or give --insecure-config if that is meant");
    }
    match fs::set_permissions(messages, Permissions::from_mode(mode & 0o7755)) {
        Ok(()) => tracing::warn!(
            "{path} could be written by everybody, who could so command what root runs: now it is root's alone (see --insecure-config)"
        ),
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {}
        Err(error) => tracing::warn!("{every}, and that cannot be changed: {error}"),
    }
}

/// Keeps other monitors away from the messages, whatever journals they have: each message would reach one of them, by
/// chance. Held for as long as it is kept; `None` where there is nothing to lock, or no locks.
///
/// # Errors
/// When another monitor is at work there.
pub(super) fn claim(messages: &Path) -> Result<Option<Flock<File>>, Error> {
    let Ok(dir) = File::open(messages) else { return Ok(None) };
    match lock(dir, PATIENCE) {
        Ok(claim) => Ok(Some(claim)),
        Err(Errno::EWOULDBLOCK) => Err(Error::MessagesTaken(messages.to_path_buf())),
        Err(_) => Ok(None),
    }
}

fn expect_directory(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(meta) if !meta.is_dir() => Err(Error::NotADirectory(path.to_path_buf())),
        // What is missing may come; what cannot be looked at may be mended.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// In a container `/run` is often empty. A place where nothing can be made is no reason not to run.
fn make(flag: &str, path: &Path) {
    if path.exists() {
        return;
    }
    match DirBuilder::new().recursive(true).mode(0o755).create(path) {
        Ok(()) => tracing::info!("made {}, for {flag}", path.display()),
        Err(_) if flag == "--messages" => {}
        Err(error) => tracing::warn!("cannot make {}, for {flag}: {error}", path.display()),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    one == other || identity(one).is_some_and(|found| identity(other) == Some(found))
}
