//! Processes of which no two copies can live unseen: each holds a lock for as long as anything of it lives, and ends
//! with [`TWICE`] when another holds it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::{Setup, wait_for, wait_until};

/// The log of a monitor that has two copies of a process.
pub(crate) const TWICE: &str = "exit code 99";
/// Deaf to SIGTERM, with a child that has left group and session, and one without an environment.
pub(crate) const DEAF_FAMILY: &str =
    "trap '' TERM; setsid sleep 1000 & env -i sleep 1000 & touch \"$READY\"; while :; do sleep 1000; done";
/// Obeys SIGTERM, and leaves two children behind that bear no mark, one of them in a session of its own.
pub(crate) const CARELESS: &str = "env -i sleep 1000 & setsid env -i sleep 1000 & touch \"$READY\"; exec sleep 1000";

/// Whatever is left of them is killed when the test ends.
pub(crate) struct Copies {
    dir: PathBuf,
    /// Kept open, so that they can be asked when the directory has gone.
    locks: RefCell<HashMap<String, File>>,
}

impl Copies {
    pub(crate) fn of(setup: &Setup) -> Copies {
        Copies { dir: setup.path(""), locks: RefCell::default() }
    }

    /// A process file: a sleeper.
    pub(crate) fn sleeper(&self, name: &str) -> String {
        self.program(name, &["sleep", "1000"])
    }

    /// A process file: a shell script, which touches `$READY` when it is.
    pub(crate) fn script(&self, name: &str, script: &str) -> String {
        self.program(name, &["sh", "-c", script])
    }

    pub(crate) fn wait_ready(&self, name: &str) {
        let path = self.dir.join(format!("{name}.ready"));
        wait_for(&format!("{name} to be ready"), || fs::remove_file(&path).ok());
    }

    /// All that bear this test's mark and live, by pid, with their names.
    pub(crate) fn living(&self) -> Vec<(i32, String)> {
        let pids = fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid: i32| Some((pid, self.name_of(pid)?))).collect()
    }

    /// Waits until nothing of a process lives, whatever it did to its environment.
    pub(crate) fn wait_none_of(&self, name: &str) {
        let locks = self.locks.borrow();
        let free = || {
            let lock = locks[name].try_clone().expect("a descriptor");
            Flock::lock(lock, FlockArg::LockExclusiveNonblock).ok()?.unlock().ok()
        };
        if wait_until("a free lock", free).is_none() {
            panic!("something of {name} lives on: {:?}", self.living());
        }
    }

    fn program(&self, name: &str, program: &[&str]) -> String {
        let lock = self.dir.join(format!("{name}.lock"));
        self.locks.borrow_mut().insert(name.to_string(), File::create(&lock).expect("a file"));
        let flock = ["flock", "--no-fork", "--nonblock", "--conflict-exit-code", "99"].map(String::from);
        let words: Vec<String> = flock
            .into_iter()
            .chain([lock.display().to_string()])
            .chain(program.iter().map(ToString::to_string))
            .collect();
        let ready = self.dir.join(format!("{name}.ready"));
        json!({"args": words, "env": {"E2E": self.dir, "READY": ready, "PATH": "/bin:/usr/bin"}}).to_string()
    }

    fn name_of(&self, pid: i32) -> Option<String> {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let variable = |name: &str| {
            let entry = environ.split(|byte| *byte == 0).find(|entry| entry.starts_with(name.as_bytes()))?;
            String::from_utf8(entry[name.len()..].to_vec()).ok()
        };
        (variable("E2E=")? == self.dir.display().to_string()).then(|| variable("NCOLONY_NAME="))?
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        for (pid, _) in self.living() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
