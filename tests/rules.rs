//! The alerts in `deploy/`: that Prometheus takes them, that each fires when it should and not else, and that each has its
//! section in the README. `e2e::prometheus` sees them fire and end.

mod needs;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const README: &str = include_str!("../README.md");
/// The files of unit tests.
const UNITS: [&str; 3] = ["processes.yaml", "schedules.yaml", "monitor.yaml"];

fn read(file: &str) -> Value {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("it is there");
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// The alerts as they are shipped.
fn alerts() -> Vec<Value> {
    let shipped = read("deploy/components/monitoring/prometheus-rules.yaml");
    assert_eq!(shipped["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(shipped["kind"], "PrometheusRule");
    let groups = items(&shipped["spec"]["groups"]);
    groups.flat_map(|group| items(&group["rules"]).cloned().collect::<Vec<_>>()).collect()
}

/// What promtool says in a directory, and whether it is content.
fn promtool(dir: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new("promtool").args(args).current_dir(dir).output().expect("it is there");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    (output.status.success(), said)
}

/// Writes the rules as promtool takes them: what is below `spec`. YAML is JSON, too.
fn unpack(dir: &Path, spec: &Value) {
    fs::write(dir.join("rules.yaml"), spec.to_string()).expect("a file");
    for file in UNITS {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(file);
        fs::copy(from, dir.join(file)).expect("a file");
    }
}

#[test]
fn prometheus_takes_the_rules_and_each_alert_fires_when_it_should_and_not_else() {
    if !needs::has_promtool() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let shipped = read("deploy/components/monitoring/prometheus-rules.yaml");
    unpack(dir.path(), &shipped["spec"]);
    let (is_good, said) = promtool(dir.path(), &["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]);
    assert!(is_good, "{said}");
    let tests = ["test", "rules"].into_iter().chain(UNITS).collect::<Vec<_>>();
    let (is_good, said) = promtool(dir.path(), &tests);
    assert!(is_good, "{said}");

    // And one that never fires is noticed.
    let mut broken = shipped["spec"].clone();
    let groups = broken["groups"].as_array_mut().expect("groups");
    groups.iter_mut().flat_map(|group| group["rules"].as_array_mut().expect("rules")).for_each(|rule| {
        rule["expr"] = "vector(0) > 1".into();
    });
    unpack(dir.path(), &broken);
    let (is_good, said) = promtool(dir.path(), &tests);
    let unnoticed: Vec<Value> =
        alerts().into_iter().filter(|alert| !said.contains(&format!("alertname: {},", word(alert, "alert")))).collect();
    assert!(!is_good && unnoticed.is_empty(), "{unnoticed:?}: {said}");
}

#[test]
fn each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let units: Vec<Value> = UNITS.iter().map(|file| read(&format!("tests/rules/{file}"))).collect();
    let cases: Vec<&Value> =
        units.iter().flat_map(|unit| items(&unit["tests"])).flat_map(|test| items(&test["alert_rule_test"])).collect();
    let names = |fires: bool| -> BTreeSet<&str> {
        let is_it = |case: &&&Value| items(&case["exp_alerts"]).next().is_some() == fires;
        cases.iter().filter(is_it).map(|case| word(case, "alertname")).collect()
    };
    let alerts = alerts();
    let all: BTreeSet<&str> = alerts.iter().map(|alert| word(alert, "alert")).collect();
    assert!(all.len() == alerts.len() && all.len() > 20, "{all:?}");
    assert_eq!(names(true), all, "firing");
    assert_eq!(names(false), all, "silent");
}

#[test]
fn each_alert_says_what_is_wrong_how_bad_that_is_and_where_to_read_on() {
    let runbook = README.split("\n## ").find_map(|section| section.strip_prefix("Runbook\n")).expect("a runbook");
    let sections: BTreeSet<&str> =
        runbook.split("\n### ").skip(1).filter_map(|section| section.lines().next()).collect();
    let alerts = alerts();
    for alert in &alerts {
        let name = word(alert, "alert");
        let is_camel = name.starts_with("Ncolony") && name.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(is_camel, "{name}");
        assert!(["info", "warning", "critical"].contains(&word(&alert["labels"], "severity")), "{name}");
        assert!(alert["for"].is_string(), "{name}");
        let annotations = &alert["annotations"];
        let (summary, description) = (word(annotations, "summary"), word(annotations, "description"));
        assert!(summary.ends_with('.') && !summary.contains("{{"), "{name}: {summary}");
        // What is absent has no labels.
        let names_it = description.contains("$labels.instance") || word(alert, "expr").starts_with("absent(");
        assert!(names_it && description.ends_with('.'), "{name}: {description}");
        assert_eq!(word(annotations, "runbook_url"), format!("README.md#{}", name.to_lowercase()));
        assert!(sections.contains(name), "the runbook has no section {name}");
    }
    assert_eq!(sections.len(), alerts.len(), "the runbook has sections for alerts that there are not: {sections:?}");
}
