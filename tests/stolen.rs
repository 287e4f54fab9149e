//! What becomes of a run whose exit status somebody else has collected. A binary of its own: its process becomes a
//! subreaper, and collects every child.

use std::fs::File;
use std::num::NonZeroU64;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use ncolony::model::{Backoff, Exit, Incarnation, Name, ProcessSpec, Signal};
use ncolony::process::{Children, Event, Reach};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

const BACKOFF: Backoff = Backoff { threshold: Duration::ZERO, initial: Duration::ZERO, max: Duration::ZERO };

fn start(children: &mut Children, argv: &[&str]) -> (Incarnation, i32) {
    let mut spec = ProcessSpec::unknown(BACKOFF, Duration::ZERO);
    spec.birth.argv = argv.iter().map(ToString::to_string).collect();
    let null = File::options().write(true).open("/dev/null").expect("/dev/null");
    let name = Name::parse("web").expect("a name");
    children.start(&name, &spec, Some([null.as_fd(), null.as_fd()]), None, None).expect("it starts")
}

fn kill_and_steal(children: &mut Children, (run, pid): (Incarnation, i32)) {
    children.signal(run, Reach::Main, Signal::KILL).expect("it lives");
    let stolen = waitpid(Pid::from_raw(pid), None).expect("our child");
    assert!(matches!(stolen, WaitStatus::Signaled(..)), "{stolen:?}");
}

// L09
#[test]
fn a_run_whose_exit_status_was_stolen_ends_unknown_at_the_next_look_and_no_other_does() {
    let mut children = Children::new(1, NonZeroU64::MIN).expect("an owner");
    let other = start(&mut children, &["/bin/sleep", "1000"]);
    type Look = fn(&mut Children) -> Vec<Event>;
    for look in [Children::reap as Look, Children::sweep] {
        let stolen = start(&mut children, &["/bin/sleep", "1000"]);
        kill_and_steal(&mut children, stolen);
        assert_eq!(look(&mut children), [Event::Exited(stolen.0, Exit::Unknown, false)]);
        assert_eq!(look(&mut children), []);
        assert_eq!(children.pid(stolen.0), None);
        assert_eq!(children.pid(other.0), Some(other.1));
    }
    // The next runs are told apart from it, whatever was lost before.
    let last = start(&mut children, &["/bin/false"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    let events = loop {
        let events = children.reap();
        if !events.is_empty() || Instant::now() > deadline {
            break events;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(events, [Event::Exited(last.0, Exit::Code(1), false)]);
    children.signal(other.0, Reach::Tree, Signal::KILL).expect("it lives");
    waitpid(Pid::from_raw(other.1), None).expect("our child");
    assert_eq!(children.sweep(), [Event::Exited(other.0, Exit::Unknown, false)]);
}
