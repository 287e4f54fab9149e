//! What the control program is told by the monitor before it writes a byte.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::{Colony, Setup, stop_and_wait};

const SLEEPER: &str = "args: [sleep, '1000']\n";

/// Exit status, stdout and stderr of `ncolony ctl` on the colony's messages and this directory.
fn ctl(colony: &Colony, config: &Path, line: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
    command.arg("ctl").arg("--config").arg(config).arg("--messages").arg(colony.path("messages"));
    let output = command.args(line).current_dir(colony.dir.path()).output().expect("ncolony ctl");
    let [out, told] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.code(), out, told)
}

#[test]
fn what_the_monitor_would_refuse_is_an_error_and_no_message() {
    let colony = Colony::with(&[
        ("web", SLEEPER),
        ("off", "args: [sleep, '1000']\nsuspend: true\n"),
        ("bad", "args: 5\n"),
        ("busy", "args: [sleep, '1000']\nschedule: {every: 5000}\n"),
    ]);
    let config = colony.path("config");
    colony.wait_pid("busy", None);
    for (line, expected) in [
        (&["start", "off"][..], "off is suspended by its file, and only an edit changes that"),
        (&["restart", "off"], "off is suspended by its file, and only an edit changes that"),
        (&["start", "web", "off", "--wait"], "off is suspended by its file, and only an edit changes that"),
        (&["signal", "off", "HUP"], "off is not running, and nothing was sent"),
        (&["restart", "bad"], "bad does not run, since its file is refused"),
        (&["restart", "web-0"], "process \"web-0\" not found"),
        (&["trigger", "busy", "--wait"], "busy cannot be triggered: "),
        (&["restart-group", "front"], "group \"front\" not found"),
    ] {
        let (status, out, told) = ctl(&colony, &config, line);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{line:?}: {told}");
        let expected = format!("error: the monitor would refuse that, and is not asked: {expected}");
        assert!(told.starts_with(&expected), "{line:?}: {told}");
    }
    assert_eq!(colony.messages_left(), [""; 0]);
    assert_eq!(colony.metric("ncolony_message_failures_total"), Some(0.0));
}

#[test]
fn a_file_that_is_refused_is_no_rollout_and_no_update() {
    let colony = Colony::with(&[("web", SLEEPER), ("bad", "args: 5\n")]);
    let config = colony.path("config");
    colony.wait_pid("web", None);
    let (status, out, told) = ctl(&colony, &config, &["rollout", "status"]);
    assert_eq!((status, out.ends_with("process/web successfully rolled out\n")), (Some(1), true), "{out}");
    assert!(told.starts_with("note: bad is refused: "), "{told}");
    let (status, _, told) = ctl(&colony, &config, &["rollout", "status", "process", "web"]);
    assert_eq!((status, told.as_str()), (Some(0), ""), "of whom is named, others do not matter");
    colony.write("web", "args: 5\n");
    for (line, expected) in [
        (&["wait", "web", "--for=condition=ConfigValid=False"][..], 0),
        (&["wait", "web", "--for=condition=Updated=False"], 0),
        (&["wait", "web", "--for=condition=Updated", "--timeout=100ms"], 1),
    ] {
        assert_eq!(ctl(&colony, &config, line).0, Some(expected), "{line:?}");
    }
    let (_, wide, _) = ctl(&colony, &config, &["get", "-o", "wide", "web"]);
    assert!(wide.contains("ConfigInvalid: web:1:7: "), "{wide}");
}

#[test]
fn of_a_group_who_cannot_obey_is_left_alone_and_named() {
    let off = "args: [sleep, '1000']\nsuspend: true\ngroup: [fronts, rest]\n";
    let colony = Colony::with(&[("web", &format!("{SLEEPER}group: [fronts]\n")), ("off", off), ("db", SLEEPER)]);
    let config = colony.path("config");
    colony.wait_pid("web", None);
    colony.wait_pid("db", None);
    let left = "note: process/off is left alone: off is not running, and nothing was sent\n";
    let signalled = ctl(&colony, &config, &["signal", "-l", "group=fronts", "CONT"]);
    assert_eq!(signalled, (Some(0), "process/web signal requested\n".to_string(), left.to_string()));
    let started = ctl(&colony, &config, &["start", "--all"]).1;
    assert_eq!(started, "process/db start requested\nprocess/web start requested\n");
    for line in [&["signal", "-l", "group=rest", "CONT"][..], &["start", "-l", "group=rest"]] {
        let (status, out, told) = ctl(&colony, &config, line);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{line:?}: {told}");
        assert!(told.starts_with("error: the monitor would refuse that"), "{line:?}: {told}");
    }
}

#[test]
fn what_was_added_right_before_is_known() {
    let colony = Colony::with(&[]);
    let config = colony.path("config");
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(ctl(&colony, &config, &["add", name, "--cmd", "sleep", "--arg", "1000"]).0, Some(0));
        let (status, out, told) = ctl(&colony, &config, &["stop", name, "--wait"]);
        assert_eq!(
            (status, out),
            (Some(0), format!("process/{name} stop requested\nprocess/{name} stopped\n")),
            "{told}"
        );
    }
}

#[test]
fn another_directory_than_the_monitors_is_told_before_anything_is_written() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    let other = colony.path("other");
    fs::create_dir(&other).expect("a directory");
    fs::write(other.join("web"), SLEEPER).expect("a file");
    fs::write(colony.path("new.yaml"), SLEEPER).expect("a file");
    let config = colony.path("config").canonicalize().expect("a path");
    for line in [
        &["apply", "-f", "new.yaml"][..],
        &["apply", "-f", "new.yaml", "--dry-run"],
        &["delete", "web"],
        &["scale", "web", "--replicas=2"],
        &["add", "new", "--cmd", "true"],
        &["remove", "web"],
        &["restart", "web"],
        &["rollout", "status", "web"],
    ] {
        let (status, out, told) = ctl(&colony, &other, line);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{line:?}: {told}");
        let messages = colony.path("messages");
        let head = format!("error: the monitor that takes messages in {} runs the files of ", messages.display());
        assert!(told.starts_with(&head), "{told}");
        assert!(
            told.contains(&format!("{}, not of {}\n  pass --config ", config.display(), other.display())),
            "{told}"
        );
    }
    assert_eq!(ctl(&colony, &other, &["diff", "-f", "new.yaml"]).0, Some(2), "it cannot be told");
    assert_eq!(fs::read_dir(&other).expect("a directory").count(), 1);
    assert_eq!(fs::read_to_string(other.join("web")).expect("a file"), SLEEPER);
    assert_eq!(colony.messages_left(), [""; 0]);
}

#[test]
fn the_monitors_directory_by_another_path_is_the_same() {
    let setup = Setup::new().file("web", SLEEPER);
    let dir = setup.path("");
    symlink("config", setup.path("link")).expect("a link");
    // A relative path begins where the monitor was started.
    let colony = setup.flags(&["--config", "config"]).within(&dir).start();
    colony.wait_pid("web", None);
    for config in [colony.path("config"), colony.path("link"), "./config/../link".into()] {
        let (status, out, told) = ctl(&colony, &config, &["restart", "web", "--wait"]);
        assert_eq!((status, out.lines().count()), (Some(0), 2), "{}: {told}", config.display());
    }
}

#[test]
fn a_monitor_that_hangs_is_asked_all_the_same() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    colony.wait_pid("web", None);
    stop_and_wait(colony.pid());
    let (status, out, told) = ctl(&colony, &colony.path("config"), &["restart", "web"]);
    colony.signal(Signal::SIGCONT);
    assert_eq!((status, out.as_str()), (Some(0), "process/web restart requested\n"), "{told}");
    assert_eq!(told, "note: the monitor does not answer: its loop may hang\n");
    colony.wait_log("(RESTART) is carried out");
}

#[test]
fn of_a_file_without_replicas_it_is_said_that_it_has_none() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    let config = colony.path("config");
    let ok = |line: &[&str], expected: &str| {
        let (status, out, told) = ctl(&colony, &config, line);
        assert_eq!((status, out.as_str()), (Some(0), expected), "{line:?}: {told}");
    };
    ok(&["scale", "web", "--replicas=0", "--wait"], "process/web scaled\nprocess/web successfully rolled out\n");
    ok(&["rollout", "status", "web"], "process/web successfully rolled out\n");
    for (line, before) in [
        (&["get", "web"][..], ""),
        (&["describe", "web"], ""),
        (&["why", "web"], ""),
        (&["restart", "web"], "the monitor would refuse that, and is not asked: "),
        (&["stop", "web", "--wait"], "the monitor would refuse that, and is not asked: "),
    ] {
        let (status, out, told) = ctl(&colony, &config, line);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{line:?}: {told}");
        assert_eq!(told, format!("error: {before}web has no replicas: its file asks for 0\n"), "{line:?}");
    }
    ok(&["scale", "web", "--replicas=2", "--wait"], "process/web scaled\nprocess/web successfully rolled out\n");
    ok(&["get", "web", "-o", "name"], "process/web-0\nprocess/web-1\n");
}
