//! The monitor's own log: through the same way out as the processes' lines, so that nobody's not reading can stop it.
//!
//! As text, `2026-11-22T20:15:38.123456Z INFO ncolony: started web: it is new process=web run=1 pid=123 reason=Started`; as
//! JSON, one object a line with `time`, `level`, `message`, and, where it is about one, `process`, `run` and `pid`; of an
//! event also its `reason`, and, where not each is told, its `count`.

use std::fmt;
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogFormat;
use crate::output::{Sink, utc};

/// Sends the program's log to the sink.
pub(super) fn install(sink: &Sink, format: LogFormat) {
    let writer = sink.log_writer();
    let builder =
        tracing_subscriber::fmt().with_max_level(Level::INFO).with_ansi(false).with_writer(move || writer.clone());
    // An error means that somebody has installed one before, and then that one serves.
    let _ = match format {
        LogFormat::Text => {
            sink.say_dropped_with(|lines| line(LogFormat::Text, Level::WARN, dropped(lines)));
            tracing::subscriber::set_global_default(builder.event_format(Text).finish())
        }
        LogFormat::Json => {
            sink.say_dropped_with(|lines| line(LogFormat::Json, Level::WARN, dropped(lines)));
            tracing::subscriber::set_global_default(builder.event_format(Json).finish())
        }
    };
}

/// A line that does not come by way of the log, and looks like the others.
pub(super) fn line(format: LogFormat, level: Level, message: String) -> String {
    match format {
        LogFormat::Text => format!("{} {level} ncolony: {message}\n", now()),
        LogFormat::Json => format!("{}\n", object(level, message.into(), Map::new())),
    }
}

struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "{} {} ncolony: ", now(), event.metadata().level())?;
        ctx.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.shift_remove("message").unwrap_or_default();
        writeln!(writer, "{}", object(*event.metadata().level(), message, fields.0))
    }
}

fn object(level: Level, message: Value, rest: Map<String, Value>) -> Value {
    let head = [("time", now().into()), ("level", level.as_str().into()), ("message", message)];
    let head = head.into_iter().map(|(key, value)| (key.to_string(), value));
    Value::Object(head.chain(rest).collect())
}

fn dropped(lines: u64) -> String {
    format!("{lines} lines of this log were dropped, since nobody took them")
}

fn now() -> String {
    utc(SystemTime::now())
}

/// An event's fields, in its order.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_string(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_string(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_string(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_string(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_string(), value.into());
    }
}
