//! Heartbeats and the whole monitor: who beats lives, who stops is restarted for that reason, and no clock matters.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::AT_FDCWD;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::support::{Colony, Setup, can, lives, send, wait_for, wait_gone, write_file};

const MISSES: &str = r#"ncolony_process_exits_total{process="web",reason="heartbeat"}"#;

/// A process that does this, and has to beat into the file or directory `status` of the colony's own directory.
fn beating(setup: &Setup, script: &str, period: f64, grace: f64) -> String {
    let status = setup.path("status").display().to_string();
    // A short back-off, so that a test need not wait for it.
    format!(
        r#"{{"args": ["sh", "-c", {script:?}, "web", {status:?}], "env_inherit": ["PATH"],
            "backoff": {{"initialSeconds": 0.1, "maxSeconds": 0.5}},
            "ncolony.beatcheck": {{"period": {period}, "grace": {grace}, "status": {status:?}}}}}"#
    )
}

/// The monitor with one such process.
fn colony(script: &str, period: f64, grace: f64) -> Colony {
    let setup = Setup::new();
    let text = beating(&setup, script, period, grace);
    setup.file("web", &text).start()
}

const BEATS: &str = "while :; do touch $1; sleep 0.1; done";

/// Asserts that the process is the one that it was after this time.
fn lives_for(colony: &Colony, pid: i32, seconds: f64) {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        assert!(lives(pid) && colony.pid_of("web") == Some(pid), "it was restarted; the log:\n{}", colony.log());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_process_that_beats_becomes_ready_and_lives() {
    let colony = colony(BEATS, 3.0, 2.0);
    let web = colony.wait_pid("web", None);
    colony.wait_finding("web", "[+]web ok");
    assert_eq!(colony.get("/healthz").0, 200);
    colony.wait_metric(r#"ncolony_process_heartbeat_timestamp_seconds{process="web"}"#, |at| at > 1e9);
    lives_for(&colony, web, 4.0);
    assert_eq!(colony.metric(MISSES), Some(0.0));
}

// H09: as when a disk is full, where nobody can beat.
#[test]
fn hearts_that_stop_together_are_held_and_who_beats_again_in_time_is_not_restarted() {
    let names = ["one", "two", "three", "four"];
    let setup = Setup::new();
    fs::create_dir(setup.path("status")).expect("a directory");
    let script = "while :; do [ -e $1.full ] || touch $1/$NCOLONY_NAME; sleep 0.2; done";
    let text = beating(&setup, script, 8.0, 2.0);
    let colony = names.iter().fold(setup, |setup, name| setup.file(name, &text)).start();
    let pids = names.map(|name| colony.wait_pid(name, None));
    names.iter().for_each(|name| _ = colony.wait_finding(name, "ok"));
    let full = colony.path("status.full");
    File::create(&full).expect("a file");
    colony.wait_log("most hearts have stopped at once");
    // Who is held is not ready, and says why.
    colony.wait("one to be held", || {
        let (_, text) = colony.verbose();
        text.contains("it is held, and restarted when it is its turn").then_some(())
    });
    fs::remove_file(full).expect("it is there");
    colony.wait("all to beat again", || (colony.get("/healthz").0 == 200).then_some(()));
    assert_eq!(names.map(|name| colony.wait_pid(name, None)), pids, "{}", colony.log());
    assert_eq!(colony.count("most hearts"), 1);
    assert!(!colony.log().contains("SIGTERM"), "{}", colony.log());
}

#[test]
fn a_process_that_stops_beating_is_restarted_for_that_reason() {
    let setup = Setup::new();
    // It beats until it is told not to.
    let script = "while :; do [ -e $1.quiet ] || touch $1; sleep 0.1; done";
    let text = beating(&setup, script, 2.0, 2.0);
    let colony = setup.file("web", &text).start();
    let web = colony.wait_pid("web", None);
    colony.wait_finding("web", "[+]web ok");
    let quiet = colony.path("status.quiet");
    File::create(&quiet).expect("a file");
    wait_gone(web);
    colony.wait_metric(MISSES, |misses| misses >= 1.0);
    colony.wait_log("SIGTERM to the main process of web: its heartbeat stopped");
    assert!(!colony.log().contains("its grace is over"), "{}", colony.log());
    assert_eq!(colony.metric(r#"ncolony_process_exits_total{process="web",reason="signal"}"#), Some(0.0));
    fs::remove_file(quiet).expect("it is there");
    colony.wait_pid("web", Some(web));
    colony.wait_finding("web", "[+]web ok");
}

// H06, H11
#[test]
fn a_process_that_never_beats_has_its_grace_whatever_the_last_run_left() {
    let setup = Setup::new();
    File::create(setup.path("status")).expect("a stale file");
    let text = beating(&setup, "exec sleep 1000", 1.0, 2.5);
    let colony = setup.file("web", &text).start();
    let began = Instant::now();
    let web = colony.wait_pid("web", None);
    let line = colony.wait_finding("web", "no heartbeat yet");
    assert!(line.starts_with("[-]"), "{line}");
    wait_gone(web);
    let lasted = began.elapsed().as_secs_f64();
    assert!(lasted >= 2.2, "the grace is two periods and a half, not {lasted} s; the log:\n{}", colony.log());
    colony.wait_finding("web", "its heartbeat stopped (killed by SIGTERM)");
    // Its restarts back off as crashes do.
    colony.wait_log("started web: the back-off is over");
}

// H07
#[test]
fn a_beat_may_be_a_file_of_its_name_in_a_directory() {
    let setup = Setup::new();
    fs::create_dir(setup.path("status")).expect("a directory");
    let text = beating(&setup, "while :; do touch $1/web; sleep 0.1; done", 3.0, 2.0);
    let colony = setup.file("web", &text).start();
    let web = colony.wait_pid("web", None);
    colony.wait_finding("web", "[+]web ok");
    lives_for(&colony, web, 1.0);
}

// H07, G11
#[test]
fn what_cannot_be_a_heartbeat_is_said_now_and_then_and_counts_as_none() {
    let setup = Setup::new();
    nix::unistd::mkfifo(&setup.path("status"), Mode::S_IRWXU).expect("a FIFO");
    let text = beating(&setup, "exec sleep 1000", 2.0, 1.0);
    let colony = setup.file("web", &text).start();
    let web = colony.wait_pid("web", None);
    colony.wait_finding("web", "status is a FIFO, not a file");
    wait_gone(web);
    colony.wait_metric(MISSES, |misses| misses >= 1.0);
    let log = colony.log();
    let first_run = log.split("SIGTERM").next().expect("a part");
    assert_eq!(first_run.matches("is a FIFO").count(), 1, "{log}");
}

/// Gives a file a time, from now.
fn set_time(path: &Path, from_now: i64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let time = TimeSpec::new(i64::try_from(now.as_secs()).expect("a time") + from_now, i64::from(now.subsec_nanos()));
    utimensat(AT_FDCWD, path, &time, &time, UtimensatFlags::FollowSymlink).expect("our file");
}

// H01, H02, H04: to the file it looks as if the clock had been set.
#[test]
fn beats_of_yesterday_and_of_tomorrow_are_beats() {
    let colony = colony("exec sleep 1000", 2.0, 2.0);
    let web = colony.wait_pid("web", None);
    let status = colony.path("status");
    File::create(&status).expect("a file");
    colony.wait_finding("web", "[+]web ok");
    let day = 24 * 60 * 60;
    for round in 0..16 {
        set_time(&status, if round % 2 == 0 { -day } else { day });
        lives_for(&colony, web, 0.3);
    }
    // A beat of tomorrow is no credit until tomorrow.
    set_time(&status, day);
    wait_gone(web);
    colony.wait_metric(MISSES, |misses| misses >= 1.0);
}

// H03
#[test]
fn a_monitor_that_was_frozen_with_its_processes_and_wakes_first_restarts_none() {
    let colony = colony(BEATS, 2.0, 2.0);
    let web = colony.wait_pid("web", None);
    colony.wait_finding("web", "[+]web ok");
    colony.freeze();
    send(web, Signal::SIGSTOP);
    thread::sleep(Duration::from_secs(4));
    colony.signal(Signal::SIGCONT);
    colony.wait_log("this monitor did not run for");
    thread::sleep(Duration::from_millis(500));
    send(web, Signal::SIGCONT);
    lives_for(&colony, web, 3.0);
    assert_eq!(colony.metric(MISSES), Some(0.0));

    // And one that does not wake up is found all the same.
    send(web, Signal::SIGSTOP);
    wait_gone(web);
    colony.wait_metric(MISSES, |misses| misses == 1.0);
}

#[test]
fn a_heartbeat_that_an_edit_asks_for_is_asked_of_the_living_run() {
    let setup = Setup::new();
    let with = beating(&setup, "exec sleep 1000", 2.0, 1.0);
    let without = with.split(",\n            \"ncolony.beatcheck\"").next().expect("a part").to_string() + "}";
    let colony = setup.file("web", &without).start();
    let web = colony.wait_pid("web", None);
    colony.wait_finding("web", "[+]web ok");
    write_file(&colony.path("config"), "web", &with);
    colony.wait_finding("web", "no heartbeat yet");
    assert_eq!(colony.pid_of("web"), Some(web));
    let status = colony.path("status");
    File::create(&status).expect("a file");
    colony.wait_finding("web", "[+]web ok");
    wait_gone(web);
    colony.wait_metric(MISSES, |misses| misses == 1.0);
    // It is taken back from the next run.
    let web = colony.wait_pid("web", Some(web));
    write_file(&colony.path("config"), "web", &without);
    colony.wait_finding("web", "[+]web ok");
    lives_for(&colony, web, 3.0);
}

// H12: allowed, since NColony's own files did it, and each sees the beats of both.
#[test]
fn two_processes_may_share_a_heartbeat_file() {
    let setup = Setup::new();
    let (beats, rests) = (beating(&setup, BEATS, 2.0, 2.0), beating(&setup, "exec sleep 1000", 2.0, 2.0));
    let colony = setup.file("beats", &beats).file("web", &rests).start();
    let web = colony.wait_pid("web", None);
    colony.wait_finding("web", "[+]web ok");
    lives_for(&colony, web, 2.5);
}

/// A cgroup whose members together have a twentieth of one processor.
struct Starved(tempfile::TempDir);

impl Starved {
    fn new() -> Option<Starved> {
        let dir = tempfile::Builder::new().prefix("ncolony-test-").tempdir_in("/sys/fs/cgroup/cpu").ok();
        let quota = |dir: &tempfile::TempDir| {
            fs::write(dir.path().join("cpu.cfs_period_us"), "100000")
                .and_then(|()| fs::write(dir.path().join("cpu.cfs_quota_us"), "5000"))
        };
        let dir = dir.filter(|dir| quota(dir).is_ok());
        can("a v1 cpu cgroup", dir.is_some()).then_some(dir).flatten().map(Starved)
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        // The kernel wants it empty, and removes the files in it by itself.
        wait_for("the cgroup to be empty", || fs::remove_dir(self.0.path()).ok());
    }
}

// H10: the time that the machine did not give them is not held against them.
#[test]
fn hearts_on_a_twentieth_of_a_processor_are_not_taken_for_dead() {
    let Some(cgroup) = Starved::new() else { return };
    let setup = Setup::new();
    // The shell takes a tenth of a second of processor time before its first beat: two seconds of this machine's.
    let slow = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; while :; do touch $1; sleep 1; done";
    let text = beating(&setup, slow, 15.0, 3.0);
    let procs = cgroup.0.path().join("cgroup.procs").display().to_string();
    let colony = setup.file("web", &text).through(&["sh", "-c", "echo 0 > \"$0\" && exec \"$@\"", &procs]).start();
    let web = colony.wait_pid("web", None);
    colony.wait_finding("web", "[+]web ok");
    lives_for(&colony, web, 20.0);
    assert_eq!(colony.metric(MISSES), Some(0.0));
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
}
