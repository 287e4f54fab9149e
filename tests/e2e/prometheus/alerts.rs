//! The alerts of `deploy/`, before a real Prometheus that scrapes a real colony in trouble.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::exposition::Exposition;
use super::server::{self, Prometheus};
use super::{promql, trouble};
use crate::support::{Colony, can, send, series, succeeds, wait_until};

/// What is below `spec`.
pub(super) fn shipped() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/components/monitoring/prometheus-rules.yaml");
    let mut rules: Value = serde_yaml::from_str(&fs::read_to_string(file).expect("the rules")).expect("YAML");
    rules["spec"].take()
}

pub(super) fn alerts(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let groups = spec["groups"].as_array_mut().expect("groups").iter_mut();
    groups.flat_map(|group| group["rules"].as_array_mut().expect("rules").iter_mut())
}

/// A process whose readiness probe fails; it runs.
fn unready() -> String {
    let probe = |path| json!({"exec": {"command": ["test", "-d", path]}, "periodSeconds": 1, "failureThreshold": 1});
    let probes = (probe("/no/such/directory"), probe("/"));
    json!({"args": ["sleep", "1000"], "env_inherit": ["PATH"], "readinessProbe": probes.0, "livenessProbe": probes.1})
        .to_string()
}

// The check that rots first.
#[test]
fn every_metric_label_and_value_that_the_rules_name_exists() {
    let (colony, _unread) = trouble::start();
    colony.write("probed", &unready());
    let well = colony.wait_pid("well", None);
    colony.message("one", r#"{"type": "RESTART", "name": "well"}"#);
    colony.wait_pid("well", Some(well));
    let is_kept = colony.log().contains("limits are kept by cgroups below ");
    let (mut exposition, mut unknown) = (Exposition::default(), Vec::new());
    let known = wait_until("all", || {
        exposition.add(&colony.get("/metrics").1);
        let expressions =
            alerts(&mut shipped()).map(|alert| alert["expr"].as_str().expect("a text").to_string()).collect::<Vec<_>>();
        unknown = expressions
            .iter()
            .flat_map(|expr| exposition.unknown(&promql::read(expr).expect("an expression")))
            .collect();
        // Where there are no cgroups nothing has a working set; `e2e::limits` has one.
        unknown.retain(|trouble: &String| is_kept || !trouble.ends_with("ncolony_process_working_set_bytes"));
        unknown.is_empty().then_some(())
    });
    assert!(known.is_some(), "{}", unknown.join("\n"));
}

/// The rules as they are, but so that a test need not wait for a quarter of an hour.
pub(super) fn quick() -> Value {
    let mut rules = shipped();
    for alert in alerts(&mut rules) {
        let expr = alert["expr"].as_str().expect("a text");
        let expr = expr.replace("[5m]", "[5s]").replace("[15m]", "[15s]").replace("[1h]", "[20s]");
        alert["expr"] = expr.replace("> 300", "> 5").into();
        if alert["for"] != "0m" {
            alert["for"] = "2s".into();
        }
    }
    rules
}

/// Which alerts fire: its name, and of which process.
fn firing(prometheus: &Prometheus) -> BTreeSet<(String, String)> {
    let found = prometheus.now(r#"ALERTS{alertstate="firing"}"#).into_iter();
    let subject = |one: &server::Series| [one.label("process"), one.label("schedule"), one.label("name")].concat();
    found.map(|one| (one.label("alertname").to_string(), subject(&one))).collect()
}

/// Waits until each of these has been seen firing; what there is to be done meanwhile is done again and again.
pub(super) fn wait_firing(
    prometheus: &Prometheus,
    colony: &Colony,
    expected: &[(&str, &str)],
    mut meanwhile: impl FnMut(),
) {
    let mut missing: Vec<_> = expected.to_vec();
    let all = wait_until("all alerts", || {
        meanwhile();
        let firing = firing(prometheus);
        missing.retain(|(alert, subject)| !firing.contains(&(alert.to_string(), subject.to_string())));
        thread::sleep(Duration::from_millis(300));
        missing.is_empty().then_some(())
    });
    assert!(all.is_some(), "never seen: {missing:?}; firing: {:?}; the log:\n{}", firing(prometheus), colony.log());
}

pub(super) fn wait_peace(prometheus: &Prometheus, log: impl Fn() -> String) {
    let peace = wait_until("peace", || firing(prometheus).is_empty().then_some(()));
    assert!(peace.is_some(), "still firing: {:?}; the log:\n{}", firing(prometheus), log());
}

pub(super) const SEEN: &[(&str, &str)] = &[
    ("NcolonyProcessCrashLooping", "looping"),
    ("NcolonyProcessCrashLooping", "missing"),
    ("NcolonyProcessRestarting", "looping"),
    ("NcolonyProcessFailed", "failed"),
    ("NcolonyProcessDown", "missing"),
    ("NcolonyProcessNotReady", "probed"),
    ("NcolonyProbeFailing", "probed"),
    ("NcolonyHeartbeatStale", "lingering"),
    ("NcolonyProcessNotStopping", "lingering"),
    ("NcolonyProcessOOMKilled", "hog"),
    ("NcolonyProcessKilled", "hanging"),
    ("NcolonyGenerationLag", "deaf"),
    ("NcolonyLogsDropped", "flooding"),
    ("NcolonyScheduleOverdue", "overdue"),
    ("NcolonyScheduleFailing", "overdue"),
    ("NcolonyScheduleRunLong", "long"),
    ("NcolonyScheduleMissed", "late"),
    ("NcolonyConfigInvalid", ""),
    ("NcolonyMessagesRefused", ""),
];

/// Seen where a process can be made that has as much memory as it needs for it.
pub(super) const NEAR: (&str, &str) = ("NcolonyMemoryNearLimit", "near");
/// Seen when the directory of process files is gone.
pub(super) const UNREAD: (&str, &str) = ("NcolonyReconcileStalled", "");
/// Seen when a monitor does not answer any more.
pub(super) const GONE: [&str; 2] = ["NcolonyMonitorDown", "NcolonyMonitorAbsent"];

#[test]
fn alerts_fire_for_what_is_in_trouble_and_end_when_it_is_mended() {
    if !server::is_there() {
        return;
    }
    let (colony, unread) = trouble::start();
    let prometheus = Prometheus::start(&[colony.address()], &quick());
    colony.write("probed", &unready());
    // Its heart stops, and it does not end for that.
    let heart = colony.path("lingering.heart");
    let lingers = "trap '' TERM; touch $0; sleep 1; touch $0; while :; do sleep 1; done";
    let lingering = json!({
        "args": ["sh", "-c", lingers, heart], "env_inherit": ["PATH"], "terminationGracePeriodSeconds": 1000,
        "ncolony.beatcheck": {"period": 2, "grace": 2, "status": heart},
    });
    colony.write("lingering", &lingering.to_string());
    trouble::edit(&colony);
    let mut seen = SEEN.to_vec();
    if near_limit(&colony) {
        seen.push(NEAR);
    }
    let mut messages = 0;
    wait_firing(&prometheus, &colony, &seen, || {
        messages += 1;
        colony.message(&format!("bad-{messages}"), "{");
    });

    send(colony.wait_pid("lingering", None), Signal::SIGKILL);
    for process in ["probed", "lingering"] {
        colony.write(process, r#"{"args": ["sleep", "1000"]}"#);
    }
    colony.write("near", r#"{"args": ["sleep", "1000"]}"#);
    trouble::mend(&colony, unread);
    wait_peace(&prometheus, || colony.log());

    // The directory goes, and comes again.
    fs::rename(colony.path("config"), colony.path("away")).expect("a directory");
    wait_firing(&prometheus, &colony, &[UNREAD, ("NcolonyConfigInvalid", "")], || {});
    fs::rename(colony.path("away"), colony.path("config")).expect("a directory");
    wait_peace(&prometheus, || colony.log());

    // The monitor itself: it is killed, and comes again.
    let address = colony.address();
    let setup = colony.kill_monitor();
    let gone = wait_until("both alerts", || {
        let firing = firing(&prometheus);
        GONE.iter().all(|name| firing.iter().any(|(alert, _)| alert == name)).then_some(())
    });
    assert!(gone.is_some(), "{:?}", firing(&prometheus));
    let colony = setup.flags(&["--listen", &address.to_string()]).start();
    wait_peace(&prometheus, || colony.log());
}

/// Adds a process that has nearly as much memory as it may, if one can be made that does as exactly as that needs.
fn near_limit(colony: &Colony) -> bool {
    if !can("python3", succeeds("python3", &["--version"])) {
        return false;
    }
    let script = "import time\nall = bytearray(b'x') * (60 << 20)\ntime.sleep(1000)";
    let file = |keys: Value| {
        let mut file = json!({"args": ["python3", "-c", script], "env_inherit": ["PATH"]});
        file.as_object_mut().expect("a map").extend(keys.as_object().expect("a map").clone());
        file.to_string()
    };
    colony.write("near", &file(json!({})));
    let has = colony.wait_metric(&series("resident_memory_bytes", "near"), |bytes| bytes > 60e6);
    let limit = (has / 0.95) as u64;
    colony.write("near", &file(json!({"resources": {"limits": {"memory": limit.to_string()}}})));
    true
}
