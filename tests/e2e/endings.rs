//! How a colony ends of itself, seen from outside: the exit status, and what is left of it.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Colony, Setup, lives, send, sh, sleeper, wait_gone, write_file};

/// A process file: a shell script that is run once, and without which the colony ends.
fn essential(script: &str) -> String {
    json!({"args": ["sh", "-c", script], "restartPolicy": "Never", "essential": true}).to_string()
}

fn once(script: &str) -> String {
    json!({"args": ["sh", "-c", script], "restartPolicy": "Never"}).to_string()
}

/// The script waits until this file is there.
fn when(path: &Path, then: &str) -> String {
    format!("until test -e {}; do sleep 0.05; done; {then}", path.display())
}

#[test]
fn the_colony_ends_with_an_essential_process_and_with_its_status() {
    for (script, status) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -USR1 $$", 138)] {
        let setup = Setup::new();
        let go = setup.path("go");
        let mut colony = setup.file("web", &sleeper()).file("main", &essential(&when(&go, script))).start();
        let web = colony.wait_pid("web", None);
        fs::write(&go, "").expect("a place");
        assert_eq!(colony.exit_status().code(), Some(status), "{script}");
        assert!(!lives(web), "{script}");
        let log = colony.log();
        assert!(log.contains(&format!("ending with status {status}: main has ended for good")), "{log}");
        assert!(log.contains("web ended: killed by SIGTERM"), "it was asked in order:\n{log}");
    }
}

#[test]
fn an_essential_process_that_may_run_again_is_not_the_end() {
    let again = json!({"args": ["sh", "-c", "exit 5"], "restartPolicy": "OnFailure", "essential": true});
    let mut colony = Setup::new().flags(&["--minrestartdelay", "0.1"]).file("main", &again.to_string()).start();
    colony.wait("a second failure", || (colony.count("main ended: exit code 5") >= 2).then_some(()));
    assert!(!colony.log().contains("ending with status"), "{}", colony.log());
    colony.write("main", &essential("exit 6"));
    assert_eq!(colony.exit_status().code(), Some(6));
}

#[test]
fn sigterm_is_no_second_request_when_the_colony_ends_of_itself() {
    let slow = sh("trap 'echo asked; sleep 1; echo good; exit 0' TERM; while :; do sleep 0.05; done");
    let setup = Setup::new();
    let go = setup.path("go");
    let mut colony =
        setup.flags(&["--killtime", "30"]).file("web", &slow).file("main", &essential(&when(&go, "exit 4"))).start();
    colony.wait_pid("web", None);
    colony.wait_pid("main", None);
    fs::write(&go, "").expect("a place");
    colony.wait_stdout("[web] asked");
    colony.signal(Signal::SIGTERM);
    assert_eq!(colony.exit_status().code(), Some(4));
    assert!(colony.stdout().contains("[web] good"), "it had its grace:\n{}", colony.log());
}

/// Each look at who waited went down the whole chain, name by name, and kept the loop for minutes.
#[test]
fn until_complete_comes_to_its_end_in_a_chain_of_large_groups() {
    let mut setup = Setup::new().flags(&["--until-complete"]);
    let group = |n: usize| (0..60).map(move |k| format!("t{n}-{k:02}t"));
    for n in 0..10_usize {
        let on = n.checked_sub(1).map(|before| {
            group(before).map(|name| json!({"name": name, "condition": "Completed"})).collect::<Vec<_>>()
        });
        let file = json!({"args": ["true"], "restartPolicy": "Never", "dependsOn": on.unwrap_or_default()}).to_string();
        setup = group(n).fold(setup, |setup, name| setup.file(&name, &file));
    }
    let mut colony = setup.start();
    assert_eq!(colony.exit_status().code(), Some(0));
    assert_eq!(colony.count(" ended: exit code 0"), 600);
}

#[test]
fn until_complete_ends_when_all_have_ended_and_tells_the_first_failure() {
    let rows: &[(&[(&str, &str)], i32)] = &[
        (&[("a", "exit 0"), ("b", "sleep 0.2")], 0),
        (&[("a", "sleep 0.5; exit 3"), ("b", "exit 4"), ("c", "exit 0")], 4),
        (&[("a", "kill -TERM $$")], 143),
    ];
    for (files, status) in rows {
        let setup = Setup::new().flags(&["--until-complete"]);
        let mut colony = files.iter().fold(setup, |setup, (name, script)| setup.file(name, &once(script))).start();
        assert_eq!(colony.exit_status().code(), Some(*status), "{files:?}");
        // That all is well is no warning.
        let level = if *status == 0 { "INFO" } else { "WARN" };
        let log = colony.log();
        assert!(log.contains(&format!("{level} ncolony: ending with status {status}")), "{log}");
    }
}

#[test]
fn until_complete_waits_for_what_runs_and_not_for_schedules() {
    let every = json!({"args": ["sleep", "1000"], "schedule": {"every": 1000}}).to_string();
    let suspended = json!({"args": ["sleep", "1000"], "suspend": true}).to_string();
    let setup = Setup::new().flags(&["--until-complete"]);
    let setup = setup.file("main", &once("sleep 1000")).file("tick", &every).file("off", &suspended);
    let mut colony = setup.file("short", &once("exit 0")).start();
    let (main, tick) = (colony.wait_pid("main", None), colony.wait_pid("tick", None));
    colony.wait_log("short ended: exit code 0");
    colony.wait_ticks(2);
    assert!(lives(main));
    send(main, Signal::SIGKILL);
    assert_eq!(colony.exit_status().code(), Some(137));
    wait_gone(tick);
}

#[test]
fn until_complete_does_not_wait_for_what_can_never_begin() {
    let missing = json!({"args": ["/no/such/program"], "restartPolicy": "Never"}).to_string();
    for (name, file, why) in [
        ("missing", missing.as_str(), "missing cannot be started: program \"/no/such/program\" not found"),
        ("bad", "args: 7", "what has not ended can never begin: bad:1:7: args: expected a list of texts"),
    ] {
        let setup = Setup::new().flags(&["--until-complete"]);
        let mut colony = setup.file(name, file).file("good", &once("exit 0")).start();
        assert_eq!(colony.exit_status().code(), Some(1), "{name}");
        assert!(colony.log().contains(why), "{}", colony.log());
    }
}

#[test]
fn until_complete_waits_for_the_first_file() {
    let mut colony = Setup::new().flags(&["--until-complete"]).start();
    colony.wait_ticks(2);
    write_file(&colony.path("config"), "job", &once("exit 7"));
    assert_eq!(colony.exit_status().code(), Some(7));
}

#[test]
fn a_colony_that_is_told_to_end_succeeds() {
    let mut colony = Colony::with(&[("main", &essential("sleep 1000"))]);
    colony.wait_pid("main", None);
    colony.signal(Signal::SIGTERM);
    assert_eq!(colony.exit_status().code(), Some(0));
}

fn told(path: &Path) -> String {
    fs::read_to_string(path).expect("a termination log")
}

#[test]
fn the_termination_log_has_the_reason_and_the_last_lines() {
    let setup = Setup::new();
    let log = setup.path("termination");
    let script = "seq 1 5000; echo oops >&2; printf 'grüße'; exit 3";
    let setup = setup.flags(&["--termination-log", &log.display().to_string()]).file("main", &essential(script));
    let mut colony = setup.file("web", &sh("while :; do echo web; sleep 0.01; done")).start();
    assert_eq!(colony.exit_status().code(), Some(3));
    let text = told(&log);
    let (reason, lines) = text.split_once('\n').expect("lines");
    assert_eq!(reason, "main has ended for good: exit code 3, and it is essential");
    assert!(text.len() <= 4096 && lines.len() > 1500, "{text}");
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines.contains(&"5000") && lines.contains(&"oops") && lines.contains(&"grüße"), "{text}");
    assert!(!lines.contains(&"web") && !lines.contains(&"1000"), "the oldest go first:\n{text}");
}

#[test]
fn the_termination_log_has_the_first_failure_of_a_colony_until_complete() {
    let setup = Setup::new();
    let (log, go) = (setup.path("termination"), setup.path("go"));
    let setup = setup.flags(&["--until-complete", "--termination-log", &log.display().to_string()]);
    let setup = setup.file("a", &once("echo sorry; exit 4")).file("b", &once(&when(&go, "echo fine")));
    let mut colony = setup.start();
    colony.wait_log("a ended: exit code 4");
    fs::write(&go, "").expect("a place");
    assert_eq!(colony.exit_status().code(), Some(4));
    let reason = "every process has ended for good, not all with success: first, a has ended for good: exit code 4";
    assert_eq!(told(&log), format!("{reason}\nsorry\n"));
}

// As when a kubelet gives up on a startup probe: who reads why the container ended would else find nothing.
#[test]
fn who_is_told_to_end_while_not_all_is_well_leaves_in_the_termination_log_what_is_not() {
    for drain in ["0", "0.5"] {
        let setup = Setup::new();
        let log = setup.path("termination");
        let setup = setup.flags(&["--termination-log", &log.display().to_string(), "--drain", drain]);
        let setup = setup.file("bad", "{").file("lost", &json!({"args": ["/no/such/program"]}).to_string());
        let mut colony = setup.file("web", &sleeper()).start();
        colony.wait_pid("web", None);
        colony.wait_finding("lost", "StartError");
        colony.signal(Signal::SIGTERM);
        assert_eq!(colony.exit_status().code(), Some(0));
        let text = told(&log);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(lines[..2], ["told to end, while not all was well", "config: 1 file is refused"]);
        assert!(lines[2].starts_with("lost: StartError: ") && lines[2].contains("/no/such/program"), "{text}");
        assert!(lines[3].starts_with("bad: refused: bad:1:"), "{text}");
    }
}

#[test]
fn who_is_told_to_end_while_all_is_well_leaves_no_word_in_the_termination_log() {
    let setup = Setup::new();
    let log = setup.path("termination");
    let setup = setup.flags(&["--termination-log", &log.display().to_string()]);
    let colony = setup.file("web", &sleeper()).start();
    colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    let dir = tempfile::tempdir().expect("a directory");
    let kept = dir.path().join("termination");
    std::os::unix::fs::symlink(&kept, &log).expect("a link");
    assert!(colony.end().0.success());
    assert!(!kept.exists(), "{}", told(&kept));
}

#[test]
fn the_termination_log_has_why_the_monitor_could_not_begin() {
    let setup = Setup::new();
    let log = setup.path("termination");
    let setup = setup.flags(&["--termination-log", &log.display().to_string()]);
    fs::remove_dir(setup.path("config")).expect("it is empty");
    fs::write(setup.path("config"), "no directory").expect("a file");
    let status = setup.command().status().expect("the binary starts");
    assert_eq!(status.code(), Some(78));
    assert_eq!(told(&log), format!("{} is not a directory\n", setup.path("config").display()));
}

#[test]
fn a_termination_log_that_cannot_be_written_is_said_and_holds_up_nothing() {
    let setup = Setup::new();
    let (fifo, dir, none) = (setup.path("fifo"), setup.path("dir"), setup.path("no/such/directory"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a FIFO");
    fs::create_dir(&dir).expect("a directory");
    for path in [&fifo, &dir, &none] {
        let setup = Setup::new().flags(&["--termination-log", &path.display().to_string()]);
        let mut colony = setup.file("main", &essential("exit 6")).start();
        assert_eq!(colony.exit_status().code(), Some(6), "{}", path.display());
        colony.wait_log(&format!("cannot write why the colony ended to {}", path.display()));
    }
    // One that is read gets it whole.
    let reader = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&fifo).expect("the FIFO");
    let setup = Setup::new().flags(&["--termination-log", &fifo.display().to_string()]);
    let mut colony = setup.file("main", &essential("echo bye; exit 6")).start();
    assert_eq!(colony.exit_status().code(), Some(6));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut &reader, &mut text).expect("what was written, and the end");
    assert_eq!(text, "main has ended for good: exit code 6, and it is essential\nbye\n");
}

#[test]
fn until_complete_does_not_wait_for_what_waits_for_a_failure() {
    let after = |on: &str, condition: &str| {
        let depends_on = json!([{"name": on, "condition": condition}]);
        json!({"args": ["true"], "restartPolicy": "Never", "dependsOn": depends_on}).to_string()
    };
    let setup = Setup::new().flags(&["--until-complete"]);
    let setup = setup.file("migrate", &once("exit 9")).file("a", &after("migrate", "Completed"));
    let mut colony = setup.file("b", &after("a", "Ready")).start();
    assert_eq!(colony.exit_status().code(), Some(9));
    assert_eq!((colony.pid_of("a"), colony.pid_of("b")), (None, None));
}

#[test]
fn the_success_of_an_essential_migration_is_a_step_and_its_failure_the_end() {
    let web =
        json!({"args": ["sleep", "1000"], "dependsOn": [{"name": "migrate", "condition": "Completed"}]}).to_string();
    let mut colony = Colony::with(&[("migrate", &essential("exit 0")), ("web", &web)]);
    let pid = colony.wait_pid("web", None);
    colony.wait_ticks(2);
    assert!(lives(pid));
    colony.signal(Signal::SIGTERM);
    assert_eq!(colony.exit_status().code(), Some(0));
    let mut colony = Colony::with(&[("migrate", &essential("exit 8")), ("web", &web)]);
    assert_eq!(colony.exit_status().code(), Some(8));
    assert_eq!(colony.pid_of("web"), None);
}
