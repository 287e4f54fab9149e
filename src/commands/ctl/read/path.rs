//! kubectl's templates: text, and in braces paths into an object, `{.status.phase}`, `{.items[*].metadata.name}`,
//! `{..name}`, `{.status.conditions[?(@.type=="Ready")].status}`, texts in quotes, and `{range PATH}…{end}`.

use serde_json::Value;

/// A template that was read.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Path(Path),
    Range(Path, Vec<Part>),
}

/// A way into an object.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Eq, PartialEq)]
enum Step {
    Key(String),
    Index(i64),
    All,
    /// All at any depth, and what they are in.
    Below,
    /// Those of which what stands there is this.
    Where(Path, String),
}

impl Template {
    /// Reads a template. A path without braces is one, too.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Template, String> {
        if text.starts_with(['.', '[']) {
            return Ok(Template(vec![Part::Path(Path::parse(text)?)]));
        }
        let mut rest = text;
        let parts = parts(&mut rest, text)?;
        if rest.is_empty() { Ok(Template(parts)) } else { Err(format!("{text:?}: {{end}} without {{range}}")) }
    }

    /// What it comes to of an object; several values with a blank between.
    pub(super) fn text(&self, object: &Value) -> String {
        let mut text = String::new();
        render(&self.0, object, &mut text);
        text
    }
}

/// The parts up to the end, or to an `{end}`, which is left.
fn parts(rest: &mut &str, whole: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let Some(open) = rest.find('{') else {
            parts.push(Part::Text(std::mem::take(rest).to_string()));
            break;
        };
        if open > 0 {
            parts.push(Part::Text(rest[..open].to_string()));
            *rest = &rest[open..];
        }
        let close = rest.find('}').ok_or_else(|| format!("{whole:?}: a brace is not closed"))?;
        let inside = rest[1..close].trim();
        if inside == "end" {
            break;
        }
        let after = &rest[close + 1..];
        *rest = after;
        if let Some(path) = inside.strip_prefix("range ") {
            let each = self::parts(rest, whole)?;
            *rest = rest.strip_prefix("{end}").ok_or_else(|| format!("{whole:?}: {{range}} without {{end}}"))?;
            parts.push(Part::Range(Path::parse(path.trim())?, each));
        } else if let Some(text) = quoted(inside) {
            parts.push(Part::Text(text.replace("\\n", "\n").replace("\\t", "\t")));
        } else {
            parts.push(Part::Path(Path::parse(inside)?));
        }
    }
    Ok(parts)
}

fn quoted(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

fn render(parts: &[Part], object: &Value, text: &mut String) {
    for part in parts {
        match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Path(path) => {
                let values: Vec<String> = path.values(object).into_iter().map(plain).collect();
                text.push_str(&values.join(" "));
            }
            Part::Range(path, each) => path.values(object).into_iter().for_each(|value| render(each, value, text)),
        }
    }
}

/// A text as it is, anything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

impl Path {
    /// Reads a path, with braces or without.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Path, String> {
        let bad = || {
            format!(
                "{text:?} is no path: expected one such as .status.phase or .items[0].metadata.name; of several each stands in braces"
            )
        };
        let mut rest = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        rest = rest.strip_prefix(['$', '@']).unwrap_or(rest);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(key) = rest.strip_prefix('.') {
                let end = key.find(['.', '[']).unwrap_or(key.len());
                match &key[..end] {
                    "" if key.starts_with('.') => steps.push(Step::Below),
                    "" if !steps.is_empty() || end < key.len() => return Err(bad()),
                    "" => {}
                    "*" => steps.push(Step::All),
                    key if key.contains(|c: char| c == ',' || c == '\\' || c.is_whitespace()) => return Err(bad()),
                    key => steps.push(Step::Key(key.to_string())),
                }
                rest = &key[end..];
            } else {
                let inside = rest.strip_prefix('[').ok_or_else(bad)?;
                let end = inside.find(']').ok_or_else(bad)?;
                steps.push(step(&inside[..end]).ok_or_else(bad)?);
                rest = &inside[end + 1..];
            }
        }
        Ok(Path(steps))
    }

    /// What stands there; nothing where there is no such place.
    pub(super) fn values<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        self.0.iter().fold(vec![object], |values, step| values.into_iter().flat_map(|value| step.of(value)).collect())
    }
}

/// What stands in brackets.
fn step(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::All);
    }
    if let Some(key) = quoted(inside) {
        return Some(Step::Key(key.to_string()));
    }
    if let Some(condition) = inside.strip_prefix("?(").and_then(|condition| condition.strip_suffix(')')) {
        let (path, value) = condition.split_once("==")?;
        let value = value.trim();
        return Some(Step::Where(Path::parse(path.trim()).ok()?, quoted(value).unwrap_or(value).to_string()));
    }
    inside.parse().ok().map(Step::Index)
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Step::Key(key), _) => value.get(key).into_iter().collect(),
            (Step::Index(index), Value::Array(items)) => {
                let from = if *index < 0 { items.len() as i64 } else { 0 };
                usize::try_from(from + index).ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            (Step::All, Value::Array(items)) => items.iter().collect(),
            (Step::All, Value::Object(entries)) => entries.values().collect(),
            (Step::Where(path, wanted), Value::Array(items)) => {
                items.iter().filter(|item| path.values(item).into_iter().any(|value| plain(value) == *wanted)).collect()
            }
            (Step::Below, _) => {
                let inside = Step::All.of(value).into_iter().flat_map(|inside| Step::Below.of(inside));
                std::iter::once(value).chain(inside).collect()
            }
            (Step::Index(_) | Step::All | Step::Where(..), _) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Template;

    #[test]
    fn templates_are_kubectls() {
        let object = json!({"items": [
            {"metadata": {"name": "a"}, "status": {"ready": true, "conditions": [
                {"type": "Ready", "status": "True"}, {"type": "Started", "status": "False"}]}},
            {"metadata": {"name": "b"}, "status": {"ready": false, "restarts": 2}},
        ]});
        let rows = [
            ("{.items[*].metadata.name}", "a b"),
            (".items[0].metadata.name", "a"),
            ("{.items[-1].status.restarts}", "2"),
            ("{.items[0].status.conditions[?(@.type==\"Ready\")].status}", "True"),
            ("{.items[0].status.conditions[?(@.type=='Started')].status}", "False"),
            ("{$.items[1]['metadata'].name}!", "b!"),
            ("{range .items[*]}{.metadata.name}={.status.ready}{\"\\n\"}{end}", "a=true\nb=false\n"),
            ("{.nothing.there}", ""),
            ("{..name}", "a b"),
            ("{.items[0].status..status}", "True False"),
            ("{.items[7]}{.items[0].metadata[*]}", "a"),
            ("{.items[1].metadata}", r#"{"name":"b"}"#),
            ("plain", "plain"),
            ("", ""),
        ];
        for (template, expected) in rows {
            let text = Template::parse(template).map(|template| template.text(&object));
            assert_eq!(text.as_deref(), Ok(expected), "{template}");
        }
        for bad in [
            "{.a",
            "{a}",
            "{.a,.b}",
            "{.a, .b}",
            "{.a[0,1]}",
            "{.a[0:2]}",
            "{.a..}",
            "{..}",
            "{..[0]}",
            "{.a[}",
            "{.a[x]}",
            "{range .a}x",
            "x{end}",
            ".a[?(b)]",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
