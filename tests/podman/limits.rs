//! The limits of a container: processes, memory, descriptors, time that stands still; and what ncolony itself takes.

use std::time::Instant;

use serde_json::json;

use crate::container::Setup;
use crate::support::{sh, sleeper};

// It always tries again, and does not spin.
#[test]
fn where_no_further_process_can_be_had_it_tries_again_until_one_can() {
    let Some(setup) = Setup::restricted() else { return };
    let many = |count: u32| json!({"args": ["sleep", "1000"], "replicas": count}).to_string();
    let container = setup.options(&["--pids-limit=20"]).file("many", &many(30)).start();
    container.wait_log("cannot start many-");
    container.write("web", &sleeper());
    container.wait_log("cannot start web: ");
    assert_eq!(container.get("/livez").0, 200);
    container.write("many", &many(3));
    container.wait_pid("web", None);
    container.wait_ready();
}

// A run that exceeds the container's memory is ended, alone, and no other is.
#[test]
fn who_fills_the_containers_memory_is_killed_and_the_colony_lives() {
    let Some(setup) = Setup::restricted() else { return };
    let fills = "x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done";
    let fills =
        json!({"args": ["sh", "-c", fills], "backoff": {"initialSeconds": 60}, "oomScoreAdj": 1000}).to_string();
    let container =
        setup.options(&["--memory=64m", "--memory-swap=64m"]).file("web", &sleeper()).file("fills", &fills).start();
    let web = container.wait_pid("web", None);
    container.wait_metric(r#"ncolony_process_exits_total{process="fills",reason="oom"}"#, |count| count >= 1.0);
    assert!(container.lives(web), "{}", container.log());
    assert_eq!(container.inspect(".State.Running"), "true");
    container.wait_log("OOMKilling");
}

// A run that exceeds its memory limit is ended, alone, and no other is.
#[test]
fn a_limit_of_a_process_s_own_is_kept_where_its_cgroup_cannot_be_written() {
    let Some(setup) = Setup::restricted() else { return };
    let grows = "x=aaaaaaaaaaaaaaaa; while [ ${#x} -lt 40000000 ]; do x=$x$x; done; sleep 1000; :";
    let grows = json!({
        "args": ["sh", "-c", grows], "resources": {"limits": {"memory": "24Mi"}}, "backoff": {"initialSeconds": 60},
    });
    let container = setup.file("web", &sleeper()).file("grows", &grows.to_string()).start();
    let web = container.wait_pid("web", None);
    container.wait_metric(r#"ncolony_process_exits_total{process="grows",reason="oom"}"#, |count| count >= 1.0);
    assert!(container.lives(web), "{}", container.log());
}

// Law 8: time that stood still restarts nothing.
#[test]
fn a_container_that_was_paused_goes_on_as_if_nothing_had_been() {
    let Some(setup) = Setup::restricted() else { return };
    let beats = "while true; do touch /run/ncolony/messages/.beat; sleep 0.2; done";
    let beats = json!({
        "args": ["sh", "-c", beats],
        "ncolony.beatcheck": {"period": 1, "grace": 3, "status": "/run/ncolony/messages/.beat"},
    });
    let container = setup.file("web", &beats.to_string()).ready();
    let web = container.wait_pid("web", None);
    assert!(container.podman(&["pause"]).status.success(), "the freezer");
    // Longer than its heart may stand still.
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert!(container.podman(&["unpause"]).status.success(), "the freezer");
    let polls = r#"ncolony_config_scans_total{trigger="poll"}"#;
    let before = container.metric(polls).expect("the metric");
    container.wait_metric(polls, |count| count >= before + 3.0);
    assert_eq!(container.pid_of("web"), Some(web), "{}", container.log());
    container.wait_ready();
}

// It always tries again: three descriptors a process, and no more.
#[test]
fn with_few_descriptors_it_says_what_it_cannot_start_and_goes_on() {
    let Some(setup) = Setup::restricted() else { return };
    let spec = json!({"args": ["sleep", "1000"], "replicas": 40}).to_string();
    let container = setup.options(&["--ulimit=nofile=64:64", "--ulimit=nproc=30000:30000"]).file("web", &spec).start();
    container.wait_log("cannot start web-");
    assert_eq!(container.get("/livez").0, 200);
    let few = json!({"args": ["sleep", "1000"], "replicas": 3}).to_string();
    container.write("web", &few);
    container.wait_ready();
}

/// Milliseconds from `podman run` of a colony with three processes until `/healthz` is 200.
fn until_ready() -> Option<f64> {
    let setup = Setup::restricted()?;
    let setup = ["web", "db", "cache"].iter().fold(setup, |setup, name| setup.file(name, &sleeper()));
    let began = Instant::now();
    let container = setup.start();
    while container.get("/healthz").0 != 200 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Some(began.elapsed().as_secs_f64() * 1000.0)
}

/// Milliseconds of `podman run` of a program that does nothing.
fn of_nothing() -> Option<f64> {
    let setup = Setup::restricted()?.options(&["--entrypoint=/bin/true"]).words(&[]);
    let began = Instant::now();
    let _container = setup.start();
    Some(began.elapsed().as_secs_f64() * 1000.0)
}

// It costs nothing that is noticed: the start of a container.
#[test]
#[ignore = "a measure, which `.ci/run` takes alone"]
fn three_processes_are_ready_100_ms_after_an_empty_program_would_have_been_begun() {
    // One after the other, so that a busy machine is as busy for both.
    let pair = || Some((of_nothing()?, until_ready()?));
    let Some(pairs) = (0..9).map(|_| pair()).collect::<Option<Vec<_>>>() else { return };
    let mut more: Vec<f64> = pairs.iter().map(|(nothing, ready)| ready - nothing).collect();
    more.sort_by(f64::total_cmp);
    println!("ms until an empty program is begun, and until three processes are ready: {pairs:.0?}; more: {more:.0?}");
    assert!(more[more.len() / 2] <= 100.0, "{more:.0?}");
}

/// Proportional set size in KiB.
fn pss(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a line");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

// It costs nothing that is noticed: the memory of a pod.
#[test]
fn in_a_pod_it_takes_at_most_8_mib() {
    let Some(setup) = Setup::restricted() else { return };
    let names: Vec<String> = (0..20).map(|n| format!("web-{n}")).collect();
    let setup =
        names.iter().fold(setup, |setup, name| setup.file(name, &sh("while true; do echo line; sleep 0.1; done")));
    let container = setup.ready();
    for _ in 0..20 {
        assert_eq!(container.get("/metrics").0, 200);
    }
    let pss = pss(container.pid());
    println!("the supervisor's PSS with twenty processes: {pss} KiB");
    assert!(pss <= 8192, "{pss} KiB");
}
