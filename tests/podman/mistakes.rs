//! What a pod's author may get wrong, told in one line each: in the log, at `/healthz?verbose`, in the termination log.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::container::{Container, NONROOT, Setup, run};
use crate::support::sleeper;

/// It runs all the same, and tells this in one line of the log and in one of `/healthz?verbose`.
fn runs_and_says(container: &Container, check: &str, text: &str) {
    container.wait_pid("web", None);
    let found = container.wait_finding(check, text);
    assert_eq!(container.wait_lines(text).len(), 1, "{text}: {found}: {}", container.log());
}

// Supervision goes on without a journal; who cannot be asked says so.
#[test]
fn without_a_messages_volume_on_a_read_only_root_it_runs_and_says_what_is_missing() {
    let Some(setup) = Setup::restricted() else { return };
    let setup = setup.messages(None).flags(&["--messages=/nowhere/messages"]);
    let container = setup.file("web", &sleeper()).start();
    runs_and_says(&container, "journal", "cannot make /nowhere/messages/.ncolony: Read-only file system");
    runs_and_says(&container, "messages", "cannot open /nowhere/messages: No such file or directory");
    container.stop(30);
    assert_eq!(container.exit_status(), 0, "{}", container.log());
}

// Supervision goes on without a journal.
#[test]
fn with_messages_that_cannot_be_written_it_runs_and_says_so() {
    for is_mounted_so in [true, false] {
        let Some(setup) = Setup::restricted() else { return };
        let path = setup.path("theirs");
        fs::create_dir(&path).expect("a directory");
        // Of what is neither its own nor to be written the kernel names the one or the other.
        chown(&path, is_mounted_so.then_some(NONROOT), None).expect("root may");
        let (mode, expected) = if is_mounted_so { (":ro", "Read-only file system") } else { ("", "Permission denied") };
        let volume = format!("{}:/run/ncolony/messages{mode}", path.display());
        let container = setup.messages(Some(&volume)).file("web", &sleeper()).start();
        runs_and_says(&container, "journal", &format!("cannot make /run/ncolony/messages/.ncolony: {expected}"));
        runs_and_says(&container, "messages", &format!("cannot write in /run/ncolony/messages: {expected}"));
        container.wait_ready();
    }
}

/// A file system of 64 KiB, unmounted at the end.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Small {
        fs::create_dir(&at).expect("a directory");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k,mode=0777", "none"]).arg(&at));
        Small(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

// A full disk takes nothing from who runs, and is told though nothing of the journal is to be written.
#[test]
fn with_a_messages_volume_that_becomes_full_it_runs_and_says_so_until_there_is_room() {
    let Some(setup) = Setup::restricted() else { return };
    let small = Small::mount(setup.path("small"));
    let volume = format!("{}:/run/ncolony/messages", small.0.display());
    let (log, last) = termination_log(&setup);
    let setup = setup.messages(Some(&volume)).options(&[&log]);
    let container = setup.file("web", &sleeper()).ready();
    let web = container.wait_pid("web", None);
    let fill = || container.exec(&["dd", "if=/dev/zero", "of=/run/ncolony/messages/.full", "bs=1k"]);
    let full = "cannot write in /run/ncolony/messages: it is full";
    fill();
    runs_and_says(&container, "messages", full);
    container.ask(&["rm", "/run/ncolony/messages/.full"]);
    container.wait_lines("messages can be taken again");
    container.ask(&["/ncolony", "ctl", "restart", "web"]);
    let next = container.wait_pid("web", Some(web));
    fill();
    container.wait_finding("messages", full);
    assert!(container.lives(next), "{}", container.log());
    container.stop(30);
    let last = fs::read_to_string(&last).expect("a text");
    assert_eq!(last.lines().filter(|line| line.contains(full)).count(), 1, "{last}");
}

// A full disk takes nothing from who runs, and the journal is whole again when there is room.
#[test]
fn with_no_room_for_the_journal_it_runs_and_says_so_until_there_is_room() {
    let Some(setup) = Setup::restricted() else { return };
    let small = Small::mount(setup.path("small"));
    let volume = format!("{}:/run/ncolony/messages", small.0.display());
    let container = setup.messages(Some(&volume)).file("web", &sleeper()).ready();
    let web = container.wait_pid("web", None);
    container.exec(&["dd", "if=/dev/zero", "of=/run/ncolony/messages/.full", "bs=1k"]);
    // The last block of the journal has room for some lines yet: so many and so long ones need another.
    let many = json!({"args": ["sleep", "1000"], "replicas": 40}).to_string();
    let long = "x".repeat(150);
    container.write(&long, &many);
    let full = "journal cannot be written to (is the disk full?)";
    container.wait_finding("journal", full);
    assert_eq!(container.wait_lines(full).len(), 1, "{}", container.log());
    container.wait_pid(&format!("{long}-39"), None);
    container.ask(&["rm", "/run/ncolony/messages/.full"]);
    container.write("later", &sleeper());
    container.wait("the journal to be whole", || {
        let found = container.finding("journal")?;
        (!found.contains(full)).then_some(())
    });
    assert!(container.lives(web), "{}", container.log());
}

// Law 9: a privilege that cannot be had or dropped is a start error, never a run with more rights.
#[test]
fn what_the_containers_user_may_not_do_is_told_of_each_process_and_the_others_run() {
    let rows: [(&str, Value, &str); 7] = [
        ("user", json!({"uid": 1000, "gid": 1000}), "cannot set its supplementary groups: Operation not permitted"),
        ("named", json!({"securityContext": {"runAsUser": "www-data"}}), "www-data"),
        (
            "more",
            json!({"rlimits": {"nofile": 100_000}}),
            "cannot set its limit nofile to 100000: Operation not permitted",
        ),
        ("nice", json!({"nice": -5}), "cannot set its nice value to -5: Permission denied"),
        (
            "add",
            json!({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}),
            "cannot give it capabilities that the monitor itself does not have: NET_ADMIN",
        ),
        ("program", json!({"args": ["/usr/sbin/nginx"]}), "program \"/usr/sbin/nginx\" not found"),
        ("directory", json!({"workingDir": "/srv/none"}), "/srv/none"),
    ];
    let Some(setup) = Setup::restricted() else { return };
    let file = |keys: &Value| {
        let mut spec = json!({"args": ["sleep", "1000"], "backoff": {"initialSeconds": 60}});
        spec.as_object_mut().expect("an object").extend(keys.as_object().expect("an object").clone());
        spec.to_string()
    };
    let setup = rows.iter().fold(setup, |setup, (name, keys, _)| setup.file(name, &file(keys)));
    let container = setup.file("web", &sleeper()).start();
    container.wait_pid("web", None);
    for (name, _, text) in &rows {
        let found = container.wait_finding(name, text);
        assert!(found.starts_with("[-]"), "{found}");
        let told = container.wait_lines(&format!("cannot start {name}: "));
        assert!(told.len() == 1 && told[0].contains(text), "{name}: {told:?}");
    }
    assert_eq!(container.get("/healthz").0, 503);
    assert_eq!(container.get("/healthz/web").0, 200);
}

// The colony's end tells how it ended: also where a kubelet has had enough of it.
#[test]
fn a_pod_that_is_given_up_has_what_was_wrong_in_its_termination_log() {
    let Some(setup) = Setup::restricted() else { return };
    let (volume, path) = termination_log(&setup);
    let user = json!({"args": ["sleep", "1000"], "uid": 1000, "gid": 1000}).to_string();
    let setup = setup.options(&[&volume]).file("web", &sleeper()).file("user", &user).file("bad.yaml", "args: {}");
    let container = setup.start();
    container.wait_finding("user", "StartError");
    assert_eq!(container.get("/startupz").0, 503, "the kubelet's reason");
    container.stop(30);
    let last = fs::read_to_string(&path).expect("a text");
    let told = |text: &str| last.lines().filter(|line| line.contains(text)).count();
    assert!(last.starts_with("told to end, while not all was well\n"), "{last}");
    assert_eq!((told("user: StartError"), told("bad.yaml:1:7: args")), (1, 1), "{last}");
}

/// A termination log as the kubelet makes it: the volume, and where it is.
fn termination_log(setup: &Setup) -> (String, PathBuf) {
    let path = setup.path("termination-log");
    fs::write(&path, "").expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("its mode");
    (format!("--volume={}:/dev/termination-log", path.display()), path)
}

// The colony's end tells how it ended: also one that could not begin.
#[test]
fn what_keeps_it_from_beginning_is_one_line_of_the_log_and_of_the_termination_log() {
    let Some(setup) = Setup::restricted() else { return };
    let (volume, path) = termination_log(&setup);
    let setup = setup.options(&[&volume]).file("web", &sleeper());
    let container = setup.words(&["run", "--config=/etc/passwd", "--listen=off"]).start();
    assert_eq!(container.exit_status(), 78);
    let last = fs::read_to_string(&path).expect("a text");
    assert!(last.lines().count() == 1 && last.contains("/etc/passwd is not a directory"), "{last:?}");
}
