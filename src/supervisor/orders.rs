//! From a message's request to what is to be done about it, or to why it makes no sense.

use super::config_side::ConfigSide;
use crate::model::{Incarnation, Name, ProcessSpec, Request, Signal, nearest, shell_word};
use crate::reconcile::{Ask, Desired, Fact, Life, Observed, may_trigger};

/// What a request can be about.
pub(super) struct Known<'a> {
    /// What is to run.
    pub(super) desired: &'a Desired,
    /// What runs.
    pub(super) observed: &'a Observed,
    /// Where it is said.
    pub(super) config: &'a ConfigSide,
}

/// What a request comes to, for one process.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// The core is told, and decides.
    Tell(Fact),
    /// A signal is sent to a run's main process. The core need not know: what comes of it is the process's affair.
    Signal(Name, Incarnation, Signal),
}

/// What a request comes to, or why it makes no sense.
pub(super) fn orders(request: &Request, known: &Known<'_>) -> Result<Vec<Order>, String> {
    if known.desired.ending.is_some() {
        return Err("the monitor is ending".to_string());
    }
    match request {
        Request::Restart(name) => {
            let called = known.called(name)?;
            // What still runs is asked to end, as by its file.
            match called.iter().all(|one| known.is_suspended(one) && known.running(one).is_none()) {
                true => Err(suspended(name)),
                false => Ok(tell(called, |name| Fact::Asked(name, Ask::Named))),
            }
        }
        Request::RestartAll => Ok(tell(known.desired.processes.keys(), |name| Fact::Asked(name, Ask::Broad))),
        Request::RestartGroup(group) => Ok(tell(known.group(group)?, |name| Fact::Asked(name, Ask::Broad))),
        Request::Stop(name) => Ok(tell(known.called(name)?, Fact::StopAsked)),
        Request::Start(name) => {
            let startable: Vec<&Name> =
                known.called(name)?.into_iter().filter(|one| !known.is_suspended(one)).collect();
            match startable.is_empty() {
                true => Err(suspended(name)),
                false => Ok(tell(startable, Fact::StartAsked)),
            }
        }
        Request::Trigger(name) => {
            let called = known.called(name)?;
            for one in &called {
                known.may_trigger(one)?;
            }
            Ok(tell(called, |name| Fact::Asked(name, Ask::Trigger)))
        }
        Request::Signal(name, signal) => {
            let runs: Vec<Order> = known
                .called(name)?
                .into_iter()
                .filter_map(|one| Some(Order::Signal(one.clone(), known.running(one)?, *signal)))
                .collect();
            match runs.is_empty() {
                true => Err(format!("{name} is not running, and nothing was sent")),
                false => Ok(runs),
            }
        }
    }
}

fn suspended(name: &Name) -> String {
    let word = shell_word(name.as_str());
    format!(
        "{name} is suspended by its file, and only an edit changes that, such as ncolony ctl start {word} --persist"
    )
}

fn tell<'a>(names: impl IntoIterator<Item = &'a Name>, fact: impl Fn(Name) -> Fact) -> Vec<Order> {
    names.into_iter().map(|name| Order::Tell(fact(name.clone()))).collect()
}

impl Known<'_> {
    /// The process of this name, or the replicas of the set of this name.
    fn called(&self, name: &Name) -> Result<Vec<&Name>, String> {
        let processes = &self.desired.processes;
        if let Some((name, _)) = processes.get_key_value(name) {
            return Ok(vec![name]);
        }
        let replicas: Vec<&Name> =
            processes.iter().filter(|(_, spec)| set_of(spec) == Some(name)).map(|(name, _)| name).collect();
        if !replicas.is_empty() {
            return Ok(replicas);
        }
        if self.config.error_of(name).is_some() {
            return Err(format!("{name} does not run, since its file is refused"));
        }
        if self.config.empty().any(|empty| empty == name) {
            return Err(format!("{name} has no replicas: its file asks for 0"));
        }
        let sets = processes.values().filter_map(|spec| set_of(spec));
        Err(unknown("process", name.as_str(), processes.keys().chain(sets).map(Name::as_str)))
    }

    fn group(&self, group: &str) -> Result<Vec<&Name>, String> {
        let processes = &self.desired.processes;
        let is_member = |spec: &ProcessSpec| spec.groups.iter().any(|of| of == group);
        let members: Vec<&Name> = processes.iter().filter(|(_, spec)| is_member(spec)).map(|(name, _)| name).collect();
        match members.is_empty() {
            true => {
                let groups = processes.values().flat_map(|spec| spec.groups.iter().map(String::as_str));
                Err(unknown("group", group, groups))
            }
            false => Ok(members),
        }
    }

    fn may_trigger(&self, name: &Name) -> Result<(), String> {
        let Some(spec) = self.desired.processes.get(name) else { return Ok(()) };
        may_trigger(spec, self.observed.records().get(name)).map_err(|why| format!("{name} cannot be triggered: {why}"))
    }

    fn is_suspended(&self, name: &Name) -> bool {
        self.desired.processes.get(name).is_some_and(|spec| spec.suspend)
    }

    /// The run whose main process lives. One of a monitor before this one is no affair of messages: it is being ended.
    fn running(&self, name: &Name) -> Option<Incarnation> {
        match &self.observed.records().get(name)?.life {
            Life::Up(run) | Life::Stopping(run, _) if !run.inherited => Some(run.id),
            Life::Down | Life::Up(_) | Life::Stopping(..) | Life::Leaving(..) => None,
        }
    }
}

fn set_of(spec: &ProcessSpec) -> Option<&Name> {
    spec.replica.as_ref().map(|replica| &replica.set)
}

fn unknown<'a>(kind: &str, word: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(word, known) {
        Some(near) => format!("{kind} {word:?} not found; did you mean {near:?}?"),
        None => format!("{kind} {word:?} not found"),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Known, Order, orders};
    use crate::config::{Defaults, Directory, Trust};
    use crate::model::{
        Backoff, Exit, Incarnation, Moment, Name, ProcessSpec, Replica, Request, Schedule, Signal, Stamp,
    };
    use crate::reconcile::{Desired, Fact, Haste, Observed, Target, Why};
    use crate::supervisor::config_side::ConfigSide;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn spec(change: impl Fn(&mut ProcessSpec)) -> Arc<ProcessSpec> {
        let backoff = Backoff { threshold: Duration::ZERO, initial: Duration::ZERO, max: Duration::ZERO };
        let mut spec = ProcessSpec::unknown(backoff, Duration::ZERO);
        change(&mut spec);
        Arc::new(spec)
    }

    fn replica(index: u32) -> Arc<ProcessSpec> {
        spec(|spec| spec.replica = Some(Replica { set: name("worker"), index, of: 2 }))
    }

    fn job() -> Arc<ProcessSpec> {
        spec(|spec| spec.schedule = Some(Schedule::every(Duration::from_secs(1))))
    }

    /// One that runs, one that stops, one that is down, one of which something is left, two replicas of which one runs,
    /// one that is suspended, and schedules: one that waits, one that runs, one that a message has stopped.
    fn colony() -> (Desired, Observed) {
        let processes = [
            (name("web"), spec(|spec| spec.groups = vec!["fronts".into()])),
            (name("slow"), spec(|_| {})),
            (name("down"), spec(|_| {})),
            (name("left"), spec(|_| {})),
            (name("worker-0"), replica(0)),
            (name("worker-1"), replica(1)),
            (name("off"), spec(|spec| spec.suspend = true)),
            (name("nightly"), job()),
            (name("hourly"), job()),
            (name("resting"), job()),
        ];
        let desired = Desired { processes: processes.into(), ..Desired::default() };
        let mut observed = Observed::default();
        let id = |n: u64| Incarnation::new(NonZeroU64::MIN.saturating_add(n - 1));
        for (n, one) in [(1, "web"), (2, "slow"), (3, "down"), (4, "worker-1"), (5, "left"), (6, "hourly")] {
            let spec = Arc::clone(&desired.processes[&name(one)]);
            observed.observe(Fact::Started(name(one), id(n), spec), Stamp::default());
        }
        for fact in [
            Fact::Signalled(name("slow"), id(2), Target::Main, Signal::TERM, Why::Requested),
            Fact::Exited(name("down"), id(3), Exit::Code(1), false),
            Fact::Exited(name("left"), id(5), Exit::Code(1), true),
            Fact::StopAsked(name("resting")),
        ] {
            observed.observe(fact, Stamp::default());
        }
        (desired, observed)
    }

    /// In words.
    fn come_to(request: &Request, desired: &Desired, observed: &Observed) -> String {
        let directory = Directory::new(Path::new("/nonexistent"), Defaults::STANDARD, Trust::default());
        let config = ConfigSide::new(String::new(), directory, Moment::ZERO);
        match orders(request, &Known { desired, observed, config: &config }) {
            Ok(orders) => orders.iter().map(shown).collect::<Vec<_>>().join("; "),
            Err(reason) => reason,
        }
    }

    fn shown(order: &Order) -> String {
        match order {
            Order::Tell(Fact::Asked(name, ask)) => format!("{ask:?} {name}"),
            Order::Tell(Fact::StopAsked(name)) => format!("stop {name}"),
            Order::Tell(Fact::StartAsked(name)) => format!("start {name}"),
            Order::Tell(other) => format!("{other:?}"),
            Order::Signal(name, run, signal) => format!("{signal} {name} {run}"),
        }
    }

    #[test]
    fn a_request_comes_to_orders_or_to_a_reason() {
        let (desired, observed) = colony();
        let signal = |one: &str| Request::Signal(name(one), Signal::KILL);
        let rows = [
            (Request::Restart(name("web")), "Named web"),
            (Request::Restart(name("worker")), "Named worker-0; Named worker-1"),
            (Request::RestartGroup("fronts".into()), "Broad web"),
            (Request::RestartGroup("front".into()), "group \"front\" not found; did you mean \"fronts\"?"),
            (Request::Stop(name("down")), "stop down"),
            (Request::Stop(name("worker")), "stop worker-0; stop worker-1"),
            (Request::Stop(name("wbe")), "process \"wbe\" not found; did you mean \"web\"?"),
            (Request::Stop(name("workr")), "process \"workr\" not found; did you mean \"worker\"?"),
            (Request::Start(name("down")), "start down"),
            (
                Request::Start(name("off")),
                "off is suspended by its file, and only an edit changes that, such as ncolony ctl start off --persist",
            ),
            (
                Request::Restart(name("off")),
                "off is suspended by its file, and only an edit changes that, such as ncolony ctl start off --persist",
            ),
            (Request::Trigger(name("nightly")), "Trigger nightly"),
            (
                Request::Trigger(name("resting")),
                "resting cannot be triggered: a message has stopped it; START it first",
            ),
            (
                Request::Trigger(name("web")),
                "web cannot be triggered: it has no schedule; RESTART is for what runs all the time",
            ),
            (
                Request::Trigger(name("hourly")),
                "hourly cannot be triggered: its last run is not over, and there are never two at a time",
            ),
            (signal("web"), "SIGKILL web 1"),
            (signal("slow"), "SIGKILL slow 2"),
            (signal("worker"), "SIGKILL worker-1 4"),
            (signal("down"), "down is not running, and nothing was sent"),
            (signal("left"), "left is not running, and nothing was sent"),
            (signal("worker-0"), "worker-0 is not running, and nothing was sent"),
            (signal("nobody"), "process \"nobody\" not found"),
        ];
        for (request, expected) in rows {
            assert_eq!(come_to(&request, &desired, &observed), expected, "{request:?}");
        }
    }

    #[test]
    fn m11_nothing_is_taken_while_the_monitor_ends() {
        let (_, observed) = colony();
        let desired = Desired::ending(Haste::Graceful);
        for request in [Request::RestartAll, Request::Start(name("web")), Request::Signal(name("web"), Signal::KILL)] {
            assert_eq!(come_to(&request, &desired, &observed), "the monitor is ending");
        }
    }
}
