//! sd_notify(3) and the whole monitor: what a process says of itself is what is known of it.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::{Value, json};

use crate::support::{Colony, PATIENCE, Setup, can, lives, send, series, sleeper, succeeds, wait_gone};

/// What a client of sd_notify(3) is, in the words of another language.
const CLIENT: &str = r#"
import os, socket, sys, threading, time
def say(text, name=os.environ.get("NOTIFY_SOCKET")):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + name[1:] if name[0] == "@" else name)
        sock.send(text if isinstance(text, bytes) else text.encode())
def child(do):
    pid = os.fork()
    if pid == 0:
        do()
        os._exit(0)
    os.waitpid(pid, 0)
# A daemon's way out: a session of its own, and no parent but whoever takes orphans.
def orphan(do):
    def middle():
        os.setsid()
        me = os.getpid()
        if os.fork() == 0:
            while os.getppid() == me: time.sleep(0.01)
            do()
            os._exit(0)
    child(middle)
def ping_until(file):
    def ping():
        while not os.path.exists(file):
            say("WATCHDOG=1")
            time.sleep(0.1)
    threading.Thread(target=ping, daemon=True).start()
"#;

/// Does each line that is written to the file of its first argument after it has begun.
const OBEYS: &str = r#"
orders = open(sys.argv[1])
orders.seek(0, 2)
print("listening", os.getpid(), flush=True)
while True:
    line = orders.readline()
    if line: exec(line)
    else: time.sleep(0.01)
"#;

/// A colony with a process that says what it is told to say.
struct Speaker {
    colony: Colony,
    name: &'static str,
}

/// Its process file. `keys` may overrule.
fn file(orders: &Path, keys: &Value) -> String {
    let mut file = json!({
        "args": ["/usr/bin/python3", "-c", format!("{CLIENT}{OBEYS}"), orders],
        // A short back-off, so that a test need not wait for it.
        "backoff": {"initialSeconds": 0.1, "maxSeconds": 0.5},
        // Python's own way to end is not fast enough for a colony that is to end.
        "lifecycle": {"stopSignal": "SIGKILL"},
    });
    for (key, value) in keys.as_object().expect("a map") {
        file[key] = value.clone();
    }
    file.to_string()
}

fn orders(setup: &Setup) -> PathBuf {
    let orders = setup.path("orders");
    fs::write(&orders, "").expect("a file");
    orders
}

impl Speaker {
    /// `None` where there is no python.
    fn new(keys: Value) -> Option<Speaker> {
        Speaker::with(Setup::new(), keys)
    }

    fn with(setup: Setup, keys: Value) -> Option<Speaker> {
        if !can("Debian's python3", Path::new("/usr/bin/python3").exists()) {
            return None;
        }
        let text = file(&orders(&setup), &keys);
        let speaker = Speaker { colony: setup.file("web", &text).start(), name: "web" };
        speaker.wait_up(None);
        Some(speaker)
    }

    /// Waits until the process, or the one after it, does what it is told.
    fn wait_up(&self, after: Option<i32>) -> i32 {
        let pid = self.colony.wait_pid(self.name, after);
        self.colony.wait_stdout(&format!("listening {pid}\n"));
        pid
    }

    /// Has it do a line of Python.
    fn order(&self, line: &str) {
        let mut orders = fs::File::options().append(true).open(self.colony.path("orders")).expect("it is there");
        writeln!(orders, "{line}").expect("it can be written");
    }

    fn say(&self, text: &str) {
        // Of text, JSON and Python have the same notion.
        self.order(&format!("say({})", Value::from(text)));
    }

    fn wait(&self, text: &str) {
        self.colony.wait_finding(self.name, text);
    }

    fn wait_page(&self, text: &str) {
        self.colony.wait(&format!("the page to have {text:?}"), || self.colony.get("/").1.contains(text).then_some(()));
    }
}

/// A probe that comes so seldom that nothing in a test is owed to its coming.
fn seldom() -> Value {
    json!({"notify": {}, "periodSeconds": 1000})
}

#[test]
fn it_has_started_is_ready_reloads_and_stops_when_it_says_so() {
    let keys = json!({"startupProbe": seldom(), "readinessProbe": seldom()});
    let Some(web) = Speaker::new(keys) else { return };
    let pid = web.wait_up(None);
    web.wait("its startup probe has not succeeded yet");
    assert_eq!((web.colony.get("/startupz").0, web.colony.get("/healthz").0), (503, 503));
    web.say("READY=1");
    web.wait("[+]web ok");
    assert_eq!((web.colony.get("/startupz").0, web.colony.get("/healthz").0), (200, 200));
    web.say("RELOADING=1\nMONOTONIC_USEC=1");
    web.wait("its readiness probe failed: it reloads (RELOADING=1)");
    assert_eq!((web.colony.get("/startupz").0, web.colony.get("/healthz").0), (200, 503));
    web.say("X_MINE=1\nREADY=1\nERRNO=2\nFDSTORE=1");
    web.wait("[+]web ok");
    web.say("STOPPING=1");
    web.wait("its readiness probe failed: it is stopping (STOPPING=1)");
    assert!(lives(pid) && web.colony.pid_of("web") == Some(pid), "and that is all");
    for text in ["web is ready, it says (READY=1)", "web reloads, it says", "web is stopping, it says"] {
        web.colony.wait_log(text);
    }
}

#[test]
fn a_readiness_that_was_never_told_is_none_and_says_so() {
    let keys = json!({"readinessProbe": {"notify": {}, "periodSeconds": 0.2, "failureThreshold": 2}});
    let Some(web) = Speaker::new(keys) else { return };
    web.wait("its readiness probe failed: it has not said READY=1");
    web.say("READY=1");
    web.wait("[+]web ok");
}

#[test]
fn a_status_is_shown_and_forgotten_with_its_run() {
    let keys = json!({"readinessProbe": seldom()});
    let Some(web) = Speaker::new(keys) else { return };
    let pid = web.wait_up(None);
    web.say("STATUS=loading <3> of 9\u{1b}[2J");
    web.wait("it says: loading <3> of 9\u{fffd}[2J");
    web.say("READY=1\nSTATUS=serving <b>");
    web.wait_page("<span>it says: serving &lt;b&gt;</span>");
    web.order(r#"say(b"STATUS=\xff" + b"x" * 3000)"#);
    web.wait_page(&format!("<span>it says: \u{fffd}{}</span>", "x".repeat(1021)));
    web.order("os._exit(1)");
    web.wait_up(Some(pid));
    assert!(!web.colony.get("/").1.contains("it says"));
}

/// Whether it is the process that it was after this time.
fn lives_for(web: &Speaker, pid: i32, seconds: f64) {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        let same = lives(pid) && web.colony.pid_of("web") == Some(pid);
        assert!(same, "it was restarted; the log:\n{}", web.colony.log());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_pings_lives_and_who_stops_is_restarted() {
    let liveness = json!({"notify": {}, "initialDelaySeconds": 4, "periodSeconds": 2, "failureThreshold": 2});
    let Some(web) = Speaker::new(json!({"livenessProbe": liveness})) else { return };
    let pid = web.wait_up(None);
    let stop = web.colony.path("stop");
    web.order(&format!("ping_until({stop:?})"));
    lives_for(&web, pid, 11.0);
    fs::write(stop, "").expect("a file");
    web.colony.wait_pid("web", Some(pid));
    wait_gone(pid);
    web.colony.wait_metric(r#"ncolony_process_exits_total{process="web",reason="probe"}"#, |n| n >= 1.0);
    assert!(web.colony.log().contains("its liveness probe failed"), "{}", web.colony.log());
}

#[test]
fn who_says_that_it_has_failed_is_restarted_at_once() {
    let Some(web) = Speaker::new(json!({"livenessProbe": seldom()})) else { return };
    let pid = web.wait_up(None);
    web.say("WATCHDOG=trigger");
    web.wait_up(Some(pid));
    wait_gone(pid);
    assert!(web.colony.log().contains("its liveness probe failed"), "{}", web.colony.log());
}

#[test]
fn a_silence_that_is_longer_than_it_said_is_noticed_whatever_the_period() {
    let Some(web) = Speaker::new(json!({"livenessProbe": seldom()})) else { return };
    let pid = web.wait_up(None);
    let stop = web.colony.path("stop");
    web.order(&format!("ping_until({stop:?})"));
    web.say("WATCHDOG_USEC=5000000");
    lives_for(&web, pid, 7.0);
    fs::write(stop, "").expect("a file");
    web.wait_up(Some(pid));
    web.colony.wait_log("it has not said WATCHDOG=1 for 5 s (its WATCHDOG_USEC)");
}

#[test]
fn who_asks_for_patience_has_the_time_to_start_that_it_asks_for() {
    let startup = json!({"notify": {}, "periodSeconds": 0.5, "failureThreshold": 4});
    let setup = Setup::new().file("hasty", &file(Path::new("/dev/null"), &json!({"startupProbe": startup})));
    let patient = json!({"notify": {}, "initialDelaySeconds": 10, "periodSeconds": 0.5, "failureThreshold": 4});
    let Some(web) = Speaker::with(setup, json!({"startupProbe": patient})) else { return };
    let pid = web.wait_up(None);
    web.say("EXTEND_TIMEOUT_USEC=60000000");
    let hasty = web.colony.wait_pid("hasty", None);
    web.colony.wait_pid("hasty", Some(hasty));
    lives_for(&web, pid, 14.0);
    web.say("READY=1");
    web.wait("[+]web ok");
    assert_eq!(web.colony.pid_of("web"), Some(pid));
}

// Its clock went on, and nobody listened.
#[test]
fn who_could_not_be_heard_has_not_been_silent() {
    let Some(web) = Speaker::new(json!({"livenessProbe": seldom()})) else { return };
    let pid = web.wait_up(None);
    web.order(&format!("ping_until({:?})", web.colony.path("stop")));
    web.say("WATCHDOG_USEC=3000000\nSTATUS=heard");
    web.wait_page("it says: heard");
    web.colony.freeze();
    thread::sleep(Duration::from_secs(5));
    web.colony.signal(Signal::SIGCONT);
    lives_for(&web, pid, 4.0);
}

fn environ(pid: i32) -> Vec<String> {
    let mut words: Vec<String> = crate::support::environ(pid).split('\0').map(str::to_string).collect();
    words.retain(|word| ["NOTIFY_SOCKET=", "WATCHDOG_"].iter().any(|start| word.starts_with(start)));
    words.sort();
    words
}

// Programs behave otherwise when they find these variables.
#[test]
fn who_is_listened_to_is_told_so_and_nobody_else_whatever_the_monitor_was_told() {
    let sleep = |keys: Value| {
        let mut file = json!({"args": ["sleep", "1000"], "env_inherit": ["*"]});
        keys.as_object().expect("a map").iter().for_each(|(key, value)| file[key] = value.clone());
        file.to_string()
    };
    let liveness = json!({"notify": {}, "periodSeconds": 100, "failureThreshold": 3});
    let setup = Setup::new()
        .env("NOTIFY_SOCKET", "/nowhere")
        .env("WATCHDOG_USEC", "1")
        .env("WATCHDOG_PID", "1")
        .file("plain", &sleep(json!({"readinessProbe": {"exec": {"command": ["true"]}}})))
        .file("ready", &sleep(json!({"readinessProbe": seldom()})))
        .file("lives", &sleep(json!({"livenessProbe": liveness, "env": {"WATCHDOG_PID": "7", "NOTIFY_SOCKET": "x"}})));
    let colony = setup.start();
    assert_eq!(environ(colony.wait_pid("plain", None)), [""; 0]);
    let socket = |pid: i32| {
        let words = environ(pid);
        assert!(words.iter().any(|word| word.starts_with("NOTIFY_SOCKET=/")), "{words:?}");
        words.into_iter().filter(|word| !word.starts_with("NOTIFY_SOCKET=")).collect::<Vec<_>>()
    };
    assert_eq!(socket(colony.wait_pid("ready", None)), [""; 0]);
    let pid = colony.wait_pid("lives", None);
    assert_eq!(socket(pid), [format!("WATCHDOG_PID={pid}"), "WATCHDOG_USEC=300000000".to_string()]);
}

#[test]
fn an_edit_of_whether_it_is_listened_to_costs_a_run_and_one_of_how_often_it_is_asked_for_readiness_does_not() {
    let orders = Path::new("/dev/null");
    if !can("Debian's python3", Path::new("/usr/bin/python3").exists()) {
        return;
    }
    let colony = Setup::new().file("web", &file(orders, &json!({}))).start();
    let first = colony.wait_pid("web", None);
    colony.write("web", &file(orders, &json!({"readinessProbe": seldom()})));
    let second = colony.wait_pid("web", Some(first));
    assert_eq!(environ(second).len(), 1);
    colony.write("web", &file(orders, &json!({"readinessProbe": {"notify": {}, "periodSeconds": 999}})));
    colony.wait_log("the edited file of web is in force");
    assert_eq!(colony.pid_of("web"), Some(second));
}

const REJECTED: &str = "ncolony_notify_rejected_total";

#[test]
fn what_it_has_started_may_speak_for_it_and_nobody_else() {
    let Some(web) = Speaker::new(json!({"readinessProbe": seldom()})) else { return };
    let pid = web.wait_up(None);
    web.order("child(lambda: say('STATUS=a child'))");
    web.wait("a child");
    web.order("child(lambda: child(lambda: say('STATUS=a grandchild')))");
    web.wait("a grandchild");
    web.order("orphan(lambda: say('STATUS=an orphan'))");
    web.wait("an orphan");
    assert_eq!(web.colony.metric(REJECTED), Some(0.0));

    let words = environ(pid);
    let socket = words.iter().find_map(|word| word.strip_prefix("NOTIFY_SOCKET=")).expect("it has one");
    let lie = format!("{CLIENT}\nsay('READY=1', {socket:?})\ntime.sleep(1000)");
    web.colony.write("liar", &json!({"args": ["/usr/bin/python3", "-c", lie]}).to_string());
    web.colony.wait_metric(REJECTED, |rejected| rejected == 1.0);
    // This test is no process of the colony at all.
    let ours = UnixDatagram::unbound().expect("a socket");
    ours.send_to(b"READY=1", socket).expect("it can be sent");
    web.colony.wait_metric(REJECTED, |rejected| rejected == 2.0);
    web.colony.wait_log("web: a message is not taken: it is from none of its processes");
    web.wait("its readiness probe has not succeeded yet");
    web.say("READY=1");
    web.wait("[+]web ok");
    web.colony.wait_metric("ncolony_notify_messages_total", |taken| taken == 4.0);
}

// Short-lived senders are many: each `systemd-notify --no-block` is one.
#[test]
fn who_has_spoken_and_gone_is_believed_if_it_could_have_done_to_it_what_it_likes() {
    let can_become = succeeds("setpriv", &["--reuid=65534", "--clear-groups", "true"]);
    if !can("root, and setpriv", Uid::effective().is_root() && can_become) {
        return;
    }
    let setup = Setup::new();
    fs::set_permissions(setup.dir(), Permissions::from_mode(0o755)).expect("ours");
    let Some(web) = Speaker::with(setup, json!({"readinessProbe": seldom()})) else { return };
    let pid = web.wait_up(None);
    let words = environ(pid);
    let socket = words.iter().find_map(|word| word.strip_prefix("NOTIFY_SOCKET=")).expect("it has one");
    let say = |text: &str| format!("{CLIENT}\nsay({text:?}, {socket:?})");

    web.colony.freeze();
    let nobody = ["--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", &say("STATUS=a stranger's")];
    assert!(succeeds("setpriv", &nobody));
    let said = web.colony.path("said");
    web.order(&format!("child(lambda: say('STATUS=its own')); open({said:?}, 'w')"));
    web.colony.wait("its child to be gone", || said.exists().then_some(()));
    web.colony.signal(Signal::SIGCONT);
    web.wait("its own");
    web.colony.wait_metric(REJECTED, |rejected| rejected == 1.0);
}

/// Says that it is ready, and goes on.
fn ready(before: &[&str], keys: &Value) -> String {
    let script = format!("{CLIENT}\nsay('READY=1')\ntime.sleep(1000)");
    let args: Vec<&str> = before.iter().copied().chain(["/usr/bin/python3", "-c", &script]).collect();
    let mut file = json!({"args": args, "readinessProbe": seldom(), "lifecycle": {"stopSignal": "SIGKILL"}});
    keys.as_object().expect("a map").iter().for_each(|(key, value)| file[key] = value.clone());
    file.to_string()
}

#[test]
fn it_is_heard_as_another_user_and_in_namespaces_of_its_own() {
    let can_unshare = succeeds("unshare", &["--net", "--pid", "--fork", "true"]);
    if !can("root, and namespaces", Uid::effective().is_root() && can_unshare)
        || !can("Debian's python3", Path::new("/usr/bin/python3").exists())
    {
        return;
    }
    let nobody = json!({"securityContext": {"runAsUser": 65534, "runAsGroup": 65534}});
    for (mode, start) in [(0o700, "NOTIFY_SOCKET=@"), (0o755, "NOTIFY_SOCKET=/")] {
        let setup = Setup::new();
        fs::set_permissions(setup.dir(), Permissions::from_mode(mode)).expect("ours");
        let colony = setup
            .file("nobody", &ready(&[], &nobody))
            .file("apart", &ready(&["unshare", "--net", "--pid", "--fork", "--kill-child"], &json!({})))
            .start();
        for name in ["nobody", "apart"] {
            colony.wait_finding(name, &format!("[+]{name} ok"));
        }
        let words = environ(colony.wait_pid("nobody", None));
        assert!(words[0].starts_with(start), "{mode:o}: {words:?}");
    }
}

#[test]
fn systemds_own_client_is_served() {
    if !can("systemd-notify", succeeds("systemd-notify", &["--version"])) {
        return;
    }
    // It waits at a barrier.
    let script = "systemd-notify --ready --status='all is well' && echo passed; exec sleep 1000";
    let file = json!({"args": ["sh", "-c", script], "readinessProbe": seldom(), "startupProbe": seldom()});
    let colony = Setup::new().file("web", &file.to_string()).start();
    colony.wait_finding("web", "[+]web ok");
    colony.wait_stdout("[web] passed");
    assert!(colony.get("/").1.contains("it says: all is well"));
    assert_eq!(colony.metric(REJECTED), Some(0.0));
}

// Law 6.
#[test]
fn a_flood_of_messages_keeps_nobody_waiting() {
    let flood = format!("{CLIENT}\nwhile True: say('WATCHDOG=1')");
    let storm = json!({"args": ["/usr/bin/python3", "-c", flood], "readinessProbe": seldom(), "readinessGate": false,
        "lifecycle": {"stopSignal": "SIGKILL"}});
    let mut setup = Setup::new().file("quiet", &sleeper());
    for name in ["one", "two", "three"] {
        setup = setup.file(name, &storm.to_string());
    }
    let Some(web) = Speaker::with(setup, json!({"readinessProbe": seldom()})) else { return };
    web.colony.wait_metric("ncolony_notify_messages_total", |taken| taken > 1000.0);
    let share = web.colony.cpu_share(|| thread::sleep(Duration::from_secs(2)));
    assert!(share < 0.5, "{share}");
    web.say("READY=1");
    web.wait("[+]web ok");
    let quiet = web.colony.wait_pid("quiet", None);
    let began = Instant::now();
    send(quiet, Signal::SIGKILL);
    web.colony.wait_pid("quiet", Some(quiet));
    assert!(began.elapsed() < PATIENCE / 4, "{:?}", began.elapsed());
    assert_eq!(web.colony.get("/livez").0, 200);
}

#[test]
fn nothing_is_left_of_a_socket_when_its_run_has_ended() {
    let Some(web) = Speaker::new(json!({"readinessProbe": seldom()})) else { return };
    let sockets = || {
        let dir = fs::read_dir(web.colony.path("messages/.ncolony/notify")).expect("it is there");
        dir.flatten().map(|entry| entry.file_name().into_string().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(sockets(), ["1"]);
    let pid = web.wait_up(None);
    web.order("os._exit(1)");
    web.wait_up(Some(pid));
    assert_eq!(sockets(), ["2"]);
    web.colony.remove("web");
    web.colony.wait_log("web is gone");
    assert_eq!(sockets(), [""; 0]);
}

/// Goes on as a daemon does: another process in a session of its own, of which the first one tells before it ends.
const DAEMON: &str = r#"
if (daemon := os.fork()):
    say(f"MAINPID={daemon}\nREADY=1")
    os._exit(0)
os.setsid()
"#;

/// A daemon that then does this.
fn daemon(orders: &Path, then: &str, keys: &Value) -> String {
    let script = format!("{CLIENT}{DAEMON}{then}");
    let mut file: Value = serde_json::from_str(&file(orders, keys)).expect("JSON");
    file["args"] = json!(["/usr/bin/python3", "-c", script, orders]);
    file["readinessProbe"] = seldom();
    file.to_string()
}

/// The last process that listens for orders.
fn listener(colony: &Colony, other_than: Option<i32>) -> i32 {
    colony.wait("the daemon to listen", || {
        let stdout = colony.stdout();
        let line = stdout.lines().rev().find_map(|line| line.strip_prefix("[web] listening "))?;
        line.parse().ok().filter(|pid| Some(*pid) != other_than)
    })
}

fn has_python() -> bool {
    can("Debian's python3", Path::new("/usr/bin/python3").exists())
}

#[test]
fn a_daemon_whose_first_process_ends_runs_on_and_its_end_is_the_runs() {
    if !has_python() {
        return;
    }
    let setup = Setup::new();
    let (orders, pids) = (orders(&setup), setup.path("pids"));
    fs::create_dir(&pids).expect("a directory");
    let text = daemon(&orders, OBEYS, &json!({}));
    let colony = setup.flags(&["--pid", &pids.display().to_string()]).file("web", &text).start();
    colony.wait_finding("web", "[+]web ok");
    let first = listener(&colony, None);
    colony.wait_log("web goes on, by its MAINPID; what was started ended: exit code 0");
    assert_ne!(colony.pid_of("web"), Some(first));
    assert_eq!(fs::read_to_string(pids.join("web")).ok(), Some(first.to_string()));
    assert_eq!(
        (colony.metric(&series("up", "web")), colony.metric(&series("starts_total", "web"))),
        (Some(1.0), Some(1.0))
    );

    let order = |line: &str| fs::write(&orders, format!("{line}\n")).expect("it can be written");
    order("os._exit(3)");
    let second = listener(&colony, Some(first));
    colony.wait_log("web ended: exit code 3");
    colony.wait_log("web goes on, by its MAINPID");
    wait_gone(first);
    send(second, Signal::SIGABRT);
    listener(&colony, Some(second));
    colony.wait_log("web ended: killed by SIGABRT");
    assert_eq!(colony.count("web ended: "), 2, "{}", colony.log());
}

// The first process ends as soon as it has said so, and is often looked at before what it has said is.
#[test]
fn twenty_daemons_that_are_quick_about_it_are_started_once() {
    if !has_python() {
        return;
    }
    let text = daemon(Path::new("/dev/null"), "time.sleep(1000)", &json!({}));
    let names: Vec<String> = (0..20).map(|number| format!("web{number}")).collect();
    let colony = names.iter().fold(Setup::new(), |setup, name| setup.file(name, &text)).start();
    for name in &names {
        colony.wait_finding(name, &format!("[+]{name} ok"));
        colony.wait_log(&format!("{name} goes on, by its MAINPID"));
    }
    for name in &names {
        assert_eq!(colony.count(&format!("started {name}: ")), 1, "{}", colony.log());
        assert_eq!(colony.count(&format!("{name} ended: ")), 0, "{}", colony.log());
    }
    assert!(colony.end().0.success());
}

#[test]
fn a_stop_reaches_the_daemon_and_a_deaf_one_is_killed() {
    if !has_python() {
        return;
    }
    let polite = json!({"lifecycle": {"stopSignal": "SIGINT"}, "terminationGracePeriodSeconds": 60});
    let deaf = json!({"lifecycle": {"stopSignal": "SIGTERM"}, "terminationGracePeriodSeconds": 1});
    let deafness = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)";
    let setup = Setup::new();
    let orders = orders(&setup);
    let colony = setup.file("web", &daemon(&orders, OBEYS, &polite)).start();
    colony.wait_finding("web", "[+]web ok");
    let pid = listener(&colony, None);
    colony.message("restart", r#"{"type": "RESTART", "name": "web"}"#);
    let second = listener(&colony, Some(pid));
    assert!(!lives(pid), "there are never two");
    colony.wait_log("web ended: killed by SIGINT");
    colony.write("web", &daemon(&orders, &format!("{deafness}{OBEYS}"), &deaf));
    let third = listener(&colony, Some(second));
    assert!(!lives(second));
    colony.remove("web");
    colony.wait_log("web ended: killed by SIGKILL");
    wait_gone(third);
    colony.wait_log("web is gone");
}

#[test]
fn the_end_of_the_main_process_is_the_runs_though_its_parent_lives() {
    if !has_python() {
        return;
    }
    let parent = r#"
if (worker := os.fork()):
    say(f"MAINPID={worker}\nREADY=1")
    os.waitpid(worker, 0)
    time.sleep(1000)
"#;
    let setup = Setup::new();
    let orders = orders(&setup);
    let text = json!({"args": ["/usr/bin/python3", "-c", format!("{CLIENT}{parent}{OBEYS}"), orders],
        "backoff": {"initialSeconds": 0.1, "maxSeconds": 0.5}, "readinessProbe": seldom()});
    let colony = setup.file("web", &text.to_string()).start();
    colony.wait_finding("web", "[+]web ok");
    let (parent, worker) = (colony.wait_pid("web", None), listener(&colony, None));
    send(worker, Signal::SIGKILL);
    // Nobody but its parent could tell how.
    colony.wait_log("web ended: ended unobserved; something that it started is left");
    listener(&colony, Some(worker));
    assert!(!lives(parent), "what is left of the run ends before the next begins");
}

#[test]
fn only_a_process_of_its_own_is_made_the_main_one_and_it_may_be_the_first_again() {
    let setup = Setup::new().file("other", &sleeper());
    let Some(web) = Speaker::with(setup, json!({"readinessProbe": seldom()})) else { return };
    let pid = web.wait_up(None);
    let (other, monitor) = (web.colony.wait_pid("other", None), web.colony.pid());
    for (stranger, why) in [
        (other, "that process is none of its own"),
        (monitor, "that process is none of its own"),
        (1, "that process is none of its own"),
        (i32::MAX, "there is no such process"),
    ] {
        web.say(&format!("MAINPID={stranger}\nSTATUS=not {stranger}"));
        web.wait(&format!("not {stranger}"));
        web.colony.wait_log(&format!("web: its MAINPID is refused: {why}"));
    }
    web.say("MAINPID=x\nSTATUS=none");
    web.colony.wait_log("it has said MAINPID with a value that cannot be");
    web.order("worker = os.fork() or time.sleep(1000)");
    web.order(r#"say(f"MAINPID={worker}\nSTATUS=the worker")"#);
    web.wait("the worker");
    web.say(&format!("MAINPID={pid}\nSTATUS=the first"));
    web.wait("the first");
    web.order(r#"os.kill(worker, 9); os.waitpid(worker, 0); say("STATUS=alone")"#);
    web.wait("alone");
    assert!(lives(pid) && web.colony.pid_of("web") == Some(pid));
    assert_eq!(web.colony.count("web ended: "), 0);
    assert!(lives(other));
    web.order("os._exit(4)");
    web.colony.wait_log("web ended: exit code 4");
}

// Law 1.
#[test]
fn a_daemon_that_is_left_by_a_killed_monitor_is_ended_before_the_next_run() {
    if !has_python() {
        return;
    }
    let setup = Setup::new();
    let text = daemon(&orders(&setup), OBEYS, &json!({}));
    let colony = setup.file("web", &text).start();
    colony.wait_log("web goes on, by its MAINPID");
    let left = listener(&colony, None);
    let colony = colony.kill_monitor().start();
    let next = listener(&colony, Some(left));
    assert!(!lives(left) && lives(next));
}
