//! `ncolony reaper`, beside the real tini, dumb-init and catatonit where they do the same: what each documents, in one
//! table of programs.

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::Signal;

use crate::support::{BINARY, can, lives, send, succeeds, wait_for, wait_gone};

/// An init: what is called it, and the real one that it is held against.
struct Init {
    /// `tini`, `dumb-init`, `catatonit`, or `ncolony reaper`.
    kind: &'static str,
    program: PathBuf,
    first: &'static [&'static str],
}

impl Init {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.first).args(self.separated(words)).stdin(Stdio::null());
        command
    }

    /// tini and catatonit take options from behind the program's name where nothing separates them.
    fn permutes(&self) -> bool {
        matches!(self.kind, "tini" | "catatonit")
    }

    fn separated<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        let is_plain = words.first().is_some_and(|word| !word.starts_with('-'));
        let separator = (self.permutes() && is_plain && !words.contains(&"--")).then_some("--");
        separator.into_iter().chain(words.iter().copied()).collect()
    }

    fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it starts")
    }

    /// The exit status, as `wait` tells it.
    fn code(&self, words: &[&str]) -> Option<i32> {
        self.output(words).status.code()
    }

    fn told(&self) -> String {
        format!("{} {}", self.program.display(), self.first.join(" "))
    }
}

fn ours() -> Init {
    Init { kind: "ncolony reaper", program: BINARY.into(), first: &["reaper"] }
}

/// Ours under each name, in `dir`, and then each real one, but for catatonit, which will not be anything but PID 1.
fn all(dir: &Path) -> Vec<Init> {
    let mut inits = as_pid_1(dir);
    inits.retain(|init| init.program != Path::new("/usr/bin/catatonit"));
    inits
}

/// The same, catatonit included.
fn as_pid_1(dir: &Path) -> Vec<Init> {
    let mut inits = vec![ours()];
    for (kind, real) in
        [("tini", "/usr/bin/tini"), ("dumb-init", "/usr/bin/dumb-init"), ("catatonit", "/usr/bin/catatonit")]
    {
        let link = dir.join(kind);
        symlink(BINARY, &link).expect("a link can be made");
        inits.push(Init { kind, program: link, first: &[] });
        if can(&format!("{real} (Debian's package of that name)"), Path::new(real).exists()) {
            inits.push(Init { kind, program: real.into(), first: &[] });
        }
    }
    inits
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A program that writes "ready" to a file once it is, so that no signal comes too early.
struct Started {
    child: Child,
    ready: PathBuf,
}

impl Started {
    fn new(mut command: Command, ready: &Path) -> Started {
        let child = command.spawn().expect("it starts");
        let started = Started { child, ready: ready.to_path_buf() };
        wait_for("the program to be ready", || started.text());
        started
    }

    fn text(&self) -> Option<String> {
        std::fs::read_to_string(&self.ready).ok().filter(|text| text.ends_with('\n'))
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn end(mut self) -> Option<i32> {
        wait_for("the init to end", || self.child.try_wait().expect("ours").map(|status| status.code()))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_init_ends_with_the_programs_status() {
    let dir = dir();
    for init in all(dir.path()) {
        for code in [0, 1, 7, 42, 127, 128, 255] {
            assert_eq!(init.code(&["sh", "-c", &format!("exit {code}")]), Some(code), "{}", init.told());
        }
        // Whoever runs the tests may ignore HUP, INT and QUIT, and so would the program.
        for signal in [6, 9, 11, 15] {
            let script = format!("ulimit -c 0; kill -{signal} $$");
            assert_eq!(init.code(&["sh", "-c", &script]), Some(128 + signal), "{}: {signal}", init.told());
        }
        assert_eq!(init.code(&["--", "sh", "-c", "exit 3"]), Some(3), "{}", init.told());
        let printed = init.output(&["printf", "%s|", "-g", "--", "-e", "a b"]).stdout;
        // Options end at the first `--`, wherever it stands, or at the program's name.
        let expected = if init.permutes() { "-e|a b|" } else { "-g|--|-e|a b|" };
        assert_eq!(String::from_utf8_lossy(&printed), expected, "{}", init.told());
    }
}

// L19
#[test]
fn all_256_codes_and_all_signals_are_passed_through() {
    for code in 0..=255 {
        assert_eq!(ours().code(&["sh", "-c", &format!("exit {code}")]), Some(code));
    }
    // Less what does not end a program.
    for signal in (1..=64).filter(|n| ![17, 18, 19, 20, 21, 22, 23, 28, 32, 33].contains(n)) {
        let script = format!(
            "import os, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nimport signal\n\
             {signal} in (9,) or signal.signal({signal}, signal.SIG_DFL)\nos.kill(os.getpid(), {signal})"
        );
        assert_eq!(ours().code(&["python3", "-c", &script]), Some(128 + signal), "{signal}");
    }
}

#[test]
fn what_cannot_be_run_is_told_by_the_codes_of_shells() {
    let output = ours().output(&["/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(127));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("ncolony reaper: cannot execute \"/nowhere/at/all\": No such file"), "{text}");
    assert_eq!(ours().code(&["no-such-program-in-path"]), Some(127));
    assert_eq!(ours().code(&["/etc/passwd"]), Some(126));
    assert_eq!(ours().code(&["/"]), Some(126));
}

#[test]
fn one_v_says_what_was_started_and_how_it_ended_as_with_tini_and_dumb_init() {
    let dir = dir();
    for (at, init) in all(dir.path()).iter().enumerate() {
        let file = dir.path().join(format!("pid-{at}"));
        let script =
            format!("echo $$ > {}; trap 'exit 3' USR1; kill -USR1 $PPID; while :; do sleep 0.02; done", file.display());
        let output = init.output(&["-v", "--", "sh", "-c", &script]);
        // The real tini tells it on its stdout.
        let told = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        let pid = std::fs::read_to_string(&file).expect("it wrote it");
        let has = |what: &str| told.lines().any(|line| line.contains(what));
        assert_eq!(output.status.code(), Some(3), "{}: {told}", init.told());
        if init.program.starts_with("/usr/bin") {
            assert!(has(pid.trim()) && told.replace('\'', "").contains("status 3"), "{}: {told}", init.told());
        } else {
            assert!(has(&format!("started \"sh\" as pid {}", pid.trim())), "{}: {told}", init.told());
            assert!(has("the program has ended: exit code 3"), "{}: {told}", init.told());
            // All of it is dumb-init's alone.
            assert_eq!(has("passed on SIGUSR1"), init.kind == "dumb-init", "{}: {told}", init.told());
        }
        let silent = init.output(&["--", "sh", "-c", "exit 3"]).stderr;
        let warns = init.program == Path::new("/usr/bin/tini");
        assert!(silent.is_empty() || warns, "{}: {}", init.told(), String::from_utf8_lossy(&silent));
    }
}

/// Whoever keeps a log of pieces would have two lines of one.
#[test]
fn what_is_said_is_written_in_one_piece() {
    for words in [&["/nowhere"][..], &["-x"], &["-v", "-v", "sh", "-c", "(sleep 0.2 &); sleep 0.4; exit 0"]] {
        let (ours_end, theirs) = std::os::unix::net::UnixDatagram::pair().expect("sockets");
        let status = ours().command(words).stderr(std::os::fd::OwnedFd::from(theirs)).status().expect("it starts");
        ours_end.set_nonblocking(true).expect("a socket");
        let (mut piece, mut count) = ([0; 4096], 0);
        while let Ok(length) = ours_end.recv(&mut piece) {
            let text = String::from_utf8_lossy(&piece[..length]).into_owned();
            // At the end nobody is left who could write.
            if length == 0 {
                break;
            }
            assert!(text.starts_with("ncolony reaper: ") && text.ends_with('\n'), "{words:?}: {text:?}");
            count += 1;
        }
        assert!(count > 0, "{words:?}: {status}");
    }
}

#[test]
fn a_bad_command_line_is_told_of_and_is_our_own_fault() {
    let rows: &[(&[&str], &str)] = &[
        (&[], "no command: expected the program to run"),
        (&["-x", "true"], "unknown option -x"),
        (&["--nothing", "true"], "unknown option --nothing"),
        (&["-e"], "-e takes a value, and there is none"),
        (&["-e", "256", "true"], "\"256\" is not an exit code: expected a number from 0 to 255"),
        (&["-e", "x", "true"], "\"x\" is not an exit code"),
        (
            &["-p", "TREM", "true"],
            "\"TREM\" is no signal: expected a name or a number, such as TERM or 15; did you mean SIGTERM?",
        ),
        (&["-r", "15", "true"], "\"15\" is no rewriting: expected two signals"),
        (&["-r", "15:99", "true"], "\"99\" is no signal"),
        (&["-k", "-1", "true"], "\"-1\" is no number of seconds"),
        (&["--grace=nan", "true"], "\"nan\" is no number of seconds"),
        (&["--warn=1", "true"], "--warn takes no value"),
    ];
    for (words, expected) in rows {
        let output = ours().output(words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(125) && text.contains(expected), "{words:?}: {text}");
    }
    let help = ours().output(&["--help"]);
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--expect-exit-code"));
}

/// Engines read it: docker takes what follows `tini version ` for the version, and what has neither that nor a commit for
/// something unknown.
#[test]
fn each_tells_its_version_in_the_words_of_the_init_that_it_stands_in_for() {
    let dir = dir();
    let engines = [("docker-init", "tini"), ("podman-init", "catatonit")].map(|(name, kind)| {
        let program = dir.path().join(name);
        symlink(BINARY, &program).expect("a link can be made");
        Init { kind, program, first: &[] }
    });
    for init in as_pid_1(dir.path()).into_iter().chain(engines) {
        let output = init.output(&["--version"]);
        // The real dumb-init tells it on its stderr.
        let told = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        let (before, after) = match init.kind {
            "tini" => ("tini version ", ""),
            "catatonit" => ("tini version ", "_catatonit"),
            "dumb-init" => ("dumb-init v", ""),
            _ => ("ncolony reaper ", ""),
        };
        let rest = told.strip_prefix(before).unwrap_or_else(|| panic!("{}: {told:?}", init.told()));
        let number = rest.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        assert!(output.status.success() && number != rest && number.starts_with(after), "{}: {told:?}", init.told());
        if !init.program.starts_with("/usr/bin") {
            let by = if init.kind == "ncolony reaper" { "" } else { " (ncolony)" };
            let expected = format!("{before}{}{after}{by}\n", env!("CARGO_PKG_VERSION"));
            assert_eq!(told, expected, "{}", init.told());
        }
    }
}

#[test]
fn every_init_passes_term_on() {
    let dir = dir();
    for (at, init) in all(dir.path()).iter().enumerate() {
        let ready = dir.path().join(format!("ready-{at}"));
        let script = format!("trap 'exit 42' TERM; echo $$ > {}; while :; do sleep 0.02; done", ready.display());
        let started = Started::new(init.command(&["sh", "-c", &script]), &ready);
        send(started.pid(), Signal::SIGTERM);
        assert_eq!(started.end(), Some(42), "{}", init.told());
    }
}

/// Appends the number of each signal that it gets, and ends at SIGTERM.
const LISTENER: &str = r#"
import os, signal, sys
path = sys.argv[1]
def heard(number, frame):
    with open(path + ".heard", "a") as file:
        file.write(f"{number}\n")
    if number == signal.SIGTERM:
        os._exit(0)
for number in range(1, 65):
    if number not in (9, 19, 32, 33, 17):
        signal.signal(number, heard)
with open(path, "w") as file:
    file.write("ready\n")
while True:
    signal.pause()
"#;

#[test]
fn every_signal_that_can_be_is_passed_on() {
    let dir = dir();
    let ready = dir.path().join("ready");
    let started = Started::new(ours().command(&["python3", "-c", LISTENER, &ready.display().to_string()]), &ready);
    let heard = || std::fs::read_to_string(dir.path().join("ready.heard")).unwrap_or_default();
    // Less what no program can hear, what faults raise in us, job control's, and the C library's own.
    let unheard = [4, 5, 7, 8, 9, 11, 15, 17, 19, 21, 22, 31, 32, 33];
    for signal in (1..=64).filter(|n| !unheard.contains(n)) {
        // The type that tests have has no real-time signals.
        assert!(succeeds("kill", &[&format!("-{signal}"), &started.pid().to_string()]));
        wait_for(&format!("signal {signal}"), || heard().lines().any(|line| line == signal.to_string()).then_some(()));
    }
    send(started.pid(), Signal::SIGTERM);
    assert_eq!(started.end(), Some(0));
}

#[test]
fn signals_are_rewritten_and_dropped_as_dumb_init_does_it() {
    let dir = dir();
    for (at, init) in all(dir.path()).iter().enumerate() {
        if !matches!(init.kind, "dumb-init" | "ncolony reaper") {
            continue;
        }
        let ready = dir.path().join(format!("ready-{at}"));
        let words = ["-r", "1:10", "--rewrite", "12:0", "--", "python3", "-c", LISTENER, &ready.display().to_string()];
        let started = Started::new(init.command(&words), &ready);
        for signal in [Signal::SIGUSR2, Signal::SIGHUP, Signal::SIGTERM] {
            send(started.pid(), signal);
            if signal == Signal::SIGHUP {
                let heard = ready.with_extension("heard");
                wait_for("a signal to be heard", || {
                    std::fs::read_to_string(&heard).ok().filter(|text| text.ends_with('\n'))
                });
            }
        }
        assert_eq!(started.end(), Some(0), "{}", init.told());
        let heard = std::fs::read_to_string(ready.with_extension("heard")).expect("it heard something");
        assert_eq!(heard.lines().next(), Some("10"), "{}: {heard}", init.told());
        assert!(!heard.lines().any(|line| line == "1" || line == "12"), "{}: {heard}", init.told());
    }
}

#[test]
fn the_group_hears_where_it_is_asked_for() {
    let dir = dir();
    for (at, init) in all(dir.path()).iter().enumerate() {
        let group: &[&str] = match init.kind {
            "dumb-init" => &[],
            _ => &["-g"],
        };
        let ready = dir.path().join(format!("ready-{at}"));
        // The program itself is deaf, and ends when its child has.
        let script = format!(
            "trap : TERM; sh -c 'trap \"exit 9\" TERM; echo ready > {}; while :; do sleep 0.02; done' & \
             wait $!; while kill -0 $! 2>/dev/null; do sleep 0.02; done; exit 5",
            ready.display()
        );
        let words = [group, &["--", "sh", "-c", &script]].concat();
        let started = Started::new(init.command(&words), &ready);
        send(started.pid(), Signal::SIGTERM);
        assert_eq!(started.end(), Some(5), "{}", init.told());
    }
}

#[test]
fn expected_codes_count_as_success_as_with_tini() {
    let dir = dir();
    for init in all(dir.path()).iter().filter(|init| matches!(init.kind, "tini" | "ncolony reaper")) {
        assert_eq!(init.code(&["-e", "143", "-e", "7", "--", "sh", "-c", "exit 7"]), Some(0), "{}", init.told());
        assert_eq!(init.code(&["-e143", "--", "sh", "-c", "kill -TERM $$"]), Some(0), "{}", init.told());
        assert_eq!(init.code(&["-e", "143", "--", "sh", "-c", "exit 7"]), Some(7), "{}", init.told());
    }
}

/// Pid, group, session, and what is blocked and ignored, of a program that is started through this command.
fn facts(init: &Init, through: &[&str]) -> (i32, i32, i32, String, String) {
    let words = init.first.iter().copied().chain(["--", "cat", "/proc/self/status", "/proc/self/stat"]);
    let mut command = match through {
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&init.program);
            command
        }
        [] => Command::new(&init.program),
    };
    command.args(words).stdin(Stdio::null());
    let output = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).expect("it is there").trim().to_string();
    let stat: Vec<&str> = text.lines().last().expect("a line").split_ascii_whitespace().collect();
    let number = |at: usize| stat[at].parse().expect("a number");
    // Signals 32 and 33 are the C library's own, and whoever runs the tests may ignore them.
    let ignored = u64::from_str_radix(&field("SigIgn:"), 16).expect("a mask") & !0x1_8000_0000;
    (number(0), number(4), number(5), field("SigBlk:"), format!("{ignored:016x}"))
}

#[test]
fn the_program_has_its_own_group_or_session_as_each_gives_it() {
    let dir = dir();
    let own_session = nix::unistd::getsid(None).expect("there is one").as_raw();
    for init in all(dir.path()) {
        let (pid, group, session, ..) = facts(&init, &[]);
        match init.kind {
            "dumb-init" => assert_eq!((group, session), (pid, pid), "{}", init.told()),
            "tini" | "ncolony reaper" => assert_eq!((group, session), (pid, own_session), "{}", init.told()),
            _ => {}
        }
    }
    let single = Init { first: &["reaper", "-c"], ..ours() };
    let (pid, group, session, ..) = facts(&single, &[]);
    assert!(group != pid && session == own_session, "{pid} {group} {session}");
}

/// Runs its words on a terminal of their own, and types Ctrl-C once they have said "ready".
const TERMINAL: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said, typed = b"", False
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
    if b"ready" in said and not typed:
        os.write(terminal, b"\x03")
        typed = True
sys.stdout.buffer.write(said)
sys.stdout.flush()
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

/// Says how it stands to its terminal, and ends with 9 at SIGINT.
const ON_TERMINAL: &str = "import os, signal\nsignal.signal(signal.SIGINT, lambda *_: os._exit(9))\n\
     print('foreground', os.tcgetpgrp(0) == os.getpgrp(), 'leads', os.getsid(0) == os.getpid(), 'ready', flush=True)\n\
     while True: signal.pause()";

#[test]
fn on_a_terminal_the_program_is_its_foreground_as_each_makes_it_and_ctrl_c_is_for_it() {
    if !can("python3", succeeds("python3", &["-c", "import pty, os; os.waitstatus_to_exitcode"])) {
        return;
    }
    let dir = dir();
    for init in all(dir.path()) {
        let program = init.program.display().to_string();
        let words = [&["-c", TERMINAL, &program], init.first, &["--", "python3", "-c", ON_TERMINAL]].concat();
        let output = Command::new("python3").args(words).stdin(Stdio::null()).output().expect("python3 is there");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let leads = if init.kind == "dumb-init" { "True" } else { "False" };
        if init.kind != "catatonit" {
            assert!(said.contains(&format!("foreground True leads {leads} ready")), "{}: {said}", init.told());
        }
        assert_eq!(output.status.code(), Some(9), "{}: {said}", init.told());
    }
}

// S02
#[test]
fn masks_and_dispositions_are_passed_on_as_each_does_it() {
    // Whatever whoever runs the tests ignores.
    let plain = ["env", "--default-signal"];
    let odd = ["env", "--default-signal", "--block-signal=USR1", "--ignore-signal=PIPE", "--ignore-signal=USR2"];
    let dir = dir();
    for init in all(dir.path()) {
        let (.., blocked, ignored) = facts(&init, &odd);
        let seen = (blocked.as_str(), ignored.as_str());
        match init.kind {
            // USR1 is blocked, USR2 and PIPE are ignored.
            "tini" | "ncolony reaper" => {
                assert_eq!(seen, ("0000000000000200", "0000000000001800"), "{}", init.told());
            }
            "dumb-init" => assert_eq!(seen.0, "0000000000000000", "{}", init.told()),
            _ => {}
        }
        let (.., blocked, ignored) = facts(&init, &plain);
        assert_eq!((blocked.as_str(), ignored.as_str()), ("0000000000000000", "0000000000000000"), "{}", init.told());
    }
}

#[test]
fn as_pid_1_every_init_collects_orphans() {
    if !can("a pid namespace", succeeds("unshare", &["--pid", "--fork", "--mount-proc", "true"])) {
        return;
    }
    let dir = dir();
    for init in as_pid_1(dir.path()) {
        // Of three hundred orphans none is a zombie some time later.
        let script = "i=0; while test $i -lt 300; do (sleep 0.1 &); i=$((i+1)); done; \
             n=0; while grep -ls '^State:.Z' /proc/[0-9]*/status | grep -q . || test $(ls -d /proc/[0-9]* | wc -l) -gt 8; do \
             n=$((n+1)); test $n -gt 600 && exit 1; sleep 0.05; done; exit 0";
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(&init.program).args(init.first);
        let status = command.args(["--", "sh", "-c", script]).stdin(Stdio::null()).status().expect("it starts");
        assert_eq!(status.code(), Some(0), "{}", init.told());
    }
}

#[test]
fn what_is_left_is_asked_to_end_and_then_killed() {
    let dir = dir();
    let file = |name: &str| dir.path().join(name);
    let (polite, deaf) = (file("polite"), file("deaf"));
    let script = format!(
        "setsid sh -c 'trap \"echo asked >> {0}; exit 0\" TERM; echo $$ > {0}; while :; do sleep 0.02; done' & \
         (setsid sh -c 'trap \"\" TERM; echo $$ > {1}; while :; do sleep 0.02; done' &) ; \
         until test -s {0} && test -s {1}; do sleep 0.02; done; exit 6",
        polite.display(),
        deaf.display()
    );
    let output = ours().output(&["--grace", "0.5", "-w", "sh", "-c", &script]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(6), "{told}");
    assert!(std::fs::read_to_string(&polite).expect("it wrote it").ends_with("asked\n"), "{told}");
    let pid = std::fs::read_to_string(&deaf).expect("it wrote it").trim().parse().expect("a pid");
    wait_gone(pid);
    assert!(told.contains("what the program has left does not end, and is killed"), "{told}");
    assert!(told.contains(&format!("reaped zombie process with pid={pid}")), "{told}");
}

#[test]
fn a_deaf_program_is_killed_after_the_killtime_only_where_one_is_given() {
    let dir = dir();
    let ready = dir.path().join("ready");
    let script = format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.02; done", ready.display());
    let started = Started::new(ours().command(&["--killtime", "0.3", "sh", "-c", &script]), &ready);
    send(started.pid(), Signal::SIGTERM);
    assert_eq!(started.end(), Some(137));
}

/// A file system that it stands on could else not be unmounted.
#[test]
fn the_program_has_our_directory_and_the_init_itself_the_root_as_with_dumb_init() {
    let dir = dir();
    for (at, init) in all(dir.path()).iter().enumerate() {
        if !matches!(init.kind, "dumb-init" | "ncolony reaper") {
            continue;
        }
        let ready = dir.path().join(format!("ready-{at}"));
        let script = format!("pwd > {}; exec sleep 1000", ready.display());
        let mut command = init.command(&["sh", "-c", &script]);
        command.current_dir(dir.path());
        let started = Started::new(command, &ready);
        let link = format!("/proc/{}/cwd", started.pid());
        wait_for(&format!("{} to be in /", init.told()), || {
            std::fs::read_link(&link).ok().filter(|at| at == Path::new("/"))
        });
        assert_eq!(started.text().as_deref().map(str::trim), dir.path().to_str(), "{}", init.told());
        send(started.pid(), Signal::SIGTERM);
        assert_eq!(started.end(), Some(143), "{}", init.told());
    }
}

#[test]
fn it_ends_with_its_parent_where_it_is_asked_to() {
    let dir = dir();
    let ready = dir.path().join("ready");
    let inner = format!("trap 'exit 0' TERM; echo $$ > {}; while :; do sleep 0.02; done", ready.display());
    let mut parent = Command::new("sh");
    // The shell stays, since it has something to do after it.
    parent.args(["-c", &format!("{BINARY} reaper -p TERM sh -c \"$0\"; true"), &inner]).stdin(Stdio::null());
    let started = Started::new(parent, &ready);
    let program: i32 = started.text().and_then(|text| text.trim().parse().ok()).expect("a pid");
    assert!(lives(program));
    send(started.pid(), Signal::SIGKILL);
    wait_gone(program);
}

#[test]
fn a_session_is_stopped_and_continued_with_us() {
    let dir = dir();
    let session = Init { first: &["reaper", "-S", "-g"], ..ours() };
    let link = all(dir.path()).into_iter().find(|init| init.kind == "dumb-init").expect("ours is there");
    for (at, init) in [session, link].iter().enumerate() {
        let ready = dir.path().join(format!("ready-{at}"));
        // No loop of commands: a shell that waits for one in vfork(2) is not stopped before that has begun.
        let script = format!("echo $$ > {}; exec sleep 1000", ready.display());
        let started = Started::new(init.command(&["sh", "-c", &script]), &ready);
        let program: i32 = started.text().and_then(|text| text.trim().parse().ok()).expect("a pid");
        send(started.pid(), Signal::SIGTSTP);
        for pid in [program, started.pid()] {
            let what = format!("{}: {pid} of {program} and {} to be stopped", init.told(), started.pid());
            wait_for(&what, || (crate::support::state(pid) == Some('T')).then_some(()));
        }
        send(started.pid(), Signal::SIGCONT);
        send(started.pid(), Signal::SIGTERM);
        assert_eq!(started.end(), Some(143), "{}", init.told());
    }
}

/// Each init that leaves its program in its own group.
fn single(dir: &Path) -> Vec<Init> {
    let inits = all(dir).into_iter().filter(|init| matches!(init.kind, "dumb-init" | "ncolony reaper"));
    let single =
        |init: Init| Init { first: if init.kind == "dumb-init" { &["-c"] } else { &["reaper", "-c"] }, ..init };
    inits.map(single).collect()
}

#[test]
fn a_program_in_our_group_is_stopped_and_continued_with_us_as_dumb_init_does_it() {
    let dir = dir();
    for (at, init) in single(dir.path()).iter().enumerate() {
        for (signal, rewritten) in [
            (Signal::SIGTSTP, false),
            (Signal::SIGTTOU, false),
            (Signal::SIGTTIN, false),
            // What is dropped stops the init all the same: from the terminal the whole group gets it.
            (Signal::SIGTSTP, true),
        ] {
            let ready = dir.path().join(format!("ready-{at}-{signal}-{rewritten}"));
            let script = format!("echo $$ > {}; exec sleep 1000", ready.display());
            let options: &[&str] = if rewritten { &["-r", "20:0", "--"] } else { &["--"] };
            let mut command = init.command(&[options, &["sh", "-c", &script]].concat());
            // A group whose leader's parent is of the same session and of another group: no other stops for these.
            command.process_group(0);
            let started = Started::new(command, &ready);
            let program: i32 = started.text().and_then(|text| text.trim().parse().ok()).expect("a pid");
            send(started.pid(), signal);
            let stopped = if rewritten { vec![started.pid()] } else { vec![program, started.pid()] };
            for pid in stopped {
                let what = format!("{}: {signal}: {pid} of {program} and {} to be stopped", init.told(), started.pid());
                wait_for(&what, || (crate::support::state(pid) == Some('T')).then_some(()));
            }
            send(started.pid(), Signal::SIGCONT);
            send(started.pid(), Signal::SIGTERM);
            assert_eq!(started.end(), Some(143), "{}: {signal}", init.told());
        }
    }
}

/// A shell with job control, on a terminal of its own: it has its job in the foreground; where that stops it says so, and
/// continues it there. Ctrl-Z is typed at the first "ready", Ctrl-C at "continued".
const SHELL: &str = r#"
import os, pty, select, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(sys.argv[1], sys.argv[1:])
    status = os.waitpid(job, os.WUNTRACED)[1]
    if os.WIFSTOPPED(status):
        os.tcsetpgrp(0, os.getpgrp())
        print("Stopped", flush=True)
        os.tcsetpgrp(0, job)
        os.killpg(job, signal.SIGCONT)
        print("continued", flush=True)
        status = os.waitpid(job, 0)[1]
    os._exit(os.waitstatus_to_exitcode(status))
said, keys = b"", [(b"ready", b"\x1a"), (b"continued", b"\x03")]
while select.select([terminal], [], [], 20)[0]:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    said += piece
    if keys and keys[0][0] in said:
        os.write(terminal, keys.pop(0)[1])
sys.stdout.buffer.write(said)
sys.stdout.flush()
if keys:
    os.kill(pid, signal.SIGKILL)
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)
"#;

#[test]
fn ctrl_z_stops_a_program_in_our_group_and_its_shell_is_told_as_with_dumb_init() {
    if !can("python3", succeeds("python3", &["-c", "import pty, os; os.waitstatus_to_exitcode"])) {
        return;
    }
    let dir = dir();
    for init in single(dir.path()) {
        let program = init.program.display().to_string();
        let words = [&["-c", SHELL, &program], init.first, &["--", "python3", "-c", ON_TERMINAL]].concat();
        let output = Command::new("python3").args(words).stdin(Stdio::null()).output().expect("python3 is there");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Stopped") && output.status.code() == Some(9), "{}: {said}", init.told());
    }
}

/// Kilobytes of files that a process has mapped; Linux tells since 5.9.
fn of_files(pid: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss_File:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn at_rest_it_gives_back_most_of_what_its_start_has_needed() {
    if !can("Linux 5.9", of_files("self").is_some()) {
        return;
    }
    let dir = dir();
    let ready = dir.path().join("ready");
    let script = format!("echo $$ > {}; exec sleep 1000", ready.display());
    let started = Started::new(ours().command(&["sh", "-c", &script]), &ready);
    let pid = started.pid().to_string();
    let at_work = of_files(&pid).expect("it lives");
    wait_for(&format!("less than half of {at_work} kB"), || of_files(&pid).filter(|now| *now < at_work / 2));
    send(started.pid(), Signal::SIGTERM);
    assert_eq!(started.end(), Some(143));
}

#[test]
fn a_link_to_a_part_of_the_original_is_that_part() {
    let dir = dir();
    let link = dir.path().join("ncolony-ctl");
    symlink(BINARY, &link).expect("a link can be made");
    let (config, messages) = (dir.path().join("config"), dir.path().join("messages"));
    for made in [&config, &messages] {
        std::fs::create_dir(made).expect("it can be made");
    }
    let mut command = Command::new(&link);
    command.arg("--config").arg(&config).arg("--messages").arg(&messages);
    let output = command.args(["add", "web", "--cmd", "true"]).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(config.join("web").exists());
    let link = dir.path().join("ncolony-reaper");
    symlink(BINARY, &link).expect("a link can be made");
    assert_eq!(Command::new(&link).args(["sh", "-c", "exit 4"]).status().expect("it starts").code(), Some(4));
}

/// As docker and podman start what they are given for `--init`.
#[test]
fn under_the_names_that_engines_give_their_inits_it_is_one() {
    let dir = dir();
    for name in ["docker-init", "podman-init"] {
        let link = dir.path().join(name);
        symlink(BINARY, &link).expect("a link can be made");
        let status = Command::new(&link).args(["--", "sh", "-c", "exit 4"]).status().expect("it starts");
        assert_eq!(status.code(), Some(4), "{name}");
    }
}
