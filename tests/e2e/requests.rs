//! Messages, from the file in the directory to what becomes of the processes.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::copies::Copies;
use crate::crash::Mount;
use crate::panics::armed;
use crate::support::{Colony, Setup, can, lives, series, sleeper, succeeds, wait_for};

const SLEEPER: &str = r#"{"args": ["sleep", "1000"]}"#;
const FAILURES: &str = "ncolony_message_failures_total";

fn restart(name: &str) -> String {
    serde_json::json!({"type": "RESTART", "name": name}).to_string()
}

fn started(colony: &Colony, name: &str) -> usize {
    colony.log().matches(&format!(" started {name}: ")).count()
}

fn wait_started(colony: &Colony, name: &str, times: usize) {
    colony.wait(&format!("{name} to be started {times} times"), || (started(colony, name) >= times).then_some(()));
}

/// Waits until a message was handled: a later one of ours is, and they are handled in order.
fn wait_handled(colony: &Colony, mark: &str) {
    colony.message(mark, &restart(mark));
    colony.wait_log(&format!("message {mark} was refused"));
}

// M08: files of one directory, in the order in which they were written.
#[test]
fn each_kind_of_restart_reaches_whom_it_names() {
    let member = r#"{"args": ["sleep", "1000"], "group": ["fronts", "all"]}"#;
    let colony = Colony::with(&[("one", SLEEPER), ("two", member), ("three", member)]);
    let counts = |colony: &Colony| ["one", "two", "three"].map(|name| started(colony, name));
    let wait = |expected: [usize; 3]| colony.wait("the restarts", || (counts(&colony) == expected).then_some(()));
    wait([1, 1, 1]);
    colony.message("a", &restart("one"));
    wait([2, 1, 1]);
    colony.message("b", r#"{"type": "RESTART-GROUP", "group": "fronts"}"#);
    wait([2, 2, 2]);
    colony.message("c", r#"{"type": "RESTART-ALL"}"#);
    wait([3, 3, 3]);
    for kind in ["RESTART", "RESTART-GROUP", "RESTART-ALL"] {
        colony.wait_metric(&format!("ncolony_messages_total{{message=\"{kind}\"}}"), |n| n == 1.0);
    }
    assert_eq!(colony.metric(FAILURES), Some(0.0));
    assert_eq!(colony.messages_left(), [""; 0]);
}

// M01
#[test]
fn what_names_nobody_is_set_aside_with_the_reason_and_counted() {
    let colony = Colony::with(&[("web", r#"{"args": ["sleep", "1000"], "group": ["fronts"]}"#)]);
    let first = colony.wait_pid("web", None);
    let refused = [
        ("who", restart("wed"), "process \"wed\" not found; did you mean \"web\"?"),
        (
            "whom",
            r#"{"type": "RESTART-GROUP", "group": "front"}"#.into(),
            "group \"front\" not found; did you mean \"fronts\"?",
        ),
        ("what", r#"{"type": "RESTRAT"}"#.into(), "did you mean RESTART?"),
        ("nothing", "RESTART web".into(), "expected a JSON object"),
    ];
    for (name, text, reason) in &refused {
        colony.message(name, text);
        colony.wait_log(&format!("message {name} was refused: "));
        assert!(colony.log().contains(reason), "{}", colony.log());
        assert!(colony.path(&format!("messages/.rejected-{name}")).exists());
        assert!(!colony.path(&format!("messages/{name}")).exists());
    }
    colony.wait_metric(FAILURES, |n| n == refused.len() as f64);
    assert!(lives(first));
    // And the next is heard.
    colony.message("good", &restart("web"));
    colony.wait_pid("web", Some(first));
}

// M06
#[test]
fn what_was_there_before_the_monitor_is_dropped() {
    let setup = Setup::new().file("web", SLEEPER);
    fs::write(setup.path("messages/old"), restart("web")).expect("a file");
    fs::write(setup.path("messages/older"), restart("nobody")).expect("a file");
    let colony = setup.start();
    colony.wait_log("message old (RESTART) is older than this monitor");
    colony.wait_log("message older (RESTART) is older than this monitor");
    let first = colony.wait_pid("web", None);
    wait_handled(&colony, "mark");
    assert!(lives(first));
    assert_eq!(colony.metric(FAILURES), Some(1.0), "the mark alone");
    assert!(!colony.path("messages/old").exists());
}

/// Asks again and again until so many messages were refused: how many were, and how many turns the loop has made.
fn scrape_until(colony: &Colony, enough: f64) -> Vec<(f64, f64)> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(refused, _)| *refused < enough) {
        let (_, page) = colony.get("/metrics");
        let value = |series: &str| page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        let turns = value("ncolony_reconcile_duration_seconds_count");
        seen.extend(value(FAILURES).zip(turns));
    }
    seen
}

// M05: under ten thousand messages a process that is killed comes back in time, and no memory is kept.
#[test]
fn a_flood_of_messages_delays_no_restart_and_keeps_no_memory() {
    let web = r#"{"args": ["sleep", "1000"], "backoff": {"thresholdSeconds": 0}}"#;
    let setup = Setup::new().file("web", web).file("other", SLEEPER);
    // Ten thousand files on a busy disk take half a minute; without a tmpfs that is so.
    let _tmpfs = Mount::new(&["-t", "tmpfs", "tmpfs"], &setup.path("messages"));
    let colony = setup.start();
    let mut pid = colony.wait_pid("web", None);
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{}/status", colony.pid())).expect("it lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line").to_string();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<i64>().ok()).expect("a number")
    };
    let (before, mut slowest) = (resident(), Duration::ZERO);
    // Written where nobody looks, so that they come fast.
    let messages = colony.path("messages");
    let flood = messages.join(".flood");
    fs::create_dir(&flood).expect("a directory");
    for number in 0..10_000 {
        let text = match number % 300 {
            0 => restart("other"),
            100 => r#"{"type": "STOP", "name": "other"}"#.to_string(),
            200 => r#"{"type": "START", "name": "other"}"#.to_string(),
            _ => restart("nobody"),
        };
        fs::write(flood.join(format!("m{number}")), text).expect("a file");
    }
    let is_over = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..10_000 {
                let name = format!("m{number}");
                fs::rename(flood.join(&name), messages.join(&name)).expect("the same file system");
            }
        });
        let scraper = scope.spawn(|| {
            let seen = scrape_until(&colony, 9_900.0);
            is_over.store(true, Ordering::Release);
            seen
        });
        let mut kills = 0;
        while !is_over.load(Ordering::Acquire) {
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
            let killed = Instant::now();
            pid = colony.wait_pid("web", Some(pid));
            slowest = slowest.max(killed.elapsed());
            kills += 1;
        }
        assert!(kills >= 3, "the flood was over before anything could be seen");
        scraper.join().expect("no panic")
    });
    // A probe has but a second: the status server runs at every turn of the loop, and needs some for an answer.
    let in_flood = seen.windows(2).filter(|pair| pair[0].0 < pair[1].0);
    let mut turns: Vec<f64> = in_flood.map(|pair| pair[1].1 - pair[0].1).collect();
    turns.sort_by(f64::total_cmp);
    assert!(turns[turns.len() / 2] < 20.0, "turns of the loop for an answer: {turns:?}");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    let after = resident();
    assert!(after - before < 16 * 1024, "{before} KiB became {after} KiB");
    // The last of them was a restart.
    colony.wait_metric(r#"ncolony_process_up{process="other"}"#, |up| up == 1.0);
    let aside = fs::read_dir(&messages).expect("a directory").count();
    assert!(aside <= 103, "{aside} files are kept");
}

// M09
#[test]
fn a_process_in_backoff_is_started_at_once() {
    let failing = r#"{"args": ["false"], "backoff": {"initialSeconds": 1000, "maxSeconds": 1000}}"#;
    let missing = r#"{"args": ["/nonexistent/program"], "backoff": {"initialSeconds": 1000, "maxSeconds": 1000}}"#;
    let colony = Colony::with(&[("failing", failing), ("missing", missing)]);
    colony.wait_metric(r#"ncolony_process_exits_total{process="failing",reason="error"}"#, |n| n == 1.0);
    colony.wait_log("cannot start missing");
    colony.message("a", &restart("failing"));
    wait_started(&colony, "failing", 2);
    let failures = "ncolony_process_start_failures_total{process=\"missing\"}";
    colony.wait_metric(failures, |n| n == 1.0);
    colony.message("b", &restart("missing"));
    colony.wait_metric(failures, |n| n == 2.0);
}

// M09
#[test]
fn however_often_one_asks_while_it_stops_it_is_one_restart() {
    let setup = Setup::new().flags(&["-k", "1000"]);
    let copies = Copies::of(&setup);
    let web = copies.script(
        "web",
        "trap 'test -e \"$READY.go\" && exit' TERM USR1; touch \"$READY\"; while :; do sleep 0.05; done",
    );
    let colony = setup.file("web", &web).start();
    copies.wait_ready("web");
    let first = colony.wait_pid("web", None);
    colony.message("a", &restart("web"));
    colony.wait_log("SIGTERM to the main process of web: a message asked for it");
    for name in ["b", "c", "d"] {
        colony.message(name, &restart("web"));
    }
    colony.message("e", r#"{"type": "RESTART-ALL"}"#);
    wait_handled(&colony, "mark");
    assert!(lives(first));
    fs::write(colony.path("web.ready.go"), "").expect("a file");
    kill(Pid::from_raw(first), Signal::SIGUSR1).expect("it lives");
    let second = colony.wait_pid("web", Some(first));
    copies.wait_ready("web");
    wait_handled(&colony, "mark2");
    assert_eq!(started(&colony, "web"), 2);
    assert!(lives(second));
}

// M09
#[test]
fn a_restart_of_all_wakes_nobody_who_rests() {
    let colony = Colony::with(&[
        ("web", SLEEPER),
        ("done", r#"{"args": ["true"], "restartPolicy": "Never"}"#),
        ("nightly", r#"{"args": ["true"], "schedule": {"every": 1000}}"#),
        ("off", r#"{"args": ["sleep", "1000"], "suspend": true}"#),
    ]);
    let web = colony.wait_pid("web", None);
    for name in ["done", "nightly"] {
        colony.wait_metric(&format!("ncolony_process_exits_total{{process=\"{name}\",reason=\"completed\"}}"), |n| {
            n == 1.0
        });
    }
    colony.message("all", r#"{"type": "RESTART-ALL"}"#);
    colony.wait_pid("web", Some(web));
    wait_handled(&colony, "mark");
    assert_eq!(["done", "nightly", "off"].map(|name| started(&colony, name)), [1, 1, 0]);
    // Who is named runs again.
    colony.message("again", &restart("done"));
    wait_started(&colony, "done", 2);
}

// M12
#[test]
fn a_messages_directory_that_is_missing_is_made_and_may_go_and_come_again() {
    let setup = Setup::new().file("web", SLEEPER);
    let state = setup.path("state");
    let messages = setup.path("messages");
    fs::remove_dir(&messages).expect("it is empty");
    let colony = setup.flags(&["--state", state.to_str().expect("UTF-8")]).start();
    let mut pid = colony.wait_pid("web", None);
    let verdict = || colony.get("/healthz?verbose").1;
    colony.wait("it to be well", || verdict().contains("messages ok\n").then_some(()));
    for round in 0..2 {
        // It is made at the start alone: whoever takes it away later has a reason.
        fs::remove_dir_all(&messages).expect("it is there");
        colony.wait("it to be told", || verdict().contains("messages ok (cannot open").then_some(()));
        fs::create_dir(&messages).expect("it is gone");
        colony.message("first", &restart("web"));
        pid = colony.wait_pid("web", Some(pid));
        colony.wait("it to be well", || verdict().contains("messages ok\n").then_some(()));
        wait_for("the message to be deleted", || (!messages.join("first").exists()).then_some(()));
        // Now it is watched, too.
        colony.message("second", &restart("web"));
        pid = colony.wait_pid("web", Some(pid));
        assert_eq!(started(&colony, "web"), 3 + 2 * round);
    }
}

// M03
#[test]
fn a_message_that_cannot_be_deleted_is_acted_on_once() {
    let setup = Setup::new().file("web", SLEEPER);
    let (messages, desk) = (setup.path("messages"), setup.path("desk"));
    fs::create_dir(&desk).expect("a directory");
    let bind = Mount::new(&["--bind", desk.to_str().expect("UTF-8")], &messages);
    let read_only = succeeds("mount", &["-o", "remount,bind,ro", messages.to_str().expect("UTF-8")]);
    if !can("a read-only bind mount", bind.is_some() && read_only) {
        return;
    }
    let state = setup.path("state");
    let colony = setup.flags(&["--state", state.to_str().expect("UTF-8")]).start();
    let first = colony.wait_pid("web", None);
    fs::write(desk.join("restart"), restart("web")).expect("the other side is writable");
    let second = colony.wait_pid("web", Some(first));
    colony.wait_log("cannot be deleted");
    let scans = "ncolony_config_scans_total{trigger=\"poll\"}";
    let ticks = colony.metric(scans).expect("a counter");
    colony.wait_metric(scans, |now| now >= ticks + 3.0);
    assert_eq!(colony.pid_of("web"), Some(second));
    assert_eq!(colony.log().matches("cannot be deleted").count(), 1, "{}", colony.log());
    // The next one is heard all the same.
    fs::write(desk.join("another"), restart("web")).expect("the other side is writable");
    colony.wait_pid("web", Some(second));
}

// M02, M10
#[test]
fn what_is_no_file_is_no_message() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    let first = colony.wait_pid("web", None);
    let messages = colony.path("messages");
    fs::create_dir(messages.join("directory")).expect("a directory");
    assert!(succeeds("mkfifo", &[messages.join("fifo").to_str().expect("UTF-8")]));
    let secret = colony.path("secret");
    fs::write(&secret, restart("web")).expect("a file");
    std::os::unix::fs::symlink(&secret, messages.join("link")).expect("a link");
    std::os::unix::fs::symlink("/nonexistent", messages.join("dangling")).expect("a link");
    colony.wait_log("message link was refused: links are not followed");
    colony.wait_log("message dangling was refused");
    colony.wait_log("fifo is a FIFO, and no message");
    colony.wait_log("directory is a directory, and no message");
    wait_handled(&colony, "mark");
    assert!(secret.exists());
    assert!(lives(first));
}

// M07
#[test]
fn a_monitor_that_is_killed_between_a_message_and_its_deletion_leaves_nothing_to_be_done_twice() {
    for place in ["message-accepted", "message-deleted"] {
        let (setup, now) = armed(Setup::new().file("web", &sleeper()), place, "hang");
        let colony = setup.start();
        let first = colony.wait_pid("web", None);
        fs::write(&now, "").expect("a file");
        colony.message("m", &restart("web"));
        colony.wait("the failpoint", || (!now.exists()).then_some(()));
        assert_eq!(colony.path("messages/m").exists(), place == "message-accepted");

        let colony = colony.kill_monitor().start();
        let second = colony.wait_pid("web", None);
        assert_ne!(first, second);
        colony.wait("the message to be gone", || (!colony.path("messages/m").exists()).then_some(()));
        colony.wait_ticks(2);
        assert_eq!(colony.wait_pid("web", None), second);
        assert_eq!(colony.metric(&series("starts_total", "web")), Some(1.0), "{}", colony.log());
        assert!(!colony.log().contains("is carried out"), "{}", colony.log());
    }
}
