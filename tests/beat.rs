//! Heartbeats: a beat is a change, and a look that hangs is no news.

use std::fs::{self, File, Metadata};
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, SystemTime};

use ncolony::health::{Beats, Heart, Listener, Look, Seen, Stat};
use ncolony::model::{Incarnation, Name, ProbeKind, Wall};
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::mkfifo;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(30);

/// A directory, and beats that are looked for in it.
struct Stage {
    dir: TempDir,
    beats: Beats,
    woken: Receiver<()>,
}

impl Stage {
    fn new() -> Stage {
        Stage::with(|path| fs::metadata(path))
    }

    fn with(stat: Stat) -> Stage {
        let (wake, woken) = channel();
        let beats = Beats::start_with(stat, move || {
            // The last ones may come when the test is over.
            let _ = wake.send(());
        });
        Stage { dir: tempfile::tempdir().expect("a directory"), beats, woken }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn ask(&mut self, number: u64, file: &str) {
        let file = self.path(file);
        self.beats.look(heart(number), &name(), &file);
    }

    /// Waits until there are results.
    fn results(&mut self) -> Vec<Look> {
        loop {
            self.woken.recv_timeout(LIMIT).expect("a look comes back");
            let looks = self.beats.results();
            if !looks.is_empty() {
                return looks;
            }
        }
    }

    /// One look of one run, there and back.
    fn look(&mut self, number: u64, file: &str) -> Seen {
        self.ask(number, file);
        let mut looks = self.results();
        assert_eq!((looks.len(), looks[0].heart), (1, heart(number)));
        looks.remove(0).seen
    }
}

fn run(number: u64) -> Incarnation {
    Incarnation::new(NonZeroU64::new(number).expect("from 1"))
}

fn heart(number: u64) -> Heart {
    Heart { run: run(number), listener: Listener::Beatcheck }
}

fn name() -> Name {
    Name::parse("web").expect("a name")
}

/// Gives a file a time that is this many seconds from now; returns that time.
fn touch(path: &Path, from_now: i64) -> Wall {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let second = now.checked_add_signed(from_now).expect("after 1970");
    let time = TimeSpec::new(second as i64, 0);
    utimensat(AT_FDCWD, path, &time, &time, UtimensatFlags::FollowSymlink).expect("utimensat");
    Wall::from_nanos(second * 1_000_000_000)
}

// H01, H02, H04, H05
#[test]
fn a_change_is_a_beat_whatever_time_it_bears() {
    let mut stage = Stage::new();
    let file = stage.path("beat");
    File::create(&file).expect("the file");
    assert_eq!(stage.look(1, "beat"), Seen::First);
    assert_eq!(stage.look(1, "beat"), Seen::Unchanged);
    // Whole seconds only, as some file systems have them.
    for from_now in [3600, -3600, 0, -1, 86_400 * 365] {
        let mtime = touch(&file, from_now);
        assert_eq!(stage.look(1, "beat"), Seen::Changed { mtime }, "{from_now}");
        assert_eq!(stage.look(1, "beat"), Seen::Unchanged, "{from_now}");
    }
}

// H01, H02
#[test]
fn a_file_that_nobody_touches_is_no_beat_whatever_time_it_bears() {
    let mut stage = Stage::new();
    for (number, from_now) in [(1, 3600), (2, -3600), (3, 0)] {
        let file = format!("beat{number}");
        File::create(stage.path(&file)).expect("the file");
        touch(&stage.path(&file), from_now);
        assert_eq!(stage.look(number, &file), Seen::First);
        assert_eq!(stage.look(number, &file), Seen::Unchanged);
    }
}

#[test]
fn a_file_that_is_replaced_or_grows_is_a_beat() {
    let mut stage = Stage::new();
    let file = stage.path("beat");
    File::create(&file).expect("the file");
    assert_eq!(stage.look(1, "beat"), Seen::First);
    fs::write(stage.path("new"), "").expect("another");
    fs::rename(stage.path("new"), &file).expect("in its place");
    assert!(matches!(stage.look(1, "beat"), Seen::Changed { .. }));
    fs::write(&file, "more").expect("writing");
    assert!(matches!(stage.look(1, "beat"), Seen::Changed { .. }));
}

// H06
#[test]
fn a_file_of_the_last_run_is_no_beat_of_this_one() {
    let mut stage = Stage::new();
    let file = stage.path("beat");
    File::create(&file).expect("the file");
    assert_eq!(stage.look(1, "beat"), Seen::First);
    touch(&file, 5);
    stage.beats.forget(run(1));
    stage.beats.look(heart(2), &name(), &file);
    assert_eq!(stage.results(), [Look { heart: heart(2), seen: Seen::First }]);
    assert_eq!(stage.look(2, "beat"), Seen::Unchanged);
    let mtime = touch(&file, 6);
    assert_eq!(stage.look(2, "beat"), Seen::Changed { mtime });
}

// H07
#[test]
fn a_file_that_is_missing_beats_when_it_appears() {
    let mut stage = Stage::new();
    assert!(matches!(stage.look(1, "beat"), Seen::Missing(_)));
    std::os::unix::fs::symlink(stage.path("target"), stage.path("beat")).expect("a link");
    assert!(matches!(stage.look(1, "beat"), Seen::Missing(_)));
    File::create(stage.path("target")).expect("the file");
    assert!(matches!(stage.look(1, "beat"), Seen::Changed { .. }));
    // The link is followed: what is touched is the file.
    let mtime = touch(&stage.path("target"), 7);
    assert_eq!(stage.look(1, "beat"), Seen::Changed { mtime });
    fs::remove_file(stage.path("target")).expect("removing");
    assert!(matches!(stage.look(1, "beat"), Seen::Missing(_)));
}

// H07
#[test]
fn where_the_place_is_a_directory_the_file_of_the_name_in_it_counts() {
    let mut stage = Stage::new();
    fs::create_dir(stage.path("status")).expect("a directory");
    assert!(matches!(stage.look(1, "status"), Seen::Missing(_)));
    File::create(stage.path("status/other")).expect("another process's");
    assert!(matches!(stage.look(1, "status"), Seen::Missing(_)));
    File::create(stage.path("status/web")).expect("its own");
    assert!(matches!(stage.look(1, "status"), Seen::Changed { .. }));
    assert_eq!(stage.look(1, "status"), Seen::Unchanged);
}

// H07
#[test]
fn what_cannot_be_touched_is_refused_with_the_reason() {
    let mut stage = Stage::new();
    mkfifo(&stage.path("fifo"), Mode::S_IRWXU).expect("a fifo");
    let _socket = std::os::unix::net::UnixListener::bind(stage.path("socket")).expect("a socket");
    fs::create_dir_all(stage.path("status/web")).expect("directories");
    std::os::unix::fs::symlink("/dev/null", stage.path("device")).expect("a link");
    std::os::unix::fs::symlink("loop", stage.path("loop")).expect("a link");
    File::create(stage.path("file")).expect("a file");
    let rows = [
        ("fifo", "fifo is a FIFO, not a file"),
        ("socket", "socket is a socket, not a file"),
        ("status", "status/web is a directory, not a file"),
        ("device", "device is a device, not a file"),
        ("loop", "loop: Too many levels of symbolic links (os error 40)"),
        ("file/beat", "file/beat: Not a directory (os error 20)"),
    ];
    for (number, (file, expected)) in (1..).zip(rows) {
        match stage.look(number, file) {
            Seen::Refused(reason) => assert!(reason.ends_with(expected), "{reason}"),
            other => panic!("{file}: {other:?}"),
        }
    }
}

#[test]
fn a_heartbeat_that_moves_to_another_file_starts_anew() {
    let mut stage = Stage::new();
    File::create(stage.path("one")).expect("a file");
    File::create(stage.path("two")).expect("a file");
    assert_eq!(stage.look(1, "one"), Seen::First);
    assert_eq!(stage.look(1, "two"), Seen::First);
    assert_eq!(stage.look(1, "two"), Seen::Unchanged);
}

#[test]
fn each_who_listens_hears_of_every_beat() {
    let mut stage = Stage::new();
    let file = stage.path("beat");
    File::create(&file).expect("a file");
    let listeners = [Listener::Beatcheck, Listener::Probe(ProbeKind::Liveness), Listener::Probe(ProbeKind::Readiness)];
    let look = |stage: &mut Stage, listener| {
        let heart = Heart { run: run(1), listener };
        stage.beats.look(heart, &name(), &file);
        let looks = stage.results();
        assert_eq!((looks.len(), looks[0].heart), (1, heart));
        looks[0].seen.clone()
    };
    assert_eq!(listeners.map(|listener| look(&mut stage, listener)), [Seen::First, Seen::First, Seen::First]);
    let mtime = touch(&file, 3);
    assert_eq!(listeners.map(|listener| look(&mut stage, listener)), [(); 3].map(|()| Seen::Changed { mtime }));
    stage.beats.forget(run(1));
    assert_eq!(listeners.map(|listener| look(&mut stage, listener)), [Seen::First, Seen::First, Seen::First]);
}

#[test]
fn many_runs_are_looked_at_in_one_go_and_each_once() {
    let mut stage = Stage::new();
    File::create(stage.path("beat")).expect("the file");
    for number in (1..=1000).chain(1..=1000) {
        stage.ask(number, "beat");
    }
    let mut runs = Vec::new();
    while runs.len() < 1000 {
        runs.extend(stage.results().into_iter().map(|look| look.heart.run.get()));
    }
    assert_eq!(runs, (1..=1000).collect::<Vec<_>>());
}

/// A file system, of which the part below `dead` hangs until this is set.
static ALIVE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

fn half_dead(path: &Path) -> io::Result<Metadata> {
    if path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("dead")) {
        let alive = ALIVE.0.lock().expect("not poisoned");
        drop(ALIVE.1.wait_while(alive, |alive| !*alive).expect("not poisoned"));
    }
    fs::metadata(path)
}

// H08
#[test]
fn a_look_that_hangs_is_no_news_and_holds_up_nobody() {
    let mut stage = Stage::with(half_dead);
    // More places that hang than threads will be left to them.
    for number in 0..20 {
        fs::create_dir(stage.path(&format!("dead{number}"))).expect("a directory");
        File::create(stage.path(&format!("dead{number}/beat"))).expect("a file");
    }
    File::create(stage.path("beat")).expect("a file");
    stage.ask(100, "dead0/beat");
    stage.ask(101, "dead0/beat");
    let given_up = |looks: Vec<Look>| {
        looks.iter().filter(|look| look.heart.run.get() >= 100 && look.seen == Seen::Unknown).count()
    };
    let mut count = 0;
    while count < 2 {
        count += given_up(stage.results());
    }
    assert_eq!(stage.look(1, "beat"), Seen::First);
    for number in 1..8 {
        stage.ask(100 + number, &format!("dead{number}/beat"));
    }
    while count < 9 {
        count += given_up(stage.results());
    }
    let mtime = touch(&stage.path("beat"), 9);
    assert_eq!(stage.look(1, "beat"), Seen::Changed { mtime });
    for number in 8..20 {
        stage.ask(100 + number, &format!("dead{number}/beat"));
    }
    let threads = || fs::read_dir("/proc/self/task").expect("/proc").count();
    let many = threads();
    assert_eq!(stage.beats.results(), []);

    // It comes to life: what comes of the looks of then is not used, later ones are.
    *ALIVE.0.lock().expect("not poisoned") = true;
    ALIVE.1.notify_all();
    let mut news = Vec::new();
    while news.len() < 20 {
        for number in 0..20 {
            stage.ask(100 + number, &format!("dead{number}/beat"));
        }
        let known = stage.results().into_iter().filter(|look| look.seen != Seen::Unknown);
        let fresh: Vec<u64> = known.map(|look| look.heart.run.get() - 100).collect();
        news.extend(fresh.into_iter().filter(|number| !news.contains(number)).collect::<Vec<_>>());
    }
    drop(stage);
    let end = std::time::Instant::now() + LIMIT;
    while threads() + 8 > many {
        assert!(std::time::Instant::now() < end, "{} threads of {many} are left", threads());
        std::thread::yield_now();
    }
}

// A second first look would take a beat away from the look that is asked for next.
#[test]
fn a_first_look_is_made_once_for_each_file_and_again_when_somebody_had_left() {
    let mut stage = Stage::new();
    let file = stage.path("beat");
    File::create(&file).expect("a file");
    stage.beats.begin(heart(1), &name(), &file);
    assert_eq!(stage.results(), [Look { heart: heart(1), seen: Seen::First }]);
    let mtime = touch(&file, 4);
    stage.beats.begin(heart(1), &name(), &file);
    assert_eq!(stage.look(1, "beat"), Seen::Changed { mtime });
    File::create(stage.path("other")).expect("a file");
    stage.beats.begin(heart(1), &name(), &stage.dir.path().join("other"));
    assert_eq!(stage.results(), [Look { heart: heart(1), seen: Seen::First }]);
    touch(&stage.path("other"), 5);
    stage.beats.leave(heart(1));
    stage.beats.begin(heart(1), &name(), &stage.dir.path().join("other"));
    assert_eq!(stage.results(), [Look { heart: heart(1), seen: Seen::First }]);
}

static SLOW: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

fn slow_at_first(path: &Path) -> io::Result<Metadata> {
    if path.ends_with("slow") {
        let over = SLOW.0.lock().expect("not poisoned");
        drop(SLOW.1.wait_timeout_while(over, LIMIT, |over| !*over).expect("not poisoned"));
    }
    fs::metadata(path)
}

#[test]
fn what_comes_of_a_look_at_the_file_of_before_an_edit_is_nobodys() {
    let mut stage = Stage::with(slow_at_first);
    File::create(stage.path("new")).expect("a file");
    fs::create_dir(stage.path("elsewhere")).expect("a directory");
    stage.ask(1, "elsewhere/slow");
    stage.ask(1, "new");
    *SLOW.0.lock().expect("not poisoned") = true;
    SLOW.1.notify_all();
    assert_eq!(stage.results(), [Look { heart: heart(1), seen: Seen::First }]);
    assert_eq!(stage.look(1, "new"), Seen::Unchanged);
    // Back and forth before the look is over is as if nothing had been.
    stage.ask(1, "new");
    stage.ask(1, "elsewhere");
    stage.ask(1, "new");
    assert_eq!(stage.results(), [Look { heart: heart(1), seen: Seen::Unchanged }]);
}
