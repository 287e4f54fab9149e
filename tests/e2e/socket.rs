//! The Unix socket in the messages directory: who may ask, and what it survives.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::original::Original;
use crate::support::{Colony, PATIENCE, Setup, can, wait_for, write_file};

/// Head and body of what the monitor answers.
fn exchange(messages: &Path, request: &str) -> Option<(String, String)> {
    let mut stream = UnixStream::connect(messages.join(".ncolony.sock")).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.to_string(), body.to_string()))
}

/// The directory stays.
fn end(colony: &mut Colony) {
    colony.signal(Signal::SIGTERM);
    assert!(colony.exit_status().success(), "{}", colony.log());
}

fn get(colony: &Colony, path: &str) -> Option<Value> {
    let (_, body) = exchange(&colony.path("messages"), &format!("GET {path} HTTP/1.0\r\n\r\n"))?;
    serde_json::from_str(&body).ok()
}

#[test]
fn the_colony_is_told_to_its_owner_and_nothing_can_be_changed() {
    let mut colony = Colony::with(&[("web", r#"{"args": ["sleep", "1000"], "group": ["front"]}"#)]);
    let path = colony.path("messages").join(".ncolony.sock");
    let web = colony.wait("web to be ready", || {
        get(&colony, "/v1/processes/web").filter(|web| web.pointer("/status/ready") == Some(&Value::Bool(true)))
    });
    assert_eq!(web.pointer("/status/phase"), Some(&Value::from("Running")));
    assert_eq!(web.pointer("/metadata/groups/0"), Some(&Value::from("front")));
    let list = get(&colony, "/v1/processes").expect("an answer");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let mode = fs::symlink_metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let request = format!("{method} /v1/processes/web HTTP/1.0\r\n\r\n");
        let (head, _) = exchange(&colony.path("messages"), &request).expect("an answer");
        assert!(head.starts_with("HTTP/1.0 405"), "{head}");
    }
    let (code, _) = colony.get("/v1/processes");
    assert_eq!(code, 404, "the port does not have it");
    end(&mut colony);
    assert!(!path.exists(), "it goes with the monitor");
}

#[test]
fn another_user_is_refused_even_where_the_mode_would_let_him() {
    if !can("ask as another user", nix::unistd::geteuid().is_root()) {
        return;
    }
    let colony = Colony::with(&[]);
    let path = colony.path("messages").join(".ncolony.sock");
    let connects = |uid: u32| {
        let script = format!(
            "import socket; s = socket.socket(socket.AF_UNIX); s.connect({path:?}); \
             s.sendall(b'GET /v1/version HTTP/1.0\\r\\n\\r\\n'); print(s.recv(100).decode())",
            path = path.display().to_string()
        );
        let output = Command::new("python3").args(["-c", &script]).uid(uid).output().expect("python3");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    fs::set_permissions(colony.dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    assert!(connects(65534).contains("PermissionError"), "the mode keeps him out");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("ours");
    assert!(connects(65534).contains("403 Forbidden"), "and the monitor does");
    assert!(connects(0).contains("200 OK"));
}

#[test]
fn a_socket_that_a_killed_monitor_left_is_replaced_and_one_that_is_removed_comes_back() {
    let colony = Colony::with(&[]);
    let setup = colony.kill_monitor();
    let path = setup.path("messages").join(".ncolony.sock");
    assert!(fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_socket()), "it was left behind");
    let colony = setup.start();
    colony.wait("an answer", || get(&colony, "/v1/version"));
    fs::remove_file(&path).expect("it is there");
    colony.wait("an answer again", || get(&colony, "/v1/version"));
}

#[test]
fn what_is_no_dead_socket_is_left_alone_and_the_colony_runs_without() {
    let setup = Setup::new().file("web", r#"{"args": ["sleep", "1000"]}"#);
    let path = setup.path("messages").join(".ncolony.sock");
    fs::write(&path, "mine").expect("a file");
    let mut colony = setup.start();
    colony.wait_pid("web", None);
    colony.wait_log("there is something else of this name");
    assert_eq!(fs::read_to_string(&path).expect("still there"), "mine");
    // Somebody who listens is somebody, too; and a link is followed by nobody.
    fs::remove_file(&path).expect("ours");
    let _theirs = UnixListener::bind(colony.path("theirs")).expect("a socket");
    symlink(colony.path("theirs"), &path).expect("a link");
    assert!(fs::symlink_metadata(&path).is_ok_and(|meta| !meta.file_type().is_socket()));
    end(&mut colony);
    assert!(path.symlink_metadata().is_ok(), "the link is not ours to remove");
}

#[test]
fn a_directory_whose_path_is_too_long_for_an_address_has_a_socket_all_the_same() {
    let mut setup = Setup::new();
    let deep = setup.path(&format!("{}/{}", "d".repeat(100), "e".repeat(100)));
    fs::create_dir_all(&deep).expect("a directory");
    setup = setup.flags(&["--messages", &deep.display().to_string()]);
    let mut colony = setup.start();
    wait_for("the socket", || deep.join(".ncolony.sock").exists().then_some(()));
    end(&mut colony);
    assert!(!deep.join(".ncolony.sock").exists());
}

#[test]
fn who_watches_or_does_not_read_does_not_hold_up_the_end() {
    let colony = Colony::with(&[("web", r#"{"args": ["sh", "-c", "while :; do echo line; sleep 0.01; done"]}"#)]);
    colony.wait_pid("web", None);
    let watcher = |path: &str| {
        let mut stream = UnixStream::connect(colony.path("messages").join(".ncolony.sock")).expect("it listens");
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).expect("it takes it");
        let mut first = [0; 1];
        stream.read_exact(&mut first).expect("an answer begins");
        stream
    };
    let _watchers = [watcher("/v1/processes?watch=true"), watcher("/v1/processes/web/log?follow=true")];
    kill(Pid::from_raw(colony.pid()), Signal::SIGTERM).expect("it lives");
    let began = std::time::Instant::now();
    let (status, log) = colony.end();
    assert!(status.success(), "{log}");
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
}

#[test]
fn the_originals_monitor_passes_over_a_socket_that_was_left_behind() {
    let Some(original) = Original::find() else { return };
    let setup = Colony::with(&[]).kill_monitor();
    let (dir, socket) = (setup.path(""), setup.path("messages").join(".ncolony.sock"));
    assert!(fs::symlink_metadata(&socket).is_ok_and(|meta| meta.file_type().is_socket()));
    let _theirs = original.monitor(&dir, &["--freq", "0.3", "-t", "0.1", "-m", "0.1"]);
    let runs = || fs::read_to_string(dir.join("runs")).unwrap_or_default().lines().count();
    let script = format!("echo run >> {}; exec sleep 1000", dir.join("runs").display());
    let file = serde_json::json!({"args": ["/bin/sh", "-c", script], "env": {"PATH": "/usr/bin:/bin"}}).to_string();
    write_file(&dir.join("config"), "web", &file);
    wait_for("a run", || (runs() == 1).then_some(()));
    write_file(&dir.join("messages"), "restart", r#"{"type": "RESTART", "name": "web"}"#);
    wait_for("another run", || (runs() == 2).then_some(()));
    assert!(fs::symlink_metadata(&socket).is_ok(), "it is none of its messages");
}
