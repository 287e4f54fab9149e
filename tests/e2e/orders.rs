//! STOP, START, SIGNAL and TRIGGER, from the command line to what becomes of the processes.

use std::fs;
use std::process::Command;

use crate::support::{Colony, lives};

const SLEEPER: &str = r#"{"args": ["sleep", "1000"]}"#;

/// `ncolony ctl`, which must succeed.
fn ctl(colony: &Colony, line: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
    command.arg("ctl").arg("--config").arg(colony.path("config")).arg("--messages").arg(colony.path("messages"));
    let output = command.args(line).output().expect("ncolony ctl");
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn wait_state(colony: &Colony, name: &str, state: &str) {
    let series = format!("ncolony_process_state{{process=\"{name}\",state=\"{state}\"}}");
    colony.wait_metric(&series, |value| value == 1.0);
}

fn wait_gone(colony: &Colony, pid: i32) {
    colony.wait("its end", || (!lives(pid)).then_some(()));
}

#[test]
fn what_a_message_stopped_stays_down_until_it_is_started() {
    let colony = Colony::with(&[("web", SLEEPER), ("other", SLEEPER)]);
    let (web, other) = (colony.wait_pid("web", None), colony.wait_pid("other", None));
    colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    ctl(&colony, &["stop", "web"]);
    wait_gone(&colony, web);
    wait_state(&colony, "web", "stopped");
    let (status, verdict) = colony.get("/healthz?verbose");
    assert_eq!(status, 503, "{verdict}");
    let why =
        "[-]web failed: Stopped: by a message; START, RESTART, an edit of its file or the monitor's restart starts it";
    assert!(verdict.contains(why), "{verdict}");
    assert_eq!(colony.get("/healthz?exclude=web").0, 200);
    assert_eq!(colony.get("/livez").0, 200);
    assert_eq!(colony.metric("ncolony_process_desired{process=\"web\"}"), Some(0.0));
    // Neither the tick nor a restart of all wakes it.
    ctl(&colony, &["restart-all"]);
    let other = colony.wait_pid("other", Some(other));
    let polls = "ncolony_config_scans_total{trigger=\"poll\"}";
    let before = colony.metric(polls).expect("a counter");
    colony.wait_metric(polls, |now| now >= before + 2.0);
    assert_eq!(colony.pid_of("web"), Some(web));
    ctl(&colony, &["start", "web"]);
    let second = colony.wait_pid("web", Some(web));
    colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    // What is up is left alone.
    ctl(&colony, &["start", "web"]);
    colony.wait_metric("ncolony_messages_total{message=\"START\"}", |n| n == 2.0);
    assert!(lives(second) && lives(other));
    assert_eq!(colony.metric("ncolony_messages_total{message=\"STOP\"}"), Some(1.0));
    assert_eq!(colony.metric("ncolony_message_failures_total"), Some(0.0));
}

#[test]
fn a_restart_and_an_edit_start_what_a_message_stopped() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    let first = colony.wait_pid("web", None);
    ctl(&colony, &["stop", "web"]);
    wait_state(&colony, "web", "stopped");
    ctl(&colony, &["restart", "web"]);
    let second = colony.wait_pid("web", Some(first));
    ctl(&colony, &["stop", "web"]);
    wait_state(&colony, "web", "stopped");
    wait_gone(&colony, second);
    // Any edit: this one would not even restart it.
    colony.write("web", r#"{"args": ["sleep", "1000"], "terminationGracePeriodSeconds": 7}"#);
    colony.wait_pid("web", Some(second));
}

#[test]
fn a_new_monitor_knows_nothing_of_a_stop() {
    let colony = Colony::with(&[("web", SLEEPER), ("other", SLEEPER)]);
    let first = colony.wait_pid("web", None);
    ctl(&colony, &["stop", "web"]);
    wait_state(&colony, "web", "stopped");
    wait_gone(&colony, first);
    let colony = colony.kill_monitor().start();
    colony.wait_pid("web", Some(first));
    colony.wait_metric(r#"ncolony_process_up{process="web"}"#, |up| up == 1.0);
}

#[test]
fn every_message_type_is_counted_from_zero() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    colony.wait_pid("web", None);
    for kind in ["RESTART", "RESTART-ALL", "RESTART-GROUP", "STOP", "START", "TRIGGER", "SIGNAL"] {
        assert_eq!(colony.metric(&format!("ncolony_messages_total{{message=\"{kind}\"}}")), Some(0.0), "{kind}");
    }
}

#[test]
fn a_signal_goes_to_the_main_process_once() {
    let script = "trap 'echo hup >> \"$LOG\"' HUP; (trap 'echo child >> \"$LOG\"' HUP; touch \"$LOG.child\"; \
                  while :; do sleep 0.05; done) & touch \"$LOG.ready\"; while :; do sleep 0.05; done";
    let setup = crate::support::Setup::new();
    let log = setup.path("signals");
    let web = serde_json::json!({"args": ["/bin/sh", "-c", script], "env": {"LOG": log, "PATH": "/bin:/usr/bin"}});
    let colony = setup.file("web", &web.to_string()).start();
    let pid = colony.wait_pid("web", None);
    let exists = |ending: &str| std::path::Path::new(&format!("{}{ending}", log.display())).exists().then_some(());
    colony.wait("its trap", || exists(".ready").and_then(|()| exists(".child")));
    ctl(&colony, &["signal", "web", "HUP"]);
    let told = || fs::read_to_string(&log).unwrap_or_default();
    colony.wait("the signal", || told().contains("hup").then_some(()));
    // A second one comes after the first, so that what the first has caused is there.
    ctl(&colony, &["signal", "web", "HUP"]);
    colony.wait("the second", || (told().lines().count() >= 2).then_some(()));
    assert_eq!(told(), "hup\nhup\n");
    assert!(lives(pid));
    colony.wait_metric("ncolony_messages_total{message=\"SIGNAL\"}", |n| n == 2.0);
    // One that ends it is its own end, and no stop: it is followed by another run.
    ctl(&colony, &["signal", "web", "KILL"]);
    colony.wait_pid("web", Some(pid));
    assert_eq!(colony.metric("ncolony_process_exits_total{process=\"web\",reason=\"signal\"}"), Some(1.0));
    assert_eq!(colony.metric("ncolony_process_exits_total{process=\"web\",reason=\"requested\"}"), Some(0.0));
}

#[test]
fn a_process_that_a_signal_stopped_stays_so_until_it_is_continued() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    let pid = colony.wait_pid("web", None);
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
    };
    ctl(&colony, &["signal", "web", "STOP"]);
    colony.wait("it to be stopped", || (state() == Some('T')).then_some(()));
    ctl(&colony, &["signal", "web", "CONT"]);
    colony.wait("it to run", || (state() == Some('S')).then_some(()));
    assert_eq!(colony.pid_of("web"), Some(pid));
}

#[test]
fn what_cannot_be_obeyed_is_set_aside_with_the_reason() {
    let colony = Colony::with(&[
        ("web", SLEEPER),
        ("off", r#"{"args": ["sleep", "1000"], "suspend": true}"#),
        ("done", r#"{"args": ["true"], "restartPolicy": "Never"}"#),
    ]);
    let web = colony.wait_pid("web", None);
    colony.wait_metric(r#"ncolony_process_exits_total{process="done",reason="completed"}"#, |n| n == 1.0);
    let refused = [
        ("a", r#"{"type": "STOP", "name": "wbe"}"#, "process \"wbe\" not found; did you mean \"web\"?"),
        ("b", r#"{"type": "START", "name": "off"}"#, "off is suspended by its file, and only an edit changes that"),
        ("c", r#"{"type": "SIGNAL", "name": "done", "signal": "HUP"}"#, "done is not running, and nothing was sent"),
        ("d", r#"{"type": "SIGNAL", "name": "web", "signal": "HPU"}"#, "did you mean SIGHUP?"),
        ("e", r#"{"type": "TRIGGER", "name": "web"}"#, "web cannot be triggered: it has no schedule"),
        ("f", r#"{"type": "STPO", "name": "web"}"#, "did you mean STOP?"),
    ];
    for (name, text, reason) in refused {
        colony.message(name, text);
        colony.wait_log(&format!("message {name} was refused: "));
        assert!(colony.log().contains(reason), "{}", colony.log());
        assert!(colony.path(&format!("messages/.rejected-{name}")).exists());
    }
    colony.wait_metric("ncolony_message_failures_total", |n| n == 6.0);
    assert!(lives(web));
}

#[test]
fn a_schedule_is_triggered_and_one_that_a_message_stopped_is_not() {
    let colony = Colony::with(&[("nightly", r#"{"args": ["true"], "schedule": {"every": 100000}}"#)]);
    let completed = r#"ncolony_process_exits_total{process="nightly",reason="completed"}"#;
    colony.wait_metric(completed, |n| n == 1.0);
    wait_state(&colony, "nightly", "pending");
    ctl(&colony, &["trigger", "nightly"]);
    colony.wait_metric(completed, |n| n == 2.0);
    ctl(&colony, &["stop", "nightly"]);
    wait_state(&colony, "nightly", "stopped");
    assert_eq!(colony.get("/healthz").0, 503);
    colony.message("a", r#"{"type": "TRIGGER", "name": "nightly"}"#);
    colony.wait_log("nightly cannot be triggered: a message has stopped it; START it first");
    ctl(&colony, &["start", "nightly"]);
    wait_state(&colony, "nightly", "pending");
    assert_eq!(colony.get("/healthz").0, 200);
}

#[test]
fn policy_is_edited_under_the_living_run_and_argv_is_not() {
    let colony = Colony::with(&[("web", r#"{"args": ["sleep", "1000"]}"#)]);
    let series = |kind: &str| format!("ncolony_process_{kind}{{process=\"web\"}}");
    let first = colony.wait_pid("web", None);
    colony.wait_metric(&series("observed_generation"), |n| n == 1.0);
    let policy = r#""restartPolicy": "OnFailure", "backoff": {"maxSeconds": 60}, "terminationGracePeriodSeconds": 9,
        "lifecycle": {"stopSignal": "INT"}, "killMode": "group", "readinessGate": false, "group": ["fronts"]"#;
    colony.write("web", &format!(r#"{{"args": ["sleep", "1000"], {policy}}}"#));
    colony.wait_log("the edited file of web is in force; it runs on");
    colony.wait_metric(&series("observed_generation"), |n| n == 2.0);
    assert_eq!(colony.metric(&series("generation")), Some(2.0));
    assert!(lives(first));
    colony.write("web", &format!(r#"{{"args": ["sleep", "2000"], {policy}}}"#));
    let second = colony.wait_pid("web", Some(first));
    // By the signal that the edit before has put in force.
    assert!(colony.log().contains("SIGINT to the process tree of web: its file changed"), "{}", colony.log());
    colony.wait_metric(&series("observed_generation"), |n| n == 3.0);
    assert_eq!(colony.metric(&series("generation")), Some(3.0));
    assert_eq!(colony.pid_of("web"), Some(second));
    let (_, page) = colony.get("/colony.json");
    assert!(page.contains(r#""generation":3,"observed_generation":3"#), "{page}");
}

#[test]
fn the_name_of_a_set_means_all_of_its_replicas() {
    let colony = Colony::with(&[("web", r#"{"args": ["sleep", "1000"], "replicas": 2}"#), ("db", SLEEPER)]);
    let names = ["web-0", "web-1"];
    let first = names.map(|name| colony.wait_pid(name, None));
    let db = colony.wait_pid("db", None);
    ctl(&colony, &["stop", "web"]);
    for (name, pid) in names.into_iter().zip(first) {
        wait_gone(&colony, pid);
        wait_state(&colony, name, "stopped");
    }
    ctl(&colony, &["start", "web-1"]);
    let second = colony.wait_pid("web-1", Some(first[1]));
    // To those that run: the one that is stopped gets none, and stays so.
    ctl(&colony, &["signal", "web", "KILL"]);
    wait_gone(&colony, second);
    ctl(&colony, &["restart", "web-1"]);
    colony.wait_pid("web-1", Some(second));
    assert_eq!(colony.pid_of("web-0"), Some(first[0]));
    ctl(&colony, &["start", "web"]);
    colony.wait_pid("web-0", Some(first[0]));
    assert!(lives(db));
    assert_eq!(colony.metric("ncolony_message_failures_total"), Some(0.0));
}
