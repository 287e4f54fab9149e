//! `ncolony run`: the monitor.

use std::process::ExitCode;
use std::thread;

use crate::cli::RunArgs;
use crate::process;
use crate::supervisor;

/// The loop's stack. It recurses nowhere; this is what a thread would get.
const STACK: usize = 2 * 1024 * 1024;

/// Runs the colony until it is told to end, or ends of itself.
///
/// The loop has a thread of its own, since the kernel gives orphans to the main one: so the main thread's list of
/// children holds orphans alone, and it collects them where they are a crowd. Where a sandbox refuses threads the loop
/// runs here, and looks a little longer.
pub fn run(args: &RunArgs) -> ExitCode {
    supervisor::end_on_panic();
    let (collector, crowds) = process::crowds();
    let outcome = thread::scope(|scope| {
        let looping = thread::Builder::new().name("loop".into()).stack_size(STACK);
        match looping.spawn_scoped(scope, move || supervisor::run(args, Some(crowds))) {
            Ok(thread) => {
                collector.serve();
                // A panic has ended the process.
                thread.join().unwrap_or(Ok(0))
            }
            Err(_) => supervisor::run(args, None),
        }
    });
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("ncolony: {}", error.in_full());
            ExitCode::from(error.exit_status())
        }
    }
}
