//! How it ends: by `podman stop`, by its processes, with what status and what words; and that nothing is left meanwhile.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::time::Instant;

use serde_json::json;

use crate::container::{NONROOT, Setup};
use crate::support::{sh, sleeper};

/// A process file with more keys.
fn with(script: &str, keys: serde_json::Value) -> String {
    let mut spec = json!({"args": ["sh", "-c", script]});
    spec.as_object_mut().expect("an object").extend(keys.as_object().expect("an object").clone());
    spec.to_string()
}

// Law 4: shutdown converges and leaves nothing behind.
#[test]
fn podman_stop_ends_each_process_by_its_signal_and_the_container_with_0() {
    let Some(setup) = Setup::restricted() else { return };
    let obey = "trap 'echo asked; exit 0' TERM; sleep 1000 & wait";
    let container = setup.file("web", &sh(obey)).file("db", &sh(obey)).ready();
    container.wait_pid("web", None);
    let took = container.stop(60);
    assert!(took.as_secs() < 10, "{took:?}");
    assert_eq!(container.exit_status(), 0);
    let log = container.log();
    assert!(
        log.contains("[web] asked") && log.contains("[db] asked") && log.contains("ended: nothing is left"),
        "{log}"
    );
}

// Law 4: within the grace plus one second.
#[test]
fn who_does_not_obey_is_killed_after_its_grace_and_the_container_ends_within_its_own() {
    let Some(setup) = Setup::restricted() else { return };
    let deaf = with("trap '' TERM; while true; do sleep 1; done", json!({"terminationGracePeriodSeconds": 2}));
    let container = setup.file("deaf", &deaf).ready();
    let began = Instant::now();
    container.stop(60);
    let took = began.elapsed().as_secs_f64();
    assert_eq!(container.exit_status(), 0, "{}", container.log());
    assert!((2.0..10.0).contains(&took), "{took}");
}

// Law 4, where the graces together are longer than the pod's.
#[test]
fn a_shutdown_timeout_below_the_pods_grace_keeps_the_runtime_from_killing() {
    let Some(setup) = Setup::restricted() else { return };
    let deaf = |after: &[&str]| {
        let keys = json!({"terminationGracePeriodSeconds": 30, "dependsOn": after});
        with("trap '' TERM; while true; do sleep 1; done", keys)
    };
    let setup = setup.flags(&["--shutdown-timeout=4"]).file("db", &deaf(&[])).file("web", &deaf(&["db"]));
    let container = setup.ready();
    let took = container.stop(8);
    assert_eq!(container.exit_status(), 0, "137 would be the runtime's SIGKILL, after {took:?}: {}", container.log());
}

// Health tells the truth: who ends is not ready, and goes on for the time of the drain.
#[test]
fn while_it_drains_it_is_not_ready_and_its_processes_run_on() {
    let Some(setup) = Setup::restricted() else { return };
    let container = setup.flags(&["--drain=3"]).file("web", &sleeper()).ready();
    let web = container.wait_pid("web", None);
    container.signal("TERM");
    container.wait("it to be not ready", || (container.get("/readyz").0 == 503).then_some(()));
    assert_eq!(container.get("/livez").0, 200, "the loop itself is well");
    assert!(container.lives(web), "{}", container.log());
    assert_eq!(container.exit_status(), 0, "{}", container.log());
}

/// The exit status of a colony of these files, with these flags.
fn status_of(files: &[(&str, &str)], flags: &[&str]) -> Option<i32> {
    let setup = Setup::restricted()?.flags(flags);
    let setup = files.iter().fold(setup, |setup, (name, text)| setup.file(name, text));
    Some(setup.start().exit_status())
}

// The colony's end tells how it ended.
#[test]
fn the_containers_exit_code_is_the_essential_process_s() {
    for (script, code) in [("exit 42", 42), ("kill -9 $$", 137), ("exit 0", 0), ("kill -15 $$", 143)] {
        let job = with(script, json!({"essential": true, "restartPolicy": "Never"}));
        let Some(status) = status_of(&[("job", &job), ("web", &sleeper())], &[]) else { return };
        assert_eq!(status, code, "{script}");
    }
}

// The colony's end tells how it ended.
#[test]
fn until_complete_the_exit_code_is_0_or_the_first_failures() {
    let job = |script: &str| with(script, json!({"restartPolicy": "Never"}));
    let (good, bad) = (job("exit 0"), job("exit 3"));
    let flags = ["--until-complete"];
    let Some(status) = status_of(&[("one", &good), ("two", &good)], &flags) else { return };
    assert_eq!(status, 0);
    assert_eq!(status_of(&[("one", &good), ("two", &bad)], &flags), Some(3));
}

// The colony's end tells how it ended.
#[test]
fn wrong_usage_is_2_and_a_directory_that_is_none_is_78() {
    let Some(setup) = Setup::restricted() else { return };
    assert_eq!(setup.words(&["run", "--nonsense"]).start().exit_status(), 2);
    let setup = Setup::restricted().expect("as before");
    let container = setup.words(&["run", "--config=/etc/passwd", "--listen=off"]).start();
    assert_eq!(container.exit_status(), 78);
    assert_eq!(container.wait_lines("/etc/passwd is not a directory").len(), 1, "{}", container.log());
}

// The colony's end tells how it ended.
#[test]
fn the_termination_log_says_which_process_ended_it_and_its_last_lines() {
    let Some(setup) = Setup::restricted() else { return };
    let job = with("echo the disk is gone; exit 9", json!({"essential": true, "restartPolicy": "Never"}));
    // As the kubelet makes it.
    let path = setup.path("termination-log");
    fs::write(&path, "").expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("its mode");
    let volume = format!("--volume={}:/dev/termination-log", path.display());
    let container = setup.options(&[&volume]).file("job", &job).start();
    assert_eq!(container.exit_status(), 9);
    let text = fs::read_to_string(&path).expect("a text");
    let first = text.lines().next().unwrap_or_default();
    assert!(first.contains("job") && first.contains('9'), "{text}");
    assert!(text.contains("the disk is gone"), "{text}");
}

// Law 5: no zombie outlives one turn of the loop.
#[test]
fn as_pid_1_it_collects_every_orphan() {
    let Some(setup) = Setup::restricted() else { return };
    let orphans = "for i in $(seq 200); do (sleep 0.05 &); done; touch /run/ncolony/messages/.done; exec sleep 1000";
    let container = setup.file("web", &sh(orphans)).ready();
    container.wait("the last orphan", || container.path("messages/.done").exists().then_some(()));
    container.wait_metric("ncolony_reaped_orphans_total", |count| count >= 200.0);
    let count_zombies = "grep -l '^State:.*zombie' /proc/[0-9]*/status";
    container.wait("no zombie", || container.exec(&["sh", "-c", count_zombies]).stdout.is_empty().then_some(()));
}

// Law 1: a run's daemons go with it.
#[test]
fn a_daemon_that_left_its_session_ends_with_its_run() {
    let Some(setup) = Setup::restricted() else { return };
    let script = "(setsid env -i /bin/sleep 1234 </dev/null >/dev/null 2>&1 &); exec sleep 1000";
    let container = setup.file("web", &sh(script)).ready();
    container.wait("its daemon", || container.ask(&["ps"]).contains("sleep 1234").then_some(()));
    container.remove("web");
    container.wait_log("web is gone");
    assert!(!container.ask(&["ps"]).contains("sleep 1234"), "{}", container.log());
}

// Laws 1 and 2: pids of a namespace that is gone mean nothing.
#[test]
fn the_next_container_on_the_same_volume_signals_nobody_by_the_old_journal() {
    let Some(setup) = Setup::restricted() else { return };
    let container = setup.file("web", &sleeper()).ready();
    container.wait_pid("web", None);
    // As a node does that runs out of memory.
    container.signal("KILL");
    assert_eq!(container.exit_status(), 137);
    let restarted = container.podman(&["start"]);
    assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stderr));
    container.wait("the second start", || (container.lines_with("started web: ").len() == 2).then_some(()));
    // Pids begin again at 1, so the old journal's are taken by new processes.
    let web = container.wait_pid("web", None);
    container.wait("it to last", || container.lives(web).then_some(()));
    assert!(container.lines_with("ERROR").is_empty(), "{}", container.log());
    container.stop(30);
    assert_eq!(container.exit_status(), 0, "{}", container.log());
}

// A signal that is not for it changes nothing; HUP has the directories looked at.
#[test]
fn signals_that_are_no_stop_do_not_end_it() {
    let Some(setup) = Setup::restricted() else { return };
    let container = setup.flags(&["--no-watch", "--frequency=600"]).file("web", &sleeper()).ready();
    for signal in ["USR1", "USR2", "WINCH", "CONT"] {
        container.signal(signal);
    }
    container.write("db", &sleeper());
    container.signal("HUP");
    container.wait_pid("db", None);
}

// Said to whoever has started it, as systemd's users have it.
#[test]
fn the_engine_is_told_by_sd_notify_that_it_is_ready() {
    let Some(setup) = Setup::restricted() else { return };
    let _ = chown(setup.path("messages"), Some(NONROOT), Some(NONROOT));
    let path = setup.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("its mode");
    socket.set_read_timeout(Some(crate::support::PATIENCE)).expect("a limit");
    let volume = format!("--volume={}:/notify", path.display());
    let setup = setup.options(&[&volume, "--env=NOTIFY_SOCKET=/notify", "--sdnotify=ignore"]);
    let container = setup.file("web", &sleeper()).start();
    let mut text = [0; 4096];
    let mut said = String::new();
    while !said.contains("READY=1") {
        let length = socket.recv(&mut text).unwrap_or_else(|error| panic!("{error}; said {said:?}"));
        said.push_str(&String::from_utf8_lossy(&text[..length]));
    }
    container.wait_ready();
}
