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

#[cfg(test)]
mod tests {
    use std::io;
    use std::num::NonZeroU64;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::FormatEvent;
    use tracing_subscriber::fmt::format::DefaultFields;
    use tracing_subscriber::registry::Registry;

    use super::{Json, Text, line};
    use crate::cli::LogFormat;
    use crate::model::{Incarnation, Moment, Name, Reason, Stamp, Wall};
    use crate::supervisor::events::{Events, Level, Told};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that the log has of what is told.
    fn lines(format: impl FormatEvent<Registry, DefaultFields> + Send + Sync + 'static, tell: fn()) -> Vec<String> {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(format)
            .finish();
        tracing::subscriber::with_default(subscriber, tell);
        let bytes = written.0.lock().expect("nobody panicked").clone();
        String::from_utf8(bytes).expect("UTF-8").lines().map(str::to_string).collect()
    }

    /// A start, a trouble that repeats, and something that is about no process.
    fn tell() {
        let mut events = Events::default();
        let web = Name::parse("web \"1\"").expect("a name");
        let run = Incarnation::new(NonZeroU64::MIN);
        events.admit(&web);
        events.tell(
            Told::of(&web, Reason::Started, "it is new").run(run).pid(123),
            format_args!("started {web}: it is new"),
        );
        for second in [0, 1, 61] {
            let at = Moment::ZERO + Duration::from_secs(second);
            events.begin_turn(Stamp { at, wall: Wall::default() });
            events.tell_now_and_then(Told::of(&web, Reason::Unhealthy, "Liveness probe failed:\n\"no\"").run(run));
        }
        events.tell(Told::of(&web, Reason::Failed, "").level(Level::Error), format_args!("cannot"));
        events.note(Told::of(&web, Reason::Created, "the log does not need it"));
        tracing::info!("message 1 (RESTART) is carried out");
    }

    #[test]
    fn a_line_as_json_is_one_object_whose_fields_have_these_names_and_types() {
        let mut objects: Vec<Value> =
            lines(Json, tell).iter().map(|line| serde_json::from_str(line).expect(line)).collect();
        for object in &mut objects {
            let time = object.as_object_mut().expect("an object").remove("time");
            let time = time.as_ref().and_then(Value::as_str).expect("a time");
            assert!(time.len() == "2026-11-22T20:15:38.123456Z".len() && time.ends_with('Z'), "{time}");
        }
        let unhealthy = json!({
            "level": "WARN", "message": "web \"1\": Liveness probe failed: \"no\"", "process": "web \"1\"", "run": 1,
            "reason": "Unhealthy",
        });
        let mut again = unhealthy.clone();
        again["count"] = 3.into();
        let expected = [
            json!({
                "level": "INFO", "message": "started web \"1\": it is new", "process": "web \"1\"", "run": 1,
                "pid": 123, "reason": "Started",
            }),
            unhealthy,
            again,
            json!({"level": "ERROR", "message": "cannot", "process": "web \"1\"", "reason": "Failed"}),
            json!({"level": "INFO", "message": "message 1 (RESTART) is carried out"}),
        ];
        assert_eq!(objects, expected);
        let last_words = line(LogFormat::Json, tracing::Level::ERROR, "internal\nerror".to_string());
        let object: Value = serde_json::from_str(last_words.trim_end()).expect("one object");
        assert_eq!((&object["level"], &object["message"]), (&"ERROR".into(), &"internal\nerror".into()));
        assert!(object["time"].is_string() && !last_words.trim_end().contains('\n'));
    }

    #[test]
    fn a_line_as_text_has_the_same_fields_behind_the_message() {
        let told: Vec<String> =
            lines(Text, tell).iter().map(|line| line.split_once(' ').expect("a time").1.to_string()).collect();
        let expected = [
            "INFO ncolony: started web \"1\": it is new process=web \"1\" run=1 pid=123 reason=Started",
            "WARN ncolony: web \"1\": Liveness probe failed: \"no\" process=web \"1\" run=1 reason=Unhealthy",
            "WARN ncolony: web \"1\": Liveness probe failed: \"no\" process=web \"1\" run=1 reason=Unhealthy count=3",
            "ERROR ncolony: cannot process=web \"1\" reason=Failed",
            "INFO ncolony: message 1 (RESTART) is carried out",
        ];
        assert_eq!(told, expected);
    }
}
