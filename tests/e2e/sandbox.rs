//! The monitor where system calls are refused, as old or strict sandboxes do; and what system calls a start makes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::credentials::wait_for_0_1_and_2_alone;
use crate::descendants::{family, read_pid};
use crate::support::{Colony, Setup, can, lives, send, series, sh, sleeper, succeeds, wait_for, wait_gone};

/// The helper, built once: it takes rules such as "clone3=1", the errno after the name.
fn helper() -> Option<&'static str> {
    static HELPER: OnceLock<Option<String>> = OnceLock::new();
    HELPER.get_or_init(build).as_deref()
}

fn build() -> Option<String> {
    if !can("a C compiler", succeeds("cc", &["--version"])) {
        return None;
    }
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/seccomp").to_string();
    let new = format!("{path}.{}", std::process::id());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/seccomp.c");
    let built = Command::new("cc").args(["-Wall", "-Wextra", "-Werror", "-o", &new, source]).output().expect("cc runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::rename(new, &path).expect("one directory");
    can("seccomp filters", succeeds(&path, &["--", "true"])).then_some(path)
}

pub(crate) fn refused(setup: Setup, rules: &[&str]) -> Option<Setup> {
    let words: Vec<&str> = [helper()?].iter().chain(rules).chain(&["--"]).copied().collect();
    Some(setup.through(&words))
}

/// A process with descendants is started, crashes, is started again; another is added; one is removed; all ends.
fn works_without(rules: &[&str]) {
    // A daemon that clears its environment is known by its limits only.
    let env = if rules.contains(&"prlimit64=1") { "" } else { "env -i" };
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05"]);
    let script = family(setup.dir(), env);
    let Some(setup) = refused(setup.file("web", &sh(&script)), rules) else { return };
    let colony = setup.start();
    let first = colony.wait_pid("web", None);
    let left = [read_pid(&colony.path("inside")), read_pid(&colony.path("outside"))];
    for name in ["inside", "outside"] {
        fs::remove_file(colony.path(name)).expect("it is there");
    }
    send(first, Signal::SIGKILL);
    let second = colony.wait_pid("web", Some(first));
    assert!(left.iter().all(|pid| !lives(*pid)), "{rules:?}: two lives at once\n{}", colony.log());
    let left = [second, read_pid(&colony.path("inside")), read_pid(&colony.path("outside"))];
    colony.write("db", &sleeper());
    let db = colony.wait_pid("db", None);
    colony.remove("web");
    left.iter().for_each(|pid| wait_gone(*pid));
    colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    let (status, log) = colony.end();
    assert!(status.success() && log.contains("ended: nothing is left") && !lives(db), "{rules:?}: {log}");
}

// K01
#[test]
fn it_works_where_clone3_is_refused() {
    for rules in [&["clone3=1"][..], &["clone3=38"], &["clone3=1", "clone:pidfd=1"]] {
        works_without(rules);
    }
}

// K01
#[test]
fn it_works_where_threads_are_refused() {
    works_without(&["clone3=38", "clone:thread=11"]);
    works_without(&["clone3=38", "clone:thread=1", "inotify_init1=38"]);
}

// K01
#[test]
fn it_works_where_processes_may_not_share_memory() {
    works_without(&["clone:vm=1"]);
}

// K02
#[test]
fn it_works_where_there_are_no_pidfds() {
    works_without(&["pidfd_open=38", "pidfd_send_signal=38", "clone:pidfd=22"]);
    works_without(&["pidfd_open=1", "pidfd_send_signal=1", "clone:pidfd=1"]);
    works_without(&["pidfd_send_signal=1"]);
}

// K03
#[test]
fn it_works_where_a_call_that_is_only_good_to_have_is_refused() {
    works_without(&["close_range=38", "statx=38", "openat2=38", "renameat2=38"]);
    works_without(&["close_range=1", "statx=1", "prlimit64=1", "rseq=1"]);
    works_without(&["signalfd4=1", "timerfd_create=1", "flock=38"]);
}

// K03
#[test]
fn without_inotify_changes_are_seen_at_the_tick_and_the_log_says_so() {
    works_without(&["inotify_init1=38"]);
    let Some(setup) = refused(Setup::new(), &["inotify_init1=1"]) else { return };
    let colony = setup.start();
    colony.wait_log("changes are seen at the tick");
    assert_eq!(colony.metric("ncolony_watch_active"), Some(0.0));
}

// S01, K03
#[test]
fn without_close_range_inherited_descriptors_are_kept_from_processes_all_the_same() {
    let Some(helper) = helper() else { return };
    let open = r#"exec 9</etc/passwd; exec "$0" "$@""#;
    for errno in ["38", "1", "22"] {
        let rule = format!("close_range={errno}");
        let through = ["sh", "-c", open, helper, &rule, "--"];
        let colony = Setup::new().through(&through).file("web", &sleeper()).start();
        wait_for_0_1_and_2_alone(&colony, colony.wait_pid("web", None));
    }
}

// K03
#[test]
fn what_cannot_be_done_without_is_named_and_nothing_is_started() {
    for rule in ["epoll_create1=38", "eventfd2=1"] {
        let Some(setup) = refused(Setup::new().file("web", &sh("echo started")), &[rule]) else { return };
        let mut child = setup.command().spawn().expect("the helper starts");
        let status = wait_for("the end", || child.try_wait().expect("our child"));
        let log = fs::read_to_string(setup.path("stderr")).expect("it is there");
        assert_eq!(status.code(), Some(1), "{rule}: {log}");
        assert!(log.contains("ncolony: cannot build the event loop: "), "{rule}: {log}");
        assert_eq!(fs::read_to_string(setup.path("stdout")).expect("it is there"), "");
    }
}

// K02, X02
#[test]
fn without_pidfds_what_a_killed_monitor_left_is_ended_before_a_new_run() {
    for rules in [&["pidfd_open=38", "pidfd_send_signal=38"][..], &["pidfd_send_signal=1"]] {
        let Some(setup) = refused(Setup::new().file("web", &sleeper()), rules) else { return };
        let colony = setup.start();
        let first = colony.wait_pid("web", None);
        let Some(setup) = refused(colony.kill_monitor(), rules) else { return };
        assert!(lives(first));
        let colony = setup.start();
        let second = colony.wait_pid("web", None);
        assert!(first != second && !lives(first), "{}", colony.log());
    }
}

// L09: what asks for its status is told that there is no such child.
#[test]
fn a_run_whose_exit_status_cannot_be_had_ends_all_the_same() {
    for rules in [&["waitid=10"][..], &["waitid=10", "pidfd_open=38", "pidfd_send_signal=38", "clone:pidfd=22"]] {
        let setup = Setup::new().flags(&["--minrestartdelay", "0.05"]).file("web", &sleeper()).file("db", &sleeper());
        let Some(setup) = refused(setup, rules) else { return };
        let colony = setup.start();
        let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
        send(web, Signal::SIGKILL);
        colony.wait_pid("web", Some(web));
        colony.wait_log("web ended: ended unobserved");
        assert_eq!(colony.wait_pid("db", None), db, "{rules:?}: it lives, and was given up");
        assert!(lives(db) && !colony.log().contains("db ended"), "{rules:?}: {}", colony.log());
    }
}

// S08, S14
#[test]
fn a_change_of_identity_that_is_refused_or_feigned_starts_nothing() {
    if !can("root", nix::unistd::Uid::effective().is_root()) {
        return;
    }
    let rows = [
        ("setgroups=1", "cannot set its supplementary groups: Operation not permitted (EPERM)"),
        ("setresgid=1", "cannot become group 65534: Operation not permitted (EPERM)"),
        ("setresuid=1", "cannot become user 65534: Operation not permitted (EPERM)"),
        ("setresuid=11", "cannot become user 65534: Try again (EAGAIN)"),
        // These say that it was done.
        ("setgroups=0", "its user or group is not the one asked for; it was not run"),
        ("setresgid=0", "its user or group is not the one asked for; it was not run"),
        ("setresuid=0", "its user or group is not the one asked for; it was not run"),
    ];
    let groups = ["setpriv", "--groups", "0,4,27"];
    if !can("setpriv", succeeds(groups[0], &["--groups", "0,4,27", "true"])) {
        return;
    }
    for (rule, expected) in rows {
        let Some(helper) = helper() else { return };
        let through: Vec<&str> = groups.into_iter().chain([helper, rule, "--"]).collect();
        let spec = json!({"args": ["sh", "-c", "echo started"], "uid": 65534, "gid": 65534}).to_string();
        let colony = Setup::new().through(&through).file("web", &spec).start();
        colony.wait_log(&format!("cannot start web: {expected}"));
        assert_eq!(colony.metric(&series("starts_total", "web")), Some(0.0), "{rule}");
        assert_eq!(colony.stdout(), "", "{rule}");
    }
}

// P07
#[test]
fn who_cannot_become_a_subreaper_says_so_and_ends_each_run_with_its_group() {
    let Some(setup) = refused(Setup::new().file("web", &sh("sleep 1000 & echo $!; wait")), &["prctl=1"]) else {
        return;
    };
    let colony: Colony = setup.start();
    let inside: i32 = colony.wait("a pid", || colony.stdout().lines().next()?.strip_prefix("[web] ")?.parse().ok());
    colony.wait_log("cannot become a subreaper");
    colony.remove("web");
    colony.wait_log("web is gone");
    wait_gone(inside);
}

#[test]
fn from_clone_to_exec_a_child_makes_no_call_that_could_hang_or_change_the_monitor() {
    if !can("strace", succeeds("strace", &["-f", "true"])) {
        return;
    }
    let setup = Setup::new();
    let trace = setup.path("trace");
    let through = ["strace", "-f", "-qq", "-o", &trace.display().to_string()];
    let mut setup = setup.through(&through).file("plain", &sleeper());
    if nix::unistd::Uid::effective().is_root() {
        let spec = json!({"args": ["sleep", "1000"], "uid": 65534, "gid": 12345, "workingDir": "/"});
        setup = setup.file("full", &spec.to_string());
        let spec = json!({
            "args": ["sleep", "1000"], "rlimits": {"nofile": 64, "fsize": 4096}, "nice": 19, "oomScoreAdj": 1000, "umask": "0027",
            "securityContext": {
                "runAsUser": 65534, "runAsGroup": 12345, "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
            },
        });
        setup = setup.file("born", &spec.to_string());
    }
    let mut colony = setup.start();
    let names: Vec<&str> =
        ["plain", "full", "born"].into_iter().filter(|name| colony.path("config").join(name).exists()).collect();
    let pids: Vec<i32> = names.iter().map(|name| colony.wait_pid(name, None)).collect();
    send(colony.monitor_below(), Signal::SIGTERM);
    colony.exit_status();
    for (name, pid) in names.into_iter().zip(pids) {
        let calls = calls_before_exec(&trace, pid);
        let writes = calls.iter().filter(|call| *call == "write").count();
        let expected = if name == "born" { 2 } else { 1 };
        assert_eq!(writes, expected, "its line in the journal, its oom score, and nothing else: {calls:?}");
        // Only who asks for more than a user makes more calls.
        let more = ["openat", "close", "setpriority", "umask", "prctl", "capset", "capget"];
        let allowed = [
            "setsid",
            "rt_sigaction",
            "dup3",
            "close_range",
            "prlimit64",
            "setgroups",
            "getgroups",
            "setresgid",
            "setresuid",
            "getresuid",
            "getresgid",
            "chdir",
            "clock_gettime",
            "getpid",
            "write",
            "getppid",
            "rt_sigprocmask",
            "execve",
        ];
        let is_allowed = |call: &str| allowed.contains(&call) || (name == "born" && more.contains(&call));
        let others: BTreeSet<&String> = calls.iter().filter(|call| !is_allowed(call)).collect();
        assert!(others.is_empty(), "{name}: {others:?}");
    }
}

/// The names of a process's system calls up to its first successful execve.
fn calls_before_exec(trace: &Path, pid: i32) -> Vec<String> {
    let text = fs::read_to_string(trace).expect("it is there");
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(&format!("{pid} ")).map(str::trim_start));
    let mut calls = Vec::new();
    for line in lines {
        // A line that begins with "<..." is the second half of one that was told.
        if let Some((name, _)) = line.split_once('(').filter(|_| !line.starts_with('<')) {
            calls.push(name.to_string());
        }
        if line.contains("execve") && line.ends_with("= 0") {
            return calls;
        }
    }
    panic!("{pid} has executed nothing:\n{calls:?}");
}
