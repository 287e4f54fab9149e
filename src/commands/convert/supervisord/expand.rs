//! supervisord's `%(NAME)s`, and `environment`.

use std::path::Path;

use super::super::conversion::Error;
use super::super::text;
use super::ini::Setting;

/// What the expressions of a program stand for.
pub(super) struct Context<'a> {
    here: &'a Path,
    program: &'a str,
    /// Its number; `None`: one file stands for all, and `NCOLONY_REPLICA` tells them apart.
    number: Option<i64>,
    /// How many there are of it; `None`: it is not about a program.
    count: Option<i64>,
}

impl<'a> Context<'a> {
    pub(super) fn new(here: &'a Path, program: &'a str) -> Context<'a> {
        Context { here, program, number: Some(0), count: None }
    }

    /// The same of the program with this number, of so many.
    pub(super) fn numbered(&self, number: Option<i64>, count: i64) -> Context<'a> {
        Context { here: self.here, program: self.program, number, count: Some(count) }
    }

    /// The value, with a reference where a variable of supervisord's own environment stood.
    pub(super) fn expand(&self, setting: &Setting) -> Result<String, Error> {
        let mut out = String::new();
        let mut rest = setting.value.as_str();
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let expression = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
            let Some((name, after)) = expression else {
                return Err(setting.error("a % that is no %(NAME)s; a plain one is written %%"));
            };
            // printf's: flags and a width, then how it is written.
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (width, kind) = (&after[..end], after[end..].chars().next());
            let Some('s' | 'd') = kind else {
                return Err(setting.error("expected s or d behind %(NAME)"));
            };
            out.push_str(&self.value(name, width).map_err(|message| setting.error(&message))?);
            rest = &after[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, name: &str, width: &str) -> Result<String, String> {
        if let Some(variable) = name.strip_prefix("ENV_") {
            return Ok(text::variable(variable));
        }
        match name {
            "here" => Ok(self.here.display().to_string()),
            // Outside of a [group:NAME], a program is a group of its own.
            "program_name" | "group_name" => Ok(self.program.to_string()),
            "process_num" => Ok(self.number.map_or_else(|| text::variable("NCOLONY_REPLICA"), |n| padded(n, width))),
            "host_node_name" => Ok(text::variable("HOSTNAME")),
            "numprocs" => {
                let count = self.count.ok_or("%(numprocs)s is a program's alone; write the number")?;
                Ok(padded(count, width))
            }
            _ => Err(format!("there is no %({name})s")),
        }
    }

    /// `KEY="value",KEY2=value`
    pub(super) fn environment(&self, setting: &Setting) -> Result<Vec<(String, String)>, Error> {
        const EXPECTED: &str = "expected KEY=\"VALUE\" pairs with a comma between them";
        let value = self.expand(setting)?;
        let mut pairs = Vec::new();
        let mut rest = value.trim();
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=').ok_or_else(|| setting.error(EXPECTED))?;
            let key = key.trim();
            if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == ',') {
                return Err(setting.error(EXPECTED));
            }
            let (value, after) = word(after.trim_start()).ok_or_else(|| setting.error("a quote is never closed"))?;
            pairs.push((key.to_string(), value));
            rest = match after.trim_start() {
                "" => "",
                after => after.strip_prefix(',').ok_or_else(|| setting.error(EXPECTED))?.trim_start(),
            };
        }
        Ok(pairs)
    }
}

/// A value up to the next comma that stands in no quotes, without them; and what follows.
fn word(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => out.push(c),
            ('"' | '\'', None) => quote = Some(c),
            (',', None) => return Some((out.trim_end().to_string(), &text[at..])),
            (c, None) => out.push(c),
        }
    }
    quote.is_none().then(|| (out.trim_end().to_string(), ""))
}

fn padded(number: i64, width: &str) -> String {
    let width: usize = width.parse::<usize>().unwrap_or(0).min(20);
    format!("{number:0width$}")
}
