//! `schedule`, and the keys of a CronJob that belong to it.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::config::decode::{Least, a_kind};
use crate::config::node::{Node, Span, Value};
use crate::config::report::{Path, Report};
use crate::config::zone;
use crate::model::{Calendar, Concurrency, Restart, Rhythm, Schedule};

/// What has been read of these keys.
#[derive(Default)]
pub(in crate::config) struct Draft {
    when: Option<When>,
    zone: Option<TimeZone>,
    concurrency: Option<Concurrency>,
    starting_deadline: Option<Duration>,
    active_deadline: Option<Duration>,
}

enum When {
    Every(Duration),
    Cron(String, Span),
}

const TO_A_CALENDAR: [&str; 2] = ["timeZone", "startingDeadlineSeconds"];

impl Draft {
    /// `schedule`
    pub(in crate::config) fn schedule(&mut self, report: &mut Report<'_>, path: &Path<'_>, node: &Node) {
        self.when = match &node.value {
            Value::Text(text) => Some(When::Cron(text.clone(), node.span)),
            Value::Map(_) => every(report, path, node).map(When::Every),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Odd(_) | Value::List(_) => {
                let message = format!(
                    "expected a cron expression, such as \"30 2 * * *\", or {{every: SECONDS}}, found {}",
                    a_kind(&node.value)
                );
                report.error(path, node.span, message);
                None
            }
        };
    }

    /// `timeZone`
    pub(in crate::config) fn time_zone(&mut self, report: &mut Report<'_>, path: &Path<'_>, node: &Node) {
        let Some(name) = report.text(path, node) else { return };
        match zone::named(name) {
            Ok(zone) => self.zone = Some(zone),
            Err(meant) => {
                let message = "expected a name of the tz database, such as Europe/Berlin";
                match meant {
                    Some(meant) => {
                        report.error_with_help(path, node.span, message, format!("did you mean \"{meant}\"?"));
                    }
                    None => report.error(path, node.span, message),
                }
            }
        }
    }

    /// `concurrencyPolicy`
    pub(in crate::config) fn concurrency(&mut self, report: &mut Report<'_>, path: &Path<'_>, node: &Node) {
        if matches!(&node.value, Value::Text(text) if text == "Allow") {
            let message = "one process never has two lives, so its runs cannot be let to overlap";
            let help =
                "with Forbid the next waits for the last, with Replace it ends it; for two at a time write two files";
            return report.error_with_help(path, node.span, message, help);
        }
        let words = [("Forbid", Concurrency::Forbid), ("Replace", Concurrency::Replace)];
        self.concurrency = report.word(path, node, &words);
    }

    /// `startingDeadlineSeconds`
    pub(in crate::config) fn starting_deadline(&mut self, report: &mut Report<'_>, path: &Path<'_>, node: &Node) {
        // In less a start may be too late that comes at once.
        self.starting_deadline = report.seconds(path, node, Least::Second);
    }

    /// `activeDeadlineSeconds`
    pub(in crate::config) fn active_deadline(&mut self, report: &mut Report<'_>, path: &Path<'_>, node: &Node) {
        self.active_deadline = report.seconds(path, node, Least::Millisecond);
    }

    /// The schedule; `None`: it has none, or what is wrong with it has been reported.
    pub(in crate::config) fn finish(self, report: &mut Report<'_>, root: &Node) -> Option<Schedule> {
        let Draft { when, zone, concurrency, starting_deadline, active_deadline: _ } = self;
        if !root.has_key("schedule") {
            for key in TO_A_CALENDAR.into_iter().chain(["concurrencyPolicy"]).filter(|key| root.has_key(key)) {
                let span = root.span_of(key);
                report.error_with_help(&key, span, "there is no schedule that it could be about", "add schedule");
            }
        }
        let rhythm = match when? {
            When::Every(every) => {
                for key in TO_A_CALENDAR.into_iter().filter(|key| root.has_key(key)) {
                    let message = "it means nothing to {every: SECONDS}, which counts from one start to the next";
                    report.error(&key, root.span_of(key), message);
                }
                Rhythm::Every(every)
            }
            When::Cron(text, span) => match Calendar::parse(&text, zone.unwrap_or_else(zone::local)) {
                Ok(calendar) => Rhythm::Calendar(calendar),
                Err(error) => {
                    let place = report.within(span, &text, error.place);
                    match error.help {
                        Some(help) => report.error_with_help(&"schedule", place, error.message, help),
                        None => report.error(&"schedule", place, error.message),
                    }
                    return None;
                }
            },
        };
        Some(Schedule { rhythm, concurrency: concurrency.unwrap_or_default(), starting_deadline })
    }

    /// The longest that a run may last. That is the end of it, so it must have one.
    pub(in crate::config) fn deadline(
        &self,
        report: &mut Report<'_>,
        root: &Node,
        restart: Restart,
    ) -> Option<Duration> {
        if self.active_deadline.is_some() && !root.has_key("schedule") && restart == Restart::Always {
            let message =
                "a run that lasts longer has failed for good, and this process is to be run again whatever happens";
            let help = "restartPolicy is Always, here or by default; write \"OnFailure\" or \"Never\", or a schedule";
            let key = "activeDeadlineSeconds";
            report.error_with_help(&key, root.span_of(key), message, help);
        }
        self.active_deadline
    }
}

fn every(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Duration> {
    let mut every = None;
    let mut is_told = false;
    for entry in report.map(path, node, "a map with the key \"every\"")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "every" => {
                is_told = true;
                every = report.seconds(path, &entry.node, Least::Millisecond);
            }
            "cron" => {
                is_told = true;
                let message = "a cron expression is not written in a map";
                report.error_with_help(
                    path,
                    entry.key_span,
                    message,
                    "write it behind schedule itself: \"30 2 * * *\", say",
                );
            }
            "timeZone" | "concurrencyPolicy" | "activeDeadlineSeconds" | "startingDeadlineSeconds" => {
                let message = "this key stands beside schedule, not in it";
                report.error_with_help(path, entry.key_span, message, "as in a CronJob's spec");
            }
            _ => report.unknown_key(path, entry, &["every"]),
        }
    }
    if !is_told {
        report.error(path, node.span, "expected the key \"every\", the seconds from one start to the next");
    }
    every
}
