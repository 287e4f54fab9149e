//! `ncolony ctl get`

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::error::Trouble;
use super::monitor::{Lines, Monitor};
use super::out::Out;
use super::paint::Piece;
use super::path::Template;
use super::table::{Row, Table, with_head};
use super::whom::{Detail, Shown, Whom};
use super::{events, object, yaml};
use crate::cli::{ChoiceArgs, EventsArgs, FORMATS, GetArgs};

/// How it is printed.
enum Format {
    Table(Breadth),
    Json,
    Yaml,
    Name,
    Path(Template),
}

/// How many columns there are.
#[derive(Clone, Copy)]
enum Breadth {
    Plain,
    Wide,
}

/// Who is watched, and of whom it was told so far.
struct Watched<'w> {
    whom: &'w Whom<'w>,
    told: BTreeSet<String>,
}

/// What has become of one that is watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    /// It is there, as it is now.
    News,
    /// It is not what was asked for any more, such as one of a group.
    Left,
    Gone,
}

/// Where in a row its status stands.
const STATUS: usize = 2;

/// Prints processes.
pub(super) fn get(monitor: Monitor<'_>, args: &GetArgs, out: &mut Out) -> Result<(), Trouble> {
    let format = format(args.output.as_deref())?;
    let mut whom = Whom::of(&args.whom)?;
    if whom.is_for_events(monitor)? {
        return events::events(monitor, &as_events(args)?, out);
    }
    if args.watch {
        return watch(monitor, &mut whom, &format, args, out);
    }
    let detail = match &format {
        Format::Table(Breadth::Plain) | Format::Name => Detail::Brief,
        Format::Table(Breadth::Wide) | Format::Json | Format::Yaml | Format::Path(_) => Detail::Full,
    };
    let (list, shown) = whom.now(monitor, detail)?;
    if whom.is_everybody() && matches!(format, Format::Table(_)) {
        tell_of_refused(monitor);
    }
    let (found, _) = whom.among(&list);
    if found.is_empty() && shown == Shown::All && !matches!(format, Format::Json | Format::Yaml) {
        whom.tell_of_none(&list);
        return Ok(());
    }
    match &format {
        Format::Table(breadth) => {
            let rows: Vec<Row> = found.iter().map(|process| row(process, *breadth, object::now())).collect();
            let rows = if args.no_headers { rows } else { with_head(head(*breadth), rows) };
            out.lines(&Table::default().lines(&rows))?;
        }
        Format::Json | Format::Yaml | Format::Path(_) if !(whom.is_one() && found.len() == 1) => {
            let list = json!({"apiVersion": list["apiVersion"], "kind": "List", "items": found});
            print(&list, &format, out)?;
        }
        Format::Json | Format::Yaml | Format::Name | Format::Path(_) => {
            found.iter().try_for_each(|process| print(process, &format, out))?;
        }
    }
    shown.outcome()
}

/// `get events`, as kubectl has it.
fn as_events(args: &GetArgs) -> Result<EventsArgs, Trouble> {
    if args.output.is_some() {
        return Err(Trouble::Usage("events take no -o".to_string()));
    }
    let names = args.whom.names.iter().skip(1).cloned().collect();
    let whom = ChoiceArgs { names, selector: args.whom.selector.clone() };
    Ok(EventsArgs { whom, watch: args.watch, no_headers: args.no_headers, color: args.color })
}

/// Prints those that there are, and then each that changes, as long as the monitor lives.
fn watch(
    monitor: Monitor<'_>,
    whom: &mut Whom<'_>,
    format: &Format,
    args: &GetArgs,
    out: &mut Out,
) -> Result<(), Trouble> {
    // Whom there is not is said at once.
    whom.now(monitor, Detail::Brief)?;
    let mut lines = monitor.lines("/v1/processes?watch=true")?;
    let mut watched = Watched { whom, told: BTreeSet::new() };
    let mut table = Table::default();
    if let (Format::Table(breadth), false) = (format, args.no_headers) {
        let head: Vec<Row> = with_head(head(*breadth), Vec::new());
        let first = together(&mut lines, &mut watched)?;
        let rows = first.iter().map(|(change, process)| changed(*change, process, *breadth));
        out.lines(&table.lines(&head.into_iter().chain(rows).collect::<Vec<_>>()))?;
    }
    loop {
        out.flush()?;
        let told = together(&mut lines, &mut watched)?;
        match format {
            Format::Table(breadth) => {
                let rows: Vec<Row> = told.iter().map(|(change, process)| changed(*change, process, *breadth)).collect();
                out.lines(&table.lines(&rows))?;
            }
            Format::Json | Format::Yaml | Format::Name | Format::Path(_) => {
                told.iter().try_for_each(|(_, process)| print(process, format, out))?;
            }
        }
    }
}

/// Says which files are refused, of which those that never were good have no row, and what else keeps the files from being
/// in force. How much there is.
pub(in crate::ctl) fn tell_of_refused(monitor: Monitor<'_>) -> usize {
    let version = monitor.get("/v1/version").unwrap_or_default();
    let refused = |file: &Value| {
        let [file, message] = ["/file", "/message"].map(|place| object::text(file, place));
        format!("{file} is refused: {message}")
    };
    let mut told: Vec<String> = object::list(&version, "/config/refused").iter().map(refused).collect();
    match object::text(&version, "/config/error") {
        "" => {}
        error => told.push(format!("{error}; what was read before is in force")),
    }
    if crate::ctl::monitor::is_ending(&version) {
        told.push("the monitor is ending, and reads no files any more".to_string());
    }
    told.iter().for_each(|text| crate::ctl::note(&format!("note: {text}")));
    told.len()
}

/// What is told at once.
fn together(lines: &mut Lines, watched: &mut Watched<'_>) -> Result<Vec<(Change, Value)>, Trouble> {
    let mut all = Vec::new();
    loop {
        let (kind, process) = lines.told(None)?.ok_or(Trouble::Ended)?;
        if let Some(change) = watched.change(&kind, &process) {
            all.push((change, process));
        }
        if !lines.has_more() {
            return Ok(all);
        }
    }
}

impl Watched<'_> {
    /// What has become of it, if it was asked for. Of one that is gone nothing is known but its name: it was, if it was
    /// told of before.
    fn change(&mut self, kind: &str, process: &Value) -> Option<Change> {
        let name = object::name(process);
        match (kind == "DELETED", self.whom.is(process)) {
            (true, _) => self.told.remove(name).then_some(Change::Gone),
            (false, false) => self.told.remove(name).then_some(Change::Left),
            (false, true) => {
                self.told.insert(name.to_string());
                Some(Change::News)
            }
        }
    }
}

fn changed(change: Change, process: &Value, breadth: Breadth) -> Row {
    match change {
        Change::News => row(process, breadth, object::now()),
        Change::Gone => [object::name(process), "0/1", "Deleted"].map(Piece::from).to_vec(),
        Change::Left => {
            let mut row = row(process, breadth, object::now());
            row[STATUS] = "Unselected".into();
            row
        }
    }
}

fn format(text: Option<&str>) -> Result<Format, Trouble> {
    match text {
        None => Ok(Format::Table(Breadth::Plain)),
        Some("wide") => Ok(Format::Table(Breadth::Wide)),
        Some("json") => Ok(Format::Json),
        Some("yaml") => Ok(Format::Yaml),
        Some("name") => Ok(Format::Name),
        Some("jsonpath" | "jsonpath=") => {
            Err(Trouble::Usage("jsonpath wants a template, such as -o jsonpath={.metadata.name}".to_string()))
        }
        Some(other) => match other.strip_prefix("jsonpath=") {
            Some(template) => Ok(Format::Path(Template::parse(template).map_err(Trouble::Usage)?)),
            None => Err(Trouble::unknown("output format", other, FORMATS)),
        },
    }
}

fn print(value: &Value, format: &Format, out: &mut Out) -> Result<(), Trouble> {
    match format {
        Format::Table(_) | Format::Name => out.line(&format!("process/{}", object::name(value))),
        Format::Json => out.line(&serde_json::to_string_pretty(value).unwrap_or_default()),
        Format::Yaml => out.text(&yaml::text(value)),
        // As kubectl: whoever wants the end of a line writes it.
        Format::Path(template) => out.text(&template.text(value)),
    }
}

fn head(breadth: Breadth) -> &'static [&'static str] {
    const ALL: &[&str] =
        &["NAME", "READY", "STATUS", "RESTARTS", "AGE", "PID", "EXIT", "LAST SCHEDULE", "NEXT", "REASON", "COMMAND"];
    match breadth {
        Breadth::Plain => &ALL[..5],
        Breadth::Wide => ALL,
    }
}

fn row(process: &Value, breadth: Breadth, now: f64) -> Row {
    let ready = if object::holds(process, "/status/ready") { "1/1" } else { "0/1" };
    let age = object::ago(process, "/status/startedAt", now);
    let mut row = vec![
        object::name(process).into(),
        ready.into(),
        Piece::of(object::status(process), object::tint(process)),
        restarts(process, now).into(),
        or_none(age.map(|age| age.to_string())).into(),
    ];
    match breadth {
        Breadth::Plain => {}
        Breadth::Wide => row.extend(
            [
                or_none(object::number(process, "/status/pid").map(|pid| pid.to_string())),
                or_none(object::number(process, "/status/lastState/exitCode").map(|code| code.to_string())),
                or_none(object::ago(process, "/status/schedule/lastScheduledAt", now).map(|last| last.to_string())),
                or_none(object::until(process, "/status/nextStartAt", now).map(|next| next.to_string())),
                or_none(Some(reason(process))),
                command(process),
            ]
            .map(Piece::from),
        ),
    }
    row
}

/// Why it is as it is; that its file is refused comes first.
fn reason(process: &Value) -> String {
    let message = object::text(process, "/status/message");
    match object::text(process, "/status/fileError") {
        "" => message.to_string(),
        error => format!("ConfigInvalid: {error}"),
    }
}

/// As kubectl prints it: `3 (2m ago)`.
pub(super) fn restarts(process: &Value, now: f64) -> String {
    let restarts = object::number(process, "/status/restarts").unwrap_or_default();
    match object::ago(process, "/status/lastRestartAt", now) {
        Some(ago) if restarts > 0.0 => format!("{restarts} ({ago} ago)"),
        Some(_) | None => restarts.to_string(),
    }
}

pub(super) fn or_none(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "<none>".to_string())
}

/// Its argv on one line.
pub(super) fn command(process: &Value) -> String {
    let words: Vec<&str> = object::list(process, "/spec/command").iter().filter_map(Value::as_str).collect();
    crate::model::shown(words.join(" ").as_bytes(), 4096)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{BTreeSet, Breadth, Table, Watched, Whom, head, row, with_head};
    use crate::cli::ChoiceArgs;

    fn processes() -> [Value; 3] {
        [
            json!({"metadata": {"name": "web"}, "spec": {"command": ["nginx", "-g", "daemon off;"]}, "status": {
                "phase": "Running", "ready": true, "pid": 42, "restarts": 3,
                "startedAt": "1970-01-01T00:00:00Z", "lastRestartAt": "1970-01-01T00:00:00Z"}}),
            json!({"metadata": {"name": "größer 日本"}, "spec": {"command": ["sh", "-c", "a\nb"]}, "status": {
                "phase": "Waiting", "reason": "CrashLoopBackOff", "message": "back-off 4 s: exit code 3", "ready": false,
                "restarts": 0, "nextStartAt": "1970-01-01T00:02:03.5Z", "lastState": {"exitCode": 3}}}),
            json!({"metadata": {"name": "api"}, "status": {"phase": "Running", "ready": false, "restarts": 0}}),
        ]
    }

    fn shown(breadth: Breadth) -> String {
        let rows = processes().iter().map(|process| row(process, breadth, 120.0)).collect();
        let lines = Table::default().lines(&with_head(head(breadth), rows));
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_table_is_kubectls() {
        let expected = "\
NAME          READY   STATUS             RESTARTS     AGE
web           1/1     Running            3 (2m ago)   2m
größer 日本   0/1     CrashLoopBackOff   0            <none>
api           0/1     Running            0            <none>";
        assert_eq!(shown(Breadth::Plain), expected);
    }

    #[test]
    fn why_a_process_is_as_it_is_says_that_its_file_is_refused() {
        let process = json!({"status": {"message": "back-off 4 s", "fileError": "web:1:7: args: expected a list"}});
        assert_eq!(super::reason(&process), "ConfigInvalid: web:1:7: args: expected a list");
        assert_eq!(super::reason(&json!({"status": {"message": "back-off 4 s"}})), "back-off 4 s");
    }

    #[test]
    fn of_those_that_are_gone_only_those_are_told_that_were_asked_for() {
        let rows: [(&[&str], Option<&str>, &str); 4] = [
            (&[], None, "web-0 api"),
            (&["web"], None, "web-0"),
            (&["process/api"], None, "api"),
            (&[], Some("group=front"), "web-0"),
        ];
        let web = json!({"metadata": {"name": "web-0", "groups": ["front"]}, "spec": {"replica": {"set": "web"}}});
        let api = json!({"metadata": {"name": "api", "groups": []}});
        for (names, selector, expected) in rows {
            let names = names.iter().map(ToString::to_string).collect();
            let args = ChoiceArgs { names, selector: selector.map(str::to_string) };
            let whom = Whom::of(&args).expect("whom");
            let mut watched = Watched { whom: &whom, told: BTreeSet::new() };
            for process in [&web, &api] {
                watched.change("ADDED", process);
            }
            let gone = ["web-0", "other", "api", "web-0"].map(|name| json!({"metadata": {"name": name}}));
            let told: Vec<&str> =
                gone.iter().filter(|gone| watched.change("DELETED", gone).is_some()).map(super::object::name).collect();
            assert_eq!(told.join(" "), expected);
        }
    }

    #[test]
    fn the_wide_table_says_more() {
        let expected = "\
NAME          READY   STATUS             RESTARTS     AGE      PID      EXIT     LAST SCHEDULE   NEXT     REASON                      COMMAND
web           1/1     Running            3 (2m ago)   2m       42       <none>   <none>          <none>   <none>                      nginx -g daemon off;
größer 日本   0/1     CrashLoopBackOff   0            <none>   <none>   3        <none>          4s       back-off 4 s: exit code 3   sh -c a\\nb
api           0/1     Running            0            <none>   <none>   <none>   <none>          <none>   <none>";
        assert_eq!(shown(Breadth::Wide), expected);
    }
}
