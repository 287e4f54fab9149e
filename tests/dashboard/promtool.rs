//! promtool's word on the expressions: that Prometheus would take them.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::board::{Board, filled, label_values, word};
use crate::needs::has_promtool;

/// Anything that stands where a variable did.
fn filling(name: &str) -> Option<String> {
    Some(if name.starts_with("__") { "5m" } else { ".+" }.to_string())
}

/// Everything that a dashboard asks.
fn expressions(board: &Board) -> Vec<(String, String)> {
    let queries = board.targets().into_iter().chain(board.annotations());
    let queries = queries.map(|query| (query.place, filled(query.expr, filling)));
    let of_variables = board.asking().map(|variable| {
        let (selector, _) = label_values(variable).expect("label_values(SELECTOR, LABEL)");
        (format!("variable {}", word(&variable["name"])), filled(selector, filling))
    });
    queries.chain(of_variables).collect()
}

/// What promtool has to say of them as recording rules; nothing if they are good.
fn judged(expressions: &[(String, String)], dir: &Path) -> String {
    // YAML is JSON, too. The name tells where a bad one stands.
    let rule = |(index, (place, expr)): (usize, &(String, String))| json!({"record": format!("expression:{index}"), "expr": expr, "labels": {"place": place}});
    let rules: Vec<_> = expressions.iter().enumerate().map(rule).collect();
    let file = dir.join("rules.yaml");
    std::fs::write(&file, json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string()).expect("a file");
    let output = Command::new("promtool").args(["check", "rules"]).arg(&file).output().expect("it is there");
    match output.status.success() {
        true => String::new(),
        false => String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout),
    }
}

#[test]
fn prometheus_takes_every_expression_and_finds_what_is_broken() {
    if !has_promtool() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut board = Board::shipped();
    let good = expressions(&board);
    assert!(good.len() > 50, "{}", good.len());
    assert_eq!(judged(&good, dir.path()), "");
    board.0["panels"][1]["targets"][0]["expr"] = json!("sum by (rate(up[$__rate_interval]))");
    let said = judged(&expressions(&board), dir.path());
    assert!(said.contains("expression:0") && said.contains("parse error"), "{said}");
}
