//! `livenessProbe`, `readinessProbe`, `startupProbe`, `ncolony.httpcheck`.

use std::path::PathBuf;
use std::time::Duration;

use ncolony::config;
use ncolony::model::{HttpGet, Notify, Probe, ProbeHandler, ProbeKind, Scheme};

use super::DEFAULTS;
use super::parse::{bad, good};

fn probes(keys: &str) -> Vec<Probe> {
    good(&format!("args: [a]\n{keys}\n")).probes
}

/// The only probe of a file with these keys.
fn probe(keys: &str) -> Probe {
    let [probe] = probes(keys).try_into().expect("one probe");
    probe
}

fn said(keys: &str) -> Vec<String> {
    let text = format!("args: [a]\n{keys}\n");
    let warnings = config::parse("web", text.as_bytes(), &DEFAULTS).expect("a good file").warnings;
    warnings.iter().map(|diagnostic| diagnostic.summary()).collect()
}

fn get(host: &str, port: u16, path: &str) -> HttpGet {
    HttpGet { scheme: Scheme::Http, host: host.into(), port, path: path.into(), headers: Vec::new() }
}

// The defaults of SetDefaults_Probe in pkg/apis/core/v1/defaults.go of Kubernetes.
#[test]
fn what_a_probe_does_not_say_is_as_in_a_pod() {
    for (key, kind) in [
        ("livenessProbe", ProbeKind::Liveness),
        ("readinessProbe", ProbeKind::Readiness),
        ("startupProbe", ProbeKind::Startup),
    ] {
        let expected = Probe {
            kind,
            handler: ProbeHandler::HttpGet(get("127.0.0.1", 8080, "/")),
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
            grace: None,
        };
        assert_eq!(probe(&format!("{key}: {{httpGet: {{port: 8080}}}}")), expected);
    }
}

// Of SetDefaults_HTTPGetAction there, and of the kubelet's probes, to which an empty host is the Pod's own.
#[test]
fn an_empty_path_host_or_scheme_is_one_that_is_not_said_as_in_a_pod() {
    let keys = "livenessProbe: {httpGet: {port: 80, path: \"\", host: \"\", scheme: \"\"}}\n\
                readinessProbe: {tcpSocket: {port: 80, host: \"\"}}";
    let handlers: Vec<ProbeHandler> = probes(keys).into_iter().map(|probe| probe.handler).collect();
    let socket = ProbeHandler::TcpSocket { host: "127.0.0.1".into(), port: 80 };
    assert_eq!(handlers, [ProbeHandler::HttpGet(get("127.0.0.1", 80, "/")), socket]);
}

#[test]
fn every_field_is_taken_and_seconds_may_have_fractions() {
    let all = "initialDelaySeconds: 1.5, periodSeconds: 0.25, timeoutSeconds: 0.125, failureThreshold: 7";
    let found =
        probe(&format!("readinessProbe: {{tcpSocket: {{port: 5432, host: db.local}}, {all}, successThreshold: 2}}"));
    let expected = Probe {
        kind: ProbeKind::Readiness,
        handler: ProbeHandler::TcpSocket { host: "db.local".into(), port: 5432 },
        initial_delay: Duration::from_millis(1500),
        period: Duration::from_millis(250),
        timeout: Duration::from_millis(125),
        success_threshold: 2,
        failure_threshold: 7,
        grace: None,
    };
    assert_eq!(found, expected);
    let found =
        probe(&format!("livenessProbe: {{tcpSocket: {{port: 5432}}, {all}, terminationGracePeriodSeconds: 0.5}}"));
    assert_eq!(found.grace, Some(Duration::from_millis(500)));
    assert_eq!(found.handler, ProbeHandler::TcpSocket { host: "127.0.0.1".into(), port: 5432 });
}

#[test]
fn each_way_to_ask_is_taken() {
    let handler = |text: &str| probe(&format!("livenessProbe: {{{text}}}")).handler;
    assert_eq!(
        handler("exec: {command: [pg_isready, -q]}"),
        ProbeHandler::Exec(vec!["pg_isready".into(), "-q".into()])
    );
    let headers = vec![("Host".to_string(), "x".to_string())];
    assert_eq!(
        handler("httpGet: {port: 80, host: \"::1\", path: /a?b, scheme: HTTP, httpHeaders: [{name: Host, value: x}]}"),
        ProbeHandler::HttpGet(HttpGet { headers, ..get("::1", 80, "/a?b") })
    );
    assert_eq!(handler("grpc: {port: 50051}"), ProbeHandler::Grpc { port: 50051, service: String::new() });
    assert_eq!(handler("grpc: {port: 1, service: a.B}"), ProbeHandler::Grpc { port: 1, service: "a.B".into() });
    assert_eq!(handler("heartbeat: {file: /run/b}"), ProbeHandler::Heartbeat(PathBuf::from("/run/b")));
    assert_eq!(handler("notify: {}"), ProbeHandler::Notify);
}

#[test]
fn probes_stand_in_the_order_of_their_kinds_however_they_are_written() {
    let check = "ncolony.httpcheck: {url: \"http://h\", period: 1, timeout: 1, maxBad: 0, grace: 0}";
    let keys = format!(
        "{check}\nreadinessProbe: {{notify: {{}}}}\nlivenessProbe: {{notify: {{}}}}\nstartupProbe: {{notify: {{}}}}"
    );
    assert_eq!(probes(&keys).iter().map(|probe| probe.kind).collect::<Vec<_>>(), ProbeKind::ALL);
}

#[test]
fn an_http_check_is_as_the_original_has_it() {
    let check = |url: &str| {
        let keys = format!("{{url: \"{url}\", period: 8, timeout: 20, maxBad: 2, grace: 1.5}}");
        probe(&format!("ncolony.httpcheck: {keys}"))
    };
    let expected = Probe {
        kind: ProbeKind::HttpCheck,
        handler: ProbeHandler::AnyAnswer(get("h", 8080, "/a/b?c=d")),
        initial_delay: Duration::from_secs(12),
        period: Duration::from_secs(8),
        timeout: Duration::from_secs(8),
        success_threshold: 1,
        failure_threshold: 3,
        grace: None,
    };
    assert_eq!(check("http://h:8080/a/b?c=d#e"), expected);
    for (url, asked) in [
        ("http://h", get("h", 80, "/")),
        ("http://h?x", get("h", 80, "/?x")),
        ("http://[::1]:81/x", get("::1", 81, "/x")),
        ("HTTP://127.0.0.1/", get("127.0.0.1", 80, "/")),
        ("https://h", HttpGet { scheme: Scheme::Https, ..get("h", 443, "/") }),
        ("https://h:8443/x", HttpGet { scheme: Scheme::Https, ..get("h", 8443, "/x") }),
    ] {
        assert_eq!(check(url).handler, ProbeHandler::AnyAnswer(asked), "{url}");
    }
    assert_eq!(probes("ncolony.httpcheck: null"), []);
    assert_eq!(probes("ncolony.httpcheck: {url: \"http://h\", period: 2, timeout: 1, maxBad: 0, grace: 0}").len(), 1);
}

#[test]
fn what_is_no_url_of_http_is_refused() {
    let check = |url: &str| {
        bad(format!("args: [a]\nncolony.httpcheck: {{url: \"{url}\", period: 1, timeout: 1, maxBad: 1, grace: 1}}"))
    };
    let expected =
        ["web:2:26: ncolony.httpcheck.url: expected a URL, http://HOST:PORT/PATH or https://HOST:PORT/PATH, without \
          user and password"];
    for url in ["", "h", "/x", "h:80", "http:", "http://", "http://h:x/", "http://h:0/", "http://h:65536/", "ftp://h/"]
    {
        assert_eq!(check(url), expected, "{url:?}");
    }
    for url in ["http://u:p@h/", "http://u@h/", "http:///x", "http://h:/", "http://:80/", "http://h /"] {
        assert_eq!(check(url), expected, "{url:?}");
    }
}

#[test]
fn a_probe_has_one_handler() {
    let found = |probe: &str| bad(format!("args: [a]\nlivenessProbe: {probe}"));
    let of = "expected one of exec, httpGet, tcpSocket, grpc, heartbeat, notify";
    assert_eq!(found("{}"), [format!("web:2:16: livenessProbe: {of}, found none")]);
    assert_eq!(found("{periodSeconds: 3}"), [format!("web:2:16: livenessProbe: {of}, found none")]);
    assert_eq!(found("{notify: {}, grpc: {port: 3}}"), [format!("web:2:29: livenessProbe: {of}, found more")]);
}

// Of pkg/apis/core/validation of Kubernetes: validateLivenessProbe, validateReadinessProbe, validateStartupProbe.
#[test]
fn what_a_pod_may_not_say_is_refused() {
    let found = |key: &str, text: &str| bad(format!("args: [a]\n{key}: {{notify: {{}}, {text}}}"));
    for (key, kind) in [("livenessProbe", "liveness"), ("startupProbe", "startup")] {
        let message = format!("successThreshold: expected 1: one success of a {kind} probe is enough");
        let [said] = &found(key, "successThreshold: 2")[..] else { panic!("{key}") };
        assert!(said.ends_with(&message), "{said}");
    }
    assert_eq!(
        found("readinessProbe", "terminationGracePeriodSeconds: 2"),
        ["web:2:30: readinessProbe.terminationGracePeriodSeconds: a readiness probe ends no run"]
    );
    for (text, message) in [
        ("failureThreshold: 0", "failureThreshold: expected a whole number from 1 to 2147483647"),
        ("successThreshold: 0", "successThreshold: expected a whole number from 1 to 2147483647"),
        ("failureThreshold: 1.5", "failureThreshold: expected a whole number from 1 to 2147483647"),
        ("failureThreshold: 2147483648", "failureThreshold: expected a whole number from 1 to 2147483647"),
        ("periodSeconds: 0", "periodSeconds: out of range, expected 0.05 to 3153600000 seconds"),
        ("timeoutSeconds: 0", "timeoutSeconds: out of range, expected 0.001 to 3153600000 seconds"),
        ("initialDelaySeconds: -1", "initialDelaySeconds: out of range, expected 0 to 3153600000 seconds"),
        (
            "terminationGracePeriodSeconds: 0",
            "terminationGracePeriodSeconds: out of range, expected 0.001 to 3153600000 seconds",
        ),
    ] {
        let column = 30 + text.find(' ').unwrap_or_default();
        assert_eq!(found("livenessProbe", text), [format!("web:2:{column}: livenessProbe.{message}")], "{text}");
    }
}

#[test]
fn what_hardly_works_is_warned_of() {
    let quiet = [
        "livenessProbe: {httpGet: {port: 1}, periodSeconds: 0.5}",
        "livenessProbe: {httpGet: {port: 1}, periodSeconds: 2, timeoutSeconds: 2}",
        "livenessProbe: {exec: {command: [a]}, periodSeconds: 1}",
        "livenessProbe: {heartbeat: {file: /b}, periodSeconds: 2}",
        "livenessProbe: {notify: {}, periodSeconds: 0.1}",
    ];
    for keys in quiet {
        assert_eq!(said(keys), [""; 0], "{keys}");
    }
    let rows = [
        (
            "livenessProbe: {httpGet: {port: 1}, periodSeconds: 2, timeoutSeconds: 3}",
            "web:2:71: warning: livenessProbe.timeoutSeconds: longer than periodSeconds: a slow answer delays the next probe",
        ),
        (
            "startupProbe: {exec: {command: [a]}, periodSeconds: 0.9}",
            "web:2:53: warning: startupProbe.periodSeconds: a process is started each time",
        ),
        (
            "livenessProbe: {notify: {}, timeoutSeconds: 1}",
            "web:2:45: warning: livenessProbe.timeoutSeconds: nothing is asked, so nothing is waited for",
        ),
        (
            "livenessProbe: {heartbeat: {file: b}}",
            "web:2:35: warning: livenessProbe.heartbeat.file: looked for in the monitor's directory",
        ),
        (
            "readinessProbe: {heartbeat: {file: /b}, periodSeconds: 1.9}",
            "web:2:56: warning: readinessProbe.periodSeconds: shorter than the time stamps of some file systems (FAT, NFS), where two beats may look like one",
        ),
    ];
    for (keys, message) in rows {
        assert_eq!(said(keys), [message], "{keys}");
    }
}

#[test]
fn a_run_is_born_knowing_whom_to_notify_and_how_often() {
    let notify = |keys: &str| good(&format!("args: [a]\n{keys}\n")).birth.sd_notify;
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(notify(""), None);
    assert_eq!(notify("livenessProbe: {grpc: {port: 1}}"), None);
    assert_eq!(notify("startupProbe: {notify: {}}"), Some(Notify { watchdog: None }));
    assert_eq!(notify("readinessProbe: {notify: {}}"), Some(Notify { watchdog: None }));
    assert_eq!(notify("livenessProbe: {notify: {}}"), Some(Notify { watchdog: seconds(30) }));
    let all = "readinessProbe: {notify: {}}\nlivenessProbe: {notify: {}, periodSeconds: 4, failureThreshold: 2}";
    assert_eq!(notify(all), Some(Notify { watchdog: seconds(8) }));
    let liveness_by_another = "readinessProbe: {notify: {}}\nlivenessProbe: {grpc: {port: 1}}";
    assert_eq!(notify(liveness_by_another), Some(Notify { watchdog: None }));
    let long = "livenessProbe: {notify: {}, periodSeconds: 3153600000, failureThreshold: 2147483647}";
    assert!(notify(long).is_some_and(|notify| notify.watchdog.is_some()));
}

// S16: what is asked may hold a token.
#[test]
fn no_header_and_no_command_of_a_probe_is_printed() {
    let texts = [
        "args: [a]\nlivenessProbe: {exec: {command: [a, hunter2]}, periodSeconds: 3}\nuid: x",
        "args: [a]\nreadinessProbe: {httpGet: {port: 1, httpHeaders: [{name: A, value: hunter2}]}, periodSecond: 1}",
        "args: [a]\nncolony.httpcheck: {url: \"http://h/?key=hunter2\", period: 1, timeout: 1, maxBad: 1, grace: 1}\nuid: x",
        "{\"args\": [\"a\"], \"startupProbe\": {\"exec\": {\"command\": [\"hunter2\"]}}, \"uid\": \"x\"}",
    ];
    for text in texts {
        let found = config::parse("web", text.as_bytes(), &DEFAULTS).map(|taken| taken.spec).expect_err(text);
        let shown: String = found.iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
    }
}
