//! Limits of memory and processor: kept by the kernel, or watched.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::needs::say_skipped;
use crate::support::{Colony, Setup, can, lives, series, sleeper, succeeds, wait_for, wait_gone};

/// A process file: a shell script, with limits.
fn limited(script: &str, limits: serde_json::Value) -> String {
    json!({"args": ["sh", "-c", script], "env_inherit": ["PATH"], "resources": {"limits": limits}}).to_string()
}

/// A child of the shell comes to have some 64 MiB; the shell itself stays small.
const GROWS: &str = "awk 'BEGIN { s = \"x\"; while (length(s) < 67000000) s = s s; system(\"sleep 1000\") }' & wait";

/// Whether the kernel keeps limits where this test runs.
fn is_kept(colony: &Colony) -> bool {
    colony.log().contains("limits are kept by cgroups below ")
}

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
    match is_kept(&colony) {
        true => colony.wait_log("hog: the kernel killed it for want of memory"),
        false => {
            colony.wait_log("SIGTERM to the main process of hog: its memory limit was exceeded: ");
            colony.wait_log("Mi of 40Mi");
        }
    }
    let (reason, message) = match is_kept(&colony) {
        true => ("OOMKilling", "the kernel killed it for want of memory"),
        false => ("Killing", "its memory limit was exceeded"),
    };
    let event = format!(r#""reason":"{reason}","message":"{message}","count":"#);
    colony.wait(&event, || colony.get("/colony.json").1.contains(&event).then_some(()));
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
    let words = if is_kept(&colony) { "the kernel killed it" } else { "its memory limit was exceeded: " };
    assert!(finding.contains(words), "{finding}");
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
    if is_kept(&colony) {
        assert_eq!(colony.count("web: its cpu limit is not kept"), 0, "{}", colony.log());
        return;
    }
    assert_eq!(colony.count("web: its cpu limit is not kept"), 1, "{}", colony.log());
    colony.write("web", &limited("exec sleep 1000", json!({"cpu": "500m"})));
    colony.wait("the page to show it", || {
        colony.get("/colony.json").1.contains("its cpu limit is not kept").then_some(())
    });
}

#[test]
fn who_keeps_the_limits_is_told_once_and_why() {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05"]);
    let colony = setup.file("web", &limited("sleep 0.1", json!({"memory": "1Gi"}))).start();
    colony.wait_metric(&series("starts_total", "web"), |starts| starts >= 3.0);
    let told = colony.count("no cgroups can be made for limits: ") + colony.count("limits are kept by cgroups below ");
    assert_eq!(told, 1, "{}", colony.log());
}

/// A cgroup v2 with the controllers of memory and cpu, for a monitor alone.
struct Delegated(PathBuf);

impl Delegated {
    /// Loudly none where the kernel has none. That is no failure anywhere: the machine's own kernel is not changed by
    /// anything that could be installed, and `tests/vm/run` brings another.
    fn new() -> Option<Delegated> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it can be read");
        let points =
            mounts.lines().filter(|line| line.contains(" - cgroup2 ")).filter_map(|line| line.split(' ').nth(4));
        let made = points.filter_map(|point| {
            let dir = Path::new(point).join(format!("ncolony-e2e-{}", std::process::id()));
            fs::create_dir(&dir).ok()?;
            let controllers = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
            let has = |word| controllers.split_whitespace().any(|listed| listed == word);
            let delegated = Delegated(dir);
            (has("memory") && has("cpu")).then_some(delegated)
        });
        let found = made.into_iter().next();
        if found.is_none() {
            say_skipped(
                "this test needs a writable cgroup v2 with the controllers of memory and cpu, and this kernel \
                 keeps them in v1 or shows them read-only; `tests/vm/run` runs it on one that has them, in a virtual machine",
            );
        }
        found
    }

    fn runs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("a cgroup").flatten().map(|entry| entry.path());
        entries.filter(|path| path.is_dir() && !path.ends_with("ncolony-monitor")).collect()
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.0.join("ncolony-monitor"));
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn the_kernel_keeps_the_limits_where_it_can_and_one_process_alone_is_killed_for_its_memory() {
    let Some(cgroup) = Delegated::new() else { return };
    let procs = cgroup.0.join("cgroup.procs").display().to_string();
    let setup = Setup::new()
        .file("hog", &limited(GROWS, json!({"memory": "40Mi", "cpu": "500m"})))
        .file("web", &sleeper())
        .through(&["sh", "-c", "echo 0 > \"$0\" && exec \"$@\"", &procs]);
    let colony = setup.start();
    let web = colony.wait_pid("web", None);
    colony.wait_metric(&ooms("hog"), |exits| exits >= 1.0);
    colony.wait_log("hog: the kernel killed it for want of memory");
    assert_eq!(colony.count("its cpu limit is not kept"), 0, "{}", colony.log());
    assert!(lives(web) && colony.get("/livez").0 == 200, "{}", colony.log());

    colony.write("hog", &limited("exec sleep 1000", json!({"memory": "40Mi", "cpu": "500m"})));
    let own = wait_for("a run that stays", || {
        let runs = cgroup.runs();
        let pid = colony.pid_of("hog")?.to_string();
        let has_it = |run: &&PathBuf| fs::read_to_string(run.join("cgroup.procs")).is_ok_and(|pids| pids.trim() == pid);
        let found = runs.iter().find(has_it).cloned();
        found.filter(|_| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n"))
    });
    assert_eq!(fs::read_to_string(own.join("memory.max")).expect("it has one").trim(), "41943040");
    assert_eq!(fs::read_to_string(own.join("cpu.max")).expect("it has one").trim(), "50000 100000");
    colony.wait_metric(&series("working_set_bytes", "hog"), |bytes| (4096.0..41_943_040.0).contains(&bytes));
    assert_eq!(colony.metric(&series("working_set_bytes", "web")), None, "it has no cgroup of its own");
    let (status, log) = colony.end();
    assert!(status.success() && log.contains("ended: nothing is left"), "{log}");
    wait_for("the runs' cgroups to be removed", || cgroup.runs().is_empty().then_some(()));
}
