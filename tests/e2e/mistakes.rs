//! What a new user does wrong, and is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Setup, can, wait_for, wait_gone, write_file};

/// What the binary says to a command line that it does not run on.
fn ncolony(line: &[&str]) -> (Option<i32>, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_ncolony"))
        .args(line)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn one_directory_for_two_purposes_is_refused_before_anything_in_it_is_harmed() {
    let setup = Setup::new().file("web", r#"{"args": ["sleep", "1000"]}"#);
    let (config, messages) = (setup.path("config"), setup.path("messages"));
    let link = setup.path("link");
    std::os::unix::fs::symlink(&config, &link).expect("a link");
    let (config, messages, link) = (text(&config), text(&messages), text(&link));
    for (flags, complaint) in [
        (vec!["--messages", link], "--config and --messages are one directory"),
        (vec!["--messages", messages, "--pid", link], "--config and --pid are one directory"),
        (vec!["--messages", messages, "--pid", messages], "--messages and --pid are one directory"),
        (vec!["--messages", messages, "--state", config], "--config and --state are one directory"),
        (vec!["--messages", messages, "--state", messages], "--messages and --state are one directory"),
    ] {
        let line = [&["run", "--listen", "off", "--config", config], &flags[..]].concat();
        let (code, told) = ncolony(&line);
        assert_eq!(code, Some(78), "{told}");
        assert!(told.contains(complaint), "{told}");
        let files = fs::read_dir(config).expect("a directory").count();
        assert_eq!((files, fs::read_dir(messages).expect("a directory").count()), (1, 0), "{flags:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let setup = Setup::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (config, messages) = (setup.path("config"), setup.path("messages"));
    let (code, told) =
        ncolony(&["run", "--listen", &address, "--config", text(&config), "--messages", text(&messages)]);
    assert_eq!(code, Some(78), "{told}");
    assert!(told.contains(&format!("cannot listen on {address}")), "{told}");
    assert!(told.contains("Address already in use"), "{told}");
}

#[test]
fn users_names_for_numbers_are_told_that_they_are_not_looked_up() {
    for line in [
        vec!["run", "--trusted-uid", "www"],
        vec!["ctl", "add", "web", "--cmd", "true", "--uid", "www"],
        vec!["ctl", "add", "web", "--cmd", "true", "--gid", "-1"],
    ] {
        let (code, told) = ncolony(&line);
        assert_eq!(code, Some(2), "{line:?}: {told}");
    }
    let (_, told) = ncolony(&["run", "--trusted-uid", "www"]);
    assert!(told.contains("expected a number from 0 to 4294967294; names are not looked up"), "{told}");
}

#[test]
fn flags_in_the_environment_are_switched_on_with_1() {
    let setup = Setup::new().env("NCOLONY_RUN_NO_WATCH", "1").env("NCOLONY_RUN_INSECURE_CONFIG", "no");
    let colony = setup.start();
    assert_eq!(colony.metric("ncolony_watch_active"), Some(0.0), "{}", colony.get("/metrics").1);
}

// An image without the two default directories.
#[test]
fn directories_that_are_missing_at_the_start_are_told_made_where_they_are_ours_and_waited_for() {
    let setup = Setup::new();
    let pids = setup.path("run/pids");
    let setup = setup.flags(&["--pid", text(&pids)]);
    let (config, messages) = (setup.path("config"), setup.path("messages"));
    fs::remove_dir(&config).expect("empty");
    fs::remove_dir(&messages).expect("empty");
    let colony = setup.start();
    colony.wait_log(&format!("made {}, for --messages", messages.display()));
    colony.wait_log(&format!("made {}, for --pid", pids.display()));
    colony.wait_log(&format!(
        "cannot open {}: No such file or directory; nothing is started until it can be read (see --config)",
        config.display()
    ));
    assert!(!config.exists(), "a misspelt --config must not look like an empty colony");
    assert_eq!(colony.get("/healthz").0, 503);
    assert_eq!(colony.get("/livez").0, 200);

    fs::create_dir(&config).expect("a directory");
    colony.write("web", r#"{"args": ["sleep", "1000"]}"#);
    let pid = colony.wait_pid("web", None);
    wait_for("the pid file", || (fs::read_to_string(pids.join("web")).ok()? == pid.to_string()).then_some(()));
    wait_for("health", || (colony.get("/healthz").0 == 200).then_some(()));
}

#[test]
fn a_messages_directory_that_cannot_be_used_is_told_once_and_its_return_too() {
    let setup = Setup::new().file("web", r#"{"args": ["sleep", "1000"]}"#);
    let state = setup.path("state");
    let colony = setup.flags(&["--frequency", "0.1", "--state", text(&state)]).start();
    let first = colony.wait_pid("web", None);
    let messages = colony.path("messages");
    let away = colony.path("away");
    fs::rename(&messages, &away).expect("a rename");
    let complaint = format!(
        "cannot open {}: No such file or directory; messages and `ctl get` and its like need a directory with room that the monitor can write: in a pod a volume, such as an emptyDir (see --messages)",
        messages.display()
    );
    colony.wait_log(&complaint);
    let scans = r#"ncolony_config_scans_total{trigger="poll"}"#;
    let then = colony.metric(scans).unwrap_or(0.0);
    colony.wait_metric(scans, |n| n >= then + 3.0);
    assert_eq!(colony.log().matches(&complaint).count(), 1, "{}", colony.log());
    fs::rename(&away, &messages).expect("a rename");
    colony.wait_log("messages can be taken again");
    colony.message("1", r#"{"type": "RESTART", "name": "web"}"#);
    colony.wait_pid("web", Some(first));
}

#[test]
fn a_restart_of_a_process_whose_file_is_refused_says_that_it_is_refused() {
    let setup = Setup::new().file("web", r#"{"arsg": ["sleep", "1000"]}"#);
    let colony = setup.start();
    colony.wait_log("web is not started until this is mended");
    colony.message("1", r#"{"type": "RESTART", "name": "web"}"#);
    colony.wait_log("message 1 was refused: web does not run, since its file is refused");
}

#[test]
fn a_pid_file_that_cannot_be_written_is_told_once_not_at_each_start() {
    let setup =
        Setup::new().file("web", r#"{"args": ["true"], "backoff": {"initialSeconds": 0.01, "maxSeconds": 0.01}}"#);
    let pids = setup.path("pids");
    fs::create_dir_all(pids.join("web/in the way")).expect("a directory");
    let colony = setup.flags(&["--pid", text(&pids)]).start();
    colony.wait_log("cannot write");
    let starts = r#"ncolony_process_starts_total{process="web"}"#;
    let then = colony.metric(starts).unwrap_or(0.0);
    colony.wait_metric(starts, |n| n > then + 3.0);
    assert_eq!(colony.log().matches("cannot write").count(), 1, "{}", colony.log());
}

// C10
#[test]
fn a_link_to_nothing_is_told_by_the_monitor_and_by_check() {
    let setup = Setup::new().file("web", r#"{"args": ["sleep", "1000"]}"#);
    let config = setup.path("config");
    std::os::unix::fs::symlink("nowhere", config.join("lost")).expect("a link");
    let colony = setup.flags(&["--frequency", "0.1"]).start();
    colony.wait_log("\"lost\" is passed over: it is a link to nothing");
    let output = Command::new(env!("CARGO_BIN_EXE_ncolony")).arg("check").arg(&config).output().expect("check");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("\"lost\" is passed over: it is a link to nothing"), "{told}");
    // It leads somewhere after all.
    write_file(&config, "nowhere", r#"{"args": ["sleep", "1001"]}"#);
    let pid = colony.wait_pid("lost", None);
    fs::remove_file(config.join("lost")).expect("it is there");
    wait_gone(pid);
}

// L01
#[test]
fn a_program_that_is_not_found_names_the_path_that_was_searched() {
    let colony = Setup::new()
        .env("PATH", "/usr/bin:/bin:/of/the/monitor")
        .file("inherits", r#"{"args": ["no-such-program"], "env_inherit": ["PATH"]}"#)
        .file("bare", r#"{"args": ["no-such-program"]}"#)
        .start();
    let told = |name: &str, path: &str| {
        colony.wait_log(&format!("cannot start {name}: program \"no-such-program\" not found in PATH {path} (ENOENT)"));
    };
    told("inherits", "/usr/bin:/bin:/of/the/monitor");
    told("bare", "/bin:/usr/bin:/usr/bin:/bin:/of/the/monitor");
}

// On today's Twisted the original looks it up there: in many an image python is in /usr/local/bin.
#[test]
fn a_program_that_only_the_monitors_path_has_is_found_by_a_process_without_one() {
    let setup = Setup::new().file("web", r#"{"args": ["only-here"]}"#);
    let bin = setup.path("bin");
    fs::create_dir(&bin).expect("a directory");
    let program = bin.join("only-here");
    fs::write(&program, "#!/bin/sh\necho \"found, PATH=$PATH\"\nexec sleep 1000\n").expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("chmod");
    let colony = setup.env("PATH", &format!("/usr/bin:/bin:{}", bin.display())).start();
    colony.wait_pid("web", None);
    colony.wait("its word", || colony.stdout().contains("[web] found").then_some(()));
    assert!(!colony.stdout().contains(text(&bin)), "the variable itself is not inherited: {}", colony.stdout());
}

#[test]
fn what_a_container_gives_the_monitor_by_its_environment_is_found_by_ctl_and_check() {
    let colony = Setup::new().file("web", r#"{"args": ["sleep", "1000"]}"#).start();
    colony.wait_pid("web", None);
    let (config, messages) = (colony.path("config"), colony.path("messages"));
    let run = |config: &Path, line: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
        command.env("NCOLONY_RUN_CONFIG", config).env("NCOLONY_RUN_MESSAGES", &messages);
        let output = command.args(line).output().expect("the binary starts");
        let [out, told] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{line:?}: {told}");
        out
    };
    assert_eq!(run(&config, &["ctl", "get", "-o", "name"]), "process/web\n");
    assert_eq!(run(&config, &["ctl", "restart", "web"]), "process/web restart requested\n");
    assert_eq!(run(&config, &["check"]), "1 process file is good\n");
    assert!(run(&config, &["__complete", "bash", "--", "ctl", "stop", ""]).starts_with("web\n"));
    let nowhere = Path::new("/nowhere");
    let told = run(nowhere, &["ctl", "stop", "web", "--config", text(&config)]);
    assert_eq!(told, "process/web stop requested\n", "a flag counts for more");
}

// Who sends messages commands what root runs: a volume as a kubelet makes it is everybody's.
#[test]
fn a_messages_directory_of_everybodys_is_roots_alone_once_root_has_begun_there() {
    if !can("root", nix::unistd::Uid::effective().is_root()) {
        return;
    }
    let rows: [(u32, &[&str], u32, &str); 5] = [
        (0o777, &[], 0o755, "now it is root's alone"),
        (0o2777, &[], 0o2755, "now it is root's alone"),
        (0o1777, &[], 0o1777, "\"chmod go-w\" it"),
        (0o775, &[], 0o775, ""),
        (0o777, &["--insecure-config"], 0o777, ""),
    ];
    for (before, flags, after, said) in rows {
        let setup = Setup::new().flags(flags);
        fs::set_permissions(setup.path("messages"), fs::Permissions::from_mode(before)).expect("ours");
        let colony = setup.start();
        colony.wait_log("status page");
        let mode = fs::metadata(colony.path("messages")).expect("it is there").permissions().mode();
        let told: String = colony.log().lines().filter(|line| line.contains("command what root runs")).collect();
        assert_eq!(mode & 0o7777, after, "{before:o} {flags:?}: {told}");
        assert!(told.contains(said) && told.is_empty() == said.is_empty(), "{before:o} {flags:?}: {told}");
    }
}
