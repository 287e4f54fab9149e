//! The end of a colony: in time, with nothing left, whatever it is doing and whatever its processes do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::copies::{Copies, DEAF_FAMILY};
use crate::support::{Colony, Setup, can, lives, succeeds, wait_for, write_file};

const BINARY: &str = env!("CARGO_BIN_EXE_ncolony");
const SLEEPER: &str = r#"{"args": ["sleep", "1000"]}"#;

// D01: one after the other the deaf ones alone would take twenty seconds.
#[test]
fn all_stop_at_once_each_within_its_grace() {
    let mut setup = Setup::new().flags(&["-k", "1"]);
    let copies = Copies::of(&setup);
    for number in 0..180 {
        setup = setup.file(&format!("p{number}"), SLEEPER);
    }
    for number in 0..20 {
        let name = format!("deaf{number}");
        setup =
            setup.file(&name, &copies.script(&name, "trap '' TERM; touch \"$READY\"; while :; do sleep 1000; done"));
    }
    let colony = setup.start();
    for number in 0..20 {
        copies.wait_ready(&format!("deaf{number}"));
    }
    colony.wait("all to be started", || (colony.log().matches(": it is new").count() == 200).then_some(()));
    let pids: Vec<i32> = (0..180).map(|number| colony.wait_pid(&format!("p{number}"), None)).collect();
    let began = Instant::now();
    let (status, log) = colony.end();
    let took = began.elapsed();
    assert_eq!(status.code(), Some(0));
    assert!(took >= Duration::from_secs(1), "the deaf did not have their grace: {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(log.matches("SIGKILL to the process tree of deaf").count(), 20);
    assert_eq!(log.matches("SIGKILL to").count(), 20, "who obeyed was killed: {log}");
    assert!(!pids.into_iter().any(lives));
    assert_eq!(copies.living(), []);
    assert!(log.trim_end().ends_with("ended: nothing is left"), "{log}");
}

// D03
#[test]
fn what_is_forked_during_the_end_ends_too() {
    let setup = Setup::new().flags(&["-k", "1"]);
    let copies = Copies::of(&setup);
    let hop = setup.path("hop");
    // Each lives for some milliseconds, in a session of its own, and leaves the next one behind.
    fs::write(&hop, "sleep 0.02; setsid sh \"$HOP\" &").expect("a file");
    let hopping = "setsid sh \"$HOP\" & touch \"$READY\"; exec sleep 1000";
    let hopping = copies.script("hopping", hopping).replace("\"PATH\"", &format!("\"HOP\": {hop:?}, \"PATH\""));
    let answering = "trap 'setsid sleep 1000 & env -i setsid sleep 1000 & exit' TERM; touch \"$READY\"; while :; do sleep 0.05; done";
    let breeding = "trap '' TERM; touch \"$READY\"; while :; do setsid sleep 1000 & sleep 0.05; done";
    let (answering, breeding) = (copies.script("answering", answering), copies.script("breeding", breeding));
    let colony = setup.file("hopping", &hopping).file("answering", &answering).file("breeding", &breeding).start();
    let names = ["hopping", "answering", "breeding"];
    for name in names {
        copies.wait_ready(name);
    }
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0));
    for name in names {
        copies.wait_none_of(name);
        assert_eq!(log.matches(&format!(" started {name}: ")).count(), 1, "{log}");
    }
}

// D01: daemons, deaf, without a trace of where they come from, whose parents have gone long ago.
#[test]
fn strays_that_cleared_their_environment_end_too() {
    let setup = Setup::new().flags(&["-k", "0.5"]);
    let copies = Copies::of(&setup);
    let stray = "setsid env -i sh -c 'setsid sh -c \"trap : TERM; while :; do sleep 1000; done\" &' & wait; \
        touch \"$READY\"; exec sleep 1000";
    let web = copies.script("web", stray);
    let colony = setup.file("web", &web).start();
    copies.wait_ready("web");
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
    copies.wait_none_of("web");
    assert!(log.contains("ended: nothing is left"), "{log}");
}

// D05: any moment from the first instruction on.
#[test]
fn sigterm_at_any_moment_of_a_start_ends_all_with_status_0() {
    let mut setup = Setup::new();
    let copies = Copies::of(&setup);
    let web = copies.sleeper("x").replace("x.lock", "NAME.lock");
    for number in 0..200 {
        let name = format!("p{number}");
        fs::write(setup.path(&format!("{name}.lock")), "").expect("a file");
        setup = setup.file(&name, &web.replace("NAME", &name));
    }
    for round in 0..30_u64 {
        let mut monitor = setup.command().spawn().expect("the binary starts");
        // The moment is what is varied here; nothing is waited for.
        thread::sleep(Duration::from_millis(round * 7919 % 450));
        kill(Pid::from_raw(monitor.id() as i32), Signal::SIGTERM).expect("it lives");
        let began = Instant::now();
        let status = wait_for("the monitor to end", || monitor.try_wait().expect("our child"));
        let log = fs::read_to_string(setup.path("stderr")).expect("a file");
        // Before its main function nobody can catch a signal.
        let too_early = status.signal() == Some(15) && log.is_empty();
        assert!(status.code() == Some(0) || too_early, "round {round}: {status}: {log}");
        assert!(began.elapsed() < Duration::from_secs(10), "round {round}: {:?}", began.elapsed());
    }
    assert_eq!(copies.living(), []);
}

// D06
#[test]
fn the_exit_status_tells_what_kind_of_trouble_it_is() {
    let run = |args: &[&str]| -> Output { Command::new(BINARY).arg("run").args(args).output().expect("it starts") };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let setup = Setup::new();
    fs::write(setup.path("file"), "").expect("a file");
    let (config, messages, file) = (setup.path("config"), setup.path("messages"), setup.path("file"));
    let [config, messages, file] = [&config, &messages, &file].map(|path| path.to_str().expect("UTF-8"));

    let usage = run(&["--no-such-flag"]);
    assert_eq!(usage.status.code(), Some(2), "{}", said(&usage));
    for (config, messages) in [(file, messages), (config, file)] {
        let output = run(&["--config", config, "--messages", messages, "--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(said(&output).contains(&format!("{file} is not a directory")), "{}", said(&output));
    }

    write_file(&setup.path("config"), "web", &format!(r#"{{"args": ["touch", "{file}.started"]}}"#));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(&["--config", config, "--messages", messages, "--listen", &address]);
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(said(&output).contains(&address), "which port? {}", said(&output));
    assert!(!PathBuf::from(format!("{file}.started")).exists(), "a process was started");
}

// D08, M11
#[test]
fn an_end_takes_no_edits_and_no_messages() {
    let setup = Setup::new().flags(&["-k", "1000"]);
    let copies = Copies::of(&setup);
    let deaf = copies.script("deaf", DEAF_FAMILY);
    let mut colony = setup.file("deaf", &deaf).file("web", SLEEPER).start();
    copies.wait_ready("deaf");
    colony.wait_pid("web", None);
    colony.signal(Signal::SIGTERM);
    colony.wait_log("web is gone");

    colony.write("new", SLEEPER);
    colony.write("web", r#"{"args": ["sleep", "2000"]}"#);
    colony.message("restart", r#"{"type": "RESTART", "name": "deaf"}"#);
    colony.message("all", r#"{"type": "RESTART-ALL"}"#);
    colony.wait_log("message restart was refused: the monitor is ending");
    colony.wait_log("message all was refused: the monitor is ending");
    assert!(colony.path("messages/.rejected-restart").exists());
    // A SIGHUP asks for nothing but a scan.
    colony.signal(Signal::SIGHUP);
    colony.hurry(Signal::SIGINT);
    assert_eq!(colony.exit_status().code(), Some(0));
    let log = colony.log();
    assert_eq!(log.matches(": it is new").count(), 2, "{log}");
}

// D01: the kubelet must see it at the first probe, and must not kill what is on its way out.
#[test]
fn from_the_first_moment_of_its_end_it_is_not_ready_but_alive() {
    let setup = Setup::new().flags(&["-k", "1000"]);
    let copies = Copies::of(&setup);
    let deaf = copies.script("deaf", DEAF_FAMILY);
    let mut colony = setup.file("deaf", &deaf).start();
    copies.wait_ready("deaf");
    colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    colony.signal(Signal::SIGTERM);
    colony.wait_log("ending: every process is asked to stop");
    let (code, verdict) = colony.get("/healthz?verbose");
    assert_eq!(code, 503, "{verdict}");
    assert!(verdict.contains("[-]shutdown failed"), "{verdict}");
    assert_eq!(colony.get("/readyz").0, 503);
    assert_eq!(colony.get("/livez").0, 200);
    colony.hurry(Signal::SIGTERM);
    assert_eq!(colony.exit_status().code(), Some(0));
}

// Issue 2.9
#[test]
fn whoever_asks_twice_is_in_a_hurry() {
    for second in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let setup = Setup::new().flags(&["-k", "1000"]);
        let copies = Copies::of(&setup);
        let deaf = copies.script("deaf", DEAF_FAMILY);
        let mut colony = setup.file("deaf", &deaf).start();
        copies.wait_ready("deaf");
        colony.signal(Signal::SIGINT);
        colony.hurry(second);
        assert_eq!(colony.exit_status().code(), Some(0));
        copies.wait_none_of("deaf");
    }
}

// P05: as `timeout` does, which tells its child and then its child's group.
#[test]
fn a_signal_to_end_and_its_echo_are_one() {
    let slow = "trap 'echo asked; sleep 0.5; echo good; exit 0' TERM; touch \"$READY\"; while :; do sleep 0.05; done";
    let setup = Setup::new().flags(&["-k", "1000"]);
    let copies = Copies::of(&setup);
    let slow = copies.script("slow", slow);
    let mut colony = setup.file("slow", &slow).start();
    copies.wait_ready("slow");
    // Both are there when it comes to look.
    colony.freeze();
    colony.signal(Signal::SIGTERM);
    colony.signal(Signal::SIGINT);
    colony.signal(Signal::SIGCONT);
    assert_eq!(colony.exit_status().code(), Some(0));
    assert!(colony.stdout().contains("[slow] good"), "it had its grace: {}", colony.log());
    assert_eq!(colony.count("ending"), 1, "{}", colony.log());
    copies.wait_none_of("slow");
}

// D07
#[test]
fn the_last_words_of_all_are_written() {
    let talkative = "trap 'for i in $(seq 300); do echo \"word $i\"; done; printf \"the last one\"; exit 0' TERM; \
        touch \"$READY\"; while :; do sleep 0.05; done";
    let setup = Setup::new();
    let copies = Copies::of(&setup);
    let (one, two) = (copies.script("one", talkative), copies.script("two", talkative));
    let mut colony = setup.file("one", &one).file("two", &two).start();
    copies.wait_ready("one");
    copies.wait_ready("two");
    colony.signal(Signal::SIGTERM);
    colony.exit_status();
    let said = colony.stdout();
    for name in ["one", "two"] {
        for word in 1..=300 {
            assert!(said.contains(&format!("[{name}] word {word}\n")), "{name} said no word {word}: {said}");
        }
        assert!(said.contains(&format!("[{name}] the last one")), "{said}");
    }
}

#[test]
fn what_ctl_added_ends_with_the_rest_and_the_next_monitor_finds_nothing_left() {
    let colony = Setup::new().start();
    let added = Command::new(BINARY)
        .args(["ctl", "--messages"])
        .arg(colony.path("messages"))
        .arg("--config")
        .arg(colony.path("config"))
        .args(["add", "web", "--cmd", "sleep", "--arg", "1000"])
        .status()
        .expect("the binary starts");
    assert!(added.success());
    let pid = colony.wait_pid("web", None);
    let mut colony = colony;
    colony.signal(Signal::SIGTERM);
    assert_eq!(colony.exit_status().code(), Some(0));
    assert!(!lives(pid));
    let journal = fs::read_to_string(colony.path("messages/.ncolony/journal")).expect("a journal");
    let begun = journal.matches("\n+ ").count();
    let ended = journal.matches("\n- ").count();
    // The head's line of the last number looks like an end.
    assert_eq!((begun, ended), (1, 2), "{journal}");
}

/// A group of processes that the kernel does not let run, nor die.
struct Freezer(PathBuf);

impl Freezer {
    /// Where cgroups of version 1 are mounted.
    fn new() -> Option<Freezer> {
        let path = PathBuf::from(format!("/sys/fs/cgroup/freezer/ncolony-test-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        Some(Freezer(path))
    }

    fn freeze(&self, pid: i32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("it lives");
        self.set("FROZEN");
    }

    fn set(&self, state: &str) {
        fs::write(self.0.join("freezer.state"), state).expect("a freezer");
        let is = || fs::read_to_string(self.0.join("freezer.state")).ok().filter(|now| now.trim() == state);
        wait_for("the freezer", is);
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.set("THAWED");
        wait_for("the freezer to be empty", || fs::remove_dir(&self.0).ok());
    }
}

// D04
#[test]
fn what_cannot_be_killed_is_named_and_left() {
    let freezer = Freezer::new();
    if !can("a freezer cgroup of version 1", freezer.is_some()) {
        return;
    }
    let freezer = freezer.expect("looked a moment ago");
    let colony = Setup::new().flags(&["-k", "0.5"]).file("frozen", SLEEPER).file("web", SLEEPER).start();
    let (frozen, web) = (colony.wait_pid("frozen", None), colony.wait_pid("web", None));
    freezer.freeze(frozen);
    let began = Instant::now();
    let (status, log) = colony.end();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("frozen does not die of SIGKILL; it is left behind"), "{log}");
    assert!(!log.contains("started again"), "{log}");
    assert!(log.contains(&format!("pid={frozen}")), "{log}");
    assert!(!log.contains("nothing is left"), "{log}");
    assert!(!lives(web));
    drop(freezer);
    wait_for("it to die when it can", || (!lives(frozen)).then_some(()));
}

/// A monitor that is PID 1 of a namespace, and its pid out here.
fn as_pid_1(unshare: &[&str]) -> Option<(Colony, i32, Copies)> {
    let have = succeeds(unshare[0], &[&unshare[1..], &["true"]].concat());
    if !can("a PID namespace", have) {
        return None;
    }
    let setup = Setup::new().flags(&["-k", "0.5"]).through(unshare);
    let copies = Copies::of(&setup);
    let deaf = copies.script("deaf", DEAF_FAMILY);
    let colony = setup.file("deaf", &deaf).start();
    copies.wait_ready("deaf");
    let children = format!("/proc/{0}/task/{0}/children", colony.pid());
    let monitor = fs::read_to_string(children).expect("/proc").trim().parse().expect("unshare has one child");
    Some((colony, monitor, copies))
}

// Issue 2.9
#[test]
fn as_pid_1_it_ends_with_status_0_and_leaves_nothing() {
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc"];
    let Some((mut colony, monitor, copies)) = as_pid_1(&unshare) else { return };
    kill(Pid::from_raw(monitor), Signal::SIGTERM).expect("it lives");
    assert_eq!(colony.exit_status().code(), Some(0));
    copies.wait_none_of("deaf");
    // The kernel would have ended them anyway: it is the monitor that says so.
    colony.wait_log("ended: nothing is left");
}

// With the host's /proc its numbers are the host's: the end of a colony waited for PID 1's children there, and might
// have signalled whoever has their numbers here.
#[test]
fn a_proc_of_another_namespace_is_not_believed() {
    let Some((mut colony, monitor, _copies)) = as_pid_1(&["unshare", "--pid", "--fork"]) else { return };
    assert!(colony.log().contains("/proc is missing or tells of another PID namespace"), "{}", colony.log());
    kill(Pid::from_raw(monitor), Signal::SIGTERM).expect("it lives");
    assert_eq!(colony.exit_status().code(), Some(0));
}
