//! The verbs of `ncolony ctl` that show how things are, beside a monitor at work, beside none, and where things go wrong.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Colony, PATIENCE, Setup, can, wait_for};

fn ctl(messages: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
    command.args(["ctl", "--messages"]).arg(messages).args(words).stdin(Stdio::null());
    command
}

/// What it prints, stdout before stderr, and its exit status.
fn run(mut command: Command) -> (String, i32) {
    let output = command.output().expect("the binary");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.code().unwrap_or(-1))
}

fn show(colony: &Colony, words: &[&str]) -> (String, i32) {
    run(ctl(&colony.path("messages"), words))
}

/// With spans and the blanks before them as `~`, so that a slow machine prints the same.
fn steady(text: &str) -> String {
    let is_span = |word: &str| {
        let word = word.trim_start_matches('(');
        word.ends_with(['s', 'm']) && word.starts_with(|c: char| c.is_ascii_digit()) && word.len() < 7
    };
    let line = |line: &str| {
        line.split_whitespace().map(|word| if is_span(word) { "~" } else { word }).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A command that goes on, ended with its test.
struct Going(Child);

impl Going {
    fn start(mut command: Command) -> Going {
        Going(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary"))
    }

    /// What it prints, until it ends or has printed nothing for so long that nobody waits any more.
    fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let lines = BufReader::new(self.0.stdout.take().expect("a pipe")).lines();
        let (to, from) = sync_channel(64);
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| to.send(line)));
        std::iter::from_fn(move || from.recv_timeout(PATIENCE).ok())
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const STEADY: &str = r#"{"args": ["sleep", "1000"], "group": ["front"]}"#;

fn ready(colony: &Colony, name: &str) {
    let (text, status) = show(colony, &["wait", "--for=condition=Ready", name, "--timeout=60s"]);
    let name = name.trim_start_matches("process/");
    assert_eq!((text, status), (format!("process/{name} condition met\n"), 0));
}

#[test]
fn get_lists_processes_as_kubectl_does_and_finds_them_by_name_and_group() {
    let colony = Colony::with(&[
        ("web", STEADY),
        ("größe 日本", STEADY),
        ("db.yaml", "args: [sleep, '1000']\nreplicas: 2\n"),
        ("job", r#"{"args": ["sh", "-c", "exit 3"], "restartPolicy": "Never"}"#),
    ]);
    ready(&colony, "web");
    ready(&colony, "größe 日本");
    let (text, _) = show(&colony, &["wait", "job", "--for=jsonpath={.status.phase}=Terminated"]);
    assert_eq!(text, "process/job condition met\n");
    let (text, status) = show(&colony, &["get"]);
    let expected = "NAME READY STATUS RESTARTS AGE\ndb-0 1/1 Running 0 ~\ndb-1 1/1 Running 0 ~\n\
                    größe 日本 1/1 Running 0 ~\njob 0/1 Error 0 ~\nweb 1/1 Running 0 ~";
    assert_eq!((steady(&text).as_str(), status), (expected, 0));
    let rows: [(&[&str], &str, i32); 9] = [
        (&["get", "web", "--no-headers"], "web 1/1 Running 0 ~", 0),
        (&["get", "db", "-o", "name"], "process/db-0\nprocess/db-1", 0),
        (&["get", "-l", "group=front", "-o", "jsonpath={.items[*].metadata.name}"], "größe 日本 web", 0),
        (&["get", "größe 日本", "-o", "jsonpath={.status.phase}"], "Running", 0),
        (&["get", "job", "-o", "jsonpath={.status.lastState.exitCode}"], "3", 0),
        (&["get", "-l", "group=none"], "No resources found\nno process is of the group \"none\"", 0),
        (&["get", "wbe"], "error: process \"wbe\" not found\ndid you mean \"web\"?", 1),
        (&["get", "-o", "name", "web", "nobody"], "process/web\nerror: process \"nobody\" not found", 1),
        (
            &["get", "-o", "xml"],
            "error: there is no output format \"xml\"; expected wide, json, yaml, name, jsonpath=",
            2,
        ),
    ];
    for (words, expected, code) in rows {
        let (text, status) = show(&colony, words);
        assert_eq!((steady(&text).as_str(), status), (expected, code), "{words:?}");
    }
    let (json, _) = show(&colony, &["get", "web", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["kind"], &json["metadata"]["name"]), (&"Process".into(), &"web".into()));
    let (list, _) = show(&colony, &["get", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!((&list["kind"], list["items"].as_array().map(Vec::len)), (&"List".into(), Some(5)));
    let (yaml, _) = show(&colony, &["get", "web", "-o", "yaml"]);
    assert!(yaml.contains("\nstatus:\n") && yaml.contains("\n  phase: Running\n"), "{yaml}");
    let (wide, _) = show(&colony, &["get", "-o", "wide"]);
    assert!(
        wide.lines().all(|line| line.contains("COMMAND") || line.contains("sleep 1000") || line.contains("exit 3")),
        "{wide}"
    );
}

#[test]
fn what_changes_is_seen_by_who_watches_and_by_who_waits() {
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    let mut going = Going::start(ctl(&colony.path("messages"), &["get", "-w"]));
    let mut lines = going.lines().map(|line| steady(&line));
    assert_eq!(lines.next().as_deref(), Some("NAME READY STATUS RESTARTS AGE"));
    assert_eq!(lines.next().as_deref(), Some("web 1/1 Running 0 ~"));
    let mut events = Going::start(ctl(&colony.path("messages"), &["events", "-w", "web"]));
    let mut events = events_of(&mut events);
    colony.message("stop", r#"{"type": "STOP", "name": "web"}"#);
    assert!(lines.any(|line| line.starts_with("web 0/1 Stopped 0")));
    assert!(events.any(|line| line.contains("Stopped process/web")));
    colony.remove("web");
    assert_eq!(lines.find(|line| line.contains("Deleted")).as_deref(), Some("web 0/1 Deleted"));
    let (text, status) = show(&colony, &["wait", "--for=delete", "web"]);
    assert_eq!((text.as_str(), status), ("process/web condition met\n", 0));
    let (text, status) = show(&colony, &["wait", "--for=condition=Ready", "web"]);
    assert_eq!((text.as_str(), status), ("error: process \"web\" not found\n", 1));
    let (text, status) = show(&colony, &["wait", "--for=Ready", "web"]);
    assert_eq!(status, 2, "{text}");
}

#[test]
fn who_watches_one_hears_of_no_others_end() {
    let colony = Colony::with(&[("web", STEADY), ("api", r#"{"args": ["sleep", "1000"]}"#)]);
    ready(&colony, "web");
    ready(&colony, "api");
    for words in [&["get", "-w", "web", "--no-headers"][..], &["get", "-w", "-l", "group=front", "--no-headers"]] {
        let mut going = Going::start(ctl(&colony.path("messages"), words));
        let mut lines = going.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("web ")), "{words:?}");
        colony.remove("api");
        let (text, _) = show(&colony, &["wait", "--for=delete", "api"]);
        assert_eq!(text, "process/api condition met\n");
        colony.message("stop", r#"{"type": "STOP", "name": "web"}"#);
        let mut seen = Vec::new();
        for line in lines {
            seen.push(line.clone());
            if line.contains("Stopped") {
                break;
            }
        }
        assert!(seen.iter().all(|line| line.starts_with("web ")), "{seen:?}");
        colony.write("api", r#"{"args": ["sleep", "1000"]}"#);
        colony.message("start", r#"{"type": "START", "name": "web"}"#);
        ready(&colony, "web");
        colony.wait("api again", || show(&colony, &["get", "api"]).0.contains("Running").then_some(()));
    }
}

#[test]
fn who_watches_a_group_is_told_who_leaves_it_and_who_comes_back() {
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    let mut going = Going::start(ctl(&colony.path("messages"), &["get", "-w", "-l", "group=front", "--no-headers"]));
    let mut lines = going.lines().map(|line| steady(&line));
    let mut expect = |expected: &str| {
        assert!(lines.any(|line| line == expected), "{expected}");
    };
    expect("web 1/1 Running 0 ~");
    colony.write("web", r#"{"args": ["sleep", "1000"], "group": ["back"]}"#);
    expect("web 1/1 Unselected 0 ~");
    colony.write("web", STEADY);
    expect("web 1/1 Running 0 ~");
    colony.remove("web");
    expect("web 0/1 Deleted");
}

#[test]
fn a_name_is_taken_as_it_is_printed() {
    let colony = Colony::with(&[("web", STEADY), ("api", STEADY)]);
    ready(&colony, "process/web");
    for verb in ["get", "describe", "logs", "why", "top", "events"] {
        let (text, status) = show(&colony, &[verb, "process/web"]);
        assert_eq!(status, 0, "{verb}: {text}");
        assert!(!text.contains("api"), "{verb}: {text}");
    }
}

#[test]
fn what_kubectls_fingers_type_is_understood() {
    let colony = Colony::with(&[("web", STEADY), ("api", r#"{"args": ["sleep", "1000"]}"#)]);
    ready(&colony, "web");
    ready(&colony, "api");
    let all = "api 1/1 Running 0 ~\nweb 1/1 Running 0 ~";
    let rows: [(&[&str], &str); 8] = [
        (&["get", "processes"], all),
        (&["get", "proc"], all),
        (&["get", "process", "web"], "web 1/1 Running 0 ~"),
        (&["get", "process/web", "process/api"], "web 1/1 Running 0 ~\napi 1/1 Running 0 ~"),
        (&["get", "process", "-l", "group=front"], "web 1/1 Running 0 ~"),
        (&["get", "process", "web", "-o", "jsonpath={.kind}"], "Process"),
        (&["wait", "process", "web", "--for=condition=Ready"], "process/web condition met"),
        (&["wait", "processes", "-l", "group=front", "--for=condition=ready"], "process/web condition met"),
    ];
    for (words, expected) in rows {
        let words: Vec<&str> = words.iter().copied().chain((words[0] == "get").then_some("--no-headers")).collect();
        assert_eq!((steady(&show(&colony, &words).0).as_str(), show(&colony, &words).1), (expected, 0), "{words:?}");
    }
    for verb in ["describe", "logs", "why", "top", "events"] {
        let (text, status) = show(&colony, &[verb, "process", "web"]);
        assert!(status == 0 && !text.contains("api"), "{verb}: {text}");
    }
    let (events, status) = show(&colony, &["get", "events"]);
    assert!(events.starts_with("LAST SEEN ") && events.contains("process/web") && status == 0, "{events}");
    let (events, _) = show(&colony, &["get", "ev", "web", "--no-headers"]);
    assert!(events.contains("process/web") && !events.contains("process/api"), "{events}");
    assert_eq!(show(&colony, &["get", "events", "-o", "json"]).1, 2);
    assert_eq!(show(&colony, &["logs", "process"]).1, 2, "whose?");
    let (text, status) = show(&colony, &["get", "process", "wbe"]);
    assert_eq!((text.as_str(), status), ("error: process \"wbe\" not found\n  did you mean \"web\"?\n", 1));
    // Who is called so is meant.
    colony.write("events", STEADY);
    colony.write("process", STEADY);
    colony.wait("both", || show(&colony, &["get"]).0.contains("process").then_some(()));
    assert_eq!(show(&colony, &["get", "-o", "name", "events"]).0, "process/events\n");
    assert_eq!(show(&colony, &["get", "-o", "name", "process", "web"]).0, "process/process\nprocess/web\n");
}

#[test]
fn a_word_that_is_none_of_those_that_it_may_be_gets_a_suggestion() {
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    let formats = "expected wide, json, yaml, name, jsonpath=";
    let conditions = "expected Ready, Started, Updated, ConfigValid";
    let rows: [(&[&str], String, i32); 8] = [
        (&["get", "-o", "jsno"], format!("there is no output format \"jsno\"; {formats}\n  did you mean \"json\"?"), 2),
        (&["get", "-o", "YAML"], format!("there is no output format \"YAML\"; {formats}\n  did you mean \"yaml\"?"), 2),
        (&["get", "-o", "xml"], format!("there is no output format \"xml\"; {formats}"), 2),
        (
            &["wait", "web", "--for=condition=Raedy"],
            format!("there is no condition \"Raedy\"; {conditions}\n  did you mean \"Ready\"?"),
            2,
        ),
        (
            &["wait", "web", "--for=condition=Ready=Fasle"],
            "there is no status of a condition \"Fasle\"; expected True, False\n  did you mean \"False\"?".into(),
            2,
        ),
        (
            &["logs", "-l", "gruop=front"],
            "there is no label \"gruop\"; expected group\n  did you mean \"group\"?".into(),
            2,
        ),
        (&["get", "-l", "app=web"], "there is no label \"app\"; expected group".into(), 2),
        (&["get", "-l", "group"], "\"group\" selects nothing: expected group=GROUP or group!=GROUP".into(), 2),
    ];
    for (words, expected, code) in rows {
        assert_eq!(show(&colony, words), (format!("error: {expected}\n"), code), "{words:?}");
    }
    let none = "No resources found\n  no process is of the group \"fornt\"; did you mean \"front\"?\n";
    for verb in ["get", "describe", "logs", "top"] {
        assert_eq!(show(&colony, &[verb, "-l", "group=fornt"]), (none.to_string(), 0), "{verb}");
    }
    let waited = show(&colony, &["wait", "-l", "group=fornt", "--for=condition=Ready"]);
    assert_eq!(waited, (none.to_string(), 1), "nobody is ready");
}

#[test]
fn of_a_file_that_is_refused_and_never_was_good_it_is_said_why() {
    let colony = Colony::with(&[("web", STEADY), ("brk.yaml", "arsg: [sleep, '1000']\n")]);
    ready(&colony, "web");
    for verb in ["get", "describe", "logs", "why"] {
        let (text, status) = show(&colony, &[verb, "brk"]);
        assert!(text.starts_with("error: brk.yaml is refused: brk.yaml:1:1: ") && status == 1, "{verb}: {text}");
    }
    let (text, status) = show(&colony, &["wait", "--for=condition=Ready", "brk"]);
    assert!(text.starts_with("error: brk.yaml is refused: ") && status == 1, "{text}");
}

fn events_of(going: &mut Going) -> impl Iterator<Item = String> + use<> {
    let mut lines = going.lines().map(|line| steady(&line));
    assert_eq!(lines.next().as_deref(), Some("LAST SEEN TYPE REASON OBJECT MESSAGE"));
    lines
}

#[test]
fn what_does_not_come_in_time_is_an_error() {
    let colony =
        Colony::with(&[("web", r#"{"args": ["sleep", "1000"], "readinessProbe": {"exec": {"command": ["false"]}}}"#)]);
    colony.wait_pid("web", None);
    let began = Instant::now();
    let (text, status) = show(&colony, &["wait", "--for=condition=Ready", "web", "--timeout=1s"]);
    assert_eq!((text.as_str(), status), ("error: timed out waiting for the condition on process/web\n", 1));
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn the_chain_of_causes_is_told_and_described() {
    let db = r#"{"args": ["sleep", "1000"], "startupProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 2, "failureThreshold": 1000}}"#;
    let colony = Colony::with(&[("db", db), ("web", r#"{"args": ["sleep", "1000"], "dependsOn": ["db"]}"#)]);
    let text = colony.wait("a failed probe", || {
        let (text, _) = show(&colony, &["why", "web"]);
        text.contains("fails its startup probe").then_some(text)
    });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "web is waiting for db to be Ready.");
    let (start, rest) = lines[1].split_once(" since ").expect("since when");
    assert_eq!(start, "db fails its startup probe");
    assert!(rest.contains("connection refused; next try in "), "{rest}");
    let (text, status) = show(&colony, &["describe", "db"]);
    assert_eq!(status, 0);
    for line in [
        "Name:             db",
        "State:            Running",
        "Events:",
        "tcp-socket 127.0.0.1:1 delay=0s timeout=1s period=2s",
        "Unhealthy",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    let (text, status) = show(&colony, &["top", "db"]);
    let head: Vec<&str> =
        text.lines().next().unwrap_or_default().split("   ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
    assert_eq!(
        (head.as_slice(), status),
        (&["NAME", "STATUS", "CPU(cores)", "CPU TIME", "MEMORY(bytes)", "THREADS", "FDS"][..], 0)
    );
    assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("db") && line.contains('i')), "{text}");
}

#[test]
fn each_dependency_that_is_not_as_it_must_be_is_told_and_none_that_is() {
    let web = r#"{"args": ["sleep", "1000"], "dependsOn": [{"name": "job", "condition": "Completed"}, "cache", "db"]}"#;
    let cache =
        r#"{"args": ["sleep", "1000"], "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 100}}"#;
    let colony = Colony::with(&[
        ("web", web),
        ("job", r#"{"args": ["true"], "restartPolicy": "Never"}"#),
        ("cache", cache),
        ("db", r#"{"args": ["sleep", "1000"], "suspend": true}"#),
    ]);
    let text = colony.wait("a failed probe and a job that is done", || {
        let (text, _) = show(&colony, &["why", "web"]);
        (text.contains("cache fails its readiness probe") && !text.contains("job")).then_some(text)
    });
    let lines: Vec<&str> = text.lines().collect();
    let [first, probe, second, cause] = lines[..] else { panic!("{text}") };
    assert_eq!(first, "web is waiting for cache to be Ready.");
    assert!(probe.starts_with("cache fails its readiness probe since "), "{text}");
    assert_eq!(second, "web is waiting for db to be Ready, which is suspended.");
    assert_eq!(cause, "db is suspended: its file says so.");
}

#[test]
fn one_that_is_suspended_is_ready_for_nobody_and_is_as_its_file_says() {
    let colony = Colony::with(&[
        ("db", r#"{"args": ["sleep", "1000"], "suspend": true}"#),
        ("web", r#"{"args": ["sleep", "1000"], "dependsOn": ["db"], "readinessGate": false}"#),
    ]);
    colony.wait("both", || show(&colony, &["get"]).0.contains("DependencyNotReady").then_some(()));
    let rows: [(&[&str], &str); 5] = [
        (&["get", "--no-headers"], "db 0/1 Suspended 0 <none>\nweb 0/1 DependencyNotReady 0 <none>"),
        (&["get", "db", "-o", "jsonpath={.status.ready} {.status.started}"], "false false"),
        (&["get", "db", "-o", "jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}"], "Suspended"),
        (&["why", "db"], "db is suspended: its file says so."),
        (&["why", "web"], "web is waiting for db to be Ready, which is suspended.\ndb is suspended: its file says so."),
    ];
    for (words, expected) in rows {
        assert_eq!(steady(&show(&colony, words).0), expected, "{words:?}");
    }
    let (text, _) = show(&colony, &["describe", "db"]);
    assert!(steady(&text).contains("\nReady: False\n"), "{text}");
    // Whoever suspends a process does not mean to take the colony out of service, nor to hold up its start.
    for path in ["/healthz", "/healthz/db", "/startupz"] {
        assert_eq!(colony.get(path).0, 200, "{path}");
    }
}

#[test]
fn of_a_schedule_it_is_shown_when_it_ran_and_that_it_failed_and_its_runs_are_no_restarts() {
    let job = r#"{"args": ["sh", "-c", "echo run; exit 3"], "schedule": {"every": 1}}"#;
    let colony = Colony::with(&[("nightly", job)]);
    colony.wait_metric(r#"ncolony_schedule_runs_total{schedule="nightly"}"#, |runs| runs >= 2.0);
    let seen = |words: &[&str]| {
        colony.wait("it between two runs", || {
            Some(steady(&show(&colony, words).0)).filter(|text| text.contains("nightly 1/1 Scheduled"))
        })
    };
    assert_eq!(seen(&["get", "--no-headers"]), "nightly 1/1 Scheduled:Error 0 ~");
    let wide = seen(&["get", "-o", "wide", "--no-headers"]);
    assert!(wide.starts_with("nightly 1/1 Scheduled:Error 0 ~ <none> 3 ~ ~ exit code 3 sh -c"), "{wide}");
    assert_eq!(show(&colony, &["logs", "-p", "nightly"]), ("run\n".to_string(), 0));
    assert_eq!(colony.metric(r#"ncolony_process_restarts_total{process="nightly"}"#), Some(0.0));
}

#[test]
fn logs_are_of_this_run_or_the_one_before_and_followed_through_restarts() {
    let script = "echo begun; echo bad >&2; read line < $GATE; echo $line; exit 1";
    let setup = Setup::new().flags(&["-m", "0.05", "-M", "0.05"]);
    let gate = setup.path("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a fifo");
    let file =
        serde_json::json!({"args": ["sh", "-c", script], "env": {"GATE": gate.display().to_string()}, "group": ["g"]});
    let colony = setup.file("web", &file.to_string()).start();
    let first = colony.wait_pid("web", None);
    wait_for("its lines", || show(&colony, &["logs", "web"]).0.contains("bad").then_some(()));
    let (text, status) = show(&colony, &["logs", "-p", "web"]);
    assert_eq!((text.as_str(), status), ("error: previous run of \"web\" not found\n", 1));
    let mut going = Going::start(ctl(&colony.path("messages"), &["logs", "-f", "--prefix", "web"]));
    let mut lines = going.lines();
    let mut seen: Vec<String> = lines.by_ref().take(2).collect();
    seen.sort();
    assert_eq!(seen, ["[web] bad", "[web] begun"]);
    fs::write(&gate, "first\n").expect("somebody reads");
    assert_eq!(lines.next().as_deref(), Some("[web] first"));
    colony.wait_pid("web", Some(first));
    let mut next: Vec<String> = lines.by_ref().take(2).collect();
    next.sort();
    assert_eq!(next, ["[web] bad", "[web] begun"]);
    let rows: [(&[&str], &str); 4] = [
        (&["logs", "-p", "--tail=1", "web"], "first\n"),
        (&["logs", "--tail", "0", "web"], ""),
        (&["logs", "-p", "-l", "group=g", "--tail=1", "--prefix"], "[web] first\n"),
        (&["logs", "--since=0s", "web"], ""),
    ];
    for (words, expected) in rows {
        assert_eq!(show(&colony, words), (expected.to_string(), 0), "{words:?}");
    }
    let (text, _) = show(&colony, &["logs", "--timestamps", "--tail=1", "web"]);
    assert!(text.starts_with("20") && text.split(' ').next().is_some_and(|time| time.ends_with('Z')), "{text}");
    // A process that vanishes while it is followed.
    colony.remove("web");
    assert_eq!(lines.next(), None);
    let mut said = String::new();
    going.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(said, "process \"web\" is gone\n");
    assert!(going.0.wait().expect("our child").success());
    let rows: [(&[&str], i32); 2] = [(&["logs", "web"], 1), (&["logs"], 2)];
    for (words, code) in rows {
        assert_eq!(show(&colony, words).1, code, "{words:?}");
    }
}

#[test]
fn output_that_is_inherited_is_not_known_and_that_is_said() {
    let colony = Colony::with(&[("web", r#"{"args": ["sleep", "1000"], "output": "inherit"}"#)]);
    ready(&colony, "web");
    let (text, status) = show(&colony, &["logs", "web"]);
    assert!(text.contains("output: inherit") && status == 1, "{text}");
}

#[test]
fn a_monitor_that_ends_is_told_of_by_whoever_watches() {
    let speaker = r#"{"args": ["sh", "-c", "echo said; exec sleep 1000"]}"#;
    let never = r#"{"args": ["sleep", "1000"], "readinessProbe": {"exec": {"command": ["false"]}}}"#;
    let colony = Colony::with(&[("web", speaker), ("slow", never)]);
    ready(&colony, "web");
    let verbs: [(&[&str], &str); 4] = [
        (&["get", "-w"], "web "),
        (&["events", "-w"], "process/web"),
        (&["logs", "-f", "web"], "said"),
        (&["wait", "--for=condition=Ready", "web", "slow"], "process/web condition met"),
    ];
    let start = |(words, answer): (&'static [&str], &str)| {
        let mut going = Going::start(ctl(&colony.path("messages"), words));
        let mut lines = going.lines();
        assert!(lines.any(|line| line.contains(answer)), "{words:?}");
        // Its end of the pipe is kept: nobody is to find that nobody reads.
        (going, lines, words)
    };
    let going: Vec<_> = verbs.into_iter().map(start).collect();
    let setup = colony.kill_monitor();
    for (mut going, _lines, words) in going {
        let mut said = String::new();
        going.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        let status = going.0.wait().expect("our child").code();
        assert_eq!(
            (said.as_str(), status),
            ("error: the monitor has ended, or closed the connection\n", Some(1)),
            "{words:?}"
        );
    }
    let (text, status) = run(ctl(&setup.path("messages"), &["get"]));
    assert!(text.contains("any more\n  the monitor that listened there was killed") && status == 1, "{text}");
}

#[test]
fn without_a_monitor_the_error_says_where_it_was_looked_for_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    for words in [
        &["get"][..],
        &["describe"],
        &["logs", "web"],
        &["events"],
        &["top"],
        &["wait", "web", "--for=delete"],
        &["why", "web"],
    ] {
        let (text, status) = run(ctl(dir.path(), words));
        let expected = format!(
            "error: no monitor listens at {}\n  is --messages the directory that `ncolony run` was given, and does it run?\n",
            dir.path().join(".ncolony.sock").display()
        );
        assert_eq!((text, status), (expected, 1), "{words:?}");
    }
}

#[test]
fn another_users_socket_is_an_error_that_says_so() {
    if !can("ask as another user", nix::unistd::geteuid().is_root()) {
        return;
    }
    let colony = Colony::with(&[]);
    fs::set_permissions(colony.dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let binary = colony.path("ncolony");
    fs::copy(env!("CARGO_BIN_EXE_ncolony"), &binary).expect("a copy");
    let as_other = || {
        let mut command = Command::new(&binary);
        command.args(["ctl", "--messages"]).arg(colony.path("messages")).arg("get").uid(65534).gid(65534);
        run(command)
    };
    let (text, status) = as_other();
    assert!(
        text.contains("is another user's\n  ask as root, or as the user that the monitor runs as") && status == 1,
        "{text}"
    );
    let path = colony.path("messages").join(".ncolony.sock");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("ours");
    let (text, status) = as_other();
    assert_eq!(
        (text.as_str(), status),
        ("error: user 65534 may not ask this monitor: only root and its own user may\n", 1)
    );
}

/// A monitor that gives this one answer to everybody.
fn imposter(dir: &Path, answer: String) {
    let listener = UnixListener::bind(dir.join(".ncolony.sock")).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
    });
}

#[test]
fn a_monitor_of_another_version_is_recognised() {
    let rows = [
        (
            "HTTP/1.0 200 OK\r\n\r\n{\"apiVersion\": \"ncolony/v9\", \"items\": []}",
            "it says \"ncolony/v9\", and this is \"ncolony/v1\"",
        ),
        (
            "HTTP/1.0 404 Not Found\r\n\r\n{\"reason\": \"UnknownPath\", \"message\": \"this monitor, ncolony 9.0, knows no path \\\"/v1/processes\\\"\"}",
            "ncolony 9.0, knows no path",
        ),
        ("HTTP/1.0 418 I'm a teapot\r\n\r\nshort and stout", "it answers otherwise than version 1"),
    ];
    for (answer, expected) in rows {
        let dir = tempfile::tempdir().expect("a directory");
        imposter(dir.path(), answer.to_string());
        let (text, status) = run(ctl(dir.path(), &["get"]));
        assert!(text.starts_with("error: the monitor is of another version: ") && text.contains(expected), "{text}");
        assert!(text.contains("use the ncolony that the monitor was started from") && status == 1, "{text}");
    }
    for answer in ["", "HTTP/1.0 200 OK\r\n\r\n{\"apiVersion\": \"ncol", "garbage\r\n\r\n"] {
        let dir = tempfile::tempdir().expect("a directory");
        imposter(dir.path(), answer.to_string());
        let (text, status) = run(ctl(dir.path(), &["get"]));
        assert_eq!(
            (text.as_str(), status),
            ("error: the monitor has ended, or closed the connection\n", 1),
            "{answer:?}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let script: String = "while :; do echo line; done".into();
    let colony = Colony::with(&[("web", &serde_json::json!({"args": ["sh", "-c", script]}).to_string())]);
    ready(&colony, "web");
    for words in [&["logs", "-f", "web"][..], &["get", "-w", "-o", "json"], &["get", "-o", "json"], &["events", "-w"]] {
        let mut command = ctl(&colony.path("messages"), words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        drop(child.stdout.take());
        // Something that changes, for whoever watches.
        colony.message("hup", r#"{"type": "RESTART", "name": "web"}"#);
        let output = child.wait_with_output().expect("our child");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        assert!(output.status.success(), "{words:?}");
    }
}

#[test]
fn who_prints_to_head_ends_well_whatever_the_verb() {
    let colony = Colony::with(&[("web", r#"{"args": ["sh", "-c", "seq 2000; exec sleep 1000"]}"#)]);
    colony.wait_stdout("2000");
    ready(&colony, "web");
    for words in [&["get"][..], &["describe"], &["events"], &["top"], &["why", "web"], &["logs", "web"]] {
        let mut command = ctl(&colony.path("messages"), words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("our child");
        assert_eq!(
            (String::from_utf8_lossy(&output.stderr).as_ref(), output.status.code()),
            ("", Some(0)),
            "{words:?}"
        );
    }
}

#[test]
fn a_name_that_needs_quoting_is_known_to_every_verb() {
    let name = r#"-a "b" %41?#&\ 'c'"#;
    let file = r#"{"args": ["sh", "-c", "echo said; exec sleep 1000"]}"#;
    let colony = Colony::with(&[(name, file)]);
    colony.wait_stdout("said");
    let rows: [(&[&str], String); 7] = [
        (&["wait", "--for=condition=Ready", "--", name], format!("process/{name} condition met\n")),
        (&["get", "-o", "name", "--", name], format!("process/{name}\n")),
        (&["get", "-o", "jsonpath={.metadata.name}", &format!("process/{name}")], format!("{name}\n")),
        (&["logs", "--", name], "said\n".to_string()),
        (&["why", "--", name], format!("{name} is ready")),
        (&["describe", "--", name], format!("Name:             {name}\n")),
        (&["events", "--no-headers", "--", name], format!("process/{name}   it is new\n")),
    ];
    for (words, expected) in rows {
        let (text, status) = show(&colony, words);
        assert!(text.contains(&expected) && status == 0, "{words:?}: {text}");
    }
    // One that is followed, and goes.
    let mut going = Going::start(ctl(&colony.path("messages"), &["logs", "-f", "--", name]));
    let mut lines = going.lines();
    assert_eq!(lines.next().as_deref(), Some("said"));
    colony.remove(name);
    assert_eq!(lines.next(), None);
    let mut said = String::new();
    going.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(said, format!("process {name:?} is gone\n"));
}

#[test]
fn one_that_vanishes_while_it_is_waited_for_is_an_error_at_once() {
    let never = r#"{"args": ["sleep", "1000"], "readinessProbe": {"exec": {"command": ["false"]}}}"#;
    let colony = Colony::with(&[("web", STEADY), ("slow", never)]);
    ready(&colony, "web");
    let words = ["wait", "--for=condition=Ready", "web", "slow", "--timeout=1h"];
    let mut going = Going::start(ctl(&colony.path("messages"), &words));
    let mut lines = going.lines();
    assert_eq!(lines.next().as_deref(), Some("process/web condition met"));
    colony.remove("slow");
    assert_eq!(lines.next(), None);
    let mut said = String::new();
    going.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    let status = going.0.wait().expect("our child").code();
    assert_eq!((said.as_str(), status), ("error: process \"slow\" not found\n", Some(1)));
}

#[test]
fn a_flood_that_is_followed_and_a_reader_that_is_stuck_cost_a_bounded_amount() {
    let script = "import sys\nline = b'x' * 99 + b'\\n'\nwhile True: sys.stdout.buffer.write(line * 5000)";
    let flood = serde_json::json!({"args": ["python3", "-c", script], "env": {"PATH": "/usr/bin:/bin"}});
    let colony = Colony::with(&[("flood", &flood.to_string()), ("web", STEADY)]);
    ready(&colony, "flood");
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", colony.pid())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let written =
        || colony.metric(r#"ncolony_process_log_bytes_total{process="flood",stream="stdout"}"#).unwrap_or_default();
    colony.wait("the flood", || (written() > 50e6).then_some(()));
    let before = memory();
    let mut stuck: Vec<Going> =
        (0..8).map(|_| Going::start(ctl(&colony.path("messages"), &["logs", "-f", "flood"]))).collect();
    let mut reader = Going::start(ctl(&colony.path("messages"), &["logs", "-f", "flood"]));
    let mut lines = reader.lines();
    let from = written();
    assert!(
        lines.any(|line| line.ends_with("bytes are left out: more was printed in between than is kept (--log-buffer)"))
    );
    colony.wait("200 MB more", || (written() > from + 200e6).then_some(()));
    assert!(lines.next().is_some());
    let grown = memory().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} kB more");
    let began = Instant::now();
    assert_eq!(show(&colony, &["get", "web"]).1, 0);
    assert!(began.elapsed() < Duration::from_secs(5));
    stuck.clear();
}

#[test]
fn five_thousand_processes_are_shown() {
    let setup = Setup::new().file("many.yaml", "args: [sleep, '1000']\nreplicas: 1000\nsuspend: true\n");
    let setup = (1..5).fold(setup, |setup, n| {
        setup.file(&format!("many{n}.yaml"), "args: [sleep, '1000']\nreplicas: 1000\nsuspend: true\n")
    });
    let colony = setup.start();
    let (text, status) = colony.wait("all of them", || {
        let (text, status) = show(&colony, &["get", "--no-headers"]);
        (text.lines().count() == 5000).then_some((text, status))
    });
    assert_eq!(status, 0);
    assert!(text.lines().all(|line| line.contains("Suspended")));
    assert_eq!(show(&colony, &["get", "many4-999", "-o", "name"]).0, "process/many4-999\n");
}

/// What a program prints on a terminal of 40 columns and 10 lines, until it has printed this twice, or ends.
fn on_a_terminal(colony: &Colony, words: &[&str], until: &str) -> Option<String> {
    on_a_terminal_with(colony, words, until, &[("TERM", "dumb")])
}

fn on_a_terminal_with(colony: &Colony, words: &[&str], until: &str, env: &[(&str, &str)]) -> Option<String> {
    let script = "
import fcntl, os, pty, signal, struct, sys, termios
until, words = sys.argv[1].encode(), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 10, 40, 0, 0))
    os.execv(words[0], words)
seen = b''
signal.alarm(60)
while seen.count(until) < 2:
    try:
        seen += os.read(fd, 65536)
    except OSError:
        break
os.kill(pid, signal.SIGKILL)
sys.stdout.buffer.write(seen)
";
    let messages = colony.path("messages").display().to_string();
    let binary = env!("CARGO_BIN_EXE_ncolony");
    let mut command = Command::new("python3");
    command.args(["-c", script, until, binary, "ctl", "--messages", &messages]).args(words);
    command.env_remove("NO_COLOR").envs(env.iter().copied());
    let output = command.output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn on_a_narrow_terminal_a_live_table_is_cut_and_a_list_is_whole() {
    let long = "a-name-that-is-longer-than-all-of-the-terminal";
    let setup = (0..20).fold(Setup::new(), |setup, n| setup.file(&format!("p{n}"), STEADY));
    let colony = setup.file(long, STEADY).start();
    ready(&colony, long);
    // The second drawing, so that the first is whole.
    let seen = on_a_terminal(&colony, &["top"], "\x1b[H\x1b[J").expect("a terminal");
    let first = seen.split("\x1b[H\x1b[J").nth(1).expect("a drawing");
    let lines: Vec<&str> = first.trim_end().lines().map(str::trim_end).collect();
    assert_eq!(lines.len(), 10, "{seen:?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 40), "{seen:?}");
    let seen = on_a_terminal(&colony, &["get", long], "neverthere").expect("a terminal");
    assert!(seen.contains(&format!("{long}   1/1     Running   0          ")), "{seen:?}");
}

#[test]
fn a_key_ends_a_live_table_and_whatever_ends_it_leaves_the_terminal_as_it_was() {
    let script = "
import os, pty, signal, sys, termios
how, words = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(words[0], words)
signal.alarm(60)
before = termios.tcgetattr(fd)
seen = b''
while b'web' not in seen:
    seen += os.read(fd, 65536)
# Once it is drawn, keys are taken one at a time, and not shown.
assert not termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO), 'as it was'
if how.startswith('key '):
    os.write(fd, how[4:].encode())
else:
    os.kill(pid, int(how))
status = os.waitpid(pid, 0)[1]
print(os.waitstatus_to_exitcode(status), termios.tcgetattr(fd) == before)
";
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    let messages = colony.path("messages").display().to_string();
    let rows = [("key q", "0"), ("key xxQ", "0"), ("key \x03", "-2"), ("15", "-15"), ("1", "-1")];
    for (how, expected) in rows {
        let mut command = Command::new("python3");
        command.args(["-c", script, how, env!("CARGO_BIN_EXE_ncolony"), "ctl", "--messages", &messages, "top"]);
        assert_eq!(run(command), (format!("{expected} True\n"), 0), "{how:?}");
    }
}

#[test]
fn there_are_colours_on_a_terminal_alone_and_the_words_are_the_same_without() {
    let crash = r#"{"args": ["sh", "-c", "exit 3"], "restartPolicy": "Never"}"#;
    let colony = Colony::with(&[("web", STEADY), ("crash", crash)]);
    ready(&colony, "web");
    let (text, _) = show(&colony, &["wait", "crash", "--for=jsonpath={.status.phase}=Terminated"]);
    assert_eq!(text, "process/crash condition met\n");
    let plain = |words: &[&str]| on_a_terminal(&colony, words, "never there").expect("a terminal");
    let coloured = |words: &[&str], more: &[(&str, &str)]| {
        let env: Vec<(&str, &str)> = [("TERM", "xterm")].into_iter().chain(more.iter().copied()).collect();
        on_a_terminal_with(&colony, words, "never there", &env).expect("a terminal")
    };
    let colours = ["\x1b[1m", "\x1b[33m", "\x1b[31m", "\x1b[0m"];
    let without = |text: &str| colours.iter().fold(text.to_string(), |text, colour| text.replace(colour, ""));
    let rows: [(&[&str], &str); 4] = [
        (&["get", "--no-headers", "crash"], "0/1     \x1b[31mError\x1b[0m    0"),
        (&["events", "crash"], "\x1b[33mWarning\x1b[0m"),
        (&["describe", "crash"], "Reason:         \x1b[31mError\x1b[0m"),
        (&["why", "crash"], "\x1b[31mcrash\x1b[0m has failed for good"),
    ];
    for (words, expected) in rows {
        let seen = coloured(words, &[]);
        assert!(steady(&seen).contains(&steady(expected)), "{words:?}: {seen:?}");
        assert_eq!(steady(&without(&seen)), steady(&plain(words)));
        assert!(!coloured(words, &[("NO_COLOR", "1")]).contains('\x1b'), "{words:?}");
        assert!(!show(&colony, words).0.contains('\x1b'), "{words:?}");
    }
    assert!(show(&colony, &["get", "--color", "always"]).0.starts_with("\x1b[1mNAME\x1b[0m    \x1b[1mREADY"));
    let seen = coloured(&["get", "web", "--no-headers"], &[]);
    assert!(!seen.contains('\x1b'), "what is well does not want to be looked at: {seen:?}");
}

#[test]
fn where_no_lines_are_to_be_kept_there_are_none() {
    let file = r#"{"args": ["sh", "-c", "echo said; exec sleep 1000"]}"#;
    let colony = Setup::new().flags(&["--log-buffer", "0"]).file("web", file).start();
    colony.wait_stdout("said");
    assert_eq!(show(&colony, &["logs", "web"]), (String::new(), 0));
}
