//! The loop: the only place where effects meet. [`run`] builds the parts and turns until the colony has ended.

mod config_side;
mod directories;
mod ending;
mod events;
mod farewell;
mod foresight;
mod hooks;
mod host;
mod journal;
mod last_words;
mod limits;
mod lock;
mod log;
mod message_side;
mod meters;
mod orders;
mod pace;
mod pid_files;
mod probes;
mod schedules;
mod signals;
mod telling;
mod termination;
mod turn;
mod upward;
mod usage;
mod voices;
mod watch_side;

use std::fmt;
use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};
use prometheus::Registry;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::LocalSet;

use crate::cli::{Listen, OutputFlag, RunArgs};
use crate::config::{Defaults, Directory, Trust};
use crate::http::{self, Ask, Question, Socket};
use crate::model::{Backoff, Format, Moment, OnFull, Output, ProcessSpec, Stamp, Wall};
use crate::output::{Capture, Room, Sink};
use crate::process::{self, Children, Crowds};
use crate::reconcile::Until;
use crate::watch::{Hint, Watch};
use config_side::ConfigSide;
use farewell::Farewell;
use host::Host;
use journal::Journal;
use message_side::MessageSide;
use meters::Meters;
use pid_files::PidFiles;
use schedules::Schedules;
use signals::{Asked, Signals};
use termination::Termination;
use turn::{Parts, Supervisor, Turn};
use upward::Upward;
use voices::Voices;
use watch_side::{Start, WatchSide};

pub use last_words::end_on_panic;
pub use signals::{hold as hold_signals, release as release_signals, release_unheard as release_unheard_signals};

/// Why a monitor could not begin.
#[derive(Debug)]
pub enum Error {
    /// This is not a directory.
    NotADirectory(PathBuf),
    /// Another monitor is at work there.
    Taken(PathBuf, String),
    /// Another monitor takes the messages in there.
    MessagesTaken(PathBuf),
    /// One directory was given for two purposes.
    OneForTwo(&'static str, &'static str, PathBuf),
    /// The status server's address cannot be had.
    Listen(Listen, io::Error),
    /// All of the time that the end may take would go to `--drain`.
    NoTimeToStop {
        /// `--drain`
        drain: f64,
        /// `--shutdown-timeout`
        timeout: f64,
    },
    /// The kernel refused something without which there is no loop.
    Loop(&'static str, io::Error),
    /// Processes cannot be owned.
    Processes(process::Unable),
    /// A metric's name was taken.
    Metrics(prometheus::Error),
}

/// Runs the colony until SIGTERM or SIGINT, or until it ends of itself. Returns the exit status that this comes to. On
/// another thread than the main one it may be given who collects there.
///
/// # Errors
/// Why it could not begin; nothing has been started then.
pub fn run(args: &RunArgs, crowds: Option<Crowds>) -> Result<u8, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Loop("cannot build the event loop", error))?;
    let outcome = LocalSet::new().block_on(&runtime, serve(args, crowds));
    // A name that is being looked up for a request holds up a thread, for which nobody waits.
    runtime.shutdown_background();
    outcome
}

async fn serve(args: &RunArgs, crowds: Option<Crowds>) -> Result<u8, Error> {
    let sink = Sink::standard().map_err(|error| Error::Loop("cannot use the standard output", error))?;
    log::install(&sink, args.log_format);
    last_words::end_on_panic_with(&sink, args.log_format);
    let outcome = serve_through(args, crowds, &sink).await;
    if let Err(error) = &outcome {
        let mut termination = Termination::new(args.termination_log.clone());
        termination.tell(&error.in_full(), "");
        termination.finish();
    }
    sink.flush(LAST_WORDS);
    outcome
}

async fn serve_through(args: &RunArgs, crowds: Option<Crowds>, sink: &Sink) -> Result<u8, Error> {
    let signals = Signals::install().map_err(|error| Error::Loop("cannot install signal handlers", error))?;
    tracing::info!(
        "ncolony {} runs what {} describes; it takes messages from {}",
        env!("CARGO_PKG_VERSION"),
        args.config.display(),
        args.messages.display()
    );
    directories::prepare(args)?;
    // Before the port: of two monitors in one place the second shall say so, and not that the first has its port.
    let journal = journal(args)?;
    let _messages_are_ours = directories::claim(&args.messages)?;
    let cannot_listen = |error| Error::Listen(args.listen, error);
    let listeners = http::bind(args.listen).map_err(cannot_listen)?;
    let socket = Some(Socket::open(&args.messages));
    for listener in &listeners {
        let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        tracing::info!("status page, /metrics and /healthz on http://{address}/");
    }
    let registry = Registry::new();
    let meters = Meters::new(&registry).map_err(Error::Metrics)?;
    let wakes = Arc::new(Wakes::default());
    let (questions, asked) = mpsc::channel(64);
    let turns = Arc::new(Notify::new());
    let children = Children::new(journal.colony, journal.next).map_err(Error::Processes)?.with_crowds(crowds);
    let supervisor = build(args, children, journal, sink.clone(), meters, &wakes)?;

    let (ended, has_ended) = oneshot::channel::<()>();
    let fresh = http::fresh(seconds(args.frequency));
    let listeners: io::Result<Vec<_>> = listeners.into_iter().map(tokio::net::TcpListener::from_std).collect();
    let listeners = listeners.map_err(cannot_listen)?;
    let ask = Ask::new(questions, Arc::clone(&turns));
    let server = tokio::task::spawn_local(http::serve(listeners, socket, ask, registry, fresh, async {
        // An error means that the loop is gone, which is the same.
        let _ = has_ended.await;
    }));
    let mut supervisor = turn_until_done(supervisor, signals, &wakes, asked, &turns).await?;
    turns.notify_waiters();
    drop(ended);
    // It bounds its drain itself.
    let _ = server.await;
    match supervisor.left_behind() {
        false => tracing::info!("ended: nothing is left"),
        true => tracing::warn!("ended, but not all has died"),
    }
    supervisor.termination.finish();
    supervisor.host.capture.finish(LAST_WORDS);
    Ok(supervisor.exit_status())
}

/// How long the end waits for somebody to take the last lines.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What other threads have noticed. Only hints: each says "look again".
#[derive(Default)]
struct Wakes {
    notify: Notify,
    config: Mutex<Hint>,
    messages: AtomicBool,
}

impl Wakes {
    fn config(&self) -> MutexGuard<'_, Hint> {
        // Whoever panicked in here has left a hint as good as any.
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn journal(args: &RunArgs) -> Result<Journal, Error> {
    let state = directories::state(args);
    let journal = Journal::open(&state).map_err(|journal::Taken::By(pid)| Error::Taken(state, pid))?;
    if let Some(trouble) = journal.trouble() {
        tracing::warn!("{trouble}");
    }
    Ok(journal)
}

fn build(
    args: &RunArgs,
    children: Children,
    journal: Journal,
    sink: Sink,
    meters: Meters,
    wakes: &Arc<Wakes>,
) -> Result<Supervisor, Error> {
    let now = clocks();
    let capture = Capture::new(sink.clone(), Room { each: args.log_buffer, all: args.log_buffer_total })
        .map_err(|error| Error::Loop("cannot watch pipes", error))?;
    let voices = Voices::new(&directories::state(args).join("notify"));
    let voices = voices.map_err(|error| Error::Loop("cannot watch notify sockets", error))?;
    let pid_files = PidFiles::new(args.pid.clone());
    let host = Host::new(children, capture, voices, wakes, journal, pid_files, output(args));
    let directory = Directory::new(&args.config, defaults(args), trust(args));
    let parts = Parts {
        host,
        config: ConfigSide::new(args.config.display().to_string(), directory, now.at),
        messages: MessageSide::new(&args.messages),
        watch: WatchSide::new((!args.no_watch).then(|| watch(args, wakes))),
        sink,
        meters,
        tick: seconds(args.frequency),
        killtime: seconds(args.killtime),
        farewell: farewell(args)?,
        schedules: Schedules::open(&directories::state(args), now),
        until: if args.until_complete { Until::Complete } else { Until::Told },
        termination: Termination::new(args.termination_log.clone()),
        upward: Upward::of(|name| std::env::var_os(name)),
    };
    Ok(Supervisor::new(parts, now, || Arc::new(ProcessSpec::unknown(defaults(args).backoff, defaults(args).grace))))
}

/// How the end is asked for, and how long it may take.
fn farewell(args: &RunArgs) -> Result<Farewell, Error> {
    match args.shutdown_timeout {
        Some(timeout) if args.drain >= timeout => Err(Error::NoTimeToStop { drain: args.drain, timeout }),
        timeout => Ok(Farewell::new(seconds(args.drain), timeout.map(seconds))),
    }
}

/// How to watch both directories. Without inotify everything works at the tick's pace.
fn watch(args: &RunArgs, wakes: &Arc<Wakes>) -> Start {
    let wakes = Arc::clone(wakes);
    let dirs = [args.config.clone(), args.messages.clone()];
    Box::new(move || {
        let wakes = Arc::clone(&wakes);
        Watch::start(&dirs, move |which, hint| {
            match which {
                0 => wakes.config().add(hint),
                _ => wakes.messages.store(true, Ordering::Release),
            }
            wakes.notify.notify_one();
        })
    })
}

/// A request is accepted, read, asked about and answered, each after another look at the sockets. All of it between two
/// turns: of turns that start as much as they may it would else take four, and it would depend on luck with an arm of the
/// loop's that is ready at every turn.
const STEPS: usize = 4;

async fn turn_until_done(
    mut supervisor: Supervisor,
    mut signals: Signals,
    wakes: &Wakes,
    mut asked: mpsc::Receiver<Question>,
    turns: &Notify,
) -> Result<Supervisor, Error> {
    let output = watched(&supervisor.host.capture, "cannot watch the processes' output")?;
    let notices = watched(&supervisor.host.voices, "cannot watch notify sockets")?;
    let heirs = watched(&supervisor.host.children, "cannot watch processes")?;
    loop {
        let wake_at = match supervisor.turn(clocks()) {
            Turn::Sleep(at) => at,
            Turn::Done => return Ok(supervisor),
        };
        turns.notify_waiters();
        let mut was_asked = false;
        for _ in 0..STEPS {
            tokio::task::yield_now().await;
            while let Ok(question) = asked.try_recv() {
                answer(&mut supervisor, question);
                was_asked = true;
            }
        }
        // What is asked for may be for the next turn to do.
        let wait = if was_asked { Duration::ZERO } else { wake_at.since(clocks().at) };
        // Each arm says "look again", or sets a flag that the next turn reads; all are cancel-safe: a signal's and a
        // channel's recv, a Notify, readiness, a sleep.
        tokio::select! {
            what = signals.next() => match what {
                Asked::End => supervisor.end(clocks()),
                Asked::Rescan => supervisor.rescan(),
                Asked::Look | Asked::Nothing => {}
            },
            () = wakes.notify.notified() => {}
            Some(question) = asked.recv() => answer(&mut supervisor, question),
            ready = output.readable() => if let Ok(mut ready) = ready { ready.clear_ready() },
            ready = notices.readable() => if let Ok(mut ready) = ready { ready.clear_ready() },
            ready = heirs.readable() => if let Ok(mut ready) = ready { ready.clear_ready() },
            () = sleep(wait) => {}
        }
        // In this order: what was written before a message is heard of before it.
        let is_told = wakes.messages.swap(false, Ordering::Acquire);
        supervisor.config_heard(std::mem::take(&mut *wakes.config()));
        if is_told {
            supervisor.messages_hint();
        }
    }
}

/// Whoever asked may have gone.
fn answer(supervisor: &mut Supervisor, question: Question) {
    match question {
        Question::Sample(told) => supervisor.host.usage.want(told, clocks().at),
        Question::Snapshot(answer) => drop(answer.send(supervisor.snapshot(clocks()))),
        Question::Events(asked, answer) => drop(answer.send(supervisor.host.events.answer(&asked))),
        Question::Log(asked, answer) => drop(answer.send(supervisor.log(&asked))),
        Question::Verdict(message, answer) => drop(answer.send(supervisor.verdict(&message))),
    }
}

/// With nothing to wait for, the other arms still get their chance: this one must yield once.
async fn sleep(wait: Duration) {
    match wait {
        Duration::ZERO => tokio::task::yield_now().await,
        Duration::MAX => pending().await,
        wait => tokio::time::sleep(wait).await,
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for the sake of types that do not own their descriptor; OwnedFd does"
)]
fn watched(part: &impl AsFd, otherwise: &'static str) -> Result<AsyncFd<OwnedFd>, Error> {
    let descriptor = part.as_fd().try_clone_to_owned();
    descriptor
        .and_then(|descriptor| AsyncFd::with_interest(descriptor, Interest::READABLE))
        .map_err(|error| Error::Loop(otherwise, error))
}

fn defaults(args: &RunArgs) -> Defaults {
    let backoff = Backoff {
        threshold: seconds(args.threshold),
        initial: seconds(args.minrestartdelay),
        max: seconds(args.maxrestartdelay),
    };
    Defaults { backoff, grace: seconds(args.killtime) }
}

fn trust(args: &RunArgs) -> Trust {
    let enforce = nix::unistd::Uid::effective().is_root() && !args.insecure_config;
    Trust { enforce, uids: args.trusted_uid.clone() }
}

fn output(args: &RunArgs) -> Output {
    let format = match args.output {
        OutputFlag::Prefix => Format::Prefix,
        OutputFlag::Json => Format::Json,
        OutputFlag::Inherit => Format::Inherit,
    };
    Output { format, on_full: OnFull::Block }
}

fn seconds(value: f64) -> Duration {
    // The command line has seen to the range.
    Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX)
}

fn clocks() -> Stamp {
    let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0)
    });
    Stamp { at: Moment::from_nanos(monotonic), wall: Wall::from(SystemTime::now()) }
}

impl Error {
    /// What is wrong, and why.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    }

    /// The exit status that tells a kubelet's `lastState`, or a script, what kind of trouble it is: sysexits' 78 for a
    /// configuration that cannot be used, 75 for a place that is taken, else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::NotADirectory(_) | Error::OneForTwo(..) | Error::Listen(..) | Error::NoTimeToStop { .. } => 78,
            Error::Taken(..) | Error::MessagesTaken(_) => 75,
            Error::Loop(..) | Error::Processes(_) | Error::Metrics(_) => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotADirectory(path) => write!(f, "{} is not a directory", path.display()),
            Error::Taken(path, pid) => {
                write!(f, "a monitor with pid {pid} is at work already: it holds {}/lock", path.display())
            }
            Error::MessagesTaken(path) => {
                write!(f, "another monitor takes its messages from {} already: each needs its own", path.display())
            }
            Error::OneForTwo(one, other, path) => {
                write!(f, "{one} and {other} are one directory, {}: each needs its own", path.display())
            }
            Error::Listen(at, _) => write!(f, "cannot listen on {at} for the status server (see --listen)"),
            Error::NoTimeToStop { drain, timeout } => {
                write!(f, "--drain {drain} leaves nothing of --shutdown-timeout {timeout} to stop in")
            }
            Error::Loop(what, _) => f.write_str(what),
            Error::Processes(_) => f.write_str("cannot take care of processes"),
            Error::Metrics(_) => f.write_str("cannot register metrics"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::NotADirectory(_) | Error::OneForTwo(..) | Error::Taken(..) | Error::MessagesTaken(_) => None,
            Error::NoTimeToStop { .. } => None,
            Error::Listen(_, source) | Error::Loop(_, source) => Some(source),
            Error::Processes(source) => Some(source),
            Error::Metrics(source) => Some(source),
        }
    }
}
