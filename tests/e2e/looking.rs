//! The verbs of `ncolony ctl` that show how things are, beside a monitor at work, beside none, and where things go wrong.

mod following;
mod terminal;
mod trouble;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::support::{Colony, PATIENCE};

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
    let messages = colony.path("messages").display().to_string();
    let complete = |verb: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
        command.args(["__complete", "fish", "--", "ctl", "--messages", &messages, verb, "d"]);
        run(command).0
    };
    assert_eq!(complete("logs"), "db\ndb-0\ndb-1\n:nothing\n", "the monitor knows its replicas");
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
    for words in
        [&["wait", "--all", "--for=condition=Ready"][..], &["wait", "process", "--all", "--for=condition=Ready"]]
    {
        let (text, status) = show(&colony, words);
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!((lines, status), (vec!["process/api condition met", "process/web condition met"], 0), "{words:?}");
    }
    assert_eq!(show(&colony, &["wait", "web", "--all", "--for=condition=Ready"]).1, 2, "either");
    for words in [&["events", "-l", "group=front"][..], &["get", "events", "-l", "group=front"]] {
        let (events, status) = show(&colony, words);
        assert!(events.contains("process/web") && !events.contains("api") && status == 0, "{words:?}: {events}");
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
    let rows: [(&[&str], String, i32); 9] = [
        (&["get", "-o", "jsonpath"], "jsonpath wants a template, such as -o jsonpath={.metadata.name}".into(), 2),
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
    for verb in ["get", "describe", "logs", "top", "events"] {
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
    let (text, status) = show(&colony, &["get"]);
    assert!(text.contains("note: brk.yaml is refused: brk.yaml:1:1: ") && status == 0, "{text}");
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
