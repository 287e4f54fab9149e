//! What a visitor sees first.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::{get, send, wait_for};

#[test]
fn the_demo_shows_a_colony_in_trouble_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (out, log) = (dir.path().join("out"), dir.path().join("log"));
    let mut demo = Command::new(env!("CARGO_BIN_EXE_ncolony"))
        .args(["demo", "--listen", "127.0.0.1:0"])
        .env("TMPDIR", dir.path())
        .stdin(Stdio::null())
        .stdout(File::create(&out).expect("a file"))
        .stderr(File::create(&log).expect("a file"))
        .spawn()
        .expect("the binary starts");
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let address = wait_for("the address", || read(&log).split("on http://").nth(1)?.split('/').next()?.parse().ok());
    assert!(read(&out).contains("ctrl-C"), "the terminal says where to look and how to end it");

    wait_for("the crash that is restarted with a growing delay", || {
        let (_, text) = get(address, "/healthz?verbose")?;
        text.contains("crashy ok (not ready, and need not be: CrashLoopBackOff: back-off 2 s").then_some(())
    });
    wait_for("the heart that stops and is restarted", || {
        let (_, text) = get(address, "/metrics")?;
        text.contains(r#"ncolony_process_exits_total{process="heart",reason="heartbeat"} 1"#).then_some(())
    });
    let (_, page) = get(address, "/").expect("a page");
    for name in ["web", "worker", "heart", "crashy", "backup"] {
        assert!(page.contains(name), "{name} is on the page");
    }

    send(i32::try_from(demo.id()).expect("a pid"), Signal::SIGINT);
    let status = wait_for("the end", || demo.try_wait().expect("our child"));
    assert!(status.success(), "{status}");
    let left: Vec<_> =
        fs::read_dir(dir.path()).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| name == "out" || name == "log"), "{left:?}");
}
