//! A colony of servers as Debian ships them: nginx, redis and Python's http.server, on free ports.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::{Colony, Setup, can, get, lives, wait_gone};

const NGINX: &str = "/usr/sbin/nginx";
const REDIS: &str = "/usr/bin/redis-server";

/// The three of them, in a colony of their own.
struct Servers {
    colony: Colony,
    web: SocketAddr,
    cache: SocketAddr,
    files: SocketAddr,
}

/// A port that nobody had a moment ago.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("its address")
}

fn nginx(dir: &Path, at: SocketAddr) -> String {
    let dir = dir.display();
    fs::write(
        format!("{dir}/nginx.conf"),
        format!(
            "daemon off; worker_processes 2; pid {dir}/nginx.pid; error_log stderr notice; events {{}}
             http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
             fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
             server {{ listen {at}; location / {{ return 200 'nginx here'; }} }} }}\n"
        ),
    )
    .expect("a file");
    let args = json!([NGINX, "-p", format!("{dir}/"), "-c", format!("{dir}/nginx.conf"), "-e", "stderr"]);
    json!({"args": args, "group": ["fronts"], "lifecycle": {"stopSignal": "QUIT"}}).to_string()
}

fn redis(dir: &Path, at: SocketAddr, memory: &str) -> String {
    let port = at.port().to_string();
    let args = json!([REDIS, "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", dir, "--maxmemory", memory]);
    json!({ "args": args }).to_string()
}

fn python(dir: &Path, at: SocketAddr) -> String {
    let port = at.port().to_string();
    let args = json!(["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", dir, port]);
    json!({"args": args, "group": ["fronts"]}).to_string()
}

/// `None` when one of them is not there.
fn start() -> Option<Servers> {
    let have = Path::new(NGINX).exists() && Path::new(REDIS).exists() && Path::new("/usr/bin/python3").exists();
    if !can("Debian's nginx, redis-server and python3", have) {
        return None;
    }
    let setup = Setup::new();
    let (web, cache, files) = (free(), free(), free());
    let dir = |name: &str| -> PathBuf {
        let dir = setup.path(name);
        fs::create_dir(&dir).expect("a directory");
        dir
    };
    let (web_dir, cache_dir, files_dir) = (dir("nginx"), dir("redis"), dir("python"));
    // nginx's workers become another user.
    fs::write(files_dir.join("hello"), "python here").expect("a file");
    let (web_file, cache_file) = (nginx(&web_dir, web), redis(&cache_dir, cache, "10mb"));
    let files_file = python(&files_dir, files);
    let colony = setup.file("web", &web_file).file("cache", &cache_file).file("files", &files_file).start();
    Some(Servers { colony, web, cache, files })
}

impl Servers {
    fn redis_says(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.cache).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        write!(stream, "{command}\r\nQUIT\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn wait_web(&self) {
        self.colony.wait("nginx to answer", || (get(self.web, "/")? == (200, "nginx here".into())).then_some(()));
    }

    fn wait_cache(&self) {
        self.colony.wait("redis to answer", || self.redis_says("PING")?.starts_with("+PONG").then_some(()));
    }

    fn wait_files(&self) {
        self.colony.wait("python to answer", || (get(self.files, "/hello")?.1 == "python here").then_some(()));
    }

    fn wait_all(&self) {
        self.wait_web();
        self.wait_cache();
        self.wait_files();
    }

    /// nginx's workers.
    fn workers(&self) -> Vec<i32> {
        let master = self.colony.wait_pid("web", None);
        self.colony.wait("two workers", || {
            let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).ok()?;
            let children: Vec<i32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
            (children.len() == 2).then_some(children)
        })
    }

    fn pids(&self) -> [i32; 3] {
        ["web", "cache", "files"].map(|name| self.colony.wait_pid(name, None))
    }
}

#[test]
fn servers_that_are_killed_serve_again_and_leave_nobody_on_their_ports() {
    let Some(servers) = start() else { return };
    servers.wait_all();
    let workers = servers.workers();
    for (name, pid) in ["web", "cache", "files"].into_iter().zip(servers.pids()) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
        servers.colony.wait_pid(name, Some(pid));
        assert!(!lives(pid));
    }
    // They held the port, and would have served on without a master.
    assert!(!workers.into_iter().any(lives), "{}", servers.colony.log());
    servers.wait_all();
    let starts = ["web", "cache", "files"]
        .map(|name| servers.colony.metric(&format!("ncolony_process_starts_total{{process=\"{name}\"}}")));
    assert_eq!(starts, [Some(2.0); 3], "one start each, and the port was free for it: {}", servers.colony.log());
}

#[test]
fn an_edit_of_one_server_restarts_that_one_alone() {
    let Some(servers) = start() else { return };
    servers.wait_all();
    let [web, cache, files] = servers.pids();
    assert!(servers.redis_says("CONFIG GET maxmemory").is_some_and(|answer| answer.contains("10485760")));
    let dir = servers.colony.path("redis");
    servers.colony.write("cache", &redis(&dir, servers.cache, "20mb"));
    servers.colony.wait_pid("cache", Some(cache));
    servers
        .colony
        .wait("the new limit", || servers.redis_says("CONFIG GET maxmemory")?.contains("20971520").then_some(()));
    let [web_now, _, files_now] = servers.pids();
    assert_eq!((web_now, files_now), (web, files), "{}", servers.colony.log());

    servers.colony.message("1", r#"{"type": "RESTART-GROUP", "group": "fronts"}"#);
    servers.colony.wait_pid("web", Some(web));
    servers.colony.wait_pid("files", Some(files));
    servers.wait_all();
}

#[test]
fn servers_end_with_the_monitor_and_their_ports_are_free() {
    let Some(servers) = start() else { return };
    servers.wait_all();
    servers.colony.wait("health", || (servers.colony.get("/healthz").0 == 200).then_some(()));
    let mut pids = servers.workers();
    pids.extend(servers.pids());
    let ports = [servers.web, servers.cache, servers.files, servers.colony.address()];
    let (status, log) = servers.colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
    pids.into_iter().for_each(wait_gone);
    for port in ports {
        TcpListener::bind(port).unwrap_or_else(|error| panic!("{port}: {error}: {log}"));
    }
    assert!(log.contains("cache ended: exit code 0"), "redis had its grace: {log}");
    assert!(!log.contains("SIGKILL"), "{log}");
}
