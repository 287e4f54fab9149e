//! The monitor's own log: through the same way out as the processes' lines, so that nobody's not reading can stop it.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogFormat;
use crate::output::Sink;

/// Sends the program's log to the sink.
pub(super) fn install(sink: &Sink, format: LogFormat) {
    let writer = sink.log_writer();
    let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false);
    let make = move || writer.clone();
    // An error means that somebody has installed one before, and then that one serves.
    let _ = match format {
        LogFormat::Text => {
            tracing::subscriber::set_global_default(builder.event_format(Text).with_writer(make).finish())
        }
        LogFormat::Json => tracing::subscriber::set_global_default(
            builder
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .with_writer(make)
                .finish(),
        ),
    };
}

/// `2026-11-22T20:15:38.123456Z INFO web: started process=web pid=123`, fields after the message.
struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let time = crate::output::utc(std::time::SystemTime::now());
        write!(writer, "{time} {} ncolony: ", event.metadata().level())?;
        ctx.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
