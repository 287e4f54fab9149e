//! HTTPS: probes, hooks and checks of servers that speak TLS, well, badly, and in bad faith. nginx and openssl are Debian's.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use ncolony::health::https::{Errand, How};
use ncolony::model::{EnvValue, HttpGet, Scheme, Variable};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::openssl::{OPENSSL, P256, RSA, certificate};
use crate::servers;
use crate::support::{BINARY, Colony, Setup, can, wait_for};

const NGINX: &str = "/usr/sbin/nginx";

/// Servers of nginx: what they are is in its configuration.
struct Places {
    /// Sends everybody to `modern`.
    plain: u16,
    /// TLS 1.2 and 1.3; an RSA key; asks for a certificate, and takes none for an answer.
    modern: u16,
    /// TLS 1.3 by an elliptic key, of whoever names it.
    named: u16,
    /// TLS 1.2 alone, by an elliptic key.
    grown: u16,
    /// Nothing newer than TLS 1.1.
    old: u16,
}

fn free() -> u16 {
    servers::free().port()
}

fn can_serve() -> bool {
    can("Debian's nginx-light and openssl", Path::new(NGINX).exists() && Path::new(OPENSSL).exists())
}

/// A process file of an nginx that serves all of them, and where they are.
fn nginx(dir: &Path) -> (String, Places) {
    certificate(dir, "rsa", RSA);
    certificate(dir, "elliptic", P256);
    let at = Places { plain: free(), modern: free(), named: free(), grown: free(), old: free() };
    let Places { plain, modern, named, grown, old } = at;
    let dir = dir.display();
    let tls = |key: &str| format!("ssl_certificate {dir}/{key}.crt; ssl_certificate_key {dir}/{key}.key;");
    let answers = "location / { return 200 'nginx here'; } location /ill { return 503 'fell over'; }
        location /drain { access_log /dev/stdout; return 204; }";
    let text = format!(
        "daemon off; pid {dir}/nginx.pid; error_log stderr notice; events {{}}
         http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
         fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
         server {{ listen 127.0.0.1:{plain}; return 301 https://$host:{modern}$request_uri; }}
         server {{ listen 127.0.0.1:{modern} ssl; ssl_protocols TLSv1.2 TLSv1.3; {rsa} ssl_verify_client optional_no_ca; {answers}
             location /long {{ root {dir}; }} location /back {{ return 301 http://$host:{plain}/; }} }}
         server {{ listen 127.0.0.1:{named} ssl default_server; ssl_protocols TLSv1.3; ssl_reject_handshake on; }}
         server {{ listen 127.0.0.1:{named} ssl; server_name localhost; ssl_protocols TLSv1.3; {ec} {answers} }}
         server {{ listen 127.0.0.1:{grown} ssl; ssl_protocols TLSv1.2; {ec} {answers} }}
         server {{ listen 127.0.0.1:{old} ssl; ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0; {ec} {answers} }} }}\n",
        rsa = tls("rsa"),
        ec = tls("elliptic"),
    );
    fs::write(format!("{dir}/nginx.conf"), text).expect("a file");
    // More than one record.
    fs::write(format!("{dir}/long"), "many words ".repeat(10_000)).expect("a file");
    let args = json!([NGINX, "-p", format!("{dir}/"), "-c", format!("{dir}/nginx.conf"), "-e", "stderr"]);
    (json!({"args": args, "lifecycle": {"stopSignal": "QUIT"}}).to_string(), at)
}

/// A process that lasts, which is ready when this is answered well.
fn asks(get: Value) -> String {
    let probe = json!({"httpGet": get, "periodSeconds": 0.2, "timeoutSeconds": 30});
    json!({"args": ["sleep", "1000"], "readinessProbe": probe}).to_string()
}

fn https(port: u16, path: &str) -> Value {
    json!({"port": port, "path": path, "scheme": "HTTPS"})
}

fn named(port: u16, host: &str) -> Value {
    json!({"port": port, "host": host, "scheme": "HTTPS"})
}

fn wait_ready(colony: &Colony, name: &str) {
    colony.wait(&format!("{name} to be ready"), || (colony.get(&format!("/healthz/{name}")).0 == 200).then_some(()));
}

fn wait_unhealthy(colony: &Colony, name: &str, why: &str) {
    colony.wait_log(&format!("{name}: Readiness probe failed: {why}"));
}

fn directory(setup: &Setup) -> PathBuf {
    let dir = setup.path("nginx");
    fs::create_dir(&dir).expect("a directory");
    dir
}

#[test]
fn a_server_of_tls_is_asked_as_the_kubelet_asks_it() {
    if !can_serve() {
        return;
    }
    let setup = Setup::new();
    let (web, at) = nginx(&directory(&setup));
    let well = [
        ("modern", https(at.modern, "/")),
        ("long", https(at.modern, "/long")),
        ("named", named(at.named, "localhost")),
        ("grown", https(at.grown, "/")),
        ("redirected", json!({"port": at.plain, "path": "/"})),
        ("there-and-back", https(at.modern, "/back")),
    ];
    let ill = [
        ("ill", https(at.modern, "/ill"), "HTTP probe failed with statuscode: 503: fell over"),
        ("redirected-ill", json!({"port": at.plain, "path": "/ill"}), "HTTP probe failed with statuscode: 503"),
        ("plain", https(at.plain, "/"), "what answers does not speak TLS: "),
        (
            "old",
            https(at.old, "/"),
            "the server ends the TLS handshake (ProtocolVersion): what is spoken here is TLS 1.2",
        ),
        ("unnamed", https(at.named, "/"), "the server ends the TLS handshake: "),
        ("nobody", https(1, "/"), "cannot connect to 127.0.0.1:1: connection refused"),
    ];
    let setup = setup.file("web", &web);
    let setup = well.iter().fold(setup, |setup, (name, get)| setup.file(name, &asks(get.clone())));
    let colony = ill.iter().fold(setup, |setup, (name, get, _)| setup.file(name, &asks(get.clone()))).start();
    for (name, _) in &well {
        wait_ready(&colony, name);
    }
    for (name, _, why) in &ill {
        wait_unhealthy(&colony, name, why);
        assert_eq!(colony.get(&format!("/healthz/{name}")).0, 503, "{name}");
    }
    // None of those that asked is taken for an end of anybody.
    assert_eq!(colony.count("exited"), 0, "{}", colony.log());
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_liveness_probe_by_https_ends_a_run_and_its_hook_is_asked_by_https() {
    if !can_serve() {
        return;
    }
    let setup = Setup::new();
    let (web, at) = nginx(&directory(&setup));
    let app = json!({
        "args": ["sleep", "1000"],
        "livenessProbe": {"httpGet": https(at.modern, "/ill"), "periodSeconds": 0.2, "failureThreshold": 2,
            "timeoutSeconds": 30, "initialDelaySeconds": 1},
        "lifecycle": {"preStop": {"httpGet": https(at.modern, "/drain?by=liveness")}},
    });
    let bad = json!({
        "args": ["sleep", "1000"],
        "lifecycle": {"preStop": {"httpGet": https(at.old, "/drain")}},
    });
    let setup = setup.file("web", &web).file("app", &app.to_string()).file("bad", &bad.to_string());
    let colony = setup.start();
    let first = colony.wait_pid("app", None);
    colony.wait_pid("app", Some(first));
    colony.wait_log("SIGTERM to the main process of app: its liveness probe failed");
    colony.wait_log("preStop of app is done: answered well");
    colony.wait_stdout("GET /drain?by=liveness HTTP/1.1\" 204");
    colony.remove("bad");
    colony.wait_log(
        "preStop of bad failed: the server ends the TLS handshake (ProtocolVersion): what is spoken here is ",
    );
    colony.wait_log("bad is gone");
}

#[test]
fn a_server_of_tls_that_says_nothing_or_nonsense_ends_nobody() {
    let setup = Setup::new();
    let babbler = TcpListener::bind("127.0.0.1:0").expect("a port");
    let babbles = https(babbler.local_addr().expect("an address").port(), "/");
    thread::spawn(move || {
        for mut stream in babbler.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(&[0xff; 64]));
        }
    });
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hangs = https(silent.local_addr().expect("an address").port(), "/");
    let hangs = json!({"httpGet": hangs, "periodSeconds": 0.2, "timeoutSeconds": 0.5});
    let hangs = json!({"args": ["sleep", "1000"], "readinessProbe": hangs});
    let setup = setup.file("babbles", &asks(babbles)).file("hangs", &hangs.to_string());
    let colony = setup.start();
    wait_unhealthy(&colony, "babbles", "what answers does not speak TLS: ");
    wait_unhealthy(&colony, "hangs", "no answer within 0.5 s");
    assert_eq!(colony.get("/livez").0, 200);
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.trim_end().ends_with("ended: nothing is left"), "{log}");
}

#[test]
fn an_http_check_by_https_takes_any_answer_under_either_program() {
    if !can_serve() {
        return;
    }
    let setup = Setup::new();
    let (web, at) = nginx(&directory(&setup));
    let check = |port: u16| {
        let check = json!({"url": format!("https://127.0.0.1:{port}/ill"), "period": 0.2, "timeout": 30, "maxBad": 1,
            "grace": 0});
        json!({"args": ["sleep", "1000"], "ncolony.httpcheck": check}).to_string()
    };
    let colony = setup.file("web", &web).start();
    colony.wait("nginx to serve", || {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, at.old));
        std::net::TcpStream::connect(at).ok()
    });
    colony.write("well", &check(at.modern));
    colony.write("ill", &check(at.plain));
    colony.wait_log("ill: HTTP check failed: what answers does not speak TLS: ");
    colony.write("grown", &check(at.grown));
    let grown = colony.wait_pid("grown", None);
    let first = colony.wait_pid("well", None);
    // The program of its own, on the same files; what it asks for is nobody's to obey.
    let messages = colony.path("asked");
    fs::create_dir(&messages).expect("a directory");
    let mut checker = Command::new(BINARY);
    checker.arg("httpcheck").arg("--config").arg(colony.path("config")).arg("--messages").arg(&messages);
    checker.args(["--freq", "0.1"]).env_remove("NCOLONY_RUN").env_remove("NCOLONY_CONFIG").stdin(Stdio::null());
    let mut checker = checker.stderr(Stdio::null()).spawn().expect("the binary starts");
    let asked = || -> Vec<String> {
        let files = fs::read_dir(&messages).expect("a directory").flatten();
        files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect()
    };
    wait_for("a request for ill", || asked().iter().any(|text| text.contains("\"ill\"")).then_some(()));
    let is_asked_for = |name: &str| asked().iter().any(|text| text.contains(&format!("\"{name}\"")));
    assert!(!is_asked_for("well") && !is_asked_for("grown"), "{:?}", asked());
    crate::support::send(checker.id() as i32, Signal::SIGTERM);
    assert_eq!(checker.wait().expect("our child").code(), Some(0));
    assert_eq!((colony.pid_of("well"), colony.pid_of("grown")), (Some(first), Some(grown)), "{}", colony.log());
}

#[test]
fn a_panic_of_who_speaks_tls_is_an_answer() {
    // Another binary than this build's has no failpoints; the tests run with this build's, too.
    if option_env!("NCOLONY_BINARY").is_some() {
        return;
    }
    let headers = vec![("X-Token".to_string(), "secret".to_string())];
    let what = HttpGet { scheme: Scheme::Https, host: "127.0.0.1".into(), port: 1, path: "/".into(), headers };
    let errand = Errand { how: How::Probe, what, limit: Duration::from_secs(60) }.birth();
    let [Variable { name, value: EnvValue::Text(value) }] = &errand.env[..] else { panic!("{:?}", errand.env) };
    assert!(!errand.argv.concat().contains("secret"), "an argument is for everybody to see: {:?}", errand.argv);
    let mut asker = Command::new(BINARY);
    asker.args(&errand.argv[1..]).env(name, value).env("NCOLONY_FAILPOINT", "https-get:panic:/");
    let output = asker.output().expect("the binary starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Fwhat answers does not speak TLS as it should");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_user_who_starts_what_asks_by_https_is_told_what_it_is() {
    let output = Command::new(BINARY).arg("https-get").output().expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("ncolony https-get is what ncolony starts to ask by HTTPS"), "{told}");
}
