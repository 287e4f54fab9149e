//! sd_notify(3) by those who have spoken it for years: PostgreSQL and redis as Debian ships them, each by its own client
//! code, and PostgreSQL as another user.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, chown};
use serde_json::{Value, json};

use crate::database::{initdb, postgresql};
use crate::support::{Colony, Setup, can, lives, send, wait_gone};

/// A probe that comes so seldom that nothing in a test is owed to its coming.
fn seldom() -> Value {
    json!({"notify": {}, "periodSeconds": 1000})
}

/// A database in a colony of its own.
struct Database {
    colony: Colony,
    bin: PathBuf,
    socket: PathBuf,
}

impl Database {
    /// `None` where PostgreSQL is not there, or cannot be given a user of its own.
    fn start(stop_signal: &str) -> Option<Database> {
        let bin = postgresql();
        if !can("root, for the database's own user", Uid::effective().is_root())
            || !can("Debian's postgresql", bin.is_some())
        {
            return None;
        }
        let (bin, setup) = (bin?, Setup::new());
        let user = User::from_name("postgres").ok().flatten().expect("Debian's package makes the user");
        // The temporary directory itself is for its owner alone.
        fs::set_permissions(setup.dir(), fs::Permissions::from_mode(0o755)).expect("ours");
        let [data, socket] = ["data", "socket"].map(|name| setup.path(name));
        for dir in [&data, &socket] {
            fs::create_dir(dir).expect("a directory");
            chown(dir, Some(user.uid), Some(user.gid)).expect("root may");
        }
        initdb(&bin, &data);
        let file = json!({
            "command": [bin.join("postgres"), "-D", data, "-k", socket, "-c", "listen_addresses=", "-c", "fsync=off"],
            "securityContext": {"runAsUser": "postgres"},
            "startupProbe": seldom(),
            "readinessProbe": seldom(),
            "lifecycle": {"stopSignal": stop_signal},
            "terminationGracePeriodSeconds": 1000,
            "backoff": {"initialSeconds": 0.1, "maxSeconds": 0.5},
        });
        let colony = setup.file("db", &file.to_string()).start();
        Some(Database { colony, bin, socket })
    }

    fn psql(&self) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-XAtq", "-U", "postgres", "-d", "postgres", "-h"]).arg(&self.socket);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn answer(&self, sql: &str) -> Output {
        self.psql().args(["-c", sql]).output().expect("psql runs")
    }

    /// Waits until a run after this one is ready, and sees that it is at that moment: nothing is tried twice.
    fn wait_ready(&self, after: Option<i32>) -> i32 {
        let pid = self.colony.wait_pid("db", after);
        self.colony.wait_finding("db", "[+]db ok");
        let asked = self.answer("select 6 * 7");
        assert_eq!(String::from_utf8_lossy(&asked.stdout), "42\n", "{}", String::from_utf8_lossy(&asked.stderr));
        assert_eq!((self.colony.get("/startupz").0, self.colony.get("/healthz").0), (200, 200));
        pid
    }

    /// A client that stays until it is ended, and is known to be there.
    fn session(&self) -> Child {
        let session = self.psql().env("PGAPPNAME", "session").stdin(Stdio::piped()).spawn().expect("psql runs");
        let sql = "select count(*) from pg_stat_activity where application_name = 'session'";
        self.colony.wait("the session", || (self.answer(sql).stdout == b"1\n").then_some(()));
        session
    }
}

fn end(mut client: Child) {
    client.kill().expect("it is ours");
    client.wait().expect("it is ours");
}

#[test]
fn postgresql_as_another_user_is_ready_when_it_takes_connections_and_not_while_it_stops() {
    let Some(db) = Database::start("SIGINT") else { return };
    let first = db.wait_ready(None);
    db.colony.wait_log("db is ready, it says (READY=1)");
    // A killed database recovers before it is ready again.
    send(first, Signal::SIGKILL);
    let second = db.wait_ready(Some(first));
    let session = db.session();
    // Its "smart" shutdown: nobody new is let in, and who is in is waited for.
    send(second, Signal::SIGTERM);
    db.colony.wait_finding("db", "its readiness probe failed: it is stopping (STOPPING=1)");
    assert_eq!((db.colony.get("/startupz").0, db.colony.get("/healthz").0), (200, 503));
    assert!(lives(second) && db.colony.pid_of("db") == Some(second));
    end(session);
    wait_gone(second);
    db.wait_ready(Some(second));
    let (status, log) = db.colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("db ended: exit code 0"), "it closed its files in peace: {log}");
    assert_eq!(log.matches("not taken").count(), 0, "{log}");
}

#[test]
fn a_stop_that_postgresql_was_told_of_is_one_of_which_it_tells() {
    let Some(db) = Database::start("SIGTERM") else { return };
    let pid = db.wait_ready(None);
    let session = db.session();
    db.colony.remove("db");
    db.colony.wait_log("db is stopping, it says (STOPPING=1)");
    assert!(lives(pid), "it waits for who is in");
    end(session);
    db.colony.wait_log("db ended: exit code 0");
    db.colony.wait_log("db is gone");
}

#[test]
fn redis_says_what_it_does_when_it_is_ready_and_that_it_stops() {
    let redis = "/usr/bin/redis-server";
    if !can("Debian's redis-server", Path::new(redis).exists()) {
        return;
    }
    let setup = Setup::new();
    let at = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("its address");
    let port = at.port().to_string();
    let file = json!({
        "args": [redis, "--bind", "127.0.0.1", "--port", port, "--dir", setup.dir(), "--save", "", "--supervised", "systemd"],
        "startupProbe": seldom(),
        "readinessProbe": seldom(),
    });
    let colony = setup.file("cache", &file.to_string()).start();
    colony.wait_finding("cache", "[+]cache ok");
    let mut stream = TcpStream::connect(at).expect("it is ready");
    write!(stream, "PING\r\nQUIT\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("+PONG"), "{answer}");
    colony.wait("its words to be shown", || {
        colony.get("/").1.contains("it says: Ready to accept connections").then_some(())
    });
    colony.remove("cache");
    colony.wait_log("cache is stopping, it says (STOPPING=1)");
    colony.wait_log("cache ended: exit code 0");
}
