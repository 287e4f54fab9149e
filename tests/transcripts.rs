//! What a user types and sees, as it is: each file of `tests/transcripts` is a session in a directory of its own, with
//! `config` and `messages` in it. `$ ` begins a command of the shell, `> ` goes on with it; below stands what it printed,
//! stdout and stderr as they came, and `? N` an exit status that is not 0. A comment stands above its command and below an
//! empty line. `NCOLONY_BLESS=1` writes them anew.
//!
//! `ctl` is `ncolony ctl --config config --messages messages`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

/// One command, and all of the lines that belong to it.
struct Step {
    comment: String,
    command: String,
    expected: String,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut comment = String::new();
    for line in text.split_inclusive('\n') {
        let is_comment = line.starts_with("# ") && !is_output(&steps);
        match (line.strip_prefix("$ "), line.strip_prefix("> "), steps.last_mut()) {
            (None, None, _) if is_comment => comment.push_str(line),
            (Some(command), _, _) => {
                let comment = std::mem::take(&mut comment);
                steps.push(Step { comment, command: command.to_string(), expected: String::new() });
            }
            (None, Some(more), Some(step)) if step.expected.is_empty() => step.command.push_str(more),
            (None, _, Some(step)) => step.expected.push_str(line),
            (None, _, None) => assert!(line.trim().is_empty(), "a transcript begins with a command: {line}"),
        }
    }
    steps
}

/// Whether a line that looks like a comment is something that was printed: a comment stands below an empty line.
fn is_output(steps: &[Step]) -> bool {
    steps.last().is_some_and(|step| !step.expected.ends_with("\n\n") && step.expected != "\n")
}

/// What a command prints, and how it ends.
fn output(dir: &Path, command: &str) -> String {
    let ncolony = Path::new(env!("CARGO_BIN_EXE_ncolony"));
    let function = format!("ncolony() {{ {} \"$@\"; }}\n", ncolony.display());
    let ctl = "ctl() { ncolony ctl --config config --messages messages \"$@\"; }\nexec 2>&1\n";
    let mut shell = Command::new("/bin/sh");
    let output =
        shell.args(["-c", &format!("{function}{ctl}{command}")]).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.expect("a shell");
    let mut told = String::from_utf8_lossy(&output.stdout).replace(&dir.display().to_string(), "[DIR]");
    if !told.is_empty() && !told.ends_with('\n') {
        told.push('\n');
    }
    match output.status.code() {
        Some(0) => {}
        Some(code) => told.push_str(&format!("? {code}\n")),
        None => told.push_str(&format!("{}\n", output.status)),
    }
    told
}

/// Whether somebody seems to be at work on the messages.
enum Monitor {
    Absent,
    Present,
}

fn holds(name: &str, monitor: Monitor) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).expect("a transcript");
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().canonicalize().expect("a path");
    for name in ["config", "messages"] {
        fs::create_dir(dir.join(name)).expect("a directory");
    }
    // As a monitor does it; nothing is taken out, so that what was asked for is to be seen.
    let _claim = match monitor {
        Monitor::Absent => None,
        Monitor::Present => {
            let messages = fs::File::open(dir.join("messages")).expect("a directory");
            Some(Flock::lock(messages, FlockArg::LockExclusiveNonblock).expect("a lock"))
        }
    };
    let (mut seen, mut expected) = (String::new(), String::new());
    for step in steps(&text) {
        let head = format!("{}$ {}\n", step.comment, step.command.trim_end().replace('\n', "\n> "));
        for (told, whole) in [(output(&dir, &step.command), &mut seen), (step.expected, &mut expected)] {
            let told = told.trim_end_matches('\n');
            let _ = writeln!(whole, "{head}{told}{}", if told.is_empty() { "" } else { "\n" });
        }
    }
    if std::env::var_os("NCOLONY_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &seen).expect("a place for the transcript");
        return;
    }
    assert_eq!(seen, expected, "{}", path.display());
}

#[test]
fn apply_writes_what_the_monitor_takes_and_nothing_else() {
    holds("apply", Monitor::Absent);
}

#[test]
fn diff_shows_what_apply_would_do_and_does_nothing() {
    holds("diff", Monitor::Absent);
}

#[test]
fn delete_ends_whom_it_names_and_nobody_that_others_need() {
    holds("delete", Monitor::Absent);
}

#[test]
fn scale_and_persist_change_one_key_and_leave_all_else() {
    holds("edit", Monitor::Absent);
}

#[test]
fn what_is_asked_of_the_monitor_is_a_message_each() {
    holds("ask", Monitor::Present);
}

#[test]
fn without_a_monitor_what_only_a_monitor_can_do_is_refused() {
    holds("absent", Monitor::Absent);
}

#[test]
fn what_is_printed_for_readers_is_found_by_its_name() {
    holds("documents", Monitor::Absent);
}

#[test]
fn every_transcript_is_played() {
    let told = include_str!("transcripts.rs");
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")).expect("a directory") {
        let path: PathBuf = entry.expect("an entry").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        assert!(told.contains(&format!("holds(\"{name}\", ")), "{name}");
    }
}
