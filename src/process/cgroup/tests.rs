//! On a directory that looks like a cgroup, which shows what is written; and on a real cgroup v2, whatever its controllers.

use std::ffi::CString;
use std::fs::{self, File};
use std::num::NonZeroU64;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::base::Base;
use super::{At, Cgroups, Keeps, text};
use crate::model::{Exit, Incarnation, Limits, Signal, Step};
use crate::process::sys::{self, Blueprint, Nursery, Wait, Which};

const LIMITS: Limits = Limits { memory: Some(1 << 27), cpu: Some(500) };

fn run(number: u64) -> Incarnation {
    Incarnation::new(NonZeroU64::new(number).expect("not 0"))
}

fn below(dir: &Path, memory: bool, cpu: bool) -> Cgroups {
    let mut cgroups = Cgroups::new(7);
    cgroups.place = At::Below(Base { dir: dir.into(), memory, cpu });
    cgroups
}

fn written(dir: &Path, file: &str) -> Option<String> {
    fs::read_to_string(dir.join("ncolony-0000000000000007-1").join(file)).ok()
}

/// A directory in which the file that a process joins by is there as soon as the directory is.
fn fake() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let own = dir.path().join("ncolony-0000000000000007-1");
    fs::create_dir(&own).expect("a directory");
    File::create(own.join("cgroup.procs")).expect("a file");
    dir
}

#[test]
fn the_limits_are_written_as_the_kernel_wants_them() {
    let rows = [
        (true, true, [Some("134217728"), Some("1"), Some("0"), Some("50000 100000")]),
        (true, false, [Some("134217728"), Some("1"), Some("0"), None]),
        (false, true, [None, None, None, Some("50000 100000")]),
    ];
    for (memory, cpu, expected) in rows {
        let dir = fake();
        let mut cgroups = below(dir.path(), memory, cpu);
        cgroups.prepare(run(1), LIMITS).expect("it can be made");
        assert!(cgroups.joined(run(1)).expect("it can be joined").is_some());
        assert_eq!(cgroups.keeps(run(1)), Keeps { memory, cpu });
        let files = ["memory.max", "memory.oom.group", "memory.swap.max", "cpu.max"];
        assert_eq!(files.map(|file| written(dir.path(), file)), expected.map(|text| text.map(str::to_string)));
    }
}

#[test]
fn who_asks_for_nothing_that_can_be_kept_gets_no_cgroup() {
    let dir = tempfile::tempdir().expect("a directory");
    let memory = Limits { cpu: None, ..LIMITS };
    let cpu = Limits { memory: None, ..LIMITS };
    for (limits, has_memory, has_cpu) in [(Limits::default(), true, true), (memory, false, true), (cpu, true, false)] {
        let mut cgroups = below(dir.path(), has_memory, has_cpu);
        cgroups.prepare(run(1), limits).expect("nothing to do");
        assert!(cgroups.joined(run(1)).expect("nothing to do").is_none());
        assert_eq!(cgroups.keeps(run(1)), Keeps::default());
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }
}

#[test]
fn a_limit_that_cannot_be_set_is_a_start_error_that_names_it() {
    let dir = fake();
    fs::create_dir(dir.path().join("ncolony-0000000000000007-1/memory.max")).expect("a directory");
    let error = below(dir.path(), true, true).prepare(run(1), LIMITS).expect_err("a directory cannot be written");
    assert_eq!((error.step, error.errno), (Step::Cgroup, libc::EISDIR));
    assert!(error.what.starts_with("cannot set its limits: memory.max of the cgroup "), "{}", error.what);
    let error = below(Path::new("/nowhere"), true, true).prepare(run(1), LIMITS).expect_err("it cannot be made");
    assert_eq!((error.step, error.errno), (Step::Cgroup, libc::ENOENT));
}

#[test]
fn a_kill_of_the_kernels_is_read_from_the_events() {
    let dir = fake();
    let mut cgroups = below(dir.path(), true, true);
    assert!(cgroups.prepare(run(1), LIMITS).is_ok());
    assert!(!cgroups.had_oom(run(1)), "there is no such file");
    for (events, expected) in [("low 0\nmax 9\noom 1\noom_kill 0\n", false), ("oom 1\noom_kill 1\n", true)] {
        fs::write(dir.path().join("ncolony-0000000000000007-1/memory.events"), events).expect("a file");
        assert_eq!(cgroups.had_oom(run(1)), expected);
    }
    assert!(!cgroups.had_oom(run(2)));
}

#[test]
fn what_could_not_be_removed_is_tried_again_unless_a_new_run_has_its_number() {
    let dir = fake();
    let mut cgroups = below(dir.path(), true, true);
    assert!(cgroups.prepare(run(1), LIMITS).is_ok());
    // A directory with files cannot be removed, as a cgroup with processes cannot.
    cgroups.over(run(1));
    assert_eq!(cgroups.left.len(), 1);
    cgroups.tidy();
    assert_eq!(cgroups.left.len(), 1);
    assert!(cgroups.prepare(run(1), LIMITS).is_ok());
    assert!(cgroups.left.is_empty(), "what a new run is in is not tidied up");
    cgroups.over(run(1));
    fs::remove_dir_all(dir.path().join("ncolony-0000000000000007-1")).expect("it is there");
    cgroups.tidy();
    assert!(cgroups.left.is_empty());
}

/// A cgroup v2 in which this test may make others; the test is skipped where there is none.
fn real() -> Option<PathBuf> {
    let read = |file: &str| fs::read_to_string(file).expect("it can be read");
    let place =
        text::place(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"), text::Hierarchy::Unified).ok()?;
    let made = place.dirs.iter().map(|dir| dir.join(format!("ncolony-test-{}", std::process::id())));
    made.into_iter().find(|dir| fs::create_dir(dir).is_ok())
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_child_is_in_its_cgroup_before_it_is_its_program_and_is_killed_and_removed_with_it() {
    let Some(dir) = real() else {
        // Not a failure anywhere: nothing that could be installed makes a kernel's cgroup v2 writable.
        eprintln!(
            "SKIPPED: this test needs a cgroup v2 in which cgroups can be made, which nothing that is installed can give"
        );
        return;
    };
    let own = dir.join("ncolony-0000000000000007-1");
    // Its controllers may be bound to v1, so no limit is set: what is tried is the cgroup itself.
    super::make(&own, Limits::default(), Keeps::default()).expect("a cgroup");
    let mut cgroups = below(&dir, false, false);
    cgroups.runs.insert(run(1), super::Own { dir: own.clone(), keeps: Keeps::default() });
    let procs = cgroups.joined(run(1)).expect("it can be joined").expect("it has one");

    let null = File::options().read(true).write(true).open("/dev/null").expect("/dev/null");
    let mut nursery = Nursery::new(null.as_fd()).expect("a nursery");
    let words = |words: &[&str]| words.iter().map(|word| CString::new(*word).expect("no NUL")).collect::<Vec<_>>();
    let mut plan = Blueprint {
        programs: &words(&["/bin/sh"]),
        argv: &words(&["sh", "-c", "setsid sleep 1000 & exec sleep 1000"]),
        env: &words(&["PATH=/bin:/usr/bin"]),
        own_pid: None,
        dir: None,
        identity: None,
        traits: None,
        stdio: [null.as_fd(), null.as_fd(), null.as_fd()],
        nofile: None,
        brand: None,
        cgroup: Some(procs.as_fd()),
        announce: None,
    };
    let (pid, _pidfd) = nursery.launch(&mut plan).expect("it starts");
    let inhabitants = || text::pids(&fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default());
    assert!(inhabitants().contains(&pid), "{:?}", inhabitants());
    wait_for("its child", || inhabitants().len() == 2);

    cgroups.over(run(1));
    assert!(own.exists() && cgroups.left.len() == 1, "an inhabited cgroup cannot be removed");
    cgroups.tidy();
    let killed = Exit::Killed { signal: Signal::KILL, core_dumped: false };
    let ended = sys::wait(Which::Pid(pid), Wait::Block).expect("our child").expect("it has ended");
    assert_eq!((ended.pid, ended.exit), (pid, killed));
    // What had left its session is not ours to collect, but it is dead.
    wait_for("the cgroup to be empty", || inhabitants().is_empty());
    wait_for("the cgroup to be removed", || {
        cgroups.tidy();
        cgroups.left.is_empty()
    });
    assert!(!own.exists());
    fs::remove_dir(&dir).expect("nothing is left in it");
}
