//! What goes on: watches, waits, and logs that are followed.

use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

use super::{Going, STEADY, ctl, ready, show, steady};
use crate::support::{Colony, Setup, wait_for};

#[test]
fn what_changes_is_seen_by_who_watches_and_by_who_waits() {
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    let mut going = Going::start(ctl(&colony.path("messages"), &["get", "-w"]));
    let mut lines = going.lines().map(|line| steady(&line));
    assert_eq!(lines.next().as_deref(), Some("NAME READY STATUS RESTARTS AGE"));
    assert_eq!(lines.next().as_deref(), Some("web 1/1 Running 0 ~"));
    let mut events = Going::start(ctl(&colony.path("messages"), &["events", "-w", "web"]));
    let mut events = events_of(&mut events);
    colony.message("stop", r#"{"type": "STOP", "name": "web"}"#);
    assert!(lines.any(|line| line.starts_with("web 0/1 Stopped 0")));
    assert!(events.any(|line| line.contains("Stopped process/web")));
    colony.remove("web");
    assert_eq!(lines.find(|line| line.contains("Deleted")).as_deref(), Some("web 0/1 Deleted"));
    let (text, status) = show(&colony, &["wait", "--for=delete", "web"]);
    assert_eq!((text.as_str(), status), ("process/web condition met\n", 0));
    let (text, status) = show(&colony, &["wait", "--for=condition=Ready", "web"]);
    assert_eq!((text.as_str(), status), ("error: process \"web\" not found\n", 1));
    let (text, status) = show(&colony, &["wait", "--for=Ready", "web"]);
    assert_eq!(status, 2, "{text}");
}

#[test]
fn who_watches_one_hears_of_no_others_end() {
    let colony = Colony::with(&[("web", STEADY), ("api", r#"{"args": ["sleep", "1000"]}"#)]);
    ready(&colony, "web");
    ready(&colony, "api");
    for words in [&["get", "-w", "web", "--no-headers"][..], &["get", "-w", "-l", "group=front", "--no-headers"]] {
        let mut going = Going::start(ctl(&colony.path("messages"), words));
        let mut lines = going.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("web ")), "{words:?}");
        colony.remove("api");
        let (text, _) = show(&colony, &["wait", "--for=delete", "api"]);
        assert_eq!(text, "process/api condition met\n");
        colony.message("stop", r#"{"type": "STOP", "name": "web"}"#);
        let mut seen = Vec::new();
        for line in lines {
            seen.push(line.clone());
            if line.contains("Stopped") {
                break;
            }
        }
        assert!(seen.iter().all(|line| line.starts_with("web ")), "{seen:?}");
        colony.write("api", r#"{"args": ["sleep", "1000"]}"#);
        colony.message("start", r#"{"type": "START", "name": "web"}"#);
        ready(&colony, "web");
        colony.wait("api again", || show(&colony, &["get", "api"]).0.contains("Running").then_some(()));
    }
}

#[test]
fn who_watches_a_group_is_told_who_leaves_it_and_who_comes_back() {
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    let mut going = Going::start(ctl(&colony.path("messages"), &["get", "-w", "-l", "group=front", "--no-headers"]));
    let mut lines = going.lines().map(|line| steady(&line));
    let mut expect = |expected: &str| {
        assert!(lines.any(|line| line == expected), "{expected}");
    };
    expect("web 1/1 Running 0 ~");
    colony.write("web", r#"{"args": ["sleep", "1000"], "group": ["back"]}"#);
    expect("web 1/1 Unselected 0 ~");
    colony.write("web", STEADY);
    expect("web 1/1 Running 0 ~");
    colony.remove("web");
    expect("web 0/1 Deleted");
}

fn events_of(going: &mut Going) -> impl Iterator<Item = String> + use<> {
    let mut lines = going.lines().map(|line| steady(&line));
    assert_eq!(lines.next().as_deref(), Some("LAST SEEN TYPE REASON OBJECT MESSAGE"));
    lines
}

#[test]
fn what_does_not_come_in_time_is_an_error() {
    let colony =
        Colony::with(&[("web", r#"{"args": ["sleep", "1000"], "readinessProbe": {"exec": {"command": ["false"]}}}"#)]);
    colony.wait_pid("web", None);
    let began = Instant::now();
    let (text, status) = show(&colony, &["wait", "--for=condition=Ready", "web", "--timeout=1s"]);
    assert_eq!((text.as_str(), status), ("error: timed out waiting for the condition on process/web\n", 1));
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn logs_are_of_this_run_or_the_one_before_and_followed_through_restarts() {
    let script = "echo begun; echo bad >&2; read line < $GATE; echo $line; exit 1";
    let setup = Setup::new().flags(&["-m", "0.05", "-M", "0.05"]);
    let gate = setup.path("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a fifo");
    let file =
        serde_json::json!({"args": ["sh", "-c", script], "env": {"GATE": gate.display().to_string()}, "group": ["g"]});
    let colony = setup.file("web", &file.to_string()).start();
    let first = colony.wait_pid("web", None);
    wait_for("its lines", || show(&colony, &["logs", "web"]).0.contains("bad").then_some(()));
    let (text, status) = show(&colony, &["logs", "-p", "web"]);
    assert_eq!((text.as_str(), status), ("error: previous run of \"web\" not found\n", 1));
    let mut going = Going::start(ctl(&colony.path("messages"), &["logs", "-f", "--prefix", "web"]));
    let mut lines = going.lines();
    let mut seen: Vec<String> = lines.by_ref().take(2).collect();
    seen.sort();
    assert_eq!(seen, ["[web] bad", "[web] begun"]);
    fs::write(&gate, "first\n").expect("somebody reads");
    assert_eq!(lines.next().as_deref(), Some("[web] first"));
    colony.wait_pid("web", Some(first));
    let mut next: Vec<String> = lines.by_ref().take(2).collect();
    next.sort();
    assert_eq!(next, ["[web] bad", "[web] begun"]);
    let rows: [(&[&str], &str); 4] = [
        (&["logs", "-p", "--tail=1", "web"], "first\n"),
        (&["logs", "--tail", "0", "web"], ""),
        (&["logs", "-p", "-l", "group=g", "--tail=1", "--prefix"], "[web] first\n"),
        (&["logs", "--since=0s", "web"], ""),
    ];
    for (words, expected) in rows {
        assert_eq!(show(&colony, words), (expected.to_string(), 0), "{words:?}");
    }
    let (text, _) = show(&colony, &["logs", "--timestamps", "--tail=1", "web"]);
    assert!(text.starts_with("20") && text.split(' ').next().is_some_and(|time| time.ends_with('Z')), "{text}");
    // A process that vanishes while it is followed.
    colony.remove("web");
    assert_eq!(lines.next(), None);
    let mut said = String::new();
    going.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(said, "process \"web\" is gone\n");
    assert!(going.0.wait().expect("our child").success());
    let rows: [(&[&str], i32); 2] = [(&["logs", "web"], 1), (&["logs"], 2)];
    for (words, code) in rows {
        assert_eq!(show(&colony, words).1, code, "{words:?}");
    }
}

// A prompt, or dots that tell of progress.
#[test]
fn a_line_that_has_not_ended_is_shown_as_the_last_one() {
    let script = "printf 'one\\ntwo\\n... '; read line < $GATE; printf '%s\\n' $line; exec sleep 1000";
    let setup = Setup::new();
    let gate = setup.path("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a fifo");
    let file = serde_json::json!({"args": ["sh", "-c", script], "env": {"GATE": gate.display().to_string()}});
    let colony = setup.file("web", &file.to_string()).start();
    wait_for("its beginning", || (show(&colony, &["logs", "web"]).0 == "one\ntwo\n... \n").then_some(()));
    let rows: [(&[&str], &str); 5] = [
        (&["logs", "--tail=0", "web"], ""),
        (&["logs", "--tail=1", "web"], "... \n"),
        (&["logs", "--tail=2", "web"], "two\n... \n"),
        (&["logs", "--since=1h", "--prefix", "web"], "[web] one\n[web] two\n[web] ... \n"),
        (&["logs", "--since=0s", "web"], ""),
    ];
    for (words, expected) in rows {
        assert_eq!(show(&colony, words), (expected.to_string(), 0), "{words:?}");
    }
    let mut going = Going::start(ctl(&colony.path("messages"), &["logs", "-f", "web"]));
    let mut lines = going.lines();
    assert_eq!(lines.by_ref().take(2).collect::<Vec<_>>(), ["one", "two"]);
    fs::write(&gate, "done\n").expect("somebody reads");
    assert_eq!(lines.next().as_deref(), Some("... done"));
    assert_eq!(show(&colony, &["logs", "--tail=1", "web"]).0, "... done\n");
}

#[test]
fn output_that_is_inherited_is_not_known_and_that_is_said() {
    let colony = Colony::with(&[("web", r#"{"args": ["sleep", "1000"], "output": "inherit"}"#)]);
    ready(&colony, "web");
    let (text, status) = show(&colony, &["logs", "web"]);
    assert!(text.contains("output: inherit") && status == 1, "{text}");
}

#[test]
fn one_that_vanishes_while_it_is_waited_for_is_an_error_at_once() {
    let never = r#"{"args": ["sleep", "1000"], "readinessProbe": {"exec": {"command": ["false"]}}}"#;
    let colony = Colony::with(&[("web", STEADY), ("slow", never)]);
    ready(&colony, "web");
    let words = ["wait", "--for=condition=Ready", "web", "slow", "--timeout=1h"];
    let mut going = Going::start(ctl(&colony.path("messages"), &words));
    let mut lines = going.lines();
    assert_eq!(lines.next().as_deref(), Some("process/web condition met"));
    colony.remove("slow");
    assert_eq!(lines.next(), None);
    let mut said = String::new();
    going.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    let status = going.0.wait().expect("our child").code();
    assert_eq!((said.as_str(), status), ("error: process \"slow\" not found\n", Some(1)));
}

#[test]
fn a_flood_that_is_followed_and_a_reader_that_is_stuck_cost_a_bounded_amount() {
    let script = "import sys\nline = b'x' * 99 + b'\\n'\nwhile True: sys.stdout.buffer.write(line * 5000)";
    let flood = serde_json::json!({"args": ["python3", "-c", script], "env": {"PATH": "/usr/bin:/bin"}});
    let colony = Colony::with(&[("flood", &flood.to_string()), ("web", STEADY)]);
    ready(&colony, "flood");
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", colony.pid())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let written =
        || colony.metric(r#"ncolony_process_log_bytes_total{process="flood",stream="stdout"}"#).unwrap_or_default();
    colony.wait("the flood", || (written() > 50e6).then_some(()));
    let before = memory();
    let mut stuck: Vec<Going> =
        (0..8).map(|_| Going::start(ctl(&colony.path("messages"), &["logs", "-f", "flood"]))).collect();
    let mut reader = Going::start(ctl(&colony.path("messages"), &["logs", "-f", "flood"]));
    let mut lines = reader.lines();
    let from = written();
    assert!(
        lines.any(|line| line.ends_with("bytes are left out: more was printed in between than is kept (--log-buffer)"))
    );
    colony.wait("200 MB more", || (written() > from + 200e6).then_some(()));
    assert!(lines.next().is_some());
    let grown = memory().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} kB more");
    let began = Instant::now();
    assert_eq!(show(&colony, &["get", "web"]).1, 0);
    assert!(began.elapsed() < Duration::from_secs(5));
    stuck.clear();
}

#[test]
fn more_are_followed_at_once_than_a_colony_has_most_often() {
    let file = r#"{"args": ["sh", "-c", "echo said; exec sleep 1000"], "replicas": 60}"#;
    let colony = Setup::new().file("web", file).start();
    colony.wait_pid("web-59", None);
    let mut going = Going::start(ctl(&colony.path("messages"), &["logs", "-f", "web"]));
    assert_eq!(going.lines().take(60).collect::<Vec<_>>(), vec!["said"; 60]);
    let mut others: Vec<Going> =
        (0..60).map(|_| Going::start(ctl(&colony.path("messages"), &["logs", "-f", "web-0"]))).collect();
    others.iter_mut().for_each(|other| assert_eq!(other.lines().next().as_deref(), Some("said")));
    assert_eq!(going.0.try_wait().expect("our child"), None, "nobody made room for the others");
}

#[test]
fn whose_lines_the_monitor_does_not_keep_hides_not_those_of_the_others() {
    let (inherits, says) =
        (r#"{"args": ["sleep", "1000"], "output": "inherit", "group": ["g"]}"#, "echo said; exec sleep 1000");
    let says = serde_json::json!({"args": ["sh", "-c", says], "group": ["g"]}).to_string();
    let colony = Setup::new().file("aa", inherits).file("zz", &says).start();
    colony.wait_stdout("said");
    let (text, status) = show(&colony, &["logs", "-l", "group=g"]);
    assert!(text.starts_with("said\n") && text.contains("the output of aa goes to the monitor's own"), "{text}");
    assert_eq!(status, 1);
    let mut going = Going::start(ctl(&colony.path("messages"), &["logs", "-f", "-l", "group=g"]));
    assert_eq!(going.lines().next().as_deref(), Some("said"));
    let (alone, status) = show(&colony, &["logs", "aa"]);
    assert!(alone.starts_with("error: the output of aa"), "{alone}");
    assert_eq!(status, 1);
}

#[test]
fn who_is_not_there_is_an_error_of_top_too() {
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    let (text, status) = show(&colony, &["top", "web", "nosuch"]);
    assert!(text.contains("\nweb ") && text.contains("process \"nosuch\" not found"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn where_no_lines_are_to_be_kept_there_are_none() {
    let file = r#"{"args": ["sh", "-c", "echo said; exec sleep 1000"]}"#;
    let colony = Setup::new().flags(&["--log-buffer", "0"]).file("web", file).start();
    colony.wait_stdout("said");
    assert_eq!(show(&colony, &["logs", "web"]), (String::new(), 0));
}
