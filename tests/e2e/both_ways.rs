//! `ncolony run` as PID 1 by itself, and as the program of `ncolony reaper` that is PID 1: whatever is done to PID 1, the
//! colony logs the same, writes the same, and the container ends with the same status.

use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::pid1::children;
use crate::support::{BINARY, Colony, Setup, as_pid_1, can, send, sh, sleeper, succeeds, wait_gone};

const NAMESPACE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];
const ENDS_WHEN_ASKED: &str = r#"trap "echo asked; exit 0" TERM; echo ready; while :; do sleep 0.02; done"#;
/// What is ignored stays so in the next program.
const DEAF: &str = r#"trap "" TERM; echo ready; exec sleep 1000"#;

/// What is seen of a colony from its start to its end.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    /// As a shell tells it.
    status: i32,
    /// Without times, pids, addresses and directories; sorted, since of two processes either may be first.
    log: Vec<String>,
    stdout: Vec<String>,
}

/// Starts the same colony both ways, does the same to each, and compares.
fn alike(setup: impl Fn(Setup) -> Setup, act: impl Fn(&Colony)) -> Option<Seen> {
    // It says so where there can be none.
    let alone = as_pid_1(setup(Setup::new()))?;
    let below = [&NAMESPACE[..], &["--kill-child", BINARY, "reaper", "--"]].concat();
    let reaped = setup(Setup::new()).through(&below);
    let [alone, reaped] = [alone, reaped].map(|setup| live(setup, &act));
    assert_eq!(alone, reaped);
    Some(alone)
}

fn live(setup: Setup, act: &impl Fn(&Colony)) -> Seen {
    let mut colony = setup.start();
    act(&colony);
    let status = colony.exit_status();
    let dir = colony.dir.path().display().to_string();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(|line| plain(&line.replace(&dir, "DIR"))).collect();
        lines.sort();
        lines
    };
    Seen {
        status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        log: sorted(&colony.log()),
        stdout: sorted(&colony.stdout()),
    }
}

/// A line less what differs from life to life.
fn plain(line: &str) -> String {
    let is_time = |word: &str| word.ends_with('Z') && word.starts_with("20");
    let differs = |word: &str| is_time(word) || word.starts_with("pid=") || word.starts_with("http://");
    line.split(' ').filter(|word| !differs(word)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_colony_that_completes_ends_either_way_with_its_status() {
    for (code, policy) in [(0, "OnFailure"), (3, "Never")] {
        let file =
            json!({"args": ["sh", "-c", format!("echo done; exit {code}")], "restartPolicy": policy}).to_string();
        let seen = alike(|setup| setup.flags(&["--until-complete"]).file("once", &file), |_| {});
        assert!(seen.is_none_or(|seen| seen.status == code && seen.stdout == ["[once] done"]));
    }
}

#[test]
fn term_int_and_quit_to_pid_1_end_the_colony_gracefully_either_way() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let seen = alike(
            |setup| setup.file("web", &sh(ENDS_WHEN_ASKED)),
            |colony| {
                colony.wait_stdout("[web] ready");
                send(colony.monitor_below(), signal);
            },
        );
        let Some(seen) = seen else { return };
        assert_eq!((seen.status, &seen.stdout[..]), (0, &["[web] asked".into(), "[web] ready".into()][..]), "{signal}");
    }
}

#[test]
fn the_deaf_are_killed_after_their_time_and_at_once_where_pid_1_is_asked_twice() {
    let slow = json!({"args": ["sh", "-c", DEAF], "terminationGracePeriodSeconds": 1000}).to_string();
    let ready = |colony: &Colony| colony.wait_stdout("[web] ready");
    let hurried = alike(
        |setup| setup.file("web", &slow),
        |colony| {
            ready(colony);
            send(colony.monitor_below(), Signal::SIGTERM);
            colony.hurry_by(colony.monitor_below(), Signal::SIGTERM);
        },
    );
    let Some(hurried) = hurried else { return };
    assert!(hurried.status == 0 && hurried.log.iter().any(|line| line.contains("ending at once")), "{hurried:?}");
    let patient = alike(
        |setup| setup.flags(&["--killtime", "0.5"]).file("web", &sh(DEAF)),
        |colony| {
            ready(colony);
            send(colony.monitor_below(), Signal::SIGTERM);
        },
    );
    assert!(patient.is_some_and(|seen| seen.status == 0 && seen.log.iter().any(|line| line.contains("SIGKILL"))));
}

#[test]
fn signals_that_do_not_ask_for_the_end_mean_the_same_either_way() {
    alike(
        |setup| setup.file("web", &sh(ENDS_WHEN_ASKED)),
        |colony| {
            colony.wait_stdout("[web] ready");
            for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGALRM, Signal::SIGWINCH, Signal::SIGHUP] {
                send(colony.monitor_below(), signal);
            }
            colony.wait_metric("ncolony_config_scans_total{trigger=\"signal\"}", |n| n >= 1.0);
            colony.write("db", &sh("echo here; exec sleep 1000"));
            colony.wait_stdout("[db] here");
            send(colony.monitor_below(), Signal::SIGTERM);
        },
    );
}

#[test]
fn orphans_come_to_the_monitor_either_way_and_end_with_their_run() {
    let script = "i=0; while test $i -lt 100; do (sleep 0.1 &); i=$((i+1)); done; \
         setsid sh -c 'trap \"\" TERM; echo far; while :; do sleep 0.02; done' & exec sleep 1000";
    alike(
        |setup| setup.flags(&["--killtime", "0.5"]).file("web", &sh(script)),
        |colony| {
            colony.wait_stdout("[web] far");
            colony.wait_metric("ncolony_reaped_orphans_total", |n| n >= 100.0);
            assert_eq!(colony.metric("ncolony_reaped_orphans_total"), Some(100.0));
            send(colony.monitor_below(), Signal::SIGTERM);
        },
    );
}

#[test]
fn an_essential_process_ends_the_container_with_its_status_either_way() {
    let file = json!({"args": ["sh", "-c", "exit 7"], "restartPolicy": "Never", "essential": true}).to_string();
    let seen = alike(|setup| setup.file("main", &file).file("web", &sleeper()), |_| {});
    assert!(seen.is_none_or(|seen| seen.status == 7));
}

#[test]
fn a_process_is_born_with_the_same_either_way() {
    let script = "grep -E '^(Sig(Blk|Ign|Cgt)|NoNewPrivs|Seccomp|CapEff|Groups)' /proc/self/status; pwd; umask; ulimit -n; \
         ls /proc/self/fd; readlink /proc/self/fd/0; cat /proc/self/oom_score_adj; env | sed 's/RUN=.*/RUN=/' | sort; echo end";
    let seen = alike(
        |setup| setup.file("web", &sh(&format!("{script}; exec sleep 1000"))),
        |colony| {
            colony.wait_stdout("[web] end");
            send(colony.monitor_below(), Signal::SIGTERM);
        },
    );
    assert!(seen.is_none_or(|seen| seen.stdout.iter().any(|line| line.contains("SigBlk:\t0000000000000000"))));
}

/// By itself it takes everything with it: the kernel ends a namespace with its PID 1.
#[test]
fn when_the_monitor_is_killed_under_the_reaper_the_container_ends_with_137_and_nothing_is_left() {
    let Some(setup) = as_pid_1(Setup::new().file("web", &sh(DEAF))) else { return };
    let below = [&NAMESPACE[..], &["--kill-child", BINARY, "reaper", "--grace", "0.2", "--"]].concat();
    let mut colony = setup.through(&below).start();
    colony.wait_stdout("[web] ready");
    let pid_1 = colony.monitor_below();
    let [monitor] = children(pid_1)[..] else { panic!("the reaper has one child") };
    let [web] = children(monitor)[..] else { panic!("the monitor has one child") };
    send(monitor, Signal::SIGKILL);
    assert_eq!(colony.exit_status().code(), Some(137), "{}", colony.log());
    assert!(colony.log().contains("what the program has left does not end, and is killed"), "{}", colony.log());
    wait_gone(web);
}

#[test]
fn what_cannot_be_run_is_told_the_same_either_way() {
    if !can("a pid namespace", succeeds("unshare", &["--pid", "--fork", "--mount-proc", "true"])) {
        return;
    }
    for words in [&["--killtime", "soon"][..], &["--nothing"], &["--listen", "nowhere"], &["--config", "/proc/version"]]
    {
        let told = [&[BINARY][..], &[BINARY, "reaper", "--", BINARY]].map(|program| {
            let argv = [&NAMESPACE[..], program, &["run"], words].concat();
            let output = std::process::Command::new(argv[0]).args(&argv[1..]).output().expect("it starts");
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.code(), text.lines().map(plain).collect::<Vec<_>>())
        });
        assert_eq!(told[0], told[1], "{words:?}");
        assert!(told[0].0.is_some_and(|code| code != 0) && !told[0].1.is_empty(), "{words:?}: {:?}", told[0]);
    }
}
