//! Histories that once broke a law, told again by hand: a seed means another history when the generator changes.

use std::path::PathBuf;
use std::time::Duration;

use super::history::History;
use super::kernel::{Role, State};
use super::machine::{Fate, Temper};
use super::specs::{name_of, plain};
use crate::model::{Backoff, Exit, Fingerprint, Heartbeat, Name, ProcessSpec, Restart, Schedule};
use crate::{Ask, Haste, Life, Why};

const SECOND: Duration = Duration::from_secs(1);

impl History {
    /// One process, up.
    fn of(spec: ProcessSpec, fate: Fate) -> (History, Name) {
        let mut history = History::calm();
        let web = name_of("web");
        history.world.fates = Some(vec![fate]);
        history.edit(&web, Some(spec));
        history.turns();
        (history, web)
    }

    #[track_caller]
    fn holds(&self) {
        assert_eq!(self.world.broken, None);
    }

    fn starts(&self, name: &Name) -> u64 {
        self.observed.records()[name].tally.starts
    }

    fn life(&self, name: &Name) -> &Life {
        &self.observed.records()[name].life
    }
}

fn edited(mut spec: ProcessSpec, whole: u64) -> ProcessSpec {
    spec.whole = Fingerprint(whole);
    spec
}

fn heartbeat(period: u64) -> Option<Heartbeat> {
    Some(Heartbeat { period: Duration::from_secs(period), grace: 1.0, file: PathBuf::new() })
}

#[test]
fn a_sigkill_that_was_refused_is_sent_again() {
    let (mut history, web) = History::of(plain(), Fate { obeys: None, ..Fate::default() });
    history.edit(&web, None);
    history.live(9 * SECOND);
    history.world.temper = Temper { signal_refused: 100, ..Temper::default() };
    history.live(5 * SECOND);
    assert!(matches!(history.life(&web), Life::Stopping(..)), "it could not be killed");
    history.world.temper = Temper::default();
    history.live(2 * SECOND);
    history.holds();
    assert!(history.observed.records().is_empty(), "it was killed at last");
}

#[test]
fn a_job_whose_heartbeat_stopped_has_failed_even_if_it_then_exits_with_0() {
    let spec = ProcessSpec {
        restart: Restart::OnFailure,
        schedule: Some(Schedule::every(1000 * SECOND)),
        heartbeat: heartbeat(10),
        ..plain()
    };
    let (mut history, web) = History::of(spec, Fate::default());
    history.live(15 * SECOND);
    history.holds();
    assert_eq!(history.observed.records()[&web].last.as_ref().and_then(|last| last.why), Some(Why::HeartbeatStale));
    assert_eq!(history.starts(&web), 2, "it is tried again after the back-off, not only when it is due next");
}

#[test]
fn a_late_answer_from_before_an_edit_of_the_heartbeat_is_no_evidence_after_it() {
    let beats = Some((SECOND, SECOND));
    let (mut history, web) =
        History::of(ProcessSpec { heartbeat: heartbeat(40), ..plain() }, Fate { beats, ..Fate::default() });
    history.live(9 * SECOND);
    history.world.look_takes = Some(21 * SECOND);
    history.live(2 * SECOND);
    assert_eq!(history.world.looks.len(), 1, "a look hangs");
    history.world.look_takes = Some(100 * SECOND);
    history.edit(&web, Some(edited(ProcessSpec { heartbeat: heartbeat(20), ..plain() }, 1)));
    history.turns();
    history.live(30 * SECOND);
    history.holds();
    assert_eq!(history.starts(&web), 1, "it beats every second, and is left alone");
}

#[test]
fn processes_that_start_over_and_over_do_not_keep_another_from_its_end() {
    let mut history = History::calm();
    let backoff = Backoff { threshold: Duration::ZERO, ..plain().backoff };
    let [hot, zoe] = ["hot", "zoe"].map(name_of);
    history.edit(&zoe, Some(plain()));
    history.turns();
    history.starts = 1;
    history.edit(&hot, Some(ProcessSpec { backoff, ..plain() }));
    history.edit(&zoe, None);
    for _ in 0..10 {
        history.world.fates = Some(vec![Fate { lives: Duration::from_millis(1), ..Fate::default() }]);
        history.turn();
        history.pass(Duration::from_millis(1));
    }
    history.holds();
    assert!(!history.observed.records().contains_key(&zoe), "its turn comes although each turn has a start to make");
}

#[test]
fn processes_that_start_over_and_over_do_not_keep_another_from_its_start() {
    let mut history = History::calm();
    let backoff = Backoff { threshold: Duration::ZERO, ..plain().backoff };
    let [hot, hotter, zoe] = ["hot", "hotter", "zoe"].map(name_of);
    history.starts = 1;
    history.edit(&hot, Some(ProcessSpec { backoff, ..plain() }));
    history.edit(&hotter, Some(ProcessSpec { backoff, ..plain() }));
    history.edit(&zoe, Some(plain()));
    for _ in 0..10 {
        history.world.fates = Some(vec![Fate { lives: Duration::from_millis(1), ..Fate::default() }]);
        history.turn();
        history.pass(Duration::from_millis(1));
    }
    history.holds();
    assert!(history.starts(&zoe) > 0, "its turn comes although two others are due in each");
}

// L18, as far as DESIGN has it: no stop waits for the starts of all.
#[test]
fn a_thousand_starts_do_not_keep_a_sigkill_waiting() {
    let (mut history, web) = History::of(plain(), Fate { obeys: None, ..Fate::default() });
    history.edit(&web, None);
    history.turns();
    history.pass(10 * SECOND);
    history.starts = 1;
    for n in 0..1000 {
        history.edit(&name_of(&format!("a{n}")), Some(plain()));
    }
    history.turn();
    history.holds();
    assert!(history.world.runs[0].killed_at.is_some(), "in the turn in which its grace is over");
    assert_eq!(history.world.runs.len(), 2, "and one of the thousand was started");
}

#[test]
fn an_edit_that_the_living_run_adopts_clears_the_backoff_as_any_other_does() {
    let short = Fate { lives: SECOND, exit: Exit::Code(1), ..Fate::default() };
    let (mut history, web) = History::of(plain(), short);
    history.world.fates = Some(vec![short; 100]);
    history.live(Duration::from_millis(19_500));
    assert_eq!(history.starts(&web), 5);
    assert_eq!(history.observed.records()[&web].streak, 4);
    history.edit(&web, Some(edited(plain(), 1)));
    history.live(3 * SECOND);
    history.holds();
    assert_eq!(history.starts(&web), 6, "the delay is the first one again, not the fifth");
}

#[test]
fn a_program_that_is_not_there_costs_no_core_even_without_a_delay() {
    let backoff = Backoff { initial: Duration::ZERO, ..plain().backoff };
    let missing = Fate { error: Some(2), ..Fate::default() };
    let (mut history, web) = History::of(ProcessSpec { backoff, ..plain() }, missing);
    history.world.fates = Some(vec![missing; 1000]);
    history.live(10 * SECOND);
    history.holds();
    assert_eq!(history.observed.records()[&web].tally.start_failures, 101);
}

#[test]
fn what_is_suspended_no_more_is_not_started_because_it_is_suspended() {
    let (mut history, web) = History::of(plain(), Fate::default());
    history.edit(&web, Some(edited(ProcessSpec { suspend: true, ..plain() }, 1)));
    history.live(SECOND);
    history.edit(&web, Some(edited(plain(), 2)));
    history.turns();
    history.holds();
    assert_eq!(history.starts(&web), 2);
}

#[test]
fn a_removed_process_is_not_forgotten_while_its_rest_lives() {
    let (mut history, web) = History::of(plain(), Fate::default());
    history.fork(0, Role::Escaped, None, Duration::MAX);
    history.edit(&web, None);
    history.live(5 * SECOND);
    assert!(matches!(history.life(&web), Life::Leaving(..)));
    history.live(6 * SECOND);
    history.holds();
    assert!(history.observed.records().is_empty());
}

// L15
#[test]
fn a_process_that_daemonizes_itself_is_never_there_twice() {
    let (mut history, web) = History::of(plain(), Fate { lives: SECOND, ..Fate::default() });
    history.fork(0, Role::Escaped, Some(3 * SECOND), Duration::MAX);
    history.live(2 * SECOND);
    assert_eq!(history.starts(&web), 1, "what it left behind has three seconds to go");
    history.live(5 * SECOND);
    history.holds();
    assert_eq!(history.starts(&web), 2);
}

// L13
#[test]
fn what_cannot_die_is_waited_for_and_has_no_second_copy() {
    let (mut history, web) = History::of(plain(), Fate::default());
    history.freeze(0);
    history.ask(&web, Ask::Named);
    history.live(3600 * SECOND);
    assert_eq!(history.starts(&web), 1);
    assert_eq!(history.observed.records()[&web].tally.kills, 1, "however often it was sent SIGKILL");
    history.thaw(0);
    history.live(2 * SECOND);
    history.holds();
    assert_eq!(history.starts(&web), 2);
}

// L12
#[test]
fn a_stopped_process_obeys_the_stop_signal_at_once() {
    let (mut history, web) = History::of(plain(), Fate::default());
    let main = history.world.runs[0].main;
    history.world.kernel.stop(main);
    assert_eq!(history.world.kernel.get(main).map(|proc| proc.state), Some(State::Stopped));
    history.edit(&web, None);
    history.live(Duration::from_millis(500));
    history.holds();
    assert!(history.observed.records().is_empty());
}

// L06
#[test]
fn twenty_exits_in_one_reap_are_twenty_restarts() {
    let mut history = History::calm();
    let names: Vec<Name> = (0..20).map(|n| name_of(&format!("p{n}"))).collect();
    for name in &names {
        history.edit(name, Some(plain()));
    }
    history.turns();
    history.pass(11 * SECOND);
    (0..20).for_each(|run| history.kill(run, Exit::Code(1)));
    history.turns();
    history.holds();
    for name in &names {
        assert_eq!((history.starts(name), history.observed.records()[name].tally.exits.iter().sum()), (2, 1));
    }
}

// L22
#[test]
fn an_exit_a_stale_heartbeat_and_a_message_at_once_are_one_restart() {
    let (mut history, web) = History::of(ProcessSpec { heartbeat: heartbeat(5), ..plain() }, Fate::default());
    history.pass(9 * SECOND);
    history.kill(0, Exit::Code(1));
    history.ask(&web, Ask::Named);
    history.turns();
    history.live(SECOND);
    history.holds();
    assert_eq!(history.starts(&web), 2);
}

#[test]
fn a_second_order_to_end_shortens_every_grace() {
    let spec = ProcessSpec { stop: crate::model::Stop { grace: 1000 * SECOND, ..plain().stop }, ..plain() };
    let (mut history, _) = History::of(spec, Fate { obeys: None, ..Fate::default() });
    history.end(Haste::Graceful);
    history.live(20 * SECOND);
    history.end(Haste::Now);
    history.live(SECOND);
    history.holds();
    assert!(history.observed.records().is_empty());
    assert_eq!(history.observed.wake_at(), None, "nothing is left to wake up for");
}
