//! One text: what it means.

use std::path::PathBuf;
use std::time::Duration;

use ncolony::config::{self, Severity};
use ncolony::model::{
    Account, EnvValue, Format, HttpGet, Inherited, Kill, OnFull, Output, PreStop, ProcessSpec, References, Restart,
    Schedule, Security, Signal,
};

use super::DEFAULTS;

pub(crate) fn good(text: &str) -> ProcessSpec {
    match config::parse("web", text.as_bytes(), &DEFAULTS) {
        Ok(manifest) => manifest.spec,
        Err(found) => panic!("{text}\n{}", found.iter().map(|d| format!("{d}\n")).collect::<String>()),
    }
}

/// The value of a variable, as the file has it.
fn env<'s>(spec: &'s ProcessSpec, name: &str) -> &'s str {
    match spec.birth.env.iter().find(|variable| variable.name == name).map(|variable| &variable.value) {
        Some(EnvValue::Text(text)) => text,
        other => panic!("{name}: {other:?}"),
    }
}

/// The first lines of everything that is wrong.
pub(crate) fn bad(text: impl AsRef<[u8]>) -> Vec<String> {
    match config::parse("web", text.as_ref(), &DEFAULTS) {
        Ok(manifest) => panic!("taken: {:?}", manifest.spec),
        Err(found) => found.iter().map(|diagnostic| diagnostic.summary()).collect(),
    }
}

fn warnings(text: &str) -> Vec<String> {
    let manifest = config::parse("web", text.as_bytes(), &DEFAULTS).expect("a good file");
    assert!(manifest.warnings.iter().all(|d| d.severity == Severity::Warning));
    manifest.warnings.iter().map(|diagnostic| diagnostic.summary()).collect()
}

#[test]
fn a_file_of_ncolony_is_taken_as_it_is() {
    let text = r#"{"args": ["/bin/true", "x"], "env": {"A": "1"}, "env_inherit": ["PATH"], "uid": 7, "gid": null,
        "group": ["g"], "ncolony.beatcheck": {"period": 10, "grace": 3, "status": "/run/beats"}, "mine": [1, {"a": null}]}"#;
    let spec = good(text);
    assert_eq!(spec.birth.argv, ["/bin/true", "x"]);
    assert_eq!(env(&spec, "A"), "1");
    assert_eq!(spec.birth.env_inherit, [Inherited::Name("PATH".into())]);
    assert_eq!((spec.birth.security.user, spec.birth.security.group), (Some(Account::Id(7)), None));
    assert_eq!(spec.groups, ["g"]);
    assert_eq!(spec.birth.config, text, "byte for byte");
    let beat = spec.heartbeat.expect("a heartbeat");
    assert_eq!((beat.period, beat.grace, beat.file), (Duration::from_secs(10), 3.0, PathBuf::from("/run/beats")));
    assert_eq!((spec.restart, spec.suspend, spec.readiness_gate), (Restart::Always, false, true));
    assert_eq!((spec.backoff, spec.stop.grace), (DEFAULTS.backoff, DEFAULTS.grace));
}

#[test]
fn every_key_is_understood_in_both_formats() {
    let yaml = "
command: [/bin/server]
args: [--port, \"$(PORT)\"]
env: {PORT: \"80\", HOST: \"h:$(PORT)\"}
envInherit: [PATH]
uid: 1000
gid: 1001
group: [front]
workingDir: /srv
restartPolicy: OnFailure
backoff: {thresholdSeconds: 0, initialSeconds: 0.5, maxSeconds: 60}
terminationGracePeriodSeconds: 30
lifecycle: {stopSignal: SIGQUIT}
killMode: group
schedule: {every: 90}
suspend: true
readinessGate: false
ncolony.beatcheck: {period: 1.5, grace: 0, status: /s}
output: {format: json, onFull: drop}
";
    let json = r#"{"command": ["/bin/server"], "args": ["--port", "$(PORT)"], "env": {"PORT": "80", "HOST": "h:$(PORT)"},
        "envInherit": ["PATH"], "uid": 1000, "gid": 1001, "group": ["front"], "workingDir": "/srv",
        "restartPolicy": "OnFailure", "backoff": {"thresholdSeconds": 0, "initialSeconds": 0.5, "maxSeconds": 60},
        "terminationGracePeriodSeconds": 30, "lifecycle": {"stopSignal": "SIGQUIT"}, "killMode": "group",
        "schedule": {"every": 90}, "suspend": true, "readinessGate": false,
        "ncolony.beatcheck": {"period": 1.5, "grace": 0, "status": "/s"},
        "output": {"format": "json", "onFull": "drop"}}"#;
    let spec = good(yaml);
    assert_eq!(spec.birth.argv, ["/bin/server", "--port", "$(PORT)"]);
    assert_eq!((env(&spec, "HOST"), spec.birth.references), ("h:$(PORT)", References::Expanded));
    let Security { user, group, .. } = &spec.birth.security;
    assert_eq!((user, group), (&Some(Account::Id(1000)), &Some(Account::Id(1001))));
    assert_eq!(spec.birth.working_dir, Some(PathBuf::from("/srv")));
    assert_eq!(spec.birth.output, Some(Output { format: Format::Json, on_full: OnFull::Drop }));
    assert_eq!(spec.restart, Restart::OnFailure);
    assert_eq!(spec.backoff.initial, Duration::from_millis(500));
    assert_eq!(spec.stop.signal, Signal::parse("QUIT").expect("a signal"));
    assert_eq!((spec.stop.grace, spec.stop.kill), (Duration::from_secs(30), Kill::Group));
    assert_eq!(spec.schedule, Some(Schedule::every(Duration::from_secs(90))));
    assert!(spec.suspend && !spec.readiness_gate);

    let same = good(json);
    assert_eq!(same.born, spec.born);
    assert_eq!(ProcessSpec { birth: same.birth.clone(), whole: same.whole, ..spec.clone() }, same);
}

#[test]
fn yaml_reaches_the_child_as_json() {
    let spec = good("args: [a]\nmine: {n: 0x1F, t: ~, f: .5, s: \"a\\tb\\\"\", l: [yes, +3]}\n");
    let expected = r#"{"args": ["a"], "mine": {"n": 31, "t": null, "f": 0.5, "s": "a\u0009b\"", "l": ["yes", 3]}}"#;
    assert_eq!(spec.birth.config, expected);
    let read: serde_json::Value = serde_json::from_str(&spec.birth.config).expect("JSON");
    assert_eq!(read["mine"]["s"], "a\tb\"");
}

#[test]
fn defaults_follow_the_file() {
    assert_eq!(good("args: [a]\nschedule: {every: 1}").restart, Restart::Never);
    assert_eq!(good("args: [a]\nschedule: {every: 1}\nrestartPolicy: Always").restart, Restart::Always);
    assert_eq!(good("args: [a]\nbackoff: {maxSeconds: 0.2}").backoff.initial, Duration::from_millis(200));
    assert_eq!(good("args: [a]\nbackoff: {initialSeconds: 900}").backoff.max, Duration::from_secs(900));
    let output = Output { format: Format::Inherit, on_full: OnFull::Block };
    assert_eq!(good("args: [a]\noutput: inherit").birth.output, Some(output));
    assert_eq!(good("args: [a]\nlifecycle: {stopSignal: 2}").stop.signal.as_raw(), 2);
}

#[test]
fn hooks_are_a_pods() {
    let of = |hook: &str| good(&format!("args: [a]\nlifecycle: {{preStop: {hook}}}")).stop.pre_stop.expect("a hook");
    assert_eq!(of("{exec: {command: [a, $(B)]}}"), PreStop::Exec(vec!["a".into(), "$(B)".into()]));
    assert_eq!(of("{sleep: {seconds: 1.5}}"), PreStop::Sleep(Duration::from_millis(1500)));
    let plain = HttpGet {
        scheme: ncolony::model::Scheme::Http,
        host: "127.0.0.1".into(),
        port: 80,
        path: "/".into(),
        headers: Vec::new(),
    };
    assert_eq!(of("{httpGet: {port: 80}}"), PreStop::HttpGet(plain));
    let full = r#"{httpGet: {port: 65535, host: "::1", path: "/a?b=c", scheme: HTTP,
        httpHeaders: [{name: X-A, value: "b c"}, {name: X-A, value: ""}]}}"#;
    let headers = vec![("X-A".into(), "b c".into()), ("X-A".into(), String::new())];
    let full_spec = HttpGet {
        scheme: ncolony::model::Scheme::Http,
        host: "::1".into(),
        port: 65535,
        path: "/a?b=c".into(),
        headers,
    };
    assert_eq!(of(full), PreStop::HttpGet(full_spec));
    assert_eq!(good("args: [a]\nlifecycle: {}").stop.pre_stop, None);
    let started = good("args: [a]\nlifecycle: {postStart: {exec: {command: [b, c]}}}");
    assert_eq!(started.post_start, Some(vec!["b".into(), "c".into()]));
}

#[test]
fn references_are_expanded_only_for_a_command() {
    assert_eq!(good("args: [a, $(A)]\nenv: {A: x}").birth.references, References::Kept);
    let spec = good("command: [a, $(A)]\nargs: [$$(A)]\nenv: {B: x, A: $(B)y}");
    assert_eq!((spec.birth.references, &*spec.birth.argv.join(" ")), (References::Expanded, "a $(A) $$(A)"));
    let names = |spec: &ProcessSpec| spec.birth.env.iter().map(|one| one.name.clone()).collect::<Vec<_>>().join(" ");
    assert_eq!(names(&spec), "B A", "a value sees what stands above it, so the order counts");
    assert_eq!(names(&good("command: [a]\nenv: {B: x, A: z}")), "A B", "here it does not");
    assert_eq!(names(&good("args: [a]\nenv: {B: x, A: $(B)}")), "A B", "nor here");
}

// C03
#[test]
fn byte_order_marks_and_dos_line_ends_are_taken() {
    let yaml = good("\u{feff}args:\r\n- a\r\nenv:\r\n  A: b\r\n");
    assert_eq!((env(&yaml, "A"), &*yaml.birth.argv), ("b", &["a".to_string()][..]));
    assert_eq!(good("\u{feff}\r\n {\"args\":\r\n [\"a\"]}\r\n").birth.argv, ["a"]);
}

// C04
#[test]
fn wrong_types_are_told_with_their_path() {
    let rows = [
        ("", "web: the file is empty"),
        (" \n", "web: the file is empty"),
        ("# nothing\n", "web:2:1: expected a map with the key \"args\", found nothing"),
        ("[]", "web:1:1: expected a map with the key \"args\", found a list"),
        ("{}", "web:1:1: the key \"args\" is missing: the program and its arguments, such as [\"sleep\", \"60\"]"),
        ("{\"args\": []}", "web:1:10: args: expected a program as the first text of this list"),
        ("{\"args\": [\"\"]}", "web:1:10: args: expected a program as the first text of this list"),
        ("{\"args\": \"sleep 1\"}", "web:1:10: args: expected a list of texts, found text"),
        ("{\"args\": null}", "web:1:10: args: expected a list of texts, found nothing"),
        ("{\"args\": [\"a\", 1]}", "web:1:16: args[1]: expected text, found a number"),
        ("{\"args\": [\"a\"], \"env\": {\"PORT\": 80}}", "web:1:33: env.PORT: expected text, found a number"),
        (
            "{\"args\": [\"a\"], \"env\": {\"A=B\": \"\"}}",
            "web:1:25: env.A=B: a variable's name is not empty and holds no \"=\" and no NUL",
        ),
        (
            "{\"args\": [\"a\"], \"env\": {\"\": \"\"}}",
            "web:1:25: env.: a variable's name is not empty and holds no \"=\" and no NUL",
        ),
        (
            "{\"args\": [\"a\"], \"env\": [\"A\"]}",
            "web:1:25: env[0]: expected a map with name and value or valueFrom, found text",
        ),
        ("{\"args\": [\"a\"], \"uid\": \"0\"}", "web:1:24: uid: expected a number, found text"),
        ("{\"args\": [\"a\"], \"uid\": -1}", "web:1:24: uid: expected a whole number from 0 to 4294967294"),
        ("{\"args\": [\"a\"], \"uid\": 1.5}", "web:1:24: uid: expected a whole number from 0 to 4294967294"),
        (
            "{\"args\": [\"a\"], \"gid\": 18446744073709551616}",
            "web:1:24: gid: expected a whole number from 0 to 4294967294",
        ),
        ("{\"args\": [\"a\"], \"suspend\": 1}", "web:1:28: suspend: expected true or false, found a number"),
        ("args: [a]\nsuspend: no", "web:2:10: suspend: expected true or false, found text"),
        ("args: [a]\nenv: {A: }", "web:2:8: env.A: expected text, found nothing"),
        ("args: [a]\nenv:\n", "web:2:4: env: expected a map of texts, NAME: \"value\", found nothing"),
        ("args: [a]\nkillMode: sometimes", "web:2:11: killMode: unknown value, expected mixed or group"),
        (
            "args: [a]\nlifecycle: {stopSignal: TERMINATE}",
            "web:2:25: lifecycle.stopSignal: expected a signal, such as SIGTERM, INT, RTMIN+3 or 15",
        ),
        ("args: [a]\nworkingDir: srv", "web:2:13: workingDir: expected an absolute path, one that starts with \"/\""),
        (
            "args: [a]\nschedule: 5",
            "web:2:11: schedule: expected a cron expression, such as \"30 2 * * *\", or {every: SECONDS}, found a number",
        ),
        (
            "args: [a]\nschedule: {}",
            "web:2:11: schedule: expected the key \"every\", the seconds from one start to the next",
        ),
        ("args: [a]\nncolony.beatcheck: {period: 2}", "web:2:20: ncolony.beatcheck: missing: grace, status"),
        (
            "args: [a]\nbackoff: {initialSeconds: 2, maxSeconds: 1}",
            "web:2:10: backoff: initialSeconds is longer than maxSeconds",
        ),
        (
            "args: [a]\noutput: {fromat: json}",
            "web:2:10: output.fromat: unknown key \"fromat\", expected format, onFull",
        ),
        ("{\"args\": [\"a\\u0000b\"]}", "web:1:11: args[0]: a NUL byte cannot be part of this text"),
    ];
    for (text, expected) in rows {
        assert_eq!(bad(text), [expected], "{text}");
    }
}

// C18
#[test]
fn numbers_out_of_range_are_told() {
    for literal in ["-1", "0", "1e400", "18446744073709551616", "3153600001", "1e-9"] {
        let expected = "web:1:39: schedule.every: out of range, expected 0.001 to 3153600000 seconds";
        let text = format!("{{\"args\": [\"a\"], \"schedule\": {{\"every\": {literal}}}}}");
        assert_eq!(bad(&text), [expected], "{text}");
    }
    for literal in ["NaN", "Infinity", "+1", ".5", "01", "1.", "0x10", "-"] {
        assert_eq!(bad(format!("{{\"args\": [\"a\"], \"schedule\": {{\"every\": {literal}}}}}")).len(), 1, "{literal}");
    }
    let found = bad("args: [a]\nterminationGracePeriodSeconds: 10s\nbackoff: {initialSeconds: .nan}");
    assert_eq!(
        found[0],
        "web:2:32: terminationGracePeriodSeconds: expected a number seconds, found text"
            .replace("number ", "number of ")
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn all_mistakes_of_a_file_are_told_in_its_order() {
    let found = bad("args: [1]\nuid: x\nkillMode: 3\nenv: {A: 1, B: 2}\n");
    let places: Vec<&str> = found.iter().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(places, ["web:1:8", "web:2:6", "web:3:11", "web:4:10", "web:4:16"]);
}

#[test]
fn a_file_of_mistakes_is_not_told_without_end() {
    let env: String = (0..500).map(|n| format!("  V{n}: {n}\n")).collect();
    let found = bad(format!("args: [a]\nenv:\n{env}"));
    assert_eq!(found.len(), 21);
    assert_eq!(found[20], "web: 480 more mistakes in this file are not listed");
}

// C06
#[test]
fn keys_that_stand_twice_are_refused_everywhere() {
    for (text, what) in [
        ("{\"args\": [\"a\"], \"uid\": 1, \"uid\": 0}", "uid"),
        ("{\"args\": [\"a\"], \"env\": {\"A\": \"\", \"A\": \"\"}}", "env.A"),
        ("{\"args\": [\"a\"], \"x\": [{\"y\": 1, \"\\u0079\": 2}]}", "x[0].y"),
        ("args: [a]\nuid: 1\nuid: 1\n", "uid"),
        ("args: [a]\nenv:\n  A: b\n  \"A\": c\n", "env.A"),
    ] {
        let found = bad(text);
        assert!(found.len() == 1 && found[0].contains(&format!(": {what}: this key stands here twice")), "{found:?}");
    }
    let both = bad("{\"args\": [\"a\"], \"env_inherit\": [1], \"envInherit\": [2]}");
    assert_eq!(both.len(), 2, "two spellings of one key are two keys");
}

// C17
#[test]
fn words_that_yaml_reads_in_two_ways_need_quotes_where_text_is_meant() {
    for word in [
        "no", "Yes", "on", "off", "y", "true", "1", "1.0", "0777", "12:30", "1e3", "1_000", "0b1", "0o17", ".inf", "~",
        "null",
    ] {
        let found = bad(format!("args: [a]\nenv: {{A: {word}}}"));
        assert!(found.len() == 1 && found[0].starts_with("web:2:10: env.A: expected text"), "{word}: {found:?}");
        assert_eq!(env(&good(&format!("args: [a]\nenv: {{A: \"{word}\"}}")), "A"), word);
        assert_eq!(env(&good(&format!("args: [a]\nenv: {{A: !!str {word}}}")), "A"), word);
    }
    for word in ["1.2.3", "127.0.0.1", "8080:80", "a:b", "2024-01-01", "+", "1s", "nope", "-v", "1e", "e5"] {
        assert_eq!(good(&format!("args: [a]\nenv:\n  A: {word}x\n  B: {word}\n")).birth.env.len(), 2);
    }
}

// C17
#[test]
fn what_yaml_has_beyond_one_plain_document_is_refused() {
    let rows = [
        ("args: [a]\n---\nargs: [b]\n", "web:2:1: a second document; a process file holds one"),
        ("%YAML 1.2\n---\nargs: [a]\n", "web:1:1: YAML directives are disallowed"),
        ("x: &x {A: b}\nargs: [a]\nenv: {<<: *x}\n", "web:3:7: merge keys (\"<<\") are not supported"),
        ("args: !!python/tuple [a]\n", "web:1:22: the tag !!python/tuple is not supported"),
        ("args: [a]\nuid: !!int \"3\"\n", "web:2:12: the tag !!int is not supported"),
        ("args: [a]\n? [k]\n: v\n", "web:2:3: expected a plain text as a key"),
        ("args: &a [*a]\n", "web:1:11: this alias stands inside what it names"),
    ];
    for (text, expected) in rows {
        let found = bad(text);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{text}: {found:?}");
    }
    assert_eq!(good("x: &x [a, b]\nargs: *x\n").birth.argv, ["a", "b"], "aliases are");
    for text in ["args:\n\t- a\n", "args: [a\n", "args: 'a\n", "args: [a]\n  uid: 3\n", "a: b: c\n", "args: *x\n"] {
        assert_eq!(bad(text).len(), 1, "{text}");
    }
}

// C01
#[test]
fn json_is_taken_strictly() {
    for text in [
        "{",
        "{\"args\"",
        "{\"args\":",
        "{\"args\": [",
        "{\"args\": [\"a\"",
        "{\"args\": [\"a\"]",
        "{\"args\": [\"a\"]} x",
        "{\"args\": [\"a\",]}",
        "{\"args\": [\"a\"],}",
        "{'args': ['a']}",
        "{args: [a]}",
        "{\"args\": [\"a\" \"b\"]}",
        "{\"args\": [\"\\x\"]}",
        "{\"args\": [\"\\ud800\"]}",
        "{\"args\": [\"\\ud800\\u0041\"]}",
        "{\"args\": [\"\\u00\"]}",
        "{\"args\": [\"a\nb\"]}",
        "{\"args\": [tru]}",
        "{\"args\": [\"a\"]} // x",
        "{\"args\": [\"\\u+123\"]}",
        "{]",
        "{\"a\": 1.2.3}",
    ] {
        assert_eq!(bad(text).len(), 1, "{text}");
    }
    let spec = good("{\"args\": [\"a\", \"\\u00e9\\ud83d\\ude00\\n\\/\\\"\"]}");
    assert_eq!(spec.birth.argv[1], "é😀\n/\"");
}

// C03
#[test]
fn bytes_that_are_no_text_are_told_with_their_offset() {
    assert_eq!(bad(b"args: [a]\nenv: {A: \xff\xfe}"), ["web:2:10: not UTF-8 at byte 19"]);
    assert_eq!(bad(b"args: [a]\0"), ["web:1:10: a NUL byte at byte 9"]);
    assert_eq!(bad(b"\xff\xfe"), ["web:1:1: not UTF-8 at byte 0"]);
}

// C05: but a key that is near to none of ours is the application's own, as it is with NColony.
#[test]
fn the_applications_own_keys_are_kept_and_misspellings_of_ours_are_warned_of() {
    assert_eq!(warnings("args: [a]\nport: 3\nncolony.mine: {url: x}\nmy.own/key: {}\n"), [""; 0]);
    assert_eq!(
        warnings("args: [a]\nworking_dir: /x\n"),
        ["web:2:1: warning: unknown key \"working_dir\", taken for one of the application's own"]
    );
    let found = bad("{\"arsg\": [\"a\"]}");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn an_essential_process_without_an_end_is_warned_of() {
    for policy in ["OnFailure", "Never"] {
        assert_eq!(warnings(&format!("args: [a]\nessential: true\nrestartPolicy: {policy}\n")), [""; 0]);
    }
    for text in ["args: [a]\nessential: true\n", "args: [a]\nessential: true\nrestartPolicy: Always\n"] {
        let found = warnings(text);
        let message = "this process never ends for good, so the colony does not end with it";
        assert_eq!(found, [format!("web:2:12: warning: essential: {message}")], "{text}");
    }
}

// S16
#[test]
fn no_value_of_the_environment_or_of_the_application_is_printed() {
    let texts = [
        "args: [a, --key=hunter2]\nenv:\n  A: hunter2\n  B: 3\n  A: hunter2\n",
        "{\"args\": [\"a\", \"hunter2\"], \"env\": {\"P\": \"hunter2\"}, \"mine\": {\"P\": \"hunter2\"}, \"uid\": \"x\"}",
        "{\"args\": [\"a\"], \"env\": {\"P\": \"hunter2\", \"Q\": hunter2}}",
        "{\"args\": [\"a\"], \"env\": {\"P\": \"hunter2}}",
        "{\"args\": [\"a\"], \"mine\": {\"P\": \"hunter2\"} \"env\": {\"P\": \"hunter2\"}}",
        "args: [a]\nenv:\n  P: \"hunter2\n",
        "args: [a]\nenv: {P: hunter2, Q: [\n",
        "args: [a]\nmine: hunter2: x\n",
        "args: [a]\nenv:\n  P: hunter2\n Q: hunter2\n",
        "args: [a]\nenv: hunter2\n",
        "args: [a]\nenv: [hunter2, {name: P, value: hunter2, valueFrom: {file: x}}, {name: Q, vaule: hunter2}]\n",
        "args: [a]\nenv:\n- {name: 7, value: hunter2}\n- name: P\n  value: hunter2\n - x\n",
        "args: [a]\nenv: {P: |\n hunter2\n hunter2\n}\n",
        "args: [a]\nrestartPolicy: Never\nenvv: {P: hunter2}\nuid: x",
    ];
    for text in texts {
        let found = config::parse("web", text.as_bytes(), &DEFAULTS).map(|taken| taken.spec).expect_err(text);
        let shown: String = found.iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
    }
}

// L02
#[test]
fn what_the_kernel_cannot_take_is_refused_before_it_is_asked() {
    let long = "x".repeat(128 * 1024);
    assert!(bad(format!("args: [a, {long}]"))[0].contains("MAX_ARG_STRLEN"));
    assert!(
        bad(format!("args: [a]\nenv: {{A: {long}}}"))[0].contains("env.A: longer than the kernel's limit of 131072")
    );
    let just = "x".repeat(100 * 1024);
    assert_eq!(good(&format!("args: [a, {just}]")).birth.argv[1].len(), 100 * 1024);
    let found = bad(format!("args: [a]\nenv: {{A: {just}}}\nmine: {just}"));
    assert!(found[0].contains("NCOLONY_CONFIG"), "{found:?}");
    let args = "$(A), ".repeat(300);
    let found = bad(format!("command: [a]\nargs: [{args}]\nenv: {{A: {}}}", "x".repeat(10_000)));
    assert!(found[0].contains("2097152"), "{found:?}");
}

// H05
#[test]
fn a_heartbeat_quicker_than_some_file_systems_clocks_is_warned_of() {
    let beat =
        |period: &str| warnings(&format!("args: [a]\nncolony.beatcheck: {{period: {period}, grace: 3, status: /b}}\n"));
    assert_eq!(beat("2"), [""; 0]);
    let expected = "web:2:29: warning: ncolony.beatcheck.period: shorter than the time stamps of some file systems (FAT, NFS), where two beats may look like one";
    assert_eq!(beat("1.9"), [expected]);
}
