//! The end of a monitor that meets an error of its own. One that is half dead must not look alive: whatever panics, in
//! whatever thread, says where, and the program ends, so that the container does.

use std::io;
use std::os::fd::AsFd as _;
use std::panic::{PanicHookInfo, set_hook};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;
use tracing::Level;

use super::log;
use crate::cli::LogFormat;
use crate::output::Sink;

/// sysexits' EX_SOFTWARE
const PANIC: i32 = 70;
/// How long the lines before the last ones are waited for, and how long all of them.
const LINES_BEFORE: Duration = Duration::from_millis(200);
const ALL: Duration = Duration::from_millis(500);
/// What a pipe takes whole when poll(2) says that it is writable.
const PIPE_BUF: usize = 4096;

/// Sees to it from the beginning on.
pub fn end_on_panic() {
    set_hook(Box::new(|panic| end(format!("ncolony: {}\n", words(panic)), None)));
}

/// The same, when there is a log.
pub(super) fn end_on_panic_with(sink: &Sink, format: LogFormat) {
    let sink = sink.clone();
    set_hook(Box::new(move |panic| end(log::line(format, Level::ERROR, words(panic)), Some(sink.clone()))));
}

fn words(panic: &PanicHookInfo<'_>) -> String {
    format!("internal error, please report it: {panic}").replace('\n', " ")
}

/// Neither a lock that the panicking thread holds nor a reader that takes nothing may keep the end waiting: so another
/// thread speaks, and is not waited for long.
fn end(line: String, sink: Option<Sink>) -> ! {
    let (said, is_said) = mpsc::channel();
    let last = line.clone();
    let speak = move || {
        sink.iter().for_each(|sink| {
            sink.flush(LINES_BEFORE);
        });
        say(&last);
        // The end may have come.
        let _ = said.send(());
    };
    match thread::Builder::new().name("last-words".into()).stack_size(64 * 1024).spawn(speak) {
        Ok(_) => _ = is_said.recv_timeout(ALL),
        Err(_) => say(&line),
    }
    std::process::exit(PANIC)
}

/// Past the sink, which may be what has failed.
fn say(line: &str) {
    let stderr = io::stderr();
    let mut ready = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    let patience = PollTimeout::try_from(LINES_BEFORE).unwrap_or(PollTimeout::ZERO);
    if poll(&mut ready, patience).is_ok_and(|ready| ready > 0) {
        let _ = write(&stderr, &line.as_bytes()[..line.len().min(PIPE_BUF)]);
    }
}
