//! `ncolony beatcheck` and `ncolony httpcheck`, with nobody to obey them: what they ask for, and what does not end them.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{lives, send, wait_for, write_file};

const BINARY: &str = env!("CARGO_BIN_EXE_ncolony");

/// Two directories, and a checker at work on them.
struct Stage {
    dir: TempDir,
    checker: Option<Child>,
}

impl Stage {
    fn new() -> Stage {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["config", "messages"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        Stage { dir, checker: None }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn file(&self, name: &str, text: &str) {
        write_file(&self.path("config"), name, text);
    }

    /// A file of a process that has to beat into `status`, and has no grace.
    fn beats(&self, status: &str) -> String {
        let asked = json!({"period": 1, "grace": 0, "status": self.path(status)});
        json!({"args": ["x"], "ncolony.beatcheck": asked}).to_string()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(BINARY);
        command.arg(program).arg("--config").arg(self.path("config")).arg("--messages").arg(self.path("messages"));
        command.args(["--freq", "0.1"]).env_remove("NCOLONY_RUN").env_remove("NCOLONY_CONFIG").stdin(Stdio::null());
        command.stderr(File::create(self.path("log")).expect("a file"));
        command
    }

    fn start(&mut self, program: &str) {
        self.checker = Some(self.command(program).spawn().expect("the binary starts"));
    }

    fn pid(&self) -> i32 {
        self.checker.as_ref().expect("it was started").id() as i32
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn wait_log(&self, text: &str) {
        wait_for(&format!("the log to say {text:?}"), || self.log().contains(text).then_some(()));
    }

    /// The messages that were written, taken away.
    fn take_messages(&self) -> Vec<Value> {
        let files = fs::read_dir(self.path("messages")).expect("a directory").flatten().map(|entry| entry.path());
        let whole = files.filter(|path| path.extension().is_none_or(|end| end != "new"));
        whole
            .map(|path| {
                let message = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
                fs::remove_file(path).expect("it is there");
                message
            })
            .collect()
    }

    fn wait_restart(&self, name: &str) {
        let expected = json!({"type": "RESTART", "name": name});
        wait_for(&format!("a request for {name}"), || self.take_messages().contains(&expected).then_some(()));
    }

    /// Ends the checker, which succeeds.
    fn end(mut self, signal: Signal) {
        send(self.pid(), signal);
        let status = self.checker.take().expect("it was started").wait().expect("our child");
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(checker) = &mut self.checker {
            let _ = checker.kill();
            let _ = checker.wait();
        }
    }
}

#[test]
fn that_messages_have_no_place_is_told_before_one_is_needed() {
    for program in ["beatcheck", "httpcheck"] {
        let mut stage = Stage::new();
        fs::remove_dir(stage.path("messages")).expect("it is empty");
        stage.start(program);
        stage.wait_log("/messages is no directory; until it is, no restart can be asked for");
        stage.end(Signal::SIGTERM);
    }
}

#[test]
fn bad_files_are_told_of_once_and_hurt_only_themselves() {
    let mut stage = Stage::new();
    stage.file("broken", "{");
    stage.file("list", "[1]");
    stage.file("shape", r#"{"ncolony.beatcheck": {"period": "x"}}"#);
    stage.file("empty", "");
    stage.file("half.new", "{");
    fs::create_dir(stage.path("config/directory")).expect("a directory");
    nix::unistd::mkfifo(&stage.path("config/fifo"), Mode::S_IRWXU).expect("a FIFO");
    symlink("/nowhere", stage.path("config/link")).expect("a link");
    stage.file("web", &stage.beats("nothing"));
    stage.start("beatcheck");
    stage.wait_restart("web");
    // Again and again: the next run does not beat, either.
    stage.wait_restart("web");
    stage.file("late", &stage.beats("nothing"));
    stage.wait_restart("late");
    let log = stage.log();
    for name in ["broken", "list", "shape", "empty", "fifo"] {
        let told = log.lines().filter(|line| line.starts_with(&format!("ncolony beatcheck: {name}:"))).count();
        assert_eq!(told, 1, "{name}: {log}");
    }
    stage.end(Signal::SIGTERM);
}

#[test]
fn who_beats_is_left_alone_until_it_stops() {
    let mut stage = Stage::new();
    stage.file("web", &stage.beats("status").replace("\"period\":1", "\"period\":5"));
    stage.start("beatcheck");
    let beats = std::time::Instant::now();
    while beats.elapsed().as_secs() < 7 {
        fs::write(stage.path("status"), "").expect("a file");
        assert_eq!(stage.take_messages(), [Value::Null; 0], "{}", stage.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    stage.wait_restart("web");
    assert!(stage.log().contains("asked for a restart of web: its heart has not beaten for "), "{}", stage.log());
    stage.end(Signal::SIGINT);
}

#[test]
fn directories_that_are_missing_may_come() {
    let mut stage = Stage::new();
    fs::remove_dir(stage.path("config")).expect("it is empty");
    fs::remove_dir(stage.path("messages")).expect("it is empty");
    stage.start("beatcheck");
    stage.wait_log(&format!("cannot open {}: No such file or directory", stage.path("config").display()));
    fs::create_dir(stage.path("config")).expect("a directory");
    stage.file("web", &stage.beats("nothing"));
    stage.wait_log(&format!("cannot ask for a restart of web in {}", stage.path("messages").display()));
    fs::create_dir(stage.path("messages")).expect("a directory");
    stage.wait_restart("web");
    assert_eq!(stage.log().matches("cannot ask").count(), 1, "once: {}", stage.log());
    stage.end(Signal::SIGQUIT);
}

#[test]
fn a_wrong_command_line_is_exit_status_2_and_a_directory_that_is_none_78() {
    let stage = Stage::new();
    fs::write(stage.path("file"), "").expect("a file");
    for program in ["beatcheck", "httpcheck"] {
        for (flags, code, complaint) in [
            (vec!["--freq", "often"], 2, "expected a number of seconds, such as 5 or 0.5"),
            (vec!["--freq=0"], 2, "expected 0.001 to 3153600000 seconds"),
            (vec!["--freq", "-1"], 2, "expected 0.001 to 3153600000 seconds"),
            (vec!["web"], 2, "unexpected argument 'web'"),
            (vec!["--config", "FILE"], 78, "--config FILE is not a directory"),
            (vec!["--messages", "FILE"], 78, "--messages FILE is not a directory"),
        ] {
            let file = stage.path("file").display().to_string();
            let flags = flags.iter().map(|flag| if *flag == "FILE" { &file } else { *flag });
            let output = Command::new(BINARY).arg(program).args(flags).output().expect("the binary starts");
            let told = String::from_utf8_lossy(&output.stderr).replace(&file, "FILE");
            assert_eq!(output.status.code(), Some(code), "{told}");
            assert!(told.contains(complaint), "{told}");
        }
    }
}

#[test]
fn a_json_file_is_called_as_the_monitor_calls_it_that_takes_the_messages() {
    let mut stage = Stage::new();
    stage.file("web.json", &stage.beats("nothing"));
    stage.start("beatcheck");
    // NColony's names a process as its file.
    stage.wait_restart("web.json");
    // As ours does.
    let claim = File::open(stage.path("messages")).expect("a directory");
    let claim = Flock::lock(claim, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).expect("a lock");
    stage.wait_restart("web");
    drop(claim);
    stage.wait_restart("web.json");
    stage.end(Signal::SIGTERM);
}

#[test]
fn flags_may_be_cut_short_and_the_program_be_called_by_its_own_name() {
    let mut stage = Stage::new();
    let link = stage.path("ncolony-httpcheck");
    symlink(BINARY, &link).expect("a link");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let url = format!("http://{nobody}/");
    let check = json!({"url": url, "period": 0.1, "timeout": 1, "maxBad": 2, "grace": 1});
    stage.file("web", &json!({"args": ["x"], "ncolony.httpcheck": check}).to_string());
    let ftp = json!({"url": "ftp://web/", "period": 1, "timeout": 1, "maxBad": 2, "grace": 1});
    stage.file("ftp", &json!({"args": ["x"], "ncolony.httpcheck": ftp}).to_string());
    let mut command = Command::new(link);
    command.arg("--conf").arg(stage.path("config")).arg("--mess").arg(stage.path("messages")).args(["--fre", "0.1"]);
    command.env_remove("NCOLONY_CONFIG").stderr(File::create(stage.path("log")).expect("a file"));
    stage.checker = Some(command.spawn().expect("the binary starts"));
    stage.wait_restart("web");
    stage.wait_log("asked for a restart of web: it has not answered, 3 times in a row: cannot connect to 127.0.0.1:");
    stage.wait_log("expected a URL, http://HOST:PORT/PATH or https://HOST:PORT/PATH");
    assert!(lives(stage.pid()));
    stage.end(Signal::SIGTERM);
}
