//! What an outsider would write down about a process, and the policies read a second time, from their description: when
//! a process that is down may run again. Nothing here is taken from the core but the shapes of a spec.

use std::time::Duration;

use crate::model::{Exit, Fingerprint, Moment, ProcessSpec, Restart, RuleOperator};
use crate::reconcile::Ask;

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) starts: u64,
    pub(super) start_failures: u64,
    pub(super) exits: u64,
    pub(super) kills: u64,
    /// A restart that was asked for and is not done.
    pub(super) asked: Option<Ask>,
    /// A run of a schedule was asked for and is not begun.
    pub(super) triggered: bool,
    /// A message stopped it, and nothing has happened since that starts it again.
    pub(super) stopped: bool,
    /// How often what is desired of it has changed.
    pub(super) edits: u64,
    /// Fingerprints, born and whole, of the last start, or what was adopted since.
    tried: Option<(Fingerprint, Fingerprint)>,
    failed: Option<Failure>,
    ended: Option<Ending>,
    streak: u32,
    slot: Option<Moment>,
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
    /// Its number in the eyes of `restartPolicyRules`.
    code: i32,
}

/// Who ended a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EndedBy {
    Itself,
    /// We, for its heartbeat or its memory: a failure.
    Verdict,
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
    pub(super) fn started(&mut self, spec: &ProcessSpec, now: Moment) {
        self.starts += 1;
        self.tries(spec);
        self.failed = None;
        if let Some(schedule) = spec.schedule {
            let mut slot = self.slot.unwrap_or(now);
            if slot < now {
                let late = now.since(slot).as_nanos() % schedule.every.as_nanos();
                slot = Moment::from_nanos(now.as_nanos() - late as u64);
            }
            self.slot = Some(slot);
        }
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
    pub(super) fn due_at(&self, spec: &ProcessSpec) -> Moment {
        if self.triggered && spec.schedule.is_some() {
            return Moment::ZERO;
        }
        let Some((born, whole)) = self.tried else { return Moment::ZERO };
        let waits = whole == spec.whole && self.asked.is_none();
        if let Some(Failure { at, transient }) = self.failed {
            let pause = self.pause(spec, self.streak);
            return match (waits, transient) {
                (false, _) => Moment::ZERO,
                (true, true) => at + pause.min(Duration::from_secs(5)),
                (true, false) => at + pause,
            };
        }
        if let Some(schedule) = spec.schedule {
            let next = self.slot.map_or(Moment::ZERO, |slot| slot + schedule.every);
            let retry = self.ended.filter(|ended| {
                let fails = spec.restart != Restart::Never && !ended.success;
                !ended.by.is_request() && (fails || has_rule(spec, ended.code))
            });
            return retry.map_or(next, |ended| next.min(ended.at + self.pause(spec, self.streak.max(1))));
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
