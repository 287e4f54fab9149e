//! `--pid DIR`: a file per running process, named after it, holding its pid (NColony's).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use nix::fcntl::OFlag;

use crate::model::Name;

/// The directory, if one is asked for.
#[derive(Debug)]
pub(super) struct PidFiles {
    dir: Option<PathBuf>,
    trouble: Option<String>,
}

impl PidFiles {
    /// Files in `dir`, or none at all.
    pub(super) fn new(dir: Option<PathBuf>) -> PidFiles {
        PidFiles { dir, trouble: None }
    }

    /// Notes that a process runs. A file that cannot be written is no reason not to run it.
    pub(super) fn started(&mut self, name: &Name, pid: i32) {
        let Some(dir) = &self.dir else { return };
        // The leading dot: no process has such a name.
        let temporary = dir.join(format!(".{}.new", std::process::id()));
        let written = write(&temporary, pid).and_then(|()| fs::rename(&temporary, dir.join(name.as_str())));
        let trouble = written.err().map(|error| format!("cannot write {}: {error}", dir.join(name.as_str()).display()));
        // Once, until one can be written: a process that crashes again and again would fill the log with it.
        if let (Some(trouble), None) = (&trouble, &self.trouble) {
            tracing::warn!(process = %name, "{trouble}");
        }
        self.trouble = trouble;
    }

    /// Notes that it does not.
    pub(super) fn ended(&self, name: &Name) {
        if let Some(dir) = &self.dir {
            // It may be gone already; whoever reads it must expect that anyway.
            let _ = fs::remove_file(dir.join(name.as_str()));
        }
    }

    /// What is wrong, if anything is.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

fn write(path: &std::path::Path, pid: i32) -> io::Result<()> {
    let flags = OFlag::O_NOFOLLOW.bits();
    let mut file =
        File::options().create(true).write(true).truncate(true).mode(0o644).custom_flags(flags).open(path)?;
    write!(file, "{pid}")
}
