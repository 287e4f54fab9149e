//! When a run that ended is followed by another.

use crate::config::decode::a_kind;
use crate::config::node::{Node, Value};
use crate::config::report::{Path, Report};
use crate::model::{RestartRule, RuleAction, RuleOperator};

/// As in a Pod (KEP-5307).
const MOST_RULES: usize = 20;
const MOST_VALUES: usize = 255;

/// `restartPolicyRules`
pub(in crate::config) fn rules(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<RestartRule> {
    let items = list(report, path, node, "a list of {action, exitCodes}", MOST_RULES, "rules");
    items.iter().enumerate().filter_map(|(index, item)| rule(report, &path.index(index), item)).collect()
}

/// Whether the rules have a policy to fall back on: as in a Pod, it is not the default's to decide.
pub(in crate::config) fn rules_fit(report: &mut Report<'_>, root: &Node, rules: &[RestartRule]) {
    if !rules.is_empty() && !root.has_key("restartPolicy") {
        let message = "restartPolicy is missing: it decides where no rule matches";
        let help = "add restartPolicy: Never, say";
        report.error_with_help(&"restartPolicyRules", root.span_of("restartPolicyRules"), message, help);
    }
}

fn rule(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<RestartRule> {
    const KEYS: [&str; 2] = ["action", "exitCodes"];
    let (mut action, mut codes) = (None, None);
    for entry in report.map(path, node, "a map with action and exitCodes")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "action" => action = report.word(path, &entry.node, &[("Restart", RuleAction::Restart)]),
            "exitCodes" => codes = exit_codes(report, path, &entry.node),
            _ => report.unknown_key(path, entry, &KEYS),
        }
    }
    demand(report, path, node, &KEYS);
    let (operator, codes) = codes?;
    Some(RestartRule { action: action?, operator, codes })
}

fn exit_codes(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<(RuleOperator, Vec<u8>)> {
    const KEYS: [&str; 2] = ["operator", "values"];
    const OPERATORS: [(&str, RuleOperator); 2] = [("In", RuleOperator::In), ("NotIn", RuleOperator::NotIn)];
    let (mut operator, mut codes) = (None, None);
    for entry in report.map(path, node, "a map with operator and values")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "operator" => operator = report.word(path, &entry.node, &OPERATORS),
            "values" => codes = values(report, path, &entry.node),
            _ => report.unknown_key(path, entry, &KEYS),
        }
    }
    demand(report, path, node, &KEYS);
    operator.zip(codes)
}

fn values(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Vec<u8>> {
    let items = list(report, path, node, "a list of exit codes", MOST_VALUES, "values");
    if items.is_empty() && matches!(&node.value, Value::List(items) if items.is_empty()) {
        report.error(path, node.span, "expected at least one exit code");
    }
    let codes: Vec<u8> =
        items.iter().enumerate().filter_map(|(index, item)| code(report, &path.index(index), item)).collect();
    (!codes.is_empty() && codes.len() == items.len()).then_some(codes)
}

fn code(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<u8> {
    let code = match &node.value {
        Value::Number(literal) => literal.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::Odd(_) | Value::List(_) | Value::Map(_) => None,
    };
    if code.is_none() {
        let message = "expected an exit code, a whole number from 0 to 255";
        report.error_with_help(path, node.span, message, "an end by signal n counts as 128 + n");
    }
    code
}

/// The items of a list that is not too long; none of what is no list, or is: that has been reported.
fn list<'n>(
    report: &mut Report<'_>,
    path: &Path<'_>,
    node: &'n Node,
    expected: &str,
    most: usize,
    what: &str,
) -> &'n [Node] {
    match &node.value {
        Value::List(items) if items.len() <= most => items,
        Value::List(items) => {
            report.error(path, node.span, format!("at most {most} {what} are taken, found {}", items.len()));
            &[]
        }
        other => {
            report.error(path, node.span, format!("expected {expected}, found {}", a_kind(other)));
            &[]
        }
    }
}

fn demand(report: &mut Report<'_>, path: &Path<'_>, node: &Node, keys: &[&str]) {
    let missing: Vec<&str> = keys.iter().copied().filter(|key| !node.has_key(key)).collect();
    if !missing.is_empty() {
        report.error(path, node.span, format!("missing: {}", missing.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Defaults, parse};
    use crate::model::{RestartRule, RuleAction, RuleOperator};

    /// The rules, or the first lines of what is wrong.
    fn rules(text: &str) -> Result<Vec<RestartRule>, String> {
        match parse("web", format!("args: [a]\n{text}\n").as_bytes(), &Defaults::STANDARD) {
            Ok(manifest) => Ok(manifest.spec.restart_rules),
            Err(found) => Err(found.iter().map(|one| one.summary()).collect::<Vec<_>>().join("; ")),
        }
    }

    #[test]
    fn rules_are_read_in_their_order() {
        let text = "restartPolicy: Never\nrestartPolicyRules:\n\
                    - action: Restart\n  exitCodes: {operator: In, values: [42, 0]}\n\
                    - exitCodes: {values: [255], operator: NotIn}\n  action: Restart\n";
        let rule =
            |operator, codes: &[u8]| RestartRule { action: RuleAction::Restart, operator, codes: codes.to_vec() };
        assert_eq!(rules(text), Ok(vec![rule(RuleOperator::In, &[42, 0]), rule(RuleOperator::NotIn, &[255])]));
        assert_eq!(rules("restartPolicyRules: []"), Ok(Vec::new()));
    }

    #[test]
    fn the_limits_are_a_pods() {
        let one = |values: &str| format!("{{action: Restart, exitCodes: {{operator: In, values: [{values}]}}}}");
        let list = |rules: &[String]| format!("restartPolicy: Never\nrestartPolicyRules: [{}]", rules.join(", "));
        let values = |n: usize| vec!["7"; n].join(", ");
        assert_eq!(rules(&list(&vec![one("1"); 20])).map(|rules| rules.len()), Ok(20));
        let error = rules(&list(&vec![one("1"); 21]));
        assert_eq!(error, Err("web:3:21: restartPolicyRules: at most 20 rules are taken, found 21".into()));
        assert_eq!(rules(&list(&[one(&values(255))])).map(|rules| rules[0].codes.len()), Ok(255));
        let error = rules(&list(&[one(&values(256))])).expect_err("too many");
        assert!(error.ends_with("exitCodes.values: at most 255 values are taken, found 256"), "{error}");
        let error = rules(&list(&[one("1")]).replace("restartPolicy: Never\n", ""));
        let expected = "web:2:21: restartPolicyRules: restartPolicy is missing: it decides where no rule matches";
        assert_eq!(error, Err(expected.into()));
    }
}
