//! The verbs that show how things are: what the monitor tells at its socket, in kubectl's shapes. What is printed is made by
//! functions that know no socket, from what was told and the time.

mod describe;
mod error;
mod events;
mod get;
mod keys;
mod logs;
mod monitor;
pub(super) mod object;
mod out;
mod paint;
mod path;
mod table;
mod top;
mod wait;
mod whom;
mod why;
mod yaml;

pub(super) use error::Trouble;
pub(super) use get::tell_of_refused;
pub(super) use monitor::{Monitor, quoted};
pub(super) use whom::{Term, explained, known, terms};

use std::path::Path;
use std::process::ExitCode;

use self::out::Out;
use self::paint::Palette;
use crate::cli::ReadVerb;

/// Shows what is asked for; says on stderr why not.
///
/// Exit status 0: shown, or what was waited for is so; 1: not; 2: the command line makes no sense.
pub(super) fn run(messages: &Path, verb: &ReadVerb) -> ExitCode {
    let monitor = Monitor::of(messages);
    let mut out = Out::new(Palette::of(verb.color()));
    let shown = match verb {
        ReadVerb::Get(args) => get::get(monitor, args, &mut out),
        ReadVerb::Describe(args) => describe::describe(monitor, args, &mut out),
        ReadVerb::Logs(args) => logs::logs(monitor, args, &mut out),
        ReadVerb::Events(args) => events::events(monitor, args, &mut out),
        ReadVerb::Top(args) => top::top(monitor, args, &mut out),
        ReadVerb::Wait(args) => wait::wait(monitor, args, &mut out),
        ReadVerb::Why(args) => why::why(monitor, args, &mut out),
    };
    // What was shown comes before why there is no more.
    let flushed = out.flush();
    match shown.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has gone away is no reason to fail.
        Err(Trouble::Closed) => ExitCode::SUCCESS,
        Err(Trouble::Partly) => ExitCode::FAILURE,
        Err(trouble) => {
            tell(&trouble);
            if let Trouble::Usage(_) | Trouble::Unknown(_) = trouble { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Says on stderr what is wrong.
fn tell(trouble: &Trouble) {
    let advice = trouble.advice().map(|advice| format!("\n  {advice}")).unwrap_or_default();
    super::note(&format!("error: {trouble}{advice}"));
}
