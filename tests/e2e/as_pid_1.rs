//! Each program that lasts as PID 1 of a namespace, as in a container of its own: what asks for the end ends it, though the
//! kernel drops signals for a PID 1 that does not hear them; what comes to it as an orphan does not stay a zombie; and the
//! container ends with its status.

use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::pid1::children;
use crate::support::{BINARY, can, send, state, status, succeeds, wait_for};

const NAMESPACE: [&str; 4] = ["--pid", "--fork", "--mount-proc", "--kill-child"];

/// A namespace whose PID 1 is one of our programs.
struct Container {
    outer: Child,
    /// As this test sees it.
    pid_1: i32,
    _dir: TempDir,
}

impl Container {
    /// DIR in a word is a directory with two empty ones, `config` and `messages`.
    fn start(words: &[&str]) -> Container {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().display().to_string();
        for name in ["config", "messages"] {
            std::fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        let heart = json!({"args": ["x"], "ncolony.beatcheck": {"period": 3, "grace": 3, "status": dir.path()}});
        let mut command = Command::new("unshare");
        command.args(NAMESPACE).arg(BINARY).args(words.iter().map(|word| word.replace("DIR", &path)));
        command.env("NCOLONY_NAME", "web").env("NCOLONY_CONFIG", heart.to_string());
        let outer =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut container = Container { outer, pid_1: 0, _dir: dir };
        container.pid_1 = wait_for(&format!("PID 1 to wait for something: {words:?}"), || {
            let pid = *children(container.outer.id() as i32).first()?;
            // The signals for overflows of the stack are caught before `main`, which holds back all at once. Whoever waits
            // by sigtimedwait(2) seems to hold none back.
            let catches = u64::from_str_radix(&status(pid, "SigCgt")?, 16).ok()? & (1 << 10) != 0;
            (status(pid, "Name")?.starts_with("ncolony") && catches && state(pid) == Some('S')).then_some(pid)
        });
        container
    }

    /// What somebody who looks into the container leaves behind comes to PID 1, and is collected.
    fn collects_a_stranger(&self, words: &[&str]) {
        let own = children(self.pid_1);
        let script = "for n in 1 2 3; do (sleep 0.2 & echo $! > /dev/null); done";
        let target = self.pid_1.to_string();
        assert!(succeeds("nsenter", &["--target", &target, "--pid", "--mount", "sh", "-c", script]), "{words:?}");
        wait_for(&format!("orphans to be collected by {words:?}"), || {
            let left = children(self.pid_1);
            left.iter().all(|pid| own.contains(pid) && state(*pid) != Some('Z')).then_some(())
        });
    }

    fn end_by(mut self, signal: Signal) -> Option<i32> {
        send(self.pid_1, signal);
        wait_for("PID 1 to end", || self.outer.try_wait().expect("ours").map(|status| status.code()))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}

fn can_be_had() -> bool {
    can("a pid namespace", succeeds("unshare", &["--pid", "--fork", "--mount-proc", "true"]))
        && can("nsenter", succeeds("nsenter", &["--version"]))
}

const STAYS: &str = "trap 'exit 4' TERM INT; while :; do sleep 0.05; done";

#[test]
fn as_pid_1_every_program_that_lasts_ends_when_it_is_asked_and_leaves_no_zombie() {
    if !can_be_had() {
        return;
    }
    let (term, int, quit, hup) = (Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP);
    let checker = ["--config", "DIR/config", "--messages", "DIR/messages"];
    let beatcheck = [&["beatcheck"][..], &checker].concat();
    let httpcheck = [&["httpcheck"][..], &checker].concat();
    let scheduler = [
        "scheduler",
        "--frequency",
        "99",
        "--timeout",
        "99",
        "--grace",
        "9",
        "--arg",
        "sh",
        "--arg",
        "-c",
        "--arg",
        STAYS,
    ]
    .to_vec();
    let beating = ["beat", "--every", "0.1"].to_vec();
    let during = ["beat", "--while", "--", "sh", "-c", STAYS].to_vec();
    let reaper = ["reaper", "sh", "-c", STAYS].to_vec();
    let pause = ["reaper", "--pause"].to_vec();
    let run = [&["run", "--listen", "off"][..], &checker].concat();
    // The checkers and the scheduler end well when they are asked to; others with the program's status, or 128 + n.
    let rows: [(&[&str], &[Signal], i32); 10] = [
        (&beatcheck, &[term, int, quit], 0),
        (&httpcheck, &[term, int, quit], 0),
        (&scheduler, &[term, int], 0),
        (&beating, &[term], 143),
        (&beating, &[int], 130),
        (&beating, &[hup], 129),
        (&during, &[term, int], 4),
        (&reaper, &[term, int], 4),
        (&pause, &[term, int], 0),
        (&run, &[term, int, quit], 0),
    ];
    for (words, signals, expected) in rows {
        for signal in signals {
            let container = Container::start(words);
            container.collects_a_stranger(words);
            assert_eq!(container.end_by(*signal), Some(expected), "{words:?} {signal}");
        }
    }
}

#[test]
fn as_pid_1_programs_that_end_by_themselves_do_so_with_their_status() {
    if !can_be_had() {
        return;
    }
    let rows: [(&[&str], i32); 9] = [
        (&["beat", "--while", "--", "sh", "-c", "(sleep 0.1 &); exit 5"], 5),
        (&["beat", "--while", "--", "sh", "-c", "kill -9 $$"], 137),
        (&["beat", "--while", "--", "/nowhere"], 127),
        (&["beat"], 1),
        (&["convert", "/nowhere"], 2),
        (&["check", "/nowhere"], 1),
        (&["beatcheck", "--config"], 2),
        (&["scheduler"], 2),
        (&["reaper", "sh", "-c", "(sleep 0.1 &); exit 6"], 6),
    ];
    for (words, expected) in rows {
        let mut command = Command::new("unshare");
        command.args(NAMESPACE).arg(BINARY).args(words).env_remove("NCOLONY_CONFIG").env_remove("NCOLONY_NAME");
        let output = command.stdin(Stdio::null()).output().expect("it starts");
        assert_eq!(output.status.code(), Some(expected), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
