//! How processes live and die, seen from outside: the real binary, real processes.

use crate::support::{Colony, wait_gone};

#[test]
fn a_process_that_is_killed_is_started_again() {
    let colony = Colony::with(&[("web", r#"{"args": ["sleep", "1000"]}"#)]);
    let first = colony.wait_pid("web", None);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::Signal::SIGKILL).expect("it lives");
    colony.wait_pid("web", Some(first));
    colony.wait_metric(r#"ncolony_process_exits_total{process="web",reason="signal"}"#, |n| n == 1.0);
}

#[test]
fn a_file_that_goes_takes_its_process_along() {
    let colony = Colony::with(&[("web", r#"{"args": ["sleep", "1000"]}"#)]);
    let pid = colony.wait_pid("web", None);
    colony.remove("web");
    wait_gone(pid);
    colony.wait_log("web is gone");
}
