//! `ncolony beatcheck` and `ncolony httpcheck`: NColony's two checks as programs of their own, under either monitor. They
//! look at the process files, and ask by messages for restarts. What differs between them is behind `Checker`.

mod beats;
mod gets;
mod names;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use self::beats::Beatcheck;
use self::gets::Httpcheck;
use super::pulse::Pulse;
use crate::cli::CheckerArgs;
use crate::config::{Check, CheckKind, CheckList};
use crate::messages;
use crate::model::{Name, Request};
use crate::process::solo;
use crate::supervisor;

/// Judges the processes of a colony by one kind of check. Does not wait.
trait Checker {
    /// This is all that asks to be checked now.
    fn know(&mut self, all: Vec<Subject>, now: Instant);

    /// Hears what has come, asks what is due; says who is to be restarted, and why.
    fn turn(&mut self, now: Instant) -> Vec<(Name, String)>;

    /// It was asked for: what follows is another run.
    fn restarted(&mut self, name: &Name, now: Instant);

    /// When the next turn is due, whatever comes in between.
    fn due_at(&self) -> Option<Instant>;
}

/// A process that asks to be checked.
#[derive(Clone, Debug)]
struct Subject {
    name: Name,
    /// Another one for another text of its file.
    version: u64,
    check: Check,
}

/// The exit status where a directory is none, as `ncolony run` has it.
const BAD_DIRECTORY: u8 = 78;

/// Asks for the restart of processes whose heartbeat stops, until SIGTERM.
pub fn beatcheck(args: &CheckerArgs) -> ExitCode {
    run("ncolony beatcheck", CheckKind::Heartbeat, args, |wakes, freq| Box::new(Beatcheck::new(wakes, freq)))
}

/// Asks for the restart of processes that do not answer, until SIGTERM.
pub fn httpcheck(args: &CheckerArgs) -> ExitCode {
    run("ncolony httpcheck", CheckKind::Http, args, |wakes, _| Box::new(Httpcheck::new(wakes)))
}

/// Makes one that wakes the loop by this, which looks at the files so often.
type Make = fn(Arc<Notify>, Duration) -> Box<dyn Checker>;

fn run(who: &'static str, kind: CheckKind, args: &CheckerArgs, make: Make) -> ExitCode {
    for (flag, dir) in [("--config", &args.config), ("--messages", &args.messages)] {
        // One that is missing may come.
        if dir.exists() && !dir.is_dir() {
            eprintln!("{who}: {flag} {} is not a directory", dir.display());
            return ExitCode::from(BAD_DIRECTORY);
        }
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(who, &error),
    };
    let outcome = LocalSet::new().block_on(&runtime, watch(who, kind, args, make));
    // A name that is being looked up holds up a thread, for which nobody waits.
    runtime.shutdown_background();
    outcome.map_or_else(|error| fail(who, &error), |()| ExitCode::SUCCESS)
}

fn fail(who: &str, error: &std::io::Error) -> ExitCode {
    eprintln!("{who}: cannot build the event loop: {error}");
    ExitCode::FAILURE
}

async fn watch(who: &'static str, kind: CheckKind, args: &CheckerArgs, make: Make) -> std::io::Result<()> {
    let (mut ends, mut hangup) = (Ends::install()?, signal(SignalKind::hangup())?);
    solo::collect_nothing_as_pid_1();
    supervisor::release_signals();
    let wakes = Arc::new(Notify::new());
    let mut list = CheckList::new(&args.config, kind);
    let mut outbox = Outbox { who, dir: &args.messages, trouble: None };
    let mut pulse = Pulse::asked(who);
    let pause = Duration::from_secs_f64(args.freq);
    let mut checker = make(Arc::clone(&wakes), pause);
    let mut look_at = Instant::now();
    if !args.messages.is_dir() {
        // It would else be told no sooner than somebody is ill.
        eprintln!("{who}: {} is no directory; until it is, no restart can be asked for", args.messages.display());
    }
    loop {
        let now = Instant::now();
        if look_at <= now {
            list.look().iter().for_each(|news| eprintln!("{who}: {news}"));
            checker.know(names::subjects(list.asked(), &args.messages), now);
            look_at = now + pause;
        }
        for (name, why) in checker.turn(now) {
            if outbox.ask(&name, &why) {
                checker.restarted(&name, now);
            }
        }
        let beat_at = pulse.as_mut().map(|pulse| pulse.beat(now));
        let next_at = [Some(look_at), checker.due_at(), beat_at].into_iter().flatten().min().unwrap_or(look_at);
        // Each arm is cancel-safe, and says no more than "look again".
        tokio::select! {
            () = tokio::time::sleep_until(next_at.into()) => {}
            () = wakes.notified() => {}
            _ = hangup.recv() => look_at = Instant::now(),
            () = ends.next() => return Ok(()),
        }
    }
}

/// The signals that end it.
struct Ends([Signal; 3]);

impl Ends {
    fn install() -> std::io::Result<Ends> {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
        let [terminate, interrupt, quit] = kinds.map(signal);
        Ok(Ends([terminate?, interrupt?, quit?]))
    }

    async fn next(&mut self) {
        let [terminate, interrupt, quit] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// Where requests go.
struct Outbox<'a> {
    who: &'static str,
    dir: &'a Path,
    /// What was last told of it.
    trouble: Option<String>,
}

impl Outbox<'_> {
    /// Asks for a restart. Says whether it was asked for: if not, whoever is bad then is bad again at the next look.
    fn ask(&mut self, name: &Name, why: &str) -> bool {
        match messages::write(self.dir, &Request::Restart(name.clone())) {
            Ok(_) => {
                eprintln!("{}: asked for a restart of {name}: {why}", self.who);
                self.trouble = None;
                true
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                let trouble = format!("cannot ask for a restart of {name} in {}{cause}", self.dir.display());
                if self.trouble.as_ref() != Some(&trouble) {
                    eprintln!("{}: {trouble}; it is tried again", self.who);
                    self.trouble = Some(trouble);
                }
                false
            }
        }
    }
}
