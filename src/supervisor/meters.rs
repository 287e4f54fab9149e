//! What the loop counts. Counted where it happens, gathered with the rest at `/metrics`.

use crate::model::Request;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

/// The loop's own counters.
#[derive(Clone, Debug)]
pub(super) struct Meters {
    /// Message files handled, by type.
    pub(super) messages: IntCounterVec,
    /// Message files that were refused.
    pub(super) message_failures: IntCounter,
    /// Scans of the configuration directory, by what caused them.
    pub(super) scans: IntCounterVec,
    /// The duration of a turn of the loop.
    pub(super) reconcile: Histogram,
    /// Orphans collected.
    pub(super) orphans: IntCounter,
    /// inotify queue overflows.
    pub(super) overflows: IntCounter,
    /// Lines of the monitor's own log that nobody took.
    pub(super) log_dropped: IntCounter,
    /// Bytes of anybody's lines that could not be written.
    pub(super) output_lost: IntCounter,
    /// Datagrams to notify sockets that were taken.
    pub(super) notify_messages: IntCounter,
    /// Those that were not.
    pub(super) notify_rejected: IntCounter,
}

/// Seconds; a turn takes microseconds, a scan of thousands of files tens of milliseconds.
const BUCKETS: [f64; 9] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

impl Meters {
    /// Registers the counters, with the label values that are known at zero.
    ///
    /// # Errors
    /// When a name is taken.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Meters> {
        let meters = Meters {
            messages: IntCounterVec::new(
                Opts::new("ncolony_messages_total", "Message files handled, by message type."),
                &["message"],
            )?,
            message_failures: IntCounter::new("ncolony_message_failures_total", "Message files that were invalid.")?,
            scans: IntCounterVec::new(
                Opts::new("ncolony_config_scans_total", "Directory scans by trigger (event, poll, signal)."),
                &["trigger"],
            )?,
            reconcile: Histogram::with_opts(
                HistogramOpts::new("ncolony_reconcile_duration_seconds", "Duration of a reconcile pass.")
                    .buckets(BUCKETS.to_vec()),
            )?,
            orphans: IntCounter::new(
                "ncolony_reaped_orphans_total",
                "Adopted processes reaped as PID 1 or subreaper.",
            )?,
            overflows: IntCounter::new("ncolony_watch_overflows_total", "inotify queue overflows.")?,
            log_dropped: IntCounter::new(
                "ncolony_log_dropped_lines_total",
                "Lines of the supervisor's own log dropped because the sink was slow.",
            )?,
            output_lost: IntCounter::new(
                "ncolony_output_lost_bytes_total",
                "Bytes of lines that were taken and then could not be written: the reader is gone, the disk is full.",
            )?,
            notify_messages: IntCounter::new(
                "ncolony_notify_messages_total",
                "Datagrams of sd_notify that were taken.",
            )?,
            notify_rejected: IntCounter::new(
                "ncolony_notify_rejected_total",
                "Datagrams of sd_notify that were not taken: malformed, or from none of the process's own.",
            )?,
        };
        registry.register(Box::new(meters.messages.clone()))?;
        registry.register(Box::new(meters.message_failures.clone()))?;
        registry.register(Box::new(meters.scans.clone()))?;
        registry.register(Box::new(meters.reconcile.clone()))?;
        registry.register(Box::new(meters.orphans.clone()))?;
        registry.register(Box::new(meters.overflows.clone()))?;
        registry.register(Box::new(meters.log_dropped.clone()))?;
        registry.register(Box::new(meters.output_lost.clone()))?;
        registry.register(Box::new(meters.notify_messages.clone()))?;
        registry.register(Box::new(meters.notify_rejected.clone()))?;
        for kind in Request::KINDS {
            meters.messages.with_label_values(&[kind]);
        }
        for trigger in ["event", "poll", "signal"] {
            meters.scans.with_label_values(&[trigger]);
        }
        Ok(meters)
    }
}
