//! How processes end, seen from outside: each end told exactly and counted once, and an end that was asked for.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{
    Colony, Setup, can, lives, send, series, sh, sleeper, state, stop_and_wait, succeeds, wait_for, wait_gone,
};

// L19
#[test]
fn every_exit_code_and_signal_is_told_exactly() {
    let once = |script: &str| json!({"args": ["sh", "-c", script], "restartPolicy": "Never"}).to_string();
    let mut setup = Setup::new().flags(&["--output", "inherit"]);
    for code in 0..=255 {
        setup = setup.file(&format!("code{code}"), &once(&format!("exit {code}")));
    }
    // Less those that stop, or do nothing.
    let fatal: Vec<i32> = (1..=64).filter(|n| ![17, 18, 19, 20, 21, 22, 23, 28].contains(n)).collect();
    for signal in &fatal {
        setup = setup.file(&format!("signal{signal}"), &once(&format!("ulimit -c 0; kill -{signal} $$; sleep 1000")));
    }
    let colony = setup.start();
    colony.wait("all to end", || (colony.log().matches(" ended: ").count() == 256 + fatal.len()).then_some(()));
    let log = colony.log();
    for code in 0..=255 {
        assert!(log.contains(&format!("code{code} ended: exit code {code} process=")), "{code}");
    }
    let names = ["SIGHUP", "SIGINT", "SIGQUIT"];
    for (signal, name) in fatal.iter().map(|n| (n, names.get(*n as usize - 1))) {
        let name = match (name, signal) {
            (Some(name), _) => format!("killed by {name} "),
            (None, 9) => "killed by SIGKILL ".into(),
            (None, 15) => "killed by SIGTERM ".into(),
            (None, n @ (32 | 33)) => format!("killed by signal {n} "),
            (None, n @ 34..) => format!("killed by SIGRTMIN+{} ", n - 34),
            (None, _) => "killed by SIG".into(),
        };
        assert!(log.contains(&format!("signal{signal} ended: {name}")), "{signal}: {name}");
    }
    let (_, metrics) = colony.get("/metrics");
    for (process, code) in [("code0", 0), ("code255", 255), ("signal9", 137), ("signal64", 192)] {
        assert!(metrics.contains(&format!("{} {code}\n", series("last_exit_code", process))), "{process}");
    }
    for (process, reason) in [("code0", "completed"), ("code1", "error"), ("code137", "error"), ("signal9", "signal")] {
        assert!(
            metrics.contains(&format!("ncolony_process_exits_total{{process=\"{process}\",reason=\"{reason}\"}} 1\n"))
        );
    }
}

// L19
#[test]
fn a_core_dump_is_told() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if !can("core files in the working directory", pattern.trim() == "core") {
        return;
    }
    let setup = Setup::new();
    let dir = setup.path("cores");
    fs::create_dir(&dir).expect("a directory");
    let spec = json!({"args": ["sh", "-c", "ulimit -c unlimited; kill -SEGV $$"], "workingDir": dir, "restartPolicy": "Never"});
    let colony = setup.file("web", &spec.to_string()).start();
    colony.wait_log("web ended: killed by SIGSEGV, core dumped");
}

// L20
#[test]
fn a_process_that_is_stopped_and_continued_has_not_ended() {
    let colony = Colony::with(&[("web", &sleeper())]);
    let pid = colony.wait_pid("web", None);
    stop_and_wait(pid);
    send(pid, Signal::SIGCONT);
    wait_for("it to go on", || (state(pid) == Some('S')).then_some(()));
    // A CHLD that means nothing has been looked at by then.
    let passes = colony.metric("ncolony_reconcile_duration_seconds_count").unwrap_or(0.0);
    colony.wait_metric("ncolony_reconcile_duration_seconds_count", |n| n >= passes + 2.0);
    assert_eq!(colony.wait_pid("web", None), pid);
    assert!(!colony.log().contains("ended"));
}

// L06
#[test]
fn two_hundred_ends_that_arrive_as_one_signal_are_each_told_once() {
    let names: Vec<String> = (0..200).map(|n| format!("p{n:03}")).collect();
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05"]);
    let colony = names.iter().fold(setup, |setup, name| setup.file(name, &sleeper())).start();
    for crowd in [&names[..20], &names[..]] {
        let pids: Vec<i32> = crowd.iter().map(|name| colony.wait_pid(name, None)).collect();
        stop_and_wait(colony.pid());
        for pid in &pids {
            send(*pid, Signal::SIGKILL);
            wait_for("it to die", || (state(*pid) == Some('Z')).then_some(()));
        }
        colony.signal(Signal::SIGCONT);
        for (name, pid) in crowd.iter().zip(pids) {
            colony.wait_pid(name, Some(pid));
        }
    }
    let log = colony.log();
    for (n, name) in names.iter().enumerate() {
        let ends = if n < 20 { 2 } else { 1 };
        assert_eq!(log.matches(&format!("{name} ended: killed by SIGKILL")).count(), ends, "{name}");
        assert_eq!(log.matches(&format!("started {name}: ")).count(), ends + 1, "{name}");
    }
}

// L07
#[test]
fn ends_are_noticed_though_whoever_started_us_ignored_and_blocked_sigchld() {
    let through = ["env", "--ignore-signal=CHLD", "--block-signal=CHLD"];
    if !can(
        "an env that knows --block-signal",
        succeeds("env", &["--ignore-signal=CHLD", "--block-signal=CHLD", "true"]),
    ) {
        return;
    }
    // So seldom a tick that it cannot be what notices.
    let colony = Setup::new().through(&through).flags(&["--threshold", "0"]).file("web", &sleeper()).start();
    let mut pid = colony.wait_pid("web", None);
    for _ in 0..5 {
        send(pid, Signal::SIGKILL);
        pid = colony.wait_pid("web", Some(pid));
    }
    assert_eq!(colony.log().matches("web ended: killed by SIGKILL").count(), 5);
}

#[test]
fn a_restart_needs_no_more_descriptors_than_there_were() {
    let colony = Setup::new().flags(&["--threshold", "0"]).file("web", &sleeper()).start();
    let mut pid = colony.wait_pid("web", None);
    // It answers between turns, so the one with the start is over.
    assert_eq!(colony.get("/livez").0, 200);
    let monitor = colony.pid();
    let open = || fs::read_dir(format!("/proc/{monitor}/fd")).expect("it runs").flatten();
    let highest =
        open().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max().expect("some are open");
    let limit = format!("--nofile={0}:{0}", highest + 1);
    assert!(succeeds("prlimit", &["--pid", &monitor.to_string(), &limit]));
    for _ in 0..5 {
        send(pid, Signal::SIGKILL);
        pid = colony.wait_pid("web", Some(pid));
    }
    assert!(!colony.log().contains("cannot start web"), "{}", colony.log());
}

// L08
#[test]
fn of_two_thousand_short_runs_each_is_counted_once() {
    let mut setup = Setup::new().flags(&["--threshold", "0", "--output", "inherit"]);
    let counts = setup.path("counts");
    fs::create_dir(&counts).expect("a directory");
    for n in 0..10 {
        let file = counts.join(n.to_string());
        fs::write(&file, "0\n").expect("writable");
        let file = file.display();
        let script =
            format!("read n < {file}; test $n -ge 200 && exec sleep 1000; echo $((n+1)) > {file}; exit $((n%2))");
        setup = setup.file(&format!("p{n}"), &sh(&script));
    }
    let colony = setup.start();
    for n in 0..10 {
        let exits = |reason: &str| format!("ncolony_process_exits_total{{process=\"p{n}\",reason=\"{reason}\"}}");
        colony.wait_metric(&series("starts_total", &format!("p{n}")), |n| n >= 201.0);
        assert_eq!(colony.metric(&series("starts_total", &format!("p{n}"))), Some(201.0));
        assert_eq!(colony.metric(&exits("completed")), Some(100.0));
        assert_eq!(colony.metric(&exits("error")), Some(100.0));
        assert_eq!(fs::read_to_string(counts.join(n.to_string())).expect("it is there"), "200\n");
    }
    assert_eq!(colony.metric("ncolony_reaped_orphans_total"), Some(0.0));
}

// L08
#[test]
fn every_run_of_true_that_was_begun_has_an_end() {
    let colony = Setup::new().flags(&["--threshold", "0"]).file("web", r#"{"args": ["true"]}"#).start();
    let exits = "ncolony_process_exits_total{process=\"web\",reason=\"completed\"}";
    colony.wait_metric(exits, |n| n >= 300.0);
    colony.write("web", r#"{"args": ["true"], "suspend": true}"#);
    colony.wait_metric(&series("desired", "web"), |n| n == 0.0);
    colony.wait_metric(&series("up", "web"), |n| n == 0.0);
    let requested = "ncolony_process_exits_total{process=\"web\",reason=\"requested\"}";
    let ends = colony.metric(exits).unwrap_or(0.0) + colony.metric(requested).unwrap_or(0.0);
    assert_eq!(colony.metric(&series("starts_total", "web")), Some(ends));
}

// L11
#[test]
fn a_process_that_ignores_the_stop_is_killed_after_its_grace_and_not_before() {
    let script = r#"trap "" TERM; echo ready; while :; do sleep 0.05; done"#;
    let spec = json!({"args": ["sh", "-c", script], "terminationGracePeriodSeconds": 1}).to_string();
    let colony = Colony::with(&[("deaf", &spec)]);
    let pid = colony.wait_pid("deaf", None);
    colony.wait_stdout("[deaf] ready");
    let began = Instant::now();
    colony.remove("deaf");
    wait_gone(pid);
    assert!(began.elapsed() >= Duration::from_secs(1), "killed after {:?}", began.elapsed());
    colony.wait_log("SIGKILL to the process tree of deaf: its grace is over");
    colony.wait_log("deaf ended: killed by SIGKILL");
}

// L12
#[test]
fn a_stopped_process_obeys_at_once() {
    let spec = json!({"args": ["sleep", "1000"], "terminationGracePeriodSeconds": 1000}).to_string();
    let colony = Colony::with(&[("web", &spec)]);
    let pid = colony.wait_pid("web", None);
    stop_and_wait(pid);
    colony.remove("web");
    wait_gone(pid);
    colony.wait_log("web ended: killed by SIGTERM");
}

#[test]
fn the_stop_signal_that_a_file_asks_for_is_the_one_that_is_sent() {
    let script = r#"trap "echo gently; exit 7" RTMIN+2; trap "" TERM; echo ready; while :; do sleep 0.05; done"#;
    let spec = json!({"args": ["bash", "-c", script], "lifecycle": {"stopSignal": "RTMIN+2"}}).to_string();
    let colony = Colony::with(&[("web", &spec)]);
    colony.wait_stdout("[web] ready");
    colony.remove("web");
    colony.wait_stdout("[web] gently");
    colony.wait_log("web ended: exit code 7");
}

// L13
#[test]
fn what_cannot_die_is_named_and_gets_no_second_copy_and_the_rest_is_served() {
    let Some(freezer) = Freezer::new() else { return };
    let setup = Setup::new().flags(&["--killtime", "0.3"]).file("web", &sleeper()).file("db", &sleeper());
    let colony = setup.start();
    let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
    freezer.freeze(web);
    colony.message("m", r#"{"type": "RESTART", "name": "web"}"#);
    colony.wait_log("SIGKILL to the process tree of web: its grace is over");
    colony.wait_log("web does not die of SIGKILL; it is not started again before it does");
    send(db, Signal::SIGKILL);
    colony.wait_pid("db", Some(db));
    assert_eq!(colony.wait_pid("web", None), web, "a second copy");
    freezer.thaw();
    colony.wait_pid("web", Some(web));
    assert!(!lives(web));
}

// L13, D04
#[test]
fn what_cannot_die_does_not_keep_the_monitor_from_ending() {
    let Some(freezer) = Freezer::new() else { return };
    let colony = Setup::new().flags(&["--killtime", "0.3"]).file("web", &sleeper()).file("db", &sleeper()).start();
    let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
    freezer.freeze(web);
    let (_, log) = colony.end();
    assert!(log.contains("web does not die of SIGKILL; it is left behind"), "{log}");
    assert!(!lives(db));
    freezer.thaw();
    wait_gone(web);
}

/// A cgroup whose members can be made to hang, even when they are killed.
struct Freezer(std::path::PathBuf);

impl Freezer {
    fn new() -> Option<Freezer> {
        let dir = tempfile::Builder::new().prefix("ncolony-test-").tempdir_in("/sys/fs/cgroup/freezer");
        let dir = dir.ok().filter(|dir| dir.path().join("freezer.state").exists());
        if !can("a v1 freezer cgroup", dir.is_some()) {
            return None;
        }
        dir.map(|dir| Freezer(dir.keep()))
    }

    fn freeze(&self, pid: i32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("it lives");
        fs::write(self.0.join("freezer.state"), "FROZEN").expect("writable");
        wait_for("it to freeze", || {
            fs::read_to_string(self.0.join("freezer.state")).ok()?.starts_with("FROZEN").then_some(())
        });
    }

    fn thaw(&self) {
        fs::write(self.0.join("freezer.state"), "THAWED").expect("writable");
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        let _ = fs::read_to_string(self.0.join("cgroup.procs")).map(|pids| {
            pids.lines().for_each(|pid| {
                let _ = pid.parse().map(|pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL));
            })
        });
        let _ = crate::support::wait_until("it to be empty", || fs::remove_dir(&self.0).ok());
    }
}
