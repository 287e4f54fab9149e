//! What a process is born with, seen from outside: nothing of the monitor's but what its file asks for.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Colony, Setup, can, send, series, sleeper, status, succeeds};

fn is_root() -> bool {
    can("root", nix::unistd::Uid::effective().is_root())
}

// S01
#[test]
fn a_process_has_descriptors_0_1_and_2_and_no_others() {
    let open = r#"exec 9</etc/shadow 8>&2; exec "$0" "$@""#;
    let setup = Setup::new().through(&["sh", "-c", open]).file("web", &sleeper()).file("db", &sleeper());
    let inherits = json!({"args": ["sleep", "1000"], "output": {"format": "inherit"}}).to_string();
    let colony = setup.file("inherits", &inherits).start();
    // A start in the midst of others' pipes and descriptors.
    let first = colony.wait_pid("web", None);
    send(first, Signal::SIGKILL);
    let web = colony.wait_pid("web", Some(first));
    for pid in [web, colony.wait_pid("db", None), colony.wait_pid("inherits", None)] {
        wait_for_0_1_and_2_alone(&colony, pid);
    }
    assert_eq!(fd(web, 0), "/dev/null");
    assert!(fd(web, 1).starts_with("pipe:") && fd(web, 2).starts_with("pipe:") && fd(web, 1) != fd(web, 2));
    let inherits = colony.wait_pid("inherits", None);
    assert_eq!([fd(inherits, 1), fd(inherits, 2)], [fd(colony.pid(), 1), fd(colony.pid(), 2)]);
}

// S02
#[test]
fn a_process_has_every_signal_at_its_default_whatever_the_monitor_was_given() {
    let through = [
        "env",
        "--ignore-signal=INT",
        "--ignore-signal=PIPE",
        "--ignore-signal=USR2",
        "--ignore-signal=QUIT",
        "--block-signal=USR1",
        "--block-signal=TERM",
    ];
    if !can("an env that knows --block-signal", succeeds("env", &["--block-signal=USR1", "true"])) {
        return;
    }
    let colony = Setup::new().through(&through).file("web", &sleeper()).start();
    let pid = colony.wait_pid("web", None);
    for field in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(status(pid, field).as_deref(), Some("0000000000000000"), "{field}");
    }
    // And it obeys.
    let (status, log) = colony.end();
    assert!(status.success() && log.contains("web ended: killed by SIGTERM"), "{log}");
}

// S03
#[test]
fn the_umask_is_the_monitors_and_its_own_files_are_safe_under_any() {
    let setup = Setup::new().through(&["sh", "-c", r#"umask 0; exec "$0" "$@""#]).file("web", &sleeper());
    let pids = setup.path("pids");
    fs::create_dir(&pids).expect("a directory");
    let colony = setup.flags(&["--pid", &pids.display().to_string()]).start();
    assert_eq!(status(colony.wait_pid("web", None), "Umask").as_deref(), Some("0000"));
    colony.wait("the pid file", || fs::read(pids.join("web")).ok());
    for (file, mode) in [
        ("messages/.ncolony", 0o711),
        ("messages/.ncolony/journal", 0o600),
        ("messages/.ncolony/lock", 0o600),
        ("pids/web", 0o644),
    ] {
        let meta = fs::metadata(colony.path(file)).expect("it is there");
        assert_eq!(meta.permissions().mode() & 0o777, mode, "{file}");
    }
}

// S04, P11, C25: as in the original, a variable that is not there is empty.
#[test]
fn the_environment_is_what_the_file_says_and_our_three_variables() {
    let spec = json!({"args": ["sleep", "1000"], "env": {"A": "1", "B": "from the file", "EMPTY": ""}, "env_inherit": ["B", "C", "UNSET"], "extra": 7});
    let mut setup = Setup::new().file("web", &spec.to_string());
    for (name, value) in [
        ("MY_SECRET", "x"),
        ("B", "from the monitor"),
        ("C", "inherited"),
        ("LISTEN_FDS", "1"),
        ("LISTEN_PID", "1"),
        ("LISTEN_FDNAMES", "x"),
        ("NOTIFY_SOCKET", "/nowhere"),
        ("WATCHDOG_USEC", "1"),
        ("NCOLONY_NAME", "outer"),
        ("NCOLONY_RUN", "0.1"),
        ("NCOLONY_RUN_KILLTIME", "7"),
        ("LD_DEBUG_OUTPUT", "/nowhere"),
    ] {
        setup = setup.env(name, value);
    }
    let colony = setup.start();
    let pid = colony.wait_pid("web", None);
    let environ = crate::support::environ(pid);
    let mut environ: Vec<&str> = environ.split_terminator('\0').collect();
    let run = environ.iter().position(|entry| entry.starts_with("NCOLONY_RUN=")).expect("a mark");
    assert!(environ.remove(run).ends_with(".1"));
    let config = format!("NCOLONY_CONFIG={spec}");
    assert_eq!(environ, ["A=1", "B=from the monitor", "C=inherited", "EMPTY=", &config, "NCOLONY_NAME=web", "UNSET="]);
}

// S06
#[test]
fn the_supplementary_groups_are_the_users_and_none_of_the_monitors() {
    if !is_root() || !can("setpriv", succeeds("setpriv", &["--groups", "0,4,27", "true"])) {
        return;
    }
    let setup = Setup::new().through(&["setpriv", "--groups", "0,4,27"]);
    let colony = setup
        .file("nobody", &json!({"args": ["sleep", "1000"], "uid": 65534}).to_string())
        .file("both", &json!({"args": ["sleep", "1000"], "uid": 65534, "gid": 12345}).to_string())
        .file("unknown", &json!({"args": ["sleep", "1000"], "uid": 54321, "gid": 12345}).to_string())
        .file("group", &json!({"args": ["sleep", "1000"], "gid": 12345}).to_string())
        .start();
    assert_eq!(ids(&colony, "nobody"), (four(65534), four(id("-g", "nobody")), numbers(&id_text("-G", "nobody"))));
    let (uids, gids, groups) = ids(&colony, "both");
    assert_eq!((uids, gids), (four(65534), four(12345)));
    assert!(groups.contains(&12345) && !groups.contains(&27) && !groups.contains(&0), "{groups:?}");
    assert_eq!(ids(&colony, "unknown"), (four(54321), four(12345), BTreeSet::from([12345])));
    let (uids, gids, groups) = ids(&colony, "group");
    assert_eq!((uids, gids), (four(0), four(12345)));
    assert!(!groups.contains(&27), "{groups:?}");
    // All capabilities have gone with the user.
    assert_eq!(status(colony.wait_pid("nobody", None), "CapEff").as_deref(), Some("0000000000000000"));
}

// S07
#[test]
fn a_user_without_a_group_gets_its_own_and_is_refused_when_it_has_none() {
    if !is_root() {
        return;
    }
    let colony = Setup::new()
        .file("nobody", &json!({"args": ["sleep", "1000"], "uid": 65534}).to_string())
        .file("unknown", &json!({"args": ["sleep", "1000"], "uid": 54321}).to_string())
        .start();
    colony.wait_log(
        "cannot start unknown: user 54321 is not in the user database, so its group is unknown; set gid, too",
    );
    assert_eq!(ids(&colony, "nobody").1, four(id("-g", "nobody")));
    assert_eq!(colony.metric(&series("starts_total", "unknown")), Some(0.0));
}

// S08, K06, C27
#[test]
fn who_cannot_become_the_user_asked_for_starts_nothing() {
    let namespace = ["unshare", "--user", "--map-root-user"];
    if !can("a user namespace", succeeds(namespace[0], &["--user", "--map-root-user", "true"])) {
        return;
    }
    let colony = Setup::new()
        .through(&namespace)
        .file("nobody", &json!({"args": ["sleep", "1000"], "uid": 65534, "gid": 65534}).to_string())
        .file("group", &json!({"args": ["sleep", "1000"], "gid": 65534}).to_string())
        .file("root", &json!({"args": ["sleep", "1000"], "uid": 0}).to_string())
        .file("web", &sleeper())
        .start();
    colony.wait_log("cannot start nobody: cannot become group 65534: Invalid argument (EINVAL)");
    colony.wait_log("cannot start group: cannot become group 65534: Invalid argument (EINVAL)");
    // What asks for what it is already is no trouble.
    colony.wait_pid("root", None);
    colony.wait_pid("web", None);
    for name in ["nobody", "group"] {
        assert_eq!(colony.metric(&series("starts_total", name)), Some(0.0), "{name}");
    }
}

// S08
#[test]
fn a_monitor_that_is_not_root_starts_nothing_as_another() {
    if !is_root()
        || !can("setpriv", succeeds("setpriv", &["--reuid", "65534", "--regid", "65534", "--clear-groups", "true"]))
    {
        return;
    }
    let context = |context| json!({"args": ["sleep", "1000"], "securityContext": context}).to_string();
    let setup = Setup::new().through(&["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    // The binary and the directories must be within its reach.
    let binary = setup.path("ncolony");
    fs::copy(env!("CARGO_BIN_EXE_ncolony"), &binary).expect("a copy");
    let setup = setup
        .binary(&binary)
        .file("root", &json!({"args": ["sleep", "1000"], "uid": 0, "gid": 0}).to_string())
        .file("group", &json!({"args": ["sleep", "1000"], "gid": 0}).to_string())
        .file("same", &json!({"args": ["sleep", "1000"], "uid": 65534, "gid": 65534}).to_string())
        .file("more", &context(json!({"supplementalGroups": [0]})))
        .file("less", &context(json!({"capabilities": {"drop": ["ALL"]}})))
        .file("tight", &context(json!({"runAsNonRoot": true, "allowPrivilegeEscalation": false})))
        .file("web", &sleeper())
        .file("later", &json!({"args": ["true"], "schedule": "0 0 1 1 *", "uid": 1234, "gid": 65534}).to_string())
        .file("last", &json!({"args": ["true"], "dependsOn": ["root"], "gid": 1234}).to_string());
    for below in ["", "config", "messages"] {
        fs::set_permissions(setup.path(below), Permissions::from_mode(0o755)).expect("ours");
        nix::unistd::chown(&setup.path(below), Some(65534.into()), None).expect("root");
    }
    let colony = setup.start();
    // Said when the file is read, and not first when it is time.
    let later = "later cannot be started when its time comes: the monitor may not become user 1234; that takes";
    colony.wait_log(later);
    colony.wait_log("last cannot be started when its time comes: the monitor may not become group 1234");
    assert_eq!(colony.log().matches("when its time comes").count(), 2, "{}", colony.log());
    colony.wait_log("cannot start root: cannot become group 0: Operation not permitted (EPERM); that takes the capabilities SETUID and SETGID");
    colony.wait_log("in a pod by securityContext.runAsUser, and no user or group in the file; it is tried again");
    colony.wait_log("cannot start group: cannot ");
    colony.wait_log("cannot start more: cannot set its supplementary groups: Operation not permitted (EPERM)");
    colony.wait_log("cannot start less: cannot drop the capability ");
    colony.wait_log("that takes the capability SETPCAP");
    colony.wait_pid("same", None);
    colony.wait_pid("web", None);
    assert_eq!(status(colony.wait_pid("tight", None), "NoNewPrivs").as_deref(), Some("1"));
    for name in ["root", "group", "more", "less"] {
        assert_eq!(colony.metric(&series("starts_total", name)), Some(0.0), "{name}");
    }
}

// S11
#[test]
fn a_process_leads_a_session_of_its_own() {
    let colony = Colony::with(&[("web", &sleeper())]);
    let pid = colony.wait_pid("web", None);
    let pid = Some(nix::unistd::Pid::from_raw(pid));
    assert_eq!(nix::unistd::getsid(pid).ok(), pid);
    assert_eq!(nix::unistd::getpgid(pid).ok(), pid);
}

// S13
#[test]
fn a_program_is_never_looked_up_where_the_process_starts() {
    let setup = Setup::new();
    let dir = setup.path("d");
    fs::create_dir(&dir).expect("a directory");
    for planted in ["sleep", "planted"] {
        fs::write(dir.join(planted), "#!/bin/sh\necho planted; exec sleep 1000\n").expect("writable");
        fs::set_permissions(dir.join(planted), Permissions::from_mode(0o755)).expect("ours");
    }
    let spec = |program: &str, path: &str| {
        json!({"args": [program, "1000"], "workingDir": dir, "env": {"PATH": path}}).to_string()
    };
    let colony = setup
        .file("dot", &spec("sleep", ".::d:/usr/bin:/bin"))
        .file("only-dot", &spec("planted", "."))
        .file("empty", &spec("planted", ""))
        .file("trailing", &spec("planted", "/usr/bin:"))
        .file("meant", &spec("./planted", ""))
        .start();
    let exe = fs::read_link(format!("/proc/{}/exe", colony.wait_pid("dot", None))).expect("it lives");
    assert!(exe.starts_with("/usr/bin") || exe.starts_with("/bin"), "{exe:?}");
    colony.wait_log(
        r#"cannot start only-dot: program "planted" not found in PATH . (ENOENT); only absolute entries are searched"#,
    );
    colony.wait_log(r#"cannot start empty: program "planted" not found in PATH "#);
    colony.wait_log(r#"cannot start trailing: program "planted" not found in PATH /usr/bin: (ENOENT)"#);
    colony.wait_stdout("[meant] planted");
}

/// A program opens and closes files of its own while it begins; what it was given stays.
pub(crate) fn wait_for_0_1_and_2_alone(colony: &Colony, pid: i32) {
    colony.wait("it to have 0, 1 and 2 alone", || {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
        let fds: BTreeSet<String> = fds.map(|fd| fd.file_name().display().to_string()).collect();
        (fds == BTreeSet::from(["0", "1", "2"].map(String::from))).then_some(())
    });
}

/// Real, effective, saved and file system ids, then the supplementary groups.
fn ids(colony: &Colony, name: &str) -> (Vec<u32>, Vec<u32>, BTreeSet<u32>) {
    let pid = colony.wait_pid(name, None);
    let list =
        |field| status(pid, field).expect("it lives").split_whitespace().filter_map(|n| n.parse().ok()).collect();
    (list("Uid"), list("Gid"), numbers(&status(pid, "Groups").expect("it lives")))
}

fn four(id: u32) -> Vec<u32> {
    vec![id; 4]
}

fn numbers(text: &str) -> BTreeSet<u32> {
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn id(what: &str, user: &str) -> u32 {
    id_text(what, user).trim().parse().expect("a number")
}

fn id_text(what: &str, user: &str) -> String {
    String::from_utf8(Command::new("id").args([what, user]).output().expect("id runs").stdout).expect("numbers")
}

fn fd(pid: i32, number: i32) -> String {
    fs::read_link(format!("/proc/{pid}/fd/{number}")).expect("it is open").display().to_string()
}
