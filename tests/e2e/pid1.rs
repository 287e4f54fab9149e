//! The monitor as PID 1, as a subreaper, on a terminal, without a terminal: signals, orphans, descriptors.

use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::{
    Colony, Setup, as_pid_1, can, lives, monitor_of, send, sh, sleeper, state, status, succeeds, wait_for, wait_until,
};

/// Ends a colony whose monitor was started through something.
fn end_below(mut colony: Colony) -> (std::process::ExitStatus, String) {
    send(colony.monitor_below(), Signal::SIGTERM);
    (colony.exit_status(), colony.log())
}

fn three_hundred_orphans(setup: Setup) {
    let script = "i=0; while test $i -lt 300; do (sleep 0.5 &); i=$((i+1)); done; exec sleep 1000";
    let colony = setup.file("forker", &sh(script)).start();
    colony.wait_metric("ncolony_reaped_orphans_total", |n| n >= 300.0);
    let monitor = colony.monitor_below();
    let below = children(monitor);
    assert_eq!(below.len(), 1, "{below:?}");
    assert!(below.iter().all(|pid| state(*pid) != Some('Z')));
    assert_eq!(colony.metric("ncolony_reaped_orphans_total"), Some(300.0));
    let (status, log) = end_below(colony);
    assert!(status.success(), "{log}");
}

// P01
#[test]
fn as_pid_1_it_leaves_no_zombie_of_three_hundred_orphans() {
    if let Some(setup) = as_pid_1(Setup::new()) {
        three_hundred_orphans(setup);
    }
}

// P01, P07
#[test]
fn as_a_subreaper_it_leaves_no_zombie_of_three_hundred_orphans() {
    three_hundred_orphans(Setup::new());
}

// P01
#[test]
fn a_crowd_of_living_orphans_is_counted_and_the_dead_behind_it_are_collected() {
    let setup = Setup::new();
    let go = setup.path("go");
    // One look at the list of orphans shows some six hundred.
    let script = format!(
        "i=0; while test $i -lt 700; do (sleep 1000 &); i=$((i+1)); done
        while ! test -e {go}; do sleep 0.1; done
        i=0; while test $i -lt 900; do (sleep 0.2 &); i=$((i+1)); done; exec sleep 1000",
        go = go.display()
    );
    let colony = setup.file("forker", &sh(&script)).start();
    colony.wait_metric("ncolony_strays", |n| n >= 700.0);
    fs::write(&go, "").expect("it may go on");
    colony.wait_metric("ncolony_reaped_orphans_total", |n| n >= 900.0);
    let below = children(colony.monitor_below());
    assert!(below.iter().all(|pid| state(*pid) != Some('Z')));
    assert_eq!(below.len(), 701);
    let (status, log) = end_below(colony);
    assert!(status.success(), "{log}");
}

// P02
#[test]
fn as_pid_1_it_gives_each_process_the_time_that_it_needs_to_end() {
    let script = r#"trap "sleep 1; echo done; exit 3" TERM; echo ready; while :; do sleep 0.02; done"#;
    let Some(setup) = as_pid_1(Setup::new().flags(&["--killtime", "20"]).file("web", &sh(script))) else { return };
    let colony = setup.start();
    colony.wait_stdout("[web] ready");
    let output = colony.path("stdout");
    send(colony.monitor_below(), Signal::SIGTERM);
    let mut colony = colony;
    assert!(colony.exit_status().success(), "{}", colony.log());
    assert!(fs::read_to_string(output).expect("it is there").contains("[web] done"));
    assert!(colony.log().contains("web ended: exit code 3"), "{}", colony.log());
}

// P03
#[test]
fn as_pid_1_no_signal_but_those_that_ask_for_the_end_ends_it() {
    let Some(setup) = as_pid_1(Setup::new().file("web", &sleeper())) else { return };
    let colony = setup.start();
    let (monitor, web) = (colony.monitor_below(), colony.wait_pid("web", None));
    for _ in 0..2 {
        // Less INT, QUIT, KILL, TERM, STOP.
        for signal in (1..=64).filter(|n| ![2, 3, 9, 15, 19].contains(n)) {
            send_raw(monitor, signal);
        }
    }
    assert_eq!(colony.get("/livez").0, 200);
    assert!(colony.get("/metrics").1.contains("ncolony_process_starts_total{process=\"web\"} 1\n"));
    assert_eq!(colony.wait_pid("web", None), web);
    let (status, log) = end_below(colony);
    assert!(status.success(), "{log}");
}

// P03
#[test]
fn hup_usr1_usr2_alrm_and_pipe_do_not_end_it_and_quit_ends_it_gracefully() {
    let mut colony = Colony::with(&[("web", &sleeper())]);
    colony.wait_pid("web", None);
    let scans = "ncolony_config_scans_total{trigger=\"signal\"}";
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGALRM, Signal::SIGPIPE, Signal::SIGHUP] {
        colony.signal(signal);
    }
    colony.wait_metric(scans, |n| n >= 1.0);
    colony.signal(Signal::SIGQUIT);
    assert!(colony.exit_status().success());
    assert!(colony.log().contains("web ended: killed by SIGTERM"), "{}", colony.log());
}

// P04, D05
#[test]
fn a_term_at_any_moment_of_the_start_is_obeyed() {
    for pid_1 in [false, true] {
        for n in 0..25u64 {
            let setup = Setup::new().file("a", &sleeper()).file("b", &sh("sleep 1000 & wait"));
            let setup = if pid_1 { as_pid_1(setup) } else { Some(setup) };
            let Some(setup) = setup else { return };
            let mut child = setup.command().spawn().expect("the binary starts");
            let monitor = wait_for("the monitor to hold signals back", || {
                let pid = monitor_of(setup.dir())?;
                let caught = u64::from_str_radix(&status(pid, "SigCgt")?, 16).ok()?;
                let held = u64::from_str_radix(&status(pid, "SigBlk")?, 16).ok()?;
                ((caught | held) & (1 << 14) != 0).then_some(pid)
            });
            thread::sleep(Duration::from_micros(n * n * 40));
            send(monitor, Signal::SIGTERM);
            let status = wait_until("the end", || child.try_wait().expect("our child"));
            let log = fs::read_to_string(setup.path("stderr")).unwrap_or_default();
            let Some(status) = status else {
                send(monitor, Signal::SIGKILL);
                panic!("the signal was lost, try {n}, as PID 1: {pid_1}; the log:\n{log}");
            };
            assert!(status.success(), "{status}, try {n}, as PID 1: {pid_1}; the log:\n{log}");
            assert!(log.contains("ended: nothing is left"), "{log}");
        }
    }
}

// P05
#[test]
fn a_second_term_hurries() {
    let script = r#"trap "" TERM; echo ready; while :; do sleep 0.02; done"#;
    let spec = json!({"args": ["sh", "-c", script], "terminationGracePeriodSeconds": 1000}).to_string();
    let mut colony = Colony::with(&[("deaf", &spec)]);
    let pid = colony.wait_pid("deaf", None);
    colony.wait_stdout("[deaf] ready");
    colony.signal(Signal::SIGTERM);
    colony.wait_log("SIGTERM to the main process of deaf: the monitor ends");
    colony.hurry(Signal::SIGTERM);
    assert!(colony.exit_status().success());
    assert!(!lives(pid));
    assert!(colony.log().contains("ending at once: every process is killed"));
}

// P05, D08
#[test]
fn nothing_takes_back_the_end() {
    let script = r#"trap "" TERM; echo ready; until test -e go; do sleep 0.02; done"#;
    let setup = Setup::new();
    let spec = json!({"args": ["sh", "-c", script], "workingDir": setup.dir(), "terminationGracePeriodSeconds": 1000});
    let mut colony = setup.file("slow", &spec.to_string()).file("web", &sleeper()).start();
    colony.wait_stdout("[slow] ready");
    let web = colony.wait_pid("web", None);
    colony.signal(Signal::SIGTERM);
    colony.wait_log("web ended");
    colony.signal(Signal::SIGHUP);
    colony.write("db", &sleeper());
    colony.write("web", &sh("exec sleep 2000"));
    colony.message("m", r#"{"type": "RESTART", "name": "web"}"#);
    // The monitor has seen it.
    colony.wait_log("the monitor is ending");
    assert_eq!(colony.get("/healthz").0, 503);
    fs::write(colony.path("go"), "").expect("writable");
    assert!(colony.exit_status().success());
    assert_eq!(colony.pid_of("db"), None);
    assert_eq!(colony.pid_of("web"), Some(web));
}

// P08
#[test]
fn in_a_shared_pid_namespace_it_leaves_the_processes_of_others_alone() {
    let Some(_) = as_pid_1(Setup::new()) else { return };
    let setup = Setup::new().file("web", &sleeper());
    // As in a pod: PID 1 is another, and another container's process lives beside, in the monitor's own group.
    let script = format!(
        "cd {}; sleep 1000 & other=$!; \"$0\" \"$@\"; status=$?; kill -0 $other && echo lives > fate; exit $status",
        setup.dir().display()
    );
    let colony =
        setup.through(&["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", &script]).start();
    colony.wait_pid("web", None);
    let fate = colony.path("fate");
    send(colony.monitor_below(), Signal::SIGTERM);
    colony.wait("the other's fate", || fs::read_to_string(&fate).ok().filter(|fate| fate == "lives\n"));
}

// P14
#[test]
fn orphans_that_come_while_a_process_stops_are_not_taken_for_it() {
    let setup = Setup::new().flags(&["--killtime", "1000"]);
    let go = setup.path("go");
    let stubborn = format!(
        "trap 'touch {0}.told; until test -e {0}; do sleep 0.02; done; exit' TERM; echo ready; while :; do sleep 0.02; done",
        go.display()
    );
    // Each subshell is gone before its child is, and each child before the stop is over.
    let other =
        "trap 'for n in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.2 &); done' USR1; echo waits; while :; do sleep 0.02; done";
    let colony = setup.file("web", &sh(&stubborn)).file("other", &sh(other)).start();
    colony.wait_stdout("[web] ready");
    colony.wait_stdout("[other] waits");
    let (web, other) = (colony.wait_pid("web", None), colony.wait_pid("other", None));
    let reaped = colony.metric("ncolony_reaped_orphans_total").expect("a counter");
    colony.message("restart", r#"{"type": "RESTART", "name": "web"}"#);
    colony.wait("the stop", || colony.path("go.told").exists().then_some(()));
    colony.message("signal", r#"{"type": "SIGNAL", "name": "other", "signal": "USR1"}"#);
    colony.wait_metric("ncolony_reaped_orphans_total", |now| now >= reaped + 10.0);
    assert!(lives(web) && lives(other), "{}", colony.log());
    assert!(children(colony.pid()).into_iter().all(|pid| state(pid) != Some('Z')));
    assert_eq!(colony.metric(r#"ncolony_process_exits_total{process="web",reason="requested"}"#), Some(0.0));
    fs::write(&go, "").expect("writable");
    colony.wait_pid("web", Some(web));
    assert_eq!(colony.metric(r#"ncolony_process_exits_total{process="web",reason="requested"}"#), Some(1.0));
    assert_eq!(colony.pid_of("other"), Some(other));
}

// P09
#[test]
fn without_descriptors_0_1_and_2_nothing_is_taken_for_them() {
    let setup = Setup::new().through(&["sh", "-c", r#"exec "$0" "$@" <&- >&- 2>&-"#]);
    let list = setup.path("list");
    let script = format!(
        "echo loud; l=$(readlink /proc/$$/fd/*); echo \"$l\" > {0}.new; mv {0}.new {0}; exec sleep 1000",
        list.display()
    );
    let spec = json!({"args": ["sh", "-c", script], "output": {"format": "inherit"}}).to_string();
    let setup = setup.file("web", &spec).file("db", &sh("echo loud; exec sleep 1000"));
    let mut child = setup.command().spawn().expect("the binary starts");
    let fds = wait_for("the list", || fs::read_to_string(&list).ok());
    let monitor = child.id() as i32;
    let own: Vec<_> = (0..3).map(|fd| fs::read_link(format!("/proc/{monitor}/fd/{fd}")).expect("it is open")).collect();
    send(monitor, Signal::SIGTERM);
    let status = wait_for("the end", || child.try_wait().expect("our child"));
    assert!(status.success());
    assert!(own.iter().all(|target| target.as_os_str() == "/dev/null"), "{own:?}");
    // A fourth is the shell's own pipe.
    assert_eq!(fds.lines().take(3).collect::<Vec<_>>(), ["/dev/null"; 3], "{fds}");
    let journal = fs::read_to_string(setup.path("messages/.ncolony/journal")).expect("it is there");
    assert!(journal.lines().all(|line| line.is_empty() || line.starts_with(['n', '+', '-'])), "{journal}");
    assert_eq!(fs::read_to_string(setup.path("config/web")).expect("it is there"), spec);
}

// P10
#[test]
fn ctrl_c_on_a_terminal_is_a_graceful_end_and_processes_have_no_terminal() {
    let Some(setup) = on_a_terminal(Setup::new().file("web", &sleeper()), "") else { return };
    let mut colony = setup.start();
    let (monitor, web) = (colony.monitor_below(), colony.wait_pid("web", None));
    assert_ne!(stat_field(monitor, 4), "0", "the monitor has a terminal");
    assert_eq!(stat_field(web, 4), "0", "its processes have none");
    fs::write(colony.path("keys"), b"\x03").expect("writable");
    assert!(colony.exit_status().success(), "{}", colony.log());
    assert!(colony.log().contains("web ended: killed by SIGTERM"), "{}", colony.log());
}

// P10
#[test]
fn in_the_background_of_a_terminal_that_stops_writers_it_is_not_stopped() {
    let script = "while :; do echo loud; sleep 0.05; done";
    let Some(setup) = on_a_terminal(Setup::new().file("web", &sh(script)), "background") else { return };
    let colony = setup.start();
    colony.wait_stdout("[web] loud");
    let passes = colony.metric("ncolony_reconcile_duration_seconds_count").unwrap_or(0.0);
    colony.wait_metric("ncolony_reconcile_duration_seconds_count", |n| n >= passes + 3.0);
    let (_, log) = end_below(colony);
    assert!(log.contains("ended: nothing is left"), "{log}");
}

/// Starts the monitor on a terminal of its own; what is written to the file `keys` is typed there. Its log goes to the
/// file, as everywhere.
fn on_a_terminal(setup: Setup, how: &str) -> Option<Setup> {
    let script = r#"
import os, pty, select, sys, termios, time
how, directory, command = sys.argv[1], sys.argv[2], sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.dup2(os.open(directory + "/stderr", os.O_WRONLY | os.O_APPEND), 2)
    if how == "background":
        modes = termios.tcgetattr(0)
        modes[3] |= termios.TOSTOP
        termios.tcsetattr(0, termios.TCSANOW, modes)
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            os.execv(command[0], command)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
    os.execv(command[0], command)
typed = False
while True:
    if not typed and os.path.exists(directory + "/keys"):
        keys = open(directory + "/keys", "rb").read()
        # It is there before anything is in it.
        if keys:
            os.write(terminal, keys)
            typed = True
    if select.select([terminal], [], [], 0.02)[0]:
        try:
            os.write(1, os.read(terminal, 4096))
        except OSError:
            break
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let dir = setup.dir().display().to_string();
    let works = succeeds("python3", &["-c", "import pty, os; os.waitstatus_to_exitcode"]);
    can("python3", works).then(|| setup.through(&["python3", "-c", script, how, &dir]))
}

// P12
#[test]
fn without_proc_it_starts_restarts_and_stops() {
    let script = r#"umount -l /proc; exec "$0" "$@""#;
    if !can("a mount namespace", succeeds("unshare", &["--mount", "sh", "-c", "umount -l /proc"])) {
        return;
    }
    let setup = Setup::new().through(&["unshare", "--mount", "sh", "-c", script]).flags(&["--killtime", "1"]);
    let colony = setup.file("web", &sh("sleep 1000 & wait")).start();
    let first = colony.wait_pid("web", None);
    send(first, Signal::SIGKILL);
    let second = colony.wait_pid("web", Some(first));
    let (status, log) = colony.end();
    assert!(status.success(), "{log}");
    assert!(!lives(second));
}

// P13
#[test]
fn an_empty_directory_is_a_ready_colony() {
    let colony = Colony::with(&[]);
    colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    let (status, _) = colony.end();
    assert!(status.success());
}

fn send_raw(pid: i32, signal: i32) {
    let done = std::process::Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
    assert!(done.expect("kill runs").success(), "signal {signal}");
    // It is still there.
    kill(Pid::from_raw(pid), None).unwrap_or_else(|_| panic!("signal {signal} ended it"));
}

/// The children of all threads of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// A field of /proc/PID/stat, counted from the state, which is 0.
fn stat_field(pid: i32, index: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(index)).expect("a field").to_string()
}
