//! Each part of the original (2024.1, from PyPI) and of ours under each monitor: one cell of the matrix, one test. More of
//! the whole is in `original.rs` and `tests/ctl.rs`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::original::{HEART, HTTPCHECK, Original, Theirs};
use crate::support::{Colony, Setup, lives, parent, wait_for, wait_gone, write_file};

const BINARY: &str = env!("CARGO_BIN_EXE_ncolony");

/// Whose a part is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whose {
    Theirs,
    Ours,
}
use Whose::{Ours, Theirs as TheirOwn};

/// A monitor at work on two directories, seen by what its processes write down themselves.
struct Stage {
    original: Original,
    /// Ends before its directory goes.
    _monitor: Monitor,
    dir: PathBuf,
}

#[expect(dead_code, reason = "held until the end")]
enum Monitor {
    Theirs(Theirs, Setup),
    Ours(Box<Colony>),
}

impl Stage {
    /// `None` where there is no original.
    fn new(monitor: Whose) -> Option<Stage> {
        let original = Original::find()?;
        let setup = Setup::new();
        let dir = setup.path("");
        fs::create_dir(dir.join("checked")).expect("a directory");
        let monitor = match monitor {
            Ours => Monitor::Ours(Box::new(setup.flags(&["-t", "0.1", "-m", "0.1"]).start())),
            TheirOwn => {
                let flags = ["--freq", "0.3", "-t", "0.1", "-m", "0.1"];
                Monitor::Theirs(original.monitor(&dir, &flags), setup)
            }
        };
        Some(Stage { original, _monitor: monitor, dir })
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    fn run(&self, name: &str, args: &[&str], more: Value) {
        let mut file = json!({ "args": args });
        if let (Value::Object(file), Value::Object(more)) = (&mut file, more) {
            file.extend(more);
        }
        write_file(&self.path("config"), name, &file.to_string());
    }

    /// A script that writes its pid down, and then does this.
    fn recorder(&self, name: &str, then: &str) -> String {
        format!("echo $$ >> {}; {then}", self.path(&format!("{name}.runs")).display())
    }

    fn runs(&self, name: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.path(&format!("{name}.runs"))).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn wait_run(&self, name: &str, number: usize) -> i32 {
        wait_for(&format!("run {number} of {name}"), || self.runs(name).get(number - 1).copied())
    }

    fn flags(&self, config: &str) -> [String; 4] {
        let path = |below: &str| self.path(below).display().to_string();
        ["--config".into(), path(config), "--messages".into(), path("messages")]
    }

    /// The words that start one of the checkers, on the directory `checked`.
    fn checker(&self, part: Whose, program: &str) -> Vec<String> {
        let flags = self.flags("checked");
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--freq", "0.3"]).collect();
        let words = |head: &[&str]| head.iter().chain(&flags).map(ToString::to_string).collect();
        match (part, program) {
            (Ours, program) => words(&[BINARY, program]),
            (TheirOwn, "httpcheck") => words(&[self.original.python(), "-c", HTTPCHECK]),
            (TheirOwn, program) => {
                let file = self.original.program(&[&[format!("ncolony-{program}").as_str()], &flags[..]].concat());
                serde_json::from_value(file["args"].clone()).expect("words")
            }
        }
    }

    /// Runs a checker under the monitor, with a heart of its own. It looks at files in a directory of its own, so that the
    /// verdict is surely its own: of `web`, which is bad, and of `steady`, which is not.
    fn is_checked(&self, part: Whose, program: &str, check: impl Fn(&str) -> Value) {
        for name in ["web", "steady"] {
            let script = self.recorder(name, &format!("while :; do touch {name}.beat; sleep 0.2; done"));
            let script = format!("cd {} && {script}", self.dir.display());
            self.run(name, &["/bin/sh", "-c", &script], json!({}));
            let file = json!({"args": ["x"], format!("ncolony.{program}"): check(name)});
            write_file(&self.path("checked"), name, &file.to_string());
        }
        self.wait_run("steady", 1);
        let heart = json!({"ncolony.beatcheck": {"period": 30, "grace": 3, "status": self.path("heart")}});
        let words = self.checker(part, program);
        self.run("checker", &words.iter().map(String::as_str).collect::<Vec<_>>(), heart);
        let first = self.wait_run("web", 1);
        self.wait_run("web", 2);
        wait_gone(first);
        self.wait_run("web", 3);
        wait_for("the checker's own heart", || self.path("heart").exists().then_some(()));
        assert_eq!(self.runs("steady").len(), 1, "who is well is left alone");
    }
}

fn ctl(monitor: Whose, part: Whose) {
    let Some(stage) = Stage::new(monitor) else { return };
    let call = |line: &[&str]| {
        let mut command = match part {
            Ours => Command::new(BINARY),
            TheirOwn => {
                let mut command = Command::new(stage.original.python());
                command.args(["-m", "ncolony"]);
                command
            }
        };
        let output = command.arg("ctl").args(stage.flags("config")).args(line).stdin(Stdio::null()).output();
        let output = output.expect("it starts");
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let script = stage.recorder("web", "[ \"$A\" = b=c ] && exec sleep 1000");
    call(&["add", "web", "--cmd", "/bin/sh", "--arg=-c", "--arg", &script, "--env", "A=b=c"]);
    let first = stage.wait_run("web", 1);
    call(&["restart", "web"]);
    stage.wait_run("web", 2);
    wait_gone(first);
    call(&["restart-all"]);
    let third = stage.wait_run("web", 3);
    call(&["remove", "web"]);
    wait_gone(third);
    assert_eq!(stage.runs("web").len(), 3);
}

fn beatcheck(monitor: Whose, part: Whose) {
    let Some(stage) = Stage::new(monitor) else { return };
    stage.is_checked(part, "beatcheck", |name| {
        // The bad one beats elsewhere.
        let file = if name == "web" { "nothing.beat" } else { "steady.beat" };
        json!({"period": 4, "grace": 0.5, "status": stage.path(file)})
    });
}

/// Answers every request with an error: any answer will do. Ends with the test.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    format!("http://{address}/")
}

fn httpcheck(monitor: Whose, part: Whose) {
    let Some(stage) = Stage::new(monitor) else { return };
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let (nobody, somebody) = (format!("http://{nobody}/"), server());
    stage.is_checked(part, "httpcheck", |name| {
        let url = if name == "web" { &nobody } else { &somebody };
        json!({"url": url, "period": 1, "timeout": 1, "maxBad": 1, "grace": 1})
    });
}

fn heart(monitor: Whose, part: Whose) {
    let Some(stage) = Stage::new(monitor) else { return };
    fs::create_dir(stage.path("hearts")).expect("a directory");
    let never = stage.path("never").display().to_string();
    let head: &[&str] = match part {
        Ours => &[BINARY, "beat", "--while", "--", "sleep", "1000"],
        TheirOwn => &[stage.original.python(), "-c", HEART, &never],
    };
    stage.run("web", head, json!({"ncolony.beatcheck": {"period": 3, "grace": 10, "status": stage.path("hearts")}}));
    let beat = || fs::metadata(stage.path("hearts/web")).and_then(|metadata| metadata.modified()).ok();
    let mut last = wait_for("a beat", beat);
    for _ in 0..3 {
        last = wait_for("the next", || beat().filter(|at| *at > last));
    }
    assert_eq!(fs::read_dir(stage.path("hearts")).expect("a directory").count(), 1);
}

fn scheduler(monitor: Whose, part: Whose) {
    let Some(stage) = Stage::new(monitor) else { return };
    let script = stage.recorder("job", "[ \"$NCOLONY_NAME\" = scheduler ] && exec sleep 1000");
    let words = ["--arg", "/bin/sh", "--arg=-c", "--arg", &script];
    let words = [&words[..], &["--frequency", "1", "--timeout", "1", "--grace", "1"]].concat();
    let args: Vec<String> = match part {
        Ours => [&[BINARY, "scheduler"][..], &words].concat().iter().map(ToString::to_string).collect(),
        TheirOwn => {
            let file = stage.original.program(&[&["ncolony-scheduler"][..], &words].concat());
            serde_json::from_value(file["args"].clone()).expect("words")
        }
    };
    let heart = json!({"ncolony.beatcheck": {"period": 30, "grace": 3, "status": stage.path("heart")}});
    stage.run("scheduler", &args.iter().map(String::as_str).collect::<Vec<_>>(), heart);
    let first = stage.wait_run("job", 1);
    stage.wait_run("job", 2);
    wait_gone(first);
    let last = stage.wait_run("job", 3);
    let scheduler = wait_for("the scheduler", || parent(*stage.runs("job").last()?));
    wait_for("its own heart", || stage.path("heart").exists().then_some(()));
    fs::remove_file(stage.path("config/scheduler")).expect("it is there");
    wait_gone(scheduler);
    match (monitor, part) {
        // It leaves behind what it has begun.
        (TheirOwn, TheirOwn) => {
            for run in stage.runs("job").into_iter().filter(|run| lives(*run)) {
                kill(Pid::from_raw(run), Signal::SIGKILL).expect("it lives");
            }
        }
        (Ours, _) | (TheirOwn, Ours) => {
            wait_gone(last);
            wait_for("nothing to be left", || (!stage.runs("job").into_iter().any(lives)).then_some(()));
        }
    }
}

macro_rules! matrix {
    ($($cell:ident: $part:ident under $monitor:ident, $whose:ident;)*) => {
        $(#[test]
        fn $cell() {
            $part($monitor, $whose);
        })*
    };
}

matrix! {
    their_ctl_drives_their_monitor: ctl under TheirOwn, TheirOwn;
    our_ctl_drives_their_monitor: ctl under TheirOwn, Ours;
    their_ctl_drives_our_monitor: ctl under Ours, TheirOwn;
    our_ctl_drives_our_monitor: ctl under Ours, Ours;
    their_beatcheck_works_under_their_monitor: beatcheck under TheirOwn, TheirOwn;
    our_beatcheck_works_under_their_monitor: beatcheck under TheirOwn, Ours;
    their_beatcheck_works_under_our_monitor: beatcheck under Ours, TheirOwn;
    our_beatcheck_works_under_our_monitor: beatcheck under Ours, Ours;
    their_httpcheck_works_under_their_monitor: httpcheck under TheirOwn, TheirOwn;
    our_httpcheck_works_under_their_monitor: httpcheck under TheirOwn, Ours;
    their_httpcheck_works_under_our_monitor: httpcheck under Ours, TheirOwn;
    our_httpcheck_works_under_our_monitor: httpcheck under Ours, Ours;
    their_scheduler_works_under_their_monitor: scheduler under TheirOwn, TheirOwn;
    our_scheduler_works_under_their_monitor: scheduler under TheirOwn, Ours;
    their_scheduler_works_under_our_monitor: scheduler under Ours, TheirOwn;
    our_scheduler_works_under_our_monitor: scheduler under Ours, Ours;
    their_heart_beats_under_their_monitor: heart under TheirOwn, TheirOwn;
    our_heart_beats_under_their_monitor: heart under TheirOwn, Ours;
    their_heart_beats_under_our_monitor: heart under Ours, TheirOwn;
    our_heart_beats_under_our_monitor: heart under Ours, Ours;
}
