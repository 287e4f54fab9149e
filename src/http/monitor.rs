//! The monitor's own `process_*` families, as every Prometheus client has them, with fractions of a second.

use std::fs;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;

use super::exposition::{Exposition, Kind};
use crate::model::Wall;

/// Writes what can be learned; what cannot is left out.
pub(super) fn write(exposition: &mut Exposition, started: Wall) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |key| field(&status, key).map(|kilobytes| kilobytes * 1024.0);
    let rows = [
        ("process_cpu_seconds_total", Kind::Counter, "User and system CPU time of the supervisor.", cpu_seconds()),
        ("process_resident_memory_bytes", Kind::Gauge, "Resident memory of the supervisor.", bytes("VmRSS:")),
        ("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory of the supervisor.", bytes("VmSize:")),
        (
            "process_start_time_seconds",
            Kind::Gauge,
            "Unix time of the supervisor's start.",
            Some(started.as_secs_f64()),
        ),
        ("process_open_fds", Kind::Gauge, "Open descriptors of the supervisor.", open_fds()),
        ("process_max_fds", Kind::Gauge, "Descriptors that the supervisor may have open.", max_fds()),
        ("process_threads", Kind::Gauge, "Threads of the supervisor.", field(&status, "Threads:")),
    ];
    for (name, kind, help, value) in rows {
        exposition.single(name, kind, help, value);
    }
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
    use super::{Exposition, field, write};
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
        let mut exposition = Exposition(String::new());
        write(&mut exposition, Wall::from_nanos(1_500_000_000));
        for name in ["process_cpu_seconds_total ", "process_open_fds ", "process_max_fds ", "process_threads "] {
            assert!(exposition.0.contains(&format!("\n{name}")), "{name}");
        }
        assert!(exposition.0.contains("\nprocess_start_time_seconds 1.5\n"));
    }
}
