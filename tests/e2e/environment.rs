//! The environment of a process, read in the process itself: values, files, references, and what is inherited.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::json;

use crate::support::{Colony, Setup, send, series, sleeper};

/// What a process was given, less the variables that tell about it.
fn environ(pid: i32) -> BTreeMap<String, String> {
    let environ = crate::support::environ(pid);
    let pairs = environ.split_terminator('\0').filter_map(|pair| pair.split_once('='));
    let ours = ["NCOLONY_NAME", "NCOLONY_CONFIG", "NCOLONY_RUN"];
    pairs.filter(|(name, _)| !ours.contains(name)).map(|(name, value)| (name.into(), value.into())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn values_come_from_the_process_file_from_files_and_from_the_monitor() {
    let setup = Setup::new();
    let (secret, lines) = (setup.path("secret"), setup.path("lines"));
    fs::write(&secret, "s3cret\n").expect("writable");
    fs::write(&lines, "# a comment\nPORT=80\nQUOTED=\"x y\"\n").expect("writable");
    let spec = json!({
        "command": ["sleep"],
        "args": ["1000"],
        "env": [
            {"name": "TOKEN", "valueFrom": {"file": secret}},
            {"name": "MAYBE", "valueFrom": {"file": setup.path("missing"), "optional": true}},
            {"name": "URL", "value": "http://$(HOST):$(W_PORT)/$(NCOLONY_NAME)?$(TOKEN)&$$(HOST)&$(UNKNOWN)"},
            {"name": "PATH", "value": "/opt/bin:$(PATH)"},
        ],
        "envFrom": [{"file": lines, "prefix": "W_"}, {"file": setup.path("missing"), "optional": true}],
        "envInherit": ["HOST", "MY_*", "PATH*", "NOTHING_*", "UNSET"],
    });
    let mut setup = setup.file("web", &spec.to_string());
    let monitors = [("HOST", "h"), ("MY_A", "1"), ("MY_B", "2"), ("OTHER", "3"), ("PATH", "/usr/bin:/bin")];
    for (name, value) in monitors {
        setup = setup.env(name, value);
    }
    let colony = setup.start();
    let expected = [
        ("HOST", "h"),
        ("MY_A", "1"),
        ("MY_B", "2"),
        ("PATH", "/opt/bin:/usr/bin:/bin"),
        ("TOKEN", "s3cret"),
        ("UNSET", ""),
        ("URL", "http://h:80/web?s3cret&$(HOST)&$(UNKNOWN)"),
        ("W_PORT", "80"),
        ("W_QUOTED", "\"x y\""),
    ];
    assert_eq!(environ(colony.wait_pid("web", None)), pairs(&expected));
}

#[test]
fn a_star_inherits_all_but_what_is_about_the_monitor() {
    let spec = json!({"args": ["sleep", "1000"], "env_inherit": ["*"], "env": {"MINE": "the file's"}}).to_string();
    let mut setup = Setup::new().file("web", &spec);
    for (name, value) in [
        ("MINE", "the monitor's"),
        ("THEIRS", "x"),
        ("NOTIFY_SOCKET", "/nowhere"),
        ("LISTEN_FDS", "1"),
        ("NCOLONY_RUN_KILLTIME", "7"),
    ] {
        setup = setup.env(name, value);
    }
    let colony = setup.start();
    let found = environ(colony.wait_pid("web", None));
    assert_eq!((found["MINE"].as_str(), found["THEIRS"].as_str()), ("the file's", "x"));
    for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "NCOLONY_RUN_KILLTIME"] {
        assert!(!found.contains_key(name), "{found:?}");
    }
}

#[test]
fn a_file_is_read_at_each_start_and_one_that_is_missing_is_waited_for() {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05"]);
    let secret = setup.path("secret");
    let env = json!([{"name": "TOKEN", "valueFrom": {"file": secret}}]);
    let colony = setup.file("web", &json!({"args": ["sleep", "1000"], "env": env}).to_string()).start();
    let expected =
        format!("cannot start web: cannot take its env.TOKEN from {}: there is no such file", secret.display());
    colony.wait_log(&expected);
    assert_eq!(colony.metric(&series("starts_total", "web")), Some(0.0));
    fs::write(&secret, "first").expect("writable");
    let first = colony.wait_pid("web", None);
    assert_eq!(environ(first), pairs(&[("TOKEN", "first")]));
    fs::write(&secret, "second").expect("writable");
    send(first, Signal::SIGKILL);
    assert_eq!(environ(colony.wait_pid("web", Some(first))), pairs(&[("TOKEN", "second")]));
}

#[test]
fn a_file_that_cannot_be_taken_is_named_with_its_line_and_nobody_waits_for_it() {
    let setup = Setup::new();
    let path = |name: &str| setup.path(name).display().to_string();
    nix::unistd::mkfifo(&setup.path("fifo"), Mode::S_IRWXU).expect("a FIFO");
    fs::write(setup.path("line"), "A=1\nexport B=2\n").expect("writable");
    fs::write(setup.path("value"), "x".repeat(200_000)).expect("writable");
    fs::write(setup.path("large"), "x".repeat(1024 * 1024 + 1)).expect("writable");
    let from = |name: &str| json!({"args": ["sleep", "1000"], "envFrom": [{"file": path(name)}]}).to_string();
    let value = |name: &str| {
        let env = json!([{"name": "A", "valueFrom": {"file": path(name)}}]);
        json!({"args": ["sleep", "1000"], "env": env}).to_string()
    };
    let rows = [
        ("a", from("fifo"), format!("cannot take its envFrom from {}: it is a FIFO, not a regular file", path("fifo"))),
        (
            "b",
            from("line"),
            format!("cannot take its envFrom from {}:2: a variable's name holds no blank", path("line")),
        ),
        (
            "c",
            value("value"),
            "the variable A is longer than the kernel's limit of 131072 bytes (MAX_ARG_STRLEN)".into(),
        ),
        ("d", value("large"), format!("cannot take its env.A from {}: it is larger than 1048576 bytes", path("large"))),
        (
            "e",
            value("config"),
            format!("cannot take its env.A from {}: it is a directory, not a regular file", path("config")),
        ),
    ];
    let files: Vec<(&str, &str)> = rows.iter().map(|(name, spec, _)| (*name, spec.as_str())).collect();
    let setup = files.iter().fold(setup, |setup, (name, spec)| setup.file(name, spec));
    let colony: Colony = setup.file("plain", &sleeper()).start();
    colony.wait_pid("plain", None);
    for (name, _, why) in &rows {
        colony.wait_log(&format!("cannot start {name}: {why}"));
        assert_eq!(colony.metric(&series("starts_total", name)), Some(0.0), "{name}");
    }
    assert!(!colony.log().contains("export B"), "no line of a file is shown");
}

#[test]
fn a_hook_has_the_environment_of_its_process_and_no_references_of_its_own() {
    let setup = Setup::new();
    let told = setup.path("told");
    let script = format!("echo '$(A)' \"$B\" '$$' > {}.new; mv {0}.new {0}", told.display());
    let spec = json!({
        "command": ["sleep", "1000"],
        "env": {"A": "1", "B": "<$(A)>"},
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", script]}}},
    });
    let colony = setup.file("web", &spec.to_string()).start();
    colony.wait_pid("web", None);
    colony.remove("web");
    let text = colony.wait("the hook", || fs::read_to_string(&told).ok());
    assert_eq!(text, "$(A) <1> $$\n");
}
