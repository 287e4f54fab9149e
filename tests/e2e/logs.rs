//! The processes' output and the monitor's own log: every line arrives, and nobody's not reading stops the colony.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Colony, Setup, cpu_time, get, send, wait_for};

const SLEEPER: &str = r#"{"args": ["sleep", "1000"], "backoff": {"thresholdSeconds": 0}}"#;

/// A process that does this once.
fn once(script: &str) -> String {
    format!(r#"{{"args": ["sh", "-c", {script:?}], "env_inherit": ["PATH"], "restartPolicy": "Never"}}"#)
}

/// The same, with a key more.
fn once_with(script: &str, key: &str) -> String {
    once(script).replacen('{', &format!("{{{key}, "), 1)
}

fn pipe() -> (File, Stdio) {
    let (reader, writer) = io::pipe().expect("a pipe");
    (File::from(OwnedFd::from(reader)), Stdio::from(writer))
}

/// Kills a process; returns how long it takes until there is another.
fn restart_time(colony: &Colony, name: &str) -> Duration {
    let pid = colony.wait_pid(name, None);
    let began = Instant::now();
    send(pid, Signal::SIGKILL);
    colony.wait_pid(name, Some(pid));
    began.elapsed()
}

#[test]
fn lines_look_as_the_flag_says_unless_the_file_says_otherwise() {
    let script = "echo out; echo err >&2";
    let colony = Setup::new()
        .file("default", &once(script))
        .file("json", &once_with("echo plain; echo '{\"a\": 1}'", r#""output": "json""#))
        .file("raw", &once_with("printf 'as it is\\n'; echo loud >&2", r#""output": {"format": "inherit"}"#))
        .start();
    colony.wait("all lines", || {
        let out = colony.stdout();
        let all = ["[default] out\n", "as it is\n", "\"log\":\"plain\"}\n", ",\"a\": 1}\n"];
        all.iter().all(|line| out.contains(line)).then_some(())
    });
    colony.wait_log("[default] err\n");
    colony.wait_log("loud\n");
    assert!(!colony.stdout().contains("[raw]") && !colony.stdout().contains("[json]"), "{}", colony.stdout());

    let colony = Setup::new()
        .file("default", &once(script))
        .file("prefixed", &once_with(script, r#""output": "prefix""#))
        .flags(&["--output", "json"])
        .start();
    colony.wait("all lines", || {
        let out = colony.stdout();
        (out.contains("[prefixed] out\n") && out.contains(r#""process":"default","stream":"stdout","log":"out"}"#))
            .then_some(())
    });
}

// G06, G08
#[test]
fn last_words_arrive_whole_whatever_their_bytes() {
    let script = r"printf 'one\n\033[2J\r[web] fake\n\377\376\000 no newline'; exit 3";
    let colony = Colony::with(&[("web", &once(script))]);
    let expected = "[web] one\n[web] \\x1b[2J\\x0d[web] fake\n[web] \\xff\\xfe\\x00 no newline\n";
    colony.wait("the last words", || (colony.stdout() == expected).then_some(()));
    let (status, log) = colony.end();
    assert!(status.success());
    assert!(log.contains("web ended: exit code 3"), "{log}");
}

#[test]
fn a_runs_last_words_stand_before_its_end_and_that_before_the_next_start() {
    let script = "trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.05; done";
    let spec = json!({"args": ["sh", "-c", script], "env_inherit": ["PATH"], "backoff": {"thresholdSeconds": 0}});
    let setup = Setup::new().file("web", &spec.to_string());
    let mut command = setup.command();
    // Both streams to one place, so that their order is seen.
    command.stdout(File::options().append(true).open(setup.path("stderr")).expect("the command has made it"));
    let colony = setup.start_as(command);
    for runs in 1..=3 {
        let pid = colony.wait(&format!("run {runs} to say hello"), || {
            (colony.count("[web] hello") == runs).then(|| colony.pid_of("web")).flatten()
        });
        send(pid, Signal::SIGTERM);
    }
    colony.wait("the third end", || (colony.count("started web: ") == 4).then_some(()));
    let marks = ["started web: ", "[web] hello", "[web] goodbye", "web ended: exit code 0"];
    let log = colony.log();
    let order = log.lines().filter_map(|line| marks.iter().position(|mark| line.contains(mark)));
    assert_eq!(order.take(13).collect::<Vec<_>>(), [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0], "{log}");
}

// G08: what is said on SIGTERM, and the monitor's own last line.
#[test]
fn what_a_process_says_at_the_shutdown_arrives() {
    let script = "trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.05; done";
    let setup = Setup::new().file("web", &once(script));
    let out = setup.path("stdout");
    let keep = setup.path("copy");
    let colony = setup.start();
    colony.wait("the first line", || colony.stdout().contains("[web] hello").then_some(()));
    fs::hard_link(out, &keep).expect("a link");
    colony.signal(Signal::SIGTERM);
    wait_for("the last line", || fs::read_to_string(&keep).ok().filter(|text| text.ends_with("[web] goodbye\n")));
    let (status, log) = colony.end();
    assert!(status.success() && log.trim_end().ends_with("ended: nothing is left"), "{log}");
}

// G03
#[test]
fn a_stdout_that_nobody_reads_stops_only_who_writes_to_it() {
    let (unread, stdout) = pipe();
    let setup = Setup::new().file("web", SLEEPER).file("flood", r#"{"args": ["yes"], "env_inherit": ["PATH"]}"#).file(
        "dropped",
        r#"{"args": ["yes"], "env_inherit": ["PATH"], "output": {"format": "prefix", "onFull": "drop"}}"#,
    );
    let mut command = setup.command();
    command.stdout(stdout);
    let colony = setup.start_as(command);
    // The buffers are full when something is dropped.
    let dropped = r#"ncolony_process_log_dropped_bytes_total{process="dropped",stream="stdout"}"#;
    colony.wait_metric(dropped, |bytes| bytes > 0.0);
    for _ in 0..3 {
        let took = restart_time(&colony, "web");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert_eq!(colony.get("/healthz").0, 200);
    colony.write("new", SLEEPER);
    colony.wait_pid("new", None);
    colony.remove("flood");
    colony.wait_log("flood is gone");
    colony.remove("dropped");
    colony.wait_log("dropped is gone");
    let share = colony.cpu_share(|| std::thread::sleep(Duration::from_secs(1)));
    assert!(share < 0.05, "{share}");
    // It ends, too, without waiting for a reader for long.
    let (status, _) = colony.end();
    assert!(status.success());
    drop(unread);
}

// G03: not even the log can be written.
#[test]
fn a_monitor_of_which_no_word_is_read_supervises_and_answers() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let restarting = r#"{"args": ["true"], "env_inherit": ["PATH"], "backoff": {"thresholdSeconds": 0}}"#;
    // It fills the buffer up to what is kept for the monitor's own lines.
    let flood = r#"{"args": ["yes"], "env_inherit": ["PATH"]}"#;
    let setup = Setup::new().file("flood", flood).file("restarting", restarting);
    let setup = setup.flags(&["--log-format", "json", "--output", "json"]);
    let mut command = setup.command();
    command.stdout(writer.try_clone().expect("a descriptor")).stderr(writer);
    let mut monitor = command.spawn().expect("the binary starts");
    drop(command);
    let mut lines = BufReader::new(reader);
    let mut beginning = String::new();
    let address = loop {
        assert!(lines.read_line(&mut beginning).is_ok_and(|length| length > 0), "no address in {beginning}");
        if let Some(rest) = beginning.split("on http://").nth(1) {
            break rest.split('/').next().and_then(|address| address.parse().ok()).expect("an address");
        }
    };

    let metric = |series: &str| {
        let (_, text) = get(address, "/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok())
    };
    let dropped = "ncolony_log_dropped_lines_total ";
    wait_for("lines to be dropped", || metric(dropped).filter(|lines| *lines > 0.0));
    let starts = r#"ncolony_process_starts_total{process="restarting"}"#;
    let before = metric(starts).expect("the metric");
    wait_for("more starts", || metric(starts).filter(|now| *now > before + 10.0));
    assert_eq!(get(address, "/livez").map(|(code, _)| code), Some(200));

    // Whoever begins to read gets whole lines, one JSON object each, and how many are missing.
    let pid = nix::unistd::Pid::from_raw(monitor.id() as i32);
    nix::sys::signal::kill(pid, Signal::SIGTERM).expect("it lives");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("UTF-8");
    assert!(monitor.wait().expect("our child").success());
    for line in rest.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let is_ours = value["level"].is_string() && value["message"].is_string();
        let is_theirs = value["stream"] == "stdout" && value["log"].is_string();
        assert!(value["time"].is_string() && (is_ours || is_theirs), "{line}");
    }
    assert!(rest.contains("lines of this log were dropped"), "{}", &rest[rest.len().saturating_sub(2000)..]);
}

// G04
#[test]
fn a_reader_that_dies_is_noted_and_costs_nothing_else() {
    let (reader, stdout) = pipe();
    let chatty = r#"{"args": ["sh", "-c", "while :; do echo hi; sleep 0.05; done"], "env_inherit": ["PATH"]}"#;
    let setup = Setup::new().file("web", SLEEPER).file("chatty", chatty);
    let mut command = setup.command();
    command.stdout(stdout);
    let colony = setup.start_as(command);
    let chat = colony.wait_pid("chatty", None);
    drop(reader);
    let line = colony.wait_finding("output", "cannot write to stdout: ");
    assert!(line.starts_with("[+]") && line.contains("Broken pipe"), "{line}");
    colony.wait_metric("ncolony_output_lost_bytes_total ", |bytes| bytes > 0.0);
    let share = colony.cpu_share(|| std::thread::sleep(Duration::from_secs(2)));
    assert!(share < 0.05, "{share}");
    assert!(restart_time(&colony, "web") < Duration::from_secs(2));
    assert_eq!(colony.pid_of("chatty"), Some(chat), "a child does not feel it");
    assert_eq!(colony.get("/healthz").0, 200);
    colony.wait_log("WARN ncolony: cannot write to stdout: Broken pipe");
    colony.wait_ticks(2);
    assert_eq!(colony.count("Broken pipe"), 1, "{}", colony.log());
}

// G02, G10, S04t
#[test]
fn a_flood_from_one_keeps_the_restart_of_another_short() {
    let setup = Setup::new().file("web", SLEEPER).file("flood", r#"{"args": ["yes"], "env_inherit": ["PATH"]}"#);
    let mut command = setup.command();
    command.stdout(Stdio::null());
    let colony = setup.start_as(command);
    let bytes = r#"ncolony_process_log_bytes_total{process="flood",stream="stdout"}"#;
    colony.wait_metric(bytes, |bytes| bytes > 1e7);
    let mut times: Vec<Duration> = (0..9).map(|_| restart_time(&colony, "web")).collect();
    times.sort();
    assert!(times[4] < Duration::from_millis(500), "{times:?}");
    let memory = fs::read_to_string(format!("/proc/{}/status", colony.pid())).expect("it lives");
    let peak =
        memory.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(peak.is_some_and(|peak| peak < 64 * 1024), "{peak:?}");
    // The noisy one ends as fast as others do.
    let began = Instant::now();
    colony.remove("flood");
    colony.wait_log("flood is gone");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// The fields that a line of the log may have; the README explains them.
const FIELDS: &[&str] = &["time", "level", "message", "process", "run", "pid", "reason", "count", "error"];

#[test]
fn the_log_as_json_is_one_object_a_line_with_the_same_names_always() {
    let setup = Setup::new()
        .file("web", &once("echo hi; exit 3"))
        .file("bad", "args: [")
        .file("none", r#"{"args": ["/nowhere"]}"#)
        .flags(&["--log-format", "json", "--output", "json"]);
    let colony = setup.start();
    colony.wait_log("web ended: exit code 3");
    colony.wait_log("cannot start none");
    colony.wait("the line", || colony.stdout().contains("\"log\":\"hi\"").then_some(()));
    let (status, log) = colony.end();
    assert!(status.success());
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        let line = line.as_object().expect("an object");
        assert!(FIELDS[..3].iter().all(|name| line[*name].is_string()), "{line:?}");
        assert!(line.keys().all(|key| FIELDS.contains(&key.as_str())), "{line:?}");
    }
    let find = |text: &str| {
        lines.iter().find(|line| line["message"].as_str().is_some_and(|message| message.contains(text))).expect(text)
    };
    let started = find("started web: it is new");
    assert_eq!((&started["level"], &started["process"]), (&"INFO".into(), &"web".into()));
    assert!(started["pid"].is_u64() && started["run"].is_u64());
    let is =
        |line: &Value, level: &str, reason: &str| (&line["level"], &line["reason"]) == (&level.into(), &reason.into());
    assert!(is(started, "INFO", "Started"), "{started}");
    assert!(is(find("web ended: exit code 3"), "WARN", "Exited"), "nobody asked it to end");
    assert!(is(find("cannot start none"), "ERROR", "Failed"));
    assert!(is(find("bad:1:"), "ERROR", "FailedValidation"));
    assert!(find("bad:1:")["message"].as_str().is_some_and(|text| text.contains("is not started until")));
}

// G11
#[test]
fn a_fault_that_lasts_is_told_once() {
    let backoff = r#""backoff": {"initialSeconds": 0.02, "maxSeconds": 0.02}"#;
    let missing = format!(r#"{{"args": ["/nowhere/at/all"], {backoff}}}"#);
    let nobody = format!(r#"{{"args": ["sleep", "1"], "workingDir": "/nowhere", {backoff}}}"#);
    let colony = Colony::with(&[("missing", &missing), ("elsewhere", &nobody), ("bad", "{"), ("web", SLEEPER)]);
    for name in ["missing", "elsewhere"] {
        let failures = format!("ncolony_process_start_failures_total{{process=\"{name}\"}}");
        colony.wait_metric(&failures, |failures| failures >= 20.0);
    }
    colony.wait_ticks(3);
    assert_eq!(colony.count("cannot start missing"), 1, "{}", colony.log());
    assert_eq!(colony.count("cannot start elsewhere"), 1, "{}", colony.log());
    let lines = colony.log().lines().count();
    assert!(lines < 15, "{lines} lines:\n{}", colony.log());
    // Another fault is another line.
    colony.write("missing", &missing.replace("/nowhere/at/all", "/nowhere/else"));
    colony.wait_log("cannot start missing: program \"/nowhere/else\"");
    // And the end of it is told, by the start.
    colony.write("missing", SLEEPER);
    colony.wait_pid("missing", None);
    assert!(cpu_time(colony.pid()) < Duration::from_secs(10));
}
