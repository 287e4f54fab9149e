//! The monitor's own end by an internal error: it says where, and ends at once, so that its container does. What no test
//! can bring about from outside, a failpoint does, which only builds with debug assertions have.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::copies::{Copies, DEAF_FAMILY};
use crate::support::{Setup, as_pid_1, lives, sleeper, wait_for};

/// Arms a failpoint; it goes off when the file exists.
pub(crate) fn armed(setup: Setup, place: &str, action: &str) -> (Setup, PathBuf) {
    let file = setup.path("now");
    (setup.env("NCOLONY_FAILPOINT", &format!("{place}:{action}:{}", file.display())), file)
}

/// The last line of the log tells of an internal error at this place.
fn expect_last_words(log: &str, place: &str) {
    let last = log.trim_end().lines().last().unwrap_or_default();
    assert!(last.contains(" ERROR ncolony: internal error, please report it: panicked at "), "{log}");
    assert!(last.contains(place) && last.contains("a test asked for this"), "{log}");
}

// P06
#[test]
fn an_internal_error_in_the_loop_says_where_and_ends_the_monitor_with_70() {
    let (setup, now) = armed(Setup::new().file("web", &sleeper()), "turn", "panic");
    let mut colony = setup.start();
    let web = colony.wait_pid("web", None);
    fs::write(now, "").expect("a file");
    assert_eq!(colony.exit_status().code(), Some(70));
    expect_last_words(&colony.log(), "src/supervisor/turn.rs:");
    assert_eq!(colony.count("internal error"), 1);
    // What is left of it is ended by the monitor that comes after it.
    let setup = colony.after_its_end();
    let colony = setup.start();
    colony.wait_log("a run of an earlier monitor is left");
    let next = colony.wait_pid("web", None);
    assert!(next != web && !lives(web));
}

// P06: the kernel then ends all the rest.
#[test]
fn an_internal_error_of_pid_1_ends_the_container_with_70() {
    let Some(setup) = as_pid_1(Setup::new()) else { return };
    let copies = Copies::of(&setup);
    let deaf = copies.script("deaf", DEAF_FAMILY);
    let (setup, now) = armed(setup.file("deaf", &deaf), "turn", "panic");
    let mut colony = setup.start();
    copies.wait_ready("deaf");
    fs::write(now, "").expect("a file");
    assert_eq!(colony.exit_status().code(), Some(70));
    expect_last_words(&colony.log(), "src/supervisor/turn.rs:");
    copies.wait_none_of("deaf");
}

// P06, W11: with panic = "abort" it cannot be caught, and a server that is half dead is no better than a loop.
#[test]
fn an_internal_error_in_an_answer_ends_the_monitor_with_70() {
    let (setup, now) = armed(Setup::new(), "http", "panic");
    let mut colony = setup.start();
    colony.wait("it to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    fs::write(now, "").expect("a file");
    let mut stream = TcpStream::connect(colony.address()).expect("it listens");
    stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").expect("it takes it");
    assert_eq!(colony.exit_status().code(), Some(70));
    expect_last_words(&colony.log(), "src/http/server.rs:");
}

// P06
#[test]
fn an_internal_error_is_an_object_where_the_log_is_json() {
    let (setup, now) = armed(Setup::new().flags(&["--log-format", "json"]), "turn", "panic");
    let mut colony = setup.start();
    fs::write(now, "").expect("a file");
    assert_eq!(colony.exit_status().code(), Some(70));
    let log = colony.log();
    let last: Value = serde_json::from_str(log.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!(last["level"], "ERROR");
    let message = last["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("internal error, please report it: panicked at src/supervisor/turn.rs:"), "{log}");
}

// P06
#[test]
fn an_internal_error_ends_the_monitor_though_nobody_reads_what_it_says() {
    let (setup, now) = armed(Setup::new(), "turn", "panic");
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = setup.command();
    // Another description of the same pipe, since a flag of this one would be the monitor's, too.
    let own = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let mut filler = File::options().write(true).custom_flags(nix::libc::O_NONBLOCK).open(own).expect("/proc");
    let mut monitor = command.stderr(writer).spawn().expect("the binary starts");
    drop(command);
    let mut log = Vec::new();
    while !String::from_utf8_lossy(&log).contains("on http://") {
        let mut bytes = [0; 512];
        let more = reader.read(&mut bytes).expect("a log");
        assert!(more > 0, "it has ended: {}", String::from_utf8_lossy(&log));
        log.extend_from_slice(&bytes[..more]);
    }
    while filler.write(&[b'x'; 512]).is_ok() {}
    fs::write(now, "").expect("a file");
    let began = Instant::now();
    let status = wait_for("the monitor to end", || monitor.try_wait().expect("our child"));
    assert_eq!(status.code(), Some(70));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
