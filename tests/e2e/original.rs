//! The original NColony (2024.1, from PyPI) and ours, each with the other's parts.
//!
//! It is found through `NCOLONY_ORIGINAL`, the path of a Python that has it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Colony, Setup, can, lives, wait_for, wait_gone, write_file};

/// The original, where there is one.
pub(crate) struct Original {
    python: PathBuf,
}

impl Original {
    pub(crate) fn find() -> Option<Original> {
        let python = std::env::var_os("NCOLONY_ORIGINAL");
        can("the original NColony, with NCOLONY_ORIGINAL set to its Python", python.is_some())
            .then(|| Original { python: python.unwrap_or_default().into() })
    }

    pub(crate) fn python(&self) -> &str {
        self.python.to_str().expect("UTF-8")
    }

    /// Its control program, on a colony of ours.
    fn ctl(&self, colony: &Colony, line: &[&str]) {
        let mut command = Command::new(&self.python);
        command.args(["-m", "ncolony", "ctl", "--messages"]).arg(colony.path("messages"));
        let output = command.arg("--config").arg(colony.path("config")).args(line).output();
        let output = output.expect("NCOLONY_ORIGINAL can be run");
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// One of its programs as a process file, to be run by our monitor.
    pub(crate) fn program(&self, words: &[&str]) -> serde_json::Value {
        let twistd = self.python.with_file_name("twistd");
        let head = [twistd.to_str().expect("UTF-8"), "--nodaemon", "--pidfile="];
        let args = [&head[..], words].concat();
        json!({"args": args})
    }

    /// Its monitor, on directories below `dir`.
    pub(crate) fn monitor(&self, dir: &Path, flags: &[&str]) -> Theirs {
        let log = File::create(dir.join("their.log")).expect("a log");
        let mut command = Command::new(self.python.with_file_name("twistd"));
        command.args(["--nodaemon", "--pidfile=", "ncolony", "--config"]).arg(dir.join("config"));
        command.arg("--messages").arg(dir.join("messages")).args(flags).env("INHERITED", "from the monitor");
        command.current_dir(dir).process_group(0).stdin(Stdio::null());
        command.stderr(log.try_clone().expect("dup")).stdout(log);
        Theirs { monitor: command.spawn().expect("twistd beside NCOLONY_ORIGINAL") }
    }
}

/// Their monitor at work. Its processes end with it.
pub(crate) struct Theirs {
    monitor: Child,
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.monitor.id() as i32);
        let _ = kill(pid, Signal::SIGTERM);
        wait_for("their monitor's end", || self.monitor.try_wait().expect("our child"));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_string).collect()
}

#[test]
fn the_originals_ctl_drives_our_monitor() {
    let Some(original) = Original::find() else { return };
    let colony = Setup::new().env("INHERITED", "yes").start();
    let extras = colony.path("extras");
    fs::write(&extras, r#"{"group": ["fronts"], "theirs": {"deep": [1, null]}}"#).expect("a file");
    let add = ["add", "web", "--cmd", "sh", "--arg=-c", "--arg", "echo $A/$INHERITED; exec sleep 1000"];
    let more = ["--env", "A=b=c", "--env-inherit", "INHERITED", "--extras", text(&extras)];
    original.ctl(&colony, &[&add[..], &more[..]].concat());
    let first = colony.wait_pid("web", None);
    colony.wait("its output", || colony.stdout().contains("[web] b=c/yes\n").then_some(()));

    original.ctl(&colony, &["restart", "web"]);
    let second = colony.wait_pid("web", Some(first));
    original.ctl(&colony, &["restart-all"]);
    let third = colony.wait_pid("web", Some(second));
    original.ctl(&colony, &["add", "web", "--cmd", "sleep", "--arg", "1001"]);
    let fourth = colony.wait_pid("web", Some(third));
    original.ctl(&colony, &["remove", "web"]);
    wait_gone(fourth);
    colony.wait_log("web is gone");
    assert_eq!(colony.metric("ncolony_message_failures_total"), Some(0.0), "{}", colony.log());
}

#[test]
fn the_originals_beatcheck_runs_under_our_monitor_and_is_obeyed() {
    let Some(original) = Original::find() else { return };
    let setup = Setup::new();
    // In a directory of its own, so that the verdict is surely the original's.
    let checked = setup.path("checked");
    fs::create_dir(&checked).expect("a directory");
    let status = setup.path("status");
    let beat = json!({"args": ["sleep", "1000"], "ncolony.beatcheck": {"period": 1, "grace": 1, "status": status}});
    write_file(&checked, "web", &beat.to_string());
    let messages = setup.path("messages");
    let words = ["ncolony-beatcheck", "--config", text(&checked), "--messages", text(&messages), "--freq", "0.5"];
    let colony = setup
        .file("web", r#"{"args": ["sleep", "1000"]}"#)
        .file("beatcheck", &original.program(&words).to_string())
        .start();
    let first = colony.wait_pid("web", None);
    colony.wait_log("(RESTART) is carried out");
    colony.wait_pid("web", Some(first));
    let checker = colony.wait_pid("beatcheck", None);
    colony.remove("beatcheck");
    wait_gone(checker);
}

/// Beats with the original's client until there is a file `stop`.
pub(crate) const HEART: &str = "
import os, sys
from twisted.internet import reactor, task
from ncolony.client import heart
service = heart.makeService()
service.startService()
def look():
    if os.path.exists(sys.argv[1]) and service.running:
        service.stopService()
        print('no more beats', flush=True)
task.LoopingCall(look).start(0.05)
reactor.run()
";

#[test]
fn the_originals_heart_beats_under_our_monitor_and_is_missed_when_it_stops() {
    let Some(original) = Original::find() else { return };
    let setup = Setup::new();
    let (status, directory, stop) = (setup.path("status"), setup.path("hearts"), setup.path("stop"));
    fs::create_dir(&directory).expect("a directory");
    let beater = |status: &Path, stop: &Path| {
        json!({
            "args": [original.python(), "-c", HEART, stop],
            "ncolony.beatcheck": {"period": 1.5, "grace": 4, "status": status},
        })
        .to_string()
    };
    let never = setup.path("never");
    let colony = setup.file("stops", &beater(&status, &stop)).file("steady", &beater(&directory, &never)).start();
    let (first, steady) = (colony.wait_pid("stops", None), colony.wait_pid("steady", None));
    colony.wait("a beat in a file", || status.exists().then_some(()));
    colony.wait("a beat in a directory, named as the process", || directory.join("steady").exists().then_some(()));
    // Past the grace, so that it lives by its beats alone.
    let uptime = |name: &str| {
        let started = colony.metric(&format!("ncolony_process_start_time_seconds{{process=\"{name}\"}}"))?;
        Some(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64() - started)
    };
    colony.wait("the grace to be over", || uptime("stops").filter(|age| *age > 7.0));
    assert_eq!(colony.pid_of("stops"), Some(first), "{}", colony.log());

    fs::write(&stop, "").expect("a file");
    colony.wait("it to stop beating", || colony.stdout().contains("[stops] no more beats").then_some(()));
    colony.wait_pid("stops", Some(first));
    assert!(colony.log().contains("heartbeat"), "{}", colony.log());
    assert_eq!(colony.pid_of("steady"), Some(steady), "{}", colony.log());
}

#[test]
fn the_originals_scheduler_runs_under_our_monitor_and_beats_its_heart() {
    let Some(original) = Original::find() else { return };
    let setup = Setup::new();
    let (runs, status) = (setup.path("runs"), setup.path("status"));
    let command = format!("echo $NCOLONY_NAME $$ >> {}; exec sleep 1000", runs.display());
    let words = ["ncolony-scheduler", "--arg", "/bin/sh", "--arg=-c", "--arg", &command];
    let times = ["--frequency", "1", "--timeout", "1", "--grace", "1"];
    let mut file = original.program(&[&words[..], &times[..]].concat());
    file["ncolony.beatcheck"] = json!({"period": 5, "grace": 5, "status": status});
    let colony = setup.file("job", &file.to_string()).start();
    let scheduler = colony.wait_pid("job", None);
    // It ends each run by its timeout, and begins another.
    colony.wait("two runs", || (lines(&runs).len() >= 2).then_some(()));
    colony.wait("its heart", || status.exists().then_some(()));
    colony.remove("job");
    wait_gone(scheduler);
    // The command that the scheduler had begun does not stay behind.
    colony.wait_log("job is gone");
    for line in lines(&runs) {
        let (name, pid) = line.split_once(' ').expect("a name and a pid");
        assert!(name == "job" && !lives(pid.parse().expect("a pid")), "{line}: {}", colony.log());
    }
}

/// 2024.1 has no `twistd ncolony-httpcheck`; this is what it would be. It gives the client text, which wants bytes.
pub(crate) const HTTPCHECK: &str = "
import sys
from twisted.internet import reactor
from twisted.web import client
from ncolony import httpcheck
request = client.Agent.request
client.Agent.request = lambda agent, method, url, *rest: request(agent, method.encode(), url.encode(), *rest)
options = httpcheck.Options()
options.parseOptions(sys.argv[1:])
httpcheck.makeService(options).startService()
reactor.run()
";

#[test]
fn the_originals_httpcheck_runs_under_our_monitor_and_is_obeyed() {
    let Some(original) = Original::find() else { return };
    let setup = Setup::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    // In a directory of its own, so that the verdict is surely the original's.
    let checked = setup.path("checked");
    fs::create_dir(&checked).expect("a directory");
    let web = json!({
        "args": ["sleep", "1000"],
        "ncolony.httpcheck": {"url": format!("http://{free}/"), "period": 0.5, "timeout": 0.5, "maxBad": 0, "grace": 1},
    });
    write_file(&checked, "web", &web.to_string());
    let messages = setup.path("messages");
    let flags = ["--config", text(&checked), "--messages", text(&messages), "--freq", "0.2"];
    let args = [&[original.python(), "-c", HTTPCHECK][..], &flags[..]].concat();
    let colony = setup
        .file("web", r#"{"args": ["sleep", "1000"]}"#)
        .file("httpcheck", &json!({"args": args}).to_string())
        .start();
    let first = colony.wait_pid("web", None);
    colony.wait_log("(RESTART) is carried out");
    colony.wait_pid("web", Some(first));
}

/// What a process is born with.
#[derive(Debug, PartialEq)]
struct Born {
    argv: String,
    env: BTreeMap<String, String>,
    dir: PathBuf,
    ids: Vec<String>,
}

/// The process of this name whose `NCOLONY_CONFIG` is this very text.
fn born(name: &str, config: &str) -> Option<Born> {
    let is_it = |env: &BTreeMap<String, String>| {
        env.get("NCOLONY_NAME").is_some_and(|found| found == name)
            && env.get("NCOLONY_CONFIG").is_some_and(|found| found == config)
    };
    fs::read_dir("/proc").expect("/proc").flatten().find_map(|entry| {
        let proc = entry.path();
        let read = |file: &str| fs::read(proc.join(file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let env: BTreeMap<String, String> = read("environ")
            .ok()?
            .split_terminator('\0')
            .filter_map(|pair| pair.split_once('=').map(|(name, value)| (name.to_string(), value.to_string())))
            .collect();
        let status = read("status").ok()?;
        let ids = status.lines().filter(|line| line.starts_with("Uid:") || line.starts_with("Gid:"));
        let ids = ids.map(str::to_string).collect();
        let argv = read("cmdline").ok()?;
        let dir = fs::read_link(proc.join("cwd")).unwrap_or_default();
        is_it(&env).then_some(Born { argv, env, dir, ids })
    })
}

#[test]
fn a_directory_made_for_the_original_runs_unchanged_and_its_processes_are_born_alike() {
    let Some(original) = Original::find() else { return };
    let setup = Setup::new().env("INHERITED", "from the monitor");
    // Told apart from whatever else runs here.
    let mark = text(&setup.path("")).to_string();
    let python = original.python();
    let files = [
        ("plain", format!(r#"{{"args": ["/bin/sleep", "1000"], "mark": "{mark}"}}"#)),
        (
            "env",
            format!(
                r#"{{"args": ["/bin/sleep", "1000"], "env": {{"A": "b=c", "EMPTY": "", "INHERITED": "mine", "UNSET": "mine"}},
  "env_inherit": ["INHERITED", "UNSET", "NOBODY_SETS_THIS"], "mark": "{mark}"}}
"#
            ),
        ),
        (
            "with extras",
            format!(
                "\n\t {{\"mark\": \"{mark}\",\r\n\"args\":[\"{python}\",\"-c\",\"import time; time.sleep(1000)\",\"\u{e4}\",\"\"],\"group\":[\"a\",\"b\"],\
                 \"uid\":null,\"gid\":null,\"ncolony.beatcheck\":null,\"app\":{{\"deep\":[1e3,-0.5,null,\"\\u00e4\"]}}}}  "
            ),
        ),
        ("nobody", format!(r#"{{"args": ["/bin/sleep", "1000"], "uid": 65534, "gid": 65534, "mark": "{mark}"}}"#)),
        ("v1.2-ü", format!(r#"{{"args": ["/bin/sleep", "1000"], "mark": "{mark}"}}"#)),
    ];
    for (name, text) in &files {
        write_file(&setup.path("config"), name, text);
    }
    let is_root = nix::unistd::Uid::effective().is_root();
    if !is_root {
        fs::remove_file(setup.path("config/nobody")).expect("it is there");
    }
    fs::write(setup.path("config/half.new"), r#"{"args": ["/bin/sl"#).expect("a file");
    let runs = |(name, _): &&(&str, String)| is_root || *name != "nobody";

    let theirs = original.monitor(&setup.path(""), &["--freq", "1"]);
    let by_theirs: Vec<Born> = files
        .iter()
        .filter(runs)
        .map(|(name, text)| wait_for(&format!("{name} under theirs"), || born(name, text)))
        .collect();
    drop(theirs);
    wait_for("theirs to be gone", || files.iter().all(|(name, text)| born(name, text).is_none()).then_some(()));

    let dir = setup.path("");
    let colony = setup.within(&dir).start();
    for ((name, text), theirs) in files.iter().filter(runs).zip(by_theirs) {
        let mut ours = colony.wait(&format!("{name} under ours"), || born(name, text));
        assert!(ours.env.remove("NCOLONY_RUN").is_some(), "the only one that is ours");
        assert_eq!(ours, theirs, "{name}");
    }
    assert!(!colony.log().contains("half"), "{}", colony.log());
    assert!(!colony.log().contains(" WARN ") && !colony.log().contains(" ERROR "), "{}", colony.log());
}

/// Seconds between the lines of a file, each a time.
fn gaps(path: &Path) -> Vec<f64> {
    let times: Vec<f64> = lines(path).iter().filter_map(|line| line.parse().ok()).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The processes that show what the flags mean.
fn show_flags(dir: &Path, who: &str) -> (PathBuf, PathBuf) {
    let (crashes, stubborn) = (dir.join(format!("{who}.crashes")), dir.join(format!("{who}.stubborn")));
    let crash = format!("date +%s.%N >> {}", crashes.display());
    let trap = format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done", stubborn.display());
    write_file(&dir.join("config"), "crash", &json!({"args": ["/bin/sh", "-c", crash]}).to_string());
    write_file(&dir.join("config"), "stubborn", &json!({"args": ["/bin/sh", "-c", trap]}).to_string());
    (crashes, stubborn)
}

/// Removes the process that ignores SIGTERM; how long it takes until it is gone.
fn time_to_kill(dir: &Path, stubborn: &Path) -> Duration {
    let pid = wait_for("the stubborn one", || lines(stubborn).first()?.parse().ok());
    let then = Instant::now();
    fs::remove_file(dir.join("config/stubborn")).expect("it is there");
    wait_gone(pid);
    then.elapsed()
}

#[test]
fn the_flags_of_the_original_mean_the_same() {
    let Some(original) = Original::find() else { return };
    let flags = ["--freq", "0.2", "-t", "0.3", "-k", "1", "-m", "0.4", "-M", "0.8"];
    let judge = |who: &str, gaps: &[f64], kill: Duration| {
        let least = [0.4, 0.8, 0.8];
        for (gap, least) in gaps.iter().zip(least) {
            assert!((least - 0.05..least + 5.0).contains(gap), "{who}: {gaps:?}");
        }
        assert!(kill >= Duration::from_secs(1), "{who}: {kill:?}");
    };

    let dir = tempfile::tempdir().expect("a directory");
    for name in ["config", "messages"] {
        fs::create_dir(dir.path().join(name)).expect("a directory");
    }
    let (crashes, stubborn) = show_flags(dir.path(), "theirs");
    let theirs = original.monitor(dir.path(), &flags);
    let found = wait_for("four crashes under theirs", || Some(gaps(&crashes)).filter(|gaps| gaps.len() >= 3));
    judge("theirs", &found, time_to_kill(dir.path(), &stubborn));
    drop(theirs);

    let colony = Setup::new().flags(&flags).start();
    let dir = colony.path("");
    let (crashes, stubborn) = show_flags(&dir, "ours");
    let found = colony.wait("four crashes under ours", || Some(gaps(&crashes)).filter(|gaps| gaps.len() >= 3));
    judge("ours", &found, time_to_kill(&dir, &stubborn));
}

// The original writes `str(pid)`; with 2024.1 on today's Twisted its --pid ends in an error at the first start.
#[test]
fn pid_files_hold_the_bare_pid_and_go_with_the_process() {
    let setup = Setup::new().file("web", r#"{"args": ["sleep", "1000"]}"#);
    let pids: TempDir = tempfile::tempdir().expect("a directory");
    let colony = setup.flags(&["--pid", text(pids.path())]).start();
    let first = colony.wait_pid("web", None);
    let file = pids.path().join("web");
    colony.wait("the pid file", || (fs::read_to_string(&file).ok()? == first.to_string()).then_some(()));
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("it lives");
    let second = colony.wait_pid("web", Some(first));
    colony.wait("the next", || (fs::read_to_string(&file).ok()? == second.to_string()).then_some(()));
    colony.remove("web");
    colony.wait("its end", || (!file.exists()).then_some(()));
    assert!(!lives(second));
    assert_eq!(fs::read_dir(pids.path()).expect("a directory").count(), 0, "nothing else is left there");
}
