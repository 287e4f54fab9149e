//! `replicas`, seen from outside: names, environment, scaling.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::{Colony, Setup, lives, series, sleeper, wait_gone};

fn replicated(count: u32) -> String {
    json!({"args": ["sleep", "1000"], "replicas": count}).to_string()
}

#[test]
fn each_replica_is_told_its_name_and_number() {
    let script = r#"echo "$NCOLONY_NAME is $NCOLONY_REPLICA"; exec sleep 1000"#;
    let spec = json!({"args": ["sh", "-c", script], "replicas": 3}).to_string();
    let plain = json!({"args": ["sh", "-c", r#"echo "$NCOLONY_NAME is ${NCOLONY_REPLICA-none}"; exec sleep 1000"#]});
    let colony = Colony::with(&[("web", &spec), ("db", &plain.to_string())]);
    for line in ["[web-0] web-0 is 0", "[web-1] web-1 is 1", "[web-2] web-2 is 2", "[db] db is none"] {
        colony.wait_stdout(line);
    }
    colony.wait_metric(&series("up", "web-2"), |up| up == 1.0);
    assert!(colony.wait_finding("web-1", "ok").contains("web-1"));
}

#[test]
fn scaling_ends_and_starts_only_what_is_scaled() {
    let mut colony = Colony::with(&[("web", &replicated(1)), ("db", &sleeper())]);
    let (first, db) = (colony.wait_pid("web-0", None), colony.wait_pid("db", None));
    colony.write("web", &replicated(3));
    let more = [colony.wait_pid("web-1", None), colony.wait_pid("web-2", None)];
    colony.write("web", &replicated(2));
    wait_gone(more[1]);
    colony.write("web", &replicated(1));
    wait_gone(more[0]);
    assert!(lives(first) && lives(db));
    colony.wait_log("web-2 is gone");
    colony.wait_log("web-1 is gone");
    colony.write("web", &replicated(0));
    wait_gone(first);
    colony.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(colony.exit_status().code(), Some(0));
    assert_eq!(colony.count("started web-0"), 1, "{}", colony.log());
}

#[test]
fn a_replica_and_a_file_of_its_name_clash_and_the_running_one_stays() {
    let colony = Colony::with(&[("web-0", &sleeper())]);
    let pid = colony.wait_pid("web-0", None);
    colony.write("web", &replicated(2));
    colony.wait_log("the replicas of web and web-0 describe the same process, web-0");
    colony.wait_ticks(1);
    assert!(lives(pid));
    assert_eq!(colony.pid_of("web-1"), None);
    colony.remove("web-0");
    colony.wait_pid("web-1", None);
    wait_gone(pid);
    colony.wait_pid("web-0", Some(pid));
}

#[test]
fn each_replica_has_a_heartbeat_of_its_own() {
    let setup = Setup::new();
    let beats = setup.path("beats");
    fs::create_dir(&beats).expect("a directory");
    let script = format!(
        r#"while test ! -e {}/stop-$NCOLONY_NAME; do touch {}/$NCOLONY_NAME; sleep 0.1; done; exec sleep 1000"#,
        setup.dir().display(),
        beats.display()
    );
    let stop = setup.path("stop-web-1");
    let beatcheck = json!({"period": 6, "grace": 1, "status": beats});
    let spec = json!({"args": ["sh", "-c", script], "replicas": 2, "ncolony.beatcheck": beatcheck});
    let colony = setup.file("web", &spec.to_string()).start();
    let pids = ["web-0", "web-1"].map(|name| colony.wait_pid(name, None));
    colony.wait_finding("web-0", "ok");
    colony.wait_finding("web-1", "ok");
    fs::write(stop, "").expect("a place");
    colony.wait_log("SIGTERM to the main process of web-1: its heartbeat stopped");
    colony.wait_pid("web-1", Some(pids[1]));
    assert!(lives(pids[0]));
    assert_eq!(colony.count("started web-0"), 1);
}

/// Replicas that beat once a file is there, and count those of their kind that are up: `ready-NAME`, made and removed.
fn counted(dir: &Path, version: u32) -> String {
    let script = r#"
        touch $DIR/beats/$NCOLONY_NAME.up
        trap 'rm $DIR/beats/$NCOLONY_NAME.up; sleep 0.3; exit 0' TERM
        echo "$NCOLONY_NAME version $VERSION, others: $(ls $DIR/beats/*.up | wc -l)"
        while :; do touch $DIR/beats/$NCOLONY_NAME; sleep 0.1; done"#;
    let env = json!({"DIR": dir, "VERSION": version.to_string(), "PATH": "/usr/bin:/bin"});
    let beatcheck = json!({"period": 8, "grace": 3, "status": dir.join("beats")});
    let spec = json!({"args": ["sh", "-c", script], "env": env, "replicas": 3, "ncolony.beatcheck": beatcheck});
    spec.to_string()
}

#[test]
fn replicas_are_restarted_one_at_a_time() {
    let setup = Setup::new();
    fs::create_dir(setup.path("beats")).expect("a directory");
    let (first, second) = (counted(setup.dir(), 1), counted(setup.dir(), 2));
    let colony = setup.flags(&["--killtime", "60"]).file("web", &first).start();
    let names = ["web-0", "web-1", "web-2"];
    let all_ready = || names.iter().for_each(|name| drop(colony.wait_finding(name, "[+]")));
    all_ready();
    // An edit, and then a message for the set.
    colony.write("web", &second);
    colony.wait("all of the second version", || (colony.stdout().matches("version 2").count() >= 3).then_some(()));
    all_ready();
    colony.message("again", r#"{"type": "RESTART", "name": "web"}"#);
    colony.wait("all of them once more", || (colony.stdout().matches("version 2").count() >= 6).then_some(()));
    // Whoever comes up after the first three finds both others up.
    let stdout = colony.stdout();
    for line in stdout.lines().filter(|line| line.contains("version 2")) {
        assert!(line.ends_with("others: 3"), "{line}\n{}", colony.log());
    }
}

#[test]
fn the_mend_of_a_set_that_crashes_goes_ahead() {
    let colony = Setup::new().flags(&["--minrestartdelay", "60", "--maxrestartdelay", "60"]);
    let crash = json!({"args": ["sh", "-c", "exit 1"], "replicas": 3}).to_string();
    let colony = colony.file("web", &crash).start();
    colony.wait("all to crash", || (colony.count("ended: exit code 1") == 3).then_some(()));
    colony.write("web", &replicated(3));
    for name in ["web-0", "web-1", "web-2"] {
        colony.wait_metric(&series("up", name), |up| up == 1.0);
    }
}
