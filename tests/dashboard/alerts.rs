//! That whoever is told by an alert finds here what it was judged by.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::board::{Board, list, word};
use crate::promql::{Selector, read};

/// The alerts of `deploy/components/monitoring/prometheus-rules.yaml`.
fn alerts() -> Vec<Value> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/components/monitoring/prometheus-rules.yaml");
    let rules: Value = serde_yaml::from_str(&fs::read_to_string(file).expect("the rules")).expect("YAML");
    list(&rules["spec"]["groups"]).iter().flat_map(|group| list(&group["rules"])).cloned().collect()
}

fn selectors(expr: &str) -> Vec<Selector> {
    read(expr).unwrap_or_else(|error| panic!("{expr}: {error}")).selectors
}

/// The metrics of alerts that no panel shows, and of which alert each is.
fn unshown(board: &Board, alerts: &[Value]) -> Vec<String> {
    let targets = board.targets();
    let shown: BTreeSet<String> = targets.iter().flat_map(|t| selectors(t.expr)).map(|s| s.metric).collect();
    let needed = alerts.iter().flat_map(|alert| {
        selectors(word(&alert["expr"])).into_iter().map(move |selector| (word(&alert["alert"]), selector.metric))
    });
    needed
        .filter(|(_, metric)| !shown.contains(metric))
        .map(|(alert, metric)| format!("{metric} of {alert} is in no panel"))
        .collect()
}

#[test]
fn what_an_alert_is_judged_by_is_in_a_panel() {
    let (mut board, alerts) = (Board::shipped(), alerts());
    assert!(alerts.len() > 20, "{}", alerts.len());
    assert_eq!(unshown(&board, &alerts), Vec::<String>::new());

    let panels = board.0["panels"].as_array_mut().expect("panels");
    panels.retain(|panel| panel["title"] != "Missed times");
    assert_eq!(unshown(&board, &alerts), ["ncolony_schedule_missed_total of NcolonyScheduleMissed is in no panel"]);
}

/// Prometheus ties the pattern of a matcher to both ends.
#[test]
fn every_alert_is_among_those_that_the_table_of_firing_ones_asks_for() {
    let board = Board::shipped();
    let asked: Vec<Selector> = board.targets().iter().flat_map(|target| selectors(target.expr)).collect();
    let firing = |selector: &&Selector| {
        selector.metric == "ALERTS" && selector.matchers.iter().any(|m| m.label == "alertstate" && m.value == "firing")
    };
    let table = asked.iter().find(firing).expect("a panel of firing alerts");
    let pattern = table.matchers.iter().find(|m| m.label == "alertname").expect("it asks by name");
    let prefix = pattern.value.strip_suffix(".+").expect("a prefix, and anything after it");
    let others: Vec<_> = alerts().into_iter().filter(|alert| !word(&alert["alert"]).starts_with(prefix)).collect();
    assert!(pattern.operator == "=~" && others.is_empty(), "{pattern:?} {others:?}");
}
