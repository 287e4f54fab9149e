//! `ncolony ctl wait`

use std::time::Instant;

use serde_json::Value;

use super::error::Trouble;
use super::monitor::Monitor;
use super::object::{self, list, text};
use super::out::Out;
use super::path::{Path, plain};
use super::whom::{Whom, explained};
use crate::cli::{CONDITIONS, WaitArgs};

/// What is waited for.
#[derive(Debug, PartialEq)]
enum Goal {
    /// There is no such process any more.
    Gone,
    /// A condition has this status.
    Condition(&'static str, &'static str),
    /// What stands there is this; `None`: something does.
    Value(Path, Option<String>),
}

/// Waits until all are as they should be.
pub(super) fn wait(monitor: Monitor<'_>, args: &WaitArgs, out: &mut Out) -> Result<(), Trouble> {
    let goal = Goal::parse(&args.what)?;
    let monitor = monitor.at_most(args.timeout);
    let mut whom = if args.all { Whom::of(&args.whom)? } else { Whom::of_some(&args.whom)? };
    let by = Instant::now() + args.timeout;
    let list = monitor.get("/v1/processes?brief=true")?;
    whom.know(&list)?;
    if args.all && !whom.is_everybody() {
        return Err(Trouble::Usage("whom? give a NAME, -l group=GROUP or --all, and not both".to_string()));
    }
    let (found, missing) = whom.among(&list);
    if found.is_empty() && missing.is_empty() && goal != Goal::Gone {
        whom.tell_of_none(&list);
        return Err(Trouble::Partly);
    }
    for trouble in missing {
        match (&goal, trouble) {
            // Who is not there is gone.
            (Goal::Gone, Trouble::NotFound(name, _)) => met(out, &name)?,
            (_, trouble) => return Err(explained(monitor, trouble)),
        }
    }
    let mut left: Vec<String> = found.into_iter().map(object::name).map(str::to_string).collect();
    let mut lines = monitor.lines("/v1/processes?watch=true")?;
    while !left.is_empty() {
        let (kind, process) = match lines.told(Some(by)) {
            Err(Trouble::Silent) => return Err(Trouble::TimedOut(left)),
            told => told?.ok_or(Trouble::Ended)?,
        };
        let name = object::name(&process);
        let Some(at) = left.iter().position(|left| left == name) else { continue };
        match (kind == "DELETED", &goal) {
            (true, Goal::Gone) => {}
            (true, Goal::Condition(..) | Goal::Value(..)) => return Err(Trouble::NotFound(name.to_string(), None)),
            (false, goal) if goal.is_met(&process) => {}
            (false, _) => continue,
        }
        left.remove(at);
        met(out, name)?;
    }
    Ok(())
}

/// A word, whatever its case, as it is written.
fn one_of(what: &'static str, word: &str, all: &'static [&'static str]) -> Result<&'static str, Trouble> {
    let known = all.iter().find(|one| one.eq_ignore_ascii_case(word));
    known.copied().ok_or_else(|| Trouble::unknown(what, word, all))
}

fn met(out: &mut Out, name: &str) -> Result<(), Trouble> {
    out.line(&format!("process/{name} condition met"))?;
    out.flush()
}

impl Goal {
    fn parse(text: &str) -> Result<Goal, Trouble> {
        let bad = || {
            let expected = "condition=NAME[=STATUS], delete or jsonpath=PATH[=VALUE]";
            Trouble::Usage(format!("--for={text}: expected {expected}"))
        };
        match text.split_once('=') {
            None if text == "delete" => Ok(Goal::Gone),
            Some(("condition", condition)) if !condition.is_empty() => {
                let (kind, status) = condition.split_once('=').unwrap_or((condition, "True"));
                let kind = one_of("condition", kind, CONDITIONS)?;
                Ok(Goal::Condition(kind, one_of("status of a condition", status, &["True", "False"])?))
            }
            Some(("jsonpath", path)) if !path.is_empty() => {
                // Behind the brace that closes the path, and not within it.
                let end = if path.starts_with('{') { path.rfind('}').map_or(0, |end| end + 1) } else { 0 };
                let at = path[end..].find('=').map(|at| end + at);
                let (path, value) = at.map_or((path, None), |at| (&path[..at], Some(&path[at + 1..])));
                let value = value.map(|value| value.trim_matches(['"', '\'']).to_string());
                Ok(Goal::Value(Path::parse(path).map_err(Trouble::Usage)?, value))
            }
            Some(_) | None => Err(bad()),
        }
    }

    fn is_met(&self, process: &Value) -> bool {
        match self {
            Goal::Gone => false,
            Goal::Condition(kind, status) => list(process, "/status/conditions")
                .iter()
                .any(|condition| text(condition, "/type") == *kind && text(condition, "/status") == *status),
            Goal::Value(path, None) => !path.values(process).is_empty(),
            Goal::Value(path, Some(value)) => path.values(process).into_iter().any(|found| plain(found) == *value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Goal;

    #[test]
    fn what_is_waited_for_is_said_in_kubectls_words() {
        let process = json!({"status": {"phase": "Running", "pid": 42,
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "Updated", "status": "False"}]}});
        let rows = [
            ("condition=Ready", true),
            ("condition=ready=true", true),
            ("condition=Ready=False", false),
            ("condition=Updated", false),
            ("condition=Updated=False", true),
            ("delete", false),
            ("jsonpath={.status.phase}=Running", true),
            ("jsonpath='{.status.phase}'=Running", false),
            ("jsonpath={.status.phase}=Waiting", false),
            ("jsonpath=.status.pid=42", true),
            ("jsonpath={.status.pid}", true),
            ("jsonpath={.status.says}", false),
            ("jsonpath={.status.conditions[?(@.type==\"Ready\")].status}=True", true),
        ];
        for (text, expected) in rows {
            let met = Goal::parse(text).map(|goal| goal.is_met(&process)).unwrap_or(false);
            assert_eq!(met, expected, "{text}");
        }
        for bad in [
            "condition=Nothing",
            "condition=Ready=Yes",
            "",
            "Ready",
            "condition=",
            "condition",
            "jsonpath=",
            "jsonpath={.a",
            "deleted",
            "deleted=x",
        ] {
            assert!(Goal::parse(bad).is_err(), "{bad}");
        }
    }
}
