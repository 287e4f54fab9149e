//! Where things go wrong: no monitor or another one, readers that go away, names that need quoting, thousands of processes.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::{Going, STEADY, ctl, ready, run, show};
use crate::support::{Colony, Setup, can, imposter};

#[test]
fn a_monitor_that_ends_is_told_of_by_whoever_watches() {
    let speaker = r#"{"args": ["sh", "-c", "echo said; exec sleep 1000"]}"#;
    let never = r#"{"args": ["sleep", "1000"], "readinessProbe": {"exec": {"command": ["false"]}}}"#;
    let colony = Colony::with(&[("web", speaker), ("slow", never)]);
    ready(&colony, "web");
    let verbs: [(&[&str], &str); 4] = [
        (&["get", "-w"], "web "),
        (&["events", "-w"], "process/web"),
        (&["logs", "-f", "web"], "said"),
        (&["wait", "--for=condition=Ready", "web", "slow"], "process/web condition met"),
    ];
    let start = |(words, answer): (&'static [&str], &str)| {
        let mut going = Going::start(ctl(&colony.path("messages"), words));
        let mut lines = going.lines();
        assert!(lines.any(|line| line.contains(answer)), "{words:?}");
        // Its end of the pipe is kept: nobody is to find that nobody reads.
        (going, lines, words)
    };
    let going: Vec<_> = verbs.into_iter().map(start).collect();
    let setup = colony.kill_monitor();
    for (mut going, _lines, words) in going {
        let mut said = String::new();
        going.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        let status = going.0.wait().expect("our child").code();
        assert_eq!(
            (said.as_str(), status),
            ("error: the monitor has ended, or closed the connection\n", Some(1)),
            "{words:?}"
        );
    }
    let (text, status) = run(ctl(&setup.path("messages"), &["get"]));
    assert!(text.contains("any more\n  the monitor that listened there was killed") && status == 1, "{text}");
}

fn ask(colony: &Colony, words: &[&str]) -> (String, i32) {
    let config = colony.path("config").display().to_string();
    show(colony, &[&["--config", &config], words].concat())
}

#[test]
fn a_directory_that_is_gone_is_told_of_and_the_monitor_is_asked_all_the_same() {
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    fs::remove_dir_all(colony.path("config")).expect("ours");
    let gone = "what was read before is in force";
    colony.wait("it is noticed", || show(&colony, &["get"]).0.contains(gone).then_some(()));
    let (text, status) = ask(&colony, &["rollout", "status"]);
    assert!(text.contains(gone) && text.contains("not all files are in force") && status == 1, "{text}");
    let (text, status) = ask(&colony, &["stop", "web", "--wait"]);
    assert_eq!((text.as_str(), status), ("process/web stop requested\nprocess/web stopped\n", 0));
    let (text, status) = ask(&colony, &["start", "--all", "--wait"]);
    assert_eq!((text.as_str(), status), ("process/web start requested\nprocess/web started\n", 0));
    let (text, status) = ask(&colony, &["restart", "wbe"]);
    assert_eq!((text.as_str(), status), ("error: process \"wbe\" not found\n  did you mean \"web\"?\n", 1));
}

/// The monitor of root takes no file that others can write.
#[test]
fn nothing_is_written_that_the_monitor_would_not_trust_and_check_says_so() {
    if !can("run a monitor as root", nix::unistd::geteuid().is_root()) {
        return;
    }
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    let open = |path: &str, mode| fs::set_permissions(colony.path(path), fs::Permissions::from_mode(mode));
    open("config/web", 0o666).expect("ours");
    let (text, status) = ask(&colony, &["check"]);
    assert!(text.contains("can be written by others") && status == 1, "{text}");
    assert_eq!(ask(&colony, &["scale", "web", "--replicas=2"]).1, 1);
    open("config/web", 0o644).expect("ours");
    open("config", 0o777).expect("ours");
    fs::write(colony.path("v.yaml"), "args: [sleep, '1000']\n").expect("a file");
    let file = colony.path("v.yaml").display().to_string();
    let (text, status) = ask(&colony, &["apply", "-f", &file]);
    let expected = "nothing is written\nv.yaml: its directory can be written by others";
    assert!(text.contains(expected) && status == 1, "{text}");
    assert!(!colony.path("config/v.yaml").exists());
    assert_eq!(ask(&colony, &["check"]).1, 1);
    open("config", 0o755).expect("ours");
    assert_eq!(ask(&colony, &["apply", "-f", &file]).1, 0);
}

#[test]
fn of_a_monitor_that_ends_it_is_said_that_it_takes_nothing_any_more() {
    let colony = Setup::new().flags(&["--drain", "600"]).file("web.yaml", "args: [sleep, '1000']\n").start();
    ready(&colony, "web");
    colony.signal(nix::sys::signal::Signal::SIGTERM);
    let note = "the monitor is ending, and reads no files any more";
    colony.wait("it ends", || show(&colony, &["get"]).0.contains(note).then_some(()));
    let (text, status) = ask(&colony, &["scale", "web", "--replicas=2"]);
    assert!(text.contains("is ending; the next one begins with these files") && status == 0, "{text}");
    let (text, status) = ask(&colony, &["rollout", "status"]);
    assert!(text.contains(note) && status == 1, "{text}");
    // Messages are taken until the drain is over.
    let (text, status) = ask(&colony, &["restart", "web"]);
    assert_eq!((text.as_str(), status), ("process/web restart requested\n", 0));
}

#[test]
fn of_an_end_that_is_under_way_it_is_told_since_when_and_when_sigkill_comes() {
    let stubborn = "args: [sh, -c, 'trap \"\" TERM; while :; do sleep 1; done']\nterminationGracePeriodSeconds: 600\n";
    let colony = Setup::new().file("web.yaml", stubborn).start();
    ready(&colony, "web");
    let why = |text: &'static str| {
        colony.wait(text, || Some(show(&colony, &["why", "web"]).0).filter(|told| told.contains(text)))
    };
    assert_eq!(ask(&colony, &["stop", "web"]).1, 0);
    let told = why("web is being stopped for ");
    assert!(told.contains(": a message stopped it; SIGKILL comes in 10m"), "{told}");
    let (text, _) = show(&colony, &["describe", "web"]);
    assert!(text.contains("\n  Stopping:") && text.contains("\n  SIGKILL:        in "), "{text}");
    assert_eq!(ask(&colony, &["start", "web"]).1, 0);
    why("a message stopped it, and another has it started again; SIGKILL comes in");
}

#[test]
fn why_follows_a_dependency_to_a_refused_file_and_to_one_without_replicas() {
    let api = r#"{"args": ["sleep", "1000"], "dependsOn": ["ref", "zero"]}"#;
    let zero = r#"{"args": ["sleep", "1000"], "replicas": 0}"#;
    let colony = Colony::with(&[("ref", "{"), ("zero", zero), ("api", api)]);
    let (text, status) =
        colony.wait("all three are known", || Some(show(&colony, &["why", "api"])).filter(|(_, code)| *code == 0));
    let causes = text.contains("\nref is refused: ") && text.contains("\nzero has no replicas: its file asks for 0.\n");
    assert!(causes && !text.contains("no file describes it") && status == 0, "{text}");
}

#[test]
fn without_a_monitor_the_error_says_where_it_was_looked_for_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    for words in [
        &["get"][..],
        &["describe"],
        &["logs", "web"],
        &["events"],
        &["top"],
        &["wait", "web", "--for=delete"],
        &["why", "web"],
    ] {
        let (text, status) = run(ctl(dir.path(), words));
        let expected = format!(
            "error: no monitor listens at {}\n  is --messages the directory that `ncolony run` was given, and does it run?\n",
            dir.path().join(".ncolony.sock").display()
        );
        assert_eq!((text, status), (expected, 1), "{words:?}");
    }
}

#[test]
fn another_users_socket_is_an_error_that_says_so() {
    if !can("ask as another user", nix::unistd::geteuid().is_root()) {
        return;
    }
    let colony = Colony::with(&[]);
    fs::set_permissions(colony.dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let binary = colony.path("ncolony");
    fs::copy(env!("CARGO_BIN_EXE_ncolony"), &binary).expect("a copy");
    let as_other = || {
        let mut command = Command::new(&binary);
        command.args(["ctl", "--messages"]).arg(colony.path("messages")).arg("get").uid(65534).gid(65534);
        run(command)
    };
    let (text, status) = as_other();
    assert!(
        text.contains("is another user's\n  ask as root, or as the user that the monitor runs as") && status == 1,
        "{text}"
    );
    let path = colony.path("messages").join(".ncolony.sock");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("ours");
    let (text, status) = as_other();
    assert_eq!(
        (text.as_str(), status),
        ("error: user 65534 may not ask this monitor: only root and its own user may\n", 1)
    );
}

#[test]
fn where_no_monitor_can_have_a_socket_it_is_said_that_it_may_be_for_that() {
    if !can("ask as another user", nix::unistd::geteuid().is_root()) {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let binary = dir.path().join("ncolony");
    fs::copy(env!("CARGO_BIN_EXE_ncolony"), &binary).expect("a copy");
    let mut command = Command::new(&binary);
    command.args(["ctl", "--messages"]).arg(dir.path()).arg("get").uid(65534).gid(65534);
    let (text, status) = run(command);
    let expected = "one that cannot write in that directory (Permission denied) has no socket there, and says so in its log and at /healthz?verbose; else, is --messages";
    assert!(text.contains(expected) && status == 1, "{text}");
}

// `podman exec --user 0` into a container whose capabilities are all dropped.
#[test]
fn root_without_its_capability_is_told_whom_to_be() {
    let without = ["--bounding-set=-dac_override,-dac_read_search", "--"];
    if !can(
        "root and setpriv",
        nix::unistd::geteuid().is_root() && crate::support::succeeds("setpriv", &[without[0], "true"]),
    ) {
        return;
    }
    let colony = Colony::with(&[]);
    let socket = colony.path("messages").join(".ncolony.sock");
    nix::unistd::chown(&socket, Some(65534.into()), None).expect("root may");
    let mut command = Command::new("setpriv");
    command.args(without).arg(env!("CARGO_BIN_EXE_ncolony")).args(["ctl", "--messages"]);
    command.arg(colony.path("messages")).arg("get");
    let (text, status) = run(command);
    let expected =
        "root may not without the capability DAC_OVERRIDE: ask as user 65534, as by `podman exec --user 65534`";
    assert!(text.contains(expected) && status == 1, "{text}");
}

#[test]
fn a_monitor_of_another_version_is_recognised() {
    let rows = [
        (
            "HTTP/1.0 200 OK\r\n\r\n{\"apiVersion\": \"ncolony/v9\", \"items\": []}",
            "it says \"ncolony/v9\", and this is \"ncolony/v1\"",
        ),
        (
            "HTTP/1.0 404 Not Found\r\n\r\n{\"reason\": \"UnknownPath\", \"message\": \"this monitor, ncolony 9.0, knows no path \\\"/v1/processes\\\"\"}",
            "ncolony 9.0, knows no path",
        ),
        ("HTTP/1.0 418 I'm a teapot\r\n\r\nshort and stout", "it answers otherwise than version 1"),
    ];
    for (answer, expected) in rows {
        let dir = tempfile::tempdir().expect("a directory");
        imposter(dir.path(), answer.to_string());
        let (text, status) = run(ctl(dir.path(), &["get"]));
        assert!(text.starts_with("error: the monitor is of another version: ") && text.contains(expected), "{text}");
        assert!(text.contains("use the ncolony that the monitor was started from") && status == 1, "{text}");
    }
    for answer in ["", "HTTP/1.0 200 OK\r\n\r\n{\"apiVersion\": \"ncol", "garbage\r\n\r\n"] {
        let dir = tempfile::tempdir().expect("a directory");
        imposter(dir.path(), answer.to_string());
        let (text, status) = run(ctl(dir.path(), &["get"]));
        assert_eq!(
            (text.as_str(), status),
            ("error: the monitor has ended, or closed the connection\n", 1),
            "{answer:?}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let script: String = "while :; do echo line; done".into();
    let colony = Colony::with(&[("web", &serde_json::json!({"args": ["sh", "-c", script]}).to_string())]);
    ready(&colony, "web");
    for words in [&["logs", "-f", "web"][..], &["get", "-w", "-o", "json"], &["get", "-o", "json"], &["events", "-w"]] {
        let mut command = ctl(&colony.path("messages"), words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        drop(child.stdout.take());
        // Something that changes, for whoever watches.
        colony.message("hup", r#"{"type": "RESTART", "name": "web"}"#);
        let output = child.wait_with_output().expect("our child");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        assert!(output.status.success(), "{words:?}");
    }
}

#[test]
fn who_prints_to_head_ends_well_whatever_the_verb() {
    let colony = Colony::with(&[("web", r#"{"args": ["sh", "-c", "seq 2000; exec sleep 1000"]}"#)]);
    colony.wait_stdout("2000");
    ready(&colony, "web");
    for words in [&["get"][..], &["describe"], &["events"], &["top"], &["why", "web"], &["logs", "web"]] {
        let mut command = ctl(&colony.path("messages"), words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("our child");
        assert_eq!(
            (String::from_utf8_lossy(&output.stderr).as_ref(), output.status.code()),
            ("", Some(0)),
            "{words:?}"
        );
    }
}

#[test]
fn a_name_that_needs_quoting_is_known_to_every_verb() {
    let name = r#"-a "b" %41?#&\ 'c'"#;
    let file = r#"{"args": ["sh", "-c", "echo said; exec sleep 1000"]}"#;
    let colony = Colony::with(&[(name, file)]);
    colony.wait_stdout("said");
    let rows: [(&[&str], String); 7] = [
        (&["wait", "--for=condition=Ready", "--", name], format!("process/{name} condition met\n")),
        (&["get", "-o", "name", "--", name], format!("process/{name}\n")),
        (&["get", "-o", "jsonpath={.metadata.name}", &format!("process/{name}")], name.to_string()),
        (&["logs", "--", name], "said\n".to_string()),
        (&["why", "--", name], format!("{name} is ready")),
        (&["describe", "--", name], format!("Name:             {name}\n")),
        (&["events", "--no-headers", "--", name], format!("process/{name}   it is new\n")),
    ];
    for (words, expected) in rows {
        let (text, status) = show(&colony, words);
        assert!(text.contains(&expected) && status == 0, "{words:?}: {text}");
    }
    // One that is followed, and goes.
    let mut going = Going::start(ctl(&colony.path("messages"), &["logs", "-f", "--", name]));
    let mut lines = going.lines();
    assert_eq!(lines.next().as_deref(), Some("said"));
    colony.remove(name);
    assert_eq!(lines.next(), None);
    let mut said = String::new();
    going.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(said, format!("process {name:?} is gone\n"));
}

#[test]
fn five_thousand_processes_are_shown() {
    let setup = Setup::new().file("many.yaml", "args: [sleep, '1000']\nreplicas: 1000\nsuspend: true\n");
    let setup = (1..5).fold(setup, |setup, n| {
        setup.file(&format!("many{n}.yaml"), "args: [sleep, '1000']\nreplicas: 1000\nsuspend: true\n")
    });
    let colony = setup.start();
    let (text, status) = colony.wait("all of them", || {
        let (text, status) = show(&colony, &["get", "--no-headers"]);
        (text.lines().count() == 5000).then_some((text, status))
    });
    assert_eq!(status, 0);
    assert!(text.lines().all(|line| line.contains("Suspended")));
    assert_eq!(show(&colony, &["get", "many4-999", "-o", "name"]).0, "process/many4-999\n");
}
