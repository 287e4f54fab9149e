//! What an edit of each key costs, and that the table of them is whole.

use super::manifest::{Defaults, parse};
use super::schema::OURS;
use crate::model::ProcessSpec;

/// What it takes for an edit to be in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cost {
    /// A new run: it is something that a run is born with.
    Birth,
    /// Nothing: the living run is governed by it from then on.
    Nothing,
}

/// A key, the text before an edit of it, and after.
type Row = (&'static str, &'static str, &'static str, Cost);

/// Every key of ours, some by several edits.
const TABLE: &[Row] = &[
    ("args", "args: [a]", "args: [b]", Cost::Birth),
    ("args", "args: [a]", "args: [a, \"\"]", Cost::Birth),
    ("command", "", "command: [b]", Cost::Birth),
    ("env", "env: {A: b}", "env: {A: c}", Cost::Birth),
    ("env", "env: {A: b, C: d}", "env: {A: b}", Cost::Birth),
    ("env_inherit", "", "env_inherit: [A]", Cost::Birth),
    ("envInherit", "envInherit: [A]", "envInherit: [A, B]", Cost::Birth),
    ("env_inherit", "env_inherit: [A]", "env_inherit: [A*]", Cost::Birth),
    ("env", "env: [{name: A}]", "env: [{name: A, valueFrom: {file: /run/a}}]", Cost::Birth),
    ("env", "command: [b]\nenv: {A: c, B: $(A)}", "command: [b]\nenv: {B: $(A), A: c}", Cost::Birth),
    ("envFrom", "", "envFrom: [{file: /run/env}]", Cost::Birth),
    ("envFrom", "envFrom: [{file: /run/env}]", "envFrom: [{file: /run/env, optional: true}]", Cost::Birth),
    ("envFrom", "envFrom: [{file: /run/env}]", "envFrom: [{file: /run/env, prefix: P_}]", Cost::Birth),
    ("uid", "", "uid: 3", Cost::Birth),
    ("gid", "gid: 2", "gid: 3", Cost::Birth),
    ("workingDir", "", "workingDir: /x", Cost::Birth),
    ("umask", "", "umask: \"0027\"", Cost::Birth),
    ("securityContext", "", "securityContext: {allowPrivilegeEscalation: false}", Cost::Birth),
    ("securityContext", "", "securityContext: {runAsUser: 3}", Cost::Birth),
    ("securityContext", "", "securityContext: {runAsUser: www}", Cost::Birth),
    ("securityContext", "", "securityContext: {runAsGroup: 3}", Cost::Birth),
    ("securityContext", "", "securityContext: {supplementalGroups: [3]}", Cost::Birth),
    ("securityContext", "", "securityContext: {runAsNonRoot: true}", Cost::Birth),
    ("securityContext", "", "securityContext: {capabilities: {drop: [ALL]}}", Cost::Birth),
    ("securityContext", "", "securityContext: {capabilities: {add: [NET_RAW]}}", Cost::Birth),
    ("rlimits", "rlimits: {nofile: 4096}", "rlimits: {nofile: 8192}", Cost::Birth),
    ("nice", "nice: 1", "nice: 2", Cost::Birth),
    ("oomScoreAdj", "oomScoreAdj: 1", "oomScoreAdj: 2", Cost::Birth),
    ("resources", "", "resources: {limits: {memory: 64Mi}}", Cost::Birth),
    ("output", "", "output: json", Cost::Birth),
    ("output", "output: {onFull: block}", "output: {onFull: drop}", Cost::Birth),
    ("group", "group: [g]", "group: [h]", Cost::Nothing),
    ("restartPolicy", "", "restartPolicy: Never", Cost::Nothing),
    (
        "restartPolicyRules",
        "restartPolicy: Never",
        "restartPolicy: Never\nrestartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [1]}}]",
        Cost::Nothing,
    ),
    ("backoff", "", "backoff: {thresholdSeconds: 7}", Cost::Nothing),
    ("backoff", "backoff: {initialSeconds: 2}", "backoff: {initialSeconds: 3}", Cost::Nothing),
    ("backoff", "", "backoff: {maxSeconds: 9}", Cost::Nothing),
    ("terminationGracePeriodSeconds", "", "terminationGracePeriodSeconds: 9", Cost::Nothing),
    ("lifecycle", "", "lifecycle: {stopSignal: INT}", Cost::Nothing),
    ("lifecycle", "", "lifecycle: {preStop: {sleep: {seconds: 1}}}", Cost::Nothing),
    ("lifecycle", "", "lifecycle: {postStart: {exec: {command: [x]}}}", Cost::Nothing),
    ("killMode", "", "killMode: group", Cost::Nothing),
    ("livenessProbe", "", "livenessProbe: {exec: {command: [a]}}", Cost::Nothing),
    ("readinessProbe", "", "readinessProbe: {exec: {command: [a]}}", Cost::Nothing),
    ("startupProbe", "", "startupProbe: {exec: {command: [a]}}", Cost::Nothing),
    ("livenessProbe", "livenessProbe: {grpc: {port: 1}}", "livenessProbe: {grpc: {port: 2}}", Cost::Nothing),
    (
        "livenessProbe",
        "livenessProbe: {grpc: {port: 1}}",
        "livenessProbe: {grpc: {port: 1}, terminationGracePeriodSeconds: 3}",
        Cost::Nothing,
    ),
    // Where to notify, and how often, is in the environment.
    ("readinessProbe", "readinessProbe: {exec: {command: [a]}}", "readinessProbe: {notify: {}}", Cost::Birth),
    ("startupProbe", "", "startupProbe: {notify: {}}", Cost::Birth),
    (
        "startupProbe",
        "startupProbe: {notify: {}}",
        "startupProbe: {notify: {}, periodSeconds: 5, failureThreshold: 5}",
        Cost::Nothing,
    ),
    ("readinessProbe", "startupProbe: {notify: {}}", "readinessProbe: {notify: {}}", Cost::Nothing),
    ("livenessProbe", "readinessProbe: {notify: {}}", "livenessProbe: {notify: {}}", Cost::Birth),
    ("livenessProbe", "livenessProbe: {notify: {}}", "livenessProbe: {notify: {}, periodSeconds: 5}", Cost::Birth),
    (
        "livenessProbe",
        "livenessProbe: {notify: {}, periodSeconds: 6, failureThreshold: 1}",
        "livenessProbe: {notify: {}, periodSeconds: 2, failureThreshold: 3}",
        Cost::Nothing,
    ),
    ("ncolony.beatcheck", "", "ncolony.beatcheck: {period: 1, grace: 1, status: /s}", Cost::Nothing),
    (
        "ncolony.httpcheck",
        "",
        "ncolony.httpcheck: {url: \"http://h/\", period: 1, timeout: 1, maxBad: 1, grace: 1}",
        Cost::Nothing,
    ),
    ("readinessGate", "", "readinessGate: false", Cost::Nothing),
    ("dependsOn", "", "dependsOn: [other]", Cost::Nothing),
    ("essential", "", "essential: true", Cost::Nothing),
    ("replicas", "", "replicas: 3", Cost::Nothing),
    ("schedule", "", "schedule: {every: 9}", Cost::Nothing),
    ("schedule", "schedule: {every: 9}", "schedule: {every: 8}", Cost::Nothing),
    ("schedule", "schedule: \"0 3 * * *\"", "schedule: \"0 4 * * *\"", Cost::Nothing),
    ("schedule", "schedule: 0 3 * * *", "schedule: 0 4 * * *", Cost::Nothing),
    ("timeZone", "schedule: 0 3 * * *", "schedule: 0 3 * * *\ntimeZone: Asia/Tokyo", Cost::Nothing),
    ("concurrencyPolicy", "schedule: {every: 9}", "schedule: {every: 9}\nconcurrencyPolicy: Replace", Cost::Nothing),
    ("activeDeadlineSeconds", "restartPolicy: Never", "restartPolicy: Never\nactiveDeadlineSeconds: 6", Cost::Nothing),
    (
        "startingDeadlineSeconds",
        "schedule: 0 3 * * *",
        "schedule: 0 3 * * *\nstartingDeadlineSeconds: 60",
        Cost::Nothing,
    ),
    ("suspend", "", "suspend: true", Cost::Nothing),
    // The application's own: a child can only see them at its birth.
    ("mine", "mine: {x: 1}", "mine: {x: \"1\"}", Cost::Birth),
    ("app.example.org/port", "", "app.example.org/port: 80", Cost::Birth),
];

fn spec(key: &str, text: &str) -> ProcessSpec {
    let has_args = text.lines().any(|line| line.starts_with("args:"));
    let text = if has_args { text.to_string() } else { format!("args: [a]\n{text}\n") };
    match parse("web", text.as_bytes(), &Defaults::STANDARD) {
        Ok(manifest) => manifest.spec,
        Err(found) => panic!("{key}: {}", found.iter().map(ToString::to_string).collect::<String>()),
    }
}

#[test]
fn only_what_a_run_is_born_with_costs_a_run() {
    for (key, before, after, cost) in TABLE {
        let [before, after] = [before, after].map(|text| spec(key, text));
        let found = if before.born == after.born { Cost::Nothing } else { Cost::Birth };
        assert_eq!(found, *cost, "an edit of {key}");
        assert_ne!(before.whole, after.whole, "an edit of {key} is none");
    }
}

#[test]
fn every_key_of_ours_is_in_the_table() {
    for key in OURS {
        assert!(TABLE.iter().any(|(row, ..)| row == key), "{key}: does an edit of it cost a run? Add a row");
    }
}

#[test]
fn what_is_written_in_another_way_is_no_edit() {
    let yaml = spec("all", "args: [a]\nenv: {A: b, C: d}\nmine: {x: 1, y: [2]}\nkillMode: group\n");
    let other = spec("all", "mine: {y: [2], x: 1}\nkillMode: \"group\"\nenv:\n  C: d\n  A: b\nargs:\n- a\n");
    let json = r#"{"args": ["a"], "env": {"A": "b", "C": "d"}, "mine": {"x": 1, "y": [2]}, "killMode": "group"}"#;
    let json = parse("web", json.as_bytes(), &Defaults::STANDARD).expect("good").spec;
    assert_eq!((yaml.born, yaml.born), (other.born, json.born));
}
