//! `ncolony scheduler`: runs a command again and again, never two at a time, and ends what takes too long, with all that it
//! has started.

mod plan;
mod streams;

use std::ffi::CString;
use std::io::stdout;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use self::plan::{Haste, Run, Step, Times, decide, next_tick};
use self::streams::{Pen, Streams, Theirs};
use super::pulse::Pulse;
use crate::cli::SchedulerArgs;
use crate::model::Signal;
use crate::process::solo::{self, Leash, Place, Signals, Solo, Start};

const WHO: &str = "ncolony scheduler";
/// The longest wait: the end of the world, to poll(2).
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// What is left to be written at the end has so long.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the command until SIGTERM. All signals are blocked.
pub fn run(args: &SchedulerArgs) -> ExitCode {
    let words = args.args.iter().map(|word| CString::new(word.as_bytes()));
    // The kernel has cut the words at their NULs.
    let argv: Vec<CString> = words.filter_map(Result::ok).collect();
    let seconds = Duration::from_secs_f64;
    let times =
        Times { frequency: seconds(args.frequency), timeout: seconds(args.timeout), grace: seconds(args.grace) };
    let signals = match hear() {
        Ok(signals) => signals,
        Err(errno) => {
            eprintln!("{WHO}: cannot hear signals: {}", errno.desc());
            return ExitCode::FAILURE;
        }
    };
    if let Err(errno) = solo::become_subreaper() {
        let why = Errno::from_raw(errno).desc();
        eprintln!("{WHO}: neither PID 1 nor a subreaper ({why}); what leaves its parent is not seen");
    }
    let mut scheduler = Scheduler {
        argv,
        times,
        signals,
        pulse: Pulse::asked(WHO),
        pen: Pen::default(),
        next_at: Instant::now(),
        number: 0,
        job: None,
        haste: Haste::None,
    };
    scheduler.until_the_end();
    scheduler.last_words();
    ExitCode::SUCCESS
}

fn hear() -> Result<SignalFd, Errno> {
    SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

struct Scheduler {
    argv: Vec<CString>,
    times: Times,
    signals: SignalFd,
    pulse: Option<Pulse>,
    pen: Pen,
    /// The tick that the next run is due at.
    next_at: Instant,
    /// The number of the last run.
    number: u64,
    job: Option<Job>,
    haste: Haste,
}

/// A run, and what is ours of it.
struct Job {
    run: Run,
    solo: Solo,
    streams: Streams,
}

impl Scheduler {
    fn until_the_end(&mut self) {
        loop {
            let now = Instant::now();
            self.collect(now);
            let run = self.job.as_ref().map(|job| &job.run);
            let until = match decide(&self.times, self.next_at, run, self.haste, now) {
                Step::Start => {
                    self.start(now);
                    continue;
                }
                Step::Ask => {
                    self.ask(now);
                    continue;
                }
                Step::Kill => {
                    self.kill(now);
                    continue;
                }
                Step::Done => return,
                Step::Wait(until) => until,
            };
            let beat_at = self.pulse.as_mut().map(|pulse| pulse.beat(now));
            self.wait(beat_at.map_or(until, |at| at.min(until)));
        }
    }

    fn start(&mut self, now: Instant) {
        self.number += 1;
        let job = Theirs::new().map_err(|error| error.to_string()).and_then(|(theirs, streams)| {
            let start = Start {
                argv: &self.argv,
                place: Place::Session,
                signals: Signals::Default,
                // Who kills this program can end nothing of it any more.
                leash: Leash::Kill,
                streams: Some(theirs.fds()),
                who: WHO,
            };
            let solo = Solo::start(&start).map_err(|errno| Errno::from_raw(errno).desc().to_string())?;
            Ok(Job { run: Run { began_at: now, asked_at: None, killed_at: None }, solo, streams })
        });
        match job {
            Ok(job) => self.job = Some(job),
            Err(why) => {
                let after = self.pass_tick(now);
                self.pen.say(&format!("run {} cannot be started: {why}{after}", self.number));
            }
        }
    }

    fn ask(&mut self, now: Instant) {
        let Some(job) = &mut self.job else { return };
        let why = match self.haste {
            Haste::None => format!("has had its {} s", self.times.timeout.as_secs_f64()),
            Haste::Asked | Haste::Hurried => "ends with the scheduler".to_string(),
        };
        self.pen.say(&format!("run {} {why}: SIGTERM to all of it", self.number));
        job.run.asked_at = Some(now);
        job.solo.send_to_tree(Signal::TERM);
    }

    fn kill(&mut self, now: Instant) {
        let Some(job) = &mut self.job else { return };
        if job.run.killed_at.is_none() {
            self.pen.say(&format!("run {} does not end: SIGKILL to all of it", self.number));
        }
        let first = job.run.killed_at.map_or(now, |(first, _)| first);
        job.run.killed_at = Some((first, now));
        job.solo.send_to_tree(Signal::KILL);
    }

    /// Collects whatever has ended. A run is over when nothing of it is left.
    fn collect(&mut self, now: Instant) {
        let Some(job) = &mut self.job else { return };
        job.solo.reap();
        let Some(exit) = job.solo.exit().filter(|_| !job.solo.has_children()) else { return };
        if let Some(job) = self.job.take() {
            job.streams.finish(&mut self.pen);
            let lasted = now.saturating_duration_since(job.run.began_at).as_secs_f64();
            let after = self.pass_tick(now);
            self.pen.say(&format!("run {} ended after {lasted:.1} s: {exit}{after}", self.number));
        }
    }

    /// Goes on to the next tick; says what was missed.
    fn pass_tick(&mut self, now: Instant) -> String {
        let missed;
        (self.next_at, missed) = next_tick(self.next_at, self.times.frequency, now);
        match missed {
            0 => String::new(),
            1 => "; one that was due meanwhile is left out".to_string(),
            missed => format!("; {missed} that were due meanwhile are left out"),
        }
    }

    /// Waits for a signal, for output, for room to write, or for that moment.
    fn wait(&mut self, until: Instant) {
        let out = stdout();
        let mut polled = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if self.pen.is_waiting() {
            polled.push(PollFd::new(out.as_fd(), PollFlags::POLLOUT));
        }
        let streams = self.job.as_ref().filter(|_| self.pen.has_room()).map(|job| &job.streams);
        polled.extend(streams.into_iter().flat_map(Streams::open).map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        // Rounded up: a wait that ends too early is another.
        let left = until.saturating_duration_since(Instant::now()).min(LONGEST) + Duration::from_millis(1);
        let _ = poll(&mut polled, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        let can_write = self.pen.is_waiting() && polled.get(1).and_then(PollFd::any) == Some(true);
        drop(polled);
        if can_write {
            self.pen.write();
        }
        if let Some(job) = &mut self.job {
            job.streams.read(&mut self.pen);
        }
        while let Ok(Some(signal)) = self.signals.read_signal() {
            self.hear(Signal::from_raw(i32::try_from(signal.ssi_signo).unwrap_or(0)));
        }
    }

    fn hear(&mut self, signal: Option<Signal>) {
        if signal.is_some_and(|signal| ENDS.contains(&signal)) {
            self.haste = if self.haste == Haste::None { Haste::Asked } else { Haste::Hurried };
        }
    }

    fn last_words(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        let out = stdout();
        while self.pen.is_waiting() && Instant::now() < until {
            let mut polled = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
            if poll(&mut polled, PollTimeout::from(100u8)) == Ok(1) {
                self.pen.write();
            }
        }
    }
}

const ENDS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP];
