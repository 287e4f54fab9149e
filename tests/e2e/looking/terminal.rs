//! What is to be seen on a terminal: one that is narrow, colours, keys.

use std::process::Command;

use super::{STEADY, ready, run, show, steady};
use crate::support::{Colony, Setup};

/// What a program prints on a terminal of 40 columns and 10 lines, until it has printed this twice, or ends.
fn on_a_terminal(colony: &Colony, words: &[&str], until: &str) -> Option<String> {
    on_a_terminal_with(colony, words, until, &[("TERM", "dumb")])
}

fn on_a_terminal_with(colony: &Colony, words: &[&str], until: &str, env: &[(&str, &str)]) -> Option<String> {
    let script = "
import fcntl, os, pty, signal, struct, sys, termios
until, words = sys.argv[1].encode(), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 10, 40, 0, 0))
    os.execv(words[0], words)
seen = b''
signal.alarm(60)
while seen.count(until) < 2:
    try:
        seen += os.read(fd, 65536)
    except OSError:
        break
os.kill(pid, signal.SIGKILL)
sys.stdout.buffer.write(seen)
";
    let messages = colony.path("messages").display().to_string();
    let binary = env!("CARGO_BIN_EXE_ncolony");
    let mut command = Command::new("python3");
    command.args(["-c", script, until, binary, "ctl", "--messages", &messages]).args(words);
    command.env_remove("NO_COLOR").envs(env.iter().copied());
    let output = command.output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn on_a_narrow_terminal_a_live_table_is_cut_and_a_list_is_whole() {
    let long = "a-name-that-is-longer-than-all-of-the-terminal";
    let setup = (0..20).fold(Setup::new(), |setup, n| setup.file(&format!("p{n}"), STEADY));
    let colony = setup.file(long, STEADY).start();
    ready(&colony, long);
    // The second drawing, so that the first is whole.
    let seen = on_a_terminal(&colony, &["top"], "\x1b[H\x1b[J").expect("a terminal");
    let first = seen.split("\x1b[H\x1b[J").nth(1).expect("a drawing");
    let lines: Vec<&str> = first.trim_end().lines().map(str::trim_end).collect();
    assert_eq!(lines.len(), 10, "{seen:?}");
    // A head and 21 processes, of which eight and the head are shown.
    assert!(lines[9].starts_with("… 13 more rows, 6 more columns"), "{seen:?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 40), "{seen:?}");
    let seen = on_a_terminal(&colony, &["get", long], "neverthere").expect("a terminal");
    assert!(seen.contains(&format!("{long}   1/1     Running   0          ")), "{seen:?}");
}

#[test]
fn a_key_ends_a_live_table_and_whatever_ends_it_leaves_the_terminal_as_it_was() {
    let script = "
import os, pty, signal, sys, termios
how, words = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(words[0], words)
signal.alarm(60)
before = termios.tcgetattr(fd)
seen = b''
while b'web' not in seen:
    seen += os.read(fd, 65536)
# Once it is drawn, keys are taken one at a time, and not shown.
assert not termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO), 'as it was'
if how.startswith('key '):
    os.write(fd, how[4:].encode())
else:
    os.kill(pid, int(how))
status = os.waitpid(pid, 0)[1]
print(os.waitstatus_to_exitcode(status), termios.tcgetattr(fd) == before)
";
    let colony = Colony::with(&[("web", STEADY)]);
    ready(&colony, "web");
    let messages = colony.path("messages").display().to_string();
    let rows = [("key q", "0"), ("key xxQ", "0"), ("key \x03", "-2"), ("15", "-15"), ("1", "-1")];
    for (how, expected) in rows {
        let mut command = Command::new("python3");
        command.args(["-c", script, how, env!("CARGO_BIN_EXE_ncolony"), "ctl", "--messages", &messages, "top"]);
        assert_eq!(run(command), (format!("{expected} True\n"), 0), "{how:?}");
    }
}

#[test]
fn there_are_colours_on_a_terminal_alone_and_the_words_are_the_same_without() {
    let crash = r#"{"args": ["sh", "-c", "exit 3"], "restartPolicy": "Never"}"#;
    let colony = Colony::with(&[("web", STEADY), ("crash", crash)]);
    ready(&colony, "web");
    let (text, _) = show(&colony, &["wait", "crash", "--for=jsonpath={.status.phase}=Terminated"]);
    assert_eq!(text, "process/crash condition met\n");
    let plain = |words: &[&str]| on_a_terminal(&colony, words, "never there").expect("a terminal");
    let coloured = |words: &[&str], more: &[(&str, &str)]| {
        let env: Vec<(&str, &str)> = [("TERM", "xterm")].into_iter().chain(more.iter().copied()).collect();
        on_a_terminal_with(&colony, words, "never there", &env).expect("a terminal")
    };
    let colours = ["\x1b[1m", "\x1b[33m", "\x1b[31m", "\x1b[0m"];
    let without = |text: &str| colours.iter().fold(text.to_string(), |text, colour| text.replace(colour, ""));
    let rows: [(&[&str], &str); 4] = [
        (&["get", "--no-headers", "crash"], "0/1     \x1b[31mError\x1b[0m    0"),
        (&["events", "crash"], "\x1b[33mWarning\x1b[0m"),
        (&["describe", "crash"], "Reason:         \x1b[31mError\x1b[0m"),
        (&["why", "crash"], "\x1b[31mcrash\x1b[0m has failed for good"),
    ];
    for (words, expected) in rows {
        let seen = coloured(words, &[]);
        assert!(steady(&seen).contains(&steady(expected)), "{words:?}: {seen:?}");
        assert_eq!(steady(&without(&seen)), steady(&plain(words)));
        assert!(!coloured(words, &[("NO_COLOR", "1")]).contains('\x1b'), "{words:?}");
        assert!(!show(&colony, words).0.contains('\x1b'), "{words:?}");
    }
    assert!(show(&colony, &["get", "--color", "always"]).0.starts_with("\x1b[1mNAME\x1b[0m    \x1b[1mREADY"));
    let seen = coloured(&["get", "web", "--no-headers"], &[]);
    assert!(!seen.contains('\x1b'), "what is well does not want to be looked at: {seen:?}");
}
