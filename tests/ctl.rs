//! `ncolony ctl` as a script uses it, and together with the original.
//!
//! The original is found through `NCOLONY_ORIGINAL`, the path of a Python that has the package ncolony (2024.1).

mod needs;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ncolony::messages::Inbox;
use ncolony::model::{self, Moment, Name, Request};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The two directories.
struct Places {
    root: TempDir,
    /// As long as it is held a monitor seems to be at work.
    _claim: Flock<File>,
}

impl Places {
    fn new() -> Places {
        let root = tempfile::tempdir().expect("a directory");
        for name in ["config", "messages"] {
            fs::create_dir(root.path().join(name)).expect("a directory");
        }
        let messages = File::open(root.path().join("messages")).expect("a directory");
        let claim = Flock::lock(messages, FlockArg::LockExclusiveNonblock).expect("a lock");
        Places { root, _claim: claim }
    }

    fn config(&self) -> PathBuf {
        self.root.path().join("config")
    }

    fn messages(&self) -> PathBuf {
        self.root.path().join("messages")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.config().join(name)
    }

    fn flags(&self) -> [PathBuf; 4] {
        ["--config".into(), self.config(), "--messages".into(), self.messages()]
    }

    /// Our control program.
    fn ctl(&self, line: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
        command.arg("ctl").args(self.flags()).args(line).output().expect("ncolony ctl")
    }

    fn succeeds(&self, line: &[&str]) {
        let output = self.ctl(line);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{line:?}");
        // As NColony's, which says nothing.
        let is_silent = ["add", "remove", "restart-all", "restart-group"].contains(&line[0]);
        assert!(output.stdout.is_empty() || !is_silent, "{line:?}");
    }

    /// What it says when it fails.
    fn fails(&self, line: &[&str]) -> String {
        let before = (names(&self.config()), names(&self.messages()));
        let output = self.ctl(line);
        assert_eq!(output.status.code(), Some(1), "{line:?}");
        assert_eq!((names(&self.config()), names(&self.messages())), before, "{line:?} changed something");
        stderr(&output)
    }

    fn requests(&self) -> Vec<Request> {
        let mut inbox = Inbox::open(&self.messages());
        inbox.list();
        let work = inbox.work(Moment::ZERO, 1_000);
        assert!(work.rejected.is_empty() && work.notices.is_empty() && !work.more, "{work:?}");
        work.handled
            .into_iter()
            .map(|message| {
                assert_eq!(inbox.done(&message), None);
                message.request
            })
            .collect()
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn value(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the file")).expect("JSON")
}

fn web() -> Request {
    Request::Restart(Name::parse("web").expect("a name"))
}

#[test]
fn a_name_that_is_added_and_removed_may_have_its_kind_before_it() {
    let places = Places::new();
    places.succeeds(&["add", "process/web", "--cmd", "nginx"]);
    assert_eq!(names(&places.config()), ["web".to_string()].into());
    places.succeeds(&["remove", "process/web"]);
    assert_eq!(names(&places.config()), BTreeSet::new());
}

#[test]
fn add_writes_the_file_whole_and_add_again_changes_it() {
    let places = Places::new();
    places.succeeds(&["add", "web", "--cmd", "/bin/sleep", "--arg", "60"]);
    assert_eq!(value(&places.file("web")), json!({"args": ["/bin/sleep", "60"]}));
    assert_eq!(names(&places.config()), BTreeSet::from(["web".to_string()]), "nothing else is left there");
    fs::set_permissions(places.file("web"), fs::Permissions::from_mode(0o600)).expect("chmod");
    places.succeeds(&["add", "--name", "web", "--cmd", "true", "--env", "SECRET=1"]);
    assert_eq!(value(&places.file("web")), json!({"args": ["true"], "env": {"SECRET": "1"}}));
    let mode = fs::metadata(places.file("web")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a file that was closed to others stays so");
}

#[test]
fn extras_are_added_and_win() {
    let places = Places::new();
    let extras = places.root.path().join("extras");
    fs::write(&extras, r#"{"uid": 7, "group": ["fronts"], "app": {"deep": [1, null]}}"#).expect("a file");
    let extras_flag = extras.to_str().expect("UTF-8");
    places.succeeds(&["add", "web", "--cmd", "true", "--uid", "1", "--gid", "2", "--extras", extras_flag]);
    let expected = r#"{"args": ["true"], "uid": 7, "gid": 2, "group": ["fronts"], "app": {"deep": [1, null]}}"#;
    assert_eq!(fs::read_to_string(places.file("web")).expect("the file"), expected);

    for (text, complaint) in [
        ("[1]", "holds no JSON object"),
        ("{", "is not JSON: EOF while parsing an object at line 1 column 1"),
        (r#"{"args": "true"}"#, "args: expected a list of texts, found text"),
        (r#"{"args": []}"#, "the monitor would refuse this"),
        (r#"{"restartPolicy": "sometimes"}"#, "restartPolicy: unknown value, expected Always, OnFailure or Never"),
    ] {
        fs::write(&extras, text).expect("a file");
        let told = places.fails(&["add", "web", "--cmd", "false", "--extras", extras_flag]);
        assert!(told.contains(complaint), "{text}: {told}");
        assert_eq!(fs::read_to_string(places.file("web")).expect("the file"), expected, "the old file stays");
    }
}

#[test]
fn names_that_the_monitor_would_not_take_are_refused() {
    let places = Places::new();
    let rows = [
        ("", "error: \"\" is no name for a process: a name needs at least one character\n"),
        (".web", "error: \".web\" is no name for a process: a name does not start with \".\"\n"),
        ("a/b", "error: \"a/b\" is no name for a process: a name does not contain '/'\n"),
        (
            "web.new",
            "error: \"web.new\" is no name for a process: files ending in \".new\" are passed over\n  choose a name that \
             does not end in \".new\"\n",
        ),
        (
            "web.json",
            "error: the file \"web.json\" describes the process \"web\"\n  the name is \"web\", without the extension\n",
        ),
    ];
    for (name, expected) in rows {
        assert_eq!(places.fails(&["add", name, "--cmd", "true"]), expected);
    }
    let longest = "x".repeat(253);
    places.succeeds(&["add", &longest, "--cmd", "true"]);
    places.succeeds(&["restart", &longest]);
    places.succeeds(&["remove", &longest]);
}

#[test]
fn a_process_is_not_added_beside_another_file_of_its_name() {
    let places = Places::new();
    fs::write(places.file("web.yaml"), "args: [sleep, '60']\n").expect("a file");
    let file = places.file("web.yaml");
    let expected = format!(
        "error: {} describes \"web\" already\n  edit that file, or delete it first: \
         ncolony ctl --messages {} --config {} remove web\n",
        file.display(),
        places.messages().display(),
        places.config().display()
    );
    assert_eq!(places.fails(&["add", "web", "--cmd", "true"]), expected);
}

#[test]
fn remove_deletes_the_file_whatever_its_extension() {
    let places = Places::new();
    for file in ["web", "web.json", "web.yaml", "web.yml"] {
        fs::write(places.file(file), "{}").expect("a file");
        fs::write(places.file("web2"), "{}").expect("a file");
        places.succeeds(&["remove", "web"]);
        assert_eq!(names(&places.config()), BTreeSet::from(["web2".to_string()]));
    }
    symlink("/nowhere", places.file("web")).expect("a link");
    places.succeeds(&["remove", "web"]);
    assert_eq!(names(&places.config()), BTreeSet::from(["web2".to_string()]));
}

#[test]
fn a_name_that_nobody_has_is_an_error_and_the_nearest_is_suggested() {
    let places = Places::new();
    fs::write(places.file("worker.yaml"), "").expect("a file");
    fs::create_dir(places.file("databases")).expect("a directory");
    fs::write(places.file("database~"), "").expect("a file");
    let dir = places.config();
    for verb in ["remove", "restart"] {
        let expected = format!("error: process \"workr\" not found in {}\n  did you mean \"worker\"?\n", dir.display());
        assert_eq!(places.fails(&[verb, "workr"]), expected);
        let told = places.fails(&[verb, "database"]);
        assert!(
            told.contains("its file would be database, database.json, database.yaml or database.yml there"),
            "{told}"
        );
        let told = places.fails(&[verb, "worker.yaml"]);
        assert!(told.contains("the name is \"worker\", without the extension"), "{told}");
    }
}

#[test]
fn restarts_are_asked_for_by_messages() {
    let places = Places::new();
    fs::write(places.file("web.yml"), "").expect("a file");
    places.succeeds(&["restart", "web"]);
    places.succeeds(&["restart-all"]);
    places.succeeds(&["restart-group", "fronts"]);
    assert_eq!(places.requests(), [web(), Request::RestartAll, Request::RestartGroup("fronts".into())]);
    assert_eq!(places.fails(&["restart-group", ""]), "error: the group's name is empty\n");
}

#[test]
fn a_name_is_taken_as_an_argument_and_as_an_option_by_each_verb_that_has_one() {
    let places = Places::new();
    for name in [&["web"][..], &["--name", "web"], &["--name=web"]] {
        let call = |verb: &str, more: &[&str]| places.succeeds(&[&[verb], name, more].concat());
        call("add", &["--cmd", "true", "--schedule", "0 3 * * *"]);
        assert_eq!(value(&places.file("web")), json!({"args": ["true"], "schedule": "0 3 * * *"}));
        call("restart", &[]);
        call("stop", &[]);
        call("start", &[]);
        call("trigger", &[]);
        let web = || Name::parse("web").expect("a name");
        let expected = [Request::Restart(web()), Request::Stop(web()), Request::Start(web()), Request::Trigger(web())];
        assert_eq!(places.requests(), expected, "{name:?}");
        call("remove", &[]);
        assert_eq!(names(&places.config()), BTreeSet::new());
    }
}

#[test]
fn our_own_keys_go_through_the_same_validation() {
    let places = Places::new();
    let add = ["add", "web", "--cmd", "true"];
    for (more, complaint) in [
        (["--restart-policy", "sometimes"], "restartPolicy: unknown value, expected Always, OnFailure or Never"),
        (["--schedule", "at noon"], "schedule: "),
    ] {
        let told = places.fails(&[&add[..], &more].concat());
        assert!(told.contains("the monitor would refuse this") && told.contains(complaint), "{told}");
    }
    places.succeeds(&[&add[..], &["--group", "fronts", "--restart-policy", "Never"]].concat());
    let expected = json!({"args": ["true"], "group": ["fronts"], "restartPolicy": "Never"});
    assert_eq!(value(&places.file("web")), expected);
}

#[test]
fn what_else_is_asked_for_by_messages() {
    let places = Places::new();
    fs::write(places.file("web.yml"), "").expect("a file");
    let name = |text: &str| Name::parse(text).expect("a name");
    places.succeeds(&["stop", "web"]);
    places.succeeds(&["start", "--name", "web"]);
    places.succeeds(&["trigger", "web"]);
    places.succeeds(&["signal", "web", "HUP"]);
    places.succeeds(&["signal", "web", "rtmin+3"]);
    places.succeeds(&["stop", "web-12"]);
    let signal = |number| Request::Signal(name("web"), model::Signal::from_raw(number).expect("a signal"));
    let expected = [
        Request::Stop(name("web")),
        Request::Start(name("web")),
        Request::Trigger(name("web")),
        signal(1),
        signal(37),
        Request::Stop(name("web-12")),
    ];
    assert_eq!(places.requests(), expected);
    for line in [&["stop", "wbe"][..], &["start", "wbe"], &["trigger", "wbe"], &["signal", "wbe", "HUP"]] {
        let told = places.fails(line);
        assert!(told.ends_with("did you mean \"web\"?\n"), "{line:?}: {told}");
    }
    // A set's replica is no file that could be removed.
    assert!(places.fails(&["remove", "web-12"]).starts_with("error: process \"web-12\" not found in"));
    let rows = [
        ("HPU", "error: there is no signal \"HPU\"\n  did you mean SIGHUP?\n"),
        ("65", "error: there is no signal \"65\"\n  name one such as HUP, SIGUSR1, RTMIN+3 or 15\n"),
        ("", "error: there is no signal \"\"\n  name one such as HUP, SIGUSR1, RTMIN+3 or 15\n"),
    ];
    for (signal, expected) in rows {
        assert_eq!(places.fails(&["signal", "web", signal]), expected);
    }
}

#[test]
fn a_missing_directory_is_told_and_not_made() {
    let places = Places::new();
    fs::remove_dir(places.config()).expect("rmdir");
    fs::remove_dir(places.messages()).expect("rmdir");
    let rows: [(&[&str], &str, PathBuf); 5] = [
        (&["add", "web", "--cmd", "true"], "--config", places.config()),
        (&["remove", "web"], "--config", places.config()),
        (&["restart", "web"], "--config", places.config()),
        (&["restart-all"], "--messages", places.messages()),
        (&["restart-group", "g"], "--messages", places.messages()),
    ];
    for (line, flag, dir) in rows {
        let expected = format!(
            "error: cannot use {flag} {}: No such file or directory (os error 2)\n  pass the directory that the monitor \
             was given as {flag}; it is not created here\n",
            dir.display()
        );
        let output = places.ctl(line);
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), expected), "{line:?}");
        assert!(!dir.exists());
    }
    fs::write(places.config(), "").expect("a file");
    let told = stderr(&places.ctl(&["add", "web", "--cmd", "true"]));
    assert!(told.starts_with(&format!("error: cannot use --config {}: ", places.config().display())), "{told}");
    assert!(told.contains("not a directory"), "{told}");
}

#[test]
fn a_write_that_fails_leaves_nothing_behind() {
    let places = Places::new();
    fs::create_dir(places.file("web")).expect("a directory");
    let told = places.fails(&["add", "web", "--cmd", "true"]);
    assert!(
        told.starts_with(&format!("error: cannot write {}: Is a directory", places.file("web").display())),
        "{told}"
    );
}

#[test]
fn a_wrong_command_line_is_exit_status_2() {
    let places = Places::new();
    for line in
        [&["add", "web"][..], &["add", "web", "--cmd", "true", "--uid", "root"], &["restart"], &["begin", "web"]]
    {
        assert_eq!(places.ctl(line).status.code(), Some(2), "{line:?}");
    }
}

/// The original, where there is one.
struct Original {
    python: PathBuf,
}

impl Original {
    fn find(test: &str) -> Option<Original> {
        let Some(python) = std::env::var_os("NCOLONY_ORIGINAL") else {
            needs::skip(&format!("{test}: NCOLONY_ORIGINAL is not set (a python that has the package ncolony)"));
            return None;
        };
        Some(Original { python: python.into() })
    }

    /// Its control program.
    fn ctl(&self, places: &Places, line: &[&str]) {
        let mut command = Command::new(&self.python);
        let output = command.args(["-m", "ncolony", "ctl"]).args(places.flags()).args(line).output();
        let output = output.expect("NCOLONY_ORIGINAL can be run");
        assert!(output.status.success(), "{line:?}: {}", stderr(&output));
    }

    /// Its monitor.
    fn monitor(&self, places: &Places) -> Monitor {
        let log = File::create(places.root.path().join("log")).expect("a log");
        let mut command = Command::new(self.python.with_file_name("twistd"));
        command.args(["--nodaemon", "--pidfile=", "ncolony", "--freq", "1", "--threshold", "0.01"]);
        command.args(places.flags()).current_dir(places.root.path()).stdin(Stdio::null());
        command.stderr(log.try_clone().expect("dup")).stdout(log);
        Monitor { child: command.spawn().expect("twistd beside NCOLONY_ORIGINAL") }
    }
}

/// Ends with its processes, whatever the test does.
struct Monitor {
    child: Child,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id() as i32);
        let asked = kill(pid, Signal::SIGTERM).is_ok();
        let limit = Instant::now() + Duration::from_secs(20);
        while asked && Instant::now() < limit && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `probe` gives something.
fn wait_for<T>(places: &Places, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        if Instant::now() > limit {
            let log = fs::read_to_string(places.root.path().join("log")).unwrap_or_default();
            panic!("{what} did not come; the monitor's log:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The pids of all runs of the process `name` so far, as it wrote them down itself.
fn runs(places: &Places, name: &str) -> Vec<i32> {
    let text = fs::read_to_string(places.root.path().join(format!("{name}.runs"))).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn wait_for_run(places: &Places, name: &str, number: usize) -> i32 {
    wait_for(places, &format!("run {number} of {name}"), || runs(places, name).get(number - 1).copied())
}

fn wait_until_gone(places: &Places, pid: i32) {
    wait_for(places, &format!("the end of {pid}"), || kill(Pid::from_raw(pid), None).is_err().then_some(()));
}

/// Adds a process that writes its pids down.
fn add_recorder(places: &Places, name: &str, more: &[&str]) {
    let script = format!("echo $$ >> {}/{name}.runs; exec sleep 1000", places.root.path().display());
    let line = ["add", name, "--cmd", "/bin/sh", "--arg", "-c", "--arg", &script];
    places.succeeds(&[&line, more].concat());
}

#[test]
fn our_ctl_drives_their_monitor() {
    let Some(original) = Original::find("our_ctl_drives_their_monitor") else { return };
    let places = Places::new();
    let extras = places.root.path().join("extras");
    fs::write(&extras, r#"{"group": ["fronts"]}"#).expect("a file");
    let extras = extras.to_str().expect("UTF-8").to_string();
    let _monitor = original.monitor(&places);

    add_recorder(&places, "web", &["--extras", &extras, "--env", "GREETING=h\u{e9}llo", "--env-inherit", "PATH"]);
    add_recorder(&places, "db", &[]);
    let (web, db) = (wait_for_run(&places, "web", 1), wait_for_run(&places, "db", 1));
    // It executes another program in between, and then has none for a moment.
    let environment = wait_for(&places, "its environment", || {
        fs::read(format!("/proc/{web}/environ")).ok().filter(|environment| !environment.is_empty())
    });
    let environment: BTreeSet<&[u8]> = environment.split(|byte| *byte == 0).collect();
    let config = [b"NCOLONY_CONFIG=".to_vec(), fs::read(places.file("web")).expect("the file")].concat();
    assert!(environment.contains("GREETING=h\u{e9}llo".as_bytes()) && environment.contains(config.as_slice()));
    assert!(environment.contains(format!("PATH={}", std::env::var("PATH").expect("PATH")).as_bytes()));

    places.succeeds(&["restart", "web"]);
    let web = wait_for_run(&places, "web", 2);
    places.succeeds(&["restart-group", "fronts"]);
    wait_until_gone(&places, web);
    wait_for_run(&places, "web", 3);
    assert_eq!(runs(&places, "db"), [db], "nobody asked for that");
    places.succeeds(&["restart-all"]);
    let (web, db) = (wait_for_run(&places, "web", 4), wait_for_run(&places, "db", 2));
    assert_eq!(names(&places.messages()), BTreeSet::new(), "they have taken them all");

    add_recorder(&places, "web", &["--env", "GREETING=other"]);
    wait_until_gone(&places, web);
    let web = wait_for_run(&places, "web", 5);
    places.succeeds(&["remove", "web"]);
    wait_until_gone(&places, web);
    kill(Pid::from_raw(db), None).expect("db runs on");
    assert_eq!((runs(&places, "web").len(), runs(&places, "db").len()), (5, 2));
}

#[test]
fn their_process_files_and_ours_are_equal_to_the_byte() {
    let Some(original) = Original::find("their_process_files_and_ours_are_equal_to_the_byte") else { return };
    let places = Places::new();
    let extras = places.root.path().join("extras");
    let text = r#"{"uid": 9, "group": ["a"], "x": {"\u00e9\ud83d\ude00": [1, 2.5, -3, true, null, "\u007f\"\\/\t"]},
        "n": [123456789012345678901234567890, {"m": -123456789012345678901}, 18446744073709551615, 1e3, 1.50e-7, 1E16]}"#;
    fs::write(&extras, text).expect("a file");
    let extras = extras.to_str().expect("UTF-8");
    let rows: [&[&str]; 5] = [
        &["--cmd", "true"],
        &["--cmd", "sh", "--arg=-c", "--arg", "echo \"gr\u{fc}\u{df}e\"\n"],
        &["--cmd", "sh", "--env", "A=b=c", "--env", "B=", "--env", "A=2", "--env-inherit", "X", "--env-inherit", "Y"],
        &["--cmd", "sh", "--gid", "2", "--uid", "1"],
        &["--cmd", "sh", "--uid", "1", "--extras", extras],
    ];
    for row in rows {
        places.succeeds(&[&["add", "ours"], row].concat());
        original.ctl(&places, &[&["add", "theirs"], row].concat());
        let (ours, theirs) = (places.file("ours"), places.file("theirs"));
        assert_eq!(value(&ours), value(&theirs), "{row:?}");
        let texts = [ours, theirs].map(|path| fs::read_to_string(path).expect("the file"));
        assert_eq!(texts[0], texts[1], "{row:?}");
    }
    original.ctl(&places, &["remove", "ours"]);
    places.succeeds(&["remove", "theirs"]);
    assert_eq!(names(&places.config()), BTreeSet::new());
}

#[test]
fn our_inbox_takes_their_messages() {
    let Some(original) = Original::find("our_inbox_takes_their_messages") else { return };
    let places = Places::new();
    original.ctl(&places, &["restart", "web"]);
    assert_eq!(places.requests(), [web()]);
    original.ctl(&places, &["restart-all"]);
    assert_eq!(places.requests(), [Request::RestartAll]);
}

#[test]
fn without_rights_nothing_is_changed_and_the_reason_is_told() {
    let places = Places::new();
    let root = places.root.path();
    fs::write(places.file("web.yaml"), "args: [a]\n").expect("a file");
    fs::write(places.file("secret.yaml"), "args: [a]\n").expect("a file");
    fs::write(root.join("new.yaml"), "args: [a]\n").expect("a file");
    let binary = root.join("ncolony");
    fs::copy(env!("CARGO_BIN_EXE_ncolony"), &binary).expect("a copy, since whoever has no rights may not reach it");
    let modes = [(root.to_path_buf(), 0o755), (places.config(), 0o555), (places.messages(), 0o555)];
    for (path, mode) in modes.into_iter().chain([(places.file("secret.yaml"), 0o000)]) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }
    let config = places.config();
    let shown = |name: &str| config.join(name).display().to_string();
    let rows: [(&[&str], String); 6] = [
        (&["apply", "-f", "new.yaml"], format!("error: cannot write {}", shown("new.yaml"))),
        (&["scale", "web", "--replicas=2"], format!("error: cannot write {}", shown("web.yaml"))),
        (&["stop", "secret", "--persist"], format!("error: cannot read {}", shown("secret.yaml"))),
        (&["delete", "web"], format!("error: cannot delete {}", shown("web.yaml"))),
        (&["stop", "web"], "error: cannot ask the monitor".to_string()),
        (&["diff", "-f", "config/secret.yaml"], "error: cannot read config/secret.yaml".to_string()),
    ];
    for (line, expected) in rows {
        let mut command = Command::new(&binary);
        command.arg("ctl").args(places.flags()).args(line).current_dir(root);
        if nix::unistd::geteuid().is_root() {
            command.uid(65_534).gid(65_534);
        }
        let output = command.output().expect("ncolony ctl");
        let told = stderr(&output);
        assert!(told.starts_with(&expected) && told.contains("Permission denied"), "{line:?}: {told}");
        assert_eq!(output.status.code(), Some(if line[0] == "diff" { 2 } else { 1 }), "{line:?}");
    }
    assert_eq!(names(&config), BTreeSet::from(["secret.yaml".to_string(), "web.yaml".to_string()]));
    assert_eq!(names(&places.messages()), BTreeSet::new());
    fs::set_permissions(&config, fs::Permissions::from_mode(0o755)).expect("chmod");
}
