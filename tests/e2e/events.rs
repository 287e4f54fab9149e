//! What happens to processes, in the kubelet's words: counted, in the order of time, and shown by the status page.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Colony, Setup, series, sh, sleeper, wait_gone};

/// An event, as the status page has it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Shown {
    kind: String,
    reason: String,
    message: String,
    count: u64,
    seen: String,
}

/// The events of a process, in the order of time.
fn events(colony: &Colony, process: &str) -> Vec<Shown> {
    let (_, body) = colony.get("/colony.json");
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |event: &Value, key: &str| event[key].as_str().expect("a text").to_string();
    let events = answer["events"].as_array().cloned().unwrap_or_default();
    let mut shown: Vec<Shown> = events
        .iter()
        .filter(|event| event["process"] == process)
        .map(|event| Shown {
            kind: text(event, "type"),
            reason: text(event, "reason"),
            message: text(event, "message"),
            count: event["count"].as_u64().expect("a number"),
            seen: text(event, "seen"),
        })
        .collect();
    shown.reverse();
    shown
}

fn find(colony: &Colony, process: &str, reason: &str, message: &str) -> Option<Shown> {
    events(colony, process).into_iter().find(|event| event.reason == reason && event.message == message)
}

/// Waits until an event has happened so often.
fn wait_event(colony: &Colony, process: &str, reason: &str, message: &str, count: u64) -> Shown {
    let what = format!("{reason} {message:?} of {process} ×{count} among {:#?}", events(colony, process));
    colony.wait(&what, || find(colony, process, reason, message).filter(|event| event.count >= count))
}

/// The reasons and messages of a process, in the order of time.
fn story(colony: &Colony, process: &str) -> Vec<(String, String)> {
    events(colony, process).into_iter().map(|event| (event.reason, event.message)).collect()
}

fn told(story: &[(&str, &str)]) -> Vec<(String, String)> {
    story.iter().map(|(reason, message)| (reason.to_string(), message.to_string())).collect()
}

const QUICK: &str = r#""backoff": {"initialSeconds": 0.1, "maxSeconds": 0.1}"#;

#[test]
fn a_process_that_crashes_again_and_again_has_few_events_with_counts() {
    let crashing = format!(r#"{{"args": ["sh", "-c", "exit 3"], "env_inherit": ["PATH"], {QUICK}}}"#);
    let colony = Colony::with(&[("web", &crashing)]);
    let cause = "back-off restarting: exit code 3";
    let backoff = wait_event(&colony, "web", "BackOff", cause, 5);
    assert_eq!(backoff.kind, "Warning");
    assert!(backoff.seen.contains(&format!(" (x{} over ", backoff.count)), "{backoff:?}");
    let exited = wait_event(&colony, "web", "Exited", "exit code 3", 5);
    let started = wait_event(&colony, "web", "Started", "the back-off is over", 4);
    assert_eq!((exited.kind.as_str(), started.kind.as_str()), ("Warning", "Normal"));
    let mut reasons: Vec<String> = events(&colony, "web").into_iter().map(|event| event.reason).collect();
    assert_eq!(reasons[..2], ["Created", "Started"], "what happened longest ago comes first");
    reasons.sort();
    assert_eq!(reasons, ["BackOff", "Created", "Exited", "Started", "Started"]);
    // The log has each start and each end, as ever, and the wait now and then.
    let count = find(&colony, "web", "BackOff", cause).expect("it is there").count as usize;
    colony.wait("each end to be told", || (colony.count("web ended: exit code 3") >= count).then_some(()));
    assert!((1..count).contains(&colony.count(cause)), "{}", colony.log());
}

#[test]
fn a_start_that_fails_is_counted_and_said_once() {
    let missing = format!(r#"{{"args": ["/nowhere/web"], {QUICK}}}"#);
    let colony = Colony::with(&[("web", &missing)]);
    let failed = wait_event(&colony, "web", "Failed", "cannot start: program \"/nowhere/web\" not found (ENOENT)", 5);
    assert_eq!(failed.kind, "Warning");
    wait_event(&colony, "web", "BackOff", "back-off restarting: it cannot be started", 5);
    colony.wait_log("cannot start web");
    assert_eq!(colony.count("cannot start web"), 1, "{}", colony.log());
    let failures = colony.metric(&series("start_failures_total", "web")).expect("the metric");
    wait_event(&colony, "web", "Failed", &failed.message, failures as u64);
}

#[test]
fn edits_are_told_with_what_comes_of_them() {
    let file = |gate: bool, greeting: &str| {
        json!({"args": ["sleep", "1000"], "readinessGate": gate, "env": {"GREETING": greeting}}).to_string()
    };
    let colony = Colony::with(&[("web", &file(true, "hello"))]);
    colony.wait_pid("web", None);
    colony.write("web", &file(false, "hello"));
    wait_event(&colony, "web", "Updated", "its edited file is in force; it runs on", 1);
    colony.write("web", &file(false, "good morning"));
    wait_event(&colony, "web", "Started", "its file changed", 1);
    let expected = [
        ("Created", "a process file describes it"),
        ("Started", "it is new"),
        ("Updated", "its edited file is in force; it runs on"),
        ("Killing", "its file changed"),
        ("Stopped", "killed by SIGTERM"),
        ("Started", "its file changed"),
    ];
    assert_eq!(story(&colony, "web"), told(&expected));
    colony.message("restart", r#"{"type": "RESTART", "name": "web"}"#);
    wait_event(&colony, "web", "Started", "a message asked for it", 1);
    wait_event(&colony, "web", "Killing", "a message asked for it", 1);
    assert_eq!(wait_event(&colony, "web", "Stopped", "killed by SIGTERM", 2).kind, "Normal");
}

#[test]
fn a_process_that_is_killed_after_its_grace_and_gone_has_its_story_still() {
    let deaf = json!({
        "args": ["sh", "-c", "trap '' TERM; touch \"$UP\"; while :; do sleep 0.1; done"],
        "env_inherit": ["PATH"],
        "terminationGracePeriodSeconds": 1,
    });
    let setup = Setup::new();
    let up = setup.path("up");
    let mut deaf = deaf;
    deaf["env"] = json!({"UP": up});
    let colony = setup.file("deaf", &deaf.to_string()).file("web", &sleeper()).start();
    colony.wait("it to be deaf", || fs::exists(&up).expect("a directory").then_some(()));
    let pid = colony.wait_pid("deaf", None);
    colony.remove("deaf");
    wait_event(&colony, "deaf", "SuccessfulDelete", "nothing of it is left", 1);
    wait_gone(pid);
    let expected = [
        ("Created", "a process file describes it"),
        ("Started", "it is new"),
        ("Killing", "its file was removed"),
        ("ExceededGracePeriod", "its grace is over"),
        ("Stopped", "killed by SIGKILL"),
        ("SuccessfulDelete", "nothing of it is left"),
    ];
    assert_eq!(story(&colony, "deaf"), told(&expected));
    assert_eq!(find(&colony, "deaf", "ExceededGracePeriod", "its grace is over").expect("it is there").kind, "Warning");
    let (_, body) = colony.get("/colony.json");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["processes"].as_array().map(Vec::len), Some(1), "it is a process no more");
    // It comes back, and its story goes on.
    colony.write("deaf", &sleeper());
    wait_event(&colony, "deaf", "Started", "it is new", 2);
}

#[test]
fn a_file_that_is_refused_is_an_event_of_its_process_whether_there_is_one_or_not() {
    let colony = Colony::with(&[("web", &sleeper()), ("bad", r#"{"args": ["sleep", "1000"], "nice": "very"}"#)]);
    colony.wait_log("bad is not started until this is mended");
    let refused = |process: &str| {
        let what = format!("{process} to be refused");
        colony.wait(&what, || events(&colony, process).into_iter().find(|event| event.reason == "FailedValidation"))
    };
    let bad = refused("bad");
    assert!(bad.message.starts_with("bad:1:") && bad.message.contains("nice"), "{bad:?}");
    assert_eq!((bad.kind.as_str(), events(&colony, "bad").len()), ("Warning", 1));
    colony.write("bad", &sleeper());
    wait_event(&colony, "bad", "Started", "it is new", 1);
    let reasons: Vec<String> = events(&colony, "bad").into_iter().map(|event| event.reason).collect();
    assert_eq!(reasons, ["FailedValidation", "Created", "Started"]);
    colony.write("web", "{\"args\": [\"sleep\", \"1000\"],\n \"nice\": \"very\"}");
    assert!(refused("web").message.starts_with("web:2:"));
    let reasons: Vec<String> = events(&colony, "web").into_iter().map(|event| event.reason).collect();
    assert_eq!(reasons, ["Created", "Started", "FailedValidation"], "it runs on");
}

#[test]
fn jobs_complete_exceed_their_deadlines_and_miss_their_times() {
    let once = r#"{"args": ["true"], "env_inherit": ["PATH"], "restartPolicy": "OnFailure"}"#;
    let long = r#"{"args": ["sleep", "1000"], "restartPolicy": "Never", "activeDeadlineSeconds": 1}"#;
    let slow = r#"{"args": ["sleep", "2.5"], "schedule": {"every": 1}}"#;
    let colony = Colony::with(&[("once", once), ("long", long), ("slow", slow)]);
    assert_eq!(wait_event(&colony, "once", "Completed", "exit code 0", 1).kind, "Normal");
    wait_event(&colony, "long", "Stopped", "killed by SIGTERM", 1);
    let why = "it lasted longer than activeDeadlineSeconds";
    let expected = [
        ("Created", "a process file describes it"),
        ("Started", "it is new"),
        ("DeadlineExceeded", why),
        ("Stopped", "killed by SIGTERM"),
    ];
    assert_eq!(story(&colony, "long"), told(&expected));
    let missed = wait_event(&colony, "slow", "MissSchedule", "nothing was run for times of its schedule", 2);
    assert_eq!(missed.kind, "Warning");
    colony.wait_log("slow: nothing was run for times of its schedule");
}

#[test]
fn a_run_whose_post_start_failed_is_killed_and_waits_and_all_three_are_events() {
    let post = json!({
        "args": ["sleep", "1000"],
        "env_inherit": ["PATH"],
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "exit 7"]}}},
    });
    let colony = Colony::with(&[("post", &post.to_string())]);
    wait_event(&colony, "post", "FailedPostStartHook", "exit code 7; it is ended", 1);
    wait_event(&colony, "post", "Killing", "its postStart failed", 1);
    wait_event(&colony, "post", "BackOff", "back-off restarting: its postStart failed", 1);
}

#[test]
fn a_heart_that_stops_is_unhealthy_before_it_is_killed_and_one_that_cannot_be_seen_is_a_warning() {
    let setup = Setup::new();
    let status = setup.path("status");
    nix::unistd::mkfifo(&status, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let web = json!({
        "args": ["sleep", "1000"],
        "backoff": {"initialSeconds": 0.1, "maxSeconds": 0.1},
        "ncolony.beatcheck": {"period": 1, "grace": 1, "status": status},
    });
    let colony = setup.file("web", &web.to_string()).start();
    let unhealthy = wait_event(&colony, "web", "Unhealthy", "its heartbeat stopped", 2);
    assert_eq!(unhealthy.kind, "Warning");
    wait_event(&colony, "web", "Killing", "its heartbeat stopped", 2);
    wait_event(&colony, "web", "BackOff", "back-off restarting: its heartbeat stopped", 2);
    let blind = format!("its heartbeat cannot be taken: {} is a FIFO, not a file", status.display());
    let warned = wait_event(&colony, "web", "ProbeWarning", &blind, 4);
    assert!((1..warned.count as usize).contains(&colony.count("is a FIFO")), "{}", colony.log());
    let order: Vec<String> = events(&colony, "web").into_iter().map(|event| event.reason).collect();
    let place = |reason: &str| order.iter().position(|one| one == reason).expect("it is there");
    assert!(place("Created") < place("Unhealthy"), "{order:?}");
}

#[test]
fn hooks_that_fail_and_hooks_that_are_cut_are_events() {
    let hooked = |hook: &str| {
        json!({
            "args": ["sleep", "1000"],
            "env_inherit": ["PATH"],
            "terminationGracePeriodSeconds": 2,
            "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", hook]}}},
        })
        .to_string()
    };
    let colony = Colony::with(&[("fails", &hooked("exit 9")), ("hangs", &hooked("sleep 1000"))]);
    for name in ["fails", "hangs"] {
        colony.wait_pid(name, None);
        colony.remove(name);
    }
    wait_event(&colony, "hangs", "UnfinishedPreStopHook", "it took all of its time, and is ended; the stop goes on", 1);
    wait_event(&colony, "fails", "FailedPreStopHook", "exit code 9; the stop goes on", 1);
    wait_event(&colony, "fails", "SuccessfulDelete", "nothing of it is left", 1);
    let expected = [
        ("Created", "a process file describes it"),
        ("Started", "it is new"),
        ("Killing", "its file was removed"),
        ("FailedPreStopHook", "exit code 9; the stop goes on"),
        ("Stopped", "killed by SIGTERM"),
        ("SuccessfulDelete", "nothing of it is left"),
    ];
    assert_eq!(story(&colony, "fails"), told(&expected));
}

#[test]
fn what_an_earlier_monitor_left_is_killed_and_that_is_told() {
    let first = Colony::with(&[("web", &sleeper())]);
    let pid = first.wait_pid("web", None);
    let second = first.kill_monitor().start();
    wait_event(&second, "web", "Started", "it is new", 1);
    wait_gone(pid);
    let reasons: Vec<(String, String)> =
        story(&second, "web").into_iter().filter(|(reason, _)| reason == "Killing").collect();
    assert_eq!(reasons, told(&[("Killing", "a monitor before this one started it")]));
}

#[test]
fn a_page_with_nothing_but_trouble_shows_the_twenty_newest_events_with_their_texts_escaped() {
    let files: Vec<(String, String)> = (0..15).map(|number| (format!("p{number} <b>&"), sh("exit 1"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let colony = Colony::with(&files);
    colony.wait("fifteen processes to have ended", || (colony.count(" ended: exit code 1") >= 15).then_some(()));
    let (_, body) = colony.get("/colony.json");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["events"].as_array().map(Vec::len), Some(20));
    let (code, page) = colony.get("/");
    assert_eq!(code, 200);
    let (_, section) = page.split_once("<section id=\"events\">").expect("it is shown");
    let (table, _) = section.split_once("</section>").expect("its end");
    assert_eq!(table.matches("<tr role=\"row\" data-type=\"").count(), 20, "{table}");
    assert!(table.contains("&lt;b&gt;&amp;</th>") && !table.contains("<b>&"), "{table}");
    assert!(table.contains("<b>BackOff</b><span>back-off restarting: exit code 1</span>"), "{table}");
}
