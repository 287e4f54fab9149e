//! A whole application on one database, from the first start to the last: PostgreSQL as Debian ships it, a migration that
//! must succeed before anybody serves, two web replicas, a nightly job and a log shipper beside them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, chown};
use serde_json::{Value, json};

use crate::support::{Colony, Setup, can, get, send, series, wait_gone};

/// The application, at work.
struct App {
    colony: Colony,
    plan: Plan,
}

/// What the process files are made from.
struct Plan {
    bin: PathBuf,
    dir: PathBuf,
    /// Replica N listens on the Nth.
    ports: [u16; 3],
}

/// Where Debian keeps PostgreSQL's programs, of the latest version that is there.
pub(crate) fn postgresql() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    versions.filter(|bin| bin.join("postgres").exists()).max()
}

/// Ports that nobody had a moment ago.
fn free() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}

/// Makes a database in this directory, which is the user's that it will run as.
pub(crate) fn initdb(bin: &Path, data: &Path) {
    let initdb = Command::new("setpriv")
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
        .arg(bin.join("initdb"))
        .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D"])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .expect("setpriv runs");
    assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
}

/// A web server that answers with what the database says, and logs every answer to a file.
const WEB: &str = r#"
import http.server, os, subprocess, sys
replica = int(os.environ["NCOLONY_REPLICA"])
port = int(os.environ["PORTS"].split(",")[replica])
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = subprocess.run(["psql", "-XAtc", "select note from notes order by id limit 1"], capture_output=True, text=True)
        self.send_response(200 if asked.returncode == 0 else 503)
        self.end_headers()
        self.wfile.write(f"{replica} {os.environ['EDITION']} {asked.stdout.strip()}".encode())
        with open(os.environ["ACCESS_LOG"], "a") as log:
            log.write(f"replica {replica} was asked\n")
    def log_message(self, *ignored):
        pass
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", port), Page).serve_forever()
"#;

impl Plan {
    fn env(&self) -> Value {
        let path = format!("{}:/usr/bin:/bin", self.bin.display());
        json!({"PATH": path, "PGHOST": self.dir.join("socket"), "PGDATABASE": "postgres", "PGUSER": "postgres", "LC_ALL": "C"})
    }

    /// `keys`, and who the process is, and how it reaches the database.
    fn file(&self, mut keys: Value) -> String {
        keys["env"] = self.env();
        keys["securityContext"] = json!({"runAsUser": "postgres"});
        keys.to_string()
    }

    /// Ready when it beats; another process beats for it while it accepts connections.
    fn db(&self) -> String {
        self.file(json!({
            "command": ["postgres", "-D", self.dir.join("data"), "-k", self.dir.join("socket")],
            "args": ["-c", "listen_addresses=", "-c", "fsync=off"],
            // "fast": clients are disconnected.
            "lifecycle": {"stopSignal": "SIGINT"},
            "terminationGracePeriodSeconds": 20,
            "ncolony.beatcheck": {"period": 30, "grace": 4, "status": self.dir.join("beat")},
        }))
    }

    fn pulse(&self) -> String {
        let script = format!("while :; do pg_isready -q && touch {}; sleep 0.2; done", self.dir.join("beat").display());
        self.file(json!({"args": ["sh", "-c", script], "dependsOn": [{"name": "db", "condition": "Started"}]}))
    }

    fn migrate(&self) -> String {
        let sql = "create table if not exists notes (id serial primary key, note text); insert into notes (note) values ('hello')";
        self.file(json!({
            "args": ["psql", "-Xqv", "ON_ERROR_STOP=1", "-c", sql],
            "restartPolicy": "Never",
            "essential": true,
            "dependsOn": ["db"],
        }))
    }

    fn web(&self, replicas: u32, edition: &str) -> String {
        let mut env = self.env();
        env["PORTS"] = json!(self.ports.map(|port| port.to_string()).join(","));
        env["ACCESS_LOG"] = json!(self.dir.join("access.log"));
        env["EDITION"] = json!(edition);
        json!({
            "args": ["python3", "-c", WEB],
            "env": env,
            "securityContext": {"runAsUser": "postgres"},
            "replicas": replicas,
            "group": ["front"],
            "dependsOn": ["db", {"name": "migrate", "condition": "Completed"}],
        })
        .to_string()
    }

    fn nightly(&self) -> String {
        self.file(json!({
            "args": ["psql", "-Xqc", "insert into notes (note) values ('nightly')"],
            "schedule": "30 2 * * *",
            "timeZone": "Europe/Berlin",
            "dependsOn": ["db"],
        }))
    }

    fn shipper(&self) -> String {
        json!({
            "args": ["tail", "-n", "+1", "-F", self.dir.join("access.log")],
            "dependsOn": [{"name": "web", "condition": "Started"}],
        })
        .to_string()
    }

    /// Makes the database's directory, as the user that it will run as.
    fn prepare(&self) {
        let user = User::from_name("postgres").ok().flatten().expect("Debian's package makes the user");
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o755)).expect("ours");
        for below in ["data", "socket"] {
            let dir = self.dir.join(below);
            fs::create_dir(&dir).expect("a directory");
            chown(&dir, Some(user.uid), Some(user.gid)).expect("root may");
        }
        for file in ["beat", "access.log"] {
            fs::write(self.dir.join(file), "").expect("a file");
            chown(&self.dir.join(file), Some(user.uid), Some(user.gid)).expect("root may");
        }
        fs::remove_file(self.dir.join("beat")).expect("ours");
        chown(&self.dir, Some(user.uid), Some(user.gid)).expect("root may");
        initdb(&self.bin, &self.dir.join("data"));
    }
}

impl App {
    fn answer(&self, replica: usize) -> Option<(u16, String)> {
        get(SocketAddr::from((Ipv4Addr::LOCALHOST, self.plan.ports[replica])), "/")
    }

    fn wait_answer(&self, replica: usize, edition: &str) {
        let expected = (200, format!("{replica} {edition} hello"));
        self.colony.wait(&format!("replica {replica} to answer"), || (self.answer(replica)? == expected).then_some(()));
    }

    /// Where the log tells of something for the first time.
    fn told_at(&self, log: &str, text: &str) -> usize {
        log.find(text).unwrap_or_else(|| panic!("the log does not say {text:?}: {log}"))
    }
}

/// `None` when PostgreSQL is not there, or cannot be given a user of its own.
fn start() -> Option<App> {
    let bin = postgresql();
    if !can("root, for the database's own user", Uid::effective().is_root())
        || !can("Debian's postgresql and python3", bin.is_some() && Path::new("/usr/bin/python3").exists())
    {
        return None;
    }
    let setup = Setup::new().flags(&["--shutdown-timeout", "40", "--maxrestartdelay", "2"]);
    // The temporary directory itself is for its owner alone.
    fs::set_permissions(setup.dir(), fs::Permissions::from_mode(0o755)).expect("ours");
    let dir = setup.path("app");
    fs::create_dir(&dir).expect("a directory");
    let plan = Plan { bin: bin?, dir, ports: free() };
    plan.prepare();
    let colony = setup
        .file("web", &plan.web(2, "first"))
        .file("nightly", &plan.nightly())
        .file("shipper", &plan.shipper())
        .file("migrate", &plan.migrate())
        .file("pulse", &plan.pulse())
        .file("db", &plan.db())
        .start();
    Some(App { colony, plan })
}

/// Its whole life in one test: each part of it needs what came before.
#[test]
fn an_application_on_a_database_lives_its_whole_life() {
    let Some(app) = start() else { return };
    starts_in_order(&app);
    an_edit_replaces_one_replica_after_the_other(&app);
    the_loss_of_the_database_is_survived(&app);
    replicas_come_and_go(&app);
    the_nightly_job_runs_when_asked(&app);
    ends_in_reverse(app);
}

fn starts_in_order(app: &App) {
    for replica in [0, 1] {
        app.wait_answer(replica, "first");
    }
    app.colony.wait("health", || (app.colony.get("/healthz").0 == 200).then_some(()));
    app.colony.wait_stdout("[shipper] replica 1 was asked");
    let log = app.colony.log();
    let order = ["started db: ", "started migrate: ", "migrate ended: exit code 0", "started web-0: "];
    let places: Vec<usize> = order.iter().map(|text| app.told_at(&log, text)).collect();
    assert!(places.is_sorted(), "{log}");
    assert_eq!(app.colony.count("started migrate: "), 1, "{log}");
}

fn an_edit_replaces_one_replica_after_the_other(app: &App) {
    let before = ["web-0", "web-1"].map(|name| app.colony.wait_pid(name, None));
    let db = app.colony.wait_pid("db", None);
    app.colony.write("web", &app.plan.web(2, "second"));
    for (replica, (name, pid)) in ["web-0", "web-1"].into_iter().zip(before).enumerate() {
        app.colony.wait_pid(name, Some(pid));
        app.wait_answer(replica, "second");
    }
    assert_eq!(app.colony.pid_of("db"), Some(db), "an edit of one file is no other process's affair");
}

fn the_loss_of_the_database_is_survived(app: &App) {
    let (db, web) = (app.colony.wait_pid("db", None), app.colony.wait_pid("web-0", None));
    send(db, Signal::SIGKILL);
    app.colony.wait_pid("db", Some(db));
    app.wait_answer(0, "second");
    assert_eq!(app.colony.pid_of("web-0"), Some(web), "what depends on it is not restarted with it");
    assert_eq!(app.colony.count("started migrate: "), 1, "what has ended for good is not run again");
    app.colony.wait("health", || (app.colony.get("/healthz").0 == 200).then_some(()));
}

fn replicas_come_and_go(app: &App) {
    let web = ["web-0", "web-1"].map(|name| app.colony.wait_pid(name, None));
    app.colony.write("web", &app.plan.web(3, "second"));
    app.wait_answer(2, "second");
    let third = app.colony.wait_pid("web-2", None);
    app.colony.write("web", &app.plan.web(1, "second"));
    wait_gone(third);
    wait_gone(web[1]);
    app.wait_answer(0, "second");
    assert_eq!(app.colony.pid_of("web-0"), Some(web[0]), "those that stay are left in peace");
    app.colony.wait("the replicas' series to be gone", || {
        ["web-1", "web-2"].iter().all(|name| app.colony.metric(&series("up", name)).is_none()).then_some(())
    });
}

fn the_nightly_job_runs_when_asked(app: &App) {
    let next = "ncolony_process_next_start_timestamp_seconds{process=\"nightly\"}";
    assert!(app.colony.metric(next).is_some_and(|next| next > 1.7e9), "{}", app.colony.get("/metrics").1);
    app.colony.message("tonight", r#"{"type": "TRIGGER", "name": "nightly"}"#);
    app.colony.wait_log("nightly ended: exit code 0");
}

fn ends_in_reverse(app: App) {
    let pids = ["db", "pulse", "web-0", "shipper"].map(|name| app.colony.wait_pid(name, None));
    let (status, log) = app.colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
    pids.into_iter().for_each(wait_gone);
    let end = log.rfind("ending: ").expect("the end is told");
    let ended = |name: &str| end + log[end..].find(&format!("{name} ended: ")).expect("told");
    assert!(ended("shipper") < ended("web-0") && ended("web-0") < ended("db"), "{log}");
    assert!(log[ended("db")..].starts_with("db ended: exit code 0"), "it closed its files in peace: {log}");
}
