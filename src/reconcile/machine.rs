use std::sync::Arc;
use std::time::Duration;

use super::desired::Desired;
use super::hooks::{Cut, Hook};
use super::observed::{Fact, Observed};
use super::plan::{Action, Target, Why, reconcile};
use super::rolling;
use crate::model::{Incarnation, Name, ProbeKind, ProcessSpec, Signal, Stamp, StartError};

/// What the core needs done. One implementation is the real machine, the other the simulated one of the model test.
pub trait Machine {
    /// Begins a run of the process.
    ///
    /// # Errors
    /// Which step failed, and why.
    fn start(&mut self, name: &Name, spec: &Arc<ProcessSpec>, why: Why) -> Result<Incarnation, StartError>;

    /// Begins what is to be done right after the start of a run. That it is over comes as a fact of its own.
    fn post_start(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec) -> Hook;

    /// Begins what is to be done before a run is asked to end. That it is over comes as a fact of its own.
    fn pre_stop(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec, why: Why) -> Hook;

    /// Ends that before it is over; no more is heard of it.
    fn end_pre_stop(&mut self, name: &Name, run: Incarnation, cut: Cut);

    /// Sends a signal to a run, and, unless it is SIGKILL, SIGCONT after it, so that a stopped process can obey. That
    /// it could not be sent is the machine's to report: to the core it was sent either way.
    fn signal(&mut self, name: &Name, run: Incarnation, target: Target, signal: Signal, why: Why);

    /// Asks for a look at a run's heartbeat; the answer comes as a fact of its own, now or later.
    fn look(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec);

    /// Begins a probe of a run; the answer comes as a fact of its own, now or later, and always comes while the run is up.
    /// One of the same kind that is under way is of no more interest.
    fn probe(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec, kind: ProbeKind);

    /// Asks how much memory a run has; the answer comes as a fact of its own, now or later.
    fn weigh(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec);

    /// Most hearts have stopped at once, this process's among them: nothing is restarted for that for so long.
    fn hold(&mut self, name: &Name, period: Duration);

    /// An edit takes effect on a living run, which is governed by this spec from now on.
    fn adopted(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec);

    /// The process is no more.
    fn forget(&mut self, name: &Name);
}

/// How far a [`settle`] came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settled {
    /// Actions executed.
    pub actions: usize,
    /// Starts among them, failed ones included, and probes.
    pub begun: usize,
}

/// A process moves at most this often in one turn: start, look, exit's aftermath. More would be a core that does not
/// settle, and then the next turn goes on where this one ended.
const ROUNDS: usize = 8;

/// Reconciles what is dirty or due, executes, observes, until nothing is left to do. At most `most` runs and
/// probes are begun, the rest is held for the next turn, in front of all others: so a thousand starts keep no exit and no
/// SIGKILL waiting, and a thousand probes that are due at once spread of themselves.
pub fn settle(
    desired: &Desired,
    observed: &mut Observed,
    machine: &mut impl Machine,
    now: Stamp,
    most: usize,
) -> Settled {
    let mut settled = Settled::default();
    observed.compare_clocks(now);
    let mut names = observed.agenda.take_held(most, now.at);
    for _ in 0..ROUNDS {
        names.append(&mut observed.agenda.take(now.at));
        if names.is_empty() {
            break;
        }
        let plan = reconcile(desired, observed, &names, now);
        for name in names.drain(..) {
            observed.look_for_the_end(desired, &name);
            observed.note_turn(desired, &name, now.at);
        }
        for (name, wait) in plan.waits {
            observed.agenda.file(name, wait);
        }
        for action in plan.actions {
            let is_overtaken = rolling::is_overtaken(desired, observed, &action, now.at);
            if is_overtaken || observed.must_wait(&action, now.at) {
                observed.touch(action.name());
                continue;
            }
            // What a start depends on may be another since the plan was made.
            if let Action::Start(name, ..) = &action
                && !observed.order.waits.is_free(name)
            {
                observed.agenda.touch(name);
                continue;
            }
            if let Action::Start(name, ..) | Action::Probe(name, ..) = &action {
                if settled.begun == most {
                    observed.agenda.hold(name.clone());
                    continue;
                }
                settled.begun += 1;
            }
            settled.actions += 1;
            let fact = execute(observed, machine, action);
            observed.observe(fact, now);
        }
    }
    settled
}

fn execute(observed: &Observed, machine: &mut impl Machine, action: Action) -> Fact {
    match action {
        Action::Start(name, spec, why) => match machine.start(&name, &spec, why) {
            Ok(run) => Fact::Started(name, run, spec),
            Err(error) => Fact::StartFailed(name, spec, error),
        },
        Action::PostStart(name, run) => {
            let present = observed.records.get(&name).and_then(|record| record.life.run());
            let hook = present.map_or(Hook::Over, |present| machine.post_start(&name, run, &present.spec));
            Fact::PostStart(name, run, hook)
        }
        Action::PreStop(name, run, why) => {
            let present = observed.records.get(&name).and_then(|record| record.life.run());
            let hook = present.map_or(Hook::Over, |present| machine.pre_stop(&name, run, &present.spec, why));
            Fact::PreStop(name, run, why, hook)
        }
        Action::EndPreStop(name, run, cut) => {
            machine.end_pre_stop(&name, run, cut);
            Fact::PreStopOver(name, run)
        }
        Action::Signal(name, run, target, signal, why) => {
            machine.signal(&name, run, target, signal, why);
            Fact::Signalled(name, run, target, signal, why)
        }
        Action::Adopt(name, spec) => {
            if let Some(present) = observed.records.get(&name).and_then(|record| record.life.run()) {
                machine.adopted(&name, present.id, &spec);
            }
            Fact::Adopted(name, spec)
        }
        Action::Hold(name, period) => {
            machine.hold(&name, period);
            Fact::Held(name, period)
        }
        Action::Look(name, run) => {
            if let Some(present) = observed.records.get(&name).and_then(|record| record.life.run()) {
                machine.look(&name, run, &present.spec);
            }
            Fact::Looking(name, run)
        }
        Action::Probe(name, run, kind) => {
            if let Some(present) = observed.records.get(&name).and_then(|record| record.life.run()) {
                machine.probe(&name, run, &present.spec, kind);
            }
            Fact::Probing(name, run, kind)
        }
        Action::Weigh(name, run) => {
            if let Some(present) = observed.records.get(&name).and_then(|record| record.life.run()) {
                machine.weigh(&name, run, &present.spec);
            }
            Fact::Weighing(name, run)
        }
        Action::Follow(name, calendar) => Fact::Following(name, calendar),
        Action::Forget(name) => {
            machine.forget(&name);
            Fact::Forgotten(name)
        }
    }
}
