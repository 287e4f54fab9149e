//! What each program says to what it cannot use, and the exit status that a script sees. Exit status 2 is a command line that
//! says nothing, 1 something that was not done.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::Uid;
use tempfile::TempDir;

use crate::support::{can, succeeds, wait_for};

const BINARY: &str = env!("CARGO_BIN_EXE_ncolony");

/// Directories: CONFIG and MESSAGES as they should be, NOWHERE that is missing, FILE that is none.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["CONFIG", "MESSAGES"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        fs::write(dir.path().join("FILE"), "no JSON").expect("a file");
        fs::write(dir.path().join("CONFIG/web"), r#"{"args": ["true"]}"#).expect("a file");
        Place(dir)
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// A line in which the directories stand for their paths.
    fn words(&self, line: &str) -> Vec<String> {
        let is_ours = |word: &&str| ["CONFIG", "MESSAGES", "NOWHERE", "FILE"].contains(word);
        let word = |word: &str| if is_ours(&word) { self.path(word).display().to_string() } else { word.to_string() };
        line.split(' ').map(word).collect()
    }

    /// Exit status, and what is said on stderr.
    fn run(&self, mut command: Command, line: &str) -> (Option<i32>, String) {
        command.args(self.words(line)).env_remove("NCOLONY_CONFIG").env_remove("NCOLONY_RUN").stdin(Stdio::null());
        let output = command.output().expect("it starts");
        let told = String::from_utf8_lossy(&output.stderr).replace(&format!("{}/", self.0.path().display()), "");
        (output.status.code(), told)
    }

    /// Names below a directory.
    fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).expect("a directory").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

#[test]
fn each_program_says_what_it_cannot_use_and_with_which_status() {
    let place = Place::new();
    let ctl = |rest: &str| format!("ctl --config CONFIG --messages MESSAGES {rest}");
    let rows: [(String, i32, &str); 29] = [
        (ctl("add a/b --cmd true"), 1, "a name does not contain '/'"),
        (ctl("add --name= --cmd true"), 1, "a name needs at least one character"),
        (ctl("add web --cmd true --env A"), 1, "--env \"A\" is not NAME=VALUE"),
        (ctl("add web --cmd true --env-inherit A=b"), 1, "--env-inherit \"A=b\" is not the name of a variable"),
        (ctl("add web --cmd true --uid root"), 2, "expected a number from 0 to 4294967294; names are not looked up"),
        (
            ctl("add web --cmd true --gid -1"),
            2,
            "invalid value '-1' for '--gid <N>': expected a number from 0 to 4294967294; names are not looked up",
        ),
        (ctl("add web --cmd true --extras FILE"), 1, "--extras FILE is not JSON"),
        (ctl("add web --cmd true --extras NOWHERE"), 1, "cannot read --extras NOWHERE: No such file or directory"),
        (ctl("add web"), 2, "--cmd <CMD>"),
        (ctl("add web --name web --cmd true"), 2, "cannot be used with"),
        (ctl("remove a/b"), 1, "a name does not contain '/'"),
        (ctl("restart nobody"), 1, "process \"nobody\" not found in CONFIG"),
        (ctl("restart"), 2, "give a NAME"),
        ("ctl --config NOWHERE --messages MESSAGES add web --cmd true".into(), 1, "cannot use --config NOWHERE"),
        ("ctl --config FILE --messages MESSAGES remove web".into(), 1, "cannot use --config FILE"),
        ("ctl --config CONFIG --messages NOWHERE restart web".into(), 1, "cannot use --messages NOWHERE"),
        ("ctl --config CONFIG --messages FILE restart-all".into(), 1, "cannot use --messages FILE"),
        ("beat".into(), 1, "nobody asks for a heartbeat"),
        ("beat --every often".into(), 2, "expected a number of seconds"),
        ("beatcheck --config FILE --messages MESSAGES".into(), 78, "--config FILE is not a directory"),
        ("httpcheck --config CONFIG --messages FILE".into(), 78, "--messages FILE is not a directory"),
        ("httpcheck --config CONFIG --messages MESSAGES --freq x".into(), 2, "expected a number of seconds"),
        ("scheduler --arg true --frequency x --timeout 1 --grace 1".into(), 2, "expected a number of seconds"),
        ("scheduler --frequency 1 --timeout 1 --grace 1".into(), 2, "--arg <ARG>"),
        ("reaper --grace x true".into(), 125, "\"x\" is no number of seconds"),
        ("reaper /nowhere/program".into(), 127, "No such file or directory"),
        ("check NOWHERE".into(), 1, "cannot check NOWHERE: No such file or directory"),
        ("check FILE".into(), 1, "FILE"),
        ("run --listen off --config FILE --messages MESSAGES".into(), 78, "FILE is not a directory"),
    ];
    for (line, code, complaint) in rows {
        let (found, told) = place.run(Command::new(BINARY), &line);
        assert_eq!(found, Some(code), "{line}: {told}");
        assert!(told.contains(complaint), "{line}: {told}");
    }
    assert_eq!((place.names("CONFIG"), place.names("MESSAGES")), (vec!["web".to_string()], vec![]), "as they were");
    assert_eq!(fs::read_to_string(place.path("CONFIG/web")).expect("the file"), r#"{"args": ["true"]}"#);
    assert!(!place.path("NOWHERE").exists());
}

/// The binary, run as somebody who may do nothing here; `None` where that cannot be.
fn as_nobody(place: &Place) -> Option<Command> {
    if !Uid::effective().is_root() {
        return Some(Command::new(BINARY));
    }
    let drops = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    if !can("setpriv", succeeds("setpriv", &[&drops[..], &["true"]].concat())) {
        return None;
    }
    // Where the binary lies may be closed to others.
    let copy = place.path("ncolony");
    if !copy.exists() {
        // By another program: a descriptor of ours for writing, in a child that is just being made, would keep it busy.
        assert!(succeeds("cp", &[BINARY, copy.to_str().expect("UTF-8")]), "room for a copy");
    }
    let mut command = Command::new("setpriv");
    command.args(drops).arg(copy);
    Some(command)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn who_has_no_rights_is_told_so_and_nothing_is_changed() {
    let place = Place::new();
    set_mode(place.0.path(), 0o755);
    fs::write(place.path("secret"), "{}").expect("a file");
    for (name, mode) in [("CONFIG", 0o555), ("MESSAGES", 0o555), ("secret", 0o000)] {
        set_mode(&place.path(name), mode);
    }
    let ctl = |rest: &str| format!("ctl --config CONFIG --messages MESSAGES {rest}");
    let secret = place.path("secret").display().to_string();
    let rows = [
        (ctl("add db --cmd true"), 1, "cannot write CONFIG/db: Permission denied"),
        (ctl("remove web"), 1, "cannot delete CONFIG/web: Permission denied"),
        (ctl("restart web"), 1, "cannot write MESSAGES/"),
        (ctl("restart-all"), 1, "Permission denied"),
        (ctl(&format!("add db --cmd true --extras {secret}")), 1, "cannot read --extras secret: Permission denied"),
        (format!("reaper {secret}"), 126, "Permission denied"),
        (format!("beat --while -- {secret}"), 126, "Permission denied"),
    ];
    for (line, code, complaint) in rows {
        let Some(command) = as_nobody(&place) else { return };
        let (found, told) = place.run(command, &line);
        assert_eq!(found, Some(code), "{line}: {told}");
        assert!(told.contains(complaint), "{line}: {told}");
    }
    let Some(mut beat) = as_nobody(&place) else { return };
    let status = place.path("CONFIG/status");
    let config = format!(r#"{{"ncolony.beatcheck": {{"period": 1, "status": {status:?}}}}}"#);
    let output = beat.arg("beat").env("NCOLONY_CONFIG", config).output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), told.contains("Permission denied")), (Some(1), true), "{told}");
    assert_eq!((place.names("CONFIG"), place.names("MESSAGES")), (vec!["web".to_string()], vec![]), "as they were");
}

#[test]
fn a_checker_without_rights_says_so_and_goes_on_until_it_has_them() {
    let place = Place::new();
    set_mode(place.0.path(), 0o755);
    set_mode(&place.path("CONFIG"), 0o700);
    set_mode(&place.path("MESSAGES"), 0o555);
    let bad = r#"{"args": ["x"], "ncolony.beatcheck": {"period": 0.5, "grace": 0, "status": "/nowhere/status"}}"#;
    fs::write(place.path("CONFIG/web"), bad).expect("a file");
    if !Uid::effective().is_root() {
        set_mode(&place.path("CONFIG"), 0o000);
    }
    let Some(mut command) = as_nobody(&place) else { return };
    command.args(place.words("beatcheck --config CONFIG --messages MESSAGES --freq 0.1")).env_remove("NCOLONY_CONFIG");
    let log = fs::File::create(place.path("log")).expect("a file");
    let mut checker = command.stdin(Stdio::null()).stderr(log).spawn().expect("it starts");
    let wait_told = |text: &str| {
        wait_for(text, || fs::read_to_string(place.path("log")).unwrap_or_default().contains(text).then_some(()));
    };
    wait_told(&format!("cannot open {}: Permission denied", place.path("CONFIG").display()));
    set_mode(&place.path("CONFIG"), 0o755);
    wait_told("cannot ask for a restart of web");
    set_mode(&place.path("MESSAGES"), 0o777);
    wait_told("asked for a restart of web: there is no /nowhere/status");
    checker.kill().expect("it lives");
    checker.wait().expect("our child");
}

#[test]
fn the_binary_may_be_called_by_its_version() {
    let place = Place::new();
    for name in ["ncolony-1.2-linux-amd64", "ncolony-", "ncolony.old"] {
        let link = place.path(name);
        std::os::unix::fs::symlink(BINARY, &link).expect("a link");
        let output = Command::new(link).args(["check"]).arg(place.path("CONFIG")).output().expect("it runs");
        assert!(output.status.success(), "{name}: {output:?}");
    }
}
