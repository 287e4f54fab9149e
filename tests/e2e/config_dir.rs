//! The directory of process files and the whole monitor: what is wrong with one file hurts only it, what is wrong with
//! the directory hurts nothing, and an edit does what it says and no more.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{Uid, chown};

use crate::support::{Colony, Setup, can, lives, status, succeeds, wait_gone, write_file};

const SLEEPER: &str = r#"{"args": ["sleep", "1000"]}"#;
const OTHER_SLEEPER: &str = r#"{"args": ["sleep", "1001"]}"#;
const ERRORS: &str = "ncolony_config_file_errors ";
const SUCCESSFUL: &str = "ncolony_config_last_load_successful ";
const WATCHED: &str = "ncolony_watch_active ";

fn is_zero(value: f64) -> bool {
    value == 0.0
}

fn is_one(value: f64) -> bool {
    value == 1.0
}

/// Asserts that a process is the one that it was.
fn runs_on(colony: &Colony, name: &str, pid: i32) {
    assert_eq!(colony.pid_of(name), Some(pid), "{name} was restarted; the log:\n{}", colony.log());
    assert!(lives(pid), "{name} is gone; the log:\n{}", colony.log());
}

// C01, C26
#[test]
fn a_bad_file_hurts_only_itself_is_told_once_and_applied_when_mended() {
    let colony = Colony::with(&[("web", SLEEPER), ("db.yaml", "args: [sleep, '1000']\n"), ("new", "args: {")]);
    let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
    colony.wait_metric(ERRORS, is_one);
    let (code, verbose) = colony.verbose();
    assert_eq!(code, 503, "a file that was never good is a process that is missing: {verbose}");
    assert!(verbose.contains("[-]new failed: refused: new:1:"), "{verbose}");
    colony.remove("new");
    colony.wait_metric(ERRORS, is_zero);
    assert_eq!(colony.metric(SUCCESSFUL), Some(1.0));
    assert_eq!(colony.get("/healthz").0, 200);

    colony.write("db.yaml", "args: [sleep, '1000'\n");
    colony.wait_metric(ERRORS, is_one);
    colony.wait_ticks(3);
    assert_eq!(colony.metric(SUCCESSFUL), Some(0.0));
    let line = colony.finding("db").expect("a line");
    assert!(line.contains("db.yaml:1:7: ") && line.contains("the last good version runs"), "{line}");
    assert_eq!(colony.get("/healthz").0, 200, "it runs, so it is ready");
    assert_eq!(colony.count("db.yaml:1:7: "), 1, "told once, not at every tick:\n{}", colony.log());
    assert_eq!(colony.count("the last good version of db stays in force"), 1);
    runs_on(&colony, "web", web);
    runs_on(&colony, "db", db);

    colony.write("db.yaml", "args: [sleep, '1001']\n");
    colony.wait_pid("db", Some(db));
    colony.wait_log("the file of db is good again");
    colony.wait_metric(ERRORS, is_zero);
    runs_on(&colony, "web", web);
}

// C04, C08: what is no text, or no file, or two files.
#[test]
fn what_cannot_be_a_process_file_is_named_and_the_rest_starts() {
    let setup = Setup::new().file("web", SLEEPER).file("twin", SLEEPER).file("twin.yaml", "args: [sleep, '1']");
    let config = setup.path("config");
    nix::unistd::mkfifo(&config.join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    fs::create_dir(config.join("directory")).expect("a directory");
    symlink("/dev/zero", config.join("endless")).expect("a link");
    symlink("nowhere", config.join("dangling")).expect("a link");
    fs::write(config.join("latin"), b"{\"args\": [\"\xe9\"]}").expect("a file");
    fs::write(config.join(".hidden"), "{").expect("a file");
    fs::write(config.join("web~"), "{").expect("a file");
    let colony = setup.start();
    let web = colony.wait_pid("web", None);
    colony.wait_metric(ERRORS, |errors| errors == 5.0);
    for (name, text) in [
        ("fifo", "fifo: is a FIFO, not a regular file"),
        ("endless", "endless: is a device, not a regular file"),
        ("latin", "latin:1:12: not UTF-8"),
        ("twin", "twin and twin.yaml describe the same process"),
    ] {
        colony.wait_finding(name, text);
    }
    colony.wait_ticks(2);
    assert_eq!(colony.count("\"directory\" is passed over"), 1);
    assert_eq!(colony.count("fifo: is a FIFO"), 1, "{}", colony.log());
    assert_eq!(colony.metric(ERRORS), Some(5.0), "each of the twins counts");
    runs_on(&colony, "web", web);
}

// C12, C15
#[test]
fn a_file_that_is_rewritten_or_touched_or_away_for_a_moment_restarts_nothing() {
    let colony = Colony::with(&[("web", SLEEPER), ("db", SLEEPER)]);
    let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
    let path = colony.path("config/web");
    fs::remove_file(&path).expect("it is there");
    colony.wait_ticks(0);
    fs::write(&path, SLEEPER).expect("writable");
    colony.write("db", SLEEPER);
    colony.write("sentinel", SLEEPER);
    colony.wait_pid("sentinel", None);
    colony.wait_ticks(2);
    runs_on(&colony, "web", web);
    runs_on(&colony, "db", db);
}

/// Lays out a volume as the kubelet's AtomicWriter does: files in `..TIME`, reached through `..data`.
fn swap(volume: &Path, stamp: &str, files: &[(&str, &str)]) {
    let payload = volume.join(stamp);
    fs::create_dir(&payload).expect("a directory");
    for (name, text) in files {
        fs::write(payload.join(name), text).expect("a file");
    }
    let old = fs::read_link(volume.join("..data")).ok();
    let next = volume.join("..data_tmp");
    symlink(stamp, &next).expect("a link");
    fs::rename(&next, volume.join("..data")).expect("the swap");
    for (name, _) in files {
        let link = volume.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), link).expect("a link");
        }
    }
    if let Some(old) = old {
        for entry in fs::read_dir(volume.join(&old)).expect("the old payload").flatten() {
            if !payload.join(entry.file_name()).exists() {
                fs::remove_file(volume.join(entry.file_name())).expect("the old link");
            }
        }
        fs::remove_dir_all(volume.join(old)).expect("the old payload");
    }
}

// C11
#[test]
fn a_config_map_that_is_swapped_restarts_only_what_changed() {
    let setup = Setup::new();
    let volume = setup.path("config");
    swap(&volume, "..2026_11_22_20_00_00.1", &[("web", SLEEPER), ("db", SLEEPER), ("old", SLEEPER)]);
    let colony = setup.start();
    let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
    let old = colony.wait_pid("old", None);

    swap(&volume, "..2026_11_22_20_01_00.2", &[("web", SLEEPER), ("db", OTHER_SLEEPER), ("new", SLEEPER)]);
    colony.wait_pid("db", Some(db));
    colony.wait_pid("new", None);
    wait_gone(old);
    wait_gone(db);
    colony.wait_log("old is gone");
    runs_on(&colony, "web", web);
    assert_eq!(colony.metric(ERRORS), Some(0.0), "{}", colony.log());
    assert!(!colony.log().contains("ERROR"), "{}", colony.log());
}

// C14
#[test]
fn a_directory_that_is_missing_at_the_start_is_taken_when_it_comes() {
    let setup = Setup::new();
    fs::remove_dir(setup.path("config")).expect("it is empty");
    let colony = setup.start();
    let line = colony.wait_finding("config", "failed");
    assert!(line.contains("No such file"), "{line}");
    assert_eq!(colony.get("/healthz").0, 503);
    assert_eq!(colony.metric(SUCCESSFUL), Some(0.0));
    colony.wait_ticks(2);
    assert_eq!(colony.count("No such file"), 1, "{}", colony.log());
    fs::create_dir(colony.path("config")).expect("a directory");
    colony.write("web", SLEEPER);
    colony.wait_pid("web", None);
    colony.wait("readiness", || (colony.get("/healthz").0 == 200).then_some(()));
    // Now it is watched: this does not need a tick.
    colony.wait_metric(WATCHED, is_one);
    colony.write("db", SLEEPER);
    colony.wait_pid("db", None);
}

// C14
#[test]
fn a_directory_that_is_renamed_away_or_replaced_by_an_empty_one_is_not_an_empty_one() {
    let colony = Colony::with(&[("web", SLEEPER), ("db", SLEEPER)]);
    let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
    let (config, away) = (colony.path("config"), colony.path("away"));
    fs::rename(&config, &away).expect("renaming");
    colony.wait_finding("config", "No such file");
    assert_eq!(colony.get("/healthz").0, 503);
    assert_eq!(colony.get("/livez").0, 200);
    colony.wait_ticks(2);
    runs_on(&colony, "web", web);

    fs::create_dir(&config).expect("a directory");
    colony.wait_finding("config", "is empty, and not the directory that it was");
    colony.wait_ticks(2);
    runs_on(&colony, "web", web);
    runs_on(&colony, "db", db);
    assert_eq!(colony.count("No such file"), 1);

    // The old one is written to meanwhile, and comes back.
    write_file(&away, "db", OTHER_SLEEPER);
    fs::remove_dir(&config).expect("it is empty");
    fs::rename(&away, &config).expect("renaming");
    colony.wait_pid("db", Some(db));
    colony.wait_finding("config", "[+]config ok");
    runs_on(&colony, "web", web);

    // Another with something in it is the new truth.
    let other = colony.path("other");
    fs::create_dir(&other).expect("a directory");
    write_file(&other, "web", SLEEPER);
    write_file(&other, "new", SLEEPER);
    fs::rename(&config, &away).expect("renaming");
    fs::rename(&other, &config).expect("renaming");
    colony.wait_pid("new", None);
    colony.wait_log("db is gone");
    runs_on(&colony, "web", web);
}

/// Starts the monitor in a mount namespace of its own, with a tmpfs as its directory.
fn in_a_mount_namespace(setup: Setup, script: &str) -> Colony {
    let config = setup.path("config").display().to_string();
    setup.through(&["unshare", "--mount", "sh", "-ec", script, &config]).start()
}

/// Runs a command in the monitor's mount namespace.
fn inside(colony: &Colony, command: &[&str]) {
    let pid = colony.pid().to_string();
    let words = [&["-t", &pid, "-m", "--"], command].concat();
    assert!(succeeds("nsenter", &words), "{command:?}");
}

// C14
#[test]
fn a_directory_that_is_unmounted_leaves_everything_running() {
    if !can("a mount namespace", succeeds("unshare", &["--mount", "true"])) {
        return;
    }
    let script = r#"mount -t tmpfs -o mode=755 none "$0"; echo '{"args": ["sleep", "1000"]}' > "$0/web"; exec "$@""#;
    let colony = in_a_mount_namespace(Setup::new(), script);
    let web = colony.wait_pid("web", None);
    let config = colony.path("config").display().to_string();
    inside(&colony, &["umount", &config]);
    colony.wait_finding("config", "unmounted?");
    colony.wait_ticks(2);
    runs_on(&colony, "web", web);
    assert_eq!(colony.get("/livez").0, 200);

    let again = r#"mount -t tmpfs -o mode=755 none "$0"; echo '{"args": ["sleep", "1000"]}' > "$0/web"; echo '{"args": ["sleep", "5"]}' > "$0/new""#;
    inside(&colony, &["sh", "-ec", again, &config]);
    colony.wait_pid("new", None);
    colony.wait_finding("config", "[+]config ok");
    runs_on(&colony, "web", web);
    // The new mount is watched, too.
    inside(&colony, &["sh", "-ec", r#"echo '{"args": ["sleep", "1001"]}' > "$0/web""#, &config]);
    colony.wait_pid("web", Some(web));
}

/// So many files of processes that do not run.
fn suspended(setup: Setup, count: usize) -> Setup {
    for number in 0..count {
        let text = format!("{{\"args\": [\"sleep\", \"{number}\"], \"suspend\": true}}");
        fs::write(setup.path("config").join(format!("s{number:05}")), text).expect("a file");
    }
    setup
}

// C20
#[test]
fn five_thousand_files_cost_nothing_at_rest_and_an_edit_among_them_is_applied() {
    let setup = suspended(Setup::new().file("web", SLEEPER).file("db", SLEEPER), 5000);
    let colony = setup.flags(&["--frequency", "4"]).start();
    let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
    colony.wait("readiness", || (colony.get("/healthz").0 == 200).then_some(()));
    // What so many new ones cost is over then: on a busy machine some of it comes after readiness.
    colony.wait_ticks(2);
    let share = colony.cpu_share(|| thread::sleep(Duration::from_secs(4)));
    assert!(share < at_most(0.01), "{share}");
    colony.write("db", OTHER_SLEEPER);
    colony.wait_pid("db", Some(db));
    colony.write("s04999", SLEEPER);
    colony.wait_pid("s04999", None);
    runs_on(&colony, "web", web);
}

/// A share of a processor; a build without optimization takes some times as long.
fn at_most(share: f64) -> f64 {
    if cfg!(debug_assertions) { share * 5.0 } else { share }
}

// C24
#[test]
fn a_file_that_flaps_every_50_ms_costs_little_and_one_restart_a_second_at_most() {
    let colony = Colony::with(&[("web", SLEEPER), ("db", SLEEPER)]);
    let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
    let began = Instant::now();
    let share = colony.cpu_share(|| {
        for round in 0..80 {
            colony.write("web", if round % 2 == 0 { OTHER_SLEEPER } else { SLEEPER });
            thread::sleep(Duration::from_millis(50));
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    assert!(share < at_most(0.02), "{share}");
    let starts = colony.metric(r#"ncolony_process_starts_total{process="web"}"#).expect("the metric");
    assert!(starts <= 2.0 + seconds, "{starts} starts in {seconds} s; the log:\n{}", colony.log());
    // The last word counts.
    colony.write("web", r#"{"args": ["sleep", "1002"]}"#);
    colony.wait("the last version", || {
        let pid = colony.pid_of("web")?;
        fs::read_to_string(format!("/proc/{pid}/cmdline")).ok().filter(|line| line.contains("1002"))
    });
    wait_gone(web);
    runs_on(&colony, "db", db);
}

// C21
#[test]
fn without_a_watch_changes_are_seen_at_the_tick() {
    let colony = Setup::new().file("web", SLEEPER).flags(&["--no-watch"]).start();
    let web = colony.wait_pid("web", None);
    assert_eq!(colony.metric(WATCHED), Some(0.0));
    colony.write("web", OTHER_SLEEPER);
    colony.wait_pid("web", Some(web));
    colony.message("restart", r#"{"type": "RESTART-ALL"}"#);
    colony.wait_log("RESTART-ALL) is carried out");
    assert_eq!(colony.metric(r#"ncolony_config_scans_total{trigger="event"}"#), Some(0.0));
    assert!(!colony.log().contains("WARN"), "it was asked for:\n{}", colony.log());
}

// C21
#[test]
fn where_inotify_is_refused_it_says_why_once_and_all_works_at_the_tick() {
    let refuse = "echo 0 > /proc/sys/user/max_inotify_instances";
    let shell = |script| ["--user", "--map-root-user", "sh", "-ec", script];
    if !can("a user namespace with limits of its own", succeeds("unshare", &shell(refuse))) {
        return;
    }
    let script = format!("{refuse}; exec \"$0\" \"$@\"");
    let setup = Setup::new().file("web", SLEEPER);
    let colony = setup.through(&["unshare", "--user", "--map-root-user", "sh", "-ec", &script]).start();
    let web = colony.wait_pid("web", None);
    assert_eq!(colony.metric(WATCHED), Some(0.0));
    colony.wait_finding("watch", "fs.inotify.max_user_instances");
    assert_eq!(colony.get("/healthz").0, 200);
    colony.write("web", OTHER_SLEEPER);
    colony.wait_pid("web", Some(web));
    colony.wait_ticks(2);
    assert_eq!(colony.count("fs.inotify.max_user_instances"), 1, "{}", colony.log());

    // No fault is final.
    let pid = colony.pid().to_string();
    let relief = "echo 128 > /proc/sys/user/max_inotify_instances";
    assert!(succeeds("nsenter", &["-t", &pid, "-U", "--preserve-credentials", "sh", "-ec", relief]));
    colony.wait_metric(WATCHED, is_one);
    colony.wait_log("the directories are watched again");
}

// C22
#[test]
fn when_the_kernel_has_more_to_tell_than_its_queue_holds_nothing_is_lost() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("/proc");
    let limit: usize = limit.trim().parse().expect("a number");
    let colony = Setup::new().file("web", SLEEPER).flags(&["--frequency", "1000"]).start();
    let web = colony.wait_pid("web", None);
    colony.wait_metric(WATCHED, is_one);
    colony.freeze();
    let (one, two) = (colony.path("config/.one"), colony.path("config/.two"));
    fs::write(&one, "").expect("a file");
    for _ in 0..limit / 4 + 100 {
        // Two events each, and no two in a row alike, so that none are merged.
        fs::rename(&one, &two).expect("renaming");
        fs::rename(&two, &one).expect("renaming");
    }
    colony.write("web", OTHER_SLEEPER);
    colony.signal(Signal::SIGCONT);
    colony.wait_pid("web", Some(web));
    colony.wait_metric("ncolony_watch_overflows_total ", |overflows| overflows >= 1.0);
    colony.write("new", SLEEPER);
    colony.wait_pid("new", None);
}

/// A process file with this key, and others.
fn with_key(key: &str, value: &str) -> String {
    let others = [
        ("args", r#"["sleep", "1000"]"#),
        ("env", r#"{"A": "1"}"#),
        ("workingDir", r#""/""#),
        ("restartPolicy", r#""Always""#),
        ("group", r#"["one"]"#),
        ("mine", r#""extra""#),
    ];
    let all = others.into_iter().filter(|(name, _)| *name != key).chain([(key, value)]);
    let all: Vec<String> = all.map(|(key, value)| format!("{key:?}: {value}")).collect();
    format!("{{{}}}", all.join(", "))
}

#[test]
fn an_edit_of_policy_applies_to_the_living_run() {
    let colony = Colony::with(&[("web", &with_key("suspend", "false"))]);
    let web = colony.wait_pid("web", None);
    let rows = [
        ("backoff", r#"{"initialSeconds": 2, "maxSeconds": 9}"#),
        ("terminationGracePeriodSeconds", "7.5"),
        ("restartPolicy", r#""OnFailure""#),
        ("readinessGate", "false"),
        ("group", r#"["two"]"#),
        ("killMode", r#""group""#),
        ("lifecycle", r#"{"stopSignal": "INT"}"#),
        ("ncolony.beatcheck", r#"{"period": 1000, "grace": 3, "status": "/nowhere"}"#),
    ];
    for (number, (key, value)) in rows.iter().enumerate() {
        colony.write("web", &with_key(key, value));
        colony.wait(&format!("the edit of {key} to be taken"), || {
            (colony.count("the edited file of web is in force; it runs on") == number + 1).then_some(())
        });
        runs_on(&colony, "web", web);
    }
}

#[test]
fn an_edit_of_what_a_run_is_born_with_restarts_it() {
    if !can("root", Uid::effective().is_root()) {
        return;
    }
    let rows = [
        ("args", r#"["sleep", "1001"]"#),
        ("command", r#"["sleep"]"#),
        ("env", r#"{"A": "2"}"#),
        ("env_inherit", r#"["PATH"]"#),
        ("uid", "65534"),
        ("gid", "65534"),
        ("workingDir", r#""/tmp""#),
        ("output", r#""json""#),
        ("mine", r#""another""#),
        ("yours", "1"),
    ];
    // A process for each row.
    let before = with_key("suspend", "false");
    let setup = Setup::new().file("untouched", &before);
    let colony = rows.iter().fold(setup, |setup, (key, _)| setup.file(&format!("web-{key}"), &before)).start();
    let pids = rows.map(|(key, _)| colony.wait_pid(&format!("web-{key}"), None));
    let untouched = colony.wait_pid("untouched", None);
    for (key, value) in rows {
        let text = match key {
            "command" => r#"{"command": ["sleep"], "args": ["1000"]}"#.to_string(),
            _ => with_key(key, value),
        };
        colony.write(&format!("web-{key}"), &text);
    }
    for ((key, _), pid) in rows.iter().zip(pids) {
        colony.wait_pid(&format!("web-{key}"), Some(pid));
        assert_eq!(colony.count(&format!("SIGTERM to the main process of web-{key}: its file changed")), 1);
    }
    runs_on(&colony, "untouched", untouched);
}

#[test]
fn a_suspended_process_is_stopped_and_starts_again_when_it_is_not() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    let web = colony.wait_pid("web", None);
    colony.write("web", r#"{"args": ["sleep", "1000"], "suspend": true}"#);
    wait_gone(web);
    colony.wait_finding("web", "[+]web ok");
    assert_eq!(colony.get("/healthz").0, 200, "what is not wanted running is not waited for");
    assert_eq!(colony.metric(r#"ncolony_process_up{process="web"}"#), Some(0.0));
    colony.write("web", SLEEPER);
    colony.wait_pid("web", Some(web));
}

#[test]
fn root_takes_no_file_that_others_can_write_unless_told_to() {
    if !can("root", Uid::effective().is_root()) {
        return;
    }
    let setup = || {
        let setup = Setup::new().file("web", SLEEPER).file("writable", SLEEPER).file("foreign", SLEEPER);
        let config = setup.path("config");
        fs::set_permissions(config.join("writable"), fs::Permissions::from_mode(0o664)).expect("our file");
        chown(&config.join("foreign"), Some(nix::unistd::Uid::from_raw(1234)), None).expect("root");
        setup
    };
    let colony = setup().start();
    let web = colony.wait_pid("web", None);
    let writable = colony.wait_finding("writable", "refused");
    let foreign = colony.wait_finding("foreign", "refused");
    assert!(writable.contains("it can be written by others"), "{writable}");
    assert!(foreign.contains("1234"), "{foreign}");
    // Mended by a chmod alone.
    fs::set_permissions(colony.path("config/writable"), fs::Permissions::from_mode(0o644)).expect("our file");
    colony.wait_pid("writable", None);
    // A running process's file that becomes another's is refused, and the process runs on.
    chown(&colony.path("config/web"), Some(nix::unistd::Uid::from_raw(1234)), None).expect("root");
    colony.wait_finding("web", "the last good version runs");
    runs_on(&colony, "web", web);

    let trusting = setup().flags(&["--trusted-uid", "1234"]).start();
    trusting.wait_pid("foreign", None);
    trusting.wait_finding("writable", "refused");
    assert_eq!(trusting.pid_of("writable"), None);

    let insecure = setup().flags(&["--insecure-config"]).start();
    insecure.wait_pid("foreign", None);
    insecure.wait_pid("writable", None);
}

#[test]
fn root_takes_nothing_from_a_directory_that_others_can_write() {
    if !can("root", Uid::effective().is_root()) {
        return;
    }
    let setup = Setup::new().file("web", SLEEPER);
    fs::set_permissions(setup.path("config"), fs::Permissions::from_mode(0o777)).expect("our directory");
    let colony = setup.start();
    let line = colony.wait_finding("web", "refused");
    assert!(line.contains("its directory can be written by others"), "{line}");
    assert_eq!(colony.pid_of("web"), None);
    fs::set_permissions(colony.path("config"), fs::Permissions::from_mode(0o755)).expect("our directory");
    let web = colony.wait_pid("web", None);
    fs::set_permissions(colony.path("config"), fs::Permissions::from_mode(0o777)).expect("our directory");
    colony.wait_finding("web", "the last good version runs");
    runs_on(&colony, "web", web);
}

/// `NCOLONY_CONFIG` as the process has it.
fn handed_on(colony: &Colony, name: &str) -> String {
    let pid = colony.wait_pid(name, None);
    colony.wait("the program to run", || {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let variables = environment.split(|byte| *byte == 0);
        let ours = variables.filter_map(|variable| variable.strip_prefix(b"NCOLONY_CONFIG=")).next()?;
        Some(String::from_utf8(ours.to_vec()).expect("UTF-8"))
    })
}

#[test]
fn a_process_gets_its_json_file_to_the_byte_and_its_yaml_file_as_json() {
    let json = "{ \"args\":[\"sleep\",  \"1000\"],\n\t\"mine\": {\"b\": 1.50, \"a\": \"\\u00e4\u{e4}\"} }\n\n";
    let yaml = "args: [sleep, '1000']\nmine:\n  b: 1.5\n  a: |\n    two\n    lines\n  list: [yes, null, 0x10]\n";
    let colony = Colony::with(&[("web", json), ("db.yaml", yaml)]);
    assert_eq!(handed_on(&colony, "web"), json);
    let rendered = handed_on(&colony, "db");
    let value: serde_json::Value = serde_json::from_str(&rendered).expect("JSON");
    assert_eq!(value["args"], serde_json::json!(["sleep", "1000"]));
    assert_eq!(value["mine"]["b"], serde_json::json!(1.5));
    assert_eq!(value["mine"]["a"], "two\nlines\n");
}

/// An strace that has a system call of a monitor fail, where it is about this path; it lets go of it when it ends.
struct Strace(std::process::Child);

impl Strace {
    fn attach(colony: &Colony, path: &Path, inject: &str) -> Strace {
        let mut strace = std::process::Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", inject, "-P"]).arg(path);
        let strace = Strace(strace.args(["-p", &colony.pid().to_string()]).spawn().expect("strace runs"));
        let is_traced = || status(colony.pid(), "TracerPid").filter(|tracer| tracer != "0");
        colony.wait("strace to hold the monitor", is_traced);
        strace
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

// C13: a disk that fails is not an empty directory.
#[test]
fn a_directory_that_fails_with_eio_changes_nothing_and_is_told_and_read_again_when_it_can() {
    if !can("strace", succeeds("strace", &["-f", "true"])) {
        return;
    }
    for call in ["getdents64", "openat"] {
        let colony = Colony::with(&[("web", SLEEPER), ("db", SLEEPER)]);
        let (web, db) = (colony.wait_pid("web", None), colony.wait_pid("db", None));
        let strace = Strace::attach(&colony, &colony.path("config"), &format!("inject={call}:error=EIO"));
        colony.wait_log("I/O error; everything stays as it is");
        colony.remove("db");
        colony.write("web", OTHER_SLEEPER);
        colony.wait("it not to be ready", || (colony.get("/healthz").0 == 503).then_some(()));
        colony.wait_ticks(2);
        runs_on(&colony, "web", web);
        runs_on(&colony, "db", db);
        assert_eq!(colony.count("I/O error; everything stays as it is"), 1, "{}", colony.log());
        drop(strace);
        colony.wait_log("the directory of process files can be read again");
        colony.wait_pid("web", Some(web));
        wait_gone(db);
    }
}
