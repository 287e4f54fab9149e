//! The verbs of `ncolony ctl` that show how things are, in kubectl's words where it has them.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// Whom a verb is about.
#[derive(Args, Clone, Debug, Default)]
pub struct ChoiceArgs {
    /// Names of processes, or of files with replicas, which means all of these
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Only those that this is true of: group=GROUP, group!=GROUP; several, with commas, must all be
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
}

/// What `get -o` takes.
pub const FORMATS: &[&str] = &["wide", "json", "yaml", "name", "jsonpath="];
/// What may be true of a process, or false.
pub const CONDITIONS: &[&str] = &["Ready", "Started", "Updated", "ConfigValid"];

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    #[default]
    Auto,
    /// Wherever it is printed
    Always,
    /// Nowhere
    Never,
}

/// How a verb prints.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ColorArgs {
    /// Colour what wants to be looked at
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    pub color: Color,
}

/// `ncolony ctl get`
#[derive(Args, Clone, Debug)]
pub struct GetArgs {
    /// Whom
    #[command(flatten)]
    pub whom: ChoiceArgs,

    /// `-o`: the forms of what is printed.
    #[arg(
        help = r#"What to print: wide, json, yaml, name or jsonpath=TEMPLATE: {.a.b}, {.a[0]}, {.a[*]}, {..a}, {.a[?(@.b=="c")]}, {range .a}…{end}"#,
        short = 'o',
        long,
        value_name = "FORMAT"
    )]
    pub output: Option<String>,

    /// Go on, and print each that changes
    #[arg(short = 'w', long)]
    pub watch: bool,

    /// Print no line with the columns' names
    #[arg(long)]
    pub no_headers: bool,

    /// How
    #[command(flatten)]
    pub color: ColorArgs,
}

/// `ncolony ctl describe`
#[derive(Args, Clone, Debug)]
pub struct DescribeArgs {
    /// Whom
    #[command(flatten)]
    pub whom: ChoiceArgs,

    /// How
    #[command(flatten)]
    pub color: ColorArgs,
}

/// `ncolony ctl logs`
#[derive(Args, Clone, Debug)]
pub struct LogsArgs {
    /// Whose
    #[command(flatten)]
    pub whom: ChoiceArgs,

    /// Go on with what is printed from now on, by the next runs, too; each line when it has ended
    #[arg(short = 'f', long)]
    pub follow: bool,

    /// What the run before the present one has printed
    #[arg(short = 'p', long, conflicts_with = "follow")]
    pub previous: bool,

    /// The last so many lines of what is kept; -1 for all
    #[arg(long, value_name = "LINES", value_parser = lines, allow_negative_numbers = true, default_value = "-1", hide_default_value = true)]
    pub tail: i64,

    /// What is no older than this, such as 90s, 5m or 1h30m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: Option<Duration>,

    /// When each line was read, before it
    #[arg(long)]
    pub timestamps: bool,

    /// Whose each line is, before it
    #[arg(long)]
    pub prefix: bool,
}

/// `ncolony ctl events`
#[derive(Args, Clone, Debug)]
pub struct EventsArgs {
    /// Of whom
    #[command(flatten)]
    pub whom: ChoiceArgs,

    /// Go on, and print what happens
    #[arg(short = 'w', long)]
    pub watch: bool,

    /// Print no line with the columns' names
    #[arg(long)]
    pub no_headers: bool,

    /// How
    #[command(flatten)]
    pub color: ColorArgs,
}

/// `ncolony ctl top`
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Whom
    #[command(flatten)]
    pub whom: ChoiceArgs,

    /// Print no line with the columns' names
    #[arg(long)]
    pub no_headers: bool,

    /// How
    #[command(flatten)]
    pub color: ColorArgs,
}

/// `ncolony ctl wait`
#[derive(Args, Clone, Debug)]
pub struct WaitArgs {
    /// Whom
    #[command(flatten)]
    pub whom: ChoiceArgs,

    /// All that there are
    #[arg(long)]
    pub all: bool,

    /// For what: condition=NAME[=STATUS], such as condition=Ready, delete, or jsonpath=PATH[=VALUE]
    #[arg(long = "for", value_name = "WHAT")]
    pub what: String,

    /// How long
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    pub timeout: Duration,
}

/// `ncolony ctl why`
#[derive(Args, Clone, Debug)]
pub struct WhyArgs {
    /// Names of processes, or of files with replicas
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,

    /// How
    #[command(flatten)]
    pub color: ColorArgs,
}

fn lines(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .filter(|lines| *lines >= -1)
        .ok_or_else(|| "expected a number of lines, or -1 for all".to_string())
}

/// `90s`, `1h30m`, `1.5h`, or seconds without a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "expected a duration, such as 90s, 5m or 1h30m".to_string();
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| bad())?;
        let unit = rest[end..].find(|c: char| c.is_ascii_digit()).map_or(&rest[end..], |next| &rest[end..end + next]);
        let size = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "" if end == text.len() => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(bad()),
        };
        seconds += number * size;
        rest = &rest[end + unit.len()..];
    }
    if text.is_empty() {
        return Err(bad());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_read_as_kubectl_writes_them() {
        let rows = [
            ("30s", 30.0),
            ("0", 0.0),
            ("90", 90.0),
            ("1h30m", 5400.0),
            ("1.5h", 5400.0),
            ("250ms", 0.25),
            ("2d", 172_800.0),
        ];
        for (text, expected) in rows {
            assert_eq!(duration(text).map(|span| span.as_secs_f64()), Ok(expected), "{text}");
        }
        for bad in ["", "s", "5x", "-5s", "1h30", "5 s", "1..5s", "1e99h"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
