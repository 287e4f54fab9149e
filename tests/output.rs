//! What processes print, through real pipes, from real processes.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ncolony::model::{Format, Incarnation, Name, OnFull, Output};
use ncolony::output::{Capture, Counts, Room, Sink};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const LIMIT: Duration = Duration::from_secs(60);
const BUDGET: usize = 1 << 20;
const ROOM: Room = Room { each: 16 * 1024, all: 256 * 1024 };
const PREFIX: Output = Output { format: Format::Prefix, on_full: OnFull::Block };
const JSON: Output = Output { format: Format::Json, on_full: OnFull::Block };
const DROP: Output = Output { format: Format::Prefix, on_full: OnFull::Drop };

/// Held by every test, and alone by the one that measures the memory of all.
static TESTS: RwLock<()> = RwLock::new(());

fn pipe() -> (File, OwnedFd) {
    let (ours, theirs) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
    (File::from(ours), theirs)
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn run(number: u64) -> Incarnation {
    Incarnation::new(NonZeroU64::new(number).expect("from 1"))
}

/// A capture whose two destinations are pipes.
struct Stage {
    capture: Capture,
    sink: Sink,
    out: Option<File>,
    err: Option<File>,
    children: Vec<Child>,
    _turn: RwLockReadGuard<'static, ()>,
}

impl Stage {
    fn new() -> Stage {
        Stage::with(Sink::to)
    }

    fn with(sink: impl FnOnce(OwnedFd, OwnedFd) -> std::io::Result<Sink>) -> Stage {
        let turn = TESTS.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let ((out, out_end), (err, err_end)) = (pipe(), pipe());
        let sink = sink(out_end, err_end).expect("a sink");
        let capture = Capture::new(sink.clone(), ROOM).expect("a capture");
        Stage { capture, sink, out: Some(out), err: Some(err), children: Vec::new(), _turn: turn }
    }

    /// Starts a shell whose run is the number of all that were started.
    fn shell(&mut self, process: &str, output: Output, script: &str) -> Incarnation {
        let run = run(self.children.len() as u64 + 1);
        self.children.push(shell(&mut self.capture, run, process, output, script));
        run
    }

    /// Drains until `done`, or fails after a generous limit.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Stage) -> bool) {
        let end = Instant::now() + LIMIT;
        while !done(self) {
            assert!(Instant::now() < end, "in vain waited for: {what}");
            self.quiet(PollTimeout::from(10u8));
        }
    }

    /// Waits a little for something to do, and does it all.
    fn quiet(&mut self, timeout: PollTimeout) {
        let mut fds = [PollFd::new(self.capture.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, timeout).expect("poll");
        while self.capture.drain(BUDGET).more {}
    }

    /// Waits for a process's end, draining, then tells the capture.
    fn wait(&mut self, run: Incarnation) {
        let index = run.get() as usize - 1;
        self.until("the process's end", |stage| stage.children[index].try_wait().expect("wait").is_some());
        self.capture.ended(run);
    }

    fn counts(&self, process: &str) -> Counts {
        self.capture.counts(&name(process))
    }

    /// All that was written to both, in the end.
    fn finish(mut self) -> (String, String) {
        let readers = [self.out.take(), self.err.take()].map(|file| file.map(read_all));
        assert!(self.capture.finish(LIMIT));
        drop(self);
        let [out, err] = readers.map(|reader| reader.map_or_else(String::new, |r| r.join().expect("the reader")));
        (out, err)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn shell(capture: &mut Capture, run: Incarnation, process: &str, output: Output, script: &str) -> Child {
    let stdio = capture.open(run, &name(process), output).expect("pipes");
    Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::from(stdio.out))
        .stderr(Stdio::from(stdio.err))
        .spawn()
        .expect("a shell")
}

fn read_all(mut file: File) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        file.read_to_end(&mut all).expect("reading the destination");
        String::from_utf8(all).expect("only UTF-8 is written")
    })
}

/// A reader whose lines can be looked at while it reads.
fn watch(file: File) -> Arc<Mutex<String>> {
    watch_some(file, |_| true)
}

fn watch_some(file: File, keep: fn(&str) -> bool) -> Arc<Mutex<String>> {
    let seen = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&seen);
    thread::spawn(move || {
        for line in BufReader::new(file).lines().map_while(Result::ok).filter(|line| keep(line)) {
            shared.lock().expect("not poisoned").extend([line.as_str(), "\n"]);
        }
    });
    seen
}

fn contains(seen: &Mutex<String>, text: &str) -> bool {
    seen.lock().expect("not poisoned").contains(text)
}

#[test]
fn each_stream_goes_its_way_with_its_process_in_front() {
    let mut stage = Stage::new();
    let run = stage.shell("web", PREFIX, "echo hello; echo trouble >&2; printf 'dos\\r\\n'");
    stage.wait(run);
    assert_eq!(stage.counts("web"), Counts { bytes: [11, 8], dropped: [0, 0] });
    let (out, err) = stage.finish();
    assert_eq!(out, "[web] hello\n[web] dos\n");
    assert_eq!(err, "[web] trouble\n");
}

#[test]
fn json_lines_carry_time_process_and_stream() {
    let mut stage = Stage::new();
    let run = stage.shell("web", JSON, r#"echo 'say "hi"'; echo '{"level":"info"}' >&2"#);
    stage.wait(run);
    let (out, err) = stage.finish();
    let line: serde_json::Value = serde_json::from_str(&out).expect("one object");
    assert_eq!(
        (&line["process"], &line["stream"], &line["log"]),
        (&"web".into(), &"stdout".into(), &"say \"hi\"".into())
    );
    let time = line["time"].as_str().expect("a time");
    assert!(time.len() == 27 && time.starts_with("20") && time.ends_with('Z'), "{time}");
    let merged: serde_json::Value = serde_json::from_str(&err).expect("one object");
    assert_eq!((&merged["process"], &merged["level"], merged.get("log")), (&"web".into(), &"info".into(), None));
}

// G01
#[test]
fn a_line_of_20_kb_is_split_with_a_mark() {
    let mut stage = Stage::new();
    let text = "head -c 20000 /dev/zero | tr '\\0' x";
    let plain = stage.shell("plain", PREFIX, text);
    let json = stage.shell("json", JSON, &format!("{{ {text}; echo; }} >&2"));
    stage.wait(plain);
    stage.wait(json);
    let (out, err) = stage.finish();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.len() < 16 * 1024));
    let first = lines[0].strip_prefix("[plain] ").expect("the prefix");
    let second = lines[1].strip_prefix("[plain] … ").expect("the mark");
    assert_eq!(format!("{first}{second}"), "x".repeat(20_000));

    let objects: Vec<serde_json::Value> = err.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert_eq!(objects.len(), 2);
    assert_eq!((&objects[0]["partial"], objects[1].get("partial")), (&true.into(), None));
    let log = |index: usize| objects[index]["log"].as_str().expect("text").to_owned();
    assert_eq!(log(0) + &log(1), "x".repeat(20_000));
}

// G02
#[test]
fn a_flood_of_256_mib_takes_no_more_memory_than_a_trickle() {
    let _alone = TESTS.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    let null = || OwnedFd::from(OpenOptions::new().write(true).open("/dev/null").expect("/dev/null"));
    let sink = Sink::to(null(), null()).expect("a sink");
    let mut capture = Capture::new(sink, ROOM).expect("a capture");
    let before = resident();
    let script = "yes 'a line of a log, as long as such lines are, or nearly so' | head -c 268435456";
    let begin = Instant::now();
    let mut child = shell(&mut capture, run(1), "flood", PREFIX, script);
    let mut most = 0;
    while capture.counts(&name("flood")).bytes[0] < 268_435_456 {
        assert!(begin.elapsed() < LIMIT, "the flood takes too long");
        let mut fds = [PollFd::new(capture.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(1000u16)).expect("poll");
        while capture.drain(BUDGET).more {}
        most = most.max(resident());
    }
    println!("256 MiB in {:?}, {} KiB more", begin.elapsed(), most.saturating_sub(before));
    child.wait().expect("the shell");
    assert!(most < before + 4096, "{before} KiB became {most} KiB");
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

// G03
#[test]
fn when_nobody_reads_only_those_who_print_wait_and_own_lines_are_counted() {
    for sink in [Sink::to as fn(OwnedFd, OwnedFd) -> std::io::Result<Sink>, Sink::without_threads] {
        let mut stage = Stage::with(sink);
        stage.shell("flood", PREFIX, "exec yes");
        let quiet = stage.shell("quiet", PREFIX, "exit 0");
        let mut log = stage.sink.log_writer();
        for number in 0..50_000 {
            log.write_all(format!("own line {number}\n").as_bytes()).expect("never fails");
        }
        stage.wait(quiet);
        // Everything is full: nothing more is read, and nothing spins.
        let mut before = 0;
        stage.until("the flood to stand", |stage| {
            let now = stage.counts("flood").bytes[0];
            std::mem::replace(&mut before, now) == now && now > 0
        });
        assert!(before < 2 << 20, "{before} bytes were taken");
        assert!(!stage.capture.drain(BUDGET).more);

        let err = watch(stage.err.take().expect("a reader"));
        stage.until("the note", |_| contains(&err, "lines of the monitor's own log were dropped\n"));
        let err = err.lock().expect("not poisoned").clone();
        let dropped: usize = err
            .lines()
            .find_map(|l| l.strip_suffix(" lines of the monitor's own log were dropped"))
            .and_then(|number| number.parse().ok())
            .expect("a number");
        assert_eq!(err.lines().filter(|line| line.starts_with("own line ")).count() + dropped, 50_000);

        watch_some(stage.out.take().expect("a reader"), |_| false);
        stage.until("the flood to go on", |stage| stage.counts("flood").bytes[0] > 4 << 20);
        assert_eq!(stage.counts("flood").dropped, [0, 0]);
    }
}

// G04
#[test]
fn when_the_reader_dies_it_is_said_and_when_one_comes_back_lines_are_whole_again() {
    for sink in [Sink::to as fn(OwnedFd, OwnedFd) -> std::io::Result<Sink>, Sink::without_threads] {
        let mut stage = Stage::with(sink);
        let mut out = stage.out.take().expect("a reader");
        // Another reader can be had through the path, as with a named pipe.
        let again = format!("/proc/self/fd/{}", out.as_raw_fd());
        let writer = OpenOptions::new().write(true).open(&again).expect("the pipe, by path");
        let again = format!("/proc/self/fd/{}", writer.as_raw_fd());

        let run = stage.shell("web", PREFIX, "yes 'a line that is cut somewhere' | head -c 3000000; echo end");
        stage.until("more than the pipe holds", |stage| stage.counts("web").bytes[0] > 300_000);
        let mut some = [0; 1000];
        out.read_exact(&mut some).expect("some of it");
        drop(out);
        stage.until("the trouble", |stage| stage.sink.trouble().is_some());
        assert_eq!(stage.sink.trouble().as_deref(), Some("cannot write to stdout: Broken pipe (os error 32)"));
        stage.wait(run);
        let counts = stage.counts("web");
        assert_eq!(counts.bytes[0], 3_000_004);
        assert!(counts.dropped[0] + stage.sink.lost() > 2_000_000, "{counts:?} {}", stage.sink.lost());

        let seen = watch_some(File::open(again).expect("a new reader"), |line| line.contains("back"));
        let mut next = 2;
        stage.until("lines again", |stage| {
            let run = stage.shell("web", PREFIX, &format!("echo back {next}"));
            assert_eq!(run.get(), next);
            stage.wait(run);
            next += 1;
            contains(&seen, "[web] back")
        });
        assert_eq!(stage.sink.trouble(), None);
        let seen = seen.lock().expect("not poisoned").clone();
        let back = seen.lines().find(|line| line.contains("back")).expect("the line");
        assert!(back.starts_with("[web] back"), "{back:?}");
        drop(writer);
    }
}

// G05
#[test]
fn a_full_disk_stops_nobody() {
    let full = |_, err| Sink::to(File::options().write(true).open("/dev/full").expect("/dev/full").into(), err);
    let mut stage = Stage::with(full);
    let run = stage.shell("web", PREFIX, "yes | head -c 3000000; echo noted >&2");
    stage.wait(run);
    let trouble = stage.sink.trouble();
    assert_eq!(trouble.as_deref(), Some("cannot write to stdout: No space left on device (os error 28)"));
    let counts = stage.counts("web");
    assert_eq!(counts.bytes, [3_000_000, 6]);
    assert!(counts.dropped[0] > 0 && counts.dropped[1] == 0, "{counts:?}");
    assert_eq!(stage.finish().1, "[web] noted\n");
}

// G06
#[test]
fn no_byte_forges_a_line() {
    let mut stage = Stage::new();
    let bytes = r"printf 'a\033[31m\r[other] fake\000\377\n[other] also\n'";
    let plain = stage.shell("web", PREFIX, bytes);
    let json = stage.shell("web", JSON, &format!("{bytes} >&2"));
    stage.wait(plain);
    stage.wait(json);
    let (out, err) = stage.finish();
    assert_eq!(out, "[web] a\\x1b[31m\\x0d[other] fake\\x00\\xff\n[web] [other] also\n");
    let first: serde_json::Value = serde_json::from_str(err.lines().next().expect("a line")).expect("json");
    assert_eq!(first["log"], "a\u{1b}[31m\r[other] fake\0\u{fffd}");
    assert!(!err.bytes().any(|byte| byte < 0x20 && byte != b'\n'));
}

// G07
#[test]
fn the_lines_of_50_writers_are_never_mixed() {
    let mut stage = Stage::new();
    let text = "y".repeat(4000);
    let runs: Vec<_> = (0..50)
        .map(|number| {
            let script = format!("i=0; while [ $i -lt 50 ]; do echo {number}:$i:{text}; i=$((i+1)); done");
            stage.shell(&format!("w{number}"), PREFIX, &script)
        })
        .collect();
    let reader = read_all(stage.out.take().expect("a reader"));
    runs.into_iter().for_each(|run| stage.wait(run));
    stage.finish();
    let out = reader.join().expect("the reader");
    let mut next = [0; 50];
    for line in out.lines() {
        let (process, rest) = line.split_once("] ").expect("a prefix");
        let number: usize = process.strip_prefix("[w").and_then(|n| n.parse().ok()).expect("a writer");
        assert_eq!(rest, format!("{number}:{}:{text}", next[number]));
        next[number] += 1;
    }
    assert_eq!(next, [50; 50]);
}

#[test]
fn where_both_streams_lead_to_one_place_lines_are_whole_too() {
    let one = |out: OwnedFd, _| Sink::to(out.try_clone()?, out);
    let mut stage = Stage::with(one);
    let run = stage.shell("web", PREFIX, "yes out | head -n 200000 & yes err | head -n 200000 >&2; wait");
    // Nobody reads yet, so that a long write stops somewhere within a line. Whose it is the scheduler decides: one stream
    // may have filled what there is before the other begins.
    stage.until("a long write to stop", |stage| stage.counts("web").bytes.iter().sum::<u64>() > 100_000);
    let reader = read_all(stage.out.take().expect("a reader"));
    stage.wait(run);
    stage.finish();
    let out = reader.join().expect("the reader");
    let count = |text: &str| out.lines().filter(|line| *line == text).count();
    assert_eq!((count("[web] out"), count("[web] err"), out.lines().count()), (200_000, 200_000, 400_000));
}

// G08
#[test]
fn last_words_are_heard_though_the_process_is_gone() {
    let mut stage = Stage::new();
    let run = stage.shell("brief", PREFIX, "yes line | head -c 60000; printf 'last words'");
    stage.children[0].wait().expect("the shell");
    // Nothing was read before.
    stage.capture.ended(run);
    assert_eq!(stage.counts("brief").bytes[0], 60_010);
    assert!(stage.finish().0.ends_with("[brief] line\n[brief] last words\n"));
}

// G08
#[test]
fn last_words_wait_for_a_reader_too() {
    let mut stage = Stage::new();
    stage.shell("flood", PREFIX, "yes | head -c 900000");
    stage.until("the buffer to be full", |stage| stage.counts("flood").bytes[0] > 64 * 1024);
    let run = stage.shell("brief", PREFIX, "printf 'last words'");
    stage.wait(run);
    let flood = Incarnation::new(NonZeroU64::MIN);
    let reader = read_all(stage.out.take().expect("a reader"));
    stage.wait(flood);
    stage.finish();
    let out = reader.join().expect("the reader");
    assert!(out.contains("[brief] last words\n"));
    assert_eq!(out.lines().filter(|line| *line == "[flood] y").count(), 450_000);
}

// G09
#[test]
fn a_grandchild_that_keeps_the_pipe_delays_nothing_and_is_heard() {
    let mut stage = Stage::new();
    let seen = watch(stage.out.take().expect("a reader"));
    let dir = tempfile::tempdir().expect("a directory");
    // Two, since a reader may open the second before the writer of the first has closed it.
    let [first, second] = ["first", "second"].map(|gate| dir.path().join(gate));
    for gate in [&first, &second] {
        nix::unistd::mkfifo(gate, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    }
    let [one, two] = [first.display(), second.display()];
    let script = format!("(read go < {one}; echo later; read go < {two}) & printf unfinished");
    let run = stage.shell("web", PREFIX, &script);
    stage.wait(run);
    stage.until("the unfinished line", |_| contains(&seen, "[web] unfinished\n"));
    assert!(!stage.capture.drain(BUDGET).more);
    fs::write(&first, "go\n").expect("the grandchild reads");
    stage.until("the grandchild's line", |_| contains(&seen, "[web] later\n"));
    fs::write(&second, "go\n").expect("the grandchild reads");
    // When it has gone, the pipe is closed: a closed pipe that stays would be ready for ever.
    stage.quiet(PollTimeout::from(100u8));
    assert!(!stage.capture.drain(BUDGET).more);
}

// G10
#[test]
fn a_noisy_neighbour_does_not_silence_the_others() {
    let mut stage = Stage::new();
    let seen = watch_some(stage.out.take().expect("a reader"), |line| line.starts_with("[quiet"));
    for number in 0..4 {
        stage.shell(&format!("noise{number}"), PREFIX, "exec yes");
    }
    stage.until("noise", |stage| (0..4).all(|number| stage.counts(&format!("noise{number}")).bytes[0] > 1 << 20));
    let begin = stage.counts("noise0").bytes[0];
    for number in 0..10 {
        stage.shell(&format!("quiet{number}"), PREFIX, &format!("echo it is {number}"));
    }
    let end = Instant::now() + LIMIT;
    while !(0..10).all(|number| contains(&seen, &format!("[quiet{number}] it is {number}\n"))) {
        assert!(Instant::now() < end, "the quiet ones are not heard");
        // Two turns at a time: the order must be fair by itself.
        stage.capture.drain(128 * 1024);
    }
    println!("{} bytes of noise meanwhile", stage.counts("noise0").bytes[0] - begin);
}

#[test]
fn a_process_that_dies_while_it_waits_for_room_does_not_make_the_loop_spin() {
    let mut stage = Stage::new();
    stage.shell("flood", PREFIX, "exec yes");
    stage.until("the buffer to be full", |stage| stage.counts("flood").bytes[0] > 64 * 1024);
    stage.quiet(PollTimeout::from(100u8));
    stage.children[0].kill().expect("kill");
    stage.children[0].wait().expect("wait");
    stage.capture.ended(run(1));
    stage.quiet(PollTimeout::ZERO);
    assert!(!stage.capture.drain(BUDGET).more);
    let bytes = stage.counts("flood").bytes[0];
    let (out, _) = stage.finish();
    assert!(out.lines().all(|line| line == "[flood] y" || line == "[flood] "));
    assert!(out.len() as u64 >= bytes * 5, "{} of {bytes}", out.len());
}

#[test]
fn with_drop_nobody_waits_and_what_is_missing_is_counted() {
    let mut stage = Stage::new();
    let run = stage.shell("web", DROP, "yes | head -c 4000000");
    stage.wait(run);
    let counts = stage.counts("web");
    assert_eq!(counts.bytes[0], 4_000_000);
    assert!(counts.dropped[0] > 3_000_000, "{counts:?}");
    let (out, _) = stage.finish();
    assert_eq!(out.lines().filter(|line| *line == "[web] y").count() as u64 * 2 + counts.dropped[0], 4_000_000);
}

#[test]
fn counts_survive_a_run_and_end_with_the_process() {
    let mut stage = Stage::new();
    for _ in 0..2 {
        let run = stage.shell("web", PREFIX, "echo hi");
        stage.wait(run);
    }
    assert_eq!(stage.counts("web").bytes, [6, 0]);
    stage.capture.forget(&name("web"));
    assert_eq!(stage.counts("web"), Counts::default());
}

#[test]
fn pipes_that_were_made_beforehand_serve_whoever_comes_next() {
    let mut stage = Stage::new();
    // Run 2 takes what was made for run 1, and there is nothing for run 3.
    for (number, made) in [(1, true), (2, false), (3, false)] {
        if made {
            stage.capture.provide(run(number + 1));
        }
        assert_eq!(stage.capture.is_provided(), made);
        let stdio = stage.capture.open(run(number), &name(&format!("w{number}")), PREFIX).expect("pipes");
        assert!(!stage.capture.is_provided());
        writeln!(File::from(stdio.out), "out of {number}").expect("a pipe takes it");
        writeln!(File::from(stdio.err), "err of {number}").expect("a pipe takes it");
    }
    stage.until("all lines", |stage| (1..=3).all(|number| stage.counts(&format!("w{number}")).bytes == [9, 9]));
    stage.capture.provide(run(4));
    let before = stage.capture.is_provided();
    stage.capture.provide(run(4));
    assert!(before && stage.capture.is_provided());
    assert!(!stage.capture.drain(BUDGET).more, "what nobody has yet has nothing to say");
    let (out, err) = stage.finish();
    assert_eq!(sorted(&out), ["[w1] out of 1", "[w2] out of 2", "[w3] out of 3"]);
    assert_eq!(sorted(&err), ["[w1] err of 1", "[w2] err of 2", "[w3] err of 3"]);
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn without_threads_everything_is_written_as_well() {
    let mut stage = Stage::with(Sink::without_threads);
    let reader = read_all(stage.out.take().expect("a reader"));
    let run = stage.shell("web", PREFIX, "yes | head -c 2000000");
    stage.wait(run);
    stage.finish();
    let out = reader.join().expect("the reader");
    assert_eq!(out.lines().filter(|line| *line == "[web] y").count(), 1_000_000);
}

#[test]
fn a_flush_that_nobody_lets_end_is_bounded() {
    let mut stage = Stage::new();
    stage.shell("flood", PREFIX, "exec yes");
    stage.until("the buffer to be full", |stage| stage.counts("flood").bytes[0] > 64 * 1024);
    let begin = Instant::now();
    assert!(!stage.sink.flush(Duration::from_millis(50)));
    assert!(!stage.capture.finish(Duration::from_millis(50)));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn hundreds_that_wait_for_room_all_get_it() {
    let mut stage = Stage::new();
    let text = "z".repeat(99) + "\n";
    for number in 1..=300 {
        let stdio = stage.capture.open(run(number), &name(&format!("w{number}")), PREFIX).expect("pipes");
        File::from(stdio.out).write_all(text.repeat(600).as_bytes()).expect("a pipe takes 60 kB");
        // Its main process is gone at once, its output not yet read.
        stage.capture.ended(run(number));
    }
    stage.quiet(PollTimeout::ZERO);
    assert!(!stage.capture.drain(BUDGET).more);
    let (out, _) = stage.finish();
    let mut count = [0; 301];
    for line in out.lines() {
        let (process, rest) = line.split_once("] ").expect("a prefix");
        assert_eq!(rest, text.trim_end());
        let number: usize = process.strip_prefix("[w").and_then(|n| n.parse().ok()).expect("a writer");
        count[number] += 1;
    }
    assert_eq!(count[1..], [600; 300]);
}

#[test]
fn the_monitors_own_log_goes_the_same_way() {
    let stage = Stage::new();
    let log = tracing_subscriber::fmt().without_time().with_writer(stage.sink.log_writer()).finish();
    tracing::subscriber::with_default(log, || tracing::info!(process = "web", "started"));
    assert!(stage.sink.flush(LIMIT));
    let (_, err) = stage.finish();
    assert!(err.ends_with("started process=\"web\"\n"), "{err:?}");
}
