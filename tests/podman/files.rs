//! The volume of a ConfigMap, swapped as the kubelet does it, under a colony that runs.

use std::fs;

use serde_json::json;

use crate::container::{Setup, swap};
use crate::support::{sh, sleeper};

/// A colony whose process files are a ConfigMap's.
fn of_config_map(files: &[(&str, &str)]) -> Option<crate::container::Container> {
    let setup = Setup::restricted()?;
    swap(&setup.path("config"), "1", files);
    Some(setup.ready())
}

// Law 7: a change to the directory is applied.
#[test]
fn a_swapped_config_map_is_followed_and_who_did_not_change_runs_on() {
    let (web, db) = (sleeper(), sleeper());
    let Some(container) = of_config_map(&[("web.yaml", &web), ("db.yaml", &db)]) else { return };
    let (first, db_pid) = (container.wait_pid("web", None), container.wait_pid("db", None));
    swap(&container.path("config"), "2", &[("web.yaml", &sh("exec sleep 999")), ("db.yaml", &db)]);
    let second = container.wait_pid("web", Some(first));
    swap(&container.path("config"), "3", &[("web.yaml", &sh("exec sleep 999")), ("db.yaml", &db), ("new.yaml", &web)]);
    container.wait_pid("new", None);
    swap(&container.path("config"), "4", &[("web.yaml", &sh("exec sleep 999")), ("db.yaml", &db)]);
    container.wait_log("new is gone");
    assert_eq!(container.pid_of("web"), Some(second), "{}", container.log());
    assert_eq!(container.pid_of("db"), Some(db_pid), "{}", container.log());
    container.wait_ready();
}

// An edit costs a run only where it must.
#[test]
fn a_swap_that_edits_a_probe_or_a_grace_restarts_nothing() {
    let Some(container) = of_config_map(&[("web.yaml", &sleeper())]) else { return };
    let web = container.wait_pid("web", None);
    let edited = json!({
        "args": ["sleep", "1000"], "terminationGracePeriodSeconds": 3,
        "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1},
    });
    swap(&container.path("config"), "2", &[("web.yaml", &edited.to_string())]);
    container.wait_metric("ncolony_process_observed_generation{process=\"web\"}", |value| value >= 2.0);
    container
        .wait_metric(r#"ncolony_prober_probe_total{process="web",probe_type="Readiness",result="successful"}"#, |n| {
            n >= 1.0
        });
    assert_eq!(container.pid_of("web"), Some(web), "{}", container.log());
}

// A bad file hurts only itself.
#[test]
fn a_broken_file_among_good_ones_is_told_in_one_line_and_the_others_run() {
    let files = [("web.yaml", sleeper()), ("bad.yaml", "args: [sleep\n".to_string()), ("db.yaml", sleeper())];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let Some(setup) = Setup::restricted() else { return };
    swap(&setup.path("config"), "1", &files);
    let container = setup.start();
    container.wait_pid("web", None);
    container.wait_pid("db", None);
    let found = container.wait("the verdict", || {
        let (code, text) = container.get("/healthz?verbose");
        let line = text.lines().find(|line| line.contains("bad.yaml")).map(str::to_string);
        line.map(|line| (code, line))
    });
    assert!(found.1.starts_with("[-]") || found.0 == 200, "{found:?}");
    let told = container.wait_lines("bad.yaml:");
    assert_eq!(told.len(), 1, "{}", container.log());
    assert!(told[0].contains("; bad is not started until this is mended"), "{told:?}");
    assert!(!container.log().contains("args: [sleep"), "no line is shown of the file: {}", container.log());
    assert_eq!(container.metric("ncolony_config_file_errors"), Some(1.0));
    swap(
        &container.path("config"),
        "2",
        &[("web.yaml", &sleeper()), ("bad.yaml", &sleeper()), ("db.yaml", &sleeper())],
    );
    container.wait_pid("bad", None);
    container.wait_ready();
}

// A bad file keeps the last good version.
#[test]
fn a_file_that_turns_bad_in_a_swap_keeps_its_last_good_version_running() {
    let Some(container) = of_config_map(&[("web.yaml", &sleeper())]) else { return };
    let web = container.wait_pid("web", None);
    swap(&container.path("config"), "2", &[("web.yaml", "args: {}\n")]);
    container.wait_log("the last good version of web stays in force");
    assert!(container.lives(web) && container.pid_of("web") == Some(web));
}

// An unreadable directory is not an empty one.
#[test]
fn what_runs_stays_when_the_volume_goes_blank() {
    let Some(container) = of_config_map(&[("web.yaml", &sleeper())]) else { return };
    let web = container.wait_pid("web", None);
    let config = container.path("config");
    // Its links lead nowhere, as for a moment in some kubelets.
    let data = fs::read_link(config.join("..data")).expect("a link");
    fs::rename(config.join(&data), config.join("..away")).expect("one directory");
    container.write("db", &sleeper());
    container.wait_pid("db", None);
    fs::rename(config.join("..away"), config.join(&data)).expect("one directory");
    container.write("cache", &sleeper());
    container.wait_pid("cache", None);
    assert!(container.lives(web), "{}", container.log());
}

// A child gets only what you gave it: the image's and the pod's environment is nobody's.
#[test]
fn a_process_has_none_of_the_containers_environment_unless_it_asks() {
    let Some(setup) = Setup::restricted() else { return };
    let asks = json!({"args": ["sh", "-c", "echo token=$TOKEN; exec sleep 1000"], "envInherit": ["TOKEN"]}).to_string();
    let setup = setup.options(&["--env=TOKEN=secret", "--env=KUBERNETES_PORT=tcp://10.0.0.1:443"]);
    let container = setup.file("web", &sh("env; exec sleep 1000")).file("asks", &asks).ready();
    container.wait_log("[asks] token=secret");
    container.wait_log("[web] NCOLONY_NAME=web");
    let names = container.lines_with("[web] ");
    assert!(!names.iter().any(|line| line.contains("TOKEN") || line.contains("KUBERNETES")), "{names:?}");
}

// Time zones come from the binary where the image has none.
#[test]
fn a_schedule_has_its_time_zone_in_an_image_without_one() {
    let Some(setup) = Setup::restricted() else { return };
    let job = json!({"args": ["true"], "schedule": "30 2 * * *", "timeZone": "Europe/Berlin"}).to_string();
    let container = setup.file("job", &job).ready();
    let next = container.wait_metric("ncolony_process_next_start_timestamp_seconds{process=\"job\"}", |at| at > 0.0);
    // At half past two there, it is half past something here: their hours are whole.
    assert_eq!(next as u64 % 3600, 1800, "{next}");
}
