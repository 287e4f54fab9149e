//! The receiving side of sd_notify(3), with real sockets. A binary of its own: one test takes its descriptors away.

use std::fs;
use std::io::{IoSlice, Write as _};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ncolony::health::notify::{Heard, Message, Owner, Refused, Said, Sockets};
use ncolony::model::{Incarnation, Moment};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg, setsockopt, sockopt};
use nix::unistd::{getuid, pipe};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// One test at a time: they share their process's table of descriptors.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(number: u64) -> Incarnation {
    Incarnation::new(NonZeroU64::new(number).expect("not zero"))
}

fn at(seconds: f64) -> Moment {
    Moment::ZERO + Duration::from_secs_f64(seconds)
}

/// A directory, and sockets that have their names in it.
struct Theatre {
    dir: TempDir,
    sockets: Sockets,
}

impl Theatre {
    fn new() -> Theatre {
        let dir = tempfile::tempdir().expect("a directory");
        let sockets = Sockets::new(&dir.path().join("notify")).expect("sockets");
        Theatre { dir, sockets }
    }

    fn open(&mut self, number: u64) -> String {
        self.sockets.open(run(number), Owner::Ours).expect("a socket")
    }

    fn hear(&mut self) -> Vec<Heard> {
        self.sockets.drain(at(0.0)).heard
    }

    /// What was said, shortly, run by run.
    fn said(&mut self) -> Vec<(u64, String)> {
        self.hear().iter().map(|heard| (heard.run.get(), short(&heard.said))).collect()
    }
}

fn short(said: &Result<Said, Refused>) -> String {
    match said {
        Ok(Said::Message(Message { stage: Some(stage), .. })) => format!("{stage:?}"),
        Ok(Said::Message(Message { status: Some(status), .. })) => status.to_string(),
        Ok(Said::Message(_)) => "nothing".to_string(),
        Ok(Said::Barrier) => "a barrier".to_string(),
        Err(refused) => refused.to_string(),
    }
}

fn address(name: &str) -> UnixAddr {
    let address = match name.strip_prefix('@') {
        Some(name) => UnixAddr::new_abstract(name.as_bytes()),
        None => UnixAddr::new(name),
    };
    address.expect("an address")
}

/// Sends a datagram, with descriptors, as sd_pid_notify_with_fds(3) does.
fn send(name: &str, text: &[u8], fds: &[RawFd]) -> Result<usize, Errno> {
    let socket = UnixDatagram::unbound().expect("a socket");
    let rights = [ControlMessage::ScmRights(fds)];
    let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(text)], rights, MsgFlags::empty(), Some(&address(name)))
}

fn say(name: &str, text: &str) {
    send(name, text.as_bytes(), &[]).expect("it is heard");
}

/// Whether all copies of a pipe's other end are closed.
fn is_closed(end: &OwnedFd, wait: Duration) -> bool {
    let mut polled = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(wait).expect("short");
    poll(&mut polled, timeout).is_ok() && polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

#[test]
fn what_is_said_is_heard_in_its_order_with_who_has_said_it() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let (web, db) = (stage.open(1), stage.open(2));
    say(&web, "STATUS=one");
    say(&db, "READY=1");
    say(&web, "STATUS=two");
    say(&web, "READY=1\n");
    let heard = stage.hear();
    let of = |number: u64| heard.iter().filter(|heard| heard.run == run(number)).collect::<Vec<_>>();
    let words = |number| of(number).iter().map(|heard| short(&heard.said)).collect::<Vec<_>>();
    assert_eq!((words(1), words(2)), (vec!["one".into(), "two".into(), "Ready".into()], vec!["Ready".to_string()]));
    let senders: Vec<_> = heard.iter().map(|heard| heard.sender.expect("the kernel tells")).collect();
    assert!(senders.iter().all(|sender| sender.pid == std::process::id() as i32 && sender.uid == getuid().as_raw()));
    assert!(stage.said().is_empty());
}

#[test]
fn a_socket_has_a_path_that_all_may_write_to_and_is_gone_with_its_run() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let name = stage.open(7);
    assert_eq!(Path::new(&name), stage.dir.path().join("notify/7"));
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(Path::new(&name)), mode(&stage.dir.path().join("notify"))), (0o666, 0o711));
    say(&name, "READY=1");
    stage.sockets.close(run(7));
    assert!(!Path::new(&name).exists());
    assert!(stage.said().is_empty());
    assert_eq!(send(&name, b"READY=1", &[]), Err(Errno::ENOENT));
}

#[test]
fn what_a_monitor_before_has_left_is_in_nobodys_way() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().join("notify");
    fs::create_dir(&place).expect("a directory");
    drop(UnixDatagram::bind(place.join("1")).expect("a socket"));
    drop(UnixDatagram::bind(place.join("99")).expect("a socket"));
    fs::write(place.join("mine"), "not ours").expect("a file");
    let mut sockets = Sockets::new(&place).expect("sockets");
    let left: Vec<_> = fs::read_dir(&place).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["mine"]);
    drop(UnixDatagram::bind(place.join("1")).expect("a socket"));
    let name = sockets.open(run(1), Owner::Ours).expect("a socket");
    say(&name, "READY=1");
    assert_eq!(sockets.drain(at(0.0)).heard.len(), 1);
}

// The temporary directory is its owner's alone.
#[test]
fn where_a_path_is_out_of_reach_the_name_is_abstract() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("ours");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("a file");
    let long = dir.path().join("x".repeat(120));
    let private = dir.path().join("private");
    let rows = [(private.clone(), Owner::Another), (file.join("below"), Owner::Ours), (long, Owner::Ours)];
    let mut names = Vec::new();
    for (place, owner) in rows {
        let mut sockets = Sockets::new(&place).expect("sockets");
        let name = sockets.open(run(1), owner).expect("a socket");
        assert!(name.starts_with('@') && !names.contains(&name), "{place:?}: {name}");
        say(&name, "READY=1");
        assert_eq!(sockets.drain(at(0.0)).heard.len(), 1, "{place:?}");
        names.push(name);
        sockets.close(run(1));
        assert_eq!(send(&names[names.len() - 1], b"READY=1", &[]), Err(Errno::ECONNREFUSED));
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).expect("ours");
    let all_may_pass = dir
        .path()
        .ancestors()
        .all(|dir| fs::metadata(dir).is_ok_and(|metadata| metadata.permissions().mode() & 1 == 1));
    assert!(all_may_pass, "the tests' directory must be open to all, for this one: {:?}", dir.path());
    let mut sockets = Sockets::new(&private).expect("sockets");
    assert!(sockets.open(run(1), Owner::Another).expect("a socket").starts_with('/'));
}

#[test]
fn a_barrier_is_open_when_what_was_said_before_it_was_handled() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let name = stage.open(1);
    let (end, other) = pipe().expect("a pipe");
    say(&name, "READY=1");
    send(&name, b"BARRIER=1", &[other.as_raw_fd()]).expect("it is heard");
    drop(other);
    let mut heard = stage.hear().into_iter();
    assert_eq!(short(&heard.next().expect("the first").said), "Ready");
    assert!(!is_closed(&end, Duration::ZERO), "the barrier was not handled yet");
    let barrier = heard.next().expect("the second");
    assert_eq!(short(&barrier.said), "a barrier");
    assert!(!is_closed(&end, Duration::ZERO));
    drop(barrier);
    assert!(is_closed(&end, PATIENCE));
}

#[test]
fn no_descriptor_is_kept_whatever_it_comes_with() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let name = stage.open(1);
    let rows: [(&[u8], usize, &str); 6] = [
        (b"FDSTORE=1\nFDNAME=x", 1, "nothing"),
        (b"READY=1", 50, "Ready"),
        (b"READY=1", 253, "Ready"),
        (b"BARRIER=1", 2, "BARRIER=1 must stand alone, and come with one descriptor"),
        (b"BARRIER=1\nREADY=1", 1, "BARRIER=1 must stand alone, and come with one descriptor"),
        (&[b'x'; 10_000], 253, "it is longer than 4096 bytes"),
    ];
    for (text, count, expected) in rows {
        let (end, other) = pipe().expect("a pipe");
        send(&name, text, &vec![other.as_raw_fd(); count]).expect("it is heard");
        drop(other);
        assert_eq!(stage.said(), [(1, expected.to_string())]);
        assert!(is_closed(&end, PATIENCE), "{count} with {expected:?}");
    }
    // More the kernel does not take.
    let (_end, other) = pipe().expect("a pipe");
    assert_eq!(send(&name, b"READY=1", &vec![other.as_raw_fd(); 254]), Err(Errno::EINVAL));
}

#[test]
fn descriptors_that_find_no_room_are_refused_and_those_that_did_are_closed() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let name = stage.open(1);
    let (end, other) = pipe().expect("a pipe");
    send(&name, b"READY=1", &[other.as_raw_fd(); 100]).expect("it is heard");
    drop(other);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits");
    let next = fs::File::open("/dev/null").expect("it is there").as_raw_fd() as u64;
    setrlimit(Resource::RLIMIT_NOFILE, next + 10, hard).expect("less may always be had");
    let said = stage.said();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("what was");
    assert_eq!(said, [(1, "it came with more descriptors than could be taken".to_string())]);
    assert!(is_closed(&end, PATIENCE));
    say(&name, "READY=1");
    assert_eq!(stage.said(), [(1, "Ready".to_string())]);
}

#[test]
fn what_is_no_message_is_refused_and_the_next_one_is_heard() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let name = stage.open(1);
    let lines = b"X=1\n".repeat(10_000);
    let rows: [(&[u8], &str); 7] = [
        (&[b'x'; 65_536], "it is longer than 4096 bytes"),
        (&lines, "it is longer than 4096 bytes"),
        (&lines[..4096], "nothing"),
        (b"READY=1\0STATUS=x", "it holds a NUL byte"),
        (b"STATUS=\xff\xfe", "\u{fffd}\u{fffd}"),
        (b"", "nothing"),
        (b"READY=1", "Ready"),
    ];
    for (text, expected) in rows {
        send(&name, text, &[]).expect("it is heard");
        assert_eq!(stage.said(), [(1, expected.to_string())]);
    }
}

// Law 6. A socket that lingers keeps whoever closes it waiting until its peer has taken all, here for ever.
#[test]
fn a_descriptor_that_takes_for_ever_to_close_keeps_nobody_waiting() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let (web, db) = (stage.open(1), stage.open(2));
    let (lingering, peer) = lingering();
    send(&web, b"READY=1", &[lingering.as_raw_fd()]).expect("it is heard");
    // What is on its way is the last one then.
    drop(lingering);
    let began = Instant::now();
    assert_eq!(stage.said(), [(1, "Ready".to_string())]);
    let (end, other) = pipe().expect("a pipe");
    send(&db, b"BARRIER=1", &[other.as_raw_fd()]).expect("it is heard");
    drop(other);
    assert_eq!(stage.said(), [(2, "a barrier".to_string())]);
    assert!(is_closed(&end, PATIENCE), "another's descriptors are closed meanwhile");
    say(&web, "STATUS=on");
    assert_eq!(stage.said(), [(1, "on".to_string())], "its own messages are heard meanwhile");
    stage.sockets.close(run(1));
    assert!(began.elapsed() < LINGER, "{:?}", began.elapsed());
    drop(peer);
}

// The same in a queue that nobody reads any more.
#[test]
fn the_end_of_a_run_does_not_wait_for_descriptors_that_it_has_passed() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let name = stage.open(1);
    let (lingering, peer) = lingering();
    send(&name, b"READY=1", &[lingering.as_raw_fd()]).expect("it is heard");
    drop(lingering);
    let began = Instant::now();
    stage.sockets.close(run(1));
    assert!(began.elapsed() < LINGER, "{:?}", began.elapsed());
    drop(peer);
}

/// How long a socket lingers; longer than any test waits.
const LINGER: Duration = Duration::from_secs(300);

/// A connection with more in it than its peer takes, and the peer.
fn lingering() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut ours = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    let (peer, _) = listener.accept().expect("it");
    ours.set_nonblocking(true).expect("ours");
    while ours.write(&[0; 65_536]).is_ok() {}
    ours.set_nonblocking(false).expect("ours");
    let linger = libc::linger { l_onoff: 1, l_linger: LINGER.as_secs() as i32 };
    setsockopt(&ours, sockopt::Linger, &linger).expect("it lingers");
    (ours, peer)
}

#[test]
fn who_says_a_lot_has_to_wait_and_nobody_else() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let (flood, quiet) = (stage.open(1), stage.open(2));
    let flooding = thread::spawn(move || {
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        (0..100_000).take_while(|_| socket.send_to(b"WATCHDOG=1", &flood).is_ok()).count()
    });
    let (mut heard, mut turns) = ([0; 2], 0);
    let mut now = 0.0;
    while heard[0] < 1_000 {
        say(&quiet, "READY=1");
        let drained = stage.sockets.drain(at(now)).heard;
        let of = |number: u64| drained.iter().filter(|heard| heard.run == run(number)).count();
        assert!(of(1) <= 64, "{}", of(1));
        assert_eq!(of(2), 1, "it is heard at once");
        heard[0] += of(1);
        heard[1] += of(2);
        // It rests until then.
        if let Some(until) = stage.sockets.wake_at() {
            assert_eq!(stage.sockets.drain(at(now)).heard.len(), 0);
            now = until.as_nanos() as f64 / 1e9;
        }
        // The flood may be slow to begin: in no time at all the quiet one, too, would have said a lot.
        now += 0.001;
        turns += 1;
    }
    assert!(turns >= 1_000 / 64 && heard[1] == turns, "{heard:?} in {turns}");
    stage.sockets.close(run(1));
    let sent = flooding.join().expect("it ends");
    assert!((1_000..100_000).contains(&sent), "{sent}");
}

#[test]
fn all_that_was_said_by_then_is_heard_at_the_end_also_of_who_rests() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let name = stage.open(1);
    // As many as the kernel keeps.
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.set_nonblocking(true).expect("ours");
    let mut sent = 0;
    while socket.send_to(format!("STATUS={sent}").as_bytes(), &name).is_ok() {
        sent += 1;
    }
    assert!(sent > 0);
    let first = stage.hear().len();
    let rest = stage.sockets.drain_run(run(1));
    assert_eq!(first + rest.len(), sent);
    let last = rest.last().map(|heard| short(&heard.said)).unwrap_or((sent - 1).to_string());
    assert_eq!(last, (sent - 1).to_string());
    assert!(stage.sockets.drain_run(run(2)).is_empty(), "who has no socket says nothing");
}

#[test]
fn a_thousand_runs_have_a_thousand_sockets() {
    let _alone = alone();
    let mut stage = Theatre::new();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("more may be had");
    let names: Vec<String> = (1..=1000).map(|number| stage.open(number)).collect();
    names.iter().for_each(|name| say(name, "READY=1"));
    let mut heard = 0;
    loop {
        let drained = stage.sockets.drain(at(0.0));
        heard += drained.heard.len();
        if !drained.more {
            break;
        }
    }
    assert_eq!(heard, 1000);
    assert!(stage.said().is_empty(), "and nobody is asked who has said nothing");
}
