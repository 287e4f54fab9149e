//! What `/healthz`, `/livez` and the page say of a colony at work, and that asking cannot harm it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::panics::armed;
use crate::support::{Colony, Setup, get, send, wait_for, wait_gone};

const SLEEPER: &str = r#"{"args": ["sleep", "1000"]}"#;

fn code(colony: &Colony, path: &str) -> u16 {
    colony.get(path).0
}

fn wait_code(colony: &Colony, path: &str, expected: u16) {
    colony.wait(&format!("{path} to answer {expected}"), || (code(colony, path) == expected).then_some(()));
}

// W06, W07: asked from the first moment on.
#[test]
fn it_is_not_ready_before_the_first_full_look_and_never_goes_back_after_it() {
    let mut setup = Setup::new();
    for number in 0..500 {
        setup = setup.file(&format!("s{number}"), r#"{"args": ["sleep", "1000"], "suspend": true}"#);
    }
    let colony = setup.file("web", SLEEPER).start();
    let mut codes = Vec::new();
    while codes.last() != Some(&200) {
        let (code, text) = colony.get("/readyz?verbose");
        assert!(code == 200 || text.contains("[-]reconcile failed") || text.contains("[-]web failed"), "{code} {text}");
        assert!(code != 200 || text.contains("[+]web ok"), "{text}");
        codes.push(code);
    }
    for _ in 0..20 {
        assert_eq!(code(&colony, "/healthz"), 200);
    }
    assert_eq!(code(&colony, "/livez"), 200);
}

#[test]
fn readiness_follows_every_way_of_not_running() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    wait_code(&colony, "/healthz", 200);

    colony.write("crash", r#"{"args": ["sh", "-c", "exit 7"], "env_inherit": ["PATH"]}"#);
    colony.wait_finding("crash", "CrashLoopBackOff: back-off");
    let line = colony.wait_finding("crash", "exit code 7");
    assert!(line.starts_with("[-]crash failed: "), "{line}");
    assert_eq!(code(&colony, "/healthz"), 503);
    assert_eq!(code(&colony, "/readyz"), 503);
    assert_eq!(code(&colony, "/livez"), 200, "a child's trouble is not the monitor's");
    assert_eq!(code(&colony, "/healthz?exclude=crash"), 200);

    colony.write("crash", r#"{"args": ["sh", "-c", "exit 7"], "env_inherit": ["PATH"], "readinessGate": false}"#);
    colony.wait_finding("crash", "[+]crash ok (not ready, and need not be: ");
    assert_eq!(code(&colony, "/healthz"), 200);

    colony.write("crash", r#"{"args": ["/nowhere/at/all"]}"#);
    colony.wait_finding("crash", "StartError");
    assert_eq!(code(&colony, "/healthz"), 503);
    colony.write("crash", r#"{"args": ["/nowhere/at/all"], "suspend": true}"#);
    wait_code(&colony, "/healthz", 200);

    // What is meant to end is ready when it has ended well, and not when it has not.
    colony.write("crash", r#"{"args": ["true"], "restartPolicy": "OnFailure"}"#);
    colony.wait_metric(r#"ncolony_process_state{process="crash",state="completed"}"#, |now| now == 1.0);
    wait_code(&colony, "/healthz", 200);
    colony.write("crash", r#"{"args": ["false"], "restartPolicy": "Never"}"#);
    colony.wait_metric(r#"ncolony_process_state{process="crash",state="failed"}"#, |now| now == 1.0);
    wait_code(&colony, "/healthz", 503);

    colony.write("crash", r#"{"args": ["true"], "schedule": {"every": 1000}}"#);
    wait_code(&colony, "/healthz", 200);
    colony.remove("crash");
    colony.wait_log("crash is gone");
    assert_eq!(code(&colony, "/healthz"), 200);
}

// Found by an alert: a kubelet would have restarted the whole container.
#[test]
fn the_loop_is_found_at_work_while_more_end_at_once_than_a_turn_may_start() {
    let hasty = r#"{"args": ["true"], "backoff": {"thresholdSeconds": 0}, "readinessGate": false}"#;
    let setup = (0..150).fold(Setup::new(), |setup, number| setup.file(&format!("hasty{number}"), hasty));
    let colony = setup.start();
    wait_code(&colony, "/healthz/reconcile", 200);
    // Longer than the loop may go without a full look.
    let end = Instant::now() + Duration::from_secs(12);
    while Instant::now() < end {
        let (_, text) = wait_for("an answer", || get(colony.address(), "/livez?verbose"));
        assert!(!text.contains("[-]loop"), "{text}");
        thread::sleep(Duration::from_millis(100));
    }
    // A machine that is too slow for all of it answers late, and says that.
    colony.wait_finding("loop", "[+]loop ok");
}

// Found by NcolonyReconcileSlow, which was never seen: each scrape had 503.
#[test]
fn who_asks_is_answered_though_turns_are_long_and_there_is_always_something_to_do() {
    let (setup, slow) = armed(Setup::new(), "turn", "slow");
    let hasty = r#"{"args": ["true"], "backoff": {"thresholdSeconds": 0}, "readinessGate": false}"#;
    let colony = (0..80).fold(setup, |setup, number| setup.file(&format!("hasty{number}"), hasty)).start();
    wait_code(&colony, "/healthz/reconcile", 200);
    fs::write(slow, "").expect("a file");
    let mut answered = 0;
    colony.wait("eight answers, one after the other", || {
        let is_at_work = code(&colony, "/livez") == 200;
        answered = if is_at_work { answered + 1 } else { 0 };
        (answered == 8).then_some(())
    });
}

#[test]
fn a_shutdown_is_not_ready_at_once_and_alive_to_the_end() {
    let stubborn = r#"{"args": ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"], "env_inherit": ["PATH"],
        "terminationGracePeriodSeconds": 2}"#;
    let mut colony = Colony::with(&[("web", stubborn)]);
    wait_code(&colony, "/healthz", 200);
    colony.wait_stdout("[web] deaf");
    colony.signal(Signal::SIGTERM);
    wait_code(&colony, "/healthz", 503);
    assert!(colony.finding("shutdown").is_some_and(|line| line.starts_with("[-]")));
    assert_eq!(code(&colony, "/livez"), 200);
    assert!(colony.exit_status().success());
}

#[test]
fn each_process_has_a_path_of_its_own() {
    let free = r#"{"args": ["sh", "-c", "exit 7"], "env_inherit": ["PATH"], "readinessGate": false}"#;
    let mut colony = Colony::with(&[("web", SLEEPER), ("free", free), ("a b+c", SLEEPER)]);
    wait_code(&colony, "/healthz/a%20b+c", 200);
    wait_code(&colony, "/healthz/web", 200);
    wait_code(&colony, "/healthz", 200);
    colony.wait_finding("free", "CrashLoopBackOff");
    let (code, text) = colony.get("/readyz/free");
    assert!(code == 503 && text.starts_with("[-]free failed: CrashLoopBackOff"), "{code} {text}");
    assert_eq!(colony.get("/healthz/web?verbose").1, "[+]web ok\nhealthz check passed\n");
    assert_eq!(colony.get("/healthz/nobody").0, 404);
    colony.signal(Signal::SIGTERM);
    assert!(colony.exit_status().success());
}

#[test]
fn startup_is_over_when_every_gating_process_has_started() {
    let setup = Setup::new();
    let go = setup.path("go");
    let wait = format!("while ! test -e {}; do sleep 0.05; done", go.display());
    let slow = format!(
        r#"{{"args": ["sleep", "1000"], "env_inherit": ["PATH"],
            "lifecycle": {{"postStart": {{"exec": {{"command": ["sh", "-c", "{wait}"]}}}}}}}}"#
    );
    let colony = setup.file("web", SLEEPER).file("slow", &slow).start();
    colony.wait_pid("slow", None);
    let (code, text) = colony.get("/startupz");
    assert!(code == 503 && text.contains("[+]web ok") && text.contains("[-]slow failed: its postStart"), "{text}");
    std::fs::write(go, "").expect("it can be written");
    wait_code(&colony, "/startupz", 200);
    assert_eq!(colony.get("/startupz").1, "ok");
}

fn request(colony: &Colony, text: &str) -> String {
    let mut stream = TcpStream::connect(colony.address()).expect("it listens");
    stream.write_all(text.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

// W10
#[test]
fn other_paths_and_methods_are_refused_and_no_secret_is_told() {
    let secret = r#"{"args": ["sleep", "31415"], "env": {"PASSWORD": "hunter2"}, "mine": "hunter2"}"#;
    let colony = Colony::with(&[("web", secret)]);
    colony.wait_pid("web", None);
    assert_eq!(code(&colony, "/nothing"), 404);
    assert_eq!(code(&colony, "/metrics/"), 404);
    for method in ["POST", "PUT", "DELETE"] {
        let text = format!("{method} /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let answer = request(&colony, &text);
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("allow: get, head"), "{answer}");
    }
    for path in ["/", "/metrics", "/healthz?verbose", "/readyz?verbose", "/livez?verbose"] {
        let (code, text) = colony.get(path);
        assert_eq!(code, 200, "{path}");
        assert!(!text.contains("hunter2") && !text.contains("31415"), "{path}: {text}");
    }
    assert!(colony.get("/").1.contains("web"), "the page shows the colony");
}

// W01, W02
#[test]
fn three_hundred_half_open_connections_keep_neither_a_restart_nor_livez_waiting() {
    let setup = Setup::new().file("web", SLEEPER).through(&["sh", "-ec", "ulimit -n 256; exec \"$0\" \"$@\""]);
    let colony = setup.start();
    let web = colony.wait_pid("web", None);
    let address = colony.address();
    let half_open: Vec<TcpStream> = (0..300)
        .filter_map(|_| {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").ok()?;
            Some(stream)
        })
        .collect();
    assert!(half_open.len() > 200, "{}", half_open.len());
    let began = Instant::now();
    send(web, Signal::SIGKILL);
    colony.wait_pid("web", Some(web));
    // The back-off is a second.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let (code, _) = wait_for("an answer", || get(address, "/livez"));
    assert_eq!(code, 200);
    let share = colony.cpu_share(|| thread::sleep(Duration::from_secs(2)));
    assert!(share < 0.05, "{share}");
    drop(half_open);
    assert_eq!(colony.get("/healthz").0, 200);
}

// W04
#[test]
fn a_port_that_is_taken_ends_it_before_anything_is_started() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let setup = Setup::new().file("web", r#"{"args": ["sh", "-c", "echo started"]}"#);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
    command.arg("run").arg("--config").arg(setup.path("config")).arg("--messages").arg(setup.path("messages"));
    command.arg("--listen").arg(taken.local_addr().expect("an address").to_string());
    let output = command.output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{errors}");
    assert!(errors.contains("--listen") && errors.contains("in use"), "{errors}");
    assert!(!errors.contains("started"), "{errors}");
    assert!(output.stdout.is_empty());
}

// W05: whoever asks a loop that does not turn gets no answer that sounds well.
#[test]
fn a_monitor_that_is_frozen_does_not_look_healthy() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    wait_code(&colony, "/healthz", 200);
    colony.freeze();
    // The kernel still connects; nobody answers.
    let mut stream = TcpStream::connect(colony.address()).expect("it listens");
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").expect("the kernel takes it");
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let answer = stream.read(&mut [0; 1]);
    colony.signal(Signal::SIGCONT);
    assert!(answer.is_err(), "{answer:?}");
    wait_code(&colony, "/healthz", 200);
    let web = colony.wait_pid("web", None);
    colony.remove("web");
    wait_gone(web);
}
