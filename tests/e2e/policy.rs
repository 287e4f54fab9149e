//! What follows an end, by exit codes.

use std::fs;

use serde_json::json;

use crate::support::Setup;

#[test]
fn an_exit_code_that_a_rule_names_is_followed_by_another_run_and_others_end_for_good() {
    let setup = Setup::new();
    let runs = setup.path("runs");
    // Twice 42, then an end by SIGTERM, then 7.
    let script = format!(
        "echo x >> {0}; case $(wc -l < {0}) in 1|2) exit 42;; 3) kill -TERM $$; sleep 1000;; esac; exit 7",
        runs.display()
    );
    let rules = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42, 143]}}]);
    let spec = json!({
        "args": ["/bin/sh", "-c", script],
        "env": {"PATH": "/bin:/usr/bin"},
        "restartPolicy": "Never",
        "restartPolicyRules": rules,
        "backoff": {"initialSeconds": 0.1, "maxSeconds": 0.1},
    });
    let colony = setup.file("train", &spec.to_string()).start();
    colony.wait_metric(r#"ncolony_process_state{process="train",state="failed"}"#, |value| value == 1.0);
    assert_eq!(fs::read_to_string(&runs).expect("it ran").lines().count(), 4);
    assert_eq!(colony.metric(r#"ncolony_process_last_exit_code{process="train"}"#), Some(7.0));
    // An end for good is a verdict of the file: one that is edited may have another.
    let mut edited = spec;
    edited["restartPolicyRules"][0]["exitCodes"]["operator"] = json!("NotIn");
    colony.write("train", &edited.to_string());
    colony.wait("another run", || (fs::read_to_string(&runs).expect("it ran").lines().count() > 4).then_some(()));
}
