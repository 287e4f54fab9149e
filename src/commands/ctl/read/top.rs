//! `ncolony ctl top`

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::Value;
use terminal_size::{Height, Width, terminal_size};

use super::error::Trouble;
use super::get::or_none;
use super::keys::{Keys, Pressed};
use super::monitor::Monitor;
use super::object::{self, list, number};
use super::out::Out;
use super::paint::{Line, Piece};
use super::table::{Row, Table, with_head};
use super::whom::{Detail, Whom};
use crate::cli::TopArgs;
use crate::model::sort_by;

/// How often it is drawn anew.
const PERIOD: Duration = Duration::from_secs(2);
/// The way to what all of them use.
const USAGE: &str = "/v1/processes?usage=true";
const HEAD: &[&str] = &["NAME", "STATUS", "CPU(cores)", "CPU TIME", "MEMORY(bytes)", "THREADS", "FDS"];

/// What was used by when: the time of the look, in seconds since 1970, and processor seconds by name.
#[derive(Default)]
struct Before {
    at: f64,
    used: Vec<(String, f64)>,
    /// By the look before, in thousandths of a processor. In the order of names, as the others.
    rates: Vec<(String, f64)>,
}

/// Prints what processes use: on a terminal again and again, those that use most first; elsewhere once, in the order of names.
pub(super) fn top(monitor: Monitor<'_>, args: &TopArgs, out: &mut Out) -> Result<(), Trouble> {
    let mut whom = Whom::of(&args.whom)?;
    let (_, shown) = whom.now(monitor, Detail::Brief)?;
    if std::io::stdout().is_terminal() {
        let ended = live(monitor, &whom, out);
        // What follows begins a line of its own.
        out.text("\n")?;
        return ended.and_then(|()| shown.outcome());
    }
    let all = monitor.get(USAGE)?;
    let (found, _) = whom.among(&all);
    if found.is_empty() {
        whom.tell_of_none(&all);
        return shown.outcome();
    }
    let rows = found.into_iter().map(|process| row(process, &Before::default())).collect();
    let rows = if args.no_headers { rows } else { with_head(HEAD, rows) };
    out.lines(&Table::default().lines(&rows))?;
    shown.outcome()
}

/// Draws it anew until a key ends it.
fn live(monitor: Monitor<'_>, whom: &Whom<'_>, out: &mut Out) -> Result<(), Trouble> {
    let mut keys = Keys::open();
    let mut before = Before::default();
    loop {
        let all = monitor.get(USAGE)?;
        before.look(&all);
        let (mut found, _) = whom.among(&all);
        sort_by(&mut found, |one, other| before.weight(other).cmp(&before.weight(one)));
        let rows = with_head(HEAD, found.into_iter().map(|process| row(process, &before)).collect());
        let (Width(columns), Height(lines)) = terminal_size().unwrap_or((Width(80), Height(24)));
        let unknown = before.rates.is_empty().then_some("CPU(cores) comes with the next look");
        out.screen(&screen(&Table::default().lines(&rows), unknown, columns.into(), lines.into()))?;
        match keys.wait(PERIOD) {
            Pressed::Nothing => {}
            Pressed::Quit => return Ok(()),
        }
    }
}

/// As much as a terminal has room for; its last line tells what is missing.
fn screen(lines: &[Line], unknown: Option<&str>, columns: usize, rows: usize) -> Vec<Line> {
    let head = lines.first().map(|line| line.cut(columns).to_string()).unwrap_or_default();
    let hidden = HEAD.iter().filter(|name| !head.contains(**name)).count();
    let is_whole = lines.len() <= rows && hidden == 0 && unknown.is_none();
    let shown = if is_whole { rows } else { lines.len().min(rows.saturating_sub(1)) };
    let more = |count: usize, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} more {what}{plural}"))
    };
    let missing = [more(lines.len().saturating_sub(shown), "row"), more(hidden, "column"), unknown.map(str::to_string)];
    let missing: Vec<String> = missing.into_iter().flatten().collect();
    let last = (!is_whole).then(|| Line::from(format!("… {}", missing.join(", "))));
    lines.iter().take(shown).chain(&last).map(|line| line.cut(columns)).collect()
}

impl Before {
    /// Another look. Where the monitor has none that is newer, nothing is known anew.
    fn look(&mut self, all: &Value) {
        let at = object::time(all, "/sampledAt").unwrap_or_default();
        if at <= self.at {
            return;
        }
        let span = at - self.at;
        let mut used = Vec::new();
        self.rates.clear();
        for process in list(all, "/items") {
            let (name, Some(now)) = (object::name(process), number(process, "/status/usage/cpuSeconds")) else {
                continue;
            };
            if let Some(then) = of(&self.used, name).filter(|_| self.at > 0.0) {
                self.rates.push((name.to_string(), (now - then) / span * 1000.0));
            }
            used.push((name.to_string(), now));
        }
        (self.at, self.used) = (at, used);
    }

    /// By what they are ordered.
    fn weight(&self, process: &Value) -> (u64, u64) {
        let rate = of(&self.rates, object::name(process)).unwrap_or_default();
        (rate.max(0.0) as u64, number(process, "/status/usage/residentBytes").unwrap_or_default() as u64)
    }
}

/// What belongs to a name.
fn of(by_name: &[(String, f64)], name: &str) -> Option<f64> {
    by_name.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok().map(|at| by_name[at].1)
}

fn row(process: &Value, before: &Before) -> Row {
    let rate = of(&before.rates, object::name(process)).map(|rate| format!("{rate:.0}m"));
    let whole = |place| or_none(number(process, place).map(|number| number.to_string()));
    vec![
        object::name(process).into(),
        Piece::of(object::status(process), object::tint(process)),
        or_none(rate).into(),
        or_none(number(process, "/status/usage/cpuSeconds").map(|seconds| format!("{seconds:.2}s"))).into(),
        or_none(number(process, "/status/usage/residentBytes").map(bytes)).into(),
        whole("/status/usage/threads").into(),
        whole("/status/usage/openFds").into(),
    ]
}

fn bytes(bytes: f64) -> String {
    match bytes / 1_048_576.0 {
        mebibytes if mebibytes >= 1.0 => format!("{mebibytes:.0}Mi"),
        _ => format!("{:.0}Ki", bytes / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Before, HEAD, Line, Table, row, screen, with_head};
    use crate::ctl::read::object;

    fn colony(at: &str, seconds: f64) -> Value {
        json!({"sampledAt": at, "items": [
            {"metadata": {"name": "web"}, "status": {"phase": "Running", "usage": {"cpuSeconds": seconds, "residentBytes": 3145728, "threads": 4, "openFds": 9}}},
            {"metadata": {"name": "日本"}, "status": {"phase": "Waiting", "reason": "Suspended"}},
        ]})
    }

    #[test]
    fn what_is_used_is_told_per_second_once_there_were_two_looks() {
        let mut before = Before::default();
        before.look(&colony("1970-01-01T00:00:10Z", 1.0));
        before.look(&colony("1970-01-01T00:00:15Z", 2.25));
        before.look(&colony("1970-01-01T00:00:15Z", 2.25));
        let colony = colony("1970-01-01T00:00:15Z", 2.25);
        let rows = object::list(&colony, "/items").iter().map(|process| row(process, &before)).collect();
        let lines = Table::default().lines(&with_head(HEAD, rows));
        let expected = "\
NAME   STATUS      CPU(cores)   CPU TIME   MEMORY(bytes)   THREADS   FDS
web    Running     250m         2.25s      3Mi             4         9
日本   Suspended   <none>       <none>     <none>          <none>    <none>";
        let text = |lines: &[Line]| lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(text(&lines), expected);
        assert_eq!(screen(&lines, None, 80, 3), lines);
        let narrow = screen(&lines, None, 40, 2);
        assert_eq!(text(&narrow), "NAME   STATUS      CPU(cores)   CPU TIME\n… 2 more rows, 3 more columns");
        let low = screen(&lines, Some("and more"), 80, 3);
        assert_eq!(low[..2], lines[..2]);
        assert_eq!(low[2].to_string(), "… 1 more row, and more");
        assert_eq!(text(&screen(&lines, Some("and more"), 80, 9)[3..]), "… and more");
    }
}
