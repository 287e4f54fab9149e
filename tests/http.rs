//! The status server over real sockets: polite clients, rude ones and hostile ones.

mod needs;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ncolony::cli::Listen;
use ncolony::http::{Ask, Question, bind, fresh, serve};
use ncolony::model::{
    Account, ConfigView, LogAnswer, Moment, Name, Phase, ProcessView, Snapshot, Stamp, State, Wall, WatchView,
};
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Longer than anything here takes on a busy machine.
const GENEROUS: Duration = Duration::from_secs(40);
/// Shorter than the five seconds that a head may take: who is answered within it did not wait for a timeout.
const PROMPT: Duration = Duration::from_secs(4);

/// A status server in a thread of its own.
struct Server {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    ended: std_mpsc::Receiver<()>,
}

impl Server {
    /// Serves `colony`; a loop that never answers if there is none.
    fn start(colony: Option<Snapshot>) -> Server {
        let listeners = bind(Listen::At("127.0.0.1:0".parse().expect("an address"))).expect("a free port");
        let port = listeners[0].local_addr().expect("its address").port();
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = std_mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listeners = listeners.into_iter().map(|l| TcpListener::from_std(l).expect("a listener")).collect();
                let (ask, mut questions) = mpsc::channel(8);
                tokio::spawn(async move {
                    let mut unanswered = Vec::new();
                    while let Some(question) = questions.recv().await {
                        match (question, &colony) {
                            (Question::Snapshot(answer), Some(colony)) => drop(answer.send(colony.clone())),
                            (Question::Events(_, answer), Some(_)) => drop(answer.send(Vec::new())),
                            (Question::Sample(told), Some(_)) => drop(told),
                            (Question::Log(_, answer), Some(_)) => drop(answer.send(LogAnswer::NoProcess)),
                            (Question::Verdict(_, answer), Some(_)) => drop(answer.send(None)),
                            (question, None) => unanswered.push(question),
                        }
                    }
                });
                let shutdown = async { stopped.await.unwrap_or_default() };
                let ask = Ask::new(ask, Arc::default());
                serve(listeners, None, ask, Registry::new(), fresh(Duration::from_secs(10)), shutdown).await;
            });
            let _ = end.send(());
        });
        Server { port, stop: Some(stop), ended }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("a good timeout");
        stream
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        // The server may answer and close before it has read all; then the answer counts.
        let _ = stream.write_all(bytes);
        stream
    }

    /// Head and body of the answer to what is sent as it is.
    fn exchange(&self, bytes: &[u8]) -> (String, String) {
        split(&rest(&mut self.send(bytes)))
    }

    fn get(&self, path: &str) -> (String, String) {
        self.exchange(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())
    }

    fn probe(&self) {
        let mut stream = self.send(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
        stream.set_read_timeout(Some(PROMPT)).expect("a good timeout");
        let mut first = [0; 15];
        stream.read_exact(&mut first).expect("a prompt answer");
        assert_eq!(&first, b"HTTP/1.1 200 OK");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.ended.recv_timeout(PROMPT);
        if !thread::panicking() {
            ended.expect("the server ends when told");
        }
    }
}

/// What comes until the connection ends; a reset is an end.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("neither an answer nor an end: {error}"),
    }
    String::from_utf8(bytes).expect("our answers are UTF-8")
}

fn split(answer: &str) -> (String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let body = if head.contains("transfer-encoding: chunked") { whole(body) } else { body.to_string() };
    (head.to_string(), body)
}

/// What chunks make together, as far as they have come.
fn whole(mut chunks: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a hexadecimal number");
        let piece = &rest[..length.min(rest.len())];
        text.push_str(piece);
        chunks = rest[piece.len()..].trim_start_matches("\r\n");
    }
    text
}

/// Whether the server has closed this connection, without waiting.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    match stream.read(&mut [0; 1]) {
        Ok(0) => true,
        Ok(_) => panic!("an answer to nothing"),
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

fn colony(processes: usize) -> Snapshot {
    Snapshot {
        taken: Stamp { at: Moment::from_nanos(9_000_000_000), wall: Wall::from_nanos(1_790_000_600_250_000_000) },
        phase: Phase::Running,
        started: Wall::from_nanos(1_790_000_000_500_000_000),
        reconciled: Some(Moment::from_nanos(8_000_000_000)),
        processes: (0..processes).map(|n| process(&format!("process-{n}"))).collect(),
        config: ConfigView {
            dir: "/etc/ncolony/processes".to_string(),
            dir_error: None,
            errors: Vec::new(),
            empty: Vec::new(),
            loaded: Some(Wall::from_nanos(1_790_000_599_000_000_000)),
            generation: 1,
            trusted_uids: None,
        },
        watch: WatchView { active: true },
        checks: Vec::new(),
        strays: 0,
        sampled: None,
    }
}

fn process(name: &str) -> ProcessView {
    ProcessView {
        name: Name::parse(name).expect("a good name"),
        state: State::Running,
        reason: "",
        message: String::new(),
        waits_for: Vec::new(),
        status: String::new(),
        scheduled: false,
        last_scheduled: None,
        missed: 0,
        lag: None,
        task: false,
        generation: 1,
        observed_generation: 1,
        desired: true,
        up: true,
        ready: true,
        rests: false,
        has_started: true,
        gate: true,
        pid: Some(42),
        started: Some(Wall::from_nanos(1_790_000_001_000_000_000)),
        uptime: Some(599.0),
        starts: 1,
        restarts: 0,
        start_failures: 0,
        exits: Default::default(),
        last_end: None,
        restart_delay: 0.0,
        next_start: None,
        ending: None,
        interval: None,
        last_success: None,
        kills: 0,
        memory_limit: None,
        heartbeat: None,
        probes: Vec::new(),
        log_bytes: [0, 0],
        log_dropped: [0, 0],
        usage: None,
        file: format!("{name}.yaml"),
        config_hash: 0xc0ffee,
        user: Some(Account::Id(1000)),
        file_error: None,
        spec: None,
    }
}

#[test]
fn w01_probes_are_answered_while_300_connections_are_half_open() {
    let server = Server::start(Some(colony(1)));
    let mut half_open: Vec<TcpStream> = (0..300).map(|_| server.send(b"GET /healthz HTTP/1.1\r\nHost: te")).collect();
    server.probe();
    // All were accepted before the probe was.
    let open = half_open.iter_mut().filter_map(|stream| (!is_closed(stream)).then_some(())).count();
    assert!((1..=64).contains(&open), "{open} are open");
}

#[test]
fn w01_a_header_line_every_third_of_a_second_does_not_keep_a_connection() {
    let server = Server::start(Some(colony(1)));
    let mut stream = server.send(b"GET /healthz HTTP/1.1\r\n");
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a good timeout");
    let begun = Instant::now();
    loop {
        match stream.read(&mut [0; 64]) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        if stream.write_all(b"X-Slow: loris\r\n").is_err() {
            break;
        }
        assert!(begun.elapsed() < GENEROUS, "it is still open");
    }
}

#[test]
fn w01_silence_is_not_kept() {
    let server = Server::start(Some(colony(1)));
    assert_eq!(rest(&mut server.connect()), "");
}

#[test]
fn w03_too_many_headers_or_too_large_ones_are_431() {
    let server = Server::start(Some(colony(1)));
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(80));
    let large = format!("GET /healthz HTTP/1.1\r\nX-A: {}\r\n\r\n", "b".repeat(40_000));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "b".repeat(40_000));
    for request in [many, large, long] {
        let (head, _) = server.exchange(request.as_bytes());
        assert!(head.starts_with("HTTP/1.1 431"), "{head}");
    }
    server.probe();
}

#[test]
fn other_methods_are_405_and_the_promised_body_is_not_waited_for() {
    let server = Server::start(Some(colony(1)));
    let (head, _) = server.exchange(b"POST /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n{");
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    assert!(head.contains("\r\nallow: GET, HEAD\r\n"), "{head}");
}

#[test]
fn http_1_0_is_answered() {
    let server = Server::start(Some(colony(1000)));
    let (head, body) = server.exchange(b"GET /healthz HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.0 200 OK"), "{head}");
    assert_eq!(body, "ok");
    // It knows no chunks; the end of the connection is the end of the text.
    let (head, body) = server.exchange(b"GET /metrics HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.0 200 OK") && !head.contains("chunked"), "{head}");
    assert!(
        body.starts_with("# HELP ") && body.lines().last().is_some_and(|line| line.starts_with("process_threads "))
    );
}

#[test]
fn a_large_exposition_comes_whole() {
    let server = Server::start(Some(colony(1000)));
    let (_, body) = server.get("/metrics");
    for start in ["ncolony_process_up{", "ncolony_process_starts_total{", "ncolony_process_start_time_seconds{"] {
        assert_eq!(body.lines().filter(|line| line.starts_with(start)).count(), 1000, "{start}");
    }
    let is_line = |line: &str| {
        line.starts_with("# ") || line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok())
    };
    let torn: Vec<&str> = body.lines().filter(|line| !is_line(line)).collect();
    assert!(torn.is_empty(), "{torn:?}");
    let (head, body) = server.exchange(b"HEAD /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert_eq!(body, "");
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::start(Some(colony(1)));
    let (head, body) = server.exchange(b"HEAD /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("\r\ncontent-length: 2"), "{head}");
    assert_eq!(body, "");
}

#[test]
fn w03_one_request_a_connection_whatever_is_pipelined_or_asked_to_be_kept() {
    let server = Server::start(Some(colony(1)));
    let request = "GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: keep-alive\r\n\r\n";
    for requests in [1, 2, 50] {
        let answer = rest(&mut server.send(request.repeat(requests).as_bytes()));
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

#[test]
fn w03_a_client_that_has_shut_its_side_gets_its_answer() {
    let server = Server::start(Some(colony(1)));
    let mut stream = server.send(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
    stream.shutdown(Shutdown::Write).expect("a half close");
    assert!(rest(&mut stream).ends_with("\r\n\r\nok"));
}

#[test]
fn w03_resets_and_garbage_hurt_nobody_else() {
    let server = Server::start(Some(colony(1)));
    for request in ["", "GET /metrics HTTP/1.1\r\n", "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"] {
        for _ in 0..20 {
            let stream = server.send(request.as_bytes());
            let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
            setsockopt(&stream, sockopt::Linger, &at_once).expect("a socket");
        }
    }
    let garbage: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for bytes in garbage {
        let (head, _) = server.exchange(bytes);
        assert!(head.is_empty() || head.starts_with("HTTP/1.1 4"), "{bytes:?}: {head}");
    }
    server.probe();
}

#[test]
fn w03_damaged_requests_are_refused_or_answered_and_nothing_else() {
    let server = Server::start(Some(colony(1)));
    let seed = u64::from(std::process::id()) << 20 | 1;
    println!("seed {seed}");
    let mut state = seed;
    let mut random = |below: usize| {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 8) as usize % below
    };
    for _ in 0..300 {
        let mut request =
            b"GET /healthz?verbose&exclude=%41 HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi".to_vec();
        for _ in 0..=random(6) {
            let place = random(request.len());
            match random(3) {
                0 => request[place] = random(256) as u8,
                1 => drop(request.remove(place)),
                _ => request.insert(place, random(256) as u8),
            }
        }
        let mut stream = server.send(&request);
        let _ = stream.shutdown(Shutdown::Write);
        let answer = rest(&mut stream);
        let sane = answer.is_empty() || answer.starts_with("HTTP/1.1 ") || answer.starts_with("HTTP/1.0 ");
        assert!(sane && !answer.contains(" 500 "), "{}: {answer}", request.escape_ascii());
    }
    server.probe();
}

#[test]
fn w08_slow_readers_keep_neither_probes_nor_scrapes() {
    // More than the kernel's buffers take, so that the server waits for the reader.
    let server = Server::start(Some(colony(6000)));
    let mut readers: Vec<TcpStream> =
        (0..4).map(|_| server.send(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
    for reader in &mut readers {
        reader.read_exact(&mut [0; 1]).expect("the answer begins");
    }
    server.probe();
    let begun = Instant::now();
    while !server.get("/metrics").1.contains("process_threads") {
        assert!(begun.elapsed() < GENEROUS, "they are still served");
    }
    drop(readers);
}

#[test]
fn shutdown_does_not_wait_for_idle_and_half_open_connections() {
    let mut server = Server::start(Some(colony(1)));
    let mut idle = server.connect();
    let mut half_open = server.send(b"GET /healthz HTTP/1.1\r\n");
    server.probe();
    drop(server.stop.take());
    server.ended.recv_timeout(PROMPT).expect("it ends at once");
    assert_eq!((rest(&mut idle), rest(&mut half_open)), (String::new(), String::new()));
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err(), "it still listens");
    server.ended = {
        let (end, ended) = std_mpsc::channel();
        end.send(()).expect("the receiver is here");
        ended
    };
}

#[test]
fn w05_a_loop_that_does_not_answer_is_neither_ready_nor_alive() {
    let server = Server::start(None);
    for path in ["/healthz", "/readyz", "/livez", "/metrics", "/"] {
        let (head, body) = server.get(path);
        assert!(head.starts_with("HTTP/1.1 503"), "{path}: {head}");
        assert!(body.contains("the loop did not answer within 1 s"), "{path}: {body}");
    }
    let (head, _) = server.get("/nowhere");
    assert!(head.starts_with("HTTP/1.1 404"), "what needs no loop is answered: {head}");
}

#[test]
fn requests_are_counted_by_path_and_code() {
    let server = Server::start(Some(colony(1)));
    server.get("/healthz?verbose");
    server.get("/healthz");
    server.get("/../../etc/passwd");
    let (_, body) = server.get("/metrics");
    for line in [
        "ncolony_http_requests_total{code=\"200\",path=\"/healthz\"} 2",
        "ncolony_http_requests_total{code=\"404\",path=\"other\"} 1",
        "ncolony_http_requests_total{code=\"200\",path=\"/livez\"} 0",
    ] {
        assert!(body.lines().any(|l| l == line), "{line} is not in {body}");
    }
}

#[test]
fn exclude_is_decoded_and_a_failure_names_its_reason() {
    let mut snapshot = colony(0);
    let mut view = process("a b");
    (view.ready, view.state, view.reason) = (false, State::Backoff, "CrashLoopBackOff");
    view.message = "back-off 8 s: exit code 1".to_string();
    snapshot.processes.push(view);
    let server = Server::start(Some(snapshot));
    let (head, body) = server.get("/readyz");
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(body.contains("\n[-]a b failed: CrashLoopBackOff: back-off 8 s: exit code 1\n"), "{body}");
    assert_eq!(server.get("/readyz?exclude=a%20b").1, "ok");
    assert_eq!(server.get("/livez").1, "ok");
}

#[test]
fn promtool_finds_nothing_to_say() {
    if !needs::has_promtool() {
        return;
    }
    let mut snapshot = colony(3);
    snapshot.processes.push(process("quoted \"name\" \\ and größe"));
    snapshot.processes[0].scheduled = true;
    snapshot.processes[0].interval = Some(60.0);
    snapshot.processes[0].last_success = Some(Wall::from_nanos(1_790_000_000_000_000_000));
    let (_, body) = Server::start(Some(snapshot)).get("/metrics");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is there");
    promtool.stdin.take().expect("a pipe").write_all(body.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_policy_allows_the_script_of_the_page_and_no_other() {
    let server = Server::start(Some(colony(1)));
    let (head, body) = server.get("/");
    let (_, script) = body.split_once("<script>").expect("it has one");
    let (script, rest) = script.split_once("</script>").expect("it ends");
    assert!(!rest.contains("<script"), "one script");
    let mut sum = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("coreutils");
    sum.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("it reads");
    let output = sum.wait_with_output().expect("it ends");
    let hash = base64_of_hex(&String::from_utf8_lossy(&output.stdout)[..64]);
    assert!(head.contains(&format!("script-src 'sha256-{hash}';")), "page.rs must say sha256-{hash}, and says {head}");
}

fn base64_of_hex(hex: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u32> = hex
        .chars()
        .map(|c| c.to_digit(16).expect("a hexadecimal digit"))
        .flat_map(|digit| (0..4).rev().map(move |bit| digit >> bit & 1))
        .collect();
    let digit = |six: &[u32]| {
        let value = six.iter().chain(&[0; 6]).take(6).fold(0, |value, bit| value << 1 | bit);
        char::from(DIGITS[value as usize])
    };
    let mut text: String = bits.chunks(6).map(digit).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}
