//! The dashboard's variables and panels, as Grafana would have Prometheus answer them.

use serde_json::Value;

use super::board::{Board, filled, label_values, list, word};
use super::server::{Prometheus, Series};

/// The values of the dashboard's variables.
pub(crate) struct Choices(Vec<(String, String)>);

impl Choices {
    /// Everything, as the dashboard opens.
    pub(crate) fn all(board: &Board) -> Choices {
        Choices(board.asking().map(|v| (word(&v["name"]).to_string(), word(&v["allValue"]).to_string())).collect())
    }

    /// Each value that a variable offers chosen one by one; where it offers none, everything.
    pub(crate) fn each(board: &Board, prometheus: &Prometheus) -> Choices {
        let mut choices = Choices::all(board);
        for variable in board.asking() {
            let (selector, label) = label_values(variable).expect("label_values(SELECTOR, LABEL)");
            let values = prometheus.label_values(&choices.fill(selector), label);
            let chosen = choices.0.iter_mut().find(|(name, _)| variable["name"] == **name).expect("it is one of them");
            if !values.is_empty() {
                chosen.1 = format!(
                    "({})",
                    values.iter().map(|value| value.replace('.', "\\\\.")).collect::<Vec<_>>().join("|")
                );
            }
        }
        choices
    }

    /// An expression as it is sent. Where a dashboard shows an hour in steps of half a minute, this one shows a minute in
    /// steps of a second.
    pub(crate) fn fill(&self, expr: &str) -> String {
        filled(expr, |name| match name {
            "__rate_interval" => Some("5s".into()),
            "__interval" => Some("1s".into()),
            "__range" => Some("60s".into()),
            name => self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone()),
        })
    }
}

/// Every expression whose answer is not what the dashboard needs, and why.
pub(crate) fn unanswered(board: &Board, prometheus: &Prometheus, choices: &Choices) -> Vec<String> {
    let mut found = Vec::new();
    for query in board.targets().into_iter().chain(board.annotations()) {
        let expr = choices.fill(query.expr);
        let series = if query.is_instant { prometheus.now(&expr) } else { prometheus.lately(&expr) };
        found.extend(trouble(&series, query.legend).map(|trouble| format!("{}: {trouble}: {expr}", query.place)));
    }
    for panel in board.panels() {
        found.extend(empty_columns(panel, prometheus, choices));
    }
    found
}

fn trouble(series: &[Series], legend: &str) -> Option<String> {
    if series.is_empty() {
        return Some("no data".into());
    }
    let labels = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let is_missing = |label: &&str| series.iter().any(|one| one.label(label).is_empty());
    labels.into_iter().find(is_missing).map(|label| format!("a series has no {label} for its legend"))
}

/// The columns of a table that nothing fills.
fn empty_columns(panel: &Value, prometheus: &Prometheus, choices: &Choices) -> Vec<String> {
    // Of a target that was not found in Kubernetes.
    const ABSENT: [&str; 2] = ["namespace", "pod"];
    let organized = list(&panel["transformations"]).iter().find(|one| one["id"] == "organize");
    let columns = organized.and_then(|one| one["options"]["renameByName"].as_object());
    let Some(columns) = columns else { return Vec::new() };
    let targets = list(&panel["targets"]);
    let answers: Vec<(String, Vec<Series>)> = targets
        .iter()
        .map(|target| {
            let name = if targets.len() == 1 { "Value".into() } else { format!("Value #{}", word(&target["refId"])) };
            (name, prometheus.now(&choices.fill(word(&target["expr"]))))
        })
        .collect();
    let is_filled = |column: &str| {
        answers.iter().any(|(value, series)| {
            !series.is_empty() && value == column || series.iter().any(|one| !one.label(column).is_empty())
        })
    };
    let empty = columns.keys().filter(|column| !ABSENT.contains(&column.as_str()) && !is_filled(column));
    empty.map(|column| format!("panel {}: nothing fills the column {column}", panel["title"])).collect()
}
