//! The alerts of a monitor's own troubles, before a real Prometheus: a state directory that cannot be had, an output that
//! nobody reads, too few descriptors, a loop that is slow or hangs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use super::alerts::{GONE, NEAR, SEEN, UNREAD, alerts, quick, shipped, wait_firing, wait_peace};
use super::board::Board;
use super::server::{self, Prometheus};
use crate::panics::armed;
use crate::support::{Colony, Setup, can, sleeper, succeeds};

/// Each is seen firing and ending below; the second is the check that fails, where there is one.
const OWN: &[(&str, &str)] = &[
    ("NcolonyJournalTrouble", "journal"),
    ("NcolonyHealthcheckFailing", "output"),
    ("NcolonyOutputLost", ""),
    ("NcolonyOpenFdsHigh", ""),
];
/// That of a loop that is too slow.
const SLOW: &[(&str, &str)] = &[("NcolonyReconcileSlow", "")];

#[test]
fn every_alert_is_seen_firing_and_ending() {
    let seen = [SEEN, OWN, SLOW, &[NEAR, UNREAD]].concat().into_iter().map(|(alert, _)| alert);
    let told: BTreeSet<String> = seen.chain(GONE).map(str::to_string).collect();
    let mut shipped = shipped();
    let all: BTreeSet<String> =
        alerts(&mut shipped).map(|alert| alert["alert"].as_str().expect("a name").to_string()).collect();
    assert_eq!(told, all);
}

/// Reads a FIFO, on and on.
fn drain(fifo: &Path) {
    let mut reader = File::open(fifo).expect("the monitor has it open");
    thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while reader.read(&mut buffer).is_ok_and(|length| length > 0) {}
    });
}

/// Leaves a monitor few descriptors more than it has.
fn tighten(colony: &Colony) {
    let open = colony.wait_metric("process_open_fds", |open| open > 60.0);
    let limit = format!("--nofile={:.0}", open / 0.85);
    assert!(succeeds("prlimit", &["--pid", &colony.pid().to_string(), &limit]));
}

fn idle(number: usize) -> String {
    format!("idle{number}")
}

#[test]
fn alerts_of_the_monitor_itself_fire_and_end_when_it_is_mended() {
    if !server::is_there() || !can("prlimit", succeeds("prlimit", &["true"])) {
        return;
    }
    let setup = Setup::new();
    let (fifo, state) = (setup.path("fifo"), setup.path("state"));
    mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO");
    // Without it, nobody could open the FIFO for writing.
    let reader = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&fifo).expect("ours");
    let talks = r#"{"args": ["sh", "-c", "while :; do echo a line; sleep 0.2; done"], "env_inherit": ["PATH"]}"#;
    let setup = setup.flags(&["--state", &state.display().to_string()]).file("talking", talks);
    let setup = (0..20).fold(setup, |setup, number| setup.file(&idle(number), &sleeper()));
    let mut command = setup.command();
    command.stdout(File::options().write(true).open(&fifo).expect("somebody reads"));
    let colony = setup.start_as(command);
    let prometheus = Prometheus::start(&[colony.address()], &quick());
    for number in 0..20 {
        colony.wait_pid(&idle(number), None);
    }

    drop(reader);
    fs::rename(&state, colony.path("moved")).expect("ours");
    fs::write(&state, "no directory").expect("ours");
    tighten(&colony);
    wait_firing(&prometheus, &colony, OWN, || ());

    drain(&fifo);
    fs::remove_file(&state).expect("ours");
    (0..20).for_each(|number| colony.remove(&idle(number)));
    wait_peace(&prometheus, || colony.log());
}

/// The rules with these alerts only, and so that a scrape now and then is enough for them.
fn only(names: &[(&str, &str)]) -> Value {
    let mut rules = quick();
    for group in rules["groups"].as_array_mut().expect("groups") {
        let alerts = group["rules"].as_array_mut().expect("rules");
        alerts.retain(|alert| names.iter().any(|(name, _)| alert["alert"] == *name));
        for alert in alerts {
            let expr = alert["expr"].as_str().expect("a text");
            alert["expr"] = expr.replace("[5s]", "[20s]").into();
        }
    }
    rules
}

#[test]
fn the_alert_of_a_slow_loop_fires_and_ends_when_it_is_quick_again() {
    if !server::is_there() {
        return;
    }
    let (setup, slow) = armed(Setup::new(), "turn", "slow");
    // There is always something to do.
    let hasty = r#"{"args": ["true"], "backoff": {"thresholdSeconds": 0}}"#;
    let colony = (0..20).fold(setup, |setup, number| setup.file(&format!("hasty{number}"), hasty)).start();
    fs::write(&slow, "").expect("a file");
    let prometheus = Prometheus::start_each(5, &[colony.address()], &only(SLOW));
    wait_firing(&prometheus, &colony, SLOW, || ());
    fs::remove_file(&slow).expect("ours");
    wait_peace(&prometheus, || colony.log());
}

#[test]
fn a_loop_that_hangs_is_a_monitor_that_does_not_answer() {
    if !server::is_there() {
        return;
    }
    let down = &[("NcolonyMonitorDown", "")];
    let (setup, hang) = armed(Setup::new(), "turn", "hang");
    let colony = setup.start();
    let prometheus = Prometheus::start(&[colony.address()], &only(down));
    colony.wait("a scrape", || (prometheus.now("ncolony_build_info").len() == 1).then_some(()));
    fs::write(hang, "").expect("a file");
    wait_firing(&prometheus, &colony, down, || ());
    assert_eq!(super::down(&Board::shipped(), &prometheus), Some(1.0));
    // It would not end when it is told to.
    drop(colony.kill_monitor());
}

// By whatever the tick: what is scraped is never behind for want of one.
#[test]
fn each_scrape_has_the_loop_look() {
    let colony = Setup::new().flags(&["--frequency", "100000"]).start();
    let looked = || colony.metric("ncolony_last_reconcile_timestamp_seconds");
    let mut last = colony.wait("a look", looked);
    for _ in 0..3 {
        last = colony.wait("a later look", || looked().filter(|later| *later > last));
    }
}
