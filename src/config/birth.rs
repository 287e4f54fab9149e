//! The command line and the environment as the kernel will get them, within its limits.

use std::collections::BTreeMap;

use super::expand::expand;
use super::node::{Node, Span};
use super::report::{Report, shown};

/// MAX_ARG_STRLEN of execve(2): the longest argument or variable, its closing NUL included.
const MAX_ONE: usize = 128 * 1024;
/// The most that execve(2) takes of all of them together under the usual stack limit of 8 MiB.
const MAX_ALL: usize = 2 * 1024 * 1024;

/// What a file says about them.
pub(super) struct Command<'a> {
    /// `command`
    pub(super) head: Option<Vec<String>>,
    /// `args`
    pub(super) args: Option<Vec<String>>,
    /// `env`, in the file's order, and where the values stand.
    pub(super) env: Vec<(String, String, Span)>,
    /// `NCOLONY_CONFIG`
    pub(super) config: &'a str,
}

/// The argv and the environment; `None` when what is wrong has been reported.
pub(super) fn command_line(
    report: &mut Report<'_>,
    root: &Node,
    command: Command<'_>,
) -> Option<(Vec<String>, BTreeMap<String, String>)> {
    let Command { head, args, env, config } = command;
    let has_command = root.has_key("command");
    if !has_command && !root.has_key("args") {
        let message = "the key \"args\" is missing: the program and its arguments, such as [\"sleep\", \"60\"]";
        report.error(&"", Span { start: root.span.start, end: root.span.start + 1 }, message);
        return None;
    }
    // A list that is there and bad has been reported.
    if (has_command && head.is_none()) || (root.has_key("args") && args.is_none()) {
        return None;
    }
    let (key, program) = if has_command { ("command", head.as_deref()) } else { ("args", args.as_deref()) };
    if program.and_then(|list| list.first()).is_none_or(String::is_empty) {
        report.error(&key, root.span_of(key), "expected a program as the first text of this list");
        return None;
    }
    let env = if has_command { expanded_env(report, env)? } else { env };
    let env: BTreeMap<String, String> = env.into_iter().map(|(name, value, _)| (name, value)).collect();
    let mut argv = Vec::new();
    let mut sum = 0;
    for (key, list) in [("command", head), ("args", args)] {
        for text in list.unwrap_or_default() {
            let text =
                if has_command { expand(&text, MAX_ONE, |name| env.get(name).map(String::as_str)) } else { Some(text) };
            let text = within(report, key, root.span_of(key), text)?;
            // At once, not in the end: what references make of a small file does not fit into memory.
            sum += text.len();
            if sum > MAX_ALL {
                report.error(&key, root.span_of(key), format!("longer than the kernel's limit of {MAX_ALL} bytes"));
                return None;
            }
            argv.push(text);
        }
    }
    is_within_all(report, root, &argv, &env, config).then_some((argv, env))
}

/// As the kubelet does it: a value sees the variables above it.
fn expanded_env(report: &mut Report<'_>, env: Vec<(String, String, Span)>) -> Option<Vec<(String, String, Span)>> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut out = Vec::new();
    let mut sum = 0;
    for (name, value, span) in env {
        let value = expand(&value, MAX_ONE, |name| known.get(name).map(String::as_str));
        let value = within(report, "env", span, value)?;
        sum += value.len();
        if sum > MAX_ALL {
            report.error(&"env", span, format!("the environment is longer than the kernel's limit of {MAX_ALL} bytes"));
            return None;
        }
        known.insert(name.clone(), value.clone());
        out.push((name, value, span));
    }
    Some(out)
}

fn within(report: &mut Report<'_>, key: &str, span: Span, text: Option<String>) -> Option<String> {
    let text = text.filter(|text| text.len() < MAX_ONE);
    if text.is_none() {
        let message = format!("one text is longer than the kernel's limit of {MAX_ONE} bytes (MAX_ARG_STRLEN)");
        report.error(&key, span, message);
    }
    text
}

/// Judges what execve(2) will be given, `NCOLONY_CONFIG` included.
fn is_within_all(
    report: &mut Report<'_>,
    root: &Node,
    argv: &[String],
    env: &BTreeMap<String, String>,
    config: &str,
) -> bool {
    let start = Span::at(root.span.start);
    let pair = |name: &str, value: &str| name.len() + value.len() + 2;
    if let Some((name, _)) = env.iter().find(|(name, value)| pair(name, value) > MAX_ONE) {
        let path = format!("env.{}", shown(name));
        report.error(&path, start, format!("longer than the kernel's limit of {MAX_ONE} bytes (MAX_ARG_STRLEN)"));
        return false;
    }
    if pair("NCOLONY_CONFIG", config) > MAX_ONE {
        let message = format!(
            "the process gets this file as NCOLONY_CONFIG, and it is longer than the kernel's limit of {MAX_ONE} bytes (MAX_ARG_STRLEN)"
        );
        report.error(&"", start, message);
        return false;
    }
    let pointer = size_of::<usize>();
    let all: usize = argv.iter().map(|text| text.len() + 1 + pointer).sum::<usize>()
        + env.iter().map(|(name, value)| pair(name, value) + pointer).sum::<usize>()
        + pair("NCOLONY_CONFIG", config);
    if all > MAX_ALL {
        report.error(
            &"",
            start,
            format!("arguments and environment are longer than the kernel's limit of {MAX_ALL} bytes"),
        );
    }
    all <= MAX_ALL
}
