//! What processes start themselves, seen from outside: it ends with them, and before the next run begins.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Colony, Setup, can, lives, parent, send, series, sh, sleeper, succeeds, wait_for, wait_gone};

/// Starts one grandchild in the group, and a daemon that has left group, session and parents, with this environment.
pub(crate) fn family(dir: &std::path::Path, env: &str) -> String {
    let dir = dir.display();
    format!(
        "sleep 1000 & echo $! > {dir}/inside.new; mv {dir}/inside.new {dir}/inside
         {env} setsid sh -c 'sh -c \"echo \\$\\$ > {dir}/outside.new; mv {dir}/outside.new {dir}/outside; exec sleep 1000\" &' &
         wait"
    )
}

pub(crate) fn read_pid(path: &std::path::Path) -> i32 {
    wait_for("a pid", || fs::read_to_string(path).ok()?.trim().parse().ok())
}

fn start_family(env: &str) -> (Colony, i32, i32, i32) {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05"]);
    let script = family(setup.dir(), env);
    let colony = setup.file("web", &sh(&script)).start();
    let main = colony.wait_pid("web", None);
    let (inside, outside) = (read_pid(&colony.path("inside")), read_pid(&colony.path("outside")));
    // The daemon's parent has gone, and it belongs to the monitor.
    wait_for("the daemon to be an orphan", || (parent(outside) == Some(colony.pid())).then_some(()));
    (colony, main, inside, outside)
}

// L14
#[test]
fn a_stop_ends_grandchildren_and_daemons_too() {
    let (colony, main, inside, outside) = start_family("");
    colony.remove("web");
    for pid in [main, inside, outside] {
        wait_gone(pid);
    }
    colony.wait_log("web is gone");
}

// L14
#[test]
fn a_stop_ends_daemons_that_have_cleared_their_environment() {
    let (colony, main, inside, outside) = start_family("env -i");
    colony.remove("web");
    for pid in [main, inside, outside] {
        wait_gone(pid);
    }
}

// L14
#[test]
fn a_crash_is_followed_by_a_new_run_only_when_grandchildren_and_daemons_are_gone() {
    let (colony, main, inside, outside) = start_family("");
    send(main, Signal::SIGKILL);
    colony.wait_pid("web", Some(main));
    assert!(!lives(inside) && !lives(outside), "{}", colony.log());
}

// L14
#[test]
fn a_crash_is_followed_by_a_new_run_only_when_daemons_are_gone_that_have_cleared_their_environment() {
    let (colony, main, inside, outside) = start_family("env -i");
    send(main, Signal::SIGKILL);
    colony.wait_pid("web", Some(main));
    assert!(!lives(inside) && !lives(outside), "{}", colony.log());
}

// L14
#[test]
fn the_end_of_the_monitor_is_the_end_of_all_that_was_started_below_it() {
    for env in ["", "env -i"] {
        let (colony, main, inside, outside) = start_family(env);
        let (status, log) = colony.end();
        assert!(status.success(), "{log}");
        assert!([main, inside, outside].iter().all(|pid| !lives(*pid)), "{log}");
    }
}

// L14: killMode
#[test]
fn mixed_asks_the_main_process_first_and_its_rest_when_it_has_gone() {
    let setup = Setup::new();
    let colony = setup.file("web", &kill_mode("mixed")).start();
    colony.wait_stdout("inner ready");
    colony.remove("web");
    colony.wait_log("web is gone");
    assert_eq!(events(&colony), ["outer asked", "outer goes", "inner asked"]);
}

// L14: killMode
#[test]
fn group_asks_all_of_the_group_at_once() {
    let colony = Colony::with(&[("web", &kill_mode("group"))]);
    colony.wait_stdout("inner ready");
    colony.remove("web");
    colony.wait_log("web is gone");
    let mut events = events(&colony);
    assert_eq!(events.pop(), Some("outer goes".into()));
    events.sort();
    assert_eq!(events, ["inner asked", "outer asked"]);
}

/// The main process, asked to end, goes only half a second later, so that the order shows.
fn kill_mode(mode: &str) -> String {
    let inner = r#"trap 'echo inner asked; exit' TERM; echo inner ready; while :; do sleep 0.01; done"#;
    let outer = format!(
        r#"trap 'echo outer asked; sleep 0.5; sleep 0.5; echo outer goes; exit' TERM
        sh -c "{inner}" & while :; do wait; done"#
    );
    json!({"args": ["sh", "-c", outer], "killMode": mode}).to_string()
}

/// All three; what was said last may be written after the log's line that follows it, which goes elsewhere.
fn events(colony: &Colony) -> Vec<String> {
    colony.wait("three events", || {
        let output = colony.stdout();
        let lines = output.lines().filter_map(|line| line.strip_prefix("[web] "));
        let events: Vec<String> = lines.filter(|line| *line != "inner ready").map(String::from).collect();
        (events.len() == 3).then_some(events)
    })
}

// L14
#[test]
fn what_ignores_the_stop_outside_of_the_group_is_killed_when_the_grace_is_over() {
    let setup = Setup::new();
    let pid_file = setup.path("pid");
    let script = format!(
        "setsid sh -c 'trap \"\" TERM; echo $$ > {0}.new; mv {0}.new {0}; while :; do sleep 0.05; done' & wait",
        pid_file.display()
    );
    let spec = json!({"args": ["sh", "-c", script], "terminationGracePeriodSeconds": 1}).to_string();
    let colony = setup.file("web", &spec).start();
    let daemon = read_pid(&pid_file);
    colony.remove("web");
    colony.wait_log("web is gone");
    assert!(!lives(daemon));
    colony.wait_log("SIGKILL to the process tree of web: its grace is over");
    assert!(colony.log().contains("something that it started is left"));
}

// S03t
#[test]
fn a_job_past_its_deadline_is_ended_with_all_that_it_started_however_deaf() {
    let setup = Setup::new();
    // What it starts is as deaf as it is: an ignored signal stays ignored.
    let script = format!("trap '' TERM; {}", family(setup.dir(), ""));
    let mut job = json!({
        "args": ["sh", "-c", script],
        "env_inherit": ["PATH"],
        "schedule": {"every": 100_000},
        "terminationGracePeriodSeconds": 0.5,
    });
    let colony = setup.file("job", &job.to_string()).start();
    let main = colony.wait_pid("job", None);
    let (inside, outside) = (read_pid(&colony.path("inside")), read_pid(&colony.path("outside")));
    // All of it is there: now it may have a deadline, and that is over.
    job["activeDeadlineSeconds"] = json!(0.1);
    colony.write("job", &job.to_string());
    colony.wait_log("SIGTERM to the main process of job: it lasted longer than activeDeadlineSeconds");
    colony.wait_log("SIGKILL to the process tree of job: its grace is over");
    for pid in [main, inside, outside] {
        wait_gone(pid);
    }
    colony.wait_metric(r#"ncolony_process_exits_total{process="job",reason="deadline"}"#, |runs| runs == 1.0);
    assert_eq!(colony.metric(&series("starts_total", "job")), Some(1.0));
}

// L21
#[test]
fn a_process_that_forks_without_end_is_ended_and_the_others_run_on() {
    let Some(cgroup) = Pids::new(200) else { return };
    let setup = Setup::new().flags(&["--killtime", "0.5"]);
    let script = format!(
        "echo $$ > {}/cgroup.procs; exec bash -c 'trap \"\" TERM; bomb() {{ setsid true; bomb & bomb; }}; bomb 2>/dev/null'",
        cgroup.0.display()
    );
    let colony = setup.file("bomb", &sh(&script)).file("web", &sleeper()).start();
    let web = colony.wait_pid("web", None);
    cgroup.wait_for_members(150);
    colony.remove("bomb");
    colony.wait_log("bomb is gone");
    assert_eq!(cgroup.members(), 0);
    assert_eq!(colony.metric(&series("up", "web")), Some(1.0));
    assert_eq!(colony.wait_pid("web", None), web);
}

// L10
#[test]
fn a_stranger_that_has_the_pid_of_a_run_that_ended_is_left_alone() {
    if !can("a pid namespace", succeeds("unshare", &["--pid", "--fork", "--mount-proc", "true"])) {
        return;
    }
    // PID 1 is a shell, the monitor its child; the stranger is the shell's child as well.
    let script = r#"
        "$0" "$@" & monitor=$!
        until test -s go; do sleep 0.01; done; read pid < go
        until test "$stranger" = $pid; do
            test -n "$stranger" && kill $stranger
            echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid
            setsid sleep 1000 & stranger=$!
        done
        echo $stranger > stranger
        wait $monitor; status=$?
        kill -0 $stranger && echo lives > fate || echo killed > fate
        exit $status"#;
    let setup = Setup::new().flags(&["--minrestartdelay", "300"]);
    let script = format!("cd {}; {script}", setup.dir().display());
    let through = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", &script];
    // What the run left behind keeps it leaving, deaf, while its number is given away.
    let leaver = json!({"args": ["sh", "-c", "setsid sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.05; done' & sleep 0.2; exit 1"], "terminationGracePeriodSeconds": 1});
    let colony = setup.through(&through).file("web", &sh("exit 1")).file("db", &leaver.to_string()).start();
    colony.wait_log("db ended: exit code 1; something that it started is left");
    fs::write(colony.path("go"), colony.wait_pid("db", None).to_string()).expect("writable");
    colony.wait("the stranger", || fs::read(colony.path("stranger")).ok().filter(|pid| !pid.is_empty()));
    colony.message("m", r#"{"type": "RESTART", "name": "db"}"#);
    colony.wait_log("SIGKILL to the process tree of db");
    colony.wait_log("nothing of the run is left");
    colony.remove("db");
    colony.remove("web");
    colony.wait_log("web is gone");
    let monitor = colony.monitor_below();
    send(monitor, Signal::SIGTERM);
    colony
        .wait("the stranger's fate", || fs::read_to_string(colony.path("fate")).ok().filter(|fate| fate == "lives\n"));
}

// L10
#[test]
fn a_new_run_that_gets_the_number_of_one_that_is_leaving_is_not_signalled_for_it() {
    if !can("a pid namespace", succeeds("unshare", &["--pid", "--fork", "--mount-proc", "true"])) {
        return;
    }
    let through = ["unshare", "--pid", "--fork", "--mount-proc"];
    let daemon = "setsid sh -c 'trap \"\" TERM; echo deaf; while :; do read x < /proc/uptime; done'";
    let leaver = json!({"args": ["sh", "-c", format!("{daemon} & until test -e go; do sleep 0.01; done; exit 1")], "terminationGracePeriodSeconds": 3});
    let setup = Setup::new();
    let script = format!("cd {} && exec \"$0\" \"$@\"", setup.dir().display());
    let through: Vec<&str> = through.into_iter().chain(["sh", "-c", &script]).collect();
    let colony = setup.through(&through).file("old", &leaver.to_string()).start();
    colony.wait_stdout("[old] deaf");
    let number = colony.wait_pid("old", None);
    fs::write(colony.path("go"), "").expect("writable");
    colony.wait_log("old ended: exit code 1; something that it started is left");
    // A run that writes the number before it, so that the next start gets it; again until it does.
    let mut tries = 0;
    loop {
        tries += 1;
        let rewind = format!("echo {} > /proc/sys/kernel/ns_last_pid", number - 1);
        let name = format!("try{tries}");
        let spec = json!({"args": ["sh", "-c", rewind], "restartPolicy": "Never"});
        colony.write(&name, &spec.to_string());
        colony.wait_log(&format!("{name} ended: exit code 0"));
        let name = format!("new{tries}");
        colony.write(&name, &sleeper());
        if colony.wait_pid(&name, None) == number {
            break;
        }
        assert!(tries < 50, "{}", colony.log());
    }
    colony.wait_log("SIGKILL to the process tree of old: its grace is over");
    let new = format!("new{tries}");
    colony.wait(&format!("old to be gone while {new} runs on"), || {
        colony.log().contains("started old: the back-off is over").then_some(())
    });
    assert!(!colony.log().contains(&format!("{new} ended")), "{}", colony.log());
    assert_eq!(colony.metric(&series("up", &new)), Some(1.0));
}

/// A cgroup that holds no more than so many processes.
struct Pids(std::path::PathBuf);

impl Pids {
    fn new(most: usize) -> Option<Pids> {
        let dir = tempfile::Builder::new().prefix("ncolony-test-").tempdir_in("/sys/fs/cgroup/pids");
        let dir = dir.ok().filter(|dir| fs::write(dir.path().join("pids.max"), most.to_string()).is_ok());
        if !can("a v1 pids cgroup", dir.is_some()) {
            return None;
        }
        dir.map(|dir| Pids(dir.keep()))
    }

    fn members(&self) -> usize {
        fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines().count()
    }

    fn wait_for_members(&self, least: usize) {
        wait_for("the cgroup to fill", || (self.members() >= least).then_some(()));
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        let _ = crate::support::wait_until("it to be empty", || {
            for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
                let _ = pid.parse().map(|pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL));
            }
            fs::remove_dir(&self.0).ok()
        });
    }
}
