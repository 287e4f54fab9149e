//! Who it is and what it may: any user, nothing to write to, no capability, calls refused, namespaces shared.

use std::fs;

use serde_json::json;

use crate::container::{Setup, swap};
use crate::engine::{BARE, engine};
use crate::support::{self, sh, sleeper};

/// A process with a child in its session, one outside of it, and an orphan; then it lasts.
const FAMILY: &str = "sleep 3000 & setsid sleep 3001 & (sleep 0.1 &) ; exec sleep 3002";

/// What `/proc/1/status` of a container says.
fn status(pid: i32, field: &str) -> String {
    support::status(pid, field).unwrap_or_else(|| panic!("no {field}"))
}

// A child gets only what you gave it: the image itself.
#[test]
fn the_image_is_one_binary_and_two_lists_of_users_and_no_root() {
    let Some(engine) = engine() else { return };
    let field = |field: &str| engine.say(&["image", "inspect", "--format", &format!("{{{{{field}}}}}"), BARE]);
    let size: u64 = field(".Size").parse().expect("a number");
    println!("the image has {size} bytes");
    assert!(size <= 6_000_000, "{size}");
    assert_eq!(field(".Config.User"), "65532:65532");
    assert_eq!(field("json .Config.Entrypoint"), r#"["/ncolony"]"#);
    assert_eq!(field("json .Config.Cmd"), r#"["run"]"#);
    let labels = field("json .Labels");
    for label in ["title", "description", "version", "licenses"] {
        assert!(labels.contains(&format!("org.opencontainers.image.{label}")), "{labels}");
    }
    let version = concat!("ncolony ", env!("CARGO_PKG_VERSION"));
    assert!(labels.contains(concat!('"', env!("CARGO_PKG_VERSION"), '"')), "{labels}");
    assert_eq!(engine.say(&["run", "--rm", "--log-driver=none", BARE, "--version"]), version);
    // All that is in it.
    let mount = engine.say(&["image", "mount", BARE]);
    let output = support_output("find", &[&mount, "-type", "f", "-printf", "/%P\n"]);
    engine.say(&["image", "unmount", BARE]);
    let mut files: Vec<&str> = output.lines().collect();
    files.sort_unstable();
    assert_eq!(files, ["/etc/group", "/etc/passwd", "/ncolony"]);
}

fn support_output(program: &str, args: &[&str]) -> String {
    let output = crate::container::run(std::process::Command::new(program).args(args));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

// Law 9: never a run with more rights than asked for.
#[test]
fn it_is_pid_1_without_a_capability_as_any_user_on_a_root_that_nobody_can_write() {
    // One that no list of users knows, in root's group, as OpenShift has it.
    let Some(setup) = Setup::restricted() else { return };
    let who = sh("id -u; id -g; touch /x /etc/x /run/x; sleep 1000");
    let container = setup.user(1_000_650_000, 0).file("web", &who).file("db", &sleeper()).ready();
    let pid = container.pid();
    assert!(status(pid, "NSpid").ends_with("\t1"), "{}", status(pid, "NSpid"));
    for set in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
        assert_eq!(status(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    assert!(status(pid, "Uid").starts_with("1000650000"));
    container.wait_log("[web] 1000650000");
    container.wait("all to be refused", || (container.lines_with("Read-only file system").len() == 3).then_some(()));
    assert!(container.lines_with("WARN").is_empty() && container.lines_with("ERROR").is_empty(), "{}", container.log());
}

// No input ends the loop: an image that holds nothing is enough.
#[test]
fn the_image_alone_runs_as_it_is_without_any_volume() {
    let Some(engine) = engine() else { return };
    let name = format!("alone-{}", std::process::id());
    let log = |text: &str| {
        let output = engine.podman(&["logs", &name]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        said.contains(text).then_some(())
    };
    engine.say(&["run", "--detach", "--name", &name, "--network=none", BARE]);
    support::wait_for("it to run", || log("on http://"));
    engine.say(&["stop", "--time", "5", &name]);
    assert_eq!(engine.say(&["inspect", "--format", "{{.State.ExitCode}}", &name]), "0");
    engine.say(&["rm", &name]);
}

// The container's files are as they were: nothing is written but where it was said.
#[test]
fn nothing_is_written_but_in_the_messages_volume() {
    let Some(setup) = Setup::restricted() else { return };
    let container = setup.file("web", &sleeper()).ready();
    let web = container.wait_pid("web", None);
    container.ask(&[
        "/ncolony",
        "ctl",
        "--config=/etc/ncolony/processes",
        "--messages=/run/ncolony/messages",
        "restart",
        "web",
    ]);
    container.wait_pid("web", Some(web));
    assert!(container.path("messages/.ncolony").is_dir(), "its journal is there");
    let diff = container.podman(&["diff"]);
    let changed = String::from_utf8_lossy(&diff.stdout).into_owned();
    // Where volumes are mounted, the runtime itself makes directories.
    let others: Vec<&str> =
        changed.lines().filter(|line| !line.starts_with("C /run") && !line.starts_with("C /etc")).collect();
    assert!(diff.status.success() && others.iter().all(|line| !line.contains("ncolony")), "{changed}");
}

/// A start, a crash, an edit, a removal and the end, of processes with descendants.
fn lives_a_whole_life(setup: Setup) {
    let setup = setup.flags(&["--minrestartdelay=0.05"]);
    swap(&setup.path("config"), "1", &[("web", &sh(FAMILY)), ("db", &sleeper())]);
    let container = setup.ready();
    let first = container.wait_pid("web", None);
    container.ask(&["kill", "-9", &first.to_string()]);
    let second = container.wait_pid("web", Some(first));
    swap(&container.path("config"), "2", &[("web", &sh("exec sleep 3003")), ("db", &sleeper())]);
    container.wait_pid("web", Some(second));
    let others = container.ask(&["ps"]);
    assert!(
        !["3000", "3001", "3002"].iter().any(|old| others.contains(&format!("sleep {old}"))),
        "two lives at once:\n{others}"
    );
    swap(&container.path("config"), "3", &[("db", &sleeper())]);
    container.wait_log("web is gone");
    container.wait_ready();
    let took = container.stop(30);
    assert_eq!(container.exit_status(), 0, "{}", container.log());
    assert!(took.as_secs() < 15, "{took:?}");
    assert!(container.log().contains("ended: nothing is left"), "{}", container.log());
}

/// A profile for seccomp that refuses these calls.
fn refusing(setup: Setup, calls: &[&str], errno: u32) -> Setup {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": calls, "action": "SCMP_ACT_ERRNO", "errnoRet": errno}],
    });
    let path = setup.path("seccomp.json");
    fs::write(&path, profile.to_string()).expect("a file");
    setup.options(&[&format!("--security-opt=seccomp={}", path.display())])
}

const NEW_CALLS: [&str; 7] =
    ["clone3", "pidfd_open", "pidfd_send_signal", "close_range", "openat2", "statx", "faccessat2"];

// It runs where clone3, pidfds, close_range or inotify are refused.
#[test]
fn it_lives_a_whole_life_where_a_profile_answers_eperm_to_new_calls() {
    let Some(setup) = Setup::restricted() else { return };
    lives_a_whole_life(refusing(setup, &NEW_CALLS, 1));
}

// It runs where clone3, pidfds, close_range or inotify are refused.
#[test]
fn it_lives_a_whole_life_where_a_profile_answers_enosys_to_new_calls() {
    let Some(setup) = Setup::restricted() else { return };
    lives_a_whole_life(refusing(setup, &NEW_CALLS, 38));
}

// It runs where clone3, pidfds, close_range or inotify are refused.
#[test]
fn without_inotify_a_swapped_volume_is_seen_at_the_tick() {
    let Some(setup) = Setup::restricted() else { return };
    lives_a_whole_life(refusing(setup, &["inotify_init", "inotify_init1"], 1));
}

// Law 1, and the profile that engines have of themselves.
#[test]
fn it_lives_a_whole_life_under_the_engines_own_profile() {
    let Some(setup) = Setup::restricted() else { return };
    lives_a_whole_life(setup);
}

// Law 2: a signal reaches only what is ours.
#[test]
fn in_a_shared_pid_namespace_what_is_not_ours_is_left_alone() {
    let (Some(first), Some(second)) = (Setup::restricted(), Setup::restricted()) else { return };
    // The first is the namespace's PID 1, as a pod's pause is, and has a process of its own.
    let pause = first.file("other", &sh("sleep 2000 & setsid sleep 2001 & exec sleep 2002")).ready();
    let namespace = format!("--pid=container:{}", pause.name());
    let container = second.options(&[&namespace]).file("web", &sh(FAMILY)).ready();
    assert!(!status(container.pid(), "NSpid").ends_with("\t1"), "it is not PID 1");
    let web = container.wait_pid("web", None);
    container.ask(&["kill", "-9", &web.to_string()]);
    container.wait_pid("web", Some(web));
    container.stop(30);
    assert_eq!(container.exit_status(), 0, "{}", container.log());
    let left = pause.ask(&["ps"]);
    assert!(["2000", "2001", "2002"].iter().all(|ours| left.contains(&format!("sleep {ours}"))), "{left}");
    assert!(!["3000", "3001", "3002"].iter().any(|theirs| left.contains(&format!("sleep {theirs}"))), "{left}");
}

// Law 4, below another PID 1.
#[test]
fn below_an_init_of_the_engines_it_works_as_alone() {
    let Some(setup) = Setup::restricted() else { return };
    lives_a_whole_life(setup.options(&["--init"]));
}

// A child gets only what you gave it, or is not started.
#[test]
fn with_three_capabilities_a_root_monitor_runs_each_process_as_its_own_user() {
    let Some(setup) = Setup::restricted() else { return };
    let capabilities = ["--cap-add=SETUID", "--cap-add=SETGID", "--cap-add=KILL"];
    let who = |user: u32, script: &str| json!({"args": ["sh", "-c", script], "uid": user, "gid": user}).to_string();
    let script =
        "id -u; grep CapEff /proc/self/status; trap 'echo asked; exit 0' TERM; sleep 1000 & setsid sleep 1001 & wait";
    let setup = setup.user(0, 0).options(&capabilities);
    let container = setup.file("web", &who(10001, script)).file("db", &who(10002, script)).ready();
    container.wait_log("[web] 10001");
    container.wait_log("[db] 10002");
    container.wait("no capability", || (container.lines_with("CapEff:\t0000000000000000").len() == 2).then_some(()));
    let took = container.stop(30);
    let log = container.log();
    assert_eq!(container.exit_status(), 0, "{log}");
    assert!(took.as_secs() < 10, "{took:?}: {log}");
    assert!(
        log.contains("[web] asked") && log.contains("[db] asked") && log.contains("ended: nothing is left"),
        "{log}"
    );
}

// Law 4, where even SIGKILL is refused.
#[test]
fn a_root_monitor_that_may_not_signal_says_so_and_the_container_ends_within_its_grace() {
    let Some(setup) = Setup::restricted() else { return };
    let other = json!({"args": ["sleep", "1000"], "uid": 10001, "gid": 10001}).to_string();
    let setup = setup.user(0, 0).options(&["--cap-add=SETUID", "--cap-add=SETGID"]).flags(&["--killtime=1"]);
    let container = setup.file("web", &other).ready();
    let took = container.stop(30);
    assert!(took.as_secs() < 20, "{took:?}");
    let log = container.log();
    assert_eq!(container.exit_status(), 0, "{log}");
    assert!(
        log.contains("cannot send SIGTERM to web: Operation not permitted; SIGKILL follows after its grace"),
        "{log}"
    );
    assert!(log.contains("cannot send SIGKILL to web: Operation not permitted; its end is waited for"), "{log}");
    assert!(log.contains("ended, but not all has died"), "{log}");
}

// Law 9: a privilege that cannot be dropped is a start error.
#[test]
fn capabilities_are_dropped_from_a_process_where_the_monitor_may() {
    let Some(setup) = Setup::restricted() else { return };
    let spec = json!({
        "args": ["sh", "-c", "grep Cap /proc/self/status; exec sleep 1000"],
        "securityContext": {"runAsUser": 10001, "runAsGroup": 10001, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
    });
    let capabilities =
        ["--cap-add=SETUID", "--cap-add=SETGID", "--cap-add=KILL", "--cap-add=SETPCAP", "--cap-add=NET_BIND_SERVICE"];
    let container = setup.user(0, 0).options(&capabilities).file("web", &spec.to_string()).ready();
    container.wait("all five sets", || (container.lines_with("[web] Cap").len() == 5).then_some(()));
    assert_eq!(container.lines_with("\t0000000000000400").len(), 5, "{}", container.log());
}
