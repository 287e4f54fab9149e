//! The inbox on real directories.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use ncolony::messages::{self, Delivered, Inbox, Rejected, Work};
use ncolony::model::{Moment, Name, Request};
use tempfile::TempDir;

const ALL: &str = r#"{"type": "RESTART-ALL"}"#;

/// A messages directory whose monitor has been at work for a while, and its clock.
struct Place {
    dir: TempDir,
    inbox: Inbox,
    now: Moment,
}

/// What came of all there was to do.
#[derive(Default)]
struct Outcome {
    requests: Vec<Request>,
    files: Vec<String>,
    stale: usize,
    rejected: Vec<Rejected>,
    notices: Vec<String>,
    calls: usize,
    retry_at: Option<Moment>,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        let mut place = Place { inbox: Inbox::open(dir.path()), dir, now: Moment::ZERO };
        place.look();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn look(&mut self) -> Outcome {
        self.inbox.list();
        drain(&mut self.inbox, self.now, 64)
    }

    fn names(&self) -> BTreeSet<String> {
        names(self.dir.path())
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// Works until nothing is left, as a caller that knows the process "web" and the group "fronts".
fn drain(inbox: &mut Inbox, now: Moment, limit: usize) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        let work = inbox.work(now, limit);
        outcome.calls += 1;
        assert!(outcome.calls < 100_000, "the inbox never comes to an end");
        let Work { handled, rejected, notices, more, retry_at } = work;
        assert!(handled.len() + rejected.len() + notices.len() <= limit, "more than {limit} files in a call");
        outcome.rejected.extend(rejected);
        outcome.notices.extend(notices);
        for message in handled {
            settle(inbox, message, &mut outcome);
        }
        if !more {
            outcome.retry_at = retry_at;
            return outcome;
        }
    }
}

fn settle(inbox: &mut Inbox, message: Delivered, outcome: &mut Outcome) {
    match &message.request {
        Request::Restart(name) if name.as_str() != "web" => {
            outcome.rejected.push(inbox.reject(&message, &format!("no process {name}")));
        }
        Request::RestartGroup(group) if group != "fronts" => {
            outcome.rejected.push(inbox.reject(&message, &format!("no group {group}")));
        }
        Request::Restart(_)
        | Request::RestartAll
        | Request::RestartGroup(_)
        | Request::Stop(_)
        | Request::Start(_)
        | Request::Trigger(_)
        | Request::Signal(..) => {
            outcome.notices.extend(inbox.done(&message));
            outcome.stale += usize::from(message.stale);
            outcome.requests.push(message.request);
            outcome.files.push(message.file);
        }
    }
}

fn restart(name: &str) -> Request {
    Request::Restart(Name::parse(name).expect("a name"))
}

fn reasons(rejected: &[Rejected]) -> Vec<(&str, &str)> {
    rejected.iter().map(|rejected| (rejected.file.as_str(), rejected.reason.as_str())).collect()
}

/// As root nothing is unreadable or undeletable: the test is run once more as somebody else. Whether that was done.
fn ran_as_nobody(test: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        return false;
    }
    let me = std::env::current_exe().expect("this program's path");
    // Where others may not enter the build directory, a copy runs.
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let copy = dir.path().join("test");
    fs::copy(me, &copy).expect("a copy of this program");
    let mut command = Command::new(&copy);
    command.args(["--exact", test, "--nocapture"]).uid(65534).gid(65534).env("TMPDIR", "/tmp").current_dir("/");
    let output = command.output().expect("this program, as nobody");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    true
}

#[test]
fn the_three_requests_are_delivered_and_their_files_deleted() {
    let mut place = Place::new();
    place.put("000Message.1", r#"{"type": "RESTART", "name": "web"}"#);
    place.put("001Message.1", ALL);
    place.put("002Message.1", r#"{"type": "RESTART-GROUP", "group": "fronts"}"#);
    let outcome = place.look();
    assert_eq!(outcome.requests, [restart("web"), Request::RestartAll, Request::RestartGroup("fronts".into())]);
    assert_eq!(place.names(), set(&[]));
    assert_eq!((outcome.stale, outcome.rejected.len(), outcome.notices.len()), (0, 0, 0));
}

/// M01
#[test]
fn bad_messages_are_set_aside_with_the_reason_and_the_good_ones_are_handled() {
    let mut place = Place::new();
    place.put("1", "{type: RESTART}");
    place.put("2", r#"{"type": "RESTRAT", "name": "web"}"#);
    place.put("3", r#"{"type": "RESTART", "name": "wbe"}"#);
    place.put("4", r#"{"type": "RESTART-GROUP", "group": "nope"}"#);
    place.put("5", ALL);
    place.put("6", &format!("{{\"type\": \"RESTART-ALL\", \"x\": \"{}\"}}", "x".repeat(65_536)));
    let mut outcome = place.look();
    outcome.rejected.sort_by(|a, b| a.file.cmp(&b.file));
    let expected = [
        ("1", "not JSON: key must be a string at line 1 column 2"),
        (
            "2",
            "unknown \"type\" \"RESTRAT\"; did you mean RESTART? There are RESTART, RESTART-ALL, RESTART-GROUP, STOP, \
             START, TRIGGER, SIGNAL",
        ),
        ("3", "no process wbe"),
        ("4", "no group nope"),
        ("6", "longer than 64 KiB"),
    ];
    assert_eq!(reasons(&outcome.rejected), expected);
    assert_eq!(outcome.requests, [Request::RestartAll]);
    assert_eq!(place.names(), set(&[".rejected-1", ".rejected-2", ".rejected-3", ".rejected-4", ".rejected-6"]));
    let again = place.look();
    assert!(again.rejected.is_empty() && again.requests.is_empty(), "what is set aside is not looked at again");
}

/// M02
#[test]
fn what_is_no_file_is_noticed_once_and_left_alone() {
    let mut place = Place::new();
    fs::create_dir(place.path("directory")).expect("a directory");
    nix::unistd::mkfifo(&place.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let _socket = UnixListener::bind(place.path("socket")).expect("a socket");
    place.put("z", ALL);
    let mut outcome = place.look();
    outcome.notices.sort();
    let expected = [
        "directory is a directory, and no message",
        "fifo is a FIFO, and no message",
        "socket is a socket, and no message",
    ];
    assert_eq!(outcome.notices, expected);
    assert_eq!(outcome.requests, [Request::RestartAll]);
    assert!(place.look().notices.is_empty(), "once is enough");
    assert_eq!(place.names(), set(&["directory", "fifo", "socket"]));

    fs::remove_dir(place.path("directory")).expect("rmdir");
    place.look();
    fs::create_dir(place.path("directory")).expect("a directory");
    assert_eq!(place.look().notices.len(), 1, "another one of that name is news");
}

/// M02
#[test]
fn an_unreadable_message_is_noticed_once_and_handled_when_it_can_be_read() {
    if ran_as_nobody("an_unreadable_message_is_noticed_once_and_handled_when_it_can_be_read") {
        return;
    }
    let mut place = Place::new();
    place.put("secret", ALL);
    let chmod = |mode| fs::set_permissions(place.path("secret"), fs::Permissions::from_mode(mode)).expect("chmod");
    chmod(0);
    place.inbox.list();
    let outcome = drain(&mut place.inbox, place.now, 64);
    assert_eq!(outcome.notices.len(), 1);
    assert!(outcome.notices[0].starts_with("secret cannot be read: Permission denied"), "{:?}", outcome.notices);
    place.inbox.list();
    assert!(drain(&mut place.inbox, place.now, 64).notices.is_empty());
    fs::set_permissions(place.path("secret"), fs::Permissions::from_mode(0o600)).expect("chmod");
    assert_eq!(place.look().requests, [Request::RestartAll]);
}

/// M03
#[test]
fn a_message_that_cannot_be_deleted_is_acted_on_once() {
    if ran_as_nobody("a_message_that_cannot_be_deleted_is_acted_on_once") {
        return;
    }
    let mut place = Place::new();
    place.put("good", ALL);
    place.put("bad", "bad");
    let lock = |mode| fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(mode)).expect("chmod");
    lock(0o555);
    place.inbox.list();
    let outcome = drain(&mut place.inbox, place.now, 64);
    assert_eq!(outcome.requests, [Request::RestartAll]);
    let told = "message good was handled, but cannot be deleted: Permission denied; it is not acted on again";
    assert_eq!(outcome.notices, [told]);
    let why = "expected a JSON object; it cannot be set aside (Permission denied) and is passed over from now on";
    assert_eq!(reasons(&outcome.rejected), [("bad", why)]);
    for _ in 0..3 {
        let again = place.look();
        assert_eq!((again.requests.len(), again.rejected.len(), again.notices.len()), (0, 0, 0));
    }
    // A change of its mode is no new message; new text is.
    fs::set_permissions(place.path("good"), fs::Permissions::from_mode(0o640)).expect("chmod");
    assert_eq!(place.look().requests.len(), 0);
    place.put("good", r#"{"type": "RESTART", "name": "web"}"#);
    assert_eq!(place.look().requests, [restart("web")]);
    fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
}

/// M03
#[test]
fn beyond_what_can_be_remembered_nothing_is_acted_on() {
    if ran_as_nobody("beyond_what_can_be_remembered_nothing_is_acted_on") {
        return;
    }
    let mut place = Place::new();
    for number in 0..5_000 {
        place.put(&number.to_string(), ALL);
    }
    let lock = |mode| fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(mode)).expect("chmod");
    lock(0o555);
    place.inbox.list();
    let acted_on = drain(&mut place.inbox, place.now, 64).requests.len();
    assert!((4_096..4_096 + 64).contains(&acted_on), "{acted_on}");
    lock(0o755);
    assert_eq!(place.look().requests.len(), 0);
    let error = place.inbox.dir_error().expect("it is told").to_string();
    assert!(error.ends_with("can be neither deleted nor renamed: no more are acted on"), "{error}");
    for name in place.names() {
        fs::remove_file(place.path(&name)).expect("rm");
    }
    place.put("new", ALL);
    assert_eq!(place.look().requests, [Request::RestartAll], "when there is room, it goes on");
    assert_eq!(place.inbox.dir_error(), None);
}

/// M04
#[test]
fn a_half_written_message_is_handled_when_it_is_whole() {
    let mut place = Place::new();
    place.put("half", &ALL[..12]);
    place.put("empty", "");
    place.put("whole", r#"{"type": "RESTART", "name": "web"}"#);
    let outcome = place.look();
    assert_eq!(outcome.requests, [restart("web")], "the others do not wait");
    assert!(outcome.rejected.is_empty());
    let retry_at = outcome.retry_at.expect("it is looked at again");
    assert!(retry_at > place.now && retry_at <= place.now + Duration::from_secs(2));

    place.put("half", ALL);
    let outcome = drain(&mut place.inbox, retry_at, 64);
    assert_eq!(outcome.requests, [Request::RestartAll], "without another listing");
    place.put("empty", ALL);
    assert_eq!(place.look().requests, [Request::RestartAll], "or at a listing");
    assert_eq!(place.names(), set(&[]));
    assert_eq!(drain(&mut place.inbox, retry_at + Duration::from_secs(9), 64).retry_at, None, "nothing to wait for");
}

/// M04
#[test]
fn a_message_that_stays_half_written_is_set_aside_after_two_seconds() {
    let mut place = Place::new();
    place.put("half", &ALL[..12]);
    let mut retry_at = place.look().retry_at;
    let mut now = place.now;
    let mut rejected = Vec::new();
    while let Some(at) = retry_at {
        now = at;
        let outcome = drain(&mut place.inbox, now, 64);
        retry_at = outcome.retry_at;
        rejected.extend(outcome.rejected);
    }
    let after = now.since(place.now);
    assert!((2.0..2.5).contains(&after.as_secs_f64()), "given up after {after:?}");
    assert_eq!(reasons(&rejected), [("half", "not a whole JSON object, for 2 s by now")]);
    assert_eq!(place.names(), set(&[".rejected-half"]));
}

/// M05, more than what is held in memory at once.
#[test]
fn ten_thousand_messages_are_handled_in_order_a_few_at_a_time() {
    let mut place = Place::new();
    for number in 0..10_000 {
        place.put(&format!("{number:05}"), ALL);
    }
    let outcome = place.look();
    assert_eq!(outcome.files, (0..10_000).map(|number| format!("{number:05}")).collect::<Vec<_>>());
    assert_eq!(outcome.stale, 0);
    assert!(outcome.calls > 20_000 / 64, "{} calls: each file is looked at and handled", outcome.calls);
    assert_eq!(place.names(), set(&[]));
}

/// M05
#[test]
fn a_call_does_no_more_than_it_is_told_to() {
    let mut place = Place::new();
    for number in 0..200 {
        place.put(&format!("{number:03}"), ALL);
    }
    place.inbox.list();
    let mut handled = 0;
    while handled < 200 {
        let work = place.inbox.work(place.now, 10);
        handled += work.handled.len();
        assert!(work.handled.len() <= 10 && work.more == (handled < 200));
        for message in &work.handled {
            place.inbox.done(message);
        }
        assert_eq!(place.names().len(), 200 - handled);
    }
}

/// M05
#[test]
fn a_flood_of_bad_messages_leaves_a_hundred_and_hides_no_good_one() {
    let mut place = Place::new();
    for number in 0..3_000 {
        place.put(&format!("{number:04}"), if number % 2 == 0 { "bad" } else { "{" });
    }
    place.put("9999", ALL);
    let outcome = place.look();
    assert_eq!(outcome.requests, [Request::RestartAll], "not behind those that are waited for");
    assert_eq!(outcome.rejected.len(), 2_000, "of the half-written ones, a thousand is waited for");
    drain(&mut place.inbox, place.now + Duration::from_secs(2), 64);
    assert_eq!(place.names().len(), 100);
    assert!(place.names().iter().all(|name| name.starts_with(".rejected-")));

    let mut next = Inbox::open(place.dir.path());
    place.put("another", "bad");
    next.list();
    drain(&mut next, place.now, 64);
    assert_eq!(place.names().len(), 100, "those of the monitor before count");
    assert!(place.names().contains(".rejected-another"), "the oldest go first");
}

/// M06
#[test]
fn what_was_there_before_the_monitor_is_stale() {
    let dir = tempfile::tempdir().expect("a directory");
    for number in 0..9_000 {
        fs::write(dir.path().join(number.to_string()), ALL).expect("a file");
    }
    fs::write(dir.path().join("half"), "{").expect("a file");
    let mut inbox = Inbox::open(dir.path());
    inbox.list();
    let outcome = drain(&mut inbox, Moment::ZERO, 64);
    assert_eq!((outcome.requests.len(), outcome.stale), (9_000, 9_000), "also more than are held in memory");

    fs::write(dir.path().join("half"), ALL).expect("a file");
    fs::write(dir.path().join("new"), ALL).expect("a file");
    inbox.list();
    let outcome = drain(&mut inbox, Moment::ZERO, 64);
    assert_eq!((outcome.requests.len(), outcome.stale), (2, 1));
}

/// M08
#[test]
fn messages_are_taken_by_time_and_then_by_name() {
    let mut place = Place::new();
    let early = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for (name, time) in [("c", 1), ("b", 2), ("a", 2), ("z", 0)] {
        place.put(name, ALL);
        let file = File::options().write(true).open(place.path(name)).expect("the file");
        file.set_modified(early + Duration::from_nanos(time * 1_000)).expect("its time");
    }
    assert_eq!(place.look().files, ["z", "c", "a", "b"]);
}

/// M10
#[test]
fn links_are_refused_and_not_followed() {
    let mut place = Place::new();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let message = elsewhere.path().join("message");
    fs::write(&message, ALL).expect("a file");
    symlink(&message, place.path("link")).expect("a link");
    symlink("/nowhere", place.path("dangling")).expect("a link");
    symlink("loop", place.path("loop")).expect("a link");
    let mut outcome = place.look();
    outcome.rejected.sort_by(|a, b| a.file.cmp(&b.file));
    let why = "links are not followed";
    assert_eq!(reasons(&outcome.rejected), [("dangling", why), ("link", why), ("loop", why)]);
    assert!(outcome.requests.is_empty());
    assert_eq!(place.names(), set(&[".rejected-dangling", ".rejected-link", ".rejected-loop"]));
    assert_eq!(fs::read_to_string(&message).expect("the file"), ALL, "what the link names is left alone");
}

/// M10
#[test]
fn a_hard_link_to_a_secret_gives_nothing_of_it_away() {
    let mut place = Place::new();
    let texts = [
        "root:hunter2:19000:0:99999:7:::",
        "{\"hunter2\": 1}",
        "{\"type\": \"hunter2\"}",
        "\"hunter2\"",
        "{\"hunter2\"",
    ];
    for (number, text) in texts.iter().enumerate() {
        place.put(".secret", text);
        fs::hard_link(place.path(".secret"), place.path(&number.to_string())).expect("a link");
        fs::rename(place.path(".secret"), place.path(&format!(".secret{number}"))).expect("a rename");
    }
    let mut rejected = place.look().rejected;
    rejected.extend(drain(&mut place.inbox, place.now + Duration::from_secs(2), 64).rejected);
    assert_eq!(rejected.len(), texts.len());
    for Rejected { file, reason } in rejected {
        assert!(!reason.contains("hunter2"), "{file}: {reason}");
    }
    for (number, text) in texts.iter().enumerate() {
        assert_eq!(fs::read_to_string(place.path(&format!(".secret{number}"))).expect("the file"), *text);
    }
}

/// M12
#[test]
fn a_missing_directory_is_told_and_found_when_it_comes() {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("messages");
    let mut inbox = Inbox::open(&dir);
    inbox.list();
    assert!(!inbox.work(Moment::ZERO, 64).more);
    let error = inbox.dir_error().expect("it is missing").to_string();
    assert_eq!(error, format!("cannot open {}: No such file or directory", dir.display()));

    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("m"), ALL).expect("a file");
    inbox.list();
    let outcome = drain(&mut inbox, Moment::ZERO, 64);
    assert_eq!((outcome.requests.len(), outcome.stale), (1, 0), "the directory is younger than the monitor");
    assert_eq!(inbox.dir_error(), None);

    fs::rename(&dir, parent.path().join("old")).expect("a rename");
    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("m"), ALL).expect("a file");
    fs::write(parent.path().join("old/m"), ALL).expect("a file");
    inbox.list();
    assert_eq!(drain(&mut inbox, Moment::ZERO, 64).requests.len(), 1, "the one that has taken its place");
    assert_eq!(names(&parent.path().join("old")), set(&["m"]));

    fs::remove_dir_all(&dir).expect("rm");
    fs::write(&dir, "a file").expect("a file");
    inbox.list();
    drain(&mut inbox, Moment::ZERO, 64);
    assert_eq!(inbox.dir_error(), Some(format!("cannot open {}: Not a directory", dir.display()).as_str()));
}

/// M12
#[test]
fn a_directory_that_vanishes_between_two_calls_loses_nothing_but_its_messages() {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("messages");
    fs::create_dir(&dir).expect("a directory");
    let mut inbox = Inbox::open(&dir);
    inbox.list();
    drain(&mut inbox, Moment::ZERO, 64);
    for number in 0..100 {
        fs::write(dir.join(number.to_string()), ALL).expect("a file");
    }
    fs::write(dir.join("0"), "{").expect("a file");
    inbox.list();
    let first = inbox.work(Moment::ZERO, 120);
    assert!(!first.handled.is_empty() && first.more);
    fs::remove_dir_all(&dir).expect("rm");
    for message in &first.handled {
        assert_eq!(inbox.done(message), None, "what has gone need not be deleted");
    }
    inbox.list();
    let rest = drain(&mut inbox, Moment::ZERO, 64);
    assert_eq!((rest.requests.len(), rest.rejected.len(), rest.notices.len()), (0, 0, 0));
    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("m"), ALL).expect("a file");
    inbox.list();
    assert_eq!(drain(&mut inbox, Moment::ZERO, 64).requests.len(), 1);
}

/// M12
#[test]
fn foreign_files_are_passed_over() {
    let mut place = Place::new();
    let foreign = [".hidden", "m.new", "m~", "m.bak", "m.swp", ".m.swp", "m.tmp"];
    for name in foreign {
        place.put(name, ALL);
    }
    let outcome = place.look();
    assert_eq!((outcome.requests.len(), outcome.rejected.len(), outcome.notices.len()), (0, 0, 0));
    assert_eq!(place.names(), set(&foreign));
}

#[test]
fn a_message_that_took_the_place_of_a_handled_one_is_not_deleted_with_it() {
    let mut place = Place::new();
    place.put("m", ALL);
    place.inbox.list();
    let work = place.inbox.work(place.now, 64);
    place.put("m.new", r#"{"type": "RESTART", "name": "web"}"#);
    fs::rename(place.path("m.new"), place.path("m")).expect("a rename");
    place.inbox.done(&work.handled[0]);
    assert_eq!(drain(&mut place.inbox, place.now, 64).requests, [restart("web")]);
}

#[test]
fn a_message_is_not_delivered_again_while_the_caller_has_it() {
    let mut place = Place::new();
    place.put("m", ALL);
    place.inbox.list();
    let work = place.inbox.work(place.now, 64);
    assert_eq!(work.handled.len(), 1);
    assert!(place.look().requests.is_empty());
    place.inbox.done(&work.handled[0]);
    assert_eq!(place.names(), set(&[]));
    place.put("m", ALL);
    assert_eq!(place.look().requests.len(), 1);
}

#[test]
fn bad_messages_of_one_name_do_not_replace_each_other() {
    let mut place = Place::new();
    for text in ["bad", "worse", "worst"] {
        place.put("m", text);
        place.look();
    }
    assert_eq!(place.names(), set(&[".rejected-m", ".rejected-m.1", ".rejected-m.2"]));
    assert_eq!(fs::read_to_string(place.path(".rejected-m")).expect("the first"), "bad");
}

#[test]
fn any_bytes_will_do_for_a_messages_name() {
    let mut place = Place::new();
    let long = "l".repeat(255);
    for name in [b"\xff\xfe".as_slice(), b"a\n\x1b[31m", long.as_bytes()] {
        fs::write(place.dir.path().join(std::ffi::OsStr::from_bytes(name)), "bad").expect("a file");
    }
    let mut outcome = place.look();
    outcome.rejected.sort_by(|a, b| a.file.cmp(&b.file));
    let files: Vec<&str> = outcome.rejected.iter().map(|rejected| rejected.file.as_str()).collect();
    assert_eq!(files, ["a\\n\\u{1b}[31m", &long, "\u{fffd}\u{fffd}"]);
    assert!(outcome.rejected.iter().all(|rejected| rejected.reason == "expected a JSON object"), "all were set aside");
}

#[test]
fn what_is_written_is_delivered() {
    let mut place = Place::new();
    let requests = [restart("web"), Request::RestartAll, Request::RestartGroup("fronts".into())];
    let paths = requests.each_ref().map(|request| messages::write(place.dir.path(), request).expect("a message"));
    for path in &paths {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(name.ends_with(&format!("Message.{}", std::process::id())), "{name}");
        assert_eq!(fs::metadata(path).expect("the file").permissions().mode() & 0o133, 0, "no more than 0644");
    }
    assert_eq!(place.names().len(), 3, "nothing else is left there");
    let outcome = place.look();
    assert_eq!(outcome.requests, requests);
}

#[test]
fn a_message_is_never_written_over_another() {
    let place = Place::new();
    let first = messages::write(place.dir.path(), &Request::RestartAll).expect("a message");
    let number: u32 = first.file_name().expect("a name").to_string_lossy()[..3].parse().expect("a number");
    // Other tests write too: all of the next names are taken.
    for next in number + 1..number + 50 {
        place.put(&format!("{next:03}Message.{}", std::process::id()), "theirs");
    }
    let second = messages::write(place.dir.path(), &Request::RestartAll).expect("a message");
    let taken =
        place.names().into_iter().filter(|name| fs::read(place.path(name)).expect("a file") == b"theirs").count();
    assert_eq!((taken, place.names().len()), (49, 51));
    assert!(second != first && place.names().iter().all(|name| !name.ends_with(".new")));
}

#[test]
fn a_message_for_nowhere_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = dir.path().join("missing");
    let error = messages::write(&missing, &Request::RestartAll).expect_err("no directory");
    assert!(error.to_string().starts_with(&format!("cannot write {}/", missing.display())), "{error}");
    let source = std::error::Error::source(&error).expect("the kernel's reason");
    assert!(source.to_string().contains("No such file or directory"), "{source}");
}

#[test]
fn a_message_is_dated_by_when_it_was_first_seen_and_a_half_written_one_by_when_it_was_whole() {
    let mut place = Place::new();
    let at = |seconds: u64| Moment::ZERO + Duration::from_secs(seconds);
    for number in 0..100 {
        place.put(&format!("m{number}"), ALL);
    }
    place.inbox.list();
    let mut found = Vec::new();
    for second in 1..=10 {
        let work = place.inbox.work(at(second), 64);
        found.extend(work.handled.iter().map(|message| message.found));
        work.handled.iter().for_each(|message| assert_eq!(place.inbox.done(message), None));
    }
    assert_eq!(found.len(), 100);
    assert!(found.iter().all(|found| [at(1), at(2)].contains(found)), "{found:?}");

    place.put("half", "{");
    place.inbox.list();
    assert!(place.inbox.work(at(20), 64).handled.is_empty());
    place.put("half", ALL);
    let handled = place.inbox.work(at(21), 64).handled;
    assert_eq!(handled.iter().map(|message| message.found).collect::<Vec<_>>(), [at(21)]);
}
