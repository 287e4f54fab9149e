//! What a process is born with, read in the process itself; and what cannot be given, told, with nothing started.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::sandbox::refused;
use crate::support::{Colony, Setup, can, series, sleeper, status, succeeds};

fn is_root() -> bool {
    can("root", nix::unistd::Uid::effective().is_root())
}

/// Something that lasts, with these keys.
fn born(keys: Value) -> String {
    let mut spec = json!({"args": ["sleep", "1000"]});
    let (Value::Object(into), Value::Object(keys)) = (&mut spec, keys) else { panic!("two maps") };
    into.extend(keys);
    spec.to_string()
}

/// The soft and the hard limit, as /proc shows them.
fn limit(pid: i32, name: &str) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it lives");
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("such a limit");
    let mut words = line.split_whitespace().map(str::to_string);
    (words.next().expect("soft"), words.next().expect("hard"))
}

fn nice(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    // The third field is the first after the name; this is the 19th.
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(16)?.parse().ok()).expect("a number")
}

fn oom_score_adj(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("it lives").trim().to_string()
}

/// A set of capabilities, as /proc shows it.
fn set(pid: i32, field: &str) -> u64 {
    u64::from_str_radix(&status(pid, field).expect("it lives"), 16).expect("hexadecimal")
}

fn pair(soft: &str, hard: &str) -> (String, String) {
    (soft.to_string(), hard.to_string())
}

#[test]
fn limits_nice_oom_score_and_umask_are_the_ones_asked_for_and_no_one_elses() {
    let limits =
        json!({"nofile": {"soft": 60, "hard": 64}, "core": 0, "sigpending": {"soft": 7, "hard": 9}, "cpu": 3600});
    let keys = json!({"rlimits": limits, "nice": 19, "oomScoreAdj": 1000, "umask": "0027"});
    let colony = Colony::with(&[("web", &born(keys)), ("plain", &sleeper())]);
    let (web, plain) = (colony.wait_pid("web", None), colony.wait_pid("plain", None));
    assert_eq!(limit(web, "Max open files "), pair("60", "64"));
    assert_eq!(limit(web, "Max core file size "), pair("0", "0"));
    assert_eq!(limit(web, "Max pending signals "), pair("7", "9"));
    assert_eq!(limit(web, "Max cpu time "), pair("3600", "3600"));
    // The ends of their ranges: whoever runs these tests may go there.
    let expected = (19, "1000".to_string(), Some("0027".to_string()));
    assert_eq!((nice(web), oom_score_adj(web), status(web, "Umask")), expected);
    // The monitor and the next process keep what they had.
    for pid in [plain, colony.pid()] {
        assert_eq!((nice(pid), oom_score_adj(pid)), (nice(own()), oom_score_adj(own())), "{pid}");
        assert_eq!(status(pid, "Umask"), status(own(), "Umask"));
        for name in ["Max core file size ", "Max pending signals ", "Max cpu time "] {
            assert_eq!(limit(pid, name), limit(own(), name), "{name}");
        }
    }
    assert_eq!(limit(plain, "Max open files "), limit(own(), "Max open files "));
}

fn own() -> i32 {
    std::process::id() as i32
}

#[test]
fn a_process_that_may_write_no_byte_is_recorded_and_runs() {
    let keys = json!({"rlimits": {"fsize": 0}});
    let colony = Colony::with(&[("web", &born(keys))]);
    let web = colony.wait_pid("web", None);
    assert_eq!(limit(web, "Max file size "), pair("0", "0"));
    let journal = fs::read_to_string(colony.path("messages/.ncolony/journal")).expect("it is there");
    assert!(journal.contains(&format!("{web}")), "{journal}");
}

#[test]
fn an_edit_of_what_it_is_born_with_restarts_it() {
    let colony = Colony::with(&[("web", &born(json!({"umask": "0027"})))]);
    let mut pid = colony.wait_pid("web", None);
    let edits = [
        (json!({"umask": "0077"}), "Umask", "0077"),
        (json!({"securityContext": {"allowPrivilegeEscalation": false}}), "NoNewPrivs", "1"),
        (json!({"nice": 19}), "NoNewPrivs", "0"),
    ];
    for (keys, field, expected) in edits {
        colony.write("web", &born(keys));
        pid = colony.wait_pid("web", Some(pid));
        assert_eq!(status(pid, field).as_deref(), Some(expected), "{field}");
    }
    assert_eq!(nice(pid), 19);
}

#[test]
fn names_and_numbers_of_users_and_groups_become_what_they_say() {
    if !is_root() {
        return;
    }
    let context = |context: Value| born(json!({"securityContext": context}));
    let colony = Setup::new()
        .file("name", &context(json!({"runAsUser": "nobody", "runAsNonRoot": true})))
        .file("number", &context(json!({"runAsUser": 54321, "runAsGroup": 54322})))
        .file(
            "mixed",
            &context(json!({"runAsUser": 54321, "runAsGroup": "daemon", "supplementalGroups": ["bin", 54323]})),
        )
        .file("groups", &context(json!({"supplementalGroups": ["bin", 54323]})))
        .start();
    let ids = |name: &str| {
        let pid = colony.wait_pid(name, None);
        let numbers = |field| -> Vec<u32> {
            let text = status(pid, field).expect("it lives");
            text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
        };
        // The group itself counts as one, listed or not.
        let groups: BTreeSet<u32> = numbers("Groups").into_iter().chain(numbers("Gid")).collect();
        (numbers("Uid"), numbers("Gid"), groups)
    };
    let (daemon, bin) = (id("group", "daemon"), id("group", "bin"));
    let (uids, gids, _) = ids("name");
    assert_eq!((uids, gids), (vec![id("passwd", "nobody"); 4], vec![id("group", "nogroup"); 4]));
    assert_eq!(ids("number"), (vec![54321; 4], vec![54322; 4], BTreeSet::from([54322])));
    assert_eq!(ids("mixed"), (vec![54321; 4], vec![daemon; 4], BTreeSet::from([daemon, bin, 54323])));
    // Who asks for more groups only keeps those of the monitor.
    let (uids, gids, groups) = ids("groups");
    assert_eq!((uids, gids), (vec![0; 4], vec![nix::unistd::getegid().as_raw(); 4]));
    let own = nix::unistd::getgroups().expect("our groups").into_iter().map(nix::unistd::Gid::as_raw);
    assert_eq!(groups, own.chain([nix::unistd::getegid().as_raw(), bin, 54323]).collect());
}

/// A number of the user database.
fn id(database: &str, name: &str) -> u32 {
    let line = Command::new("getent").args([database, name]).output().expect("getent runs").stdout;
    String::from_utf8(line).expect("text").split(':').nth(2).and_then(|id| id.parse().ok()).expect("a number")
}

#[test]
fn capabilities_are_dropped_from_every_set_and_kept_for_who_is_not_root() {
    if !is_root() {
        return;
    }
    const CHOWN: u64 = 1;
    const BIND: u64 = 1 << 10;
    const FIELDS: [&str; 5] = ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"];
    let context = |context: Value| born(json!({"securityContext": context}));
    let keep = json!({"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]});
    let setup = Setup::new()
        .file("none", &context(json!({"capabilities": {"drop": ["ALL"]}})))
        .file("less", &context(json!({"capabilities": {"drop": ["CAP_CHOWN"]}})))
        .file("one", &context(json!({"capabilities": keep})))
        .file("user-none", &context(json!({"runAsUser": 65534, "runAsGroup": 65534, "capabilities": {"drop": ["ALL"]}})))
        .file("user-one", &context(json!({"runAsUser": 65534, "runAsGroup": 65534, "capabilities": keep, "allowPrivilegeEscalation": false})))
        .file("plain", &sleeper());
    let colony = setup.start();
    let has = set(colony.pid(), "CapBnd");
    if !can("the capabilities CHOWN and NET_BIND_SERVICE", has & (CHOWN | BIND) == CHOWN | BIND) {
        return;
    }
    let rows = [
        ("none", [0; 5]),
        ("less", [has & !CHOWN, has & !CHOWN, has & !CHOWN, set(colony.pid(), "CapInh") & !CHOWN, 0]),
        ("one", [BIND, BIND, BIND, 0, 0]),
        ("user-none", [0; 5]),
        ("user-one", [BIND; 5]),
        ("plain", FIELDS.map(|field| set(colony.pid(), field))),
    ];
    for (name, expected) in rows {
        let pid = colony.wait_pid(name, None);
        assert_eq!(FIELDS.map(|field| set(pid, field)), expected, "{name}");
    }
    let new_privs = |name: &str| status(colony.wait_pid(name, None), "NoNewPrivs");
    assert_eq!((new_privs("user-one").as_deref(), new_privs("one").as_deref()), (Some("1"), Some("0")));
}

/// Nothing of these processes is ever started, and the log says why.
fn starts_nothing(setup: Setup, rows: &[(Value, &str)]) {
    let files: Vec<(String, String, &str)> =
        rows.iter().enumerate().map(|(n, (keys, why))| (format!("p{n}"), born(keys.clone()), *why)).collect();
    let setup = files.iter().fold(setup, |setup, (name, text, _)| setup.file(name, text));
    let colony = setup.file("plain", &sleeper()).start();
    colony.wait_pid("plain", None);
    for (name, _, why) in &files {
        colony.wait_log(&format!("cannot start {name}: {why}"));
        assert_eq!(colony.metric(&series("starts_total", name)), Some(0.0), "{name}");
    }
}

#[test]
fn a_name_that_nobody_has_and_root_that_must_not_be_are_start_errors() {
    if !is_root() {
        return;
    }
    let context = |context: Value| json!({"securityContext": context});
    let rows = [
        (
            context(json!({"runAsUser": "nobody2"})),
            "user \"nobody2\" is not in the user database; did you mean \"nobody\"?",
        ),
        (context(json!({"runAsUser": "zzzzzzzz"})), "user \"zzzzzzzz\" is not in the user database"),
        (
            context(json!({"runAsGroup": "nogruop"})),
            "group \"nogruop\" is not in the user database; did you mean \"nogroup\"?",
        ),
        (context(json!({"supplementalGroups": ["zzzzzzzz"]})), "group \"zzzzzzzz\" is not in the user database"),
        (
            context(json!({"runAsUser": 54321})),
            "user 54321 is not in the user database, so its group is unknown; set gid, too",
        ),
        (
            context(json!({"runAsNonRoot": true})),
            "runAsNonRoot is set, and it would run as the monitor's user, root; set runAsUser",
        ),
        (
            context(json!({"runAsUser": "root", "runAsNonRoot": true})),
            "runAsNonRoot is set, and its user, \"root\", is root",
        ),
    ];
    starts_nothing(Setup::new(), &rows);
}

#[test]
fn what_the_monitor_may_not_give_or_take_is_a_start_error() {
    let limited = ["setpriv", "--bounding-set", "-sys_resource,-sys_nice,-setpcap,-net_raw"];
    if !is_root()
        || !can("setpriv", succeeds(limited[0], &["--bounding-set", "-net_raw", "prlimit", "--nofile=256:256", "true"]))
    {
        return;
    }
    let through = [&limited[..], &["prlimit", "--nofile=256:256"]].concat();
    let capabilities = |asked: Value| json!({"securityContext": {"capabilities": asked}});
    let rows = [
        (
            json!({"rlimits": {"core": 0, "nofile": 257}}),
            "cannot set its limit nofile to 257: Operation not permitted (EPERM)",
        ),
        (json!({"nice": -5}), "cannot set its nice value to -5: Permission denied (EACCES)"),
        (json!({"oomScoreAdj": -1000}), "cannot set its oomScoreAdj to -1000: Permission denied (EACCES)"),
        (
            capabilities(json!({"drop": ["CHOWN"]})),
            "cannot drop the capability CHOWN from its bounding set: Operation not permitted (EPERM)",
        ),
        (
            capabilities(json!({"add": ["NET_RAW"]})),
            "cannot give it capabilities that the monitor itself does not have: NET_RAW",
        ),
    ];
    starts_nothing(Setup::new().through(&through), &rows);
}

#[test]
fn what_a_sandbox_refuses_or_feigns_is_a_start_error() {
    if !is_root() {
        return;
    }
    let less = json!({"securityContext": {"capabilities": {"drop": ["CHOWN"]}}});
    let no_new_privs = json!({"securityContext": {"allowPrivilegeEscalation": false}});
    let (limits, nice, umask) = (json!({"rlimits": {"core": 0}}), json!({"nice": 5}), json!({"umask": "0027"}));
    const DONE: &str = "it was said to be done, and it was not";
    let rows = [
        ("prlimit64=1", &limits, "cannot set its limit core to 0: Operation not permitted (EPERM)".to_string()),
        ("prlimit64=0", &json!({"rlimits": {"core": 7}}), format!("cannot set its limit core to 7: {DONE}")),
        ("setpriority=1", &nice, "cannot set its nice value to 5: Operation not permitted (EPERM)".to_string()),
        ("umask=0", &umask, "its umask is not the one asked for; it was not run".to_string()),
        ("capset=1", &less, "cannot set its capabilities: Operation not permitted (EPERM)".to_string()),
        ("capset=0", &less, "its capabilities are not the ones asked for; it was not run".to_string()),
        ("prctl=1", &less, "cannot tell the monitor's own capabilities: Operation not permitted (EPERM)".to_string()),
        ("prctl=0", &less, "cannot tell the monitor's own capabilities: Function not implemented (ENOSYS)".to_string()),
        ("prctl=1", &no_new_privs, "cannot set no_new_privs: Operation not permitted (EPERM)".to_string()),
        ("prctl=0", &no_new_privs, format!("cannot set no_new_privs: {DONE}")),
    ];
    for (rule, keys, why) in rows {
        let Some(setup) = refused(Setup::new(), &[rule]) else { return };
        starts_nothing(setup, &[(keys.clone(), &why)]);
    }
}

#[test]
fn without_proc_an_oom_score_is_a_start_error() {
    let hidden = ["unshare", "--mount", "sh", "-c", r#"mount -t tmpfs none /proc && exec "$0" "$@""#];
    if !is_root()
        || !can("a mount namespace", succeeds(hidden[0], &["--mount", "mount", "-t", "tmpfs", "none", "/proc"]))
    {
        return;
    }
    let why = "cannot set its oomScoreAdj to 5: No such file or directory (ENOENT)";
    starts_nothing(Setup::new().through(&hidden), &[(json!({"oomScoreAdj": 5}), why)]);
}
