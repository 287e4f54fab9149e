//! What an outsider would write down about a process, and the policies read a second time, from their description: when
//! a process that is down may run again. Nothing here is taken from the core but the shapes of a spec.

use std::time::Duration;

use super::timetable::Timetable;
use crate::Ask;
use crate::model::{Exit, Fingerprint, Moment, ProcessSpec, Restart, RuleOperator, Schedule, Stamp, Wall};

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) starts: u64,
    pub(super) start_failures: u64,
    pub(super) exits: u64,
    pub(super) kills: u64,
    /// By kind: how many of its probes succeeded, failed, and showed nothing, and how long they took.
    pub(super) probes: [([u64; 3], Duration); 4],
    /// A restart that was asked for and is not done.
    pub(super) asked: Option<Ask>,
    /// A run of a schedule was asked for and is not begun.
    pub(super) triggered: bool,
    /// A message stopped it, and nothing has happened since that starts it again.
    pub(super) stopped: bool,
    /// Its success was what another waited for.
    pub(super) step: bool,
    /// How often what is desired of it has changed.
    pub(super) edits: u64,
    /// Fingerprints, born and whole, of the last start, or what was adopted since.
    tried: Option<(Fingerprint, Fingerprint)>,
    failed: Option<Failure>,
    ended: Option<Ending>,
    streak: u32,
    pub(super) times: Timetable,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Moment,
    transient: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ending {
    /// From when another run may follow an edit: a second after this one began.
    settled: Moment,
    at: Moment,
    by: EndedBy,
    success: bool,
    exit: Exit,
    /// Its number in the eyes of `restartPolicyRules`.
    code: i32,
}

/// Who ended a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EndedBy {
    Itself,
    /// We, for its heartbeat or its memory: a failure.
    Verdict,
    /// We, since it lasted too long: a failure, and the end of it.
    Deadline,
    /// We, since a message asked for it.
    Message,
    /// We, for what is or was desired.
    Us,
}

impl EndedBy {
    fn is_request(self) -> bool {
        matches!(self, EndedBy::Message | EndedBy::Us)
    }
}

impl Ledger {
    pub(super) fn started(&mut self, spec: &ProcessSpec, now: Stamp) -> Result<(), Wall> {
        let mut outcome = Ok(());
        self.starts += 1;
        self.tries(spec);
        self.failed = None;
        if let Some(schedule) = &spec.schedule {
            outcome = self.times.took(schedule, now);
        }
        outcome
    }

    pub(super) fn start_failed(&mut self, spec: &ProcessSpec, transient: bool, now: Moment) {
        self.start_failures += 1;
        self.tries(spec);
        self.streak += 1;
        self.failed = Some(Failure { at: now, transient });
    }

    fn tries(&mut self, spec: &ProcessSpec) {
        let fresh = Some((spec.born, spec.whole));
        if self.tried != fresh {
            self.streak = 0;
        }
        self.tried = fresh;
        self.asked = None;
        self.triggered = false;
    }

    pub(super) fn adopted(&mut self, spec: &ProcessSpec) {
        self.streak = 0;
        self.tried = Some((spec.born, spec.whole));
    }

    /// What the monitor's own exit status would be if it ended with this process.
    pub(super) fn status(&self) -> Option<u8> {
        let Ending { exit, success, .. } = self.ended?;
        let status = match exit {
            Exit::Code(0) if !success => 1,
            Exit::Code(code) => code,
            Exit::Killed { signal, .. } => 128 + signal.as_raw() as u8,
            Exit::Unknown => 255,
        };
        Some(status)
    }

    pub(super) fn ended(&mut self, exit: Exit, by: EndedBy, lasted: Duration, threshold: Duration, now: Moment) {
        self.exits += 1;
        if !by.is_request() {
            self.streak = if lasted < threshold { self.streak + 1 } else { 0 };
        }
        self.failed = None;
        let began = Moment::from_nanos(now.as_nanos() - lasted.as_nanos() as u64);
        let settled = began + Duration::from_secs(1);
        self.ended = Some(Ending {
            settled,
            at: now,
            by,
            success: by == EndedBy::Itself && exit == Exit::Code(0),
            exit,
            code: number(exit),
        });
    }

    pub(super) fn asks(&mut self, ask: Ask) {
        match ask {
            Ask::Broad if self.stopped || self.asked == Some(Ask::Named) => {}
            ask => {
                self.asked = Some(ask);
                self.stopped = false;
            }
        }
    }

    pub(super) fn stops(&mut self) {
        self.asked = None;
        self.triggered = false;
        self.stopped = true;
    }

    pub(super) fn starts(&mut self, is_up: bool) {
        self.stopped = false;
        if !is_up {
            self.asked = Some(Ask::Named);
        }
    }

    pub(super) fn edits(&mut self) {
        self.edits += 1;
        self.stopped = false;
    }

    /// When the process, which is down and wanted, is due; `NEVER`: not before something changes.
    pub(super) fn due_at(&self, spec: &ProcessSpec, now: Stamp) -> Moment {
        if let Some(schedule) = &spec.schedule {
            return if self.triggered { Moment::ZERO } else { self.scheduled_at(schedule, spec, now) };
        }
        let Some((born, whole)) = self.tried else { return Moment::ZERO };
        let waits = whole == spec.whole && self.asked.is_none();
        if let Some(failure) = self.failed {
            return self.again_at(failure, spec);
        }
        let Some(ended) = self.ended else { return Moment::ZERO };
        if self.asked == Some(Ask::Named) {
            return Moment::ZERO;
        }
        if born != spec.born || ended.by == EndedBy::Us {
            return ended.settled;
        }
        if ended.by == EndedBy::Message {
            return Moment::ZERO;
        }
        if ended.by == EndedBy::Deadline {
            return Moment::NEVER;
        }
        let again = match spec.restart {
            _ if has_rule(spec, ended.code) => true,
            Restart::Always => true,
            Restart::OnFailure => !ended.success,
            Restart::Never => false,
        };
        match (again, waits) {
            (false, _) => Moment::NEVER,
            _ if self.streak == 0 || self.asked.is_some() => Moment::ZERO,
            (true, false) => ended.settled,
            (true, true) => ended.at + self.pause(spec, self.streak),
        }
    }

    fn again_at(&self, Failure { at, transient }: Failure, spec: &ProcessSpec) -> Moment {
        let waits = self.tried.is_some_and(|(_, whole)| whole == spec.whole) && self.asked.is_none();
        let pause = self.pause(spec, self.streak);
        let pause = match (waits, transient) {
            (false, _) => Duration::ZERO,
            (true, true) => pause.min(Duration::from_secs(5)),
            (true, false) => pause,
        };
        at + pause
    }

    fn scheduled_at(&self, schedule: &Schedule, spec: &ProcessSpec, now: Stamp) -> Moment {
        let next = self.times.next(schedule, now);
        if let Some(failure) = self.failed {
            let again = self.again_at(failure, spec);
            return if schedule.starting_deadline.is_some() { again.max(next) } else { again };
        }
        self.retried(spec).map_or(next, |ended| next.min(ended.at + self.pause(spec, self.streak.max(1))))
    }

    /// The end of the last run, if it is a failure that the policy does not leave at that.
    fn retried(&self, spec: &ProcessSpec) -> Option<Ending> {
        self.ended.filter(|ended| {
            let fails = spec.restart != Restart::Never && !ended.success;
            let counts = !ended.by.is_request() && ended.by != EndedBy::Deadline;
            counts && (fails || has_rule(spec, ended.code))
        })
    }

    /// Whether no run of it follows: as its policy has it, or since its program cannot be executed, and it has one try.
    pub(super) fn is_over(&self, spec: &ProcessSpec, now: Stamp) -> bool {
        let is_as_tried = self.tried == Some((spec.born, spec.whole)) && self.asked.is_none();
        let is_stillborn = self.failed.is_some_and(|failure| !failure.transient) && spec.restart == Restart::Never;
        spec.schedule.is_none() && (self.due_at(spec, now) == Moment::NEVER || (is_stillborn && is_as_tried))
    }

    /// Whether its last run ended of itself, and well.
    pub(super) fn succeeded(&self) -> bool {
        self.ended.is_some_and(|ended| ended.success)
    }

    /// Whether this job, which is down, waits because something failed, and not for its next time alone.
    pub(super) fn backs_off(&self, spec: &ProcessSpec) -> bool {
        self.failed.is_some() || self.retried(spec).is_some()
    }

    fn pause(&self, spec: &ProcessSpec, streak: u32) -> Duration {
        if streak == 0 {
            return Duration::ZERO;
        }
        let mut pause = spec.backoff.initial;
        for _ in 1..streak {
            if pause.is_zero() || pause >= spec.backoff.max {
                break;
            }
            pause *= 2;
        }
        pause.min(spec.backoff.max).max(Duration::from_millis(100))
    }
}

fn number(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => code.into(),
        Exit::Killed { signal, .. } => 128 + signal.as_raw(),
        Exit::Unknown => 255,
    }
}

/// Whether a rule asks for another run; there is no other action.
fn has_rule(spec: &ProcessSpec, code: i32) -> bool {
    spec.restart_rules
        .iter()
        .any(|rule| rule.codes.iter().any(|one| i32::from(*one) == code) == (rule.operator == RuleOperator::In))
}
