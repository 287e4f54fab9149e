//! What a process is to the others of its colony.

use std::collections::HashMap;

use crate::config::graph::Mentions;
use crate::config::node::{Node, Span, Value};
use crate::config::report::{Path, Report};
use crate::model::{Condition, Dependency, Name, Restart, Schedule};

const CONDITIONS: [(&str, Condition); 3] =
    [("Started", Condition::Started), ("Ready", Condition::Ready), ("Completed", Condition::Completed)];

/// `dependsOn` of the process `own`. Whether the others are there is for whoever reads the directory to say, and for
/// that the places of their names are kept.
pub(in crate::config) fn depends_on(
    report: &mut Report<'_>,
    path: &Path<'_>,
    node: &Node,
    own: Option<&Name>,
) -> (Vec<Dependency>, Option<Mentions>) {
    let items = report.list(path, node, "a list of names").unwrap_or_default();
    let mut dependencies: Vec<Dependency> = Vec::with_capacity(items.len());
    let mut places = Vec::with_capacity(items.len());
    let mut seen: HashMap<&str, Span> = HashMap::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = &path.index(index);
        let Some((text, dependency, place)) = dependency(report, path, item) else { continue };
        let is_second = seen.insert(text, place).is_some();
        if own == Some(&dependency.name) {
            report.error(path, place, "a process cannot depend on itself");
        } else if is_second {
            report.error_with_help(path, place, format!("{text} stands here twice"), "keep one of the two");
        }
        dependencies.push(dependency);
        places.push(place);
    }
    let mentions = (!places.is_empty()).then(|| report.mentions(places));
    (dependencies, mentions)
}

/// A name, or `{name, condition}`; before it the name as it is written, after it where.
fn dependency<'n>(report: &mut Report<'_>, path: &Path<'_>, node: &'n Node) -> Option<(&'n str, Dependency, Span)> {
    let Value::Map(entries) = &node.value else {
        let (text, name) = process(report, path, node)?;
        return Some((text, Dependency { name, condition: Condition::Ready }, node.span));
    };
    let (mut name, mut condition) = (None, Some(Condition::Ready));
    for entry in entries {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "name" => name = Some(process(report, path, &entry.node).map(|name| (name, entry.node.span))),
            "condition" => condition = report.word(path, &entry.node, &CONDITIONS),
            _ => report.unknown_key(path, entry, &["name", "condition"]),
        }
    }
    if name.is_none() {
        report.error(path, node.span, "expected name, the process that it depends on");
    }
    let ((text, name), place) = name??;
    Some((text, Dependency { name, condition: condition? }, place))
}

fn process<'n>(report: &mut Report<'_>, path: &Path<'_>, node: &'n Node) -> Option<(&'n str, Name)> {
    let text = report.text(path, node)?;
    let name = Name::parse(text).map_err(|error| report.error(path, node.span, format!("this is no process: {error}")));
    Some((text, name.ok()?))
}

/// What `essential` says of a process that is run again whatever happens.
pub(in crate::config) fn essential_fits(
    report: &mut Report<'_>,
    root: &Node,
    restart: Restart,
    schedule: Option<&Schedule>,
) {
    let (path, span) = (Path::top("essential"), root.span_of("essential"));
    if schedule.is_some() {
        let message = "a process on a schedule never ends for good, so the colony cannot end with it";
        report.error_with_help(&path, span, message, "remove essential, or schedule");
    } else if restart == Restart::Always {
        let message = "this process never ends for good, so the colony does not end with it";
        let help = "restartPolicy is Always, here or by default; \"OnFailure\" and \"Never\" have an end";
        report.warning(&path, span, message, Some(help.to_string()));
    }
}

/// The most `replicas` of one file: more is a slip of the hand.
const MOST_REPLICAS: u32 = 1000;

/// `replicas`
pub(in crate::config) fn replicas(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<u32> {
    let count = report.number(path, node, 0.0, f64::from(MOST_REPLICAS), "replicas")?;
    if count.fract() != 0.0 {
        report.error(path, node.span, "expected a whole number of replicas");
        return None;
    }
    Some(count as u32)
}

/// What `replicas` says of a process on a schedule.
pub(in crate::config) fn replicas_fit(report: &mut Report<'_>, root: &Node, schedule: Option<&Schedule>) {
    if schedule.is_some() {
        let message = "a process on a schedule has one run at a time";
        let help = "remove replicas, or schedule";
        report.error_with_help(&Path::top("replicas"), root.span_of("replicas"), message, help);
    }
}
