//! The rules of grafana/dashboard-linter, by its names, said anew; and what it does not look at.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::board::{Board, label_values, list, word};
use crate::promql::{Selector, read};

/// A rule; what it finds, nothing if all is well.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) find: fn(&Board) -> Vec<String>,
}

const fn rule(name: &'static str, find: fn(&Board) -> Vec<String>) -> Rule {
    Rule { name, find }
}

/// All that can be seen in the dashboard alone.
pub(crate) const RULES: &[Rule] = &[
    rule("template-datasource-rule", template_datasource),
    rule("template-job-rule", |board| template(board, "job", "Job")),
    rule("template-instance-rule", |board| template(board, "instance", "Instance")),
    rule("template-label-promql-rule", template_label_promql),
    rule("template-on-time-change-reload-rule", template_on_time_change_reload),
    rule("panel-datasource-rule", panel_datasource),
    rule("panel-title-description-rule", panel_title_description),
    rule("panel-units-rule", panel_units),
    rule("panel-no-targets-rule", panel_no_targets),
    rule("target-promql-rule", target_promql),
    rule("target-rate-interval-rule", target_rate_interval),
    rule("target-job-rule", |board| target_matcher(board, "job")),
    rule("target-instance-rule", |board| target_matcher(board, "instance")),
    rule("target-counter-agg-rule", target_counter_agg),
    rule("uneditable-dashboard", uneditable),
    rule("target-scope-rule", target_scope),
    rule("target-own-rule", target_own),
    rule("target-kind-rule", target_kind),
    rule("target-legend-rule", target_legend),
    rule("template-chain-rule", template_chain),
    rule("template-known-rule", template_known),
    rule("dashboard-identity-rule", dashboard_identity),
    rule("panel-id-rule", panel_id),
    rule("panel-grid-rule", panel_grid),
];

/// What Grafana calls the units that are used here.
const UNITS: &[&str] =
    &["none", "short", "percentunit", "bytes", "Bps", "s", "ops", "reqps", "bool", "dateTimeAsIso", "dateTimeFromNow"];

/// The variable that chooses the data source, as panels and variables refer to it.
fn asks_the_chosen(value: &Value) -> bool {
    value["type"] == "prometheus" && (value["uid"] == "${datasource}" || value["uid"] == "$datasource")
}

fn template_datasource(board: &Board) -> Vec<String> {
    let sources: Vec<&Value> = board.variables().iter().filter(|variable| variable["type"] == "datasource").collect();
    let [source] = sources[..] else { return vec![format!("{} variables choose a data source", sources.len())] };
    let expected = [("name", "datasource"), ("label", "Data source"), ("query", "prometheus")];
    let wrong = expected.iter().filter(|(key, value)| source[*key] != *value);
    wrong.map(|(key, value)| format!("its {key} is {}, not {value}", source[*key])).collect()
}

fn template(board: &Board, name: &str, label: &str) -> Vec<String> {
    let Some(variable) = board.variables().iter().find(|variable| variable["name"] == name) else {
        return vec![format!("there is no variable {name}")];
    };
    let expected =
        [("type", json!("query")), ("label", json!(label)), ("multi", json!(true)), ("allValue", json!(".+"))];
    let wrong = expected.iter().filter(|(key, value)| variable[*key] != *value);
    let mut found: Vec<String> =
        wrong.map(|(key, value)| format!("{name}: {key} is {}, not {value}", variable[*key])).collect();
    if !asks_the_chosen(&variable["datasource"]) {
        found.push(format!("{name} does not ask $datasource"));
    }
    found
}

fn template_label_promql(board: &Board) -> Vec<String> {
    let wrong = |variable: &Value| match label_values(variable).map(|(selector, _)| read(selector)) {
        Some(Ok(read)) if read.selectors.len() == 1 => None,
        Some(Ok(_)) | None => Some(format!("{}: expected label_values(SELECTOR, LABEL)", variable["name"])),
        Some(Err(error)) => Some(format!("{}: {error}", variable["name"])),
    };
    board.asking().filter_map(wrong).collect()
}

fn template_on_time_change_reload(board: &Board) -> Vec<String> {
    const ON_TIME_CHANGE: i32 = 2;
    let wrong = board.asking().filter(|variable| variable["refresh"] != ON_TIME_CHANGE);
    wrong.map(|variable| format!("{} is not asked again when the time changes", variable["name"])).collect()
}

fn panel_datasource(board: &Board) -> Vec<String> {
    let sources = board.panels().into_iter().flat_map(|panel| {
        let of_targets = list(&panel["targets"]).iter().map(|target| &target["datasource"]);
        of_targets.chain([&panel["datasource"]]).map(move |source| (panel, source))
    });
    let wrong = sources.filter(|(_, source)| !asks_the_chosen(source));
    wrong.map(|(panel, source)| format!("panel {} asks {source}", panel["title"])).collect()
}

fn panel_title_description(board: &Board) -> Vec<String> {
    let keys = |panel| ["title", "description"].into_iter().map(move |key| (panel, key));
    let wrong = board.panels().into_iter().flat_map(keys).filter(|(panel, key)| word(&panel[key]).trim().is_empty());
    wrong.map(|(panel, key)| format!("panel {} ({}) has no {key}", panel["id"], panel["title"])).collect()
}

fn panel_units(board: &Board) -> Vec<String> {
    let units = board.panels().into_iter().flat_map(|panel| {
        let properties = list(&panel["fieldConfig"]["overrides"]).iter().flat_map(|o| list(&o["properties"]));
        let of_fields = properties.filter(|property| property["id"] == "unit").map(|property| &property["value"]);
        of_fields.chain([&panel["fieldConfig"]["defaults"]["unit"]]).map(move |unit| (panel, unit))
    });
    let wrong = units.filter(|(_, unit)| !UNITS.contains(&word(unit)));
    wrong.map(|(panel, unit)| format!("panel {}: {unit} is none of the units in use here", panel["title"])).collect()
}

fn panel_no_targets(board: &Board) -> Vec<String> {
    let wrong = board.panels().into_iter().filter(|panel| list(&panel["targets"]).is_empty());
    wrong.map(|panel| format!("panel {} asks nothing", panel["title"])).collect()
}

/// That it can be read; promtool says whether it means something.
fn target_promql(board: &Board) -> Vec<String> {
    let all = board.targets().into_iter().chain(board.annotations());
    let wrong = all.filter_map(|query| Some((query.place, read(query.expr).err()?)));
    wrong.map(|(place, error)| format!("{place}: {error}")).collect()
}

/// Each selector of a panel, and where it stands.
fn selectors(board: &Board) -> Vec<(String, Selector)> {
    let read = board.targets().into_iter().filter_map(|query| Some((query.place, read(query.expr).ok()?)));
    read.flat_map(|(place, read)| read.selectors.into_iter().map(move |selector| (place.clone(), selector))).collect()
}

fn target_rate_interval(board: &Board) -> Vec<String> {
    let is_well = |selector: &Selector| match selector.function.as_deref() {
        Some("rate" | "irate") => selector.range.as_deref() == Some("$__rate_interval"),
        // What is said of the whole time shown is no sample of it.
        Some("increase") => matches!(selector.range.as_deref(), Some("$__rate_interval" | "$__range")),
        _ => true,
    };
    let wrong = selectors(board).into_iter().filter(|(_, selector)| !is_well(selector));
    wrong.map(|(place, selector)| format!("{place}: {} over {:?}", selector.metric, selector.range)).collect()
}

fn has_matcher(selector: &Selector, label: &str, variable: &str) -> bool {
    let expected = format!("${variable}");
    selector.matchers.iter().any(|m| m.label == label && m.operator == "=~" && m.value == expected)
}

fn target_matcher(board: &Board, label: &str) -> Vec<String> {
    let wrong = selectors(board).into_iter().filter(|(_, selector)| !has_matcher(selector, label, label));
    wrong.map(|(place, selector)| format!("{place}: {} lacks {label}=~\"${label}\"", selector.metric)).collect()
}

fn target_counter_agg(board: &Board) -> Vec<String> {
    let is_well = |selector: &Selector| {
        let is_grown = matches!(selector.function.as_deref(), Some("rate" | "irate" | "increase"));
        !selector.metric.ends_with("_total") || is_grown && selector.range.is_some()
    };
    let wrong = selectors(board).into_iter().filter(|(_, selector)| !is_well(selector));
    wrong.map(|(place, selector)| format!("{place}: the counter {} is shown as it is", selector.metric)).collect()
}

fn uneditable(board: &Board) -> Vec<String> {
    let is_fixed = board.0["editable"] == false;
    (!is_fixed).then(|| "it can be edited where it is loaded from a file".to_string()).into_iter().collect()
}

/// Who chooses a namespace, a pod or a process sees nothing else.
fn target_scope(board: &Board) -> Vec<String> {
    let scopes = |metric: &str| {
        let of_one = match metric {
            metric if metric.starts_with("ncolony_process_") || metric.starts_with("ncolony_prober_") => {
                Some("process")
            }
            metric if metric.starts_with("ncolony_schedule_") => Some("schedule"),
            _ => None,
        };
        ["namespace", "pod"].into_iter().map(|label| (label, label)).chain(of_one.map(|label| (label, "process")))
    };
    let all = selectors(board);
    let needed = all.iter().flat_map(|(place, selector)| {
        scopes(&selector.metric).map(move |(label, variable)| (place, selector, label, variable))
    });
    let wrong = needed.filter(|(_, selector, label, variable)| !has_matcher(selector, label, variable));
    wrong
        .map(|(place, selector, label, variable)| {
            format!("{place}: {} lacks {label}=~\"${variable}\"", selector.metric)
        })
        .collect()
}

/// `up` and `process_*` are of everything that Prometheus scrapes: only those of monitors are meant. One that is down has
/// had its `ncolony_build_info` before.
fn target_own(board: &Board) -> Vec<String> {
    let is_everybodys = |selector: &Selector| selector.metric == "up" || selector.metric.starts_with("process_");
    let is_narrowed = |expr: &str, selectors: &[Selector]| {
        let before = selectors.iter().any(|selector| selector.metric == "up").then_some("last_over_time");
        let names = |s: &Selector| s.metric == "ncolony_build_info" && s.function.as_deref() == before;
        expr.contains("and on (job, instance)") && selectors.iter().any(names)
    };
    let wrong = board.targets().into_iter().filter(|query| {
        read(query.expr)
            .is_ok_and(|read| read.selectors.iter().any(is_everybodys) && !is_narrowed(query.expr, &read.selectors))
    });
    wrong.map(|query| format!("{}: of everything that is scraped: {}", query.place, query.expr)).collect()
}

/// What shows one moment asks for one, and what shows a span asks for that.
fn target_kind(board: &Board) -> Vec<String> {
    let wrong = board.panels().into_iter().filter(|panel| {
        let shows_a_moment = matches!(word(&panel["type"]), "stat" | "table");
        list(&panel["targets"]).iter().any(|target| (target["instant"] == true) != shows_a_moment)
    });
    wrong.map(|panel| format!("panel {} does not ask for what it shows", panel["title"])).collect()
}

/// Without, a series is called by all its labels.
fn target_legend(board: &Board) -> Vec<String> {
    let wrong = board.targets().into_iter().filter(|query| !query.is_instant && query.legend.is_empty());
    wrong.map(|query| format!("{}: its series have no name", query.place)).collect()
}

/// Each variable offers what the ones before it leave.
fn template_chain(board: &Board) -> Vec<String> {
    let mut before: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for variable in board.asking() {
        let name = word(&variable["name"]);
        let selector = label_values(variable).and_then(|(selector, _)| read(selector).ok()?.selectors.pop());
        let is_bound = |label: &&&str| !selector.as_ref().is_some_and(|selector| has_matcher(selector, label, label));
        found.extend(before.iter().filter(is_bound).map(|label| format!("{name} offers what ${label} excludes")));
        before.push(name);
    }
    found
}

/// The variables that Grafana itself has.
const GRAFANAS: &[&str] = &["__rate_interval", "__interval", "__range"];

fn template_known(board: &Board) -> Vec<String> {
    let of_variables = board.asking().map(|variable| (variable["name"].to_string(), word(&variable["query"]["query"])));
    let queries = board.targets().into_iter().chain(board.annotations()).map(|query| (query.place, query.expr));
    let used = queries.chain(of_variables).flat_map(|(place, expr)| {
        let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
        expr.split('$').skip(1).map(name).map(|name| (place.clone(), name)).collect::<Vec<_>>()
    });
    let known: BTreeSet<&str> = board.variables().iter().map(|variable| word(&variable["name"])).collect();
    let wrong = used.filter(|(_, name)| !known.contains(name.as_str()) && !GRAFANAS.contains(&name.as_str()));
    wrong.map(|(place, name)| format!("{place}: there is no variable {name:?}")).collect()
}

/// Imported twice it is the same dashboard, and it is no one else's.
fn dashboard_identity(board: &Board) -> Vec<String> {
    let (board, uid) = (&board.0, word(&board.0["uid"]));
    let is_uid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let checks = [
        (board.get("id").is_none(), "it has the id of somebody's database"),
        ((1..=40).contains(&uid.len()) && uid.chars().all(is_uid), "its uid is not 1 to 40 letters, digits, - and _"),
        (board["schemaVersion"] == 41, "its schemaVersion is not 41"),
        (board.get("__inputs").is_none(), "__inputs belong to an export, and cannot be loaded from a file"),
    ];
    checks.into_iter().filter(|(is_well, _)| !is_well).map(|(_, trouble)| trouble.to_string()).collect()
}

fn panel_id(board: &Board) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let wrong =
        board.boxes().into_iter().filter(|panel| !panel["id"].as_u64().is_some_and(|id| id > 0 && seen.insert(id)));
    wrong.map(|panel| format!("panel {}: the id {} is missing or taken", panel["title"], panel["id"])).collect()
}

/// A panel's place: left, top, and the first column and line behind it.
fn place(panel: &Value) -> Option<[u64; 4]> {
    let side = |key: &str| panel["gridPos"][key].as_u64();
    let (x, y, w, h) = (side("x")?, side("y")?, side("w")?, side("h")?);
    (w > 0 && h > 0).then_some([x, y, x + w, y + h])
}

fn panel_grid(board: &Board) -> Vec<String> {
    const COLUMNS: u64 = 24;
    let mut placed: Vec<([u64; 4], &Value)> = Vec::new();
    let mut found = Vec::new();
    for panel in board.boxes() {
        let title = &panel["title"];
        let Some(at @ [left, top, right, bottom]) = place(panel).filter(|[_, _, right, _]| *right <= COLUMNS) else {
            found.push(format!("panel {title} is not within the {COLUMNS} columns"));
            continue;
        };
        let meets = |[l, t, r, b]: [u64; 4]| left < r && l < right && top < b && t < bottom;
        found.extend(
            placed
                .iter()
                .filter(|(other, _)| meets(*other))
                .map(|(_, other)| format!("panel {title} lies on {}", other["title"])),
        );
        placed.push((at, panel));
    }
    found
}
