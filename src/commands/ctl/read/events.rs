//! `ncolony ctl events`

use serde_json::Value;

use super::error::Trouble;
use super::monitor::Monitor;
use super::object::{self, ago, list, number, text};
use super::out::Out;
use super::paint::{Piece, Tint};
use super::table::{Row, Table, with_head};
use super::whom::{Detail, Whom};
use crate::cli::EventsArgs;
use crate::ctl::files;

const HEAD: &[&str] = &["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];

/// Prints what has happened, the last at the end.
pub(super) fn events(monitor: Monitor<'_>, args: &EventsArgs, out: &mut Out) -> Result<(), Trouble> {
    let all = monitor.get("/v1/events")?;
    let names = match &args.whom.selector {
        None => names(monitor, &all, &args.whom.names)?,
        Some(_) => {
            let mut whom = Whom::of(&args.whom)?;
            let (processes, _) = whom.now(monitor, Detail::Brief)?;
            let (chosen, _) = whom.among(&processes);
            if chosen.is_empty() {
                whom.tell_of_none(&processes);
                return Ok(());
            }
            chosen.into_iter().map(|process| object::name(process).to_string()).collect()
        }
    };
    let is_asked = |event: &Value| names.is_empty() || names.iter().any(|name| text(event, "/process") == name);
    let mut table = Table::default();
    let head = if args.no_headers { Vec::new() } else { with_head(HEAD, Vec::new()) };
    if !args.watch {
        let events: Vec<&Value> = list(&all, "/items").iter().filter(|event| is_asked(event)).collect();
        if events.is_empty() {
            super::super::note("No events found");
            return Ok(());
        }
        let rows = events.into_iter().map(|event| row(event, object::now()));
        return out.lines(&table.lines(&head.into_iter().chain(rows).collect::<Vec<_>>()));
    }
    // So wide that most of what follows stands below it.
    table.lines(&[["119s (x10 over 10m)", "Warning", "Unhealthy", "process/", ""].map(Piece::from).to_vec()]);
    let mut lines = monitor.lines("/v1/events?watch=true")?;
    let mut rows = head;
    while let Some((_, event)) = lines.told(None)? {
        if is_asked(&event) {
            rows.push(row(&event, object::now()));
        }
        // What comes together stands in columns of one width.
        if !lines.has_more() {
            out.lines(&table.lines(&rows))?;
            out.flush()?;
            rows.clear();
        }
    }
    Err(Trouble::Ended)
}

/// Those of whom events are asked for, a set's members among them. Of whom nothing is known, he may be misspelt.
fn names(monitor: Monitor<'_>, all: &Value, asked: &[String]) -> Result<Vec<String>, Trouble> {
    let is_known = |name: &&String| list(all, "/items").iter().any(|event| text(event, "/process") == *name);
    let (mut names, unknown): (Vec<String>, Vec<String>) =
        asked.iter().map(|name| files::bare(name).to_string()).partition(|name| is_known(&name));
    if !unknown.is_empty() {
        let mut whom = Whom::named(&unknown);
        let (processes, _) = whom.now(monitor, Detail::Brief)?;
        if whom.is_everybody() {
            return Ok(names);
        }
        names.extend(whom.among(&processes).0.into_iter().map(|process| object::name(process).to_string()));
    }
    Ok(names)
}

fn row(event: &Value, now: f64) -> Row {
    let [kind, reason] = kind(event);
    let object = format!("process/{}", text(event, "/process"));
    vec![seen(event, now).into(), kind, reason, object.into(), text(event, "/message").into()]
}

/// An event, for [`describe`](super::describe).
pub(super) fn described(event: &Value, now: f64) -> Row {
    let [kind, reason] = kind(event);
    vec![kind, reason, seen(event, now).into(), text(event, "/message").into()]
}

/// Its type and its reason.
fn kind(event: &Value) -> [Piece; 2] {
    let tint = if text(event, "/type") == "Warning" { Tint::Warning } else { Tint::Plain };
    ["/type", "/reason"].map(|place| Piece::of(text(event, place), tint))
}

/// `2m`, or `2m (x5 over 10m)`.
fn seen(event: &Value, now: f64) -> String {
    let span = |place| ago(event, place, now).map(|span| span.to_string()).unwrap_or_default();
    match number(event, "/count") {
        Some(count) if count > 1.0 => format!("{} (x{count} over {})", span("/lastAt"), span("/firstAt")),
        Some(_) | None => span("/lastAt"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{HEAD, row};
    use crate::ctl::read::table::{Table, with_head};

    #[test]
    fn the_table_is_kubectls() {
        let events = [
            json!({"process": "web", "type": "Normal", "reason": "Started", "message": "it is new", "count": 1,
                "firstAt": "1970-01-01T00:00:00Z", "lastAt": "1970-01-01T00:00:00Z"}),
            json!({"process": "a b", "type": "Warning", "reason": "BackOff", "message": "exit code 3", "count": 5,
                "firstAt": "1970-01-01T00:00:00Z", "lastAt": "1970-01-01T00:01:40Z"}),
        ];
        let rows = events.iter().map(|event| row(event, 130.0)).collect();
        let expected = "\
LAST SEEN             TYPE      REASON    OBJECT        MESSAGE
2m10s                 Normal    Started   process/web   it is new
30s (x5 over 2m10s)   Warning   BackOff   process/a b   exit code 3";
        let lines = Table::default().lines(&with_head(HEAD, rows));
        assert_eq!(lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), expected);
    }
}
