//! `dependsOn`, `--shutdown-timeout` and `--drain`.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Colony, Setup, lives, send, sh, sleeper, wait_gone};

/// A process file: a shell script, and further keys.
fn file(script: &str, more: Value) -> String {
    let mut file = json!({"args": ["sh", "-c", script]});
    for (key, value) in more.as_object().expect("a map") {
        file[key] = value.clone();
    }
    file.to_string()
}

/// A process file: something that lasts, obeys, and depends on others.
fn after(names: &[&str]) -> String {
    file("exec sleep 1000", json!({"dependsOn": names}))
}

/// Asserts that the log says these things one after the other.
#[track_caller]
fn assert_in_turn(log: &str, texts: &[&str]) {
    let mut rest = log;
    for text in texts {
        let Some(at) = rest.find(text) else { panic!("the log does not say {text:?} in its turn:\n{log}") };
        rest = &rest[at + text.len()..];
    }
}

#[test]
fn what_depends_on_a_heart_waits_for_its_beat_and_lives_on_when_it_is_started_anew() {
    let setup = Setup::new().flags(&["-t", "0"]);
    let (go, beat) = (setup.path("go"), setup.path("beat"));
    let script = "while [ ! -e \"$GO\" ]; do sleep 0.05; done; while :; do touch \"$BEAT\"; sleep 0.1; done";
    let db = json!({
        "env": {"GO": go, "BEAT": beat, "PATH": std::env::var("PATH").expect("a PATH")},
        "ncolony.beatcheck": {"period": 8, "grace": 100, "status": beat},
    });
    let colony =
        setup.file("db", &file(script, db)).file("web", &after(&["db"])).file("front", &after(&["web"])).start();
    colony.wait_finding("web", "DependencyNotReady: waiting for db to be Ready");
    colony.wait_finding("front", "waiting for web to be Ready");
    assert_eq!(colony.get("/healthz").0, 503);
    fs::write(&go, "").expect("a file");
    let web = colony.wait_pid("web", None);
    let front = colony.wait_pid("front", None);
    assert_in_turn(&colony.log(), &["started db: it is new", "started web: it is new", "started front: it is new"]);

    let db = colony.pid_of("db").expect("it runs");
    send(db, Signal::SIGKILL);
    colony.wait_pid("db", Some(db));
    // Who dies with it waits for it: this time nothing lets it beat.
    fs::remove_file(&go).expect("it is there");
    let db = colony.pid_of("db").expect("it runs");
    send(db, Signal::SIGKILL);
    colony.wait_pid("db", Some(db));
    assert!(lives(web) && lives(front), "{}", colony.log());
    send(web, Signal::SIGKILL);
    colony.wait_finding("web", "DependencyNotReady: waiting for db to be Ready");
    fs::write(&go, "").expect("a file");
    colony.wait_pid("web", Some(web));
    assert!(lives(front), "{}", colony.log());
}

#[test]
fn a_colony_stops_in_reverse_and_side_by_side_where_the_order_allows() {
    let slow = |names: &[&str]| {
        file("trap 'sleep 0.3; exit' TERM; echo ready; while :; do sleep 0.02; done", json!({"dependsOn": names}))
    };
    let setup = Setup::new().flags(&["-k", "25"]).file("db", &slow(&[])).file("web", &slow(&["db"]));
    let colony = setup.file("work", &slow(&["db"])).file("front", &slow(&["web"])).start();
    for name in ["db", "web", "work", "front"] {
        colony.wait_stdout(&format!("[{name}] ready"));
    }
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0));
    let asked = |name: &str| format!("SIGTERM to the main process of {name}: the monitor ends");
    let [db, web, work, front] = ["db", "web", "work", "front"].map(asked);
    assert_in_turn(&log, &[&front, "front ended: exit code 0", &web, "web ended: exit code 0", &db, "db ended"]);
    assert_in_turn(&log, &[&work, "front ended: exit code 0"]);
    assert_in_turn(&log, &["work ended: exit code 0", &db]);
    assert!(!log.contains("SIGKILL"), "{log}");
}

#[test]
fn what_is_removed_together_goes_in_reverse_and_alone_at_once() {
    let slow =
        file("trap 'sleep 0.3; exit' TERM; echo ready; while :; do sleep 0.02; done", json!({"dependsOn": ["db"]}));
    let colony = Setup::new().flags(&["-k", "25"]).file("db", &sleeper()).file("web", &slow).start();
    colony.wait_stdout("[web] ready");
    let web = colony.wait_pid("web", None);
    // Only its dependency: that is an error of the file that names it, and no reason to stop it.
    colony.remove("db");
    colony.wait_log("db is gone");
    colony.wait_finding("web", "refused: web:1:106: dependsOn[0]: no process file describes");
    assert!(lives(web));
    colony.write("db", &sleeper());
    colony.wait_log("the file of web is good again");
    let before = colony.log().len();
    colony.remove("db");
    colony.remove("web");
    wait_gone(web);
    colony.wait("db to be gone", || (colony.count("db is gone") == 2).then_some(()));
    let log = colony.log();
    let asked = "SIGTERM to the main process of db: its file was removed";
    assert_in_turn(&log[before..], &["web ended: exit code 0", asked, "db is gone"]);
}

#[test]
fn a_circle_and_an_unknown_name_are_told_and_hurt_nobody_else() {
    let setup = Setup::new().file("a", &after(&["b"])).file("b", &after(&["c"])).file("c", &after(&["a"]));
    let colony = setup.file("web", &after(&["databse"])).file("database", &sleeper()).start();
    colony.wait_log("a:1:52: dependsOn[0]: a circle: a depends on b, b on c, c on a");
    colony.wait_log("web:1:52: dependsOn[0]: no process file describes \"databse\"");
    colony.wait_log("(did you mean \"database\"?)");
    let database = colony.wait_pid("database", None);
    colony.wait_finding("b", "a circle: b depends on c, c on a, a on b");
    let checked = Command::new(env!("CARGO_BIN_EXE_ncolony")).arg("check").arg(colony.path("config")).output();
    let checked = checked.expect("the binary");
    assert_eq!(checked.status.code(), Some(1));
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("a circle: c depends on a") && said.contains("describes \"databse\""), "{said}");

    colony.write("c", &sleeper());
    colony.write("web", &after(&["database"]));
    let pids = ["c", "b", "a", "web"].map(|name| colony.wait_pid(name, None));
    assert_in_turn(&colony.log(), &["started c: ", "started b: ", "started a: "]);
    // Whoever closes it again keeps what is in force.
    colony.write("c", &after(&["a"]));
    colony.wait_log("the last good version of c stays in force");
    assert!(pids.into_iter().chain([database]).all(lives));
}

#[test]
fn a_migration_that_fails_for_good_is_the_reason_that_is_told() {
    let migrate = |code: u8| file(&format!("exit {code}"), json!({"restartPolicy": "Never"}));
    let web = file("exec sleep 1000", json!({"dependsOn": [{"name": "migrate", "condition": "Completed"}]}));
    let colony = Colony::with(&[("migrate", &migrate(3)), ("web", &web)]);
    colony.wait_finding(
        "web",
        "DependencyNotReady: waiting for migrate to be Completed, which has failed for good: exit code 3",
    );
    assert_eq!(colony.pid_of("web"), None);
    colony.write("migrate", &migrate(0));
    colony.wait_pid("web", None);
    assert_in_turn(&colony.log(), &["migrate ended: exit code 3", "migrate ended: exit code 0", "started web"]);
}

#[test]
fn a_colony_until_complete_waits_for_nothing_that_waits_in_vain() {
    let migrate = file("exit 3", json!({"restartPolicy": "Never"}));
    let web = file("exec sleep 1000", json!({"dependsOn": [{"name": "migrate", "condition": "Completed"}]}));
    let setup = Setup::new().flags(&["--until-complete"]).file("migrate", &migrate).file("web", &web);
    let mut colony = setup.file("front", &after(&["web"])).start();
    assert_eq!(colony.exit_status().code(), Some(3));
    let log = colony.log();
    assert!(!log.contains("started web") && !log.contains("started front"), "{log}");
}

#[test]
fn the_graces_of_a_chain_are_fitted_into_the_time_for_all() {
    let deaf = |names: &[&str]| {
        let more = json!({"dependsOn": names, "terminationGracePeriodSeconds": 300});
        file("trap '' TERM; echo ready; while :; do sleep 0.02; done", more)
    };
    let setup = Setup::new().flags(&["--shutdown-timeout", "4"]).file("db", &deaf(&[])).file("web", &deaf(&["db"]));
    let colony = setup.file("short", &file("exec sleep 1000", json!({}))).start();
    colony.wait_stdout("[db] ready");
    colony.wait_stdout("[web] ready");
    colony.wait_pid("short", None);
    let foreseen = "by their graces web and what it depends on may take 600 s, one after the other, and --shutdown-timeout leaves 3.6 s";
    colony.write("more", &file("exec sleep 1000", json!({})));
    colony.wait_pid("more", None);
    assert_eq!(colony.log().matches(foreseen).count(), 1, "once: {}", colony.log());
    let began = Instant::now();
    let (status, log) = colony.end();
    let took = began.elapsed();
    assert_eq!(status.code(), Some(0));
    // Ten minutes by their files; and nobody is killed as long as there is time.
    assert!(took >= Duration::from_millis(3500) && took < Duration::from_secs(20), "{took:?}");
    let cut = |name: &str| {
        format!("SIGKILL to the process tree of {name}: its grace was cut short, for the shutdown to end in time")
    };
    assert_in_turn(&log, &[&cut("web"), "web ended", "SIGTERM to the main process of db", &cut("db"), "db ended"]);
    assert_eq!(log.matches("cut short").count(), 2, "{log}");
    assert!(log.contains("short ended: killed by SIGTERM"), "{log}");
}

#[test]
fn a_time_that_the_drain_eats_up_is_refused() {
    let setup = Setup::new().flags(&["--shutdown-timeout", "10", "--drain", "10"]);
    let status = setup.command().status().expect("the binary");
    assert_eq!(status.code(), Some(78));
    let said = fs::read_to_string(setup.path("stderr")).expect("a file");
    assert!(said.contains("--drain 10 leaves nothing of --shutdown-timeout 10 to stop in"), "{said}");
}

#[test]
fn while_it_drains_all_runs_on_and_nobody_shall_come() {
    let mut colony = Setup::new().flags(&["-t", "0", "--drain", "600"]).file("web", &sleeper()).start();
    let web = colony.wait_pid("web", None);
    colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    let asked = Instant::now();
    colony.signal(Signal::SIGTERM);
    colony.wait("it to be not ready", || (colony.get("/readyz").0 == 503).then_some(()));
    assert_eq!((colony.get("/healthz").0, colony.get("/livez").0), (503, 200));
    colony.wait_finding("shutdown", "");
    send(web, Signal::SIGKILL);
    let web = colony.wait_pid("web", Some(web));
    // What is desired stays as it was when the end was asked for.
    colony.write("late", &sleeper());
    // Whoever asks again within a moment means the same.
    thread::sleep(Duration::from_secs(3).saturating_sub(asked.elapsed()));
    assert!(lives(web));
    assert!(!colony.log().contains("SIGTERM to"), "{}", colony.log());
    colony.signal(Signal::SIGTERM);
    assert_eq!(colony.exit_status().code(), Some(0));
    let log = colony.log();
    assert_in_turn(
        &log,
        &["all runs on for 600 s", "SIGTERM to the main process of web: the monitor ends", "web ended"],
    );
    assert!(!log.contains("started late") && !log.contains("SIGKILL to"), "{log}");
}

#[test]
fn a_drain_ends_in_its_time() {
    let colony = Setup::new().flags(&["--drain", "1.5"]).file("web", &sh("exec sleep 1000")).start();
    colony.wait_pid("web", None);
    let began = Instant::now();
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() >= Duration::from_millis(1500), "{log}");
    assert_in_turn(&log, &["all runs on for 1.5 s", "SIGTERM to the main process of web: the monitor ends"]);
}
