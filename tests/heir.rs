//! Main processes that are not the ones that were started. A binary of its own: its process becomes a subreaper, and
//! collects every child.

use std::fs::{self, File};
use std::num::NonZeroU64;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ncolony::model::{Backoff, Exit, Incarnation, Name, ProcessSpec, Signal};
use ncolony::process::{Children, Event, NoHeir, Reach};
use tempfile::TempDir;

const BACKOFF: Backoff = Backoff { threshold: Duration::ZERO, initial: Duration::ZERO, max: Duration::ZERO };
const KILLED: Exit = Exit::Killed { signal: Signal::KILL, core_dumped: false };

/// The one owner of this test's processes, and a directory that they may write to.
struct Owner {
    children: Children,
    dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Owner {
    /// One test at a time: who reaps, reaps all.
    fn new() -> Owner {
        static ONE: Mutex<()> = Mutex::new(());
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let children = Children::new(1, NonZeroU64::MIN).expect("an owner");
        Owner { children, dir: tempfile::tempdir().expect("a directory"), _alone: alone }
    }

    fn start(&mut self, script: &str) -> (Incarnation, i32) {
        let mut spec = ProcessSpec::unknown(BACKOFF, Duration::ZERO);
        let script = format!("cd {}; {script}", self.dir.path().display());
        spec.birth.argv = ["/bin/sh", "-c", &script].map(str::to_string).to_vec();
        let null = File::options().write(true).open("/dev/null").expect("/dev/null");
        let name = Name::parse("web").expect("a name");
        self.children.start(&name, &spec, Some([null.as_fd(), null.as_fd()]), None, None).expect("it starts")
    }

    /// The pid that one of them has written to this file.
    fn pid(&self, file: &str) -> i32 {
        let path: PathBuf = self.dir.path().join(file);
        wait_for(file, || fs::read_to_string(&path).ok()?.strip_suffix('\n')?.parse().ok())
    }

    /// Waits for what becomes of them.
    fn events(&mut self) -> Vec<Event> {
        wait_for("an event", || Some(self.children.reap()).filter(|events| !events.is_empty()))
    }

    fn kill(&mut self, run: Incarnation, reach: Reach) {
        self.children.signal(run, reach, Signal::KILL).expect("it may be signalled");
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::yield_now();
    }
}

fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

/// Writes its pid and becomes a process that lasts.
const HEIR: &str = r#"setsid sh -c 'echo $$ >heir; exec sleep 1000' &"#;

#[test]
fn the_end_of_the_first_is_no_end_once_there_is_an_heir_and_the_heirs_is() {
    let mut owner = Owner::new();
    let (run, first) = owner.start(&format!("{HEIR} while ! test -e go; do sleep 0.01; done; exit 7"));
    let heir = owner.pid("heir");
    assert_eq!(owner.children.hand_over(run, heir), Ok(true));
    assert_eq!(owner.children.hand_over(run, heir), Ok(false), "it is already");
    assert_eq!(owner.children.pid(run), Some(heir));
    assert!(lives(first) && owner.children.reap().is_empty());
    fs::write(owner.dir.path().join("go"), "").expect("a file");
    assert_eq!(owner.events(), [Event::FirstExited(run, Exit::Code(7))]);
    assert_eq!(owner.children.pid(run), Some(heir));
    assert!(!owner.children.has_leaving() && owner.children.has(run));
    owner.kill(run, Reach::Main);
    assert_eq!(owner.events(), [Event::Exited(run, KILLED, false)]);
    assert_eq!((owner.children.pid(run), owner.children.has(run)), (None, false));
}

#[test]
fn a_first_that_has_ended_before_it_was_heard_has_still_said_it() {
    let mut owner = Owner::new();
    let (run, _) = owner.start(&format!("{HEIR} exit 0"));
    let heir = owner.pid("heir");
    assert_eq!(owner.events(), [Event::Exited(run, Exit::Code(0), true)]);
    assert_eq!(owner.children.hand_over(run, heir), Err(NoHeir::RunOver), "once it is told it is too late");
    assert_eq!(owner.children.hand_over_late(run, heir), Ok(true));
    assert_eq!(owner.children.pid(run), Some(heir));
    assert!(!owner.children.has_leaving() && owner.children.reap().is_empty());
    assert_eq!(owner.children.signal_once(run, Signal::KILL), Ok(()));
    assert_eq!(owner.events(), [Event::Exited(run, KILLED, false)]);
    assert_eq!(owner.children.hand_over_late(run, heir), Err(NoHeir::RunOver));
}

// Found by a race in a test of the whole: it is looked at while its parents end and pass it on.
#[test]
fn an_heir_is_one_of_the_run_at_every_moment_of_its_way_out() {
    let mut owner = Owner::new();
    for round in 0..100 {
        let script = "(setsid sh -c 'echo $$ >heirN; exec sleep 1000' & while ! test -s heirN; do :; done); exit 0";
        let (run, _) = owner.start(&script.replace('N', &round.to_string()));
        let heir = owner.pid(&format!("heir{round}"));
        assert_eq!(owner.children.hand_over(run, heir), Ok(true), "round {round}");
        owner.kill(run, Reach::Main);
        while owner.children.has(run) {
            owner.children.reap();
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn what_the_heir_leaves_is_left_of_the_run_the_first_included() {
    let mut owner = Owner::new();
    let script = r#"sh -c 'echo $$ >heir; setsid sh -c "echo \$\$ >below; exec sleep 1000" & exec sleep 1001' & wait; exec sleep 1002"#;
    let (run, first) = owner.start(script);
    let (heir, below) = (owner.pid("heir"), owner.pid("below"));
    assert_eq!(owner.children.hand_over(run, heir), Ok(true));
    owner.kill(run, Reach::Main);
    // Its parent is the first, which collects it: how it ended is not for us to know.
    assert_eq!(owner.events(), [Event::Exited(run, Exit::Unknown, true)]);
    assert!(lives(first) && lives(below) && owner.children.has_leaving());
    owner.kill(run, Reach::Tree);
    let mut events = owner.events();
    while events.last() != Some(&Event::Emptied(run)) {
        events.extend(owner.events());
    }
    assert!(!lives(first) && !lives(below) && !owner.children.has(run));
    assert!(!events.iter().any(|event| matches!(event, Event::Exited(..))), "{events:?}");
}

// Its group's number is anybody's by then.
#[test]
fn all_of_a_run_is_killed_though_its_first_process_has_gone() {
    let mut owner = Owner::new();
    let script = r#"sh -c 'echo $$ >heir; sleep 1001 & echo $! >peer; setsid sh -c "echo \$\$ >below; exec sleep 1000" & exec sleep 1002' & exit 0"#;
    let (run, _) = owner.start(script);
    let pids = ["heir", "peer", "below"].map(|file| owner.pid(file));
    assert_eq!(owner.events(), [Event::Exited(run, Exit::Code(0), true)]);
    assert_eq!(owner.children.hand_over_late(run, pids[0]), Ok(true));
    owner.kill(run, Reach::Tree);
    let mut events = owner.events();
    while owner.children.has(run) {
        events.extend(owner.children.reap());
        thread::sleep(Duration::from_millis(5));
    }
    assert!(events.iter().any(|event| matches!(event, Event::Exited(_, KILLED, _))), "{events:?}");
    assert!(!pids.into_iter().any(lives));
}

#[test]
fn who_is_none_of_the_run_cannot_be_its_main_process() {
    let mut owner = Owner::new();
    let (run, first) = owner.start("sh -c 'exit 0' & echo $! >dead; exec sleep 1000");
    let (other, stranger) = owner.start("exec sleep 1000");
    let dead = owner.pid("dead");
    wait_for("its child to be a zombie", || (!lives(dead)).then_some(()));
    for pid in [stranger, 1, std::process::id() as i32] {
        assert_eq!(owner.children.hand_over(run, pid), Err(NoHeir::Stranger), "{pid}");
    }
    for pid in [dead, i32::MAX] {
        assert_eq!(owner.children.hand_over(run, pid), Err(NoHeir::Gone), "{pid}");
    }
    assert_eq!(owner.children.hand_over(run, first), Ok(false));
    assert_eq!(owner.children.pid(run), Some(first));
    owner.kill(run, Reach::Tree);
    owner.kill(other, Reach::Tree);
    let mut ended = 0;
    while ended < 2 {
        ended += owner.events().len();
    }
}
