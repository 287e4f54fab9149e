//! A Grafana dashboard, as its JSON has it.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// A dashboard, right or wrong.
#[derive(Clone)]
pub(crate) struct Board(pub(crate) Value);

/// An expression of a dashboard.
pub(crate) struct Query<'a> {
    /// Where it stands, for people: `panel "Restarts", target A`.
    pub(crate) place: String,
    pub(crate) expr: &'a str,
    /// Asked for one moment instead of a span.
    pub(crate) is_instant: bool,
    /// How its series are called, with labels in it: `{{process}}`.
    pub(crate) legend: &'a str,
}

impl Board {
    /// The one that is shipped.
    pub(crate) fn shipped() -> Board {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/ncolony.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        Board(serde_json::from_str(&text).expect("the dashboard is JSON"))
    }

    /// Rows and panels in the order in which they stand there; what is folded into a row follows it.
    pub(crate) fn boxes(&self) -> Vec<&Value> {
        list(&self.0["panels"]).iter().flat_map(|panel| [panel].into_iter().chain(list(&panel["panels"]))).collect()
    }

    /// The same without the rows.
    pub(crate) fn panels(&self) -> Vec<&Value> {
        self.boxes().into_iter().filter(|panel| panel["type"] != "row").collect()
    }

    pub(crate) fn variables(&self) -> &[Value] {
        list(&self.0["templating"]["list"])
    }

    /// The variables that ask the data source.
    pub(crate) fn asking(&self) -> impl Iterator<Item = &Value> {
        self.variables().iter().filter(|variable| variable["type"] == "query")
    }

    /// Every expression of a panel.
    pub(crate) fn targets(&self) -> Vec<Query<'_>> {
        let mut all = Vec::new();
        for panel in self.panels() {
            for target in list(&panel["targets"]) {
                let place = format!("panel {}, target {}", panel["title"], word(&target["refId"]));
                let (expr, legend) = (word(&target["expr"]), word(&target["legendFormat"]));
                all.push(Query { place, expr, is_instant: target["instant"] == true, legend });
            }
        }
        all
    }

    /// Every expression of an annotation.
    pub(crate) fn annotations(&self) -> Vec<Query<'_>> {
        let asking = list(&self.0["annotations"]["list"]).iter().filter(|annotation| annotation.get("expr").is_some());
        asking
            .map(|annotation| {
                let place = format!("annotation {}", annotation["name"]);
                let (expr, legend) = (word(&annotation["expr"]), word(&annotation["titleFormat"]));
                Query { place, expr, is_instant: false, legend }
            })
            .collect()
    }
}

/// `label_values(SELECTOR, LABEL)`, as a variable asks: selector and label.
pub(crate) fn label_values(variable: &Value) -> Option<(&str, &str)> {
    let arguments = word(&variable["query"]["query"]).strip_prefix("label_values(")?.strip_suffix(')')?;
    arguments.rsplit_once(", ")
}

/// An expression with its variables filled in, as Grafana does it; what `value` does not know stays.
pub(crate) fn filled(expr: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut rest = expr;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        match value(&after[..end]) {
            Some(value) => text.push_str(&value),
            None => text.push_str(&rest[before.len()..=before.len() + end]),
        }
        rest = &after[end..];
    }
    text + rest
}

/// The items of a list; none if it is none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A text; empty if it is none.
pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn variables_are_filled_in() {
    let value = |name: &str| (name == "job").then(|| "a|b".to_string());
    assert_eq!(filled(r#"x{job=~"$job", y=~"$y|"}[$job]"#, value), r#"x{job=~"a|b", y=~"$y|"}[a|b]"#);
}
