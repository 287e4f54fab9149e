//! Processes that run at intervals.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// The file in which a monitor leaves how far it had followed the calendars: this one's an age ago.
fn left_behind(setup: &Setup, name: &str, calendar: &str) {
    let state = setup.path("messages/.ncolony");
    fs::create_dir_all(&state).expect("a directory");
    let up_to = now() - 399 * 86_400;
    fs::write(state.join("schedules"), format!("{up_to} 0 {name}\t{calendar}\ngarbage\n")).expect("a file");
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn new_year(job: &str) -> String {
    format!("{job}\nschedule: 0 0 1 1 *\ntimeZone: UTC\n")
}

const NEXT: &str = r#"ncolony_process_next_start_timestamp_seconds{process="job"}"#;
const LAST: &str = r#"ncolony_schedule_last_scheduled_timestamp_seconds{schedule="job"}"#;

#[test]
fn what_was_missed_while_no_monitor_ran_is_made_up_for_once() {
    let setup = Setup::new();
    left_behind(&setup, "job", "UTC 0 0 1 1 *");
    let colony = setup.file("job.yaml", &new_year("args: [\"true\"]\nenv_inherit: [PATH]")).start();
    colony.wait_metric(r#"ncolony_schedule_last_success_timestamp_seconds{schedule="job"}"#, |at| at > 1e9);
    let last = colony.wait_metric(LAST, |at| at > 1e9);
    let next = colony.wait_metric(NEXT, |at| at > now() as f64);
    assert_eq!((last % 86_400.0, next % 86_400.0), (0.0, 0.0), "midnights");
    assert!((365.0..=366.0).contains(&((next - last) / 86_400.0)), "from {last} to {next}");
    colony.wait_ticks(2);
    assert_eq!(colony.metric(STARTS), Some(1.0));

    let again = colony.kill_monitor().start();
    again.wait_metric(NEXT, |at| at == next);
    again.wait_ticks(2);
    assert_eq!(again.metric(STARTS), Some(0.0), "{}", again.log());
    assert_eq!(again.metric(LAST), Some(last), "it is known what was run for last");
    let (_, page) = again.get("/");
    assert!(page.contains("job"), "{page}");
}

#[test]
fn what_is_new_or_too_late_is_not_made_up_for() {
    let setup = Setup::new();
    left_behind(&setup, "late", "UTC 0 0 1 1 *");
    let job = new_year("args: [\"true\"]\nenv_inherit: [PATH]");
    let late = format!("{job}startingDeadlineSeconds: 60\n");
    let colony = setup.file("new.yaml", &job).file("late.yaml", &late).start();
    for name in ["new", "late"] {
        colony.wait_metric(&format!(r#"ncolony_process_next_start_timestamp_seconds{{process="{name}"}}"#), |at| {
            at > now() as f64
        });
    }
    colony.wait_ticks(2);
    for name in ["new", "late"] {
        assert_eq!(colony.metric(&format!(r#"ncolony_process_starts_total{{process="{name}"}}"#)), Some(0.0), "{name}");
    }
    let kept = fs::read_to_string(colony.path("messages/.ncolony/schedules")).expect("it is written");
    let names: Vec<&str> = kept.lines().filter_map(|line| line.split(['\t', ' ']).nth(2)).collect();
    assert_eq!(names, ["late", "new"], "{kept}");
    assert_eq!(colony.get("/healthz").0, 200, "a job between its times is as it should be");
}

#[test]
fn a_calendars_time_comes_on_the_minute() {
    let setup = Setup::new();
    let notes = setup.path("notes").display().to_string();
    let text = format!(
        r#"{{"args": ["sh", "-c", "date +%s.%N >> $1", "job", {notes:?}], "env_inherit": ["PATH"],
            "schedule": "* * * * *"}}"#
    );
    // It may be seen only after this minute's end, and then it is run at the end of the next.
    let earliest = (now() / 60 + 1) as f64 * 60.0;
    let colony = setup.file("job", &text).start();
    let due = colony.wait_metric(NEXT, |at| at > 1e9 && at % 60.0 == 0.0);
    // The one test that waits for the clock.
    while (now() as f64) < due {
        thread::sleep(Duration::from_millis(200));
    }
    let began = wait_notes(&colony, 1)[0];
    assert!(began >= earliest, "it was run {} s early", earliest - began);
    colony.wait_log("started job: its time has come");
    colony.wait_metric(LAST, |at| at >= earliest && at % 60.0 == 0.0);
}

#[test]
fn a_suspended_job_is_run_by_hand_and_no_second_one_beside_it() {
    let job = "args: [sleep, \"1000\"]\nenv_inherit: [PATH]\nsuspend: true";
    let colony = Setup::new().file("job.yaml", &new_year(job)).start();
    colony.wait_metric(r#"ncolony_process_state{process="job",state="stopped"}"#, |is| is == 1.0);
    colony.message("now", r#"{"type": "TRIGGER", "name": "job"}"#);
    let run = colony.wait_pid("job", None);
    colony.wait_log("started job: a message asked for it now");
    colony.message("again", r#"{"type": "TRIGGER", "name": "job"}"#);
    colony.wait_log("its last run is not over, and there are never two at a time");
    // An edit of what it was born with is for the next run.
    colony.write("job.yaml", &new_year("args: [sleep, \"2000\"]\nenv_inherit: [PATH]\nsuspend: true"));
    colony.wait_metric("ncolony_config_generation", |generation| generation >= 2.0);
    colony.wait_ticks(2);
    assert_eq!(colony.pid_of("job"), Some(run));
    assert_eq!(colony.metric(STARTS), Some(1.0));
    let line = fs::read(format!("/proc/{run}/cmdline")).expect("it runs");
    assert!(line.ends_with(b"1000\0"), "{line:?}");
}

#[test]
fn with_replace_the_next_run_ends_the_last() {
    let setup = Setup::new();
    let text =
        job(&setup, 2.0, "exec sleep 1000").replace("\"schedule\"", "\"concurrencyPolicy\": \"Replace\", \"schedule\"");
    let colony = setup.file("job", &text).start();
    let first = colony.wait_pid("job", None);
    let second = colony.wait_pid("job", Some(first));
    wait_gone(first);
    colony.wait_log("job: the next run is due");
    colony.wait_pid("job", Some(second));
}

#[test]
fn a_run_that_lasts_too_long_is_ended_and_has_failed_for_good() {
    let long = "args: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 0.1; done\"]\nenv_inherit: [PATH]\n\
                activeDeadlineSeconds: 1\nrestartPolicy: OnFailure\nbackoff: {initialSeconds: 0.2}\n";
    let job = format!("{long}schedule: {{every: 1000}}\n");
    let colony = Colony::with(&[("once.yaml", long), ("job.yaml", &job)]);
    for name in ["once", "job"] {
        colony.wait_metric(&format!(r#"ncolony_process_exits_total{{process="{name}",reason="deadline"}}"#), |ends| {
            ends == 1.0
        });
    }
    colony.wait_log("once: it lasted longer than activeDeadlineSeconds");
    colony.wait_metric(r#"ncolony_process_state{process="once",state="failed"}"#, |is| is == 1.0);
    colony.wait_metric(r#"ncolony_process_state{process="job",state="pending"}"#, |is| is == 1.0);
    colony.wait_ticks(2);
    for name in ["once", "job"] {
        assert_eq!(colony.metric(&format!(r#"ncolony_process_starts_total{{process="{name}"}}"#)), Some(1.0), "{name}");
    }
    let (_, text) = colony.get("/healthz?verbose");
    assert!(text.contains("DeadlineExceeded"), "{text}");
}

#[test]
fn a_calendar_is_of_its_time_zone() {
    let at = |zone: &str| format!(r#"{{"args": ["true"], "schedule": "0 3 * * *", "timeZone": "{zone}"}}"#);
    let colony = Colony::with(&[("job", &at("Asia/Tokyo"))]);
    // Neither place changes its clocks: three in the morning is 18:00 UTC and 21:30 UTC of the day before.
    colony.wait_metric(NEXT, |next| next % 86_400.0 == 64_800.0);
    colony.write("job", &at("Asia/Kolkata"));
    colony.wait_metric(NEXT, |next| next % 86_400.0 == 77_400.0);
    assert_eq!(colony.metric(STARTS), Some(0.0), "no run is due");
}
