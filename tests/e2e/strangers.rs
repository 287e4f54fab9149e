//! Changes asked of a monitor that does not talk to whoever asks: another user's, or another version's.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{Colony, can, imposter};

const SLEEPER: &str = "args: [sleep, '1000']\n";

fn told(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("the binary");
    let [out, told] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.code(), out, told)
}

fn ctl(binary: &Path, dir: &Path, line: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.arg("ctl").arg("--config").arg(dir.join("config")).arg("--messages").arg(dir.join("messages"));
    command.args(line).current_dir(dir);
    command
}

// Who may write the messages directory may ask for what it likes; what comes of it only root and the monitor's user are told.
#[test]
fn another_user_who_may_write_messages_is_obeyed_and_told_what_it_cannot_be_told() {
    if !can("ask as another user", nix::unistd::geteuid().is_root()) {
        return;
    }
    let colony = Colony::with(&[("web", SLEEPER)]);
    let first = colony.wait_pid("web", None);
    let dir = colony.dir.path();
    for (below, mode) in [("", 0o755), ("config", 0o755), ("messages", 0o777)] {
        fs::set_permissions(colony.path(below), Permissions::from_mode(mode)).expect("ours");
    }
    let binary = colony.path("ncolony");
    fs::copy(env!("CARGO_BIN_EXE_ncolony"), &binary).expect("a copy");
    fs::write(colony.path("web.yaml"), "args: [sleep, '1001']\n").expect("a file");
    let as_other = |line: &[&str]| {
        let mut command = ctl(&binary, dir, line);
        command.uid(65534).gid(65534);
        told(command)
    };
    let (status, out, told) = as_other(&["restart", "web"]);
    assert_eq!((status, out.as_str(), told.as_str()), (Some(0), "process/web restart requested\n", ""));
    let second = colony.wait_pid("web", Some(first));
    for line in [&["restart", "web", "--wait"][..], &["apply", "-f", "web.yaml", "--wait"], &["rollout", "status"]] {
        let (status, out, told) = as_other(line);
        let expected = "is another user's\n  ask as root, or as the user that the monitor runs as\n";
        assert!(status == Some(1) && out.is_empty() && told.ends_with(expected), "{line:?}: {told}");
    }
    for line in [&["apply", "-f", "web.yaml"][..], &["scale", "web", "--replicas=2"], &["delete", "web"]] {
        let (status, _, told) = as_other(line);
        assert!(status == Some(1) && told.contains("Permission denied"), "{line:?}: {told}");
    }
    assert_eq!(colony.messages_left(), [""; 0]);
    assert_eq!(colony.pid_of("web"), Some(second), "{}", colony.log());
}

// What it cannot be asked is no reason not to write what every version reads.
#[test]
fn a_monitor_of_another_version_is_written_to_and_not_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["config", "messages"] {
        fs::create_dir(dir.path().join(name)).expect("a directory");
    }
    fs::write(dir.path().join("config/web"), SLEEPER).expect("a file");
    fs::write(dir.path().join("new.yaml"), SLEEPER).expect("a file");
    let answer = "HTTP/1.0 200 OK\r\n\r\n{\"apiVersion\": \"ncolony/v9\", \"items\": []}";
    imposter(&dir.path().join("messages"), answer.to_string());
    let ours = |line: &[&str]| told(ctl(env!("CARGO_BIN_EXE_ncolony").as_ref(), dir.path(), line));
    let messages = || fs::read_dir(dir.path().join("messages")).expect("a directory").count() - 1;
    for line in [&["restart", "web", "--wait"][..], &["stop", "web", "--wait"], &["apply", "-f", "new.yaml", "--wait"]]
    {
        let (status, out, told) = ours(line);
        assert!(
            told.starts_with("error: the monitor is of another version: it says \"ncolony/v9\""),
            "{line:?}: {told}"
        );
        assert_eq!((status, out.as_str(), messages()), (Some(1), "", 0), "{line:?}");
    }
    assert!(!dir.path().join("config/new.yaml").exists());
    let rows: [(&[&str], &str); 3] = [
        (&["stop", "web"], "process/web stop requested\n"),
        (&["restart", "web"], "process/web restart requested\n"),
        (&["apply", "-f", "new.yaml"], "process/new created\n"),
    ];
    for (line, expected) in rows {
        assert_eq!(ours(line), (Some(0), expected.to_string(), String::new()), "{line:?}");
    }
    assert_eq!(messages(), 2);
}
