//! What the processes of a run use, as `/metrics` tells it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::metrics::Scrape;
use crate::panics::armed;
use crate::support::{Colony, Setup, send, series, sh, sleeper};

const SAMPLED: &str = "ncolony_usage_last_sample_timestamp_seconds";

/// User and system time together.
fn cpu(scrape: &Scrape, process: &str) -> Option<f64> {
    let of =
        |mode| scrape.value(&format!("ncolony_process_cpu_seconds_total{{process=\"{process}\",mode=\"{mode}\"}}"));
    Some(of("user")? + of("system")?)
}

fn wait_cpu(colony: &Colony, process: &str, good: impl Fn(f64) -> bool) -> f64 {
    colony.wait("the processor time to be as expected", || cpu(&Scrape::of(colony), process).filter(|cpu| good(*cpu)))
}

fn script(script: &str) -> serde_json::Value {
    json!({"args": ["sh", "-c", script], "env_inherit": ["PATH"]})
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

#[test]
fn what_a_run_has_is_what_all_of_its_tree_has_wherever_that_went() {
    // A child in a session of its own comes to have 64 MiB, and its parent goes: it is adopted.
    let grows = "awk 'BEGIN { s = \"x\"; while (length(s) < 67000000) s = s s; system(\"sleep 1000\") }'";
    let main = format!("(setsid {grows} &) ; exec 7</dev/null 8</dev/null; sleep 1000");
    let colony = Colony::with(&[("web", &script(&main).to_string()), ("small", &sleeper())]);
    colony.wait_metric(&series("resident_memory_bytes", "web"), |bytes| bytes > 64e6);
    // Two shells or more, awk and sleep.
    colony.wait_metric(&series("threads", "web"), |threads| threads >= 3.0);
    colony.wait_metric(&series("open_fds", "web"), |fds| fds >= 11.0);
    let scrape = Scrape::of(&colony);
    assert!(scrape.value(&series("resident_memory_bytes", "small")).is_some_and(|bytes| bytes < 32e6));
    assert_eq!(scrape.value(&series("threads", "small")), Some(1.0));
    assert_eq!(scrape.value(&series("open_fds", "small")), Some(3.0));
}

#[test]
fn runs_between_two_looks_are_counted_to_the_last_moment() {
    // Each run says at its end what it has used, and its children.
    let burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    let mut file = script(&format!("{burn}; sh -c '{burn}'; times"));
    file["schedule"] = json!({"every": 0.3});
    let colony = Colony::with(&[("job", &file.to_string())]);
    colony.wait_metric(r#"ncolony_schedule_runs_total{schedule="job"}"#, |runs| runs >= 6.0);
    file["suspend"] = json!(true);
    colony.write("job", &file.to_string());
    colony.wait_metric(&series("state", "job").replace('}', ",state=\"stopped\"}"), |is| is == 1.0);
    colony.wait_metric(&series("up", "job"), |up| up == 0.0);

    let minutes = |text: &str| text.split_once('m').and_then(|(_, rest)| rest.strip_suffix('s')?.parse::<f64>().ok());
    let told: f64 = colony.stdout().split_whitespace().filter_map(minutes).sum();
    let runs = colony.metric(r#"ncolony_schedule_runs_total{schedule="job"}"#).expect("it has run");
    assert!(told > 0.01 * runs, "{}", colony.stdout());
    let counted = wait_cpu(&colony, "job", |cpu| cpu >= told);
    // To be executed and to end takes its time as well.
    assert!(counted < 2.0 * told + 0.1 * runs, "{counted} s in {runs} runs that told of {told} s");
    let scrape = Scrape::of(&colony);
    assert_eq!(scrape.value(&series("resident_memory_bytes", "job")), None, "nothing of it runs");
}

#[test]
fn processor_time_goes_on_from_run_to_run_and_begins_anew_with_another_process() {
    let busy = "while :; do i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; sh -c 'exit 0'; sleep 0.05; done";
    let colony = Setup::new().flags(&["--minrestartdelay", "0.05"]).file("busy", &sh(busy)).start();
    let mut before = wait_cpu(&colony, "busy", |cpu| cpu > 0.1);
    for _ in 0..3 {
        let pid = colony.wait_pid("busy", None);
        send(pid, Signal::SIGKILL);
        colony.wait_pid("busy", Some(pid));
        before = wait_cpu(&colony, "busy", |cpu| {
            assert!(cpu >= before, "{cpu} s after {before} s");
            cpu > before
        });
    }
    colony.remove("busy");
    colony.wait("no series to be left", || cpu(&Scrape::of(&colony), "busy").is_none().then_some(()));
    colony.write("busy", &sleeper());
    let anew = wait_cpu(&colony, "busy", |_| true);
    assert!(anew < before, "{anew} s after {before} s");
}

#[test]
fn it_is_looked_at_the_processes_when_somebody_scrapes_and_at_most_every_five_seconds() {
    let colony = Colony::with(&[("web", &sleeper())]);
    colony.wait_pid("web", None);
    // Whoever asks for health wants none of that.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        assert_ne!(colony.get("/healthz").0, 0);
        thread::sleep(Duration::from_millis(50));
    }
    let (before, began) = (now(), Instant::now());
    let first = Scrape::of(&colony);
    // It waits for a look, unless that takes too long.
    if began.elapsed() < Duration::from_millis(900) {
        assert!(first.value(SAMPLED).is_some_and(|at| at >= before - 0.1), "{:?}", first.value(SAMPLED));
        assert!(first.value(&series("resident_memory_bytes", "web")).is_some_and(|bytes| bytes > 0.0));
        assert!(cpu(&first, "web").is_some());
    }
    let mut looks: Vec<f64> = Vec::new();
    colony.wait("three looks", || {
        let at = Scrape::of(&colony).value(SAMPLED)?;
        if looks.last() != Some(&at) {
            looks.push(at);
        }
        thread::sleep(Duration::from_millis(100));
        (looks.len() == 3).then_some(())
    });
    assert!(looks.windows(2).all(|pair| pair[1] - pair[0] >= 4.9), "{looks:?}");
}

// Found by a file that was away for a moment: the first scrape was asked for right after a turn, and waited for the next.
#[test]
fn a_scrape_that_comes_right_after_a_turn_does_not_wait_for_the_next() {
    let (setup, slow) = armed(Setup::new(), "turn", "slow");
    let colony = setup.file("web", &sleeper()).flags(&["--frequency", "100"]).start();
    colony.wait_pid("web", None);
    fs::write(&slow, "").expect("a file");
    colony.write("other", &sleeper());
    // Told within the slow turn, after which nothing happens: what is asked now is heard between it and the next.
    colony.wait_log("started other");
    fs::remove_file(&slow).expect("the file");
    let scrape = Scrape::of(&colony);
    assert_eq!(scrape.value(&series("threads", "web")), Some(1.0), "it came without what was asked for");
}
