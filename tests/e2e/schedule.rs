//! Processes that run at intervals.

use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Colony, Setup, wait_gone};

const STARTS: &str = r#"ncolony_process_starts_total{process="job"}"#;

/// A process that notes when it begins, then does this; it begins `every` so many seconds.
fn job(setup: &Setup, every: f64, script: &str) -> String {
    let script = format!("date +%s.%N >> $1; {script}");
    let notes = setup.path("notes").display().to_string();
    format!(
        r#"{{"args": ["sh", "-c", {script:?}, "job", {notes:?}], "env_inherit": ["PATH"],
            "schedule": {{"every": {every}}}}}"#
    )
}

fn with_job(every: f64, script: &str) -> Colony {
    let setup = Setup::new();
    let text = job(&setup, every, script);
    setup.file("job", &text).start()
}

/// When the runs began, in seconds.
fn notes(colony: &Colony) -> Vec<f64> {
    let text = fs::read_to_string(colony.path("notes")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn wait_notes(colony: &Colony, count: usize) -> Vec<f64> {
    colony.wait(&format!("{count} runs"), || Some(notes(colony)).filter(|notes| notes.len() >= count))
}

#[test]
fn it_runs_at_once_and_then_at_the_interval_and_is_ready_throughout() {
    let colony = with_job(1.0, "true");
    let first = wait_notes(&colony, 1);
    colony.wait("the first full look to be done", || (colony.get("/healthz").0 == 200).then_some(()));
    while notes(&colony).len() < 4 {
        let (code, text) = colony.get("/healthz?verbose");
        assert_eq!(code, 200, "{text}");
    }
    let notes = wait_notes(&colony, 4);
    for (number, at) in (0u8..).zip(&notes[..4]) {
        let late = at - first[0] - f64::from(number);
        assert!((-0.3..0.9).contains(&late), "run {number} was {late} s late: {notes:?}");
    }
    assert!(colony.count("started job: its time has come") >= 3, "{}", colony.log());
    colony.wait_metric(r#"ncolony_schedule_interval_seconds{schedule="job"}"#, |every| every == 1.0);
    colony.wait_metric(r#"ncolony_schedule_last_success_timestamp_seconds{schedule="job"}"#, |at| at > 1e9);
    colony.wait_metric(r#"ncolony_process_exits_total{process="job",reason="completed"}"#, |runs| runs >= 3.0);
}

// S01t
#[test]
fn a_run_that_takes_longer_than_the_interval_is_not_joined_by_another() {
    let colony = with_job(0.5, "sleep 1.2");
    let notes = wait_notes(&colony, 4);
    for pair in notes.windows(2) {
        assert!(pair[1] - pair[0] >= 1.2, "{notes:?}");
    }
}

// S02t
#[test]
fn what_was_missed_while_the_monitor_was_frozen_is_not_made_up_for() {
    let colony = with_job(0.5, "true");
    wait_notes(&colony, 2);
    colony.freeze();
    let before = notes(&colony).len();
    thread::sleep(Duration::from_secs(4));
    colony.signal(Signal::SIGCONT);
    let notes = wait_notes(&colony, before + 4);
    let after = &notes[before..];
    assert!(after[3] - after[0] > 1.0, "eight were missed, and one begins for them: {notes:?}");
}

#[test]
fn a_run_that_failed_waits_for_its_next_time_and_says_so() {
    let colony = with_job(1000.0, "exit 3");
    wait_notes(&colony, 1);
    colony.wait_metric(r#"ncolony_process_exits_total{process="job",reason="error"}"#, |runs| runs == 1.0);
    colony.wait_ticks(2);
    assert_eq!(colony.metric(STARTS), Some(1.0));
    colony.wait_finding("job", "[+]job ok");
    colony.wait_log("job ended: exit code 3");
}

#[test]
fn an_edit_of_the_interval_keeps_the_rhythm_and_runs_nothing_at_once() {
    let setup = Setup::new();
    let (long, longer) = (job(&setup, 1000.0, "true"), job(&setup, 500.0, "true"));
    let short = job(&setup, 3.0, "true");
    let colony = setup.file("job", &long).start();
    let first = wait_notes(&colony, 1)[0];
    colony.write("job", &longer);
    colony.wait_metric(r#"ncolony_schedule_interval_seconds{schedule="job"}"#, |every| every == 500.0);
    colony.wait_ticks(1);
    assert_eq!(notes(&colony).len(), 1, "an edit is no reason to run");
    // Three seconds from the first run, not from the edit.
    colony.write("job", &short);
    let second = wait_notes(&colony, 2)[1];
    let after = (second - first) % 3.0;
    assert!(!(0.9..2.7).contains(&after), "{second} - {first}");
}

#[test]
fn a_scheduled_run_whose_file_goes_is_ended() {
    let colony = with_job(1000.0, "exec sleep 1000");
    let run = colony.wait_pid("job", None);
    colony.remove("job");
    wait_gone(run);
    colony.wait_log("job is gone");
}
