//! What the monitor says of itself by sd_notify(3) to whoever has started it: systemd, podman, or a monitor above.
//!
//! It is ready when all has been looked at for the first time: each file was read, and what should run then was started.
//! Whether that is well is each process's affair, and no reason to have the whole colony ended for taking too long to start.
//! Nothing here waits: what nobody takes is said again later, and the loop goes on.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::model::{Moment, Phase, ProcessView};

/// Who is told, and what.
pub(super) struct Upward {
    /// `None` where nobody has asked, or nobody can be told.
    listener: Option<Listener>,
    /// How often to say that the loop turns: at half of the longest silence. `None` where nobody waits for it.
    pace: Option<Duration>,
    next_ping: Moment,
    /// What was noted last.
    phase: Phase,
    status: String,
    /// What phase was last told, and taken.
    taken: Phase,
    /// When to tell what was noted, where that is to be told.
    news: Option<Moment>,
    /// Whether the words may be out of date.
    is_old: bool,
    /// Whether it was logged that nothing is taken.
    is_logged: bool,
}

struct Listener {
    socket: UnixDatagram,
    address: SocketAddr,
}

/// How soon to say again what was not taken.
const RETRY: Duration = Duration::from_secs(1);
/// Whoever wants a sign of life more often gets one so often.
const FASTEST: Duration = Duration::from_millis(10);

impl Upward {
    /// As sd_notify(3) and sd_watchdog_enabled(3) read these variables: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub(super) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Upward {
        let name = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let listener = name.and_then(|name| match Listener::new(&name) {
            Ok(listener) => Some(listener),
            Err(error) => {
                tracing::warn!("cannot use NOTIFY_SOCKET={}: {error}; nobody is told of this colony", name.display());
                None
            }
        });
        let pace = listener.is_some().then(|| pace(variable)).flatten();
        Upward {
            listener,
            pace,
            next_ping: Moment::ZERO,
            phase: Phase::Starting,
            status: String::new(),
            taken: Phase::Starting,
            news: None,
            is_old: true,
            is_logged: false,
        }
    }

    /// The words may be out of date.
    pub(super) fn refresh(&mut self) {
        self.is_old = true;
    }

    /// Whether to note how it goes, in this phase.
    pub(super) fn asks(&self, phase: Phase) -> bool {
        self.listener.is_some() && (self.is_old || phase != self.phase)
    }

    /// How it goes now.
    pub(super) fn note(&mut self, phase: Phase, status: String, now: Moment) {
        self.is_old = false;
        if phase != self.phase || status != self.status {
            (self.phase, self.status) = (phase, status);
            self.news.get_or_insert(now);
        }
    }

    /// Says what is to be said by now.
    pub(super) fn say(&mut self, now: Moment) {
        if self.news.is_some_and(|at| at <= now) {
            let text = format!("{}STATUS={}", self.stage(), self.status);
            if self.send(&text) {
                (self.news, self.taken) = (None, self.phase);
            } else {
                self.news = Some(now + RETRY);
            }
        }
        if let Some(pace) = self.pace.filter(|_| self.next_ping <= now) {
            self.send("WATCHDOG=1");
            self.next_ping = now + pace;
        }
    }

    /// When to say something again, whatever is noted.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        [self.news, self.pace.map(|_| self.next_ping)].into_iter().flatten().min()
    }

    /// The line of a phase that was not taken yet.
    fn stage(&self) -> &'static str {
        match self.phase {
            phase if phase == self.taken => "",
            Phase::Starting => "",
            Phase::Running => "READY=1\n",
            Phase::ShuttingDown => "STOPPING=1\n",
        }
    }

    /// Whether it was taken.
    fn send(&mut self, text: &str) -> bool {
        let Some(Listener { socket, address }) = &self.listener else { return false };
        let sent = socket.send_to_addr(text.as_bytes(), address);
        if let (Err(error), false) = (&sent, self.is_logged) {
            self.is_logged = true;
            tracing::warn!("NOTIFY_SOCKET does not take what is said of this colony: {error}; it is tried again");
        }
        sent.is_ok()
    }
}

impl Listener {
    fn new(name: &OsStr) -> io::Result<Listener> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("it is neither a path from / on nor @ and a name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Listener { socket, address })
    }
}

/// How often a sign of life is wanted of this very process.
fn pace(variable: impl Fn(&str) -> Option<OsString>) -> Option<Duration> {
    let number = |name| Some(variable(name)?.to_str().and_then(|text| text.parse::<u64>().ok()).ok_or(name));
    let whose = number("WATCHDOG_PID");
    let silence = number("WATCHDOG_USEC");
    if let Some(Err(name)) = [whose, silence].into_iter().flatten().find(Result::is_err) {
        tracing::warn!("{name} is no number; no sign of life is given");
    }
    let is_ours = whose.is_none_or(|pid| pid == Ok(std::process::id().into()));
    let usec = silence?.ok().filter(|usec| is_ours && *usec > 0)?;
    Some((Duration::from_micros(usec) / 2).max(FASTEST))
}

/// One line about the colony, for people to read.
pub(super) fn status(phase: Phase, views: &[ProcessView]) -> String {
    let count = |which: fn(&ProcessView) -> bool| views.iter().filter(|view| which(view)).count();
    match phase {
        Phase::Starting => "starting".to_string(),
        Phase::Running => {
            let (ready, desired) = (count(|view| view.desired && view.ready), count(|view| view.desired));
            format!("{ready} of {desired} processes that should run are ready")
        }
        Phase::ShuttingDown => format!("ending, {} processes are up", count(|view| view.up)),
    }
}
