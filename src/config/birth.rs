//! The command line and the environment, judged by the kernel's limits as far as they are known before a start.

use super::node::{Node, Span};
use super::report::{Report, shown};
use crate::model::{Composer, EnvValue, Found, Inherited, MAX_ALL, MAX_ONE, References, TooLong, Variable, sort_by};

/// What a file says about them.
pub(super) struct Command<'a> {
    /// `command`
    pub(super) head: Option<Vec<String>>,
    /// `args`
    pub(super) args: Option<Vec<String>>,
    /// `env`, in the file's order, and where the values stand.
    pub(super) env: Vec<(Variable, Span)>,
    /// `env_inherit`
    pub(super) inherited: &'a [Inherited],
    /// `NCOLONY_CONFIG`
    pub(super) config: &'a str,
}

/// What they are before anything of a start is known.
pub(super) struct Line {
    pub(super) argv: Vec<String>,
    pub(super) references: References,
    pub(super) env: Vec<Variable>,
}

/// The argv and the environment; `None` when what is wrong has been reported.
pub(super) fn command_line(report: &mut Report<'_>, root: &Node, command: Command<'_>) -> Option<Line> {
    let has_command = root.has_key("command");
    if !has_command && !root.has_key("args") {
        let message = "the key \"args\" is missing: the program and its arguments, such as [\"sleep\", \"60\"]";
        report.error(&"", Span { start: root.span.start, end: root.span.start + 1 }, message);
        return None;
    }
    // A list that is there and bad has been reported.
    if (has_command && command.head.is_none()) || (root.has_key("args") && command.args.is_none()) {
        return None;
    }
    let (key, program) = if has_command { ("command", &command.head) } else { ("args", &command.args) };
    if program.as_ref().and_then(|list| list.first()).is_none_or(String::is_empty) {
        report.error(&key, root.span_of(key), "expected a program as the first text of this list");
        return None;
    }
    let references = if has_command { References::Expanded } else { References::Kept };
    if !fits(report, root, references, &command) {
        return None;
    }
    let Command { head, args, env, .. } = command;
    Some(Line {
        argv: head.into_iter().chain(args).flatten().collect(),
        references,
        env: ordered(env.into_iter().map(|(variable, _)| variable).collect(), references),
    })
}

/// Whether execve(2) would take what is known of it, `NCOLONY_CONFIG` included.
fn fits(report: &mut Report<'_>, root: &Node, references: References, command: &Command<'_>) -> bool {
    let mut composer = Composer::new(references);
    for inherited in command.inherited {
        // Its value is the monitor's affair; that of the file does not count.
        if let Inherited::Name(name) = inherited
            && composer.fix(name.as_bytes().to_vec(), Vec::new()).is_err()
        {
            report.error(&"env_inherit", root.span_of("env_inherit"), told(TooLong::One));
            return false;
        }
    }
    for (Variable { name, value }, span) in &command.env {
        let found = match value {
            EnvValue::Text(text) => Found::Text(text),
            EnvValue::File(_) => Found::Unknown,
        };
        if let Err(too_long) = composer.add(name, found) {
            report.error(&format!("env.{}", shown(name)), *span, told(too_long));
            return false;
        }
    }
    for (key, list) in [("command", &command.head), ("args", &command.args)] {
        for text in list.iter().flatten() {
            if let Err(too_long) = composer.argument(text) {
                report.error(&key, root.span_of(key), told(too_long));
                return false;
            }
        }
    }
    if composer.fix(b"NCOLONY_CONFIG".to_vec(), command.config.as_bytes().to_vec()).is_err() {
        let message = format!(
            "the process gets this file as NCOLONY_CONFIG, and it is longer than the kernel's limit of {MAX_ONE} bytes (MAX_ARG_STRLEN)"
        );
        report.error(&"", Span::at(root.span.start), message);
        return false;
    }
    true
}

fn told(too_long: TooLong) -> String {
    match too_long {
        TooLong::One => format!("longer than the kernel's limit of {MAX_ONE} bytes (MAX_ARG_STRLEN)"),
        TooLong::All => {
            format!("with this, arguments and environment are longer than the kernel's limit of {MAX_ALL} bytes")
        }
    }
}

/// Of two with one name the later counts. Where no value refers to another their order means nothing, so it is not to be
/// taken for an edit.
fn ordered(env: Vec<Variable>, references: References) -> Vec<Variable> {
    let refers = |variable: &Variable| match &variable.value {
        EnvValue::Text(text) => text.contains("$("),
        EnvValue::File(_) => false,
    };
    if references == References::Expanded && env.iter().any(refers) {
        return env;
    }
    let mut sorted = env;
    sorted.reverse();
    // Stable: the last of each name comes first, and stays.
    sort_by(&mut sorted, |a, b| a.name.cmp(&b.name));
    sorted.dedup_by(|later, first| later.name == first.name);
    sorted
}
