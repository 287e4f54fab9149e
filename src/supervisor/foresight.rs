//! What process files will come to, said when they are read and not first when it happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::events::{Events, Told};
use super::farewell::Farewell;
use crate::model::{Name, ProcessSpec, Reason};
use crate::process;
use crate::reconcile::{Desired, longest_chain};

/// What was last foreseen of all together.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// Whether the end is cut.
    is_cut: bool,
}

impl Foresight {
    /// These processes are desired otherwise than they were.
    pub(super) fn look(&mut self, edited: &[Name], desired: &Desired, farewell: &Farewell, events: &mut Events) {
        for name in edited {
            tell_forbidden(name, &desired.processes, events);
        }
        self.tell_cut(desired, farewell);
    }

    /// Where the graces do not fit into the time for the end.
    fn tell_cut(&mut self, desired: &Desired, farewell: &Farewell) {
        let Some(time) = farewell.time_to_stop() else { return };
        let chain = longest_chain(desired).filter(|(_, sum)| *sum > time);
        if let Some((name, sum)) = chain.as_ref().filter(|_| !self.is_cut) {
            tracing::warn!(
                "the end of the colony may be cut: by their graces {name} and what it depends on may take {} s, one after the other, and --shutdown-timeout leaves {} s for that",
                sum.as_secs_f64(),
                time.as_secs_f64()
            );
        }
        self.is_cut = chain.is_some();
    }
}

/// Of who starts at once it is said by the start that fails.
fn tell_forbidden(name: &Name, processes: &BTreeMap<Name, Arc<ProcessSpec>>, events: &mut Events) {
    let waits = |spec: &&Arc<ProcessSpec>| spec.suspend || spec.schedule.is_some() || !spec.depends_on.is_empty();
    let spec = processes.get(name).filter(waits);
    if let Some(why) = spec.and_then(|spec| process::forbidden(&spec.birth.security)) {
        let told = Told::of(name, Reason::Failed, format!("cannot be started: {why}"));
        events.tell(told, format_args!("{name} cannot be started when its time comes: {why}"));
    }
}
