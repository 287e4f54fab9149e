//! `ncolony ctl ... --wait` and `rollout status`: they end when it is so, and say why it is not.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::support::{Colony, Setup, lives, send, series};

const SLEEPER: &str = "args: [sleep, '1000']\n";

fn ctl(colony: &Colony, line: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
    command.arg("ctl").arg("--config").arg(colony.path("config")).arg("--messages").arg(colony.path("messages"));
    command.args(line).current_dir(colony.dir.path()).output().expect("ncolony ctl")
}

/// What was given to it, as it is to be typed again.
fn dirs(colony: &Colony) -> String {
    format!(" --messages {} --config {}", colony.path("messages").display(), colony.path("config").display())
}

fn succeeds(colony: &Colony, line: &[&str]) -> String {
    let output = ctl(colony, line);
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn fails(colony: &Colony, line: &[&str]) -> String {
    let output = ctl(colony, line);
    assert_eq!(output.status.code(), Some(1), "{line:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that is ready when it has been up for a second.
fn slow(colony: &Colony, mark: &str) -> String {
    let mark = colony.path(mark).display().to_string();
    format!(
        "args: [sh, -c, 'sleep 1; touch {mark}; exec sleep 1000']\n\
         readinessProbe: {{exec: {{command: [test, -e, {mark}]}}, periodSeconds: 1}}\n"
    )
}

/// What is down between two times has no run to restart; of one that has, only that is ended.
#[test]
fn a_restart_of_a_schedule_says_what_came_of_it() {
    let colony = Colony::with(&[("bk", "args: [sleep, '1000']\nschedule: '0 0 1 1 *'\n")]);
    let begin = format!("ncolony ctl{} trigger bk", dirs(&colony));
    let idle = format!("process/bk restart requested\nprocess/bk has no run; to begin one: {begin}\n");
    assert_eq!(succeeds(&colony, &["restart", "bk", "--wait"]), idle);
    succeeds(&colony, &["trigger", "bk", "--wait=true"]);
    let ended = "process/bk restart requested\nprocess/bk run ended; the next one comes at its time\n";
    assert_eq!(succeeds(&colony, &["restart", "bk", "--wait"]), ended);
}

#[test]
fn apply_waits_until_what_was_written_is_in_force_and_ready() {
    let colony = Colony::with(&[]);
    fs::write(colony.path("web.yaml"), slow(&colony, "one")).expect("a file");
    let told = succeeds(&colony, &["apply", "-f", "web.yaml", "--wait"]);
    assert_eq!(told, "process/web created\nprocess/web successfully rolled out\n");
    assert!(colony.path("one").exists(), "it was waited for");
    let first = colony.wait_pid("web", None);

    fs::write(colony.path("web.yaml"), slow(&colony, "two")).expect("a file");
    let told = succeeds(&colony, &["apply", "-f", "web.yaml", "--wait"]);
    assert_eq!(told, "process/web configured\nprocess/web successfully rolled out\n");
    assert!(colony.path("two").exists() && !lives(first), "another run is ready");

    // A comment is nothing that a monitor sees.
    fs::write(colony.path("web.yaml"), format!("# new\n{}", slow(&colony, "two"))).expect("a file");
    assert!(succeeds(&colony, &["apply", "-f", "web.yaml", "--wait"]).ends_with("successfully rolled out\n"));
    assert_eq!(succeeds(&colony, &["delete", "web", "--wait"]), "process/web deleted\nprocess/web gone\n");
    assert_eq!(succeeds(&colony, &["rollout", "status"]), "", "there is nobody");
}

#[test]
fn what_will_not_be_so_and_what_is_not_so_in_time_are_told_apart() {
    let colony = Colony::with(&[]);
    let job =
        "args: [sh, -c, 'sleep 0.5; exit 3']\nrestartPolicy: Never\nreadinessProbe: {exec: {command: ['false']}}\n";
    fs::write(colony.path("job.yaml"), job).expect("a file");
    let told = fails(&colony, &["apply", "-f", "job.yaml", "--wait"]);
    assert!(told.starts_with("error: process/job is not as it is to be: Error"), "{told}");
    assert!(told.ends_with(&format!("  ncolony ctl{} why job\n", dirs(&colony))), "{told}");
    let never = "args: [sleep, '1000']\nreadinessProbe: {exec: {command: ['false']}}\n";
    fs::write(colony.path("never.yaml"), never).expect("a file");
    let told = fails(&colony, &["apply", "-f", "never.yaml", "--wait", "--timeout=1s"]);
    assert!(told.starts_with("error: timed out waiting for process/never: "), "{told}");
    let told = fails(&colony, &["rollout", "status", "never", "--timeout=1s"]);
    assert!(told.starts_with("error: timed out waiting for process/never: "), "{told}");
}

#[test]
fn each_message_is_waited_for_until_its_effect_is_to_be_seen() {
    let job = format!("{SLEEPER}schedule: {{every: 5000}}\nconcurrencyPolicy: Replace\n");
    let colony = Colony::with(&[("web.yaml", &format!("{SLEEPER}group: [front]\n")), ("job.yaml", &job)]);
    let first = colony.wait_pid("web", None);
    assert_eq!(succeeds(&colony, &["stop", "web", "--wait"]), "process/web stop requested\nprocess/web stopped\n");
    assert!(!lives(first));
    assert_eq!(succeeds(&colony, &["start", "web", "--wait"]), "process/web start requested\nprocess/web started\n");
    let second = colony.wait_pid("web", Some(first));
    assert_eq!(
        succeeds(&colony, &["restart", "web", "--wait"]),
        "process/web restart requested\nprocess/web restarted\n"
    );
    assert!(!lives(second));
    let third = colony.wait_pid("web", Some(second));
    let told = succeeds(&colony, &["rollout", "restart", "--group", "front", "--wait"]);
    assert_eq!(told, "process/web restart requested\nprocess/web restarted\n");
    assert!(!lives(third));
    let run = colony.wait_pid("job", None);
    assert_eq!(
        succeeds(&colony, &["trigger", "job", "--wait"]),
        "process/job trigger requested\nprocess/job triggered\n"
    );
    assert!(!lives(run), "another run has begun");
    let told = succeeds(&colony, &["stop", "web", "--persist", "--wait"]);
    assert_eq!(told, "process/web suspended\nprocess/web stopped\n");
    let told = fails(&colony, &["signal", "web", "HUP"]);
    assert!(told.ends_with("web is not running, and nothing was sent\n"), "{told}");
    let told = succeeds(&colony, &["start", "web", "--persist", "--wait"]);
    assert_eq!(told, "process/web resumed\nprocess/web started\n");
}

#[test]
fn a_set_is_waited_for_as_a_whole() {
    let colony = Colony::with(&[("web.yaml", SLEEPER)]);
    colony.wait_pid("web", None);
    let told = succeeds(&colony, &["scale", "web", "--replicas=3", "--wait"]);
    assert_eq!(told, "process/web scaled\nprocess/web successfully rolled out\n");
    let pids = [0, 1, 2].map(|index| colony.wait_pid(&format!("web-{index}"), None));
    let told = succeeds(&colony, &["rollout", "restart", "web", "--wait"]);
    assert_eq!(told, "process/web restart requested\nprocess/web restarted\n");
    assert!(!pids.into_iter().any(lives), "all of them are others");
    assert_eq!(succeeds(&colony, &["rollout", "status", "web"]), "process/web successfully rolled out\n");
    let told = fails(&colony, &["rollout", "status", "-l", "group=front"]);
    assert!(told.starts_with("error: no process is of the group \"front\""), "{told}");
    succeeds(&colony, &["scale", "web", "--replicas=1", "--wait"]);
    let left = succeeds(&colony, &["rollout", "status"]);
    assert_eq!(left, "process/web-0 successfully rolled out\n");
    succeeds(&colony, &["scale", "web", "--replicas=0", "--wait"]);
}

#[test]
fn without_a_monitor_nothing_is_written_that_was_to_be_waited_for() {
    let setup = Setup::new().file("web.yaml", SLEEPER);
    fs::write(setup.path("new.yaml"), SLEEPER).expect("a file");
    let new = setup.path("new.yaml").display().to_string();
    for line in
        [&["apply", "-f", &new, "--wait"][..], &["scale", "web", "--replicas=2", "--wait"], &["rollout", "status"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
        command.arg("ctl").arg("--config").arg(setup.path("config")).arg("--messages").arg(setup.path("messages"));
        let output = command.args(line).output().expect("ncolony ctl");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.starts_with("error: no monitor listens at "), "{line:?}: {told}");
        assert_eq!(output.status.code(), Some(1));
    }
    assert_eq!(fs::read_dir(setup.path("config")).expect("a directory").count(), 1);
    assert_eq!(fs::read_to_string(setup.path("config/web.yaml")).expect("a file"), SLEEPER);
}

#[test]
fn a_final_failure_ends_every_wait_at_once() {
    let colony = Colony::with(&[
        ("job.yaml", "args: [sh, -c, 'sleep 0.2; exit 3']\nrestartPolicy: Never\n"),
        ("lost.yaml", "args: [/nonexistent]\n"),
    ]);
    colony.wait_finding("job", "exit code 3");
    colony.wait_finding("lost", "StartError");
    let new = "args: [/nonexistent]\nenv: {A: new}\n";
    fs::write(colony.path("lost.yaml"), new).expect("a file");
    for (line, expected) in [
        (&["restart", "job", "--wait"][..], "process/job is not as it is to be: Error: exit code 3\n"),
        (&["start", "job", "--wait"], "process/job is not as it is to be: Error: exit code 3\n"),
        (&["rollout", "status", "job"], "process/job is not as it is to be: Error: exit code 3\n"),
        (&["restart", "lost", "--wait"], "process/lost is not as it is to be: StartError: back-off "),
        (&["start", "lost", "--wait"], "process/lost is not as it is to be: StartError: back-off "),
        (&["apply", "-f", "lost.yaml", "--wait"], "process/lost is not as it is to be: StartError: back-off "),
        (&["rollout", "status", "lost"], "process/lost is not as it is to be: StartError: back-off "),
    ] {
        let told = fails(&colony, line);
        assert!(told.starts_with(&format!("error: {expected}")), "{line:?}: {told}");
    }
}

#[test]
fn a_file_that_is_refused_and_never_was_good_ends_the_wait_for_it() {
    let colony = Colony::with(&[("bad.yaml", "args: 5\n")]);
    colony.wait_log("bad.yaml");
    let refused = "error: process/bad is not as it is to be: bad.yaml is refused: bad.yaml:1:7: ";
    let told = fails(&colony, &["rollout", "status", "bad"]);
    assert!(told.contains(refused), "{told}");
    fs::write(colony.path("bad.yaml"), SLEEPER).expect("a file");
    let mended = succeeds(&colony, &["apply", "-f", "bad.yaml", "--wait"]);
    assert!(mended.ends_with("process/bad successfully rolled out\n"), "{mended}");
}

#[test]
fn a_time_in_all_is_kept_where_the_monitor_hangs() {
    let colony = Colony::with(&[("web.yaml", SLEEPER)]);
    colony.wait_pid("web", None);
    send(colony.pid(), Signal::SIGSTOP);
    // By itself, an answer is waited for ten seconds.
    for line in [&["wait", "--for=condition=Ready", "web", "--timeout=1s"][..], &["rollout", "status", "--timeout=1s"]]
    {
        let begun = Instant::now();
        let told = fails(&colony, line);
        assert!(told.contains("error: the monitor does not answer"), "{line:?}: {told}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{line:?}: {:?}", begun.elapsed());
    }
    send(colony.pid(), Signal::SIGCONT);
}

#[test]
fn what_crashes_again_and_again_is_not_rolled_out_though_it_is_up_in_between() {
    let colony = Colony::with(&[("again.yaml", "args: [sh, -c, 'sleep 1.5; exit 3']\n")]);
    let quick = "args: [sh, -c, 'exit 3']\n";
    fs::write(colony.path("quick.yaml"), quick).expect("a file");
    let told = fails(&colony, &["apply", "-f", "quick.yaml", "--wait", "--timeout=3s"]);
    assert!(told.starts_with("process/quick: CrashLoopBackOff: back-off 1 s: exit code 3; it may be well"), "{told}");
    let late = "error: timed out waiting for process/quick: CrashLoopBackOff: back-off ";
    assert!(told.lines().nth(1).is_some_and(|line| line.starts_with(late)), "{told}");

    colony.wait_metric(&series("restarts_total", "again"), |restarts| restarts >= 1.0);
    let told = fails(&colony, &["rollout", "status", "again", "--timeout=3s"]);
    assert!(told.starts_with("error: timed out waiting for process/again: "), "{told}");
}

#[test]
fn what_crashed_and_is_well_the_next_time_is_rolled_out_when_that_is_proved() {
    let colony = Colony::with(&[]);
    let script = format!("test -e {0} && exec sleep 1000; touch {0}; exit 3", colony.path("mark").display());
    fs::write(colony.path("web.yaml"), format!("args: [sh, -c, '{script}']\nbackoff: {{thresholdSeconds: 2}}\n"))
        .expect("a file");
    let told = succeeds(&colony, &["apply", "-f", "web.yaml", "--wait"]);
    assert_eq!(told, "process/web created\nprocess/web successfully rolled out\n");
    let began = colony.metric(&series("start_time_seconds", "web")).expect("it runs");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs_f64();
    assert!(now - began >= 2.0, "{began} {now}");
}

#[test]
fn a_file_that_is_mended_is_in_force_when_the_monitor_has_read_it() {
    let colony = Colony::with(&[("web.yaml", SLEEPER)]);
    let pid = colony.wait_pid("web", None);
    colony.write("web.yaml", "args: 5\n");
    colony.wait_finding("web", "refused");
    fs::write(colony.path("web.yaml"), SLEEPER).expect("a file");
    let told = succeeds(&colony, &["apply", "-f", "web.yaml", "--wait"]);
    assert_eq!(told, "process/web configured\nprocess/web successfully rolled out\n");
    assert!(lives(pid), "it ran on");
}

#[test]
fn a_process_that_vanishes_while_it_is_waited_for_ends_the_wait() {
    let colony = Colony::with(&[("web.yaml", SLEEPER)]);
    colony.wait_pid("web", None);
    let never = "args: [sleep, '1000']\nreadinessProbe: {exec: {command: ['false']}}\n";
    colony.write("web.yaml", never);
    colony.wait_finding("web", "probe");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
    command.arg("ctl").arg("--config").arg(colony.path("config")).arg("--messages").arg(colony.path("messages"));
    command.args(["rollout", "status", "web"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut waiting = command.spawn().expect("ncolony ctl");
    let mut first = String::new();
    BufReader::new(waiting.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
    assert!(first.starts_with("Waiting for process/web: "), "{first}");
    colony.remove("web.yaml");
    let output = waiting.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with("error: process/web is not as it is to be: its file was deleted\n"), "{told}");
}

#[test]
fn the_socket_of_a_monitor_that_was_killed_is_no_monitor() {
    let colony = Colony::with(&[("web.yaml", SLEEPER)]);
    let pid = colony.wait_pid("web", None);
    let setup = colony.kill_monitor();
    assert!(setup.path("messages/.ncolony.sock").exists());
    let rows = [
        (&["stop", "web"][..], "error: no monitor takes messages in "),
        (&["restart", "web", "--wait"], "error: nobody listens at "),
    ];
    for (line, expected) in rows {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
        command.arg("ctl").arg("--config").arg(setup.path("config")).arg("--messages").arg(setup.path("messages"));
        let output = command.args(line).output().expect("ncolony ctl");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{line:?}: {told}");
        assert!(told.starts_with(expected), "{line:?}: {told}");
    }
    crate::support::send(pid, nix::sys::signal::Signal::SIGKILL);
}
