//! `ncolony beat`, a heart for programs that have none of their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::SystemTime;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Setup, lives, parent, send, wait_for, wait_gone};

const BINARY: &str = env!("CARGO_BIN_EXE_ncolony");

/// A place for hearts.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// What a monitor says to a process `web` that is to beat there.
    fn config(&self, status: &str, period: f64) -> String {
        json!({"args": ["x"], "ncolony.beatcheck": {"period": period, "grace": 3, "status": self.path(status)}})
            .to_string()
    }

    /// `ncolony beat`, in the surroundings of that process.
    fn beat(&self, status: &str, period: f64, words: &[&str]) -> Command {
        let mut command = beat(words);
        command.env("NCOLONY_NAME", "web").env("NCOLONY_CONFIG", self.config(status, period));
        command
    }

    fn beats(&self, file: &str) -> Option<SystemTime> {
        fs::metadata(self.path(file)).and_then(|metadata| metadata.modified()).ok()
    }

    /// Waits for a beat after this one.
    fn wait_beat(&self, file: &str, after: Option<SystemTime>) -> SystemTime {
        wait_for("a beat", || self.beats(file).filter(|at| Some(*at) != after))
    }
}

fn beat(words: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("beat").args(words).env_remove("NCOLONY_NAME").env_remove("NCOLONY_CONFIG").stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().expect("the binary starts");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn pid(child: &Child) -> i32 {
    child.id() as i32
}

#[test]
fn one_beat_touches_the_file_or_the_one_of_its_name_in_the_directory_and_makes_it() {
    let place = Place::new();
    assert_eq!(output(&mut place.beat("status", 3.0, &[])), (Some(0), String::new()));
    let first = place.beats("status").expect("it is made");
    wait_for("a later beat", || {
        assert_eq!(output(&mut place.beat("status", 3.0, &[])).0, Some(0));
        place.beats("status").filter(|at| *at > first)
    });
    fs::create_dir(place.path("hearts")).expect("a directory");
    assert_eq!(output(&mut place.beat("hearts", 3.0, &[])), (Some(0), String::new()));
    assert!(place.beats("hearts/web").is_some());
    // What it holds is left alone.
    fs::write(place.path("text"), "words").expect("a file");
    assert_eq!(output(&mut place.beat("text", 3.0, &[])).0, Some(0));
    assert_eq!(fs::read_to_string(place.path("text")).expect("the file"), "words");
}

#[test]
fn a_heart_by_its_own_name() {
    let place = Place::new();
    symlink(BINARY, place.path("ncolony-beat")).expect("a link");
    let mut command = Command::new(place.path("ncolony-beat"));
    command.env("NCOLONY_CONFIG", place.config("status", 3.0));
    assert_eq!(output(&mut command), (Some(0), String::new()));
    assert!(place.beats("status").is_some());
}

#[test]
fn what_keeps_it_from_beating_is_told_and_the_exit_status_is_1() {
    let place = Place::new();
    fs::create_dir(place.path("hearts")).expect("a directory");
    let say = |why: &str| (Some(1), format!("ncolony beat: {why}\n"));
    let plain = |config: Option<&str>| {
        let mut command = beat(&[]);
        config.map(|config| command.env("NCOLONY_CONFIG", config));
        output(&mut command)
    };
    assert_eq!(plain(None), say("nobody asks for a heartbeat: NCOLONY_CONFIG is not set"));
    let none = "nobody asks for a heartbeat: NCOLONY_CONFIG has no \"ncolony.beatcheck\"";
    assert_eq!(plain(Some("{}")), say(none));
    assert_eq!(plain(Some("{")), say("NCOLONY_CONFIG is not JSON: EOF while parsing an object at line 1 column 1"));
    assert_eq!(
        plain(Some(r#"{"ncolony.beatcheck": {"period": "often", "status": "s"}}"#)),
        say("\"ncolony.beatcheck\" in NCOLONY_CONFIG: \"period\" is no number of seconds above 0")
    );
    let hearts = place.path("hearts");
    let nameless = format!("{} is a directory, and NCOLONY_NAME no name of a file in it", hearts.display());
    for name in [None, Some(""), Some("../web"), Some(".."), Some("a/b")] {
        let mut command = place.beat("hearts", 3.0, &[]);
        match name {
            Some(name) => command.env("NCOLONY_NAME", name),
            None => command.env_remove("NCOLONY_NAME"),
        };
        assert_eq!(output(&mut command), say(&nameless), "{name:?}");
    }
    let lost = place.path("nowhere/status");
    let untouched = format!("cannot touch {}: No such file or directory (os error 2)", lost.display());
    assert_eq!(output(&mut place.beat("nowhere/status", 3.0, &[])), say(&untouched));
}

#[test]
fn a_fifo_in_the_place_of_the_file_holds_nobody_up() {
    let place = Place::new();
    nix::unistd::mkfifo(&place.path("status"), Mode::S_IRWXU).expect("a FIFO");
    assert_eq!(output(&mut place.beat("status", 3.0, &[])), (Some(0), String::new()));
}

#[test]
fn a_wrong_command_line_is_exit_status_2_and_says_what_is_wrong() {
    let place = Place::new();
    let rows: [(&[&str], &str); 6] = [
        (&["--every", "often"], "expected a number of seconds, such as 5 or 0.5"),
        (&["--every=0"], "expected 0.001 to 3153600000 seconds"),
        (&["--while"], "required"),
        (&["--", "true"], "--while"),
        (&["--while", "true"], "unexpected argument 'true'"),
        (&["now"], "unexpected argument 'now'"),
    ];
    for (words, complaint) in rows {
        let (code, told) = output(&mut place.beat("status", 3.0, words));
        assert_eq!(code, Some(2), "{words:?}: {told}");
        assert!(told.contains(complaint), "{words:?}: {told}");
    }
    assert_eq!(place.beats("status"), None);
}

#[test]
fn every_third_of_the_period_it_beats_as_long_as_whoever_has_started_it_lives() {
    let place = Place::new();
    let script = format!("{BINARY} beat --every & echo $! > {}; exec sleep 1000", place.path("pid").display());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env("NCOLONY_CONFIG", place.config("status", 0.3)).stdin(Stdio::null());
    let mut parent = command.spawn().expect("sh");
    let beater: i32 = wait_for("the heart", || fs::read_to_string(place.path("pid")).ok()?.trim().parse().ok());
    let first = place.wait_beat("status", None);
    let second = place.wait_beat("status", Some(first));
    place.wait_beat("status", Some(second));
    parent.kill().expect("it lives");
    parent.wait().expect("our child");
    wait_gone(beater);
}

#[test]
fn a_number_of_seconds_may_be_given_and_a_place_that_comes_later_is_beaten_in_then() {
    let place = Place::new();
    let mut command = place.beat("later/status", 3000.0, &["--every", "0.05"]);
    let stderr = fs::File::create(place.path("stderr")).expect("a file");
    let mut child = command.stderr(stderr).spawn().expect("the binary starts");
    let told = || fs::read_to_string(place.path("stderr")).unwrap_or_default();
    wait_for("the complaint", || told().contains("cannot touch").then_some(()));
    fs::create_dir(place.path("later")).expect("a directory");
    let first = place.wait_beat("later/status", None);
    place.wait_beat("later/status", Some(first));
    wait_for("the good news", || told().ends_with("ncolony beat: its heart beats again\n").then_some(()));
    assert_eq!(told().lines().count(), 2, "each once: {}", told());
    child.kill().expect("it lives");
    child.wait().expect("our child");
}

#[test]
fn while_a_command_runs_it_beats_and_the_exit_status_is_the_commands() {
    let place = Place::new();
    let rows: [(&[&str], i32); 6] = [
        (&["true"], 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["/nowhere/program"], 127),
        (&["/"], 126),
    ];
    for (words, expected) in rows {
        let line = [&["--while", "--"], words].concat();
        let (code, told) = output(&mut place.beat("status", 3.0, &line));
        assert_eq!(code, Some(expected), "{words:?}: {told}");
        let complaint = if expected == 126 || expected == 127 { "ncolony beat: cannot execute" } else { "" };
        assert!(told.starts_with(complaint) && told.is_empty() == complaint.is_empty(), "{words:?}: {told}");
    }
    let (code, told) = output(beat(&["--while", "--", "true"]).env("NCOLONY_CONFIG", "{"));
    assert_eq!((code, told.contains("NCOLONY_CONFIG is not JSON")), (Some(125), true), "{told}");
    // By hand there is no monitor, and the line is the same.
    let mut by_hand = beat(&["--while", "--", "sh", "-c", "exit 4"]);
    assert_eq!(output(&mut by_hand), (Some(4), String::new()));
    by_hand.env("NCOLONY_CONFIG", "{}");
    assert_eq!(output(&mut by_hand), (Some(4), String::new()));
}

/// A command that says which signals it hears, until QUIT.
const HEARS: &str = "for signal in HUP INT USR1 USR2 TERM WINCH; do trap \"echo $signal >> $0\" $signal; done
trap 'exit 9' QUIT; echo $$ > $0; while :; do sleep 0.02; done";

#[test]
fn the_command_hears_every_signal_once_and_beats_stop_with_it() {
    let place = Place::new();
    let heard = place.path("heard");
    let line = ["--while", "--every=0.05", "--", "sh", "-c", HEARS, heard.to_str().expect("UTF-8")];
    let mut child = place.beat("status", 3000.0, &line).spawn().expect("the binary starts");
    let lines = || fs::read_to_string(&heard).unwrap_or_default().lines().map(str::to_string).collect::<Vec<_>>();
    let command: i32 = wait_for("the command", || lines().first()?.parse().ok());
    assert_eq!(parent(command), Some(pid(&child)));
    let mut expected = vec![command.to_string()];
    for (signal, name) in [
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGINT, "INT"),
        (Signal::SIGUSR1, "USR1"),
        (Signal::SIGUSR2, "USR2"),
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGWINCH, "WINCH"),
    ] {
        send(pid(&child), signal);
        expected.push(name.to_string());
        wait_for(name, || (lines() == expected).then_some(()));
    }
    let first = place.wait_beat("status", None);
    place.wait_beat("status", Some(first));
    send(pid(&child), Signal::SIGQUIT);
    assert_eq!(child.wait().expect("our child").code(), Some(9));
    assert!(!lives(command));
}

// A monitor that knows no more than the wrapper's pid kills that; a second copy would be begun beside the command.
#[test]
fn who_kills_the_wrapper_kills_the_command() {
    let place = Place::new();
    let file = place.path("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let mut child = place.beat("status", 3.0, &["--while", "--", "sh", "-c", &script]).spawn().expect("it starts");
    let command: i32 = wait_for("the command", || fs::read_to_string(&file).ok()?.trim().parse().ok());
    child.kill().expect("it lives");
    child.wait().expect("our child");
    wait_gone(command);
}

fn of_process(script: &str, status: &Path) -> String {
    json!({
        "args": ["sh", "-c", script],
        "env_inherit": ["PATH"],
        "ncolony.beatcheck": {"period": 1.5, "grace": 2, "status": status},
        "backoff": {"initialSeconds": 0.1, "maxSeconds": 0.5},
    })
    .to_string()
}

#[test]
fn a_script_that_beats_lives_under_our_monitor_and_one_that_stops_is_restarted() {
    let setup = Setup::new();
    let hearts = setup.path("hearts");
    fs::create_dir(&hearts).expect("a directory");
    let quiet = setup.path("quiet");
    let once = format!("while [ ! -e {} ]; do {BINARY} beat || exit 1; sleep 0.2; done; sleep 1000", quiet.display());
    let files = [
        ("once", once),
        ("every", format!("{BINARY} beat --every & exec sleep 1000")),
        ("while", format!("exec {BINARY} beat --while -- sleep 1000")),
    ];
    let setup = files.iter().fold(setup, |setup, (name, script)| setup.file(name, &of_process(script, &hearts)));
    let colony = setup.start();
    let names = ["once", "every", "while"];
    let pids = names.map(|name| colony.wait_pid(name, None));
    names.iter().for_each(|name| _ = colony.wait_finding(name, "ok"));
    // Past the grace they live by their beats.
    colony.wait("three graces to pass", || {
        let started = colony.metric(r#"ncolony_process_start_time_seconds{process="every"}"#)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64();
        (now - started > 9.0).then_some(())
    });
    assert_eq!(names.map(|name| colony.pid_of(name)), pids.map(Some), "{}", colony.log());
    fs::write(&quiet, "").expect("a file");
    colony.wait_pid("once", Some(pids[0]));
    colony.wait_log("SIGTERM to the main process of once: its heartbeat stopped");
    assert_eq!(["every", "while"].map(|name| colony.pid_of(name)), [Some(pids[1]), Some(pids[2])]);
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
}
