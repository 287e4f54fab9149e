//! Probes: each handler as it answers well, badly, and not at all; and what follows from the verdicts.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::{Value, json};

use crate::support::{Colony, PATIENCE, Setup, can, lives, send, sleeper, succeeds, wait_for, wait_gone};

/// A process that lasts, with these keys beside.
fn file(keys: Value) -> String {
    with(json!({"args": ["sleep", "1000"], "backoff": {"initialSeconds": 0.1, "maxSeconds": 0.5}}), keys)
}

/// A shell script with these keys beside, in whose environment DIR is the colony's own directory.
fn script(dir: &Path, script: &str, keys: Value) -> String {
    let base = json!({"args": ["sh", "-c", script], "env": {"DIR": dir, "PATH": "/usr/bin:/bin"},
        "backoff": {"initialSeconds": 0.1, "maxSeconds": 0.5}});
    with(base, keys)
}

fn with(mut base: Value, keys: Value) -> String {
    base.as_object_mut().expect("a map").extend(keys.as_object().expect("a map").clone());
    base.to_string()
}

/// A probe that asks often, and is given its time on a slow machine.
fn probe(handler: Value, more: Value) -> Value {
    let mut probe = json!({"periodSeconds": 0.1, "timeoutSeconds": 30});
    let probe_keys = probe.as_object_mut().expect("a map");
    probe_keys.extend(handler.as_object().expect("a map").clone());
    probe_keys.extend(more.as_object().expect("a map").clone());
    probe
}

fn exec(script: &str) -> Value {
    json!({"exec": {"command": ["sh", "-c", script]}})
}

/// What a server of the tests does with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Well,
    Ill,
    Silent,
    Endless,
    Large,
    Garbage,
}

/// A server whose mood can be changed, and that counts whom it has heard.
struct Server {
    port: u16,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn new(mood: Mood) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = Server { port, mood: Arc::new(Mutex::new(mood)), asked: Arc::default() };
        let (mood, asked) = (Arc::clone(&server.mood), Arc::clone(&server.asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mood, asked) = (Arc::clone(&mood), Arc::clone(&asked));
                thread::spawn(move || answer(stream, &mood, &asked));
            }
        });
        server
    }

    fn be(&self, mood: Mood) {
        *self.mood.lock().expect("nobody panics") = mood;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn http(&self) -> Value {
        json!({"httpGet": {"port": self.port, "path": "/health"}})
    }
}

fn answer(mut stream: TcpStream, mood: &Mutex<Mood>, asked: &AtomicUsize) {
    let mut request = [0; 4096];
    if !stream.read(&mut request).is_ok_and(|length| length > 0) {
        return;
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let mood = *mood.lock().expect("nobody panics");
    let mut write = |bytes: &[u8]| stream.write_all(bytes).is_ok();
    match mood {
        Mood::Well => _ = write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Mood::Ill => _ = write(b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nfell over"),
        Mood::Silent => _ = stream.read_to_end(&mut Vec::new()),
        Mood::Endless => {
            write(b"HTTP/1.1 200 OK\r\n\r\n");
            while write(b"x") {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Mood::Large => {
            write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
            for _ in 0..10_000_000 / 4096 {
                if !write(&[b'x'; 4096]) {
                    break;
                }
            }
        }
        Mood::Garbage => _ = write(b"\x00\x01\xff garbage\r\n\r\n"),
    }
}

fn wait_ready(colony: &Colony, name: &str) {
    colony.wait_finding(name, &format!("[+]{name} ok"));
}

/// Waits until the log says that a probe failed for this reason.
fn wait_unhealthy(colony: &Colony, name: &str, why: &str) {
    colony.wait_log(&format!("{name}: {why}"));
    assert!(colony.log().contains("Unhealthy"), "{}", colony.log());
}

#[test]
fn every_handler_that_answers_well_makes_ready() {
    let (server, setup) = (Server::new(Mood::Well), Setup::new());
    let beats = "while :; do touch \"$DIR/beat\"; sleep 0.02; done";
    let files = [
        ("http", file(json!({"readinessProbe": probe(server.http(), json!({}))}))),
        ("tcp", file(json!({"readinessProbe": probe(json!({"tcpSocket": {"port": server.port}}), json!({}))}))),
        ("exec", file(json!({"readinessProbe": probe(json!({"exec": {"command": ["/bin/true"]}}), json!({}))}))),
        (
            "beat",
            script(
                setup.dir(),
                beats,
                json!({"readinessProbe":
                probe(json!({"heartbeat": {"file": setup.path("beat")}}), json!({"periodSeconds": 0.5}))}),
            ),
        ),
    ];
    let colony = files.iter().fold(setup, |setup, (name, text)| setup.file(name, text)).start();
    for (name, _) in &files {
        wait_ready(&colony, name);
    }
    assert_eq!(colony.get("/healthz").0, 200);
    assert!(!colony.log().contains("Unhealthy"), "{}", colony.log());
}

#[test]
fn every_handler_that_fails_says_why_and_is_not_ready() {
    let (server, setup) = (Server::new(Mood::Ill), Setup::new());
    let of = |handler: Value| file(json!({"readinessProbe": probe(handler, json!({}))}));
    let files = [
        ("http", of(server.http())),
        // Nobody listens at port 1.
        ("refused", of(json!({"httpGet": {"port": 1}}))),
        ("tcp", of(json!({"tcpSocket": {"port": 1}}))),
        ("grpc", of(json!({"grpc": {"port": 1}}))),
        ("exec", of(exec("echo not yet; echo and why >&2; exit 3"))),
        ("missing", of(json!({"exec": {"command": ["no-such-program"]}}))),
        ("beat", of(json!({"heartbeat": {"file": setup.path("beat")}}))),
    ];
    let colony = files.iter().fold(setup, |setup, (name, text)| setup.file(name, text)).start();
    let rows = [
        ("http", "Readiness probe failed: HTTP probe failed with statuscode: 500: fell over"),
        ("refused", "Readiness probe failed: cannot connect to 127.0.0.1:1: connection refused"),
        ("tcp", "Readiness probe failed: cannot connect to 127.0.0.1:1: connection refused"),
        ("grpc", "Readiness probe failed: error: failed to connect service at \"127.0.0.1:1\": "),
        ("exec", "Readiness probe failed: exit code 3: not yet\\nand why"),
        (
            "missing",
            "Readiness probe errored and resulted in unknown state: cannot start it: program \"no-such-program\" not found",
        ),
        ("beat", "Readiness probe failed: there is no heartbeat file"),
    ];
    for (name, why) in rows {
        wait_unhealthy(&colony, name, why);
        let line = colony.finding(name).expect("a line");
        assert!(line.starts_with(&format!("[-]{name} ")), "{line}");
    }
    colony.wait_finding("http", "its readiness probe failed: HTTP probe failed with statuscode: 500: fell over");
    colony.wait_finding("missing", "its readiness probe has not succeeded yet: it cannot be made: cannot start it: ");
    // None of it ends a run, or floods the log.
    assert_eq!(colony.count(": it is new"), files.len(), "{}", colony.log());
    for (name, why) in rows {
        assert!(colony.count(&format!("{name}: {why}")) <= 2, "{}", colony.log());
    }
}

#[test]
fn a_liveness_probe_that_cannot_be_made_ends_nobody_and_is_told_wherever_one_looks() {
    let lame = json!({"livenessProbe": probe(json!({"exec": {"command": ["no-such-program"]}}), json!({}))});
    let colony = Setup::new().file("web", &file(lame)).start();
    let why = "its liveness probe cannot be made: cannot start it: program \"no-such-program\" not found";
    let line = colony.wait_finding("web", why);
    assert!(line.starts_with("[+]web ok ("), "{line}");
    assert_eq!((colony.get("/healthz").0, colony.get("/healthz/web").0), (200, 200));
    let ctl = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
        let output = command.arg("ctl").arg("--messages").arg(colony.path("messages")).args(words).output();
        String::from_utf8_lossy(&output.expect("the control program").stdout).into_owned()
    };
    let told = "cannot be made: cannot start it: program \"no-such-program\" not found";
    for words in [&["why", "web"][..], &["describe", "web"], &["get", "web", "-o", "wide"]] {
        let text = ctl(words);
        assert!(text.contains(told), "{words:?}: {text}");
    }
    assert!(ctl(&["get", "web", "-o", "jsonpath={.status.probes[0].error}"]).contains("no-such-program"));
    assert!(colony.get("/").1.contains("its liveness probe cannot be made"), "the page, too");
    assert_eq!(colony.count(": it is new"), 1, "{}", colony.log());
}

#[test]
fn every_handler_that_hangs_fails_when_its_time_is_over_and_holds_up_nobody() {
    let (server, setup) = (Server::new(Mood::Silent), Setup::new());
    let of = |handler: Value| {
        file(json!({"readinessProbe": probe(handler, json!({"periodSeconds": 0.3, "timeoutSeconds": 0.3}))}))
    };
    let hangs = "echo well; sleep 1000";
    let mut files = vec![
        ("http", of(server.http())),
        ("grpc", of(json!({"grpc": {"port": server.port}}))),
        ("exec", of(exec(hangs))),
    ];
    let many: Vec<String> = (0..20).map(|number| format!("more{number}")).collect();
    files.extend(many.iter().map(|name| (name.as_str(), of(exec("sleep 1000")))));
    files.push(("quick", sleeper()));
    let colony = files.iter().fold(setup, |setup, (name, text)| setup.file(name, text)).start();
    wait_unhealthy(&colony, "http", "Readiness probe failed: no answer within 0.3 s");
    wait_unhealthy(&colony, "grpc", "Readiness probe failed: timeout: health rpc did not complete within 0.3 s");
    wait_unhealthy(&colony, "exec", "Readiness probe failed: command timed out after 0.3 s: well");
    // Others are looked after meanwhile.
    let quick = colony.wait_pid("quick", None);
    send(quick, Signal::SIGKILL);
    colony.wait_pid("quick", Some(quick));
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.trim_end().ends_with("ended: nothing is left"), "{log}");
}

/// Waits until an event has this reason and this message.
fn wait_event(colony: &Colony, reason: &str, message: &str) {
    colony.wait(&format!("{reason} {message:?}"), || {
        let shown: Value = serde_json::from_str(&colony.get("/colony.json").1).ok()?;
        let events = shown["events"].as_array()?;
        events.iter().any(|event| event["reason"] == reason && event["message"] == message).then_some(())
    });
}

fn restarted(colony: &Colony, name: &str) -> f64 {
    let metric = format!("ncolony_process_exits_total{{process=\"{name}\",reason=\"probe\"}}");
    colony.metric(&metric).expect("the series")
}

#[test]
fn a_run_whose_liveness_probe_fails_is_ended_and_followed_by_another() {
    let server = Server::new(Mood::Well);
    let web = file(json!({"livenessProbe": probe(server.http(), json!({"failureThreshold": 2}))}));
    let colony = Colony::with(&[("web", &web)]);
    let first = colony.wait_pid("web", None);
    wait_for("some probes", || (server.asked() > 5).then_some(()));
    assert_eq!(colony.pid_of("web"), Some(first), "{}", colony.log());
    server.be(Mood::Ill);
    wait_unhealthy(&colony, "web", "Liveness probe failed: HTTP probe failed with statuscode: 500: fell over");
    wait_gone(first);
    server.be(Mood::Well);
    let second = colony.wait_pid("web", Some(first));
    colony.wait_log("SIGTERM to the main process of web: its liveness probe failed");
    assert!(restarted(&colony, "web") >= 1.0);
    wait_event(&colony, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500: fell over");
    wait_event(&colony, "Killing", "web failed liveness probe, will be restarted");
    wait_ready(&colony, "web");
    let asked = server.asked();
    wait_for("some probes of the next run", || (server.asked() > asked + 5).then_some(()));
    let now = colony.pid_of("web");
    assert!(now == Some(second) || restarted(&colony, "web") > 1.0, "{}", colony.log());
}

// Of a thousand seconds; what it says of its own end, and what an operator is told.
#[test]
fn a_run_that_is_ended_for_a_probe_has_the_probes_own_grace() {
    let (server, setup) = (Server::new(Mood::Well), Setup::new());
    let deaf = "trap '' TERM; touch \"$DIR/up\"; while :; do sleep 0.1; done";
    let grace = json!({"failureThreshold": 1, "terminationGracePeriodSeconds": 1});
    let keys = json!({"terminationGracePeriodSeconds": 1000, "livenessProbe": probe(server.http(), grace)});
    let web = script(setup.dir(), deaf, keys);
    let colony = setup.file("web", &web).start();
    let first = colony.wait_pid("web", None);
    colony.wait("it to be deaf", || fs::metadata(colony.path("up")).ok());
    server.be(Mood::Ill);
    wait_gone(first);
    let asked = second_of(&colony, "SIGTERM to the main process of web: its liveness probe failed");
    let killed = second_of(&colony, "SIGKILL to the process tree of web: its grace is over");
    let took = (killed - asked).rem_euclid(24.0 * 3600.0);
    assert!(took >= 1.0, "{took}");
}

/// The second of the day at which the log says this.
fn second_of(colony: &Colony, text: &str) -> f64 {
    colony.wait_log(text);
    let log = colony.log();
    let line = log.lines().find(|line| line.contains(text)).expect("a line");
    let time = line.split(['T', 'Z']).nth(1).expect("a time");
    time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().expect("a number"))
}

#[test]
fn until_the_startup_probe_has_succeeded_nothing_else_is_asked() {
    let (startup, liveness, readiness) = (Server::new(Mood::Ill), Server::new(Mood::Ill), Server::new(Mood::Well));
    let web = file(json!({
        "startupProbe": probe(startup.http(), json!({"failureThreshold": 1_000_000})),
        "livenessProbe": probe(liveness.http(), json!({"failureThreshold": 1})),
        "readinessProbe": probe(readiness.http(), json!({})),
    }));
    let colony = Colony::with(&[("web", &web)]);
    let web = colony.wait_pid("web", None);
    colony.wait_finding("web", "its startup probe has not succeeded yet: HTTP probe failed with statuscode: 500");
    wait_for("many probes", || (startup.asked() > 10).then_some(()));
    assert_eq!((liveness.asked(), readiness.asked()), (0, 0));
    assert_eq!(colony.get("/healthz").0, 503);
    assert!(lives(web) && colony.pid_of("web") == Some(web));
    startup.be(Mood::Well);
    wait_gone(web);
    colony.wait_log("SIGTERM to the main process of web: its liveness probe failed");
    assert!(liveness.asked() >= 1);
}

#[test]
fn a_startup_probe_that_fails_ends_the_run_and_the_policy_says_what_follows() {
    let server = Server::new(Mood::Ill);
    let fails = probe(server.http(), json!({"failureThreshold": 3}));
    let web = file(json!({"startupProbe": fails}));
    let once = file(json!({"startupProbe": fails, "restartPolicy": "Never"}));
    let colony = Colony::with(&[("once", &once), ("web", &web)]);
    let web = colony.wait_pid("web", None);
    wait_gone(web);
    colony.wait_log("SIGTERM to the main process of web: its startup probe failed");
    wait_event(&colony, "Killing", "web failed startup probe, will be restarted");
    colony.wait_pid("web", Some(web));
    wait_event(&colony, "Killing", "once failed startup probe");
    colony.wait_metric(r#"ncolony_process_state{process="once",state="failed"}"#, |now| now == 1.0);
}

#[test]
fn readiness_flips_healthz_and_costs_no_run() {
    let server = Server::new(Mood::Well);
    let web = file(json!({"readinessProbe": probe(server.http(), json!({"failureThreshold": 1}))}));
    let colony = Colony::with(&[("web", &web)]);
    let web = colony.wait_pid("web", None);
    for _ in 0..3 {
        colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
        server.be(Mood::Ill);
        colony.wait("it not to be ready", || (colony.get("/healthz").0 == 503).then_some(()));
        server.be(Mood::Well);
    }
    assert!(lives(web) && colony.pid_of("web") == Some(web), "{}", colony.log());
    assert_eq!(colony.get("/livez").0, 200);
}

// NColony's: any answer is good, more than maxBad bad ones in a row are the end of the run.
#[test]
fn ncolonys_http_check_takes_any_answer_and_ends_who_gives_none() {
    let server = Server::new(Mood::Ill);
    let url = format!("http://127.0.0.1:{}/status", server.port);
    let check = json!({"url": url, "period": 0.3, "timeout": 30, "maxBad": 1, "grace": 1});
    let web = file(json!({"ncolony.httpcheck": check}));
    let colony = Colony::with(&[("web", &web)]);
    let web = colony.wait_pid("web", None);
    wait_for("some checks", || (server.asked() >= 5).then_some(()));
    assert_eq!(colony.pid_of("web"), Some(web), "{}", colony.log());
    server.be(Mood::Garbage);
    wait_gone(web);
    wait_unhealthy(&colony, "web", "HTTP check failed: malformed HTTP response \"\\x00\\x01\\xff garbage");
    colony.wait_log("SIGTERM to the main process of web: its HTTP check failed");
    assert!(restarted(&colony, "web") >= 1.0);
}

// Issue 4's bad input over HTTP: each has its verdict, its words, and costs the monitor nothing.
#[test]
fn an_answer_that_never_ends_ten_megabytes_and_garbage_are_verdicts() {
    let moods = [Mood::Endless, Mood::Large, Mood::Garbage, Mood::Silent].map(|mood| (mood, Server::new(mood)));
    let mut setup = Setup::new();
    for (mood, server) in &moods {
        let limit = if *mood == Mood::Large { 30.0 } else { 0.5 };
        let probe = probe(server.http(), json!({"timeoutSeconds": limit}));
        setup = setup.file(&format!("{mood:?}"), &file(json!({"readinessProbe": probe})));
    }
    let colony = setup.start();
    wait_unhealthy(&colony, "Endless", "Readiness probe failed: no end of the answer within 0.5 s");
    wait_unhealthy(&colony, "Silent", "Readiness probe failed: no answer within 0.5 s");
    wait_unhealthy(&colony, "Garbage", "Readiness probe failed: malformed HTTP response ");
    wait_ready(&colony, "Large");
    let large = &moods[1].1;
    let asked = large.asked();
    wait_for("many large answers", || (large.asked() >= asked + 20).then_some(()));
    let status = fs::read_to_string(format!("/proc/{}/status", colony.pid())).expect("it lives");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 64 * 1024, "{peak} KiB");
}

/// The pids that a probe has written into this file, once there are so many.
fn pids(colony: &Colony, count: usize) -> Vec<i32> {
    colony.wait("the probe's pids", || {
        let text = fs::read_to_string(colony.path("pids")).ok()?;
        let pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() >= count).then_some(pids)
    })
}

#[test]
fn what_a_probes_command_leaves_behind_is_killed_and_its_pipe_is_not_waited_for() {
    let setup = Setup::new();
    // In its group, out of it, an orphan's child; each with the pipe in its hands, and deaf.
    let leaves = "trap '' TERM HUP; for way in '' setsid; do $way sh -c 'echo $$ >>\"$DIR/pids\"; exec sleep 1000' & done; \
        (setsid sh -c 'echo $$ >>\"$DIR/pids\"; sh -c \"echo \\$\\$ >>$DIR/pids; exec sleep 1000\" & wait' &) ; \
        while [ $(wc -l <\"$DIR/pids\") -lt 4 ]; do sleep 0.02; done; mkdir \"$DIR/done\"; echo all is well";
    let check = format!("[ -e \"$DIR/done\" ] && exit 0; touch \"$DIR/pids\"; {leaves}");
    let keys = json!({"readinessProbe": probe(exec(&check), json!({}))});
    let web = script(setup.dir(), "exec sleep 1000", keys);
    let colony = setup.file("web", &web).start();
    let main = colony.wait_pid("web", None);
    wait_ready(&colony, "web");
    let pids = pids(&colony, 4);
    for pid in pids {
        wait_gone(pid);
    }
    assert!(lives(main) && colony.pid_of("web") == Some(main));
    // What it says is no line of the process.
    assert!(!colony.stdout().contains("all is well"), "{}", colony.stdout());
}

#[test]
fn a_probes_command_that_hangs_is_killed_with_all_that_it_has_started() {
    let setup = Setup::new();
    let hangs = "trap '' TERM; echo $$ >>\"$DIR/pids\"; sleep 1000 & echo $! >>\"$DIR/pids\"; \
        setsid sleep 1000 & echo $! >>\"$DIR/pids\"; echo on my way; while :; do sleep 1000; done";
    let keys = json!({"livenessProbe": probe(exec(hangs), json!({"timeoutSeconds": 1, "failureThreshold": 1000}))});
    let web = script(setup.dir(), "exec sleep 1000", keys);
    let colony = setup.file("web", &web).start();
    let main = colony.wait_pid("web", None);
    let pids = pids(&colony, 3);
    wait_unhealthy(&colony, "web", "Liveness probe failed: command timed out after 1 s: on my way");
    for pid in &pids[..3] {
        wait_gone(*pid);
    }
    assert!(lives(main));
}

// It forks faster than it can be counted, for as long as it may: nothing of it is left, and the monitor is at work.
#[test]
fn a_probe_that_forks_without_end_is_ended_whole() {
    let setup = Setup::new();
    let bomb = "echo >>\"$DIR/forks\"; if [ $(wc -l <\"$DIR/forks\") -lt 300 ]; then \
        setsid sh -c \"$1\" bomb \"$1\" & sh -c \"$1\" bomb \"$1\" & fi; exec sleep 1000";
    let check = json!({"exec": {"command": ["sh", "-c", bomb, "bomb", bomb]}});
    let keys = json!({"readinessProbe": probe(check, json!({"periodSeconds": 1000, "timeoutSeconds": 2}))});
    let web = script(setup.dir(), "exec sleep 1000", keys);
    let colony = setup.file("web", &web).file("other", &sleeper()).start();
    wait_unhealthy(&colony, "web", "Readiness probe failed: command timed out after 2 s");
    let forks = fs::read(colony.path("forks")).expect("its forks").len();
    assert!(forks > 10, "{forks}");
    let run = colony.wait_pid("web", None);
    let environ = |pid: i32| fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let of_probe = || {
        let dir = format!("DIR={}\0", colony.dir.path().display()).into_bytes();
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let theirs = |pid: &i32| environ(*pid).windows(dir.len()).any(|window| window == dir) && lives(*pid);
        pids.filter(|pid| *pid != run).filter(theirs).count()
    };
    colony.wait("all of it to be gone", || (of_probe() == 0).then_some(()));
    let other = colony.wait_pid("other", None);
    send(other, Signal::SIGKILL);
    colony.wait_pid("other", Some(other));
}

#[test]
fn a_heartbeat_of_a_probe_is_a_change_since_the_last_look() {
    let setup = Setup::new();
    File::create(setup.path("beat")).expect("what the last run left");
    let beats = "while :; do [ -e \"$DIR/quiet\" ] || touch \"$DIR/beat\"; sleep 0.05; done";
    let handler = json!({"heartbeat": {"file": setup.path("beat")}});
    let of = |threshold| probe(handler.clone(), json!({"periodSeconds": 4, "failureThreshold": threshold}));
    let beating = script(setup.dir(), beats, json!({"livenessProbe": of(1), "readinessProbe": of(1)}));
    let quiet = script(setup.dir(), "exec sleep 1000", json!({"livenessProbe": of(1)}));
    // A file of its own, that nobody touches.
    let quiet = quiet.replace("/beat\"", "/other\"");
    File::create(setup.path("other")).expect("what the last run left");
    let colony = setup.file("beating", &beating).file("quiet", &quiet).start();
    let (beats, rests) = (colony.wait_pid("beating", None), colony.wait_pid("quiet", None));
    wait_ready(&colony, "beating");
    wait_gone(rests);
    wait_unhealthy(&colony, "quiet", "Liveness probe failed: no heartbeat since the last look");
    assert!(lives(beats) && colony.pid_of("beating") == Some(beats), "{}", colony.log());
    File::create(colony.path("quiet")).expect("a file");
    wait_gone(beats);
    colony.wait_log("SIGTERM to the main process of beating: its liveness probe failed");
}

// Issue 4's bad input of heartbeats.
#[test]
fn a_heartbeat_file_that_is_a_directory_or_leads_to_the_root_is_a_failure_that_says_so() {
    let setup = Setup::new();
    fs::create_dir_all(setup.path("inner/nested")).expect("directories");
    fs::create_dir(setup.path("empty")).expect("a directory");
    std::os::unix::fs::symlink("/", setup.path("lost")).expect("a link");
    std::os::unix::fs::symlink("/dev/zero", setup.path("device")).expect("a link");
    nix::unistd::mkfifo(&setup.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let rows = [
        ("empty", "empty/empty"),
        ("lost", "there is no heartbeat file /"),
        ("device", "device is a device, not a file"),
        ("fifo", "fifo is a FIFO, not a file"),
        ("nested", "inner/nested is a directory, not a file"),
    ];
    let setup = rows.iter().fold(setup, |setup, (name, _)| {
        // Of a directory, the file of the process's name in it counts, as with ncolony.beatcheck.
        let path = setup.path(if *name == "nested" { "inner" } else { name });
        let text = file(json!({"readinessProbe": probe(json!({"heartbeat": {"file": path}}), json!({}))}));
        setup.file(name, &text)
    });
    let colony = setup.start();
    for (name, why) in rows {
        colony.wait("its failure", || {
            let log = colony.log();
            log.lines()
                .any(|line| line.contains(&format!("{name}: Readiness probe failed: ")) && line.contains(why))
                .then_some(())
        });
        let line = colony.finding(name).expect("a line");
        assert!(line.starts_with("[-]"), "{line}");
    }
}

// H08: the look at one file takes five seconds. Nothing is known then, nobody is restarted for it, and nothing waits.
#[test]
fn a_heartbeat_on_a_file_system_that_hangs_is_no_verdict_and_holds_up_nothing() {
    if !can("strace", succeeds("strace", &["-V"])) {
        return;
    }
    let setup = Setup::new();
    fs::create_dir(setup.path("dead")).expect("a directory");
    let hung = setup.path("dead/beat");
    File::create(&hung).expect("a file");
    let traced = hung.display().to_string();
    let inject = "inject=statx,newfstatat,stat:delay_enter=5000000";
    let calls = "trace=statx,newfstatat,stat";
    let log = setup.path("strace").display().to_string();
    let setup = setup.through(&["strace", "-D", "-f", "-qq", "-o", &log, "-P", &traced, "-e", calls, "-e", inject]);
    let handler = json!({"heartbeat": {"file": hung}});
    let strict = probe(handler, json!({"periodSeconds": 0.3, "failureThreshold": 1}));
    let colony = setup.file("web", &file(json!({"livenessProbe": strict}))).file("other", &sleeper()).start();
    let web = colony.wait_pid("web", None);
    let text = "Liveness probe errored and resulted in unknown state: the file system of the heartbeat does not answer";
    wait_unhealthy(&colony, "web", text);
    let other = colony.wait_pid("other", None);
    send(other, Signal::SIGKILL);
    colony.wait_pid("other", Some(other));
    assert!(lives(web) && colony.pid_of("web") == Some(web), "{}", colony.log());
    assert!(!colony.log().contains("Liveness probe failed"), "{}", colony.log());
}

/// A name server that takes every question and answers none, and the file that names it. `None` where it cannot be one.
fn hung_resolver(setup: &Setup) -> Option<(UdpSocket, String)> {
    // An address for each test that runs at this time.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 100 | high, middle, low);
    let mounts = succeeds("unshare", &["--mount", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"]);
    if !can("a mount namespace, /etc/resolv.conf and port 53", mounts && Uid::effective().is_root()) {
        return None;
    }
    let server = UdpSocket::bind((address, 53)).expect("root may");
    server.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let file = setup.path("resolv.conf");
    fs::write(&file, format!("nameserver {address}\noptions timeout:30 attempts:5\n")).expect("a file");
    Some((server, file.display().to_string()))
}

#[test]
fn a_resolver_that_hangs_holds_up_nothing() {
    let (well, setup) = (Server::new(Mood::Well), Setup::new());
    let Some((resolver, file_of)) = hung_resolver(&setup) else { return };
    let named = |handler: Value| {
        file(json!({"readinessProbe": probe(handler, json!({"periodSeconds": 0.3, "timeoutSeconds": 0.5}))}))
    };
    let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let colony = setup
        .through(&["unshare", "--mount", "sh", "-c", mount, &file_of])
        .file("http", &named(json!({"httpGet": {"host": "web.example", "port": 80}})))
        .file("tcp", &named(json!({"tcpSocket": {"host": "db.example", "port": 5432}})))
        .file("quick", &file(json!({"readinessProbe": probe(well.http(), json!({}))})))
        .start();
    let mut asked = Vec::new();
    // A question holds its name as labels, each with its length before it.
    for label in [&b"\x03web\x07example"[..], b"\x02db\x07example"] {
        while !asked.iter().any(|question: &Vec<u8>| question.windows(label.len()).any(|window| window == label)) {
            let mut question = [0; 512];
            let length = resolver.recv(&mut question).expect("a question");
            asked.push(question[..length].to_vec());
        }
    }
    wait_unhealthy(&colony, "http", "Readiness probe failed: no connection within 0.5 s");
    wait_unhealthy(&colony, "tcp", "Readiness probe failed: cannot connect to db.example:5432 within 0.5 s");
    // Others are asked and restarted meanwhile.
    wait_ready(&colony, "quick");
    let quick = colony.wait_pid("quick", None);
    send(quick, Signal::SIGKILL);
    colony.wait_pid("quick", Some(quick));
    let before = well.asked();
    wait_for("more probes", || (well.asked() > before + 5).then_some(()));
    wait_ready(&colony, "quick");
    let began = Instant::now();
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
    // It gives up after 150 s.
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

/// A server of gRPC's health protocol that serves from SIGUSR1 on and does not from SIGUSR2 on, at the port of its
/// argument.
const GRPC: &str = r#"
import signal, sys
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
states, told = health_pb2.HealthCheckResponse, {signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, told)
servicer = health.HealthServicer()
servicer.set("", states.NOT_SERVING)
server = grpc.server(futures.ThreadPoolExecutor(4))
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port("127.0.0.1:" + sys.argv[1])
server.start()
while True:
    serves = signal.sigwait(told) == signal.SIGUSR1
    servicer.set("", states.SERVING if serves else states.NOT_SERVING)
"#;

#[test]
fn a_grpc_server_is_ready_as_long_as_it_serves() {
    let python = std::env::var("NCOLONY_GRPC").ok();
    if !can("NCOLONY_GRPC set to a Python with grpcio-health-checking", python.is_some()) {
        return;
    }
    // A port that nobody had a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let web = with(
        json!({"args": [python, "-c", GRPC, port.to_string()], "lifecycle": {"stopSignal": "SIGKILL"}}),
        json!({"readinessProbe": probe(json!({"grpc": {"port": port}}), json!({"failureThreshold": 1}))}),
    );
    let colony = Colony::with(&[("web", &web)]);
    let pid = colony.wait_pid("web", None);
    let wait_unready = || {
        colony.wait_finding("web", "service unhealthy (responded with \"NOT_SERVING\")");
        assert_eq!(colony.get("/healthz").0, 503);
    };
    for _ in 0..2 {
        wait_unready();
        send(pid, Signal::SIGUSR1);
        wait_ready(&colony, "web");
        assert_eq!(colony.get("/healthz").0, 200);
        send(pid, Signal::SIGUSR2);
    }
    wait_unready();
    assert_eq!(colony.pid_of("web"), Some(pid), "{}", colony.log());
}

// A late answer of an attempt that an edit has ended is nobody's, and the next does not wait for it.
#[test]
fn an_edit_of_a_probe_that_hangs_is_asked_at_once() {
    let (silent, well) = (Server::new(Mood::Silent), Server::new(Mood::Well));
    let of = |server: &Server| {
        let probe = probe(server.http(), json!({"timeoutSeconds": 1000, "periodSeconds": 0.5}));
        file(json!({"readinessProbe": probe}))
    };
    let colony = Colony::with(&[("web", &of(&silent))]);
    let web = colony.wait_pid("web", None);
    wait_for("a probe", || (silent.asked() == 1).then_some(()));
    colony.write("web", &of(&well));
    wait_ready(&colony, "web");
    assert_eq!(silent.asked(), 1);
    assert_eq!(colony.pid_of("web"), Some(web));
    // And back: a command that hangs is ended with the edit.
    colony.write(
        "web",
        &file(json!({"readinessProbe": probe(exec("exec sleep 31416"), json!({"timeoutSeconds": 1000}))})),
    );
    let command = || {
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.find(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x0031416\0"))
    };
    let pid = colony.wait("the command", command);
    colony.write("web", &of(&well));
    wait_gone(pid);
    wait_ready(&colony, "web");
}

// One is due when the one before is killed, and that is not collected yet.
#[test]
fn a_command_that_takes_its_whole_period_fails_each_time_and_an_edit_of_it_is_asked_at_once() {
    let of = |script: &str, more: Value| file(json!({"readinessProbe": probe(exec(script), more)}));
    let quick = json!({"periodSeconds": 0.3, "timeoutSeconds": 0.3});
    let colony = Colony::with(&[("web", &of("exec sleep 1000", quick))]);
    let total =
        |of: &str| format!("ncolony_prober_probe_total{{process=\"web\",probe_type=\"Readiness\",result=\"{of}\"}}");
    colony.wait_metric(&total("failed"), |count| count >= 8.0);
    let mark = colony.path("mark").display().to_string();
    let slow = || json!({"periodSeconds": 1000, "timeoutSeconds": 1000});
    colony.write("web", &of(&format!("touch {mark}; exec sleep 1000"), slow()));
    colony.wait("it to hang", || fs::metadata(colony.path("mark")).ok());
    colony.write("web", &of("true", slow()));
    wait_ready(&colony, "web");
    assert_eq!(colony.metric(&total("unknown")), Some(0.0), "{}", colony.log());
}

#[test]
fn a_run_that_is_told_to_end_is_not_asked_any_more_and_its_probes_end_with_it() {
    let (server, setup) = (Server::new(Mood::Well), Setup::new());
    let stops = "trap 'touch \"$DIR/told\"; while ! [ -e \"$DIR/go\" ]; do sleep 0.02; done; exit 0' TERM; \
        touch \"$DIR/up\"; while :; do sleep 0.02; done";
    let hangs = "echo $$ >>\"$DIR/pids\"; exec sleep 1000";
    let keys = json!({"terminationGracePeriodSeconds": 1000, "readinessProbe": probe(server.http(), json!({})),
        "livenessProbe": probe(exec(hangs), json!({"timeoutSeconds": 1000}))});
    let web = script(setup.dir(), stops, keys);
    let colony = setup.file("web", &web).start();
    colony.wait("it to be up", || fs::metadata(colony.path("up")).ok());
    let pids = pids(&colony, 1);
    wait_ready(&colony, "web");
    colony.remove("web");
    colony.wait("it to be told", || fs::metadata(colony.path("told")).ok());
    wait_gone(pids[0]);
    // One may be under way, to the server.
    let asked = server.asked();
    colony.wait_ticks(2);
    assert!(server.asked() <= asked + 1, "{} after {asked}", server.asked());
    File::create(colony.path("go")).expect("a file");
    colony.wait_log("web is gone");
    assert_eq!(colony.count("web ended: exit code 0"), 1, "{}", colony.log());
}

// Law 4, with probes of every kind in flight.
#[test]
fn the_end_of_a_colony_waits_for_no_probe() {
    let (server, mut setup) = (Server::new(Mood::Silent), Setup::new());
    let endless = |handler: Value| json!({"livenessProbe": probe(handler, json!({"timeoutSeconds": 1000}))});
    for number in 0..10 {
        setup = setup.file(&format!("http{number}"), &file(endless(server.http())));
        setup =
            setup.file(&format!("exec{number}"), &file(endless(exec("trap '' TERM; while :; do sleep 1000; done"))));
    }
    let colony = setup.start();
    colony.wait("all to be started", || (colony.count(": it is new") == 20).then_some(()));
    wait_for("requests", || (server.asked() >= 10).then_some(()));
    let began = Instant::now();
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
    // A grace is five seconds, and none is needed.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(log.trim_end().ends_with("ended: nothing is left"), "{log}");
    assert!(!log.contains("its grace is over"), "{log}");
}

#[test]
fn what_probes_have_shown_is_in_the_metrics() {
    let server = Server::new(Mood::Well);
    let web = file(json!({
        "readinessProbe": probe(server.http(), json!({"failureThreshold": 1})),
        "livenessProbe": probe(json!({"exec": {"command": ["no-such-program"]}}), json!({})),
    }));
    let colony = Colony::with(&[("web", &web)]);
    let healthy = |kind: &str| format!("ncolony_process_probe_healthy{{process=\"web\",probe_type=\"{kind}\"}}");
    let total = |kind: &str, result: &str| {
        format!("ncolony_prober_probe_total{{process=\"web\",probe_type=\"{kind}\",result=\"{result}\"}}")
    };
    colony.wait_metric(&healthy("Readiness"), |well| well == 1.0);
    colony.wait_metric(&total("Readiness", "successful"), |count| count >= 3.0);
    assert_eq!(colony.metric(&total("Readiness", "failed")), Some(0.0));
    colony.wait_metric(&total("Liveness", "unknown"), |count| count >= 3.0);
    assert_eq!(colony.metric(&healthy("Liveness")), None, "nothing is known of it");
    server.be(Mood::Ill);
    colony.wait_metric(&healthy("Readiness"), |well| well == 0.0);
    colony.wait_metric(&total("Readiness", "failed"), |count| count >= 1.0);
    let took = |of: &str| {
        let series = format!("ncolony_prober_probe_duration_seconds_{of}{{process=\"web\",probe_type=\"Readiness\"}}");
        colony.metric(&series).expect("the series")
    };
    assert!(took("count") >= 4.0);
    assert!(took("sum") > 0.0 && took("sum") < 60.0 * took("count"), "{}", took("sum"));
}

// The text of a failure that lasts is told once in a minute, however often it fails.
#[test]
fn a_probe_that_fails_ten_times_a_second_does_not_flood_the_log() {
    let server = Server::new(Mood::Ill);
    let web = file(json!({"readinessProbe": probe(server.http(), json!({}))}));
    let colony = Colony::with(&[("web", &web)]);
    wait_for("many probes", || (server.asked() > 40).then_some(()));
    assert!((1..=2).contains(&colony.count("Readiness probe failed")), "{}", colony.log());
}
