//! Several processes: who waits for whose readiness, and how many probes a turn begins.

use super::super::order::{Stage, name_of};
use super::*;
use crate::model::{Condition, Dependency, Replica};

/// Answers a probe of this process that was begun.
fn answer(stage: &mut Stage, name: &str, kind: ProbeKind, letter: char) {
    let fact = Fact::Probed(name_of(name), stage.id(name), kind, result(letter), Duration::ZERO);
    stage.observe(fact);
}

/// Processes of a set, or with names of their own.
fn colony(specs: Vec<(&str, ProcessSpec)>) -> Stage {
    let processes = specs.into_iter().map(|(name, spec)| (name_of(name), Arc::new(spec))).collect();
    Stage::of(Desired { processes, ..Desired::default() })
}

#[test]
fn who_depends_on_another_waits_for_its_readiness_and_is_left_alone_when_that_goes() {
    let on = |condition| vec![Dependency { name: name_of("db"), condition }];
    let front = |condition| ProcessSpec { depends_on: on(condition).into(), ..service() };
    let mut stage = colony(vec![
        ("db", probed(&[probe(Startup), probe(Readiness)])),
        ("eager", front(Condition::Started)),
        ("front", front(Condition::Ready)),
    ]);
    assert_eq!(stage.at(0.0), "+db ?db startup probe +eager");
    answer(&mut stage, "db", Startup, 's');
    assert_eq!(stage.at(1.0), "?db readiness probe");
    assert_eq!(stage.why("front"), "Pending DependencyNotReady: waiting for db to be Ready");
    answer(&mut stage, "db", Readiness, 's');
    assert_eq!(stage.at(2.0), "+front");
    for at in [11.0, 21.0, 31.0] {
        assert_eq!(stage.at(at), "?db readiness probe");
        answer(&mut stage, "db", Readiness, 'f');
    }
    assert_eq!(stage.at(31.5), "", "who runs is left alone");
    stage.exit("front", 1);
    assert_eq!(stage.at(32.0), "", "who is down waits");
    assert_eq!(stage.at(41.0), "?db readiness probe");
    answer(&mut stage, "db", Readiness, 's');
    assert_eq!(stage.at(42.0), "+front");
}

#[test]
fn replicas_are_restarted_one_at_a_time_by_their_readiness() {
    let of = |index| ProcessSpec {
        replica: Some(Replica { set: name_of("r"), index, of: 2 }),
        ..probed(&[probe(Readiness)])
    };
    let mut stage = colony(vec![("r-0", of(0)), ("r-1", of(1))]);
    assert_eq!(stage.at(0.0), "+r-0 +r-1 ?r-0 readiness probe ?r-1 readiness probe");
    answer(&mut stage, "r-0", Readiness, 's');
    answer(&mut stage, "r-1", Readiness, 's');
    assert_eq!(stage.at(1.0), "");
    for name in ["r-0", "r-1"] {
        stage.observe(Fact::Asked(name_of(name), Ask::Named));
    }
    assert_eq!(stage.at(2.0), "-r-0");
    stage.exit("r-0", 0);
    assert_eq!(stage.at(3.0), "+r-0 ?r-0 readiness probe");
    assert_eq!(stage.at(10.0), "?r-1 readiness probe", "it waits for its turn, and is asked meanwhile");
    answer(&mut stage, "r-1", Readiness, 's');
    assert_eq!(stage.at(10.5), "");
    answer(&mut stage, "r-0", Readiness, 's');
    assert_eq!(stage.at(11.0), "-r-1");
}

#[test]
fn a_turn_begins_so_many_probes_and_the_next_ones_the_rest() {
    let all = || probed(&[probe(Liveness), probe(HttpCheck)]);
    let mut stage = colony(vec![("a", all()), ("b", all()), ("c", service())]);
    stage.most = 3;
    assert_eq!(stage.at(0.0), "+a +b +c");
    assert_eq!(stage.at(0.1), "?a liveness probe ?b liveness probe ?a HTTP check");
    assert_eq!(stage.at(0.2), "?b HTTP check");
    assert_eq!(stage.at(0.3), "");
}
