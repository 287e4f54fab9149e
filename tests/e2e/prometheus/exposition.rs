//! What /metrics holds, and whether an expression names only that.

use std::collections::{BTreeMap, BTreeSet};

use super::promql::{Expression, Matcher, Selector};

/// The labels of a scrape's target, which Prometheus adds.
const OF_THE_TARGET: &[&str] = &["namespace", "job", "pod", "instance"];
/// What Prometheus makes itself.
const PROMETHEUS_OWN: &[&str] = &["up", "ALERTS", "ALERTS_FOR_STATE"];

/// The families of expositions: the labels of each, and their values.
#[derive(Default)]
pub(crate) struct Exposition(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Exposition {
    /// Adds what a text in Prometheus's format holds.
    pub(crate) fn add(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let end = line.find(['{', ' ']).expect("a sample");
            let labels = self.0.entry(line[..end].to_string()).or_default();
            // No value has a quotation mark in the colonies that these tests make.
            let inside =
                line[end..].strip_prefix('{').and_then(|rest| rest.rsplit_once("} ")).map_or("", |(inside, _)| inside);
            let mut rest = inside;
            while let Some((label, after)) = rest.split_once("=\"") {
                let (value, after) = after.split_once('"').expect("the value ends");
                labels.entry(label.to_string()).or_default().insert(value.to_string());
                rest = after.trim_start_matches(',');
            }
        }
    }

    /// What an expression names and there is not.
    pub(crate) fn unknown(&self, expression: &Expression) -> Vec<String> {
        let of_selectors = expression.selectors.iter().flat_map(|selector| self.unknown_to(selector));
        let labels = expression.labels.iter().filter(|label| !self.has_label(expression, label));
        of_selectors.chain(labels.map(|label| format!("none of its metrics has the label {label}"))).collect()
    }

    fn unknown_to(&self, selector: &Selector) -> Vec<String> {
        let metric = selector.metric.as_str();
        if PROMETHEUS_OWN.contains(&metric) {
            return Vec::new();
        }
        let Some(labels) = self.0.get(metric) else { return vec![format!("there is no metric {metric}")] };
        let wrong = |matcher: &Matcher| match labels.get(&matcher.label) {
            None if OF_THE_TARGET.contains(&matcher.label.as_str()) => None,
            None => Some(format!("{metric} has no label {}", matcher.label)),
            // A variable's values come from the same place.
            Some(_) if matcher.value.starts_with('$') => None,
            Some(values) => {
                let missing = matcher.value.split('|').find(|value| !values.contains(*value))?;
                Some(format!("{} of {metric} is never {missing:?}", matcher.label))
            }
        };
        selector.matchers.iter().filter_map(wrong).collect()
    }

    fn has_label(&self, expression: &Expression, label: &str) -> bool {
        let has = |selector: &Selector| {
            PROMETHEUS_OWN.contains(&selector.metric.as_str())
                || self.0.get(&selector.metric).is_some_and(|labels| labels.contains_key(label))
        };
        OF_THE_TARGET.contains(&label) || expression.selectors.iter().any(has)
    }
}

#[test]
fn what_an_exposition_does_not_hold_is_found() {
    let text = "# HELP a A.\na{x=\"1\",process=\"web\"} 1\na{x=\"2\",process=\"a, b\"} 1\nb_total 3\n";
    let mut exposition = Exposition::default();
    exposition.add(text);
    let rows = [
        (r#"sum by (process, job) (a{x=~"1|2", process=~"$process", job="j"}) or up{any="thing"}"#, None),
        (r#"a{process="a, b"} and on (instance) b_total"#, None),
        ("c", Some("there is no metric c")),
        (r#"a{y="1"}"#, Some("a has no label y")),
        (r#"b_total{x="1"}"#, Some("b_total has no label x")),
        (r#"a{x=~"1|3"}"#, Some(r#"x of a is never "3""#)),
        (r#"a{x!="4"}"#, Some(r#"x of a is never "4""#)),
        ("sum by (x) (b_total)", Some("none of its metrics has the label x")),
    ];
    for (text, expected) in rows {
        let found = exposition.unknown(&super::promql::read(text).expect("an expression"));
        assert_eq!(found.first().map(String::as_str), expected, "{text}");
    }
}
