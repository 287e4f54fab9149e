//! A colony with one process of each trouble, and how each is mended.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Colony, Setup, send};

/// One process.
pub(crate) struct Trouble {
    pub(crate) process: &'static str,
    /// The file that makes the trouble.
    ill: Value,
    /// The one that mends it.
    well: Value,
}

/// A shell script that has no more than it is given.
fn sh(script: &str, argument: &Path) -> Value {
    json!({"args": ["sh", "-c", script, argument], "env_inherit": ["PATH"]})
}

/// The same with more keys.
fn with(mut file: Value, keys: Value) -> Value {
    let (file_keys, keys) = (file.as_object_mut().expect("a map"), keys.as_object().expect("a map").clone());
    file_keys.extend(keys);
    file
}

/// All of them; what they need is below `dir`.
pub(crate) fn troubles(dir: &Path) -> Vec<Trouble> {
    let steady = || json!({"args": ["sleep", "1000"], "env_inherit": ["PATH"]});
    // So that a test need not wait for it.
    let soon = || json!({"backoff": {"initialSeconds": 0.2, "maxSeconds": 0.5}});
    let probe = |path| json!({"exec": {"command": ["test", "-d", path]}, "periodSeconds": 1, "failureThreshold": 1});
    let (fails, succeeds) = (|| probe("/no/such/directory"), || probe("/"));
    let heart = dir.join("heart");
    let beats = json!({"ncolony.beatcheck": {"period": 2, "grace": 2, "status": heart}});
    // A child of the shell comes to have some 64 MiB; the shell itself stays small.
    let grows = "awk 'BEGIN { s = \"x\"; while (length(s) < 67000000) s = s s; system(\"sleep 1000\") }' & wait";
    // tail keeps what it may have to write at the end, which does not come: 40 million bytes.
    let fills = "{ head -c 40000000 /dev/zero; exec sleep 1000; } | tail -c 40000000 > /dev/null";
    let succeeds_once = "[ ! -e $0 ] && touch $0";
    vec![
        Trouble { process: "well", ill: steady(), well: steady() },
        Trouble { process: "looping", ill: with(sh("exit 7", dir), soon()), well: steady() },
        Trouble { process: "missing", ill: with(json!({"args": ["/no/such/program"]}), soon()), well: steady() },
        Trouble { process: "failed", ill: with(sh("exit 3", dir), json!({"restartPolicy": "Never"})), well: steady() },
        // It beats, then hangs, and is deaf to SIGTERM.
        Trouble {
            process: "hanging",
            ill: with(
                with(sh("trap '' TERM; touch $0; sleep 1; touch $0; while :; do sleep 1; done", &heart), beats.clone()),
                json!({"terminationGracePeriodSeconds": 0.5, "backoff": {"thresholdSeconds": 0}}),
            ),
            well: with(sh("while :; do touch $0; sleep 0.3; done", &heart), beats),
        },
        Trouble { process: "unready", ill: with(steady(), json!({"readinessProbe": fails()})), well: steady() },
        Trouble {
            process: "dying",
            ill: with(with(steady(), soon()), json!({"livenessProbe": fails(), "readinessProbe": succeeds()})),
            well: with(steady(), json!({"livenessProbe": succeeds(), "readinessProbe": succeeds()})),
        },
        Trouble {
            process: "hog",
            ill: with(with(sh(grows, dir), soon()), json!({"resources": {"limits": {"memory": "40Mi"}}})),
            well: with(steady(), json!({"resources": {"limits": {"memory": "40Mi"}}})),
        },
        // It has nine tenths of its memory, and no more.
        Trouble {
            process: "full",
            ill: with(sh(fills, dir), json!({"resources": {"limits": {"memory": "42Mi"}}})),
            well: with(steady(), json!({"resources": {"limits": {"memory": "42Mi"}}})),
        },
        Trouble {
            process: "flooding",
            ill: with(
                sh("while :; do yes | head -n 50000; sleep 0.3; done", dir),
                json!({"output": {"format": "prefix", "onFull": "drop"}}),
            ),
            well: steady(),
        },
        // It succeeds once, and never again.
        Trouble {
            process: "overdue",
            ill: with(sh(succeeds_once, &dir.join("once")), json!({"schedule": {"every": 1}})),
            well: with(sh("true", dir), json!({"schedule": {"every": 1}})),
        },
        // Its runs last longer than its times are apart.
        Trouble {
            process: "late",
            ill: with(sh("sleep 1.5", dir), json!({"schedule": {"every": 0.5}})),
            well: with(sh("true", dir), json!({"schedule": {"every": 1}})),
        },
        // Its run lasts for long, and an edit does not end it.
        Trouble {
            process: "long",
            ill: with(sh("sleep 15", dir), json!({"schedule": {"every": 1}})),
            well: with(sh("true", dir), json!({"schedule": {"every": 1}})),
        },
        // Deaf for longer than any test, so that an edit has to wait.
        Trouble {
            process: "deaf",
            ill: with(
                sh("trap '' TERM; while :; do sleep 1; done", dir),
                json!({"terminationGracePeriodSeconds": 1000}),
            ),
            well: steady(),
        },
        Trouble { process: "refused", ill: json!({"args": ["sleep", "1000"], "nice": "very"}), well: steady() },
    ]
}

/// What nobody has read of the colony's stdout.
pub(crate) struct Unread(File);

impl Unread {
    /// Reads it, on and on.
    pub(crate) fn drain(mut self) {
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while self.0.read(&mut buffer).is_ok_and(|length| length > 0) {}
        });
    }
}

/// Starts it.
pub(crate) fn start() -> (Colony, Unread) {
    let setup = Setup::new();
    let troubles = troubles(setup.dir());
    let setup = troubles.iter().fold(setup, |setup, trouble| setup.file(trouble.process, &trouble.ill.to_string()));
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut command = setup.command();
    command.stdout(writer);
    (setup.start_as(command), Unread(File::from(OwnedFd::from(reader))))
}

/// Edits the process that is deaf.
pub(crate) fn edit(colony: &Colony) {
    colony.wait_pid("deaf", None);
    let deaf = troubles(colony.dir.path()).into_iter().find(|trouble| trouble.process == "deaf").expect("there is one");
    colony.write("deaf", &with(deaf.ill, json!({"env": {"EDITED": "yes"}})).to_string());
}

/// Mends all.
pub(crate) fn mend(colony: &Colony, unread: Unread) {
    for trouble in troubles(colony.dir.path()) {
        colony.write(trouble.process, &trouble.well.to_string());
    }
    send(colony.wait_pid("deaf", None), Signal::SIGKILL);
    unread.drain();
}
