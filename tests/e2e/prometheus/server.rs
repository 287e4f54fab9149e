//! A Prometheus of the test's own: Debian's, on a loopback address that nobody else uses, with a directory that goes
//! with it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, can, succeeds, wait_for, wait_until};

/// The job of what is scraped and no monitor.
pub(crate) const OTHERS: &str = "others";

/// A Prometheus that scrapes each second and judges its rules as often.
pub(crate) struct Prometheus {
    dir: TempDir,
    server: Child,
    address: SocketAddr,
}

/// One series of an answer: its labels and its last value.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Value,
    pub(crate) value: f64,
}

impl Series {
    /// A label; empty where it is missing, as Prometheus has it.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }
}

/// Whether there is one here to start; if not, says so, loudly.
pub(crate) fn is_there() -> bool {
    can("Debian's prometheus", succeeds("prometheus", &["--version"]))
}

/// A port of the address that only this process uses, so that nobody takes it while nobody listens.
pub(crate) fn own_address() -> SocketAddr {
    let [_, b, c, d] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 64 + b % 64, c, d);
    TcpListener::bind((host, 0)).expect("all of 127/8 is ours").local_addr().expect("its address")
}

impl Prometheus {
    /// Starts one for these targets, all of the job ncolony. `rules` is what a file of rules holds. It scrapes what is no
    /// monitor, too: itself, and something that is dead.
    pub(crate) fn start(targets: &[SocketAddr], rules: &Value) -> Prometheus {
        Prometheus::start_each(1, targets, rules)
    }

    /// The same, but it scrapes only each so many seconds, which is how long a scrape may take then.
    pub(crate) fn start_each(seconds: u8, targets: &[SocketAddr], rules: &Value) -> Prometheus {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |below: &str| dir.path().join(below).display().to_string();
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let address = own_address();
        let others = [address, SocketAddr::new(address.ip(), 1)].map(|other| other.to_string());
        // YAML is JSON, too.
        let each = format!("{seconds}s");
        let config = json!({
            "global": {"scrape_interval": each, "scrape_timeout": each, "evaluation_interval": "1s"},
            "rule_files": [path("rules.json")],
            "scrape_configs": [
                {"job_name": "ncolony", "static_configs": [{"targets": targets}]},
                {"job_name": OTHERS, "static_configs": [{"targets": others}]},
            ],
        });
        fs::write(path("rules.json"), rules.to_string()).expect("a file");
        fs::write(path("config.json"), config.to_string()).expect("a file");
        let server = Command::new("prometheus")
            .arg(format!("--config.file={}", path("config.json")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(path("log")).expect("a file"))
            .spawn()
            .expect("prometheus starts");
        let server = Prometheus { dir, server, address };
        let up = wait_until("Prometheus", || get(address, "/-/ready")?.0.starts_with("HTTP/1.0 200").then_some(()));
        assert!(up.is_some(), "Prometheus does not start: {}", server.log());
        server
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The series of an expression now.
    pub(crate) fn now(&self, expr: &str) -> Vec<Series> {
        let data = self.ask("query", &[("query", expr)]);
        // A number has no labels.
        match data["resultType"].as_str() {
            Some("scalar") => vec![series(&json!({}), &data["result"])],
            _ => items(&data["result"]).map(|one| series(&one["metric"], &one["value"])).collect(),
        }
    }

    /// The series of an expression in the last minute, second by second.
    pub(crate) fn lately(&self, expr: &str) -> Vec<Series> {
        let now = self.now("time()")[0].value;
        let (start, end) = ((now - 60.0).to_string(), now.to_string());
        let data = self.ask("query_range", &[("query", expr), ("start", &start), ("end", &end), ("step", "1")]);
        items(&data["result"])
            .map(|one| series(&one["metric"], items(&one["values"]).last().unwrap_or(&Value::Null)))
            .collect()
    }

    /// The values that a label has, in series that match a selector.
    pub(crate) fn label_values(&self, selector: &str, label: &str) -> Vec<String> {
        let data = self.ask(&format!("label/{label}/values"), &[("match[]", selector)]);
        items(&data).filter_map(Value::as_str).map(str::to_string).collect()
    }

    /// The `data` of an answer that says success.
    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let path = format!("/api/v1/{path}?{}", parameters.join("&"));
        let (_, body) = wait_for("an answer of Prometheus", || get(self.address, &path));
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        assert_eq!(answer["status"], "success", "{path}: {body}");
        answer["data"].take()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.server.id() as i32), Signal::SIGTERM);
        if wait_until("its end", || self.server.try_wait().ok().flatten()).is_none() {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn series(labels: &Value, sample: &Value) -> Series {
    let value = sample[1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    Series { labels: labels.clone(), value }
}

/// Head and body of an answer. By HTTP/1.0, which knows no chunks.
fn get(address: SocketAddr, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: prometheus\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.to_string(), body.to_string()))
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
