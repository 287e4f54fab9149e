//! Limits of memory and processor: kept by the kernel, or watched.

use serde_json::json;

use crate::support::{Colony, Setup, can, lives, series, succeeds, wait_gone};

/// A process file: a shell script, with limits.
fn limited(script: &str, limits: serde_json::Value) -> String {
    json!({"args": ["sh", "-c", script], "env_inherit": ["PATH"], "resources": {"limits": limits}}).to_string()
}

/// A child of the shell comes to have some 64 MiB; the shell itself stays small.
const GROWS: &str = "awk 'BEGIN { s = \"x\"; while (length(s) < 67000000) s = s s; system(\"sleep 1000\") }' & wait";

fn ooms(name: &str) -> String {
    format!("ncolony_process_exits_total{{process=\"{name}\",reason=\"oom\"}}")
}

#[test]
fn a_tree_that_has_more_memory_than_it_may_is_ended_with_that_reason_and_started_again() {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05"]);
    let colony = setup.file("hog", &limited(GROWS, json!({"memory": "40Mi"}))).start();
    let first = colony.wait_pid("hog", None);
    colony.wait_metric(&ooms("hog"), |exits| exits >= 1.0);
    wait_gone(first);
    colony.wait_log("SIGTERM to the main process of hog: its memory limit was exceeded: ");
    colony.wait_log("Mi of 40Mi");
    colony.wait_metric(&series("starts_total", "hog"), |starts| starts >= 2.0);
    assert_eq!(colony.metric(&series("memory_limit_bytes", "hog")), Some(41_943_040.0));
    let (status, log) = colony.end();
    assert!(status.success() && log.contains("ended: nothing is left"), "{log}");
}

#[test]
fn a_task_that_had_too_much_memory_is_shown_as_oomkilled() {
    let mut file: serde_json::Value = serde_json::from_str(&limited(GROWS, json!({"memory": "40Mi"}))).expect("JSON");
    file["restartPolicy"] = json!("Never");
    let colony = Colony::with(&[("hog", &file.to_string())]);
    let finding = colony.wait_finding("hog", "OOMKilled");
    assert!(finding.contains("its memory limit was exceeded: "), "{finding}");
}

#[test]
fn memory_that_is_shared_counts_once_and_nobody_is_ended_for_it() {
    if !can("python3", succeeds("python3", &["--version"])) {
        return;
    }
    // Five processes show 60 MiB each, and it is the same for all.
    let script = "import os, time\nshared = b'x' * (60 << 20)\n\
                  for _ in range(4):\n    if os.fork() == 0: break\n\
                  print('sum', sum(shared[::4096]), flush=True)\ntime.sleep(1000)";
    let file = json!({
        "args": ["python3", "-c", script],
        "env_inherit": ["PATH"],
        "resources": {"limits": {"memory": "160Mi"}},
    });
    let colony = Colony::with(&[("web", &file.to_string())]);
    let pid = colony.wait_pid("web", None);
    colony
        .wait("all five to have looked at it", || (colony.stdout().matches("sum 1843200").count() == 5).then_some(()));
    // It is weighed about as often.
    colony.wait_ticks(5);
    assert!(lives(pid), "{}", colony.log());
    assert_eq!(colony.metric(&ooms("web")), Some(0.0));
}

#[test]
fn an_edited_limit_needs_a_new_run() {
    let colony = Colony::with(&[("web", &limited("exec sleep 1000", json!({"memory": "1Gi"})))]);
    let first = colony.wait_pid("web", None);
    colony.write("web", &limited("exec sleep 1000", json!({"memory": "2Gi"})));
    colony.wait_pid("web", Some(first));
    colony.wait_log("SIGTERM to the main process of web: its file changed");
    colony.wait_metric(&series("memory_limit_bytes", "web"), |bytes| bytes == 2_147_483_648.0);
}

#[test]
fn a_cpu_limit_that_nobody_keeps_is_told_once_and_shown() {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05"]);
    let colony = setup.file("web", &limited("sleep 0.1", json!({"cpu": "500m"}))).start();
    colony.wait_metric(&series("starts_total", "web"), |starts| starts >= 3.0);
    assert_eq!(colony.count("web: its cpu limit is not kept"), 1, "{}", colony.log());
    colony.write("web", &limited("exec sleep 1000", json!({"cpu": "500m"})));
    colony.wait("the page to show it", || {
        colony.get("/colony.json").1.contains("its cpu limit is not kept").then_some(())
    });
}
