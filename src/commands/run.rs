//! `ncolony run`: the monitor.

use std::process::ExitCode;
use std::thread;

use crate::cli::RunArgs;
use crate::supervisor;

/// The loop's stack. It recurses nowhere; this is what a thread would get.
const STACK: usize = 2 * 1024 * 1024;

/// Runs the colony until it is told to end, or ends of itself.
///
/// The loop has a thread of its own, since the kernel gives orphans to the main one: so the main thread's list of
/// children holds orphans alone. Where a sandbox refuses threads the loop runs here, and looks a little longer.
pub fn run(args: &RunArgs) -> ExitCode {
    supervisor::end_on_panic();
    let outcome = thread::scope(|scope| {
        let looping = thread::Builder::new().name("loop".into()).stack_size(STACK);
        match looping.spawn_scoped(scope, || supervisor::run(args)) {
            // A panic has ended the process.
            Ok(thread) => thread.join().unwrap_or(Ok(0)),
            Err(_) => supervisor::run(args),
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
