//! Hearts that stop together: nothing is restarted for one period, then one after the other.

use super::*;
use crate::view;

/// A colony of hearts with a period of 8 s and a grace of 24 s: their names, and what has become of them.
struct Hearts {
    desired: Desired,
    observed: Observed,
    names: Vec<Name>,
    runs: u64,
}

impl Hearts {
    /// All up since 0 s; the looks at 20 s saw all of them beat.
    fn new(count: usize) -> Hearts {
        let names: Vec<Name> = (0..count).map(|n| Name::parse(&format!("h{n}")).expect("a valid name")).collect();
        let spec = Arc::new(beating());
        let processes = names.iter().map(|name| (name.clone(), Arc::clone(&spec))).collect();
        let desired = Desired { processes, ..Desired::default() };
        let mut hearts = Hearts { desired, observed: Observed::default(), names, runs: 0 };
        for index in 0..count {
            hearts.start(index, 0.0);
            hearts.look(index, 20.0, true);
        }
        hearts
    }

    fn id(&self, index: usize) -> Incarnation {
        self.observed.records()[&self.names[index]].life.run().expect("it runs").id
    }

    fn tell(&mut self, at: f64, fact: Fact) {
        self.observed.observe(fact, stamp(at));
    }

    fn start(&mut self, index: usize, at: f64) {
        self.runs += 1;
        let id = Incarnation::new(NonZeroU64::new(self.runs).expect("not 0"));
        self.tell(at, Fact::Started(self.names[index].clone(), id, Arc::new(beating())));
    }

    fn look(&mut self, index: usize, at: f64, beat: bool) {
        let (name, id) = (self.names[index].clone(), self.id(index));
        self.tell(at, Fact::Looking(name.clone(), id));
        self.tell(at, if beat { Fact::Beat(name, id) } else { Fact::NoBeat(name, id) });
    }

    /// What is decided of each, as [`decided`] tells it.
    fn decide(&self, at: f64) -> Vec<String> {
        let plan = |name: &Name| reconcile(&self.desired, &self.observed, [name], stamp(at));
        self.names.iter().map(|name| told(plan(name))).collect()
    }

    fn hold(&mut self, at: f64) {
        self.tell(at, Fact::Held(self.names[0].clone(), seconds(8.0)));
    }

    fn stop(&mut self, index: usize, at: f64) {
        let (name, id) = (self.names[index].clone(), self.id(index));
        self.tell(at, Fact::Signalled(name, id, Target::Main, Signal::TERM, Why::HeartbeatStale));
    }

    fn exit(&mut self, index: usize, at: f64) {
        let (name, id) = (self.names[index].clone(), self.id(index));
        self.tell(at, Fact::Exited(name, id, Exit::Code(0), false));
    }
}

fn told(plan: super::super::Plan) -> String {
    let waits = plan.waits.iter().map(|(_, wait)| match wait {
        Some(moment) => format!("wait until {}", moment.as_nanos() as f64 / 1e9),
        None => "wait".into(),
    });
    let actions = plan.actions.iter().map(|action| match action {
        Action::Signal(_, _, target, signal, why) => format!("{signal} to {target:?}, {why:?}"),
        Action::Hold(_, period) => format!("hold for {}", period.as_secs_f64()),
        Action::Look(..) => "look".into(),
        other => format!("{other:?}"),
    });
    actions.chain(waits).collect::<Vec<_>>().join("; ")
}

const STALE: &str = "SIGTERM to Main, HeartbeatStale";

#[test]
fn a_heart_that_stops_is_alone_unless_more_than_half_and_at_least_three_stop_with_it() {
    // How many hearts there are, how many of them stop, and what is done about the first.
    let rows = [(1, 1, STALE), (2, 2, STALE), (5, 2, STALE), (6, 3, STALE)];
    let rows = rows.into_iter().chain([(3, 3, "hold for 8"), (5, 3, "hold for 8"), (6, 4, "hold for 8")]);
    for (count, stop, expected) in rows {
        let mut hearts = Hearts::new(count);
        for index in stop..count {
            hearts.look(index, 26.0, true);
        }
        for index in 0..stop {
            hearts.look(index, 28.0, false);
        }
        assert_eq!(hearts.decide(28.0)[0], expected, "{stop} of {count}");
    }
}

#[test]
fn hearts_that_stop_together_are_held_for_a_period_and_looked_at_and_who_beats_again_is_well() {
    let mut hearts = Hearts::new(3);
    (0..3).for_each(|index| hearts.look(index, 28.0, false));
    assert_eq!(hearts.decide(28.0), ["hold for 8"; 3]);
    hearts.hold(28.0);
    assert_eq!(hearts.decide(28.0), ["wait until 30"; 3]);
    assert_eq!(hearts.decide(30.0), ["look"; 3]);
    hearts.look(0, 30.0, true);
    (1..3).for_each(|index| hearts.look(index, 35.0, false));
    assert_eq!(hearts.decide(35.0)[1..], ["wait until 36"; 2]);
    let held: Vec<bool> = view(&hearts.desired, &hearts.observed, stamp(35.0)).iter().map(|view| !view.ready).collect();
    assert_eq!(held, [false, true, true]);
    assert_eq!(hearts.decide(36.0)[1..], [STALE; 2]);
}

#[test]
fn after_the_hold_one_takes_its_turn_until_it_beats_or_its_grace_is_over() {
    let held = || {
        let mut hearts = Hearts::new(3);
        (0..3).for_each(|index| hearts.look(index, 28.0, false));
        hearts.hold(28.0);
        (0..3).for_each(|index| hearts.look(index, 36.0, false));
        hearts.stop(0, 36.0);
        hearts
    };
    // In one pass no second one goes.
    let plan = reconcile(&held().desired, &held().observed, &held().names[1..], stamp(36.0));
    assert!(plan.actions.is_empty(), "{plan:?}");

    // It beats: the next may.
    let mut hearts = held();
    hearts.exit(0, 37.0);
    hearts.start(0, 37.0);
    (1..3).for_each(|index| hearts.look(index, 38.0, false));
    assert_eq!(hearts.decide(38.0)[1..], ["wait until 40"; 2]);
    hearts.look(0, 39.0, true);
    assert_eq!(hearts.decide(39.0)[1..], [STALE; 2]);
    hearts.stop(1, 39.0);
    assert_eq!(hearts.decide(39.0)[2], "wait until 40");

    // It does not: the next may when its 5 s to end and 24 s to beat are over, and it only after them.
    let mut hearts = held();
    hearts.exit(0, 37.0);
    hearts.start(0, 37.0);
    (0..3).for_each(|index| hearts.look(index, 64.0, false));
    assert_eq!(hearts.decide(64.0), ["wait until 65"; 3]);
    (0..3).for_each(|index| hearts.look(index, 65.0, false));
    assert_eq!(hearts.decide(65.0), ["wait until 67", STALE, STALE]);
}

#[test]
fn when_all_is_well_again_for_a_period_the_next_heart_that_stops_is_alone() {
    let mut hearts = Hearts::new(4);
    (0..3).for_each(|index| hearts.look(index, 28.0, false));
    hearts.look(3, 26.0, true);
    hearts.hold(28.0);
    (0..4).for_each(|index| hearts.look(index, 43.0, true));
    (1..4).for_each(|index| hearts.look(index, 50.0, true));
    hearts.look(0, 51.0, false);
    assert_eq!(hearts.decide(51.0)[0], STALE);
}
