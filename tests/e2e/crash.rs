//! What a kill -9 of the monitor leaves, and what the next one makes of it: never two copies, never a stranger harmed.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::copies::{CARELESS, Copies, DEAF_FAMILY, TWICE};
use crate::support::{Colony, Setup, can, lives, succeeds, wait_for, wait_gone, write_file};

const BINARY: &str = env!("CARGO_BIN_EXE_ncolony");
const TICKS: &str = r#"ncolony_config_scans_total{trigger="poll"}"#;
const SLEEPER: &str = r#"{"args": ["sleep", "1000"]}"#;

// X02
#[test]
fn the_next_monitor_ends_whole_trees_before_it_starts_anew() {
    let setup = Setup::new().flags(&["-k", "1"]);
    let copies = Copies::of(&setup);
    let (obeys, careless) = (copies.sleeper("obeys"), copies.script("careless", CARELESS));
    let (deaf, gone) = (copies.script("deaf", DEAF_FAMILY), copies.script("gone", DEAF_FAMILY));
    let setup = setup.file("obeys", &obeys).file("careless", &careless).file("deaf", &deaf).file("gone", &gone);
    let colony = setup.start();
    for name in ["careless", "deaf", "gone"] {
        copies.wait_ready(name);
    }
    let before = ["obeys", "careless", "deaf", "gone"].map(|name| colony.wait_pid(name, None));

    let setup = colony.kill_monitor().flags(&["-k", "1"]);
    // Removed while nobody looked.
    fs::remove_file(setup.path("config/gone")).expect("it is there");
    assert!(before.into_iter().all(lives), "the monitor took its processes along: this test shows nothing");
    let colony = setup.start();
    for name in ["careless", "deaf"] {
        copies.wait_ready(name);
    }
    colony.wait_pid("obeys", None);
    copies.wait_none_of("gone");
    assert!(!before.into_iter().any(lives));
    assert!(!colony.log().contains(TWICE), "{}", colony.log());
    colony.wait_log("gone is gone");

    let (status, _) = colony.end();
    assert_eq!(status.code(), Some(0));
    for name in ["obeys", "careless", "deaf"] {
        copies.wait_none_of(name);
    }
}

// X02
#[test]
fn a_monitor_below_a_monitor_may_die_at_either_level() {
    let setup = Setup::new().flags(&["-k", "3"]);
    let copies = Copies::of(&setup);
    for dir in ["inner", "letters"] {
        fs::create_dir(setup.path(dir)).expect("a directory");
    }
    write_file(
        &setup.path("inner"),
        "web",
        &copies.script("web", "setsid sleep 1000 & touch \"$READY\"; exec sleep 1000"),
    );
    let (config, messages) = (setup.path("inner"), setup.path("letters"));
    let inner = serde_json::json!({"args": [BINARY, "run", "--listen", "off", "--killtime", "1", "--config", config,
        "--messages", messages], "backoff": {"thresholdSeconds": 0}});
    let colony = setup.file("inner", &inner.to_string()).start();
    copies.wait_ready("web");

    let first = colony.wait_pid("inner", None);
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("it lives");
    colony.wait_pid("inner", Some(first));
    copies.wait_ready("web");
    assert!(!colony.log().contains(TWICE), "{}", colony.log());

    let colony = colony.kill_monitor().flags(&["-k", "3"]).start();
    copies.wait_ready("web");
    assert!(!colony.log().contains(TWICE), "{}", colony.log());
    colony.end();
    copies.wait_none_of("web");
}

// X01
#[test]
fn a_pid_1_that_is_killed_takes_all_along() {
    let have = succeeds("unshare", &["--pid", "--fork", "true"]);
    if !can("a PID namespace", have) {
        return;
    }
    let setup = Setup::new().through(&["unshare", "--pid", "--fork"]);
    let copies = Copies::of(&setup);
    let deaf = copies.script("deaf", DEAF_FAMILY);
    let mut colony = setup.file("deaf", &deaf).start();
    copies.wait_ready("deaf");
    let children = format!("/proc/{0}/task/{0}/children", colony.pid());
    let monitor: i32 = fs::read_to_string(children).expect("/proc").trim().parse().expect("unshare has one child");
    kill(Pid::from_raw(monitor), Signal::SIGKILL).expect("it lives");
    colony.exit_status();
    copies.wait_none_of("deaf");
}

// X06: twenty monitors are killed while they start fifty processes; then one is left in peace.
#[test]
fn a_monitor_killed_at_any_moment_of_its_start_leaves_no_second_copy() {
    let mut setup = Setup::new();
    let copies = Copies::of(&setup);
    for number in 0..50 {
        let name = format!("p{number}");
        setup = setup.file(&name, &copies.sleeper(&name));
    }
    for round in 0..20 {
        let mut monitor = setup.command().spawn().expect("the binary starts");
        // The moment is what is varied here; nothing is waited for.
        thread::sleep(Duration::from_millis(17 * round * 31 % 400));
        kill(Pid::from_raw(monitor.id() as i32), Signal::SIGKILL).expect("it lives");
        let status = monitor.wait().expect("our child");
        let log = fs::read_to_string(setup.path("stderr")).expect("a file");
        assert_eq!(status.signal(), Some(9), "round {round}: {log}");
        assert!(!log.contains(TWICE), "round {round}: {log}");
    }
    let colony = setup.start();
    colony.wait("all to be up", || (colony.log().matches("started p").count() >= 50).then_some(()));
    assert!(!colony.log().contains(TWICE), "{}", colony.log());
    let names = || {
        let mut names: Vec<String> = copies.living().into_iter().map(|(_, name)| name).collect();
        names.sort();
        names
    };
    let mut all: Vec<String> = (0..50).map(|number| format!("p{number}")).collect();
    all.sort();
    // In the midst of an exec a process shows no environment.
    colony.wait("one copy of each", || (names() == all).then_some(()));
    colony.end();
    assert_eq!(names(), [""; 0]);
}

// X07
#[test]
fn a_stop_that_the_monitor_did_not_live_to_finish_is_finished() {
    let setup = Setup::new();
    let copies = Copies::of(&setup);
    let deaf = copies.script("deaf", DEAF_FAMILY);
    let colony = setup.flags(&["-k", "1000"]).file("deaf", &deaf).start();
    copies.wait_ready("deaf");
    colony.remove("deaf");
    colony.wait_log("SIGTERM to the main process of deaf");
    let colony = colony.kill_monitor().flags(&["-k", "0.2"]).start();
    copies.wait_none_of("deaf");
    colony.wait_log("deaf is gone");
}

// X02
#[test]
fn the_journal_may_be_kept_elsewhere() {
    let setup = Setup::new();
    let state = setup.path("a/b");
    let flags = ["--state", state.to_str().expect("UTF-8")];
    let copies = Copies::of(&setup);
    let web = copies.sleeper("web");
    let colony = setup.flags(&flags).file("web", &web).start();
    let first = colony.wait_pid("web", None);
    assert!(state.join("journal").exists());
    assert!(!colony.path("messages/.ncolony").exists());
    let colony = colony.kill_monitor().flags(&flags).start();
    colony.wait_pid("web", None);
    assert!(!lives(first));
    assert!(!colony.log().contains(TWICE), "{}", colony.log());
}

// X02
#[test]
fn a_colony_with_the_same_names_is_another_colony() {
    let files = [("web", SLEEPER)];
    let (one, other) = (Colony::with(&files), Colony::with(&files));
    let (ours, theirs) = (one.wait_pid("web", None), other.wait_pid("web", None));
    let one = one.kill_monitor().start();
    one.wait_pid("web", None);
    assert!(!lives(ours));
    assert_eq!(other.pid_of("web"), Some(theirs));
    assert!(lives(theirs));
}

// X02: somebody's shell is a process of the colony, and from it they start the next monitor.
#[test]
fn a_monitor_started_from_within_a_run_of_the_one_before_spares_itself() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    let first = colony.wait_pid("web", None);
    let environ = crate::support::environ(first);
    let mark = environ.split('\0').find_map(|entry| entry.strip_prefix("NCOLONY_RUN=")).expect("its mark");
    let colony = colony.kill_monitor().env("NCOLONY_RUN", mark).start();
    assert_ne!(colony.wait_pid("web", None), first);
    assert!(!lives(first));
}

// X04
#[test]
fn a_stranger_that_has_a_recorded_pid_is_left_alone() {
    let have =
        succeeds("unshare", &["--pid", "--fork", "--mount-proc", "sh", "-c", "echo 50 > /proc/sys/kernel/ns_last_pid"]);
    if !can("a PID namespace where ns_last_pid can be set", have) {
        return;
    }
    let setup = Setup::new().file("web", SLEEPER);
    // bash as PID 1 collects what is orphaned, so that the number becomes free.
    let script = r#"
        said() { for i in $(seq 600); do grep -q "$1" stderr && return; sleep 0.05; done; echo "nobody said $1"; cat stderr; exit 1; }
        run() { "$BINARY" run --config config --messages messages --listen 127.0.0.1:0 2> stderr & }
        run; first=$!
        said 'started web'
        pid=$(sed -n 's/.*started web.* pid=\([0-9]*\).*/\1/p' stderr)
        kill -9 $first $pid
        for i in $(seq 600); do test -e /proc/$pid || break; sleep 0.05; done
        echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid
        setsid sleep 1000 & stranger=$!
        test $stranger = $pid || { echo "the stranger is $stranger, not $pid"; exit 1; }
        run
        said 'started web'
        test -d /proc/$stranger || { echo 'the stranger was killed'; cat stderr; exit 1; }
        grep -q 'earlier monitor' stderr && { echo 'taken for ours'; cat stderr; exit 1; }
        echo untouched
    "#;
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "bash", "-c", script])
        .env("BINARY", BINARY)
        .current_dir(setup.path(""))
        .output()
        .expect("it ran a moment ago");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "untouched\n", "{}", String::from_utf8_lossy(&output.stderr));
}

/// A process that is none of the colony's.
struct Stranger(Child);

impl Stranger {
    fn new() -> Stranger {
        Stranger(Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("sleep"))
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// X04, X05
#[test]
fn only_a_journal_that_is_beyond_doubt_is_believed() {
    let setup = Setup::new().file("web", SLEEPER);
    let head = {
        let (probe, path) = (Setup::new().start(), "messages/.ncolony/journal");
        let text = fs::read_to_string(probe.path(path)).expect("a journal");
        text.lines().next().expect("a head").to_string()
    };
    let stranger = Stranger::new();
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("a clock");
    let now = now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64;
    let line = |born: u64| format!("\n+ {:020} {:010} {born:020} web\n", 1, stranger.pid());
    let changed = |key: &str| head.replace(&format!(" {key} "), &format!(" {key} 1"));
    let unbelievable: Vec<(&str, Vec<u8>)> = vec![
        ("of another boot", format!("{}\n{}", changed("boot"), line(now)).into()),
        ("of another PID namespace", format!("{}\n{}", changed("pidns"), line(now)).into()),
        ("of another time namespace", format!("{}\n{}", changed("timens"), line(now)).into()),
        ("older than who has the pid", format!("{head}\n{}", line(now - 60_000_000_000)).into()),
        ("of a version to come", format!("{}\n{}", head.replace("ncolony 1", "ncolony 2"), line(now)).into()),
        ("without a head", line(now).into()),
        ("torn in the pid", format!("{head}\n{}", &line(now)[..30]).into()),
        ("torn in the birth", format!("{head}\n{}", &line(now)[..50]).into()),
        ("of somebody else", b"\x7fELF\x02\x01\x01\0\n\n- \n+ \n+++\n\xff\xfe\n".to_vec()),
        ("ended", format!("{head}\n{}\n- {:020}\n", line(now), 1).into()),
    ];
    let mut setup = Some(setup);
    let mut run = |journal: &[u8]| {
        let ready = setup.take().expect("it is put back");
        fs::create_dir_all(ready.path("messages/.ncolony")).expect("a directory");
        fs::write(ready.path("messages/.ncolony/journal"), journal).expect("a file");
        let colony = ready.start();
        let web = colony.wait_pid("web", None);
        let log = colony.log();
        setup = Some(colony.kill_monitor());
        kill(Pid::from_raw(web), Signal::SIGKILL).expect("it lives");
        wait_gone(web);
        log
    };
    for (what, journal) in &unbelievable {
        let log = run(journal);
        assert!(lives(stranger.pid()), "a journal {what} was believed: {log}");
        assert!(!log.contains("earlier monitor"), "{what}: {log}");
    }
    // So that the above shows something: with all in order it counts as ours.
    run(format!("{head}\n{}", line(now)).as_bytes());
    assert!(!lives(stranger.pid()));
}

// X03
#[test]
fn a_second_monitor_in_the_same_place_ends_with_75_and_names_the_first() {
    let colony = Colony::with(&[("web", SLEEPER)]);
    let first = colony.wait_pid("web", None);
    // On the first one's port, too, which is not what is to be said.
    let second = Command::new(BINARY)
        .args(["run", "--listen", &colony.address().to_string(), "--config"])
        .arg(colony.path("config"))
        .arg("--messages")
        .arg(colony.path("messages"))
        .output()
        .expect("the binary starts");
    assert_eq!(second.status.code(), Some(75));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("a monitor with pid {} is at work already", colony.pid())), "{said}");
    assert_eq!(colony.pid_of("web"), Some(first));
    assert!(lives(first));
}

// X03: each message would reach one of them, by chance.
#[test]
fn a_second_monitor_with_the_same_messages_ends_with_75_though_its_journal_is_another() {
    let colony = Setup::new().file("web", SLEEPER).start();
    let first = colony.wait_pid("web", None);
    let second = {
        let mut command = Command::new(BINARY);
        command.args(["run", "--listen", "127.0.0.1:0", "--config"]).arg(colony.path("config")).arg("--messages");
        command.arg(colony.path("messages")).arg("--state").arg(colony.path("other"));
        command.output().expect("the binary starts")
    };
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(75), "{said}");
    let messages = colony.path("messages");
    let expected =
        format!("another monitor takes its messages from {} already: each needs its own", messages.display());
    assert!(said.contains(&expected) && !said.contains("started web"), "{said}");
    assert_eq!(colony.pid_of("web"), Some(first));
    assert!(lives(first));
    // The next one is not kept waiting by one that was killed.
    let colony = colony.kill_monitor().start();
    colony.wait_pid("web", None);
}

// X02: whoever clears the messages directory takes the journal along.
#[test]
fn a_journal_that_was_removed_comes_back_with_all_that_runs() {
    let setup = Setup::new();
    let copies = Copies::of(&setup);
    let web = copies.sleeper("web");
    let colony = setup.file("web", &web).start();
    let first = colony.wait_pid("web", None);
    fs::remove_dir_all(colony.path("messages/.ncolony")).expect("it is there");
    colony.wait("the journal to be there again", || {
        fs::read_to_string(colony.path("messages/.ncolony/journal")).ok().filter(|text| text.contains(" web\n"))
    });
    let colony = colony.kill_monitor().start();
    colony.wait_pid("web", None);
    assert!(!lives(first));
    assert!(!colony.log().contains(TWICE), "{}", colony.log());
}

// A volume that is full, or read-only, when the monitor begins, and later is not.
#[test]
fn a_journal_that_could_not_be_begun_is_begun_when_it_can_be_and_knows_all_that_runs() {
    let setup = Setup::new();
    let copies = Copies::of(&setup);
    let (web, deaf) = (copies.sleeper("web"), copies.script("deaf", DEAF_FAMILY));
    let state = setup.path("state");
    fs::write(&state, "in the way").expect("a file");
    let flags = ["--state", state.to_str().expect("UTF-8"), "-k", "1"];
    let colony = setup.flags(&flags).file("web", &web).file("deaf", &deaf).start();
    copies.wait_ready("deaf");
    let before = ["web", "deaf"].map(|name| colony.wait_pid(name, None));
    let then = colony.metric(TICKS).unwrap_or(0.0);
    colony.wait_metric(TICKS, |ticks| ticks >= then + 2.0);
    assert_eq!(colony.log().matches("will not know what runs").count(), 1, "{}", colony.log());
    fs::remove_file(&state).expect("it is there");
    colony.wait_log("state/journal is written again");
    assert_eq!(colony.metric(r#"ncolony_healthcheck{name="journal"}"#), Some(1.0));

    let colony = colony.kill_monitor().flags(&flags).start();
    colony.wait_pid("web", None);
    copies.wait_ready("deaf");
    assert!(!before.into_iter().any(lives));
    assert!(!colony.log().contains(TWICE), "{}", colony.log());
}

#[test]
fn a_start_that_fails_is_no_trouble_with_the_journal() {
    let colony = Colony::with(&[("web", r#"{"args": ["sleep", "1"], "workingDir": "/nonexistent"}"#)]);
    colony.wait_log("cannot enter its working directory");
    let (_, verdict) = colony.get("/healthz?verbose");
    assert!(verdict.contains("[+]journal ok\n"), "{verdict}");
}

/// A file system at a path, for as long as this lives.
pub(crate) struct Mount(std::path::PathBuf);

impl Mount {
    /// `mount ARGS AT`, or `None`.
    pub(crate) fn new(args: &[&str], at: &std::path::Path) -> Option<Mount> {
        let words: Vec<&str> = args.iter().copied().chain(at.to_str()).collect();
        succeeds("mount", &words).then(|| Mount(at.to_path_buf()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        succeeds("umount", &["--lazy", self.0.to_str().expect("UTF-8")]);
    }
}

/// Fills a file system to the last byte.
fn fill(path: &std::path::Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).expect("a file");
    while file.write_all(&[b'x'; 512]).is_ok() {}
}

// F-cases of the journal: a full disk.
#[test]
fn on_a_full_disk_it_says_so_and_runs_on() {
    let setup = Setup::new().file("web", SLEEPER);
    let messages = setup.path("messages");
    let mount = Mount::new(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &messages);
    if !can("to mount a tmpfs", mount.is_some()) {
        return;
    }
    fill(&messages.join(".full"));
    let colony = setup.start();
    colony.wait_pid("web", None);
    colony.wait_metric(r#"ncolony_process_up{process="web"}"#, |up| up == 1.0);
    let log = colony.log();
    assert!(log.contains("WARN") && log.contains("kill -9") && log.contains("messages/.ncolony"), "{log}");
    let (code, verdict) = colony.get("/healthz?verbose");
    assert_eq!(code, 200, "{verdict}");
    assert!(verdict.contains("journal ok (cannot"), "{verdict}");
    let (status, _) = colony.end();
    assert_eq!(status.code(), Some(0));
}

// F-cases of the journal: full only after the start, and the monitor dies of it.
#[test]
fn what_was_written_before_the_disk_was_full_is_remembered_all_the_same() {
    let setup = Setup::new();
    let copies = Copies::of(&setup);
    let web = copies.sleeper("web");
    let messages = setup.path("messages");
    let mount = Mount::new(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &messages);
    if !can("to mount a tmpfs", mount.is_some()) {
        return;
    }
    let colony = setup.file("web", &web).start();
    let first = colony.wait_pid("web", None);
    fill(&messages.join(".full"));
    // What is written into the last page of the journal still fits; then it is full.
    colony.write("busy", r#"{"args": ["true"], "backoff": {"thresholdSeconds": 0}}"#);
    colony.wait_log("cannot be written to (is the disk full?)");
    colony.remove("busy");
    colony.wait_log("busy is gone");

    let colony = colony.kill_monitor().start();
    colony.wait_pid("web", None);
    assert!(!lives(first));
    assert!(!colony.log().contains(TWICE), "{}", colony.log());
}

// A volume that fills up while the colony runs: nothing of the journal need be written for that to be told.
#[test]
fn a_messages_volume_that_becomes_full_is_told_once_and_so_is_its_end() {
    for (limit, use_up) in [("size=64k", fill as fn(&std::path::Path)), ("nr_inodes=20", use_up_the_inodes)] {
        let setup = Setup::new().file("web", SLEEPER);
        let messages = setup.path("messages");
        let mount = Mount::new(&["-t", "tmpfs", "-o", limit, "tmpfs"], &messages);
        if !can("to mount a tmpfs", mount.is_some()) {
            return;
        }
        let colony = setup.start();
        colony.wait_pid("web", None);
        let full = messages.join(".full");
        use_up(&full);
        let expected = format!("cannot write in {}: it is full", messages.display());
        colony.wait_log(&expected);
        let (status, verdict) = colony.get("/healthz?verbose");
        assert!(verdict.contains(&format!("[+]messages ok ({expected})\n")), "{verdict}");
        assert_eq!(status, 200);
        assert_eq!(colony.metric(r#"ncolony_healthcheck{name="messages"}"#), Some(0.0));
        succeeds("rm", &["-r", full.to_str().expect("UTF-8")]);
        colony.wait_log("messages can be taken again");
        let told = colony.log().lines().filter(|line| line.contains(&expected)).count();
        assert_eq!(told, 1, "{}", colony.log());
    }
}

/// Makes a directory of so many files that there is room for no other.
fn use_up_the_inodes(path: &std::path::Path) {
    fs::create_dir(path).expect("a directory");
    let made = (0..1000).take_while(|n| fs::File::create(path.join(n.to_string())).is_ok()).count();
    assert!(made < 1000, "there was no limit");
}

// F-cases of the journal: a read-only file system.
#[test]
fn on_a_read_only_file_system_it_says_so_and_runs_on() {
    let setup = Setup::new().file("web", SLEEPER).file("job", r#"{"args": ["true"], "schedule": "0 3 * * *"}"#);
    let messages = setup.path("messages");
    let mount = Mount::new(&["-t", "tmpfs", "-o", "ro", "tmpfs"], &messages);
    if !can("to mount a tmpfs", mount.is_some()) {
        return;
    }
    let colony = setup.start();
    colony.wait_pid("web", None);
    colony.wait_log("emptyDir (see --messages)");
    colony.wait("the first look to be done", || (colony.get("/healthz").0 == 200).then_some(()));
    let unwritable = format!("cannot write in {}: Read-only file system", messages.display());
    // A line for the journal and the schedules, and one for messages and the socket.
    let told = |text: &str| colony.log().lines().filter(|line| line.contains(text)).count();
    assert_eq!((told("Read-only file system"), told(&unwritable)), (2, 1), "{}", colony.log());
    assert_eq!(told(".ncolony"), 1, "of the journal's directory nothing more is told: {}", colony.log());
    let (_, verdict) = colony.get("/healthz?verbose");
    assert!(verdict.contains(&format!("[+]messages ok ({unwritable})\n")), "{verdict}");
    assert_eq!(colony.metric(r#"ncolony_healthcheck{name="messages"}"#), Some(0.0));
    assert!(succeeds("mount", &["-o", "remount,rw", messages.to_str().expect("UTF-8")]));
    colony.wait_log("messages can be taken again");
    colony.wait_log("/journal is written again");
    let (status, _) = colony.end();
    assert_eq!(status.code(), Some(0));
}

// L-cases of the tree: a main thread that has ended is not the end of its process.
#[test]
fn a_process_whose_main_thread_has_ended_is_still_a_copy() {
    if !can("python3", succeeds("/usr/bin/python3", &["-c", "import ctypes"])) {
        return;
    }
    let setup = Setup::new().flags(&["-k", "1"]);
    let copies = Copies::of(&setup);
    let program = "import ctypes, os, threading, time\n\
        threading.Thread(target=lambda: time.sleep(1000)).start()\n\
        open(os.environ['READY'], 'w')\n\
        ctypes.CDLL(None).pthread_exit(None)";
    let web = copies.script("web", "exec /usr/bin/python3 -c \"$PROGRAM\"");
    let web = web.replace("\"PATH\"", &format!("\"PROGRAM\": {}, \"PATH\"", serde_json::json!(program)));
    let colony = setup.file("web", &web).start();
    copies.wait_ready("web");
    let first = colony.wait_pid("web", None);
    wait_for("the main thread to end", || (!lives(first)).then_some(()));
    let colony = colony.kill_monitor().flags(&["-k", "1"]).start();
    copies.wait_ready("web");
    assert!(!colony.log().contains(TWICE), "{}", colony.log());
}

// X02: past its own limit of a file's size, a write raises a signal that ends whoever does not expect it.
#[test]
fn a_monitor_that_may_write_no_file_as_large_as_its_journal_says_so_and_runs_on() {
    if !can("prlimit", succeeds("prlimit", &["--fsize=300", "true"])) {
        return;
    }
    // Its log goes through a pipe, which has no size.
    let script = r#"prlimit --fsize=300 "$0" "$@" 2>&1 >/dev/null | cat >&2"#;
    let setup = Setup::new().through(&["sh", "-c", script]).flags(&["--minrestartdelay", "0.05"]);
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let mut colony = names.iter().fold(setup, |setup, name| setup.file(name, SLEEPER)).start();
    colony.wait_log("cannot be written to (is the disk full?)");
    let mut pids: Vec<i32> = names.iter().map(|name| colony.wait_pid(name, None)).collect();
    for (name, pid) in names.iter().zip(&mut pids) {
        kill(Pid::from_raw(*pid), Signal::SIGKILL).expect("it lives");
        *pid = colony.wait_pid(name, Some(*pid));
    }
    assert!(pids.iter().all(|pid| lives(*pid)), "{}", colony.log());
    kill(Pid::from_raw(colony.monitor_below()), Signal::SIGTERM).expect("it lives");
    colony.exit_status();
    colony.wait_log("ended: nothing is left");
    assert!(!pids.into_iter().any(lives), "{}", colony.log());
    assert!(!colony.log().contains("SIGXFSZ"), "{}", colony.log());
}
