//! What the monitor says of itself to whoever has started it, by sd_notify(3).

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Colony, PATIENCE, Setup, send, sleeper, wait_gone};

/// Whoever has started a monitor, and listens.
struct Above {
    socket: UnixDatagram,
}

impl Above {
    fn at(path: &Path) -> Above {
        Above::on(UnixDatagram::bind(path).expect("a socket"))
    }

    fn on(socket: UnixDatagram) -> Above {
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Above { socket }
    }

    /// The next that is said.
    fn hear(&self) -> String {
        self.heard().expect("something is said")
    }

    fn heard(&self) -> Option<String> {
        let mut message = [0; 4096];
        match self.socket.recv(&mut message) {
            Ok(length) => Some(String::from_utf8(message[..length].to_vec()).expect("text")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// All up to the first with this in it.
    fn hear_until(&self, text: &str) -> Vec<String> {
        let mut all = vec![self.hear()];
        while all.last().is_some_and(|last| !last.contains(text)) {
            all.push(self.hear());
        }
        all
    }

    /// All that was said already.
    fn waiting(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("a socket");
        let all = std::iter::from_fn(|| self.heard()).collect();
        self.socket.set_nonblocking(false).expect("a socket");
        all
    }
}

fn environ(pid: i32) -> String {
    crate::support::environ(pid).replace('\0', "\n")
}

#[test]
fn it_says_once_that_it_is_ready_then_how_it_goes_and_that_it_ends() {
    let setup = Setup::new();
    let path = setup.path("above").display().to_string();
    let above = Above::at(Path::new(&path));
    let ill = json!({"args": ["sleep", "1000"], "readinessProbe": {"exec": {"command": ["false"]}}});
    let asks = json!({"args": ["sleep", "1000"], "env_inherit": ["NOTIFY_SOCKET"]});
    let colony = setup
        .env("NOTIFY_SOCKET", &path)
        // Of somebody else.
        .env("WATCHDOG_USEC", "100000")
        .env("WATCHDOG_PID", "1")
        .file("web", &sleeper())
        .file("ill", &ill.to_string())
        .file("asks", &asks.to_string())
        .start();
    let mut said = above.hear_until("READY=1\nSTATUS=2 of 3 processes that should run are ready");
    assert!(!environ(colony.wait_pid("web", None)).contains("NOTIFY_SOCKET"));
    assert!(environ(colony.wait_pid("asks", None)).contains(&format!("NOTIFY_SOCKET={path}\n")), "its file says so");
    colony.remove("ill");
    said.extend(above.hear_until("STATUS=2 of 2 processes that should run are ready"));
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
    said.extend(above.waiting());
    let count = |word: &str| said.iter().filter(|text| text.contains(word)).count();
    assert_eq!((count("READY=1"), count("STOPPING=1"), count("WATCHDOG")), (1, 1, 0), "{said:?}");
    assert!(said.iter().any(|text| text.starts_with("STOPPING=1\nSTATUS=ending, ")), "{said:?}");
    assert!(!log.contains("NOTIFY_SOCKET"), "{log}");
}

#[test]
fn it_is_ready_when_all_was_started_and_no_sooner_and_stops_when_it_drains() {
    let mut setup = Setup::new().flags(&["--drain", "1000"]);
    let path = setup.path("above");
    let above = Above::at(&path);
    for number in 0..200 {
        setup = setup.file(&format!("web{number}"), &sleeper());
    }
    let colony = setup.env("NOTIFY_SOCKET", &path.display().to_string()).start();
    above.hear_until("READY=1\n");
    assert_eq!(colony.count(": it is new"), 200, "{}", colony.log());
    colony.signal(Signal::SIGTERM);
    above.hear_until("STOPPING=1\n");
    assert_eq!(colony.count("SIGTERM to"), 0, "{}", colony.log());
}

#[test]
fn a_sign_of_life_comes_as_often_as_it_is_asked_for_and_none_from_a_loop_that_hangs() {
    let setup = Setup::new();
    let hang = setup.path("hang");
    let name = setup.path("above").display().to_string();
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let above = Above::on(UnixDatagram::bind_addr(&address).expect("a socket"));
    let began = Instant::now();
    let colony = setup
        .through(&["sh", "-c", "WATCHDOG_PID=$$ exec \"$0\" \"$@\""])
        .flags(&["--frequency", "1000"])
        .env("NOTIFY_SOCKET", &format!("@{name}"))
        .env("WATCHDOG_USEC", "2000000")
        .env("NCOLONY_FAILPOINT", &format!("turn:hang:{}", hang.display()))
        .start();
    for _ in 0..5 {
        above.hear_until("WATCHDOG=1");
    }
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    File::create(&hang).expect("a file");
    colony.wait("the loop to hang", || (!hang.exists()).then_some(()));
    above.waiting();
    above.socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a socket");
    assert_eq!(above.heard(), None);
    colony.kill_monitor();
}

#[test]
fn who_listens_later_is_told_then() {
    let setup = Setup::new();
    let path = setup.path("above");
    let colony = setup.env("NOTIFY_SOCKET", &path.display().to_string()).start();
    colony.wait_log("NOTIFY_SOCKET does not take what is said of this colony: ");
    colony.wait_ticks(2);
    assert_eq!(colony.count("NOTIFY_SOCKET"), 1, "{}", colony.log());
    let above = Above::at(&path);
    assert_eq!(above.hear(), "READY=1\nSTATUS=0 of 0 processes that should run are ready");
}

#[test]
fn who_does_not_read_what_is_said_holds_up_nothing() {
    let setup = Setup::new();
    let path = setup.path("above");
    let above = Above::at(&path);
    let colony = setup
        .env("NOTIFY_SOCKET", &path.display().to_string())
        .env("WATCHDOG_USEC", "20000")
        .file("web", &sleeper())
        .start();
    colony.wait_log("NOTIFY_SOCKET does not take what is said of this colony: ");
    let web = colony.wait_pid("web", None);
    send(web, Signal::SIGKILL);
    colony.wait_pid("web", Some(web));
    colony.wait_ticks(2);
    assert_eq!(colony.count("NOTIFY_SOCKET"), 1, "{}", colony.log());
    assert!(above.waiting().iter().any(|text| text.starts_with("READY=1\n")));
    above.hear_until("WATCHDOG=1");
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn what_cannot_be_a_socket_or_a_number_is_said_to_be_none() {
    let colony = Setup::new().env("NOTIFY_SOCKET", "vsock:2:1234").start();
    colony.wait_log("cannot use NOTIFY_SOCKET=vsock:2:1234: it is neither a path from / on nor @ and a name");
    let setup = Setup::new();
    let path = setup.path("above");
    let above = Above::at(&path);
    let setup = setup.env("NOTIFY_SOCKET", &path.display().to_string()).env("WATCHDOG_USEC", "often");
    setup.start().wait_log("WATCHDOG_USEC is no number; no sign of life is given");
    above.hear_until("READY=1\n");
}

#[test]
fn a_monitor_below_another_starts_when_it_says_so_and_is_restarted_when_its_loop_hangs() {
    let setup = Setup::new();
    let hang = setup.path("hang");
    let dirs = ["inner", "inner/config", "inner/messages"].map(|name| setup.path(name));
    dirs.iter().for_each(|dir| fs::create_dir(dir).expect("a directory"));
    fs::write(setup.path("inner/config/child"), sleeper()).expect("a file");
    let inner = json!({
        "command": [env!("CARGO_BIN_EXE_ncolony"), "run", "--listen", "127.0.0.1:0", "--frequency", "1"],
        "args": ["--config", dirs[1], "--messages", dirs[2]],
        "env": {"NCOLONY_FAILPOINT": format!("turn:hang:{}", hang.display()), "PATH": "/usr/bin:/bin"},
        "startupProbe": {"notify": {}, "periodSeconds": 1000},
        "livenessProbe": {"notify": {}, "periodSeconds": 4, "failureThreshold": 2},
        "terminationGracePeriodSeconds": 1,
        "backoff": {"initialSeconds": 0.1, "maxSeconds": 0.5},
    });
    let colony: Colony = setup.file("inner", &inner.to_string()).start();
    colony.wait_log("inner is ready, it says (READY=1)");
    let (first, child) = (colony.wait_pid("inner", None), colony.wait_pid("child", None));
    assert!(!environ(child).contains("NOTIFY_SOCKET") && !environ(child).contains("WATCHDOG"), "{}", environ(child));
    colony.wait("its words to be shown", || {
        colony.get("/").1.contains("it says: 1 of 1 processes that should run are ready").then_some(())
    });
    let alive = r#"ncolony_prober_probe_total{process="inner",probe_type="Liveness",result="successful"}"#;
    colony.wait_metric(alive, |count| count >= 3.0);
    assert_eq!(colony.pid_of("inner"), Some(first), "{}", colony.log());
    File::create(&hang).expect("a file");
    colony.wait_pid("inner", Some(first));
    assert!(colony.log().contains("its liveness probe failed"), "{}", colony.log());
    wait_gone(first);
    wait_gone(child);
    colony.wait_pid("child", Some(child));
    colony.wait_finding("inner", "[+]inner ok");
}
