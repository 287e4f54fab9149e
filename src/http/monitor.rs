//! The monitor's own `process_*` families, as every Prometheus client has them, with fractions of a second.

use std::fs;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;

use super::exposition::{COLONY, Family, Samples, counter, gauge};
use crate::model::Wall;

/// What can be learned; what cannot is left out.
struct Monitor {
    started: Wall,
    /// The text of /proc/self/status.
    status: String,
}

/// Appends what can be learned of the monitor's own process.
pub(super) fn write(text: &mut Vec<u8>, started: Wall) {
    let monitor = Monitor { started, status: fs::read_to_string("/proc/self/status").unwrap_or_default() };
    for family in FAMILIES {
        family.write(text, &mut false, COLONY, &monitor);
    }
}

const FAMILIES: &[Family<Monitor>] = &[
    counter("process_cpu_seconds_total", "User and system CPU time of the supervisor.", |samples, _| {
        samples.real(cpu_seconds());
    }),
    gauge("process_resident_memory_bytes", "Resident memory of the supervisor.", |samples, monitor| {
        kilobytes(samples, monitor, "VmRSS:");
    }),
    gauge("process_virtual_memory_bytes", "Virtual memory of the supervisor.", |samples, monitor| {
        kilobytes(samples, monitor, "VmSize:");
    }),
    gauge("process_start_time_seconds", "Unix time of the supervisor's start.", |samples, monitor| {
        samples.time(Some(monitor.started));
    }),
    gauge("process_open_fds", "Open descriptors of the supervisor.", |samples, _| samples.real(open_fds())),
    gauge("process_max_fds", "Descriptors that the supervisor may have open.", |samples, _| {
        samples.real(max_fds());
    }),
    gauge("process_threads", "Threads of the supervisor.", |samples, monitor| {
        samples.real(field(&monitor.status, "Threads:"));
    }),
];

fn kilobytes(samples: &mut Samples<'_>, monitor: &Monitor, key: &str) {
    samples.real(field(&monitor.status, key).map(|kilobytes| kilobytes * 1024.0));
}

/// The number behind a key of /proc/self/status.
fn field(status: &str, key: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn open_fds() -> Option<f64> {
    // Its size is the count since Linux 6.2, and 0 before.
    match fs::metadata("/proc/self/fd").ok()?.len() {
        // Less the one that does the counting.
        0 => Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64),
        count => Some(count as f64),
    }
}

fn max_fds() -> Option<f64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft as f64)
}

#[cfg(test)]
mod tests {
    use super::{field, write};
    use crate::model::Wall;

    #[test]
    fn fields_of_proc_are_found_by_their_key() {
        let status = "Name:\tncolony\nVmSize:\t   12 kB\nVmRSS:\t 8 kB\nThreads:\t1\n";
        assert_eq!(field(status, "VmRSS:"), Some(8.0));
        assert_eq!(field(status, "Threads:"), Some(1.0));
        assert_eq!(field(status, "VmPeak:"), None);
        assert_eq!(field("", "VmRSS:"), None);
    }

    #[test]
    fn the_monitor_tells_of_itself() {
        let mut text = Vec::new();
        write(&mut text, Wall::from_nanos(1_500_000_000));
        let text = String::from_utf8(text).expect("UTF-8");
        for name in ["process_cpu_seconds_total ", "process_open_fds ", "process_max_fds ", "process_threads "] {
            assert!(text.contains(&format!("\n{name}")), "{name}");
        }
        assert!(text.contains("\nprocess_start_time_seconds 1.5\n"));
    }
}
