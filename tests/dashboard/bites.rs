//! That each rule finds what it is there for: a dashboard that was right, one thing in it broken, and what is said.

use serde_json::{Value, json};

use crate::board::Board;
use crate::lint::RULES;

/// Breaks one thing of the JSON.
type Break = fn(&mut Value);

/// A rule, what is broken, and a part of what it says.
const BROKEN: &[(&str, Break, &str)] = &[
    ("template-datasource-rule", |b| b["templating"]["list"][0]["name"] = json!("ds"), "its name is"),
    ("template-datasource-rule", |b| b["templating"]["list"][0]["label"] = json!("Source"), "its label is"),
    ("template-datasource-rule", |b| b["templating"]["list"][0]["type"] = json!("textbox"), "0 variables"),
    ("template-job-rule", |b| *variable(b, "job") = json!({}), "there is no variable job"),
    ("template-job-rule", |b| variable(b, "job")["allValue"] = json!(".*"), "allValue is"),
    (
        "template-job-rule",
        |b| variable(b, "job")["datasource"] = json!({"type": "prometheus", "uid": "mine"}),
        "$datasource",
    ),
    ("template-instance-rule", |b| variable(b, "instance")["multi"] = json!(false), "multi is false"),
    ("template-instance-rule", |b| variable(b, "instance")["label"] = json!("instance"), "label is"),
    ("template-label-promql-rule", |b| ask(b, "job", "ncolony_build_info"), "expected label_values"),
    ("template-label-promql-rule", |b| ask(b, "job", "label_values(a{b=, job)"), "expected a quoted value"),
    ("template-on-time-change-reload-rule", |b| variable(b, "process")["refresh"] = json!(1), "is not asked again"),
    ("panel-datasource-rule", |b| panel(b)["datasource"] = json!({"type": "prometheus", "uid": "abc"}), "asks {"),
    ("panel-datasource-rule", |b| _ = target(b).as_object_mut().expect("a target").remove("datasource"), "asks null"),
    ("panel-title-description-rule", |b| panel(b)["title"] = json!(""), "has no title"),
    ("panel-title-description-rule", |b| panel(b)["description"] = json!(" "), "has no description"),
    ("panel-units-rule", |b| panel(b)["fieldConfig"]["defaults"]["unit"] = json!("seconds"), "seconds"),
    ("panel-units-rule", |b| panel(b)["fieldConfig"]["defaults"] = json!({}), "null"),
    ("panel-no-targets-rule", |b| panel(b)["targets"] = json!([]), "asks nothing"),
    ("target-promql-rule", |b| target(b)["expr"] = json!("up{"), "expected a label"),
    ("target-rate-interval-rule", |b| expr(b, "rate(process_cpu_seconds_total[5m])"), "process_cpu_seconds_total over"),
    ("target-rate-interval-rule", |b| expr(b, "increase(process_cpu_seconds_total[1h])"), "over Some(\"1h\")"),
    ("target-job-rule", |b| expr(b, r#"up{instance=~"$instance"}"#), r#"up lacks job=~"$job""#),
    ("target-job-rule", |b| expr(b, r#"up{job="$job"}"#), "lacks job"),
    ("target-instance-rule", |b| expr(b, r#"up{job=~"$job", instance=~"a"}"#), "lacks instance"),
    ("target-counter-agg-rule", |b| expr(b, "ncolony_messages_total"), "the counter ncolony_messages_total"),
    ("target-counter-agg-rule", |b| expr(b, "sum(ncolony_messages_total)"), "the counter ncolony_messages_total"),
    ("target-counter-agg-rule", |b| expr(b, "delta(ncolony_messages_total[$__rate_interval])"), "the counter"),
    ("uneditable-dashboard", |b| b["editable"] = json!(true), "it can be edited"),
    ("target-scope-rule", |b| expr(b, "ncolony_process_up"), r#"lacks process=~"$process""#),
    ("target-scope-rule", |b| expr(b, "ncolony_schedule_lag_seconds"), r#"lacks schedule=~"$process""#),
    ("target-scope-rule", |b| expr(b, "ncolony_strays"), r#"lacks pod=~"$pod""#),
    ("target-own-rule", |b| expr(b, "sum(up == bool 0)"), "of everything that is scraped: sum(up"),
    ("target-own-rule", |b| expr(b, "process_open_fds / process_max_fds"), "of everything that is scraped: process_"),
    // What is down has no build_info.
    (
        "target-own-rule",
        |b| expr(b, "up and on (job, instance) ncolony_build_info"),
        "of everything that is scraped: up",
    ),
    ("target-kind-rule", |b| target(b)["instant"] = json!(false), "does not ask for what it shows"),
    (
        "target-legend-rule",
        |b| {
            target(b)
                .as_object_mut()
                .expect("a target")
                .extend([("instant".into(), json!(false)), ("legendFormat".into(), json!(""))])
        },
        "its series have no name",
    ),
    ("template-chain-rule", |b| ask(b, "process", "label_values(ncolony_process_info, process)"), "what $job excludes"),
    ("template-known-rule", |b| expr(b, r#"up{job=~"$jobs"}"#), r#"no variable "jobs""#),
    ("template-known-rule", |b| b["annotations"]["list"][1]["expr"] = json!("rate(a[$__every])"), "__every"),
    ("dashboard-identity-rule", |b| b["id"] = json!(7), "the id of somebody's database"),
    ("dashboard-identity-rule", |b| b["uid"] = json!("n".repeat(41)), "its uid"),
    ("dashboard-identity-rule", |b| b["schemaVersion"] = json!(16), "its schemaVersion"),
    ("dashboard-identity-rule", |b| b["__inputs"] = json!([]), "__inputs"),
    ("panel-id-rule", |b| b["panels"][2]["id"] = json!(1), "is missing or taken"),
    ("panel-id-rule", |b| b["panels"][2]["id"] = Value::Null, "is missing or taken"),
    ("panel-grid-rule", |b| b["panels"][2]["gridPos"]["x"] = json!(22), "not within the 24 columns"),
    ("panel-grid-rule", |b| b["panels"][2]["gridPos"] = b["panels"][1]["gridPos"].clone(), "lies on"),
    ("panel-grid-rule", |b| panel(b)["gridPos"] = json!({"x": 0, "y": 0, "w": 24}), "not within"),
];

/// The first box that is no row.
fn panel(board: &mut Value) -> &mut Value {
    &mut board["panels"][1]
}

fn target(board: &mut Value) -> &mut Value {
    &mut panel(board)["targets"][0]
}

fn expr(board: &mut Value, text: &str) {
    target(board)["expr"] = json!(text);
}

fn variable<'a>(board: &'a mut Value, name: &str) -> &'a mut Value {
    let variables = board["templating"]["list"].as_array_mut().expect("variables");
    variables.iter_mut().find(|variable| variable["name"] == name).expect("it is there")
}

fn ask(board: &mut Value, name: &str, query: &str) {
    variable(board, name)["query"]["query"] = json!(query);
}

#[test]
fn every_rule_finds_what_is_broken() {
    for (name, spoil, expected) in BROKEN {
        let mut board = Board::shipped();
        spoil(&mut board.0);
        let rule = RULES.iter().find(|rule| rule.name == *name).unwrap_or_else(|| panic!("there is no rule {name}"));
        let found = (rule.find)(&board);
        assert!(found.iter().any(|line| line.contains(expected)), "{name} does not say {expected:?}, but {found:?}");
    }
    for rule in RULES {
        assert!(BROKEN.iter().any(|(name, ..)| *name == rule.name), "nothing shows that {} finds anything", rule.name);
    }
}
