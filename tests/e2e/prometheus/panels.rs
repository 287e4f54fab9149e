//! The dashboard's variables and panels, as Grafana would have Prometheus answer them.

use serde_json::Value;

use super::board::{Board, Query, filled, label_values, list, word};
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

/// What has not been answered yet as the dashboard needs it.
pub(crate) struct Open<'a> {
    queries: Vec<Query<'a>>,
    /// The columns of tables that nothing has filled.
    columns: Vec<(&'a Value, &'a str)>,
}

impl<'a> Open<'a> {
    /// All that a dashboard asks.
    pub(crate) fn of(board: &'a Board) -> Open<'a> {
        let queries = board.targets().into_iter().chain(board.annotations()).collect();
        let columns = board.panels().into_iter().flat_map(|panel| columns(panel).map(move |column| (panel, column)));
        Open { queries, columns: columns.collect() }
    }

    /// Asks once more; says what is still open, and why.
    pub(crate) fn look(&mut self, prometheus: &Prometheus, choices: &Choices) -> Vec<String> {
        let mut found = Vec::new();
        self.queries.retain(|query| {
            let expr = choices.fill(query.expr);
            let series = if query.is_instant { prometheus.now(&expr) } else { prometheus.lately(&expr) };
            let trouble = trouble(&series, query.legend);
            found.extend(trouble.iter().map(|trouble| format!("{}: {trouble}: {expr}", query.place)));
            trouble.is_some()
        });
        self.columns.retain(|(panel, column)| {
            let is_open = !is_filled(panel, column, prometheus, choices);
            found.extend(is_open.then(|| format!("panel {}: nothing fills the column {column}", panel["title"])));
            is_open
        });
        found
    }
}

fn trouble(series: &[Series], legend: &str) -> Option<String> {
    if series.is_empty() {
        return Some("no data".into());
    }
    let mut labels = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let is_missing = |label: &&str| series.iter().any(|one| one.label(label).is_empty());
    labels.find(is_missing).map(|label| format!("a series has no {label} for its legend"))
}

/// The columns that a table shows; those of a target in Kubernetes are none here.
fn columns(panel: &Value) -> impl Iterator<Item = &str> {
    let organized = list(&panel["transformations"]).iter().find(|one| one["id"] == "organize");
    let names = organized.and_then(|one| one["options"]["renameByName"].as_object());
    let names = names.into_iter().flat_map(|names| names.keys().map(String::as_str));
    names.filter(|name| !["namespace", "pod"].contains(name))
}

/// Whether a target has this label, or values and this name for them.
fn is_filled(panel: &Value, column: &str, prometheus: &Prometheus, choices: &Choices) -> bool {
    let targets = list(&panel["targets"]);
    targets.iter().any(|target| {
        let value = if targets.len() == 1 { "Value".into() } else { format!("Value #{}", word(&target["refId"])) };
        let series = prometheus.now(&choices.fill(word(&target["expr"])));
        series.iter().any(|one| value == column || !one.label(column).is_empty())
    })
}
