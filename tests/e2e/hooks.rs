//! What is done right after a start and before a stop: `lifecycle.postStart` and `lifecycle.preStop`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::{Value, json};

use crate::support::{Colony, PATIENCE, Setup, can, lives, wait_for, wait_gone};

/// Writes `term` into the file `said` when it is asked to end, and ends.
const HEARS: &str = "trap 'echo term >>\"$DIR/said\"; exit 0' TERM; touch \"$DIR/up\"; while :; do sleep 0.05; done";
/// The reason that a hook's failure is told with.
const FAILED: &str = "FailedPreStopHook";

fn file(dir: &Path, script: &str, grace: f64, hook: Value) -> String {
    json!({
        "args": ["sh", "-c", script],
        "env": {"DIR": dir, "PATH": "/usr/bin:/bin"},
        "terminationGracePeriodSeconds": grace,
        "lifecycle": {"preStop": hook},
    })
    .to_string()
}

fn exec(script: &str) -> Value {
    json!({"exec": {"command": ["sh", "-c", script]}})
}

/// A colony of `web` alone, which can hear its stop signal by now.
fn hears(grace: f64, hook: Value) -> Colony {
    let setup = Setup::new();
    let web = file(setup.dir(), HEARS, grace, hook);
    let colony = setup.file("web", &web).start();
    wait_up(&colony);
    colony
}

fn wait_up(colony: &Colony) {
    colony.wait("web to be up", || fs::remove_file(colony.path("up")).ok());
}

fn said(colony: &Colony) -> String {
    fs::read_to_string(colony.path("said")).unwrap_or_default()
}

/// The pids that a hook has written, once there are so many.
fn pids(colony: &Colony, count: usize) -> Vec<i32> {
    colony.wait("the hook's pids", || {
        let text = fs::read_to_string(colony.path("pids")).ok()?;
        let pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() == count && text.ends_with('\n')).then_some(pids)
    })
}

#[test]
fn a_hook_is_done_before_the_stop_signal_as_the_run_itself() {
    let hook = "echo \"hook of $NCOLONY_NAME in $DIR, $NCOLONY_RUN\"; sleep 0.3; echo hook >>\"$DIR/said\"";
    let script = format!("echo \"$NCOLONY_NAME in $DIR, $NCOLONY_RUN\"; {HEARS}");
    let setup = Setup::new();
    let web = file(setup.dir(), &script, 30.0, exec(hook));
    let colony = setup.file("web", &web).start();
    wait_up(&colony);
    colony.remove("web");
    colony.wait_log("web is gone");
    assert_eq!(said(&colony), "hook\nterm\n");
    let log = colony.log();
    assert!(log.contains("preStop of web (exec sh): its file was removed"), "{log}");
    assert!(log.contains("preStop of web is done: exit code 0"), "{log}");
    assert!(!log.contains(FAILED), "{log}");
    // What it prints stands in the log as the run's own, and it has the run's environment.
    colony.wait_stdout("[web] hook of web in");
    let printed = colony.stdout();
    let run = printed.lines().find_map(|line| line.strip_prefix("[web] web in ")).expect("the run's line");
    assert!(printed.contains(&format!("[web] hook of web in {run}\n")), "{printed}");
}

#[test]
fn a_hook_is_of_the_runs_user_and_in_its_directory() {
    if !can("root", Uid::effective().is_root()) {
        return;
    }
    let hook = exec("echo \"hook as $(id -u) $(id -g) in $(pwd)\"");
    let web = json!({"args": ["sleep", "1000"], "uid": 65534, "gid": 65533, "workingDir": "/usr",
        "lifecycle": {"preStop": hook}});
    let colony = Colony::with(&[("web", &web.to_string())]);
    colony.wait_pid("web", None);
    colony.remove("web");
    colony.wait_stdout("[web] hook as 65534 65533 in /usr\n");
}

#[test]
fn a_run_that_ends_of_itself_has_no_hook() {
    let setup = Setup::new();
    let web = file(setup.dir(), "exit 3", 30.0, exec("echo hook >>\"$DIR/said\""));
    let colony = setup.file("web", &web).start();
    colony.wait_log("web ended: exit code 3");
    let (_, log) = colony.end();
    assert!(!log.contains("preStop"), "{log}");
}

#[test]
fn every_stop_that_we_ask_for_has_its_hook() {
    let setup = Setup::new();
    let hook = || exec("echo hook >>\"$DIR/said\"");
    let web = file(setup.dir(), HEARS, 30.0, hook());
    let edited = file(setup.dir(), &format!(": edited; {HEARS}"), 30.0, hook());
    let mut colony = setup.file("web", &web).start();
    wait_up(&colony);
    colony.message("restart", r#"{"type": "RESTART", "name": "web"}"#);
    wait_up(&colony);
    assert_eq!(said(&colony), "hook\nterm\n", "a message");
    colony.write("web", &edited);
    wait_up(&colony);
    assert_eq!(said(&colony), "hook\nterm\n".repeat(2), "an edit");
    colony.signal(Signal::SIGTERM);
    assert_eq!(colony.exit_status().code(), Some(0));
    assert_eq!(said(&colony), "hook\nterm\n".repeat(3), "the end of all");
    let log = colony.log();
    assert!(log.contains("preStop of web (exec sh): the monitor ends"), "{log}");
    assert!(log.trim_end().ends_with("ended: nothing is left"), "{log}");
}

#[test]
fn a_stop_for_a_stale_heartbeat_has_its_hook() {
    let setup = Setup::new();
    let hook = exec("echo hook >>\"$DIR/said\"");
    let web = json!({"args": ["sleep", "1000"], "env": {"DIR": setup.dir(), "PATH": "/usr/bin:/bin"},
        "ncolony.beatcheck": {"period": 0.2, "grace": 1, "status": "/nowhere"}, "lifecycle": {"preStop": hook}});
    let colony = setup.file("web", &web.to_string()).start();
    colony.wait_log("preStop of web (exec sh): its heartbeat stopped");
    colony.wait_log("preStop of web is done: exit code 0");
    colony.wait_log("SIGTERM to the main process of web: its heartbeat stopped");
    assert!(said(&colony).starts_with("hook\n"), "{}", colony.log());
}

#[test]
fn an_edit_of_the_hook_applies_to_the_living_run() {
    let colony = hears(30.0, exec("echo old >>\"$DIR/said\""));
    let web = colony.wait_pid("web", None);
    colony.write("web", &file(colony.dir.path(), HEARS, 30.0, exec("echo new >>\"$DIR/said\"")));
    colony.wait_log("the edited file of web is in force; it runs on");
    assert_eq!(colony.pid_of("web"), Some(web));
    colony.remove("web");
    colony.wait_log("web is gone");
    assert_eq!(said(&colony), "new\nterm\n");
}

#[test]
fn a_hook_that_fails_is_told_and_the_stop_goes_on() {
    let colony = hears(30.0, exec("echo hook >>\"$DIR/said\"; exit 3"));
    colony.remove("web");
    colony.wait_log("web is gone");
    assert_eq!(said(&colony), "hook\nterm\n");
    let log = colony.log();
    assert!(log.contains("preStop of web failed: exit code 3; the stop goes on"), "{log}");
    assert!(log.contains(FAILED), "{log}");
}

#[test]
fn a_hook_that_cannot_be_started_is_told_and_the_stop_goes_on() {
    let colony = hears(30.0, json!({"exec": {"command": ["no-such-program"]}}));
    colony.remove("web");
    colony.wait_log("web is gone");
    assert_eq!(said(&colony), "term\n");
    let log = colony.log();
    assert!(log.contains("preStop of web failed: cannot start it: program \"no-such-program\" not found"), "{log}");
}

#[test]
fn a_sleep_is_slept_before_the_stop_signal() {
    let colony = hears(30.0, json!({"sleep": {"seconds": 1.5}}));
    let began = Instant::now();
    colony.remove("web");
    colony.wait_log("SIGTERM to the main process of web");
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    colony.wait_log("web is gone");
    assert!(!colony.log().contains(FAILED), "{}", colony.log());
}

// Of a grace of three seconds the second half is the main process's own.
#[test]
fn a_hook_that_hangs_is_killed_with_all_that_it_started() {
    let hook = "sleep 1000 & echo $! >>\"$DIR/pids\"; setsid sleep 1000 & echo $! >>\"$DIR/pids\"; \
        echo $$ >>\"$DIR/pids\"; trap '' TERM; while :; do sleep 1000; done";
    let colony = hears(3.0, exec(hook));
    let began = Instant::now();
    colony.remove("web");
    let pids = pids(&colony, 3);
    colony.wait_log("preStop of web failed: it took all of its time, and is ended; the stop goes on");
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    colony.wait_log("SIGTERM to the main process of web");
    colony.wait_log("web is gone");
    assert!(!pids.iter().copied().any(lives), "{pids:?}");
}

// What it leaves is the run's: asked after the main process, and waited for.
#[test]
fn what_a_hook_leaves_behind_belongs_to_the_run() {
    let hook = "setsid sleep 1000 & echo $! >>\"$DIR/pids\"; env -i sleep 1000 & echo $! >>\"$DIR/pids\"";
    let colony = hears(30.0, exec(hook));
    colony.remove("web");
    let pids = pids(&colony, 2);
    colony.wait_log("web is gone");
    assert_eq!(said(&colony), "term\n");
    assert!(!pids.iter().copied().any(lives), "{pids:?}");
    assert!(colony.log().contains("nothing of the run is left"), "{}", colony.log());
}

#[test]
fn a_hook_ends_with_the_process_that_it_was_for() {
    let setup = Setup::new();
    let script = "echo $$ >\"$DIR/main\"; touch \"$DIR/up\"; while :; do sleep 1000; done";
    let hook = "echo $$ >\"$DIR/pids\"; kill -9 $(cat \"$DIR/main\"); while :; do sleep 1000; done";
    let web = file(setup.dir(), script, 1000.0, exec(hook));
    let colony = setup.file("web", &web).start();
    wait_up(&colony);
    colony.remove("web");
    let pids = pids(&colony, 1);
    colony.wait_log("the preStop of web is ended with its main process");
    colony.wait_log("web is gone");
    assert!(!lives(pids[0]));
}

#[test]
fn a_hurried_end_waits_for_no_hook() {
    let setup = Setup::new();
    let hangs = exec("echo $$ >>\"$DIR/pids\"; while :; do sleep 1000; done");
    let web = file(setup.dir(), HEARS, 1000.0, hangs);
    let sleeps = file(setup.dir(), "exec sleep 1000", 1000.0, json!({"sleep": {"seconds": 900}}));
    let mut colony = setup.file("web", &web).file("sleeps", &sleeps).start();
    wait_up(&colony);
    colony.wait_pid("sleeps", None);
    colony.signal(Signal::SIGTERM);
    let pids = pids(&colony, 1);
    colony.hurry(Signal::SIGTERM);
    assert_eq!(colony.exit_status().code(), Some(0));
    wait_gone(pids[0]);
    assert_eq!(said(&colony), "");
}

// A thousand seconds of hooks, and a grace of two: law 4.
#[test]
fn the_end_of_a_colony_whose_hooks_hang_is_over_within_the_grace() {
    let mut setup = Setup::new();
    for number in 0..20 {
        let hook = if number % 2 == 0 { exec("sleep 1000") } else { json!({"sleep": {"seconds": 1000}}) };
        let web = file(setup.dir(), "exec sleep 1000", 2.0, hook);
        setup = setup.file(&format!("p{number}"), &web);
    }
    let colony = setup.start();
    colony.wait("all to be started", || (colony.count(": it is new") == 20).then_some(()));
    let began = Instant::now();
    let (status, log) = colony.end();
    let took = began.elapsed();
    assert_eq!(status.code(), Some(0));
    // Two seconds, and what a busy machine needs.
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(15), "{took:?}");
    assert_eq!(log.matches("it took all of its time").count(), 20, "{log}");
    assert_eq!(log.matches("SIGTERM to the main process").count(), 20, "{log}");
}

fn starts_with(dir: &Path, script: &str, hook: &str) -> String {
    json!({
        "args": ["sh", "-c", script],
        "env": {"DIR": dir, "PATH": "/usr/bin:/bin"},
        "backoff": {"initialSeconds": 0.2},
        "lifecycle": {"postStart": exec(hook)},
    })
    .to_string()
}

#[test]
fn a_run_is_ready_when_what_is_done_right_after_its_start_is_done() {
    let setup = Setup::new();
    let hook = "echo \"hook of $NCOLONY_NAME\"; while ! [ -e \"$DIR/go\" ]; do sleep 0.05; done";
    let web = starts_with(setup.dir(), "exec sleep 1000", hook);
    let colony = setup.file("web", &web).start();
    colony.wait_stdout("[web] hook of web\n");
    colony.wait_finding("web", "its postStart is not done");
    assert_eq!(colony.get("/healthz").0, 503);
    fs::write(colony.path("go"), "").expect("a file");
    colony.wait_log("postStart of web is done: exit code 0");
    colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    let web = colony.wait_pid("web", None);
    assert!(lives(web), "one run it was: {}", colony.log());
    assert_eq!(colony.count("started web: "), 1);
}

#[test]
fn a_run_whose_post_start_fails_is_ended_and_followed_by_another() {
    let setup = Setup::new();
    let script = "trap 'echo term >>\"$DIR/said\"; exit 0' TERM; touch \"$DIR/up\"; while :; do sleep 0.05; done";
    // Fails once.
    let hook = "while ! [ -e \"$DIR/up\" ]; do sleep 0.05; done; mkdir \"$DIR/tried\" && exit 7; exit 0";
    let web = starts_with(setup.dir(), script, hook);
    let colony = setup.file("web", &web).start();
    colony.wait_log("postStart of web failed: exit code 7; it is ended");
    assert!(colony.log().contains("FailedPostStartHook"), "{}", colony.log());
    colony.wait_log("SIGTERM to the main process of web: its postStart failed");
    colony.wait_log("postStart of web is done: exit code 0");
    assert_eq!(colony.count("started web: "), 2, "{}", colony.log());
    assert_eq!(said(&colony), "term\n");
    colony.wait_metric(r#"ncolony_process_exits_total{process="web",reason="error"}"#, |exits| exits == 1.0);
}

#[test]
fn a_post_start_that_cannot_be_started_has_failed() {
    let web =
        json!({"args": ["sleep", "1000"], "lifecycle": {"postStart": {"exec": {"command": ["no-such-program"]}}}});
    let colony = Colony::with(&[("web", &web.to_string())]);
    colony.wait_log("postStart of web failed: cannot start it: program \"no-such-program\" not found");
    colony.wait_log("SIGTERM to the main process of web: its postStart failed");
}

#[test]
fn a_post_start_that_hangs_ends_with_its_run() {
    let setup = Setup::new();
    let hook = "trap '' TERM; echo $$ >\"$DIR/pids\"; while :; do sleep 1000; done";
    let web = starts_with(setup.dir(), "exec sleep 1000", hook);
    let colony = setup.flags(&["-k", "0.5"]).file("web", &web).start();
    let pids = pids(&colony, 1);
    colony.remove("web");
    colony.wait_log("web is gone");
    assert!(!pids.iter().copied().any(lives), "{pids:?}");
    assert!(!colony.log().contains("FailedPostStartHook"), "{}", colony.log());
}

/// A server that gives every connection this answer, and tells what it was asked.
fn server(answer: impl Fn(&mut TcpStream) + Send + 'static) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                match stream.read(&mut byte) {
                    Ok(1) => request.push(byte[0]),
                    Ok(_) | Err(_) => break,
                }
            }
            if tell.send(String::from_utf8_lossy(&request).into_owned()).is_err() {
                return;
            }
            answer(&mut stream);
        }
    });
    (port, told)
}

/// Goes away when the other side does.
fn write(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).is_ok()
}

fn http_get(port: u16) -> Value {
    json!({"httpGet": {"port": port, "path": "/drain?now=1", "httpHeaders": [{"name": "X-Why", "value": "stop"}]}})
}

#[test]
fn http_get_asks_and_the_stop_signal_follows_the_answer() {
    let (port, told) = server(|stream| {
        write(stream, "HTTP/1.1 204 No Content\r\n\r\n");
    });
    let colony = hears(30.0, http_get(port));
    colony.remove("web");
    let request = told.recv_timeout(PATIENCE).expect("a request");
    let lines: Vec<String> = request.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines[0], "get /drain?now=1 http/1.1");
    for header in [&format!("host: 127.0.0.1:{port}"), "x-why: stop", "connection: close"] {
        assert!(lines.iter().any(|line| line == header), "{header}: {request}");
    }
    colony.wait_log("preStop of web is done: status 204");
    colony.wait_log("web is gone");
    assert_eq!(said(&colony), "term\n");
    assert!(!colony.log().contains(FAILED), "{}", colony.log());
}

#[test]
fn an_answer_that_is_no_success_is_told_and_so_is_none() {
    let (port, _told) = server(|stream| {
        write(stream, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    });
    let (dumb, _silence) = server(|_| {});
    let setup = Setup::new();
    let of = |port: u16| file(setup.dir(), "exec sleep 1000", 30.0, http_get(port));
    // Nobody listens at port 1.
    let (busy, dumb, closed) = (of(port), of(dumb), of(1));
    let colony = setup.file("busy", &busy).file("dumb", &dumb).file("closed", &closed).start();
    for name in ["busy", "dumb", "closed"] {
        colony.wait_pid(name, None);
    }
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("preStop of busy failed: the answer was status 503; the stop goes on"), "{log}");
    assert!(log.contains("preStop of dumb failed: "), "{log}");
    assert!(log.contains("preStop of closed failed: cannot connect to 127.0.0.1:"), "{log}");
}

#[test]
fn an_answer_that_never_ends_is_cut() {
    let (endless, _told) = server(|stream| {
        write(stream, "HTTP/1.1 200 OK\r\n\r\n");
        while write(stream, &"more".repeat(4096)) {}
    });
    let (headless, _told_too) = server(|stream| {
        write(stream, "HTTP/1.1 200 OK\r\n");
        while write(stream, "X-More: and more\r\n") {}
    });
    let setup = Setup::new();
    let of = |port: u16| file(setup.dir(), "exec sleep 1000", 1000.0, http_get(port));
    let (endless, headless) = (of(endless), of(headless));
    let colony = setup.file("endless", &endless).file("headless", &headless).start();
    for name in ["endless", "headless"] {
        colony.wait_pid(name, None);
    }
    let (_, log) = colony.end();
    assert!(log.contains("preStop of endless is done: status 200"), "{log}");
    assert!(log.contains("preStop of headless failed: "), "{log}");
}

#[test]
fn an_answer_that_does_not_come_costs_what_a_hook_may_take() {
    let (port, told) = server(|stream| {
        // Until the other side goes.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let colony = hears(3.0, http_get(port));
    let began = Instant::now();
    colony.remove("web");
    told.recv_timeout(PATIENCE).expect("a request");
    colony.wait_log("preStop of web failed: it took all of its time, and is ended; the stop goes on");
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    colony.wait_log("SIGTERM to the main process of web");
    colony.wait_log("web is gone");
    // The loop did not wait for it.
    wait_for("the monitor to be well", || (colony.get("/livez").0 == 200).then_some(()));
}
