//! The probes that ask over the network, of real sockets: each comes to its verdict within its time and in bounded memory,
//! whatever is at the other end.

mod needs;

use std::future::Future;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use ncolony::health::{Outcome, OverHttps, Resolver, Tls, grpc, tcp_socket};
use ncolony::model::{HttpGet, Scheme};
use nix::sys::socket::{Backlog, listen};
use tokio::net::TcpSocket;

/// For what must come to a verdict sooner; generous, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// For what has no verdict before its time is over.
const SHORT: Duration = Duration::from_millis(400);

/// [`ncolony::health::http_get`] without TLS.
async fn http_get(resolver: &Resolver, what: &HttpGet, limit: Duration) -> Outcome {
    ncolony::health::http_get(resolver, what, limit, Tls::Elsewhere).await.expect("it is asked by HTTP")
}

/// [`ncolony::health::any_answer`] without TLS.
async fn any_answer(resolver: &Resolver, what: &HttpGet, limit: Duration) -> Outcome {
    ncolony::health::any_answer(resolver, what, limit, Tls::Elsewhere).await.expect("it is asked by HTTP")
}

fn run<T>(asking: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let value = runtime.block_on(asking);
    runtime.shutdown_background();
    value
}

/// A server that does this with each connection once it has been asked something, and tells what that was.
fn server(answer: impl Fn(&mut TcpStream) + Clone + Send + 'static) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = vec![0; 16 * 1024];
            let length = stream.read(&mut request).unwrap_or(0);
            let _ = tell.send(String::from_utf8_lossy(&request[..length]).into_owned());
            let answer = answer.clone();
            thread::spawn(move || answer(&mut stream));
        }
    });
    (port, told)
}

/// Goes away when the other side does.
fn write(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) -> bool {
    stream.write_all(bytes.as_ref()).is_ok()
}

/// Holds the connection until the other side closes it.
fn hold(stream: &mut TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Ends after this, in good order: what still comes is read.
fn ends_after(stream: &mut TcpStream, bytes: &[u8]) {
    write(stream, bytes);
    let _ = stream.shutdown(Shutdown::Write);
    hold(stream);
}

fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> HttpGet {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    HttpGet { scheme: Scheme::Http, host: "127.0.0.1".into(), port, path: path.into(), headers }
}

/// What a probe makes of an answer.
fn outcome(answer: &'static str) -> Outcome {
    outcome_within(PATIENCE, move |stream| {
        write(stream, answer);
    })
}

fn outcome_within(limit: Duration, answer: impl Fn(&mut TcpStream) + Clone + Send + 'static) -> Outcome {
    let (port, _told) = server(answer);
    run(http_get(&Resolver::default(), &get(port, "/", &[]), limit))
}

fn failure(text: &str) -> Outcome {
    Outcome::Failure(text.to_string())
}

/// The text of a failure.
fn why(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failure(why) => why,
        other => panic!("no failure: {other:?}"),
    }
}

// pkg/probe/http/http_test.go
#[test]
fn a_status_from_200_to_399_is_success() {
    let rows = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Outcome::Success),
        ("HTTP/1.0 204 No Content\r\n\r\n", Outcome::Success),
        ("HTTP/1.1 299 ?\r\n\r\nuntil it closes", Outcome::Success),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n", Outcome::Success),
        ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Outcome::Success),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", Outcome::Warning("Probe terminated redirects, Response body: ".into())),
        ("HTTP/1.1 300 Some\r\n\r\nmany", Outcome::Warning("Probe terminated redirects, Response body: many".into())),
        ("HTTP/1.1 400 Bad\r\n\r\n", failure("HTTP probe failed with statuscode: 400")),
        ("HTTP/1.1 101 Go\r\n\r\n", failure("HTTP probe failed with statuscode: 101")),
        (
            "HTTP/1.1 500 X\r\n\r\nfell over\nagain\x1b[0m\n",
            failure("HTTP probe failed with statuscode: 500: fell over\\nagain\\x1b[0m"),
        ),
        ("HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\ncut", failure("HTTP probe failed with statuscode: 503")),
    ];
    for (answer, expected) in rows {
        assert_eq!(outcome(answer), expected, "{answer:?}");
    }
}

#[test]
fn what_is_no_answer_is_a_failure_that_says_what_it_is() {
    let rows = [
        ("", "the connection was closed without an answer"),
        ("HTTP/1.1 20", "the answer broke off after \"HTTP/1.1 20\""),
        ("SSH-2.0-OpenSSH_9.2", "malformed HTTP response \"SSH-2.0-OpenSSH_9.2\""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", "the answer broke off within its body"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncut", "the answer broke off within its body"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n", "malformed chunked encoding"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n", "malformed chunked encoding"),
    ];
    for (answer, expected) in rows {
        assert_eq!(outcome(answer), failure(expected), "{answer:?}");
    }
    let tls = outcome_within(PATIENCE, |stream| _ = write(stream, b"\x15\x03\x03\x00\x02\x02\x16"));
    assert_eq!(tls, failure("malformed HTTP response \"\\x15\\x03\\x03\\x00\\x02\\x02\\x16\""));
    let interim = outcome_within(PATIENCE, |stream| while write(stream, "HTTP/1.1 100 Continue\r\n\r\n") {});
    assert_eq!(interim, failure("more than 5 answers say that the real one comes later"));
}

// RELIABILITY: each is a verdict, within its time, whatever comes.
#[test]
fn an_answer_that_never_ends_is_a_verdict_within_its_time() {
    let silent = outcome_within(SHORT, hold);
    assert_eq!(silent, failure("no answer within 0.4 s"));
    let dripping_head = outcome_within(SHORT, |stream| {
        write(stream, "HTTP/1.1 200 OK\r\n");
        while write(stream, "X") {
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(dripping_head, failure("no answer within 0.4 s"));
    let dripping_body = outcome_within(SHORT, |stream| {
        write(stream, "HTTP/1.1 200 OK\r\n\r\n");
        while write(stream, "x") {
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(dripping_body, failure("no end of the answer within 0.4 s"));
    let endless_head = outcome_within(PATIENCE, |stream| {
        write(stream, "HTTP/1.1 200 OK\r\n");
        while write(stream, "X-More: and more\r\n") {}
    });
    assert_eq!(endless_head, failure("the head of the answer is longer than 16 KiB"));
    // Like the kubelet, ten KiB of a body are enough, of ten MB or of one without an end.
    let large = outcome_within(PATIENCE, |stream| {
        write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
        while write(stream, [b'x'; 4096]) {}
    });
    assert_eq!(large, Outcome::Success);
    let endless = outcome_within(PATIENCE, |stream| {
        write(stream, "HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n");
        while write(stream, "1\r\nx\r\n") {}
    });
    assert_eq!(endless, failure(&format!("HTTP probe failed with statuscode: 500: {}…", "x".repeat(200))));
}

#[test]
fn a_request_is_a_probes_and_the_files_headers_win() {
    let (port, told) = server(|stream| _ = write(stream, "HTTP/1.1 200 OK\r\n\r\n"));
    let asked = |headers: &[(&str, &str)]| {
        let what = get(port, "/well?a=b", headers);
        assert_eq!(run(http_get(&Resolver::default(), &what, PATIENCE)), Outcome::Success);
        told.recv_timeout(PATIENCE).expect("a request")
    };
    let plain = asked(&[]);
    assert!(plain.starts_with("GET /well?a=b HTTP/1.1\r\n") && plain.ends_with("\r\n\r\n"), "{plain}");
    let agent = concat!("User-Agent: kube-probe/ncolony-", env!("CARGO_PKG_VERSION"));
    for line in [&format!("Host: 127.0.0.1:{port}"), "Connection: close", agent, "Accept: */*"] {
        assert!(plain.contains(&format!("\r\n{line}\r\n")), "{line}: {plain}");
    }
    let own = asked(&[("Host", "web.local"), ("User-Agent", "me"), ("Accept", ""), ("X-A", "b")]);
    for line in ["Host: web.local", "User-Agent: me", "X-A: b"] {
        assert!(own.contains(&format!("\r\n{line}\r\n")), "{line}: {own}");
    }
    assert!(!own.contains("Accept"), "{own}");
}

// pkg/probe/http/http_test.go: TestHTTPProbeChecker_HostHeaderPreservedAfterRedirect, TestHTTPProbeChecker_NonLocalRedirects
#[test]
fn redirections_are_followed_on_the_same_host_and_others_are_success_with_a_warning() {
    let (last, told) = server(|stream| _ = write(stream, "HTTP/1.1 200 OK\r\n\r\n"));
    let to = |location: String, headers: &[(&str, &str)]| {
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 5\r\n\r\nthere");
        let (port, _told) = server(move |stream| _ = write(stream, &answer));
        run(http_get(&Resolver::default(), &get(port, "/from", headers), PATIENCE))
    };
    let own = [("Host", "web.local"), ("X-A", "b")];
    assert_eq!(to(format!("http://127.0.0.1:{last}/to?x"), &own), Outcome::Success);
    let request = told.recv_timeout(PATIENCE).expect("a request");
    assert!(request.starts_with("GET /to?x HTTP/1.1\r\n"), "{request}");
    // Who is named anew is asked by that name.
    assert!(
        request.contains(&format!("\r\nHost: 127.0.0.1:{last}\r\n")) && request.contains("\r\nX-A: b\r\n"),
        "{request}"
    );

    let warning = Outcome::Warning("Probe terminated redirects, Response body: there".into());
    for away in ["http://elsewhere.invalid/", "//elsewhere.invalid/", "https://elsewhere.invalid/", "ftp://127.0.0.1/"]
    {
        assert_eq!(to(away.into(), &[]), warning, "{away}");
    }
    assert_eq!(to("http://[::1".into(), &[]), failure("failed to parse Location header \"http://[::1\""));
    assert_eq!(to("/again".into(), &[]), failure("stopped after 10 redirects"));

    let (port, told) = server(|stream| {
        let _ = write(stream, "HTTP/1.1 307 Go on\r\nLocation: on\r\n\r\n");
    });
    let what = get(port, "/a/b", &own);
    assert_eq!(run(http_get(&Resolver::default(), &what, PATIENCE)), failure("stopped after 10 redirects"));
    let requests: Vec<String> = told.try_iter().collect();
    assert_eq!(requests.len(), 11);
    assert!(
        requests[10].starts_with("GET /a/on ") && requests[10].contains("\r\nHost: web.local\r\n"),
        "{}",
        requests[10]
    );
}

#[test]
fn to_ncolonys_check_any_answer_is_good_and_none_is_not() {
    let ask = |limit, answer: &'static str| {
        let (port, _told) = server(move |stream| {
            write(stream, answer);
            hold(stream);
        });
        run(any_answer(&Resolver::default(), &get(port, "/", &[]), limit))
    };
    assert_eq!(ask(PATIENCE, "HTTP/1.1 500 Bad\r\nContent-Length: 100\r\n\r\n"), Outcome::Success);
    assert_eq!(ask(PATIENCE, "HTTP/1.1 302 Away\r\nLocation: http://elsewhere.invalid/\r\n\r\n"), Outcome::Success);
    assert_eq!(ask(SHORT, ""), failure("no answer within 0.4 s"));
    assert!(why(ask(PATIENCE, "garbage")).contains("malformed HTTP response"));
}

/// A port that is taken, so that nobody else gets it, and at which nobody listens.
struct Closed {
    _socket: TcpSocket,
    port: u16,
}

impl Closed {
    fn new() -> Closed {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let port = socket.local_addr().expect("its address").port();
        Closed { _socket: socket, port }
    }
}

#[test]
fn where_nobody_listens_is_a_failure_of_every_handler() {
    let (closed, resolver) = (Closed::new(), Resolver::default());
    let port = closed.port;
    let refused = format!("cannot connect to 127.0.0.1:{port}: connection refused");
    assert_eq!(run(http_get(&resolver, &get(port, "/", &[]), PATIENCE)), failure(&refused));
    assert_eq!(run(any_answer(&resolver, &get(port, "/", &[]), PATIENCE)), failure(&refused));
    assert_eq!(run(tcp_socket(&resolver, "127.0.0.1", port, PATIENCE)), failure(&refused));
    let told = format!("error: failed to connect service at \"127.0.0.1:{port}\": {refused}");
    assert_eq!(run(grpc(&resolver, port, "", PATIENCE)), failure(&told));
}

/// A server that takes no connection any more: its queue is full.
fn full() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    // Queues of the standard library are long; this one has one place, and the kernel adds one.
    listen(&listener, Backlog::new(0).expect("a length")).expect("it listens");
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue is endless");
    }
    (listener, waiting, address)
}

#[test]
fn a_connection_is_all_that_tcp_socket_wants_and_who_takes_none_has_its_time() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    for host in ["127.0.0.1", "localhost", "LocalHost"] {
        assert_eq!(run(tcp_socket(&Resolver::default(), host, port, PATIENCE)), Outcome::Success, "{host}");
    }
    let (_listener, _waiting, address) = full();
    let began = Instant::now();
    let why = why(run(tcp_socket(&Resolver::default(), "127.0.0.1", address.port(), SHORT)));
    assert!(began.elapsed() >= SHORT && why.starts_with(&format!("cannot connect to {address}")), "{why}");
}

// Its look-up may take as long as it likes, or fail: the time of the probe is the probe's.
#[test]
fn a_name_that_nobody_knows_is_a_failure_that_names_it() {
    let why = why(run(tcp_socket(&Resolver::default(), "nobody.invalid", 80, PATIENCE)));
    assert!(why.starts_with("cannot resolve nobody.invalid: "), "{why}");
}

/// A server of gRPC's health protocol, in Python.
struct Health {
    server: Child,
    port: u16,
    bare: u16,
}

const HEALTH: &str = r#"
import sys, time
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

class Slow(health.HealthServicer):
    def Check(self, request, context):
        if request.service == "slow":
            time.sleep(1000)
        return super().Check(request, context)

def served(servicer):
    server = grpc.server(futures.ThreadPoolExecutor(4), compression=grpc.Compression.Gzip if servicer else None)
    if servicer:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port

servicer = Slow()
states = health_pb2.HealthCheckResponse
for name, state in ("", states.SERVING), ("down", states.NOT_SERVING), ("odd", states.UNKNOWN), ("x" * 300, states.SERVING):
    servicer.set(name, state)
healthy, port = served(servicer)
bare, other = served(None)
print(port, other, flush=True)
sys.stdin.read()
import os
os._exit(0)
"#;

impl Health {
    fn start() -> Option<Health> {
        let python = std::env::var_os("NCOLONY_GRPC");
        needs::can("NCOLONY_GRPC set to a Python with grpcio-health-checking", python.is_some());
        let mut server = Command::new(python?);
        let server = server.args(["-c", HEALTH]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = server.spawn().expect("NCOLONY_GRPC can be run");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut line).expect("its ports");
        let ports: Vec<u16> = line.split_whitespace().map(|port| port.parse().expect("a port")).collect();
        Some(Health { server, port: ports[0], bare: ports[1] })
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

#[test]
fn a_real_grpc_server_is_healthy_when_it_serves() {
    let Some(health) = Health::start() else { return };
    let resolver = Resolver::default();
    let ask = |port, service: &str, limit| run(grpc(&resolver, port, service, limit));
    for _ in 0..20 {
        assert_eq!(ask(health.port, "", PATIENCE), Outcome::Success);
    }
    assert_eq!(ask(health.port, &"x".repeat(300), PATIENCE), Outcome::Success);
    let rows = [
        ("down", "service unhealthy (responded with \"NOT_SERVING\")"),
        ("odd", "service unhealthy (responded with \"UNKNOWN\")"),
        ("nobody", "error: health rpc probe failed: rpc error: code = NotFound desc = "),
    ];
    for (service, expected) in rows {
        let why = why(ask(health.port, service, PATIENCE));
        assert!(why.starts_with(expected), "{why}");
    }
    let why_bare = why(ask(health.bare, "", PATIENCE));
    let expected = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ";
    assert!(why_bare.starts_with(expected) && why_bare.len() > expected.len(), "{why_bare}");
    let slow = ask(health.port, "slow", Duration::from_secs(2));
    assert_eq!(slow, failure("timeout: health rpc did not complete within 2 s"));
}

#[test]
fn what_is_no_grpc_server_is_a_failure_within_its_time() {
    type Answer = fn(&mut TcpStream);
    let ask = |limit, answer: Answer| {
        let (port, _told) = server(answer);
        why(run(grpc(&Resolver::default(), port, "", limit)))
    };
    let head = "error: health rpc probe failed: ";
    let rows: [(Answer, &str); 5] = [
        (|stream| _ = write(stream, "HTTP/1.1 400 Bad Request\r\n\r\n"), "it does not speak HTTP/2, but HTTP/1"),
        (|stream| _ = write(stream, "SSH-2.0-OpenSSH_9.2\r\n"), "it does not speak HTTP/2, but something else"),
        (|stream| ends_after(stream, &[0, 0, 0, 4, 0, 0, 0, 0, 0]), "the connection was closed without an answer"),
        (|stream| while write(stream, [0, 0, 0, 4, 0, 0, 0, 0, 0]) {}, "more than 256 KiB were answered"),
        (|stream| ends_after(stream, &[0, 0, 4, 4, 0]), "the connection was closed without an answer"),
    ];
    for (answer, expected) in rows {
        let why = ask(PATIENCE, answer);
        assert!(why.starts_with(&format!("{head}{expected}")), "{why}");
    }
    assert_eq!(ask(SHORT, hold), "timeout: health rpc did not complete within 0.4 s");
    let (_listener, _waiting, address) = full();
    let why = why(run(grpc(&Resolver::default(), address.port(), "", SHORT)));
    assert!(why.contains("failed to connect service ") && why.contains(&address.to_string()), "{why}");
}

// Whatever bytes come, there is a verdict, and it is no success.
#[test]
fn noise_is_never_health() {
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    for round in 0..200 {
        let mut noise: Vec<u8> = (0..400).map(|_| random()).collect();
        if round % 2 == 0 {
            // Something that begins well.
            noise.splice(..0, [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 20, round as u8 % 10, 5, 0, 0, 0, 1]);
        }
        let (port, _told) = server(move |stream| _ = write(stream, &noise));
        let resolver = Resolver::default();
        let asked = run(async {
            let what = get(port, "/", &[]);
            [grpc(&resolver, port, "", PATIENCE).await, http_get(&resolver, &what, PATIENCE).await]
        });
        assert!(asked.iter().all(|outcome| matches!(outcome, Outcome::Failure(_))), "{round}: {asked:?}");
    }
}

#[test]
fn a_process_that_must_not_speak_tls_does_not_follow_a_redirection_to_it() {
    let (port, _told) = server(move |stream| {
        write(stream, "HTTP/1.1 301 X\r\nLocation: https://127.0.0.1:1/\r\n\r\n");
    });
    let resolver = Resolver::default();
    let mut what = get(port, "/", &[]);
    assert_eq!(run(ncolony::health::http_get(&resolver, &what, PATIENCE, Tls::Elsewhere)), Err(OverHttps));
    what.scheme = Scheme::Https;
    assert_eq!(run(ncolony::health::any_answer(&resolver, &what, PATIENCE, Tls::Elsewhere)), Err(OverHttps));
}
