use std::borrow::Cow;

use super::desired::Desired;
use super::observed::Observed;
use super::plan::Why;
use super::record::{End, Life};
use super::timing::{self, Due};
use crate::model::{Name, Stamp};

/// What a process waits for before its next start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Setback {
    /// A start that failed.
    Start,
    /// A run that ended too soon, or badly; how, in words that are always the same for the same cause.
    Run(Cow<'static, str>),
}

impl Observed {
    /// Why this process waits before its next start, if that is what it does now.
    pub fn setback(&self, desired: &Desired, name: &Name, now: Stamp) -> Option<Setback> {
        let (spec, record) = desired.processes.get(name).zip(self.records.get(name))?;
        match &record.life {
            Life::Down if !spec.suspend && !record.stopped => {}
            Life::Down | Life::Up(_) | Life::Stopping(..) | Life::Leaving(..) => return None,
        }
        match timing::due_at(spec, record, now) {
            Due::At(at, Why::BackoffOver) if at > now.at => {}
            Due::At(..) | Due::Never => return None,
        }
        match (&record.failed, &record.last) {
            (Some(_), _) => Some(Setback::Start),
            (None, Some(last)) => Some(Setback::Run(cause(last))),
            (None, None) => None,
        }
    }
}

fn cause(last: &End) -> Cow<'static, str> {
    match last.why {
        // What was measured is another each time.
        Some(why) => why.as_str().into(),
        None => last.exit.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;
    use std::time::Duration;

    use super::Setback;
    use crate::model::{
        Backoff, Exit, Incarnation, Moment, Name, ProcessSpec, Restart, Signal, Stamp, StartError, Step,
    };
    use crate::{Desired, Excess, Fact, Observed, Target, Why};

    const BACKOFF: Backoff =
        Backoff { threshold: Duration::from_secs(10), initial: Duration::from_secs(4), max: Duration::from_secs(300) };

    fn at(second: u64) -> Stamp {
        Stamp { at: Moment::ZERO + Duration::from_secs(second), ..Stamp::default() }
    }

    fn name() -> Name {
        Name::parse("web").expect("a name")
    }

    fn run() -> Incarnation {
        Incarnation::new(NonZeroU64::MIN)
    }

    /// What a process waits for at this second, to which these facts came in the seconds from 100 on.
    fn setback(spec: impl Fn(&mut ProcessSpec), facts: &[fn(&Arc<ProcessSpec>) -> Fact], now: u64) -> Option<Setback> {
        let mut wanted = ProcessSpec::unknown(BACKOFF, Duration::ZERO);
        spec(&mut wanted);
        let wanted = Arc::new(wanted);
        let mut desired = Desired::default();
        desired.processes.insert(name(), Arc::clone(&wanted));
        let mut observed = Observed::default();
        for (second, fact) in (100..).zip(facts) {
            observed.observe(fact(&wanted), at(second));
        }
        observed.setback(&desired, &name(), at(now))
    }

    const STARTED: fn(&Arc<ProcessSpec>) -> Fact = |spec| Fact::Started(name(), run(), Arc::clone(spec));
    const EXITED: fn(&Arc<ProcessSpec>) -> Fact = |_| Fact::Exited(name(), run(), Exit::Code(1), false);
    const FAILED: fn(&Arc<ProcessSpec>) -> Fact = |spec| {
        let error = StartError { step: Step::Exec, errno: 2, what: "program not found".to_string() };
        Fact::StartFailed(name(), Arc::clone(spec), error)
    };
    const TOO_MUCH: fn(&Arc<ProcessSpec>) -> Fact = |_| {
        let why = Why::MemoryExceeded(Excess { used: 12_345_678, limit: 10_000_000 });
        Fact::Signalled(name(), run(), Target::Main, Signal::TERM, why)
    };
    const STOP: fn(&Arc<ProcessSpec>) -> Fact = |_| Fact::StopAsked(name());

    fn ended(cause: &'static str) -> Option<Setback> {
        Some(Setback::Run(cause.into()))
    }

    #[test]
    fn what_is_waited_for_is_told_while_it_is_waited_for() {
        let plain = |_: &mut ProcessSpec| {};
        assert_eq!(setback(plain, &[], 100), None, "it is new");
        assert_eq!(setback(plain, &[STARTED], 100), None, "it runs");
        assert_eq!(setback(plain, &[STARTED, EXITED], 101), ended("exit code 1"));
        assert_eq!(setback(plain, &[STARTED, EXITED], 104), ended("exit code 1"));
        assert_eq!(setback(plain, &[STARTED, EXITED], 105), None, "it is due");
        assert_eq!(setback(plain, &[FAILED], 101), Some(Setback::Start));
        assert_eq!(setback(plain, &[STARTED, EXITED, FAILED], 103), Some(Setback::Start), "that is what came last");
        assert_eq!(setback(plain, &[STARTED, EXITED, STOP], 103), None, "nobody waits for it");
    }

    #[test]
    fn what_is_not_to_run_again_waits_for_nothing() {
        assert_eq!(setback(|spec| spec.restart = Restart::Never, &[STARTED, EXITED], 101), None);
        assert_eq!(setback(|spec| spec.suspend = true, &[STARTED, EXITED], 101), None);
        let long = |spec: &mut ProcessSpec| spec.backoff.threshold = Duration::ZERO;
        assert_eq!(setback(long, &[STARTED, EXITED], 101), None, "its run was long enough: it is due at once");
    }

    #[test]
    fn a_cause_is_told_without_what_was_measured() {
        let facts = [STARTED, TOO_MUCH, EXITED];
        assert_eq!(setback(|_| {}, &facts, 102), ended("its memory limit was exceeded"));
    }
}
