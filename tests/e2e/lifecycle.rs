//! How processes begin, seen from outside: what a start that fails says, when the next one comes, what an edit does.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Colony, Setup, lives, send, series, sh, sleeper, stop_and_wait, wait_gone};

#[test]
fn a_process_that_is_killed_is_started_again() {
    let colony = Colony::with(&[("web", &sleeper())]);
    let first = colony.wait_pid("web", None);
    send(first, Signal::SIGKILL);
    colony.wait_pid("web", Some(first));
    colony.wait_metric(r#"ncolony_process_exits_total{process="web",reason="signal"}"#, |n| n == 1.0);
}

#[test]
fn a_file_that_goes_takes_its_process_along() {
    let colony = Colony::with(&[("web", &sleeper())]);
    let pid = colony.wait_pid("web", None);
    colony.remove("web");
    wait_gone(pid);
    colony.wait_log("web is gone");
}

// L01, S07
#[test]
fn a_start_that_fails_names_the_step_the_errno_and_the_path() {
    let setup = Setup::new().env("PATH", "/nowhere");
    let dir = setup.path("d");
    fs::create_dir(&dir).expect("a directory");
    write_program(&setup, "d/text", "no first line\n", 0o755);
    write_program(&setup, "d/plain", "#!/bin/sh\n", 0o644);
    write_program(&setup, "d/torn", "#!/no/such/interpreter\n", 0o755);
    symlink("loop", dir.join("loop")).expect("a link");
    let d = dir.display();
    let rows = [
        ("a1", json!({"args": ["/no/such"]}), r#"program "/no/such" not found (ENOENT)"#.to_string()),
        (
            "a2",
            json!({"args": ["nosuch"]}),
            r#"program "nosuch" not found in PATH /bin:/usr/bin:/nowhere (ENOENT)"#.into(),
        ),
        (
            "b1",
            json!({"args": ["sleep", "9"], "workingDir": "/no/dir"}),
            "cannot enter its working directory /no/dir: No such file or directory (ENOENT)".into(),
        ),
        (
            "b2",
            json!({"args": ["sleep", "9"], "workingDir": "/etc/passwd"}),
            "cannot enter its working directory /etc/passwd: Not a directory (ENOTDIR)".into(),
        ),
        (
            "c1",
            json!({"args": [format!("{d}/plain")]}),
            format!(r#"cannot execute "{d}/plain": Permission denied (EACCES)"#),
        ),
        ("c2", json!({"args": ["/tmp"]}), r#"cannot execute "/tmp": Permission denied (EACCES)"#.into()),
        (
            "c3",
            json!({"args": [format!("{d}/text")]}),
            format!(r#"cannot execute "{d}/text": Exec format error (ENOEXEC)"#),
        ),
        (
            "c4",
            json!({"args": [format!("{d}/loop")]}),
            format!(r#"cannot execute "{d}/loop": Too many symbolic links encountered (ELOOP)"#),
        ),
        (
            "c5",
            json!({"args": ["/etc/passwd/x"]}),
            r#"cannot execute "/etc/passwd/x": Not a directory (ENOTDIR)"#.into(),
        ),
        (
            "d1",
            json!({"args": [format!("{d}/torn")]}),
            format!(r#"cannot execute "{d}/torn": the interpreter that it names does not exist (ENOENT)"#),
        ),
        (
            "e1",
            json!({"args": ["sleep", "9"], "uid": 47_114_711}),
            "user 47114711 is not in the user database, so its group is unknown; set gid, too".into(),
        ),
    ];
    let colony = rows.iter().fold(setup, |setup, (name, spec, _)| setup.file(name, &spec.to_string())).start();
    for (name, _, expected) in &rows {
        colony.wait_log(&format!("cannot start {name}: {expected}"));
        colony.wait_metric(&series("start_failures_total", name), |n| n >= 1.0);
    }
    for (name, ..) in &rows {
        assert_eq!(colony.metric(&series("starts_total", name)), Some(0.0), "{name}");
    }
}

// L01
#[test]
fn a_missing_interpreter_is_told_from_a_missing_program_wherever_the_program_was_found() {
    let setup = Setup::new();
    fs::create_dir(setup.path("d")).expect("a directory");
    write_program(&setup, "d/torn", "#!/no/such/interpreter\n", 0o755);
    let dir = setup.path("d").display().to_string();
    let colony = setup
        .file("searched", &json!({"args": ["torn"], "env": {"PATH": format!("/nowhere:{dir}")}}).to_string())
        .file("relative", &json!({"args": ["./torn"], "workingDir": dir}).to_string())
        .start();
    colony.wait_log(r#"cannot start searched: cannot execute "torn": the interpreter that it names does not exist"#);
    colony.wait_log(r#"cannot start relative: cannot execute "./torn": the interpreter that it names does not exist"#);
}

// L01
#[test]
fn the_path_that_was_searched_is_the_one_that_is_named_though_it_be_inherited() {
    let colony = Setup::new()
        .env("PATH", "/opt/nowhere/bin:/usr/bin:/bin")
        .file("web", &json!({"args": ["nosuch"], "env_inherit": ["PATH"]}).to_string())
        .start();
    colony.wait_log(r#"program "nosuch" not found in PATH /opt/nowhere/bin:/usr/bin:/bin"#);
}

// L01
#[test]
fn a_program_or_directory_that_appears_is_used_without_being_asked() {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05", "--maxrestartdelay", "0.2"]);
    let (program, dir) = (setup.path("program"), setup.path("dir"));
    let colony = setup
        .file("program", &json!({"args": [&program]}).to_string())
        .file("dir", &json!({"args": ["sleep", "1000"], "workingDir": &dir}).to_string())
        .start();
    colony.wait_log("cannot start program: ");
    colony.wait_log("cannot start dir: ");
    symlink("/bin/yes", &program).expect("a link");
    fs::create_dir(&dir).expect("a directory");
    colony.wait_pid("program", None);
    assert_eq!(fs::read_link(format!("/proc/{}/cwd", colony.wait_pid("dir", None))).expect("it lives"), dir);
    // While it is not mended the same failure is told once.
    assert_eq!(colony.log().matches("cannot start program: ").count(), 1);
}

// L02
#[test]
fn an_argument_longer_than_the_kernel_takes_is_refused_when_the_file_is_read() {
    let colony = Colony::with(&[("long", &json!({"args": ["echo", "x".repeat(200_000)]}).to_string())]);
    colony.wait_log("longer than the kernel's limit of 131072 bytes");
    colony.wait_metric("ncolony_config_file_errors", |n| n == 1.0);
}

// L02: what is inherited is not known when the file is read.
#[test]
fn an_inherited_variable_longer_than_the_kernel_takes_is_a_start_error_with_its_errno() {
    let colony = Setup::new()
        .env("BIG", &"x".repeat(131_000))
        .through(&["sh", "-c", r#"ulimit -s 1024; exec "$0" "$@""#])
        .file("big", &json!({"args": ["sleep", "1000", "x".repeat(120_000)], "env_inherit": ["BIG"]}).to_string())
        .file("small", &sleeper())
        .start();
    colony.wait_log(r#"cannot start big: cannot execute "sleep": Argument list too long (E2BIG)"#);
    colony.wait_pid("small", None);
}

// L03
#[test]
fn a_program_that_is_being_written_is_started_when_that_is_done() {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05"]);
    let program = setup.path("program");
    fs::copy("/bin/sleep", &program).expect("a program");
    let writer = File::options().append(true).open(&program).expect("writable");
    let colony = setup.file("web", &json!({"args": [&program, "1000"]}).to_string()).start();
    colony.wait_log("Text file busy (ETXTBSY)");
    drop(writer);
    colony.wait_pid("web", None);
}

// L04
#[test]
fn the_wait_doubles_from_failure_to_failure_up_to_its_longest() {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.1", "--maxrestartdelay", "0.4"]);
    let times = setup.path("times");
    let colony = setup
        .file("web", &sh(&format!("read up rest < /proc/uptime; echo $up >> {}; exit 1", times.display())))
        .start();
    let begun = colony.wait("six runs", || {
        let text = fs::read_to_string(&times).unwrap_or_default();
        let begun: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (begun.len() >= 6).then_some(begun)
    });
    for (pair, least) in begun.windows(2).zip([0.1, 0.2, 0.4, 0.4, 0.4]) {
        // The uptime is in hundredths.
        assert!(pair[1] - pair[0] >= least - 0.011, "{begun:?}");
    }
    assert!(begun[5] - begun[0] < 20.0, "the longest wait is 0.4 s: {begun:?}");
    assert_eq!(colony.metric(&series("restart_delay_seconds", "web")), Some(0.4));
}

// L16
#[test]
fn an_edit_ends_the_wait_after_failures() {
    let colony = Setup::new().flags(&["--minrestartdelay", "300"]).file("web", &sh("exit 1")).start();
    colony.wait_metric(&series("starts_total", "web"), |n| n == 1.0);
    colony.write("web", &sleeper());
    colony.wait_metric(&series("up", "web"), |up| up == 1.0);
}

// L16
#[test]
fn what_is_written_while_the_old_run_ends_is_what_runs_next_and_alone() {
    let script = r#"trap "" TERM; echo ready; while :; do sleep 0.05; done"#;
    let setup = Setup::new().flags(&["--killtime", "1"]).file("web", &sh(script));
    let colony = setup.start();
    colony.wait_stdout("[web] ready");
    let first = colony.wait_pid("web", None);
    colony.write("web", &json!({"args": ["sleep", "1001"]}).to_string());
    colony.wait_log("SIGTERM to the main process of web: its file changed");
    colony.write("web", &json!({"args": ["sleep", "1002"]}).to_string());
    let second = colony.wait_pid("web", Some(first));
    assert!(!lives(first), "two lives of one process at once");
    assert_eq!(fs::read(format!("/proc/{second}/cmdline")).expect("it lives"), b"sleep\x001002\0");
    assert_eq!(colony.metric(&series("starts_total", "web")), Some(2.0));
}

// L16
#[test]
fn a_file_that_comes_back_while_its_process_ends_starts_it_again() {
    let script = r#"trap "" TERM; echo ready; while :; do sleep 0.05; done"#;
    let colony = Setup::new().flags(&["--killtime", "1"]).file("web", &sh(script)).start();
    colony.wait_stdout("[web] ready");
    let first = colony.wait_pid("web", None);
    colony.remove("web");
    colony.wait_log("SIGTERM to the main process of web: its file was removed");
    colony.write("web", &sleeper());
    let second = colony.wait_pid("web", Some(first));
    assert!(!lives(first) && lives(second));
}

// L17
#[test]
fn an_edit_of_one_leaves_the_ninety_nine_others_alone() {
    let names: Vec<String> = (0..100).map(|n| format!("p{n:02}")).collect();
    let colony = names.iter().fold(Setup::new(), |setup, name| setup.file(name, &sleeper())).start();
    let before: Vec<i32> = names.iter().map(|name| colony.wait_pid(name, None)).collect();
    colony.write("p42", &json!({"args": ["sleep", "2000"]}).to_string());
    colony.wait_pid("p42", Some(before[42]));
    let after: Vec<i32> = names.iter().map(|name| colony.wait_pid(name, None)).collect();
    let changed: Vec<usize> = (0..100).filter(|n| before[*n] != after[*n]).collect();
    assert_eq!(changed, [42]);
    assert!(after.iter().all(|pid| lives(*pid)));
}

// L22
#[test]
fn an_exit_a_message_and_an_edit_at_once_are_one_restart() {
    let colony = Setup::new().flags(&["--threshold", "0", "--frequency", "0.2"]).file("web", &sleeper()).start();
    let first = colony.wait_pid("web", None);
    stop_and_wait(colony.pid());
    let stopped = std::time::Instant::now();
    send(first, Signal::SIGKILL);
    colony.write("web", &json!({"args": ["sleep", "2000"]}).to_string());
    for n in 0..5 {
        colony.message(&format!("m{n}"), r#"{"type": "RESTART", "name": "web"}"#);
        colony.message(&format!("n{n}"), r#"{"type": "RESTART-ALL"}"#);
    }
    // Until a tick is due, so that one turn hears of all: inotify's thread may be later than the exit.
    colony.wait("a tick to be due", || (stopped.elapsed().as_millis() > 400).then_some(()));
    colony.signal(Signal::SIGCONT);
    colony.wait("the messages to be taken", || colony.messages_left().is_empty().then_some(()));
    let second = colony.wait_pid("web", Some(first));
    // Two ticks on, nothing has followed.
    let scans = colony.metric("ncolony_reconcile_duration_seconds_count").unwrap_or(0.0);
    colony.wait_metric("ncolony_reconcile_duration_seconds_count", |n| n >= scans + 4.0);
    assert_eq!(colony.wait_pid("web", None), second);
    assert_eq!(colony.metric(&series("starts_total", "web")), Some(2.0), "{}", colony.log());
}

// L22: neither the watch nor a tick tells of them; the exit alone does.
#[test]
fn a_message_and_an_edit_that_came_before_an_exit_are_one_restart_with_it() {
    let flags = ["--threshold", "0", "--frequency", "1000", "--no-watch"];
    let colony = Setup::new().flags(&flags).file("web", &sleeper()).start();
    let first = colony.wait_pid("web", None);
    wait_for_another_time_stamp(&colony);
    colony.write("web", &json!({"args": ["sleep", "2000"]}).to_string());
    colony.message("one", r#"{"type": "RESTART", "name": "web"}"#);
    colony.message("all", r#"{"type": "RESTART-ALL"}"#);
    send(first, Signal::SIGKILL);
    let second = colony.wait_pid("web", Some(first));
    assert_eq!(fs::read(format!("/proc/{second}/cmdline")).expect("it lives"), b"sleep\x002000\0");
    for message in ["one", "all"] {
        assert!(!colony.path("messages").join(message).exists(), "{}", colony.log());
    }
    // After another look nothing has followed.
    colony.signal(Signal::SIGHUP);
    colony.wait_metric(r#"ncolony_config_scans_total{trigger="signal"}"#, |scans| scans >= 1.0);
    assert_eq!(colony.wait_pid("web", None), second);
    assert_eq!(colony.metric(&series("starts_total", "web")), Some(2.0), "{}", colony.log());
}

/// Time stamps of files are coarse: waits until a file that is written now bears another one than the directories.
fn wait_for_another_time_stamp(colony: &Colony) {
    let written = |path: std::path::PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).expect("it is there");
    let before = written(colony.path("config")).max(written(colony.path("messages")));
    colony.wait("the file system's clock", || {
        fs::write(colony.path("probe"), "").expect("writable");
        (written(colony.path("probe")) > before).then_some(())
    });
}

// L22: sixty-four files are read in a turn.
#[test]
fn requests_that_come_at_once_are_one_restart_however_many_turns_reading_them_takes() {
    let colony = Colony::with(&[("web", &sleeper()), ("db", &sleeper())]);
    let first = ["web", "db"].map(|name| colony.wait_pid(name, None));
    colony.freeze();
    for n in 0..300 {
        let one = json!({"type": "RESTART", "name": if n % 2 == 0 { "web" } else { "db" }});
        let text = if n % 3 == 0 { r#"{"type": "RESTART-ALL"}"#.to_string() } else { one.to_string() };
        colony.message(&format!("m{n:03}"), &text);
    }
    colony.signal(Signal::SIGCONT);
    for (name, first) in ["web", "db"].into_iter().zip(first) {
        colony.wait_pid(name, Some(first));
    }
    colony.wait("the messages to be taken", || colony.messages_left().is_empty().then_some(()));
    colony.wait_ticks(2);
    for name in ["web", "db"] {
        assert_eq!(colony.metric(&series("starts_total", name)), Some(2.0), "{name}: {}", colony.log());
    }
    // What comes after that is another restart.
    let second = colony.wait_pid("web", None);
    colony.message("next", r#"{"type": "RESTART", "name": "web"}"#);
    colony.wait_pid("web", Some(second));
}

// L15
#[test]
fn a_process_that_puts_itself_in_the_background_never_runs_twice() {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05", "--maxrestartdelay", "0.1", "--killtime", "2"]);
    let pids = setup.path("pids");
    let script = format!("setsid sh -c 'echo $$ >> {}; exec sleep 1000' & sleep 0.1; exit 0", pids.display());
    let colony = setup.file("daemon", &sh(&script)).start();
    let seen = colony.wait("three runs", || {
        let text = fs::read_to_string(&pids).unwrap_or_default();
        let pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(pids.iter().filter(|pid| lives(**pid)).count() <= 1, "two at once: {pids:?}\n{}", colony.log());
        (pids.len() >= 3).then_some(pids)
    });
    colony.end();
    assert!(seen.iter().all(|pid| !lives(*pid)));
}

fn write_program(setup: &Setup, name: &str, text: &str, mode: u32) {
    fs::write(setup.path(name), text).expect("writable");
    fs::set_permissions(setup.path(name), Permissions::from_mode(mode)).expect("ours");
}
