//! Runs that are begun by the clock, or by hand though the clock says nothing.

use std::fmt;

use super::observed::{Record, Run};
use crate::model::ProcessSpec;

/// Why a run cannot be asked for now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoTrigger {
    /// It has no schedule.
    NoSchedule,
    /// A run of it is not over, and there is never another beside it.
    StillRuns,
    /// A message has stopped it.
    Stopped,
}

/// Whether a run of this process may be asked for ([`super::Ask::Trigger`]): of a schedule, suspended or not, that does
/// not run.
///
/// # Errors
/// Why not.
pub fn may_trigger(spec: &ProcessSpec, record: Option<&Record>) -> Result<(), NoTrigger> {
    let runs = record.is_some_and(|record| record.life.run().is_some());
    let stopped = record.is_some_and(|record| record.stopped);
    match (&spec.schedule, stopped, runs) {
        (None, _, _) => Err(NoTrigger::NoSchedule),
        (Some(_), true, _) => Err(NoTrigger::Stopped),
        (Some(_), false, true) => Err(NoTrigger::StillRuns),
        (Some(_), false, false) => Ok(()),
    }
}

/// Whether a run is one of the schedule that is wanted.
pub(super) fn is_of_schedule(run: &Run, wanted: &ProcessSpec) -> bool {
    run.spec.schedule.is_some() && wanted.schedule.is_some()
}

impl fmt::Display for NoTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoTrigger::NoSchedule => "it has no schedule; RESTART is for what runs all the time",
            NoTrigger::Stopped => "a message has stopped it; START it first",
            NoTrigger::StillRuns => "its last run is not over, and there are never two at a time",
        })
    }
}

impl std::error::Error for NoTrigger {}
