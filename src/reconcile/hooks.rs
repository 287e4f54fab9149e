//! What is done right after the start of a run (`lifecycle.postStart`), and before it is asked to end
//! (`lifecycle.preStop`), and how long that may take.
//!
//! The grace counts from the beginning of the stop, the hook included, and is not exceeded: where the kubelet adds two
//! seconds for a container whose hook has used up the grace, here the last two of the grace are the main process's own,
//! or the second half of a grace shorter than four. So a hook that hangs costs no process its own orderly end, and the end
//! of a colony stays within its grace.

use std::time::Duration;

use super::record::{Run, Stopping};
use crate::model::{Moment, PreStop, Stop};

/// How far the stop of a run has come before its main process is asked to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// What is done before that is under way.
    PreStop,
    /// It is over, well or not: the stop signal is what comes next.
    PreStopOver,
    /// It was asked to end, or ended of itself.
    Asked,
}

/// How far what is done right after the start of a run has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PostStart {
    /// It is to be begun.
    Due,
    /// It is under way, and as long as it is the run is not ready.
    UnderWay,
    /// It has failed, and so has the run.
    Failed,
    /// It is done, or there is none.
    Done,
}

/// How a hook ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HookEnd {
    /// As it should.
    Well,
    /// Otherwise.
    Failed,
}

/// What came of the beginning of a hook.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hook {
    /// It is under way, and its end will be a fact of its own.
    UnderWay,
    /// It is over already: it could not be begun.
    Over,
}

/// Why a hook is ended before it is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// It has had its time.
    TimeUp,
    /// The main process, for which it was done, has ended.
    MainGone,
}

/// What a stop needs next, its main process being there and not asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Its hook has time until then.
    Wait(Moment),
    /// The hook's time is up.
    End,
    /// The stop signal.
    Ask,
}

/// The least that is left of a grace for the main process.
const RESERVE: Duration = Duration::from_secs(2);

/// What is next for a run that is being stopped, has this grace, and is killed at the `latest` then; `None` when it was
/// asked already.
pub(super) fn next(run: &Run, stopping: &Stopping, grace: Duration, latest: Moment, now: Moment) -> Option<Next> {
    match stopping.stage {
        Stage::Asked => None,
        Stage::PreStopOver => Some(Next::Ask),
        Stage::PreStop => {
            let limit = limit(&run.spec.stop, grace.min(latest.since(stopping.asked_at)));
            let until = stopping.asked_at + limit;
            let is_over = until <= now;
            Some(match run.spec.stop.pre_stop {
                _ if !is_over => Next::Wait(until),
                Some(PreStop::Sleep(span)) if span <= limit => Next::Ask,
                Some(PreStop::Exec(_) | PreStop::HttpGet(_) | PreStop::Sleep(_)) | None => Next::End,
            })
        }
    }
}

/// How long a hook may take where the whole stop may take so long; for a sleep, how long it takes.
fn limit(stop: &Stop, grace: Duration) -> Duration {
    let most = grace - RESERVE.min(grace / 2);
    match stop.pre_stop {
        Some(PreStop::Sleep(span)) => span.min(most),
        Some(PreStop::Exec(_) | PreStop::HttpGet(_)) | None => most,
    }
}
