//! Who waits for whom: starts for what they depend on, stops for what depends on them, and how a chain of graces is
//! fitted into the time that there is.

use std::collections::BTreeMap;

use super::*;
use crate::model::{Condition, Dependency, PreStop, ProbeKind, Replica, State};
use crate::{Cut, Hook, HookEnd, Life, fitting, longest_chain, settle, view};

/// What each process depends on: `web: db/Completed`.
fn colony(lines: &str) -> Desired {
    let specs = lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let (name, on) = line.split_once(':').expect("a colon");
        (
            name_of(name),
            Arc::new(ProcessSpec { depends_on: on.split_whitespace().map(dependency).collect(), ..service() }),
        )
    });
    Desired { processes: specs.collect(), ..Desired::default() }
}

fn dependency(text: &str) -> Dependency {
    let (name, condition) = text.split_once('/').unwrap_or((text, "Ready"));
    let condition = match condition {
        "Started" => Condition::Started,
        "Ready" => Condition::Ready,
        "Completed" => Condition::Completed,
        _ => panic!("{condition}"),
    };
    Dependency { name: name_of(name), condition }
}

pub(super) fn name_of(text: &str) -> Name {
    Name::parse(text).expect("a valid name")
}

/// With another spec for a process.
fn where_(mut desired: Desired, name: &str, change: impl FnOnce(&mut ProcessSpec)) -> Desired {
    change(Arc::make_mut(desired.processes.get_mut(name).expect("it is wanted")));
    desired
}

/// A colony at work: what the core orders is done, and told, `+name` for a start, `-name` for a stop, `!name` for SIGKILL,
/// `?name` for a probe.
#[derive(Default)]
pub(super) struct Stage {
    desired: Desired,
    observed: Observed,
    told: Vec<String>,
    runs: u64,
    now: f64,
    /// How much one turn may begin.
    pub(super) most: usize,
}

impl crate::Machine for Stage {
    fn start(&mut self, name: &Name, _: &Arc<ProcessSpec>, _: Why) -> Result<Incarnation, StartError> {
        self.runs += 1;
        self.told.push(format!("+{name}"));
        Ok(Incarnation::new(NonZeroU64::new(self.runs).expect("counted from one")))
    }

    fn signal(&mut self, name: &Name, _: Incarnation, _: Target, signal: Signal, why: Why) {
        let sign = if signal == Signal::KILL { "!" } else { "-" };
        self.told.push(format!("{sign}{name}{}", if why == Why::CutShort { " cut short" } else { "" }));
    }

    fn post_start(&mut self, _: &Name, _: Incarnation, _: &ProcessSpec) -> Hook {
        Hook::UnderWay
    }

    fn pre_stop(&mut self, name: &Name, _: Incarnation, _: &ProcessSpec, _: Why) -> Hook {
        self.told.push(format!("<{name}"));
        Hook::UnderWay
    }

    fn end_pre_stop(&mut self, name: &Name, _: Incarnation, _: Cut) {
        self.told.push(format!(">{name}"));
    }

    fn look(&mut self, _: &Name, _: Incarnation, _: &ProcessSpec) {}

    fn hold(&mut self, _: &Name, _: Duration) {}

    fn probe(&mut self, name: &Name, _: Incarnation, _: &ProcessSpec, kind: ProbeKind) {
        self.told.push(format!("?{name} {}", kind.as_str()));
    }

    fn weigh(&mut self, _: &Name, _: Incarnation, _: &ProcessSpec) {}

    fn adopted(&mut self, name: &Name, _: Incarnation, _: &ProcessSpec) {
        self.told.push(format!("~{name}"));
    }

    fn forget(&mut self, _: &Name) {}
}

impl Stage {
    pub(super) fn of(desired: Desired) -> Stage {
        let mut stage = Stage { most: 100, ..Stage::default() };
        stage.want(desired);
        stage
    }

    fn want(&mut self, desired: Desired) {
        let names: Vec<Name> = self.desired.processes.keys().chain(desired.processes.keys()).cloned().collect();
        self.desired = desired;
        self.observed.arrange(&self.desired, stamp(self.now).at);
        names.into_iter().for_each(|name| self.observed.observe(Fact::Edited(name), stamp(self.now)));
    }

    fn edit(&mut self, edit: impl FnOnce(&mut BTreeMap<Name, Arc<ProcessSpec>>)) {
        let mut desired = self.desired.clone();
        edit(&mut desired.processes);
        self.want(desired);
    }

    pub(super) fn observe(&mut self, fact: Fact) {
        self.observed.observe(fact, stamp(self.now));
    }

    pub(super) fn id(&self, name: &str) -> Incarnation {
        self.observed.records[name].life.run().expect("it lives").id
    }

    pub(super) fn exit(&mut self, name: &str, code: u8) {
        self.observe(Fact::Exited(name_of(name), self.id(name), Exit::Code(code), false));
    }

    fn beat(&mut self, name: &str) {
        self.observe(Fact::Beat(name_of(name), self.id(name)));
    }

    /// What is done at this moment, by those alone that are dirty or due.
    pub(super) fn at(&mut self, now: f64) -> String {
        self.now = now;
        let (desired, mut observed) = (self.desired.clone(), std::mem::take(&mut self.observed));
        settle(&desired, &mut observed, self, stamp(now), self.most);
        self.observed = observed;
        std::mem::take(&mut self.told).join(" ")
    }

    /// Why a process does not run.
    pub(super) fn why(&self, name: &str) -> String {
        let views = view(&self.desired, &self.observed, stamp(self.now));
        let view = views.into_iter().find(|view| view.name.as_str() == name).expect("it is known");
        format!("{:?} {}: {}", view.state, view.reason, view.message)
    }
}

const HEART: Heartbeat = Heartbeat { period: Duration::from_secs(1000), grace: 1.0, file: PathBuf::new() };

#[test]
fn a_chain_starts_link_by_link() {
    let desired = colony("a: b\n b: c\n c:");
    let mut stage = Stage::of(where_(desired, "c", |spec| spec.heartbeat = Some(HEART)));
    assert_eq!(stage.at(0.0), "+c");
    assert_eq!(stage.why("b"), "Pending DependencyNotReady: waiting for c to be Ready");
    assert_eq!(stage.why("a"), "Pending DependencyNotReady: waiting for b to be Ready");
    assert_eq!(stage.at(50.0), "");
    stage.beat("c");
    assert_eq!(stage.at(50.0), "+b +a", "each in the round after that which set it free");
}

// Found by a flood of processes that end at once: it had its colony restarted, as one whose loop does not get done.
#[test]
fn while_more_start_over_and_over_than_a_turn_may_begin_each_has_its_turn_and_that_is_known() {
    let mut desired = colony("a:\n b:\n c:\n d:\n e:");
    for spec in desired.processes.values_mut() {
        Arc::make_mut(spec).backoff.threshold = Duration::ZERO;
    }
    let mut stage = Stage { most: 2, ..Stage::of(desired) };
    let mut done = Vec::new();
    for turn in 0..8 {
        let begun = stage.at(f64::from(turn));
        let done_until = stage.observed.done_until(stamp(stage.now).at);
        done.push((begun.clone(), done_until.map(|at| at.since(Moment::ZERO).as_secs())));
        begun.split(" +").for_each(|name| stage.exit(name.trim_start_matches('+'), 1));
    }
    let expected = [
        ("+a +b", None),
        ("+c +d", None),
        // With e the first round through all five is over, which began in turn 1.
        ("+e +a", Some(1)),
        ("+b +c", Some(1)),
        ("+d +e", Some(1)),
        ("+a +b", Some(2)),
        ("+c +d", Some(2)),
        ("+e +a", Some(5)),
    ];
    assert_eq!(done, expected.map(|(begun, until)| (begun.to_string(), until)));
    stage.most = 5;
    stage.at(8.0);
    assert_eq!(stage.observed.done_until(stamp(8.0).at), Some(stamp(8.0).at));
}

#[test]
fn who_is_not_done_with_its_start_is_not_ready() {
    let warm = |spec: &mut ProcessSpec| spec.post_start = Some(vec!["warm".into()]);
    let mut stage = Stage::of(where_(colony("db:\n web: db"), "db", warm));
    assert_eq!((stage.at(0.0), stage.at(1.0)), ("+db".into(), String::new()));
    stage.observed.observe(Fact::PostStartOver(name_of("db"), stage.id("db"), HookEnd::Well), stamp(2.0));
    assert_eq!(stage.at(2.0), "+web");
}

#[test]
fn what_merely_restarts_restarts_nobody_and_who_died_with_it_waits_for_it() {
    let mut stage = Stage::of(where_(colony("db:\n web: db\n work: db"), "db", |spec| spec.heartbeat = Some(HEART)));
    assert_eq!(stage.at(0.0), "+db");
    stage.beat("db");
    assert_eq!(stage.at(0.0), "+web +work");
    stage.now = 20.0;
    stage.exit("db", 1);
    stage.exit("web", 1);
    assert_eq!(stage.at(20.0), "+db");
    assert_eq!(stage.why("web"), "Pending DependencyNotReady: waiting for db to be Ready");
    stage.now = 30.0;
    stage.beat("db");
    assert_eq!(stage.at(30.0), "+web");
}

#[test]
fn conditions_are_what_their_names_say() {
    let task = |spec: &mut ProcessSpec| spec.restart = Restart::Never;
    let of = |condition: &str, change: fn(&mut ProcessSpec)| {
        Stage::of(where_(colony(&format!("db:\n web: db/{condition}")), "db", change))
    };
    let mut started = of("Started", |spec| spec.heartbeat = Some(HEART));
    assert_eq!(started.at(0.0), "+db +web");

    let mut completed = of("Completed", |spec| spec.restart = Restart::Never);
    assert_eq!(completed.at(0.0), "+db");
    assert_eq!(completed.why("web"), "Pending DependencyNotReady: waiting for db to be Completed");
    completed.exit("db", 0);
    assert_eq!(completed.at(0.0), "+web");

    let mut failed = of("Completed", |spec| spec.restart = Restart::Never);
    failed.at(0.0);
    failed.exit("db", 3);
    assert_eq!(failed.at(99.0), "");
    let for_good = "waiting for db to be Completed, which has failed for good: exit code 3";
    assert_eq!(failed.why("web"), format!("Pending DependencyNotReady: {for_good}"));

    let mut endless = of("Completed", |_| {});
    endless.at(0.0);
    assert!(endless.why("web").ends_with("to be Completed, which is restarted whenever it ends"));

    // A task that is done stays as ready as it was.
    let mut done = Stage::of(where_(where_(colony("db:\n web: db"), "db", task), "web", |spec| spec.suspend = true));
    done.at(0.0);
    done.exit("db", 0);
    assert_eq!(done.at(1.0), "");
    done.edit(|specs| Arc::make_mut(specs.get_mut("web").expect("it is wanted")).suspend = false);
    assert_eq!(done.at(1.0), "+web");
}

#[test]
fn who_waits_is_told_why_it_may_take_long() {
    let mut stage = Stage::of(colony("db:\n web: db\n x: nothing"));
    stage.edit(|specs| Arc::make_mut(specs.get_mut("db").expect("it is wanted")).suspend = true);
    stage.at(0.0);
    assert!(stage.why("web").ends_with("waiting for db to be Ready, which is suspended"), "{}", stage.why("web"));
    assert!(
        stage
            .why("x")
            .ends_with("waiting for nothing to be Ready, which no good file describes, or one without replicas")
    );
    stage.edit(|specs| Arc::make_mut(specs.get_mut("db").expect("it is wanted")).suspend = false);
    assert_eq!(stage.at(0.0), "+db +web");
    stage.exit("db", 1);
    stage.exit("web", 1);
    stage.at(0.5);
    assert_eq!(stage.why("web"), "Backoff CrashLoopBackOff: back-off 1 s: exit code 1", "first its own trouble");
    stage.at(0.9);
    stage.observed.observe(Fact::StopAsked(name_of("db")), stamp(0.9));
    assert_eq!(stage.at(2.0), "");
    assert!(stage.why("web").ends_with("waiting for db to be Ready, which a message has stopped"));
}

#[test]
fn who_waits_for_several_is_told_each_that_is_not_as_it_must_be_and_no_other() {
    let mut stage = Stage::of(where_(colony("db:\n job:\n cache:\n web: job/Completed cache db"), "job", |spec| {
        spec.restart = Restart::Never;
    }));
    stage.edit(|specs| Arc::make_mut(specs.get_mut("db").expect("it is wanted")).suspend = true);
    stage.edit(|specs| Arc::make_mut(specs.get_mut("cache").expect("it is wanted")).heartbeat = Some(HEART));
    let told = |stage: &Stage| {
        let views = view(&stage.desired, &stage.observed, stamp(stage.now));
        let web = views.into_iter().find(|view| view.name.as_str() == "web").expect("it is known");
        web.waits_for.into_iter().map(|wait| format!("{}: {}", wait.on, wait.message)).collect::<Vec<_>>()
    };
    stage.at(0.0);
    assert_eq!(told(&stage).len(), 3);
    stage.exit("job", 0);
    stage.at(1.0);
    let expected = ["cache: waiting for cache to be Ready", "db: waiting for db to be Ready, which is suspended"];
    assert_eq!(told(&stage), expected);
    stage.beat("cache");
    stage.at(2.0);
    assert_eq!(told(&stage), expected[1..]);
}

#[test]
fn a_name_may_mean_all_replicas_of_a_file() {
    let mut desired = colony("web-0:\n web-1:\n front: web");
    for (name, index) in [("web-0", 0), ("web-1", 1)] {
        let replica = Replica { set: name_of("web"), index, of: 2 };
        desired = where_(desired, name, |spec| spec.replica = Some(replica));
    }
    desired = where_(desired, "web-1", |spec| spec.heartbeat = Some(HEART));
    let mut stage = Stage::of(desired);
    assert_eq!(stage.at(0.0), "+web-0 +web-1");
    assert_eq!(stage.why("front"), "Pending DependencyNotReady: waiting for web-1 to be Ready");
    stage.beat("web-1");
    assert_eq!(stage.at(0.0), "+front");
    stage.want(Desired::ending(Haste::Graceful));
    assert_eq!(stage.at(1.0), "-front");
    stage.exit("front", 0);
    assert_eq!(stage.at(2.0), "-web-0 -web-1");
}

#[test]
fn a_shutdown_goes_the_other_way_and_side_by_side_where_it_can() {
    let mut stage = Stage::of(colony("db:\n cache:\n a: db cache\n b: db\n other:"));
    assert_eq!(stage.at(0.0), "+cache +db +other +a +b");
    stage.want(Desired::ending(Haste::Graceful));
    assert_eq!(stage.at(1.0), "-a -b -other");
    stage.exit("a", 0);
    assert_eq!(stage.at(2.0), "-cache", "b holds the database");
    assert_eq!(stage.at(5.999), "");
    assert_eq!(stage.at(6.0), "!b !other", "what does not end is killed after its grace");
    stage.exit("b", 0);
    assert_eq!(stage.at(6.1), "-db");
    stage.want(Desired::ending(Haste::Now));
    assert_eq!(stage.at(6.2), "!cache !db", "and in haste all at once");
}

#[test]
fn what_outlives_its_sigkill_holds_nobody() {
    let mut stage = Stage::of(colony("db:\n web: db"));
    stage.at(0.0);
    stage.want(Desired::ending(Haste::Graceful));
    assert_eq!((stage.at(1.0), stage.at(6.0), stage.at(6.9)), ("-web".into(), "!web".into(), String::new()));
    assert_eq!(stage.at(7.0), "!web -db");
    stage.observed.arrange(&stage.desired, stamp(7.5).at);
    assert_eq!(stage.at(8.0), "!web");
}

#[test]
fn a_removal_waits_for_dependents_that_go_too_and_for_no_others() {
    let mut stage = Stage::of(colony("db:\n web: db\n work: db"));
    stage.at(0.0);
    stage.edit(|specs| specs.retain(|name, _| name.as_str() == "work"));
    assert_eq!(stage.at(1.0), "-web");
    stage.edit(|specs| drop(specs.insert(name_of("web"), Arc::new(service()))));
    assert_eq!(stage.at(2.0), "-db", "web is wanted again: it does not count any more, though it lives");
    let mut stage = Stage::of(colony("db:\n web: db"));
    stage.at(0.0);
    stage.edit(|specs| drop(specs.remove("db")));
    assert_eq!(stage.at(1.0), "-db", "web stays");
}

#[test]
fn what_goes_round_in_a_circle_among_old_specs_has_no_order() {
    let mut stage = Stage::of(colony("a: b\n b:\n c: a\n d:"));
    assert_eq!(stage.at(0.0), "+b +d +a +c");
    // Within its first second no edit of birth ends a run: b goes on with what it has, and a is gone before.
    let b = stage.observed.records.get_mut("b").expect("it runs");
    if let Life::Up(run) = &mut b.life {
        Arc::make_mut(&mut run.spec).depends_on = [dependency("a"), dependency("d")].into();
    }
    stage.want(Desired::ending(Haste::Graceful));
    assert_eq!(stage.at(1.0), "-b -c", "c before a; a and b in no order, but d after b");
    stage.exit("c", 0);
    stage.exit("b", 0);
    assert_eq!(stage.at(1.5), "-a -d");
}

/// The moments of the last SIGKILLs, in seconds: graces by name, pairs of who ends first and who after it.
fn fitted(graces: &[(&str, f64)], pairs: &[(&str, &str)], time: f64) -> String {
    let names: BTreeMap<&str, Name> = graces.iter().map(|(name, _)| (*name, name_of(name))).collect();
    let graces = graces.iter().map(|(name, grace)| (&names[name], seconds(*grace))).collect();
    let pairs: Vec<(&Name, &Name)> = pairs.iter().map(|(first, then)| (&names[first], &names[then])).collect();
    let latest = fitting::latest(&graces, &pairs, stamp(100.0 + time).at, stamp(100.0).at);
    let told = latest.iter().map(|(name, at)| format!("{name} {:.1}", at.as_nanos() as f64 / 1e9 - 100.0));
    told.collect::<Vec<_>>().join(", ")
}

#[test]
fn graces_are_cut_by_what_their_longest_chain_is_too_long() {
    let chain = [("web", "db"), ("db", "disk")];
    let graces = [("web", 10.0), ("db", 20.0), ("disk", 10.0)];
    assert_eq!(fitted(&graces, &chain, 100.0), "db 90.0, disk 100.0, web 70.0", "there is time enough");
    assert_eq!(fitted(&graces, &chain, 40.0), "db 30.0, disk 40.0, web 10.0", "just so");
    assert_eq!(fitted(&graces, &chain, 20.0), "db 15.0, disk 20.0, web 5.0", "each has its share");
    assert_eq!(fitted(&graces, &chain, 0.0), "db 0.0, disk 0.0, web 0.0");
    assert_eq!(fitted(&[("web", 30.0), ("lone", 5.0)], &[], 10.0), "lone 10.0, web 10.0");
    let fork = [("web", "db"), ("work", "db")];
    assert_eq!(
        fitted(&[("web", 30.0), ("work", 2.0), ("db", 10.0)], &fork, 20.0),
        "db 20.0, web 15.0, work 15.0",
        "work has its two seconds, and db no more for it"
    );
}

#[test]
fn a_shutdown_within_a_time_cuts_graces_short_and_says_whose() {
    let mut stage = Stage::of(colony("db:\n web: db\n other:"));
    stage.at(0.0);
    stage.want(Desired { until: Some(stamp(107.0).at), ..Desired::ending(Haste::Graceful) });
    stage.now = 100.0;
    stage.observed.arrange(&stage.desired, stamp(100.0).at);
    assert_eq!(stage.at(100.0), "-other -web");
    assert_eq!(stage.at(103.499), "");
    assert_eq!(stage.at(103.5), "!web cut short");
    stage.exit("web", 0);
    assert_eq!(stage.at(103.6), "-db");
    assert_eq!(stage.at(105.0), "!other", "which is on no long chain");
    stage.exit("other", 0);
    assert_eq!(stage.at(106.999), "");
    assert_eq!(stage.at(107.0), "!db cut short");
}

#[test]
fn who_still_waits_when_its_time_is_over_is_killed_without_its_turn() {
    let mut stage = Stage::of(colony("db:\n web: db"));
    stage.at(0.0);
    stage.now = 100.0;
    stage.want(Desired { until: Some(stamp(101.0).at), ..Desired::ending(Haste::Graceful) });
    assert_eq!(stage.at(100.0), "-web");
    assert_eq!(stage.at(100.5), "!web cut short");
    assert_eq!(stage.at(101.0), "-db !db cut short");
}

#[test]
fn what_is_done_before_the_stop_has_its_share_of_a_grace_that_is_cut() {
    let hook = || Some(PreStop::Exec(vec!["drain".into()]));
    let mut stage =
        Stage::of(where_(where_(colony("db:\n web: db"), "web", |spec| spec.stop.pre_stop = hook()), "db", |spec| {
            spec.stop.pre_stop = hook();
        }));
    stage.at(0.0);
    stage.now = 100.0;
    stage.want(Desired { until: Some(stamp(106.0).at), ..Desired::ending(Haste::Graceful) });
    assert_eq!(stage.at(100.0), "<web");
    assert_eq!(stage.at(101.499), "", "of its three seconds half is the main process's own");
    assert_eq!(stage.at(101.5), ">web -web");
    assert_eq!((stage.at(102.999), stage.at(103.0)), (String::new(), "!web cut short".into()));
    stage.exit("web", 0);
    assert_eq!(
        (stage.at(103.5), stage.at(104.75), stage.at(106.0)),
        ("<db".into(), ">db -db".into(), "!db cut short".into())
    );
}

#[test]
fn a_look_at_a_heartbeat_concerns_nobody_else() {
    let mut stage = Stage::of(where_(colony("db:\n web: db"), "db", |spec| {
        spec.heartbeat = Some(Heartbeat { period: seconds(10.0), grace: 1.0, file: PathBuf::new() });
    }));
    stage.at(0.0);
    stage.beat("db");
    stage.at(0.0);
    stage.exit("web", 1);
    stage.at(0.1);
    let web = name_of("web");
    for fact in [Fact::Looking as fn(Name, Incarnation) -> Fact, Fact::NoBeat, Fact::Beat, Fact::Blind] {
        stage.observed.observe(fact(name_of("db"), stage.id("db")), stamp(0.2));
        assert!(!stage.observed.agenda.is_due(&web, stamp(0.2).at), "its back-off is not over");
    }
    stage.exit("db", 1);
    assert_eq!(stage.at(1.0), "", "the back-off of web is over, and db is down");
    assert_eq!(stage.at(1.1), "+db");
    stage.beat("db");
    assert_eq!(stage.at(1.2), "+web");
}

#[test]
fn who_depends_on_many_is_looked_at_when_the_last_of_them_is_as_it_must_be_and_not_before() {
    let beats = |spec: &mut ProcessSpec| spec.heartbeat = Some(HEART);
    let desired = colony("a:\n b:\n x: a b\n y: a b\n z: b a\n solo: b");
    let mut stage = Stage::of(where_(where_(desired, "a", beats), "b", beats));
    assert_eq!(stage.at(0.0), "+a +b");
    let due = |stage: &Stage| -> Vec<&str> {
        let is_due = |name: &&str| stage.observed.agenda.is_due(&name_of(name), stamp(0.5).at);
        ["x", "y", "z", "solo"].into_iter().filter(is_due).collect()
    };
    stage.beat("a");
    assert_eq!(due(&stage), [""; 0]);
    stage.exit("a", 1);
    stage.beat("b");
    assert_eq!(due(&stage), ["solo"], "a is down again");
    assert_eq!(stage.at(1.0), "+a +solo");
    stage.beat("a");
    assert_eq!(due(&stage), ["x", "y", "z"]);
    assert_eq!(stage.at(1.0), "+x +y +z");
    stage.exit("b", 1);
    stage.exit("x", 1);
    assert_eq!(stage.at(20.0), "+b", "and not x");
}

#[test]
fn a_process_that_waits_is_pending_and_wanted() {
    let mut stage = Stage::of(colony("web: db"));
    stage.at(0.0);
    let view = &view(&stage.desired, &stage.observed, stamp(0.0))[0];
    assert_eq!((view.state, view.desired, view.ready, view.next_start), (State::Pending, true, false, None));
}

#[test]
fn the_end_may_take_as_long_as_the_graces_of_its_longest_chain() {
    // Each has a grace of 5 s.
    let rows = [
        ("one:\ntwo:", 5.0, "two"),
        ("web: db\ndb: net\nnet:\nother: net", 15.0, "web"),
        ("web: db/Completed job/Started\ndb: net\nnet:\njob:", 10.0, "web"),
        ("a: b c d\nb: d\nc: d\nd: e\ne:", 20.0, "a"),
        ("a: nobody", 5.0, "a"),
    ];
    for (lines, expected, first) in rows {
        let (name, sum) = longest_chain(&colony(lines)).expect("somebody");
        assert_eq!((name.as_str(), sum), (first, seconds(expected)), "{lines}");
    }
    assert_eq!(longest_chain(&Desired::default()), None);
    assert!(longest_chain(&colony("a: b\nb: a")).is_some(), "a circle is gone through once");
    let slow = where_(colony("web: db\ndb:"), "db", |db| db.stop.grace = seconds(60.0));
    assert_eq!(longest_chain(&slow), Some((web(), seconds(65.0))));
    let set = |index| Some(Replica { set: name_of("db"), index, of: 2 });
    let replicas = where_(colony("web: db\ndb-0:\ndb-1:"), "db-1", |one| one.replica = set(1));
    let replicas = where_(replicas, "db-0", |one| (one.replica, one.stop.grace) = (set(0), seconds(30.0)));
    assert_eq!(longest_chain(&replicas), Some((web(), seconds(35.0))));
}

#[test]
fn a_chain_as_long_as_the_colony_is_summed_up_without_recursion() {
    let lines = (1..20_000).map(|n| format!("p{n}: p{}\n", n - 1)).collect::<String>();
    let sum = longest_chain(&colony(&format!("{lines}p0:"))).map(|(_, sum)| sum);
    assert_eq!(sum, Some(seconds(100_000.0)));
}
