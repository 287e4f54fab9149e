//! `ncolony scheduler`: what it runs, when, and how that ends.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::{lives, send, wait_for, wait_gone};

const BINARY: &str = env!("CARGO_BIN_EXE_ncolony");

/// A scheduler at work.
struct Stage {
    dir: TempDir,
    scheduler: Option<Child>,
}

impl Stage {
    /// Runs this script: frequency, timeout and grace in seconds. In it DIR is a directory of its own.
    fn start(script: &str, times: [&str; 3]) -> Stage {
        let stage = Stage { dir: tempfile::tempdir().expect("a directory"), scheduler: None };
        let script = script.replace("DIR", &stage.dir.path().display().to_string());
        stage.spawn(&["--arg", "sh", "--arg", "-c", "--arg", &script], times)
    }

    fn spawn(mut self, words: &[&str], [frequency, timeout, grace]: [&str; 3]) -> Stage {
        let mut command = Command::new(BINARY);
        command.arg("scheduler").args(words);
        command.args(["--frequency", frequency, "--timeout", timeout, "--grace", grace]).stdin(Stdio::piped());
        command.env_remove("NCOLONY_CONFIG").env("GIVEN", "yes");
        let file = |name: &str| File::create(self.path(name)).expect("a file");
        command.stdout(file("stdout")).stderr(file("stderr"));
        self.scheduler = Some(command.spawn().expect("the binary starts"));
        self
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn pid(&self) -> i32 {
        self.scheduler.as_ref().expect("it was started").id() as i32
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("stdout")).unwrap_or_default()).into_owned()
    }

    fn wait_said(&self, text: &str) {
        wait_for(&format!("it to say {text:?}"), || self.said().contains(text).then_some(()));
    }

    /// Numbers that the script has written into this file.
    fn numbers(&self, file: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.path(file)).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn wait_numbers(&self, file: &str, count: usize) -> Vec<i32> {
        wait_for(&format!("{count} numbers in {file}"), || Some(self.numbers(file)).filter(|all| all.len() >= count))
    }

    fn exit_status(&mut self) -> ExitStatus {
        self.scheduler.take().expect("it was started").wait().expect("our child")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(scheduler) = &mut self.scheduler {
            let _ = scheduler.kill();
            let _ = scheduler.wait();
        }
    }
}

#[test]
fn the_output_has_the_number_of_its_descriptor_in_front_and_each_outcome_is_told() {
    let script = "echo out $GIVEN; echo err >&2; printf half; read x || echo no input; exit 3";
    let mut stage = Stage::start(script, ["0.5", "60", "60"]);
    stage.wait_said("ncolony scheduler: run 2 ended after ");
    let said = stage.said();
    let lines: Vec<&str> = said.lines().collect();
    for line in ["[1] out yes", "[2] err", "[1] halfno input"] {
        assert!(lines.contains(&line), "{line}: {said}");
    }
    let outcome = lines.iter().find(|line| line.starts_with("ncolony scheduler: run 1 ended after ")).expect("it");
    assert!(outcome.contains(" s: exit code 3"), "{said}");
    send(stage.pid(), Signal::SIGTERM);
    assert_eq!(stage.exit_status().code(), Some(0));
    assert_eq!(fs::read_to_string(stage.path("stderr")).expect("a file"), "");
}

#[test]
fn a_run_that_takes_longer_than_the_frequency_is_not_overlapped_and_moves_no_tick() {
    // A run that finds another at work says so.
    let script = "mkdir DIR/lock || echo overlap >> DIR/overlaps; date +%s%N | cut -c6-13 >> DIR/starts
sleep 1.2; rmdir DIR/lock";
    let stage = Stage::start(script, ["1", "60", "60"]);
    let starts = stage.wait_numbers("starts", 4);
    assert!(!stage.path("overlaps").exists(), "{}", stage.said());
    // In thousandths of a second: the next tick after a run of 1.2 s is the one after two.
    for pair in starts.windows(2) {
        let gap = f64::from(pair[1] - pair[0]) / 1000.0;
        let gap = if gap < 0.0 { gap + 100_000.0 } else { gap };
        assert!(gap > 1.3, "{gap} s: {starts:?}");
    }
    stage.wait_said("due meanwhile");
}

#[test]
fn after_its_time_all_of_a_run_is_asked_and_after_its_grace_killed_wherever_it_is() {
    // One that obeys, one that does not, one in a session of its own, and one whose parent has gone.
    let script = "trap 'echo $$ >> DIR/asked' TERM; echo $$ >> DIR/pids
sh -c 'trap \"\" TERM; echo $$ >> DIR/pids; while :; do sleep 0.1; done' &
setsid sh -c 'trap \"\" TERM; echo $$ >> DIR/pids; while :; do sleep 0.1; done' &
(sh -c 'trap \"\" TERM; echo $$ >> DIR/pids; while :; do sleep 0.1; done' &)
while :; do sleep 0.1; done";
    let mut stage = Stage::start(script, ["1000", "2", "1"]);
    let pids = stage.wait_numbers("pids", 4);
    let main = pids[0];
    stage.wait_said("run 1 has had its 2 s: SIGTERM to all of it");
    assert_eq!(stage.wait_numbers("asked", 1)[0], main);
    stage.wait_said("run 1 does not end: SIGKILL to all of it");
    stage.wait_said("run 1 ended after ");
    assert!(stage.said().contains(" s: killed by SIGKILL"), "{}", stage.said());
    assert!(!pids.into_iter().any(lives), "{}", stage.said());
    send(stage.pid(), Signal::SIGINT);
    assert_eq!(stage.exit_status().code(), Some(0));
}

#[test]
fn a_run_lasts_until_nothing_of_it_is_left() {
    let script = "sh -c 'echo $$ >> DIR/rest; exec sleep 1000' > /dev/null 2>&1 &
sleep 0.2; exit 0";
    let stage = Stage::start(script, ["0.5", "3", "5"]);
    let rest = stage.wait_numbers("rest", 2);
    // The second began when the first was gone: asked, since it had its time.
    assert!(!lives(rest[0]), "{}", stage.said());
    assert!(stage.said().contains("run 1 has had its 3 s"), "{}", stage.said());
    assert!(stage.said().contains(" s: exit code 0; "), "{}", stage.said());
}

#[test]
fn its_own_sigterm_is_passed_on_and_a_second_one_is_in_a_hurry() {
    let script = "trap 'echo $$ >> DIR/asked; exit 7' TERM; echo $$ >> DIR/pids; while :; do sleep 0.05; done";
    let mut stage = Stage::start(script, ["1", "1000", "1000"]);
    let pid = stage.wait_numbers("pids", 1)[0];
    send(stage.pid(), Signal::SIGTERM);
    assert_eq!(stage.exit_status().code(), Some(0));
    assert_eq!(stage.numbers("asked"), [pid]);
    let said = stage.said();
    assert!(
        said.contains("run 1 ends with the scheduler: SIGTERM to all of it") && said.contains("exit code 7"),
        "{said}"
    );

    let script = "trap 'echo $$ >> DIR/asked' TERM; echo $$ >> DIR/pids; while :; do sleep 0.05; done";
    let mut stage = Stage::start(script, ["1", "1000", "1000"]);
    let pid = stage.wait_numbers("pids", 1)[0];
    send(stage.pid(), Signal::SIGTERM);
    stage.wait_numbers("asked", 1);
    send(stage.pid(), Signal::SIGTERM);
    assert_eq!(stage.exit_status().code(), Some(0));
    assert!(!lives(pid) && stage.said().contains("killed by SIGKILL"), "{}", stage.said());
}

// A monitor that knows no more than the scheduler's pid kills that.
#[test]
fn who_kills_the_scheduler_kills_its_run() {
    let mut stage = Stage::start("echo $$ >> DIR/pids; exec sleep 1000", ["1", "1000", "1000"]);
    let pid = stage.wait_numbers("pids", 1)[0];
    send(stage.pid(), Signal::SIGKILL);
    stage.exit_status();
    wait_gone(pid);
}

#[test]
fn a_program_that_is_not_there_is_an_outcome_and_is_tried_again() {
    let stage = Stage { dir: tempfile::tempdir().expect("a directory"), scheduler: None };
    let stage = stage.spawn(&["--arg", "/nowhere/program"], ["0.2", "60", "60"]);
    stage.wait_said("[2] ncolony scheduler: cannot execute \"/nowhere/program\": No such file or directory");
    stage.wait_said("ncolony scheduler: run 1 ended after ");
    assert!(stage.said().contains(": exit code 127"), "{}", stage.said());
    stage.wait_said("ncolony scheduler: run 3 ended after ");
}

#[test]
fn a_reader_that_does_not_read_holds_up_the_run_and_not_the_scheduler() {
    let dir = tempfile::tempdir().expect("a directory");
    let status = dir.path().join("heart");
    let config = format!(r#"{{"ncolony.beatcheck": {{"period": 0.3, "grace": 1, "status": {status:?}}}}}"#);
    let mut command = Command::new(BINARY);
    command.args(["scheduler", "--arg", "yes", "--frequency", "1000", "--timeout", "2", "--grace", "1"]);
    command.env("NCOLONY_CONFIG", config).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut scheduler = command.spawn().expect("the binary starts");
    // The pipe is never read: the run's time is over all the same, and the heart beats on.
    let child = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", scheduler.id())).ok();
    let pid: i32 = wait_for("the run", || child()?.trim().parse().ok());
    wait_gone(pid);
    let beat = || fs::metadata(&status).and_then(|metadata| metadata.modified()).ok();
    let last = beat().expect("a beat");
    wait_for("a beat after it", || beat().filter(|at| *at > last));
    let then = Instant::now();
    send(scheduler.id() as i32, Signal::SIGTERM);
    assert_eq!(scheduler.wait().expect("our child").code(), Some(0));
    assert!(then.elapsed() < Duration::from_secs(30), "its last words are not waited for: {:?}", then.elapsed());
}

#[test]
fn a_wrong_command_line_is_exit_status_2_and_all_four_are_needed() {
    let good = ["--arg=true", "--frequency=1", "--timeout=1", "--grace=1"];
    for missing in 0..good.len() {
        let words = good.iter().enumerate().filter(|(index, _)| *index != missing).map(|(_, word)| word);
        let output = Command::new(BINARY).arg("scheduler").args(words).output().expect("the binary starts");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let flag = good[missing].split('=').next().expect("a flag");
        assert_eq!((output.status.code(), told.contains(flag)), (Some(2), true), "{told}");
    }
    for bad in ["--timeout=0", "--frequency=soon", "--grace=-1", "--grace=nan", "web"] {
        let output = Command::new(BINARY).arg("scheduler").args(good).arg(bad).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(2), "{bad}");
    }
}

#[test]
fn flags_may_be_cut_short_and_the_program_be_called_by_its_own_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let link = dir.path().join("ncolony-scheduler");
    symlink(BINARY, &link).expect("a link");
    let mut command = Command::new(link);
    command.args(["--arg", "true", "--freq", "1000", "--time", "5", "--gr", "5"]).stdin(Stdio::null());
    let mut scheduler = command.stdout(File::create(dir.path().join("out")).expect("a file")).spawn().expect("it");
    let said = || fs::read_to_string(dir.path().join("out")).unwrap_or_default();
    wait_for("the outcome", || said().contains(" s: exit code 0\n").then_some(()));
    send(scheduler.id() as i32, Signal::SIGHUP);
    assert_eq!(scheduler.wait().expect("our child").code(), Some(0));
}
