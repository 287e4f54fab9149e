//! What one run has said of itself, and what its probes may conclude from it. Time is an argument.

use std::sync::Arc;
use std::time::Duration;

use crate::health::notify::{Message, Stage, Watchdog};
use crate::model::{Moment, ProbeKind, ProbeResult};

/// What a run has said.
#[derive(Debug, Default)]
pub(super) struct Voice {
    stage: Option<Stage>,
    status: Arc<str>,
    /// Whether it has said that it lives since its liveness probe last asked.
    is_alive: bool,
    /// When it last did.
    alive_at: Moment,
    /// The longest that it will be silent, if it has said so.
    silence: Option<Silence>,
    /// Until when it has asked for patience.
    patient_until: Moment,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Silence {
    /// For as long as it likes.
    Unbounded,
    /// For so long.
    Most(Duration),
    /// It was to be so long, and was longer.
    Broken(Duration),
}

/// What a message, or silence, has made the verdict of the run's probes of a kind.
pub(super) type Verdict = (ProbeKind, ProbeResult);

impl Voice {
    /// One line for people; may be empty.
    pub(super) fn status(&self) -> &str {
        &self.status
    }

    /// How far it is, as it says.
    pub(super) fn stage(&self) -> Option<Stage> {
        self.stage
    }

    /// Takes a message, and says which verdicts follow from it at once.
    pub(super) fn hear(&mut self, message: &Message, now: Moment) -> Vec<Verdict> {
        // Every field by name, so that a new one cannot be forgotten here.
        let Message { stage, status, main_pid: _, watchdog, silence, patience, unclear: _ } = message;
        if let Some(status) = status {
            self.status = Arc::clone(status);
        }
        if let Some(patience) = patience {
            self.patient_until = now + *patience;
        }
        let mut verdicts = Vec::new();
        if let Some(stage) = stage.filter(|stage| self.stage != Some(*stage)) {
            self.stage = Some(stage);
            if stage == Stage::Ready {
                verdicts.push((ProbeKind::Startup, ProbeResult::Success));
            }
            verdicts.push((ProbeKind::Readiness, readiness(Some(stage))));
        }
        if let Some(most) = silence {
            self.alive_at = now;
            self.silence = Some(if most.is_zero() { Silence::Unbounded } else { Silence::Most(*most) });
        }
        match watchdog {
            Some(Watchdog::Alive) => verdicts.extend(self.lives(now)),
            Some(Watchdog::Failed) => verdicts.push((ProbeKind::Liveness, failure(FAILED))),
            None => {}
        }
        verdicts
    }

    fn lives(&mut self, now: Moment) -> Option<Verdict> {
        (self.is_alive, self.alive_at) = (true, now);
        match self.silence {
            Some(Silence::Broken(most)) => {
                self.silence = Some(Silence::Most(most));
                Some((ProbeKind::Liveness, ProbeResult::Success))
            }
            Some(Silence::Unbounded | Silence::Most(_)) | None => None,
        }
    }

    /// The monitor did not listen until now: nobody was silent meanwhile.
    pub(super) fn excuse(&mut self, now: Moment) {
        self.alive_at = now;
    }

    /// When it will have been silent for longer than it said, if it is so until then.
    pub(super) fn late_at(&self) -> Option<Moment> {
        match self.silence {
            Some(Silence::Most(most)) => Some(self.alive_at + most),
            Some(Silence::Unbounded | Silence::Broken(_)) | None => None,
        }
    }

    /// What follows from its silence, once, when it is too long.
    pub(super) fn notice_silence(&mut self, now: Moment) -> Option<Verdict> {
        match self.silence {
            Some(Silence::Most(most)) if self.alive_at + most <= now => {
                self.silence = Some(Silence::Broken(most));
                Some((ProbeKind::Liveness, broken(most)))
            }
            Some(Silence::Unbounded | Silence::Most(_) | Silence::Broken(_)) | None => None,
        }
    }

    /// What a probe of this kind finds when it is due.
    pub(super) fn answer(&mut self, kind: ProbeKind, now: Moment) -> ProbeResult {
        match kind {
            ProbeKind::Startup => match self.stage {
                Some(Stage::Ready | Stage::Reloading) => ProbeResult::Success,
                None | Some(Stage::Stopping) if now < self.patient_until => ProbeResult::Unknown,
                None | Some(Stage::Stopping) => failure(NOT_READY),
            },
            ProbeKind::Readiness => readiness(self.stage),
            ProbeKind::Liveness => self.liveness(),
            // It asks a server, always.
            ProbeKind::HttpCheck => ProbeResult::Unknown,
        }
    }

    fn liveness(&mut self) -> ProbeResult {
        let is_alive = std::mem::take(&mut self.is_alive);
        match self.silence {
            None if is_alive => ProbeResult::Success,
            None => failure("it has not said WATCHDOG=1 since it was last asked for"),
            Some(Silence::Unbounded | Silence::Most(_)) => ProbeResult::Success,
            Some(Silence::Broken(most)) => broken(most),
        }
    }
}

const NOT_READY: &str = "it has not said READY=1";
const FAILED: &str = "it says that it has failed (WATCHDOG=trigger)";

fn readiness(stage: Option<Stage>) -> ProbeResult {
    match stage {
        Some(Stage::Ready) => ProbeResult::Success,
        None => failure(NOT_READY),
        Some(Stage::Reloading) => failure("it reloads (RELOADING=1)"),
        Some(Stage::Stopping) => failure("it is stopping (STOPPING=1)"),
    }
}

fn broken(most: Duration) -> ProbeResult {
    failure(&format!("it has not said WATCHDOG=1 for {} s (its WATCHDOG_USEC)", most.as_secs_f64()))
}

fn failure(why: &str) -> ProbeResult {
    ProbeResult::Failure(why.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Voice;
    use crate::health::notify::{Message, Stage, Watchdog};
    use crate::model::{Moment, ProbeKind, ProbeResult};

    fn at(seconds: f64) -> Moment {
        Moment::ZERO + Duration::from_secs_f64(1000.0 + seconds)
    }

    fn stage(stage: Stage) -> Message {
        Message { stage: Some(stage), ..Message::default() }
    }

    fn watchdog(watchdog: Watchdog) -> Message {
        Message { watchdog: Some(watchdog), ..Message::default() }
    }

    fn silence(seconds: f64) -> Message {
        Message { silence: Some(Duration::from_secs_f64(seconds)), ..Message::default() }
    }

    fn short(result: &ProbeResult) -> &str {
        match result {
            ProbeResult::Success => "+",
            ProbeResult::Unknown => "?",
            ProbeResult::Unmade(why) | ProbeResult::Failure(why) => why,
        }
    }

    /// `Startup +, Readiness it reloads (RELOADING=1)`
    fn told(verdicts: impl IntoIterator<Item = (ProbeKind, ProbeResult)>) -> String {
        let told = verdicts.into_iter().map(|(kind, result)| format!("{} {}", kind.label(), short(&result)));
        told.collect::<Vec<_>>().join(", ")
    }

    fn answers(voice: &mut Voice, seconds: f64) -> String {
        let kinds = [ProbeKind::Startup, ProbeKind::Readiness, ProbeKind::Liveness];
        told(kinds.map(|kind| (kind, voice.answer(kind, at(seconds)))))
    }

    #[test]
    fn each_word_has_its_verdict_once() {
        let mut voice = Voice::default();
        let silent = "it has not said WATCHDOG=1 since it was last asked for";
        let unready = format!("Startup it has not said READY=1, Readiness it has not said READY=1, Liveness {silent}");
        assert_eq!(answers(&mut voice, 0.0), unready);
        assert_eq!(told(voice.hear(&Message::default(), at(1.0))), "");
        assert_eq!(told(voice.hear(&stage(Stage::Ready), at(1.0))), "Startup +, Readiness +");
        assert_eq!(told(voice.hear(&stage(Stage::Ready), at(1.0))), "", "what is known is not told again");
        assert_eq!(told(voice.hear(&watchdog(Watchdog::Alive), at(2.0))), "");
        assert_eq!(answers(&mut voice, 3.0), "Startup +, Readiness +, Liveness +");
        assert_eq!(answers(&mut voice, 4.0), format!("Startup +, Readiness +, Liveness {silent}"));
        assert_eq!(told(voice.hear(&stage(Stage::Reloading), at(5.0))), "Readiness it reloads (RELOADING=1)");
        assert_eq!(
            answers(&mut voice, 5.0),
            format!("Startup +, Readiness it reloads (RELOADING=1), Liveness {silent}")
        );
        assert_eq!(told(voice.hear(&stage(Stage::Ready), at(6.0))), "Startup +, Readiness +");
        assert_eq!(told(voice.hear(&stage(Stage::Stopping), at(7.0))), "Readiness it is stopping (STOPPING=1)");
        let failed = "Liveness it says that it has failed (WATCHDOG=trigger)";
        assert_eq!(told(voice.hear(&watchdog(Watchdog::Failed), at(8.0))), failed);
    }

    #[test]
    fn while_it_asks_for_patience_not_having_started_is_no_failure() {
        let mut voice = Voice::default();
        let patience = Message { patience: Some(Duration::from_secs(5)), ..Message::default() };
        assert_eq!(told(voice.hear(&patience, at(0.0))), "");
        assert_eq!(short(&voice.answer(ProbeKind::Startup, at(4.9))), "?");
        assert_eq!(short(&voice.answer(ProbeKind::Readiness, at(4.9))), "it has not said READY=1");
        assert_eq!(short(&voice.answer(ProbeKind::Startup, at(5.0))), "it has not said READY=1");
        voice.hear(&patience, at(6.0));
        assert_eq!(short(&voice.answer(ProbeKind::Startup, at(10.0))), "?");
        voice.hear(&stage(Stage::Ready), at(10.0));
        assert_eq!(short(&voice.answer(ProbeKind::Startup, at(10.0))), "+");
    }

    #[test]
    fn a_silence_of_its_own_is_kept_to_the_moment() {
        let mut voice = Voice::default();
        assert_eq!(voice.late_at(), None);
        voice.hear(&silence(2.0), at(0.0));
        assert_eq!(voice.late_at(), Some(at(2.0)));
        voice.hear(&watchdog(Watchdog::Alive), at(1.5));
        assert_eq!(voice.late_at(), Some(at(3.5)));
        assert_eq!(told(voice.notice_silence(at(3.4))), "");
        // Asked for more often than it speaks, it is well as long as it is not late.
        for seconds in [1.6, 2.0, 3.4] {
            assert_eq!(short(&voice.answer(ProbeKind::Liveness, at(seconds))), "+");
        }
        let late = "it has not said WATCHDOG=1 for 2 s (its WATCHDOG_USEC)";
        assert_eq!(told(voice.notice_silence(at(3.5))), format!("Liveness {late}"));
        assert_eq!(told(voice.notice_silence(at(9.0))), "", "once");
        assert_eq!(voice.late_at(), None);
        assert_eq!(short(&voice.answer(ProbeKind::Liveness, at(9.0))), late);
        assert_eq!(told(voice.hear(&watchdog(Watchdog::Alive), at(10.0))), "Liveness +");
        assert_eq!(voice.late_at(), Some(at(12.0)));
    }

    #[test]
    fn a_monitor_that_did_not_listen_calls_nobody_silent() {
        let mut voice = Voice::default();
        voice.hear(&silence(2.0), at(0.0));
        voice.excuse(at(60.0));
        assert_eq!(told(voice.notice_silence(at(61.0))), "");
        assert_eq!(voice.late_at(), Some(at(62.0)));
    }

    #[test]
    fn a_silence_without_end_is_no_failure() {
        let mut voice = Voice::default();
        voice.hear(&silence(0.0), at(0.0));
        assert_eq!(voice.late_at(), None);
        assert_eq!(told(voice.notice_silence(at(1e6))), "");
        assert_eq!(short(&voice.answer(ProbeKind::Liveness, at(1e6))), "+");
        voice.hear(&silence(1.0), at(0.0));
        assert_eq!(
            told(voice.notice_silence(at(1.0))),
            "Liveness it has not said WATCHDOG=1 for 1 s (its WATCHDOG_USEC)"
        );
    }

    #[test]
    fn a_status_is_kept_until_another_is_said() {
        let mut voice = Voice::default();
        let status = |text: &str| Message { status: Some(text.into()), ..Message::default() };
        voice.hear(&status("loading"), at(0.0));
        voice.hear(&stage(Stage::Ready), at(1.0));
        assert_eq!((voice.status(), voice.stage()), ("loading", Some(Stage::Ready)));
        voice.hear(&status(""), at(2.0));
        assert_eq!(voice.status(), "");
    }
}
