//! A colony under test: the real binary in directories of its own, ended with all that it started when the test ends.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub(crate) use crate::needs::can;

/// Generous: a machine that runs many tests at once is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What the monitor is told so long after it was told to end is no echo of that.
const NO_ECHO: Duration = Duration::from_millis(300);
/// The binary under test: cargo's, or the static one that CI names when it compiles the tests once more.
pub(crate) const BINARY: &str = match option_env!("NCOLONY_BINARY") {
    Some(path) => path,
    None => env!("CARGO_BIN_EXE_ncolony"),
};

/// A monitor at work.
pub(crate) struct Colony {
    /// Everything of this colony is below it.
    pub(crate) dir: TempDir,
    monitor: Child,
    address: SocketAddr,
}

/// How to start one.
pub(crate) struct Setup {
    dir: TempDir,
    flags: Vec<String>,
    env: Vec<(String, String)>,
    before: Vec<String>,
    within: Option<PathBuf>,
    binary: PathBuf,
}

impl Setup {
    pub(crate) fn new() -> Setup {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["config", "messages"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        Setup { dir, flags: Vec::new(), env: Vec::new(), before: Vec::new(), within: None, binary: BINARY.into() }
    }

    /// Adds flags of `ncolony run`.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Setup {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Setup {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A command that executes the monitor: `unshare --pid --fork`, say.
    pub(crate) fn through(mut self, command: &[&str]) -> Setup {
        self.before = command.iter().map(ToString::to_string).collect();
        self
    }

    /// The monitor's working directory.
    pub(crate) fn within(mut self, dir: &Path) -> Setup {
        self.within = Some(dir.to_path_buf());
        self
    }

    /// Writes a process file before the start.
    pub(crate) fn file(self, name: &str, text: &str) -> Setup {
        write_file(&self.dir.path().join("config"), name, text);
        self
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// A copy of the binary to start instead.
    pub(crate) fn binary(mut self, path: &Path) -> Setup {
        self.binary = path.to_path_buf();
        self
    }

    /// Everything of this colony is below it.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The command that [`Setup::start`] runs.
    pub(crate) fn command(&self) -> Command {
        let mut words = self.before.clone();
        words.push(self.binary.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("run").args(["--listen", "127.0.0.1:0"]);
        if !self.flags.iter().any(|flag| flag == "--frequency") {
            command.args(["--frequency", "1"]);
        }
        command.arg("--config").arg(self.path("config")).arg("--messages").arg(self.path("messages"));
        command.args(&self.flags).envs(self.env.iter().cloned());
        command.stdin(Stdio::null());
        self.within.iter().for_each(|dir| {
            command.current_dir(dir);
        });
        command.stdout(File::create(self.path("stdout")).expect("a file"));
        command.stderr(File::create(self.path("stderr")).expect("a file"));
        command
    }

    /// Starts the monitor and waits until it tells its address.
    pub(crate) fn start(self) -> Colony {
        let command = self.command();
        self.start_as(command)
    }

    /// Starts this command, which is [`Setup::command`] with another stdout, say; stderr must be the file.
    pub(crate) fn start_as(self, mut command: Command) -> Colony {
        let monitor = command.process_group(0).spawn().expect("the binary starts");
        let address = wait_for("the monitor to tell its address", || {
            let log = fs::read_to_string(self.path("stderr")).unwrap_or_default();
            log.split("on http://").nth(1)?.split('/').next()?.parse().ok()
        });
        Colony { dir: self.dir, monitor, address }
    }
}

impl Colony {
    /// With the default flags and these process files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Colony {
        files.iter().fold(Setup::new(), |setup, (name, text)| setup.file(name, text)).start()
    }

    /// The pid of what was started: the monitor, unless it was started through something.
    pub(crate) fn pid(&self) -> i32 {
        self.monitor.id() as i32
    }

    /// The pid of the monitor where it was started through something, as this test sees it.
    pub(crate) fn monitor_below(&self) -> i32 {
        wait_for("the monitor", || monitor_of(self.dir.path()))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Puts a process file in place, whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        write_file(&self.path("config"), name, text);
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path("config").join(name)).expect("it is there");
    }

    /// Puts a message in place, whole.
    pub(crate) fn message(&self, name: &str, text: &str) {
        write_file(&self.path("messages"), name, text);
    }

    /// What the monitor and its processes have written to stderr.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("stderr")).unwrap_or_default()).into_owned()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("stdout")).unwrap_or_default()).into_owned()
    }

    /// Status code and body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.address, path).unwrap_or_else(|| (0, String::new()))
    }

    /// The value of a series of /metrics, written as it stands there: `ncolony_process_up{process="web"}`.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// Waits until a series has this value, or one beyond it.
    pub(crate) fn wait_metric(&self, series: &str, good: impl Fn(f64) -> bool) -> f64 {
        self.wait(&format!("{series} to be as expected"), || self.metric(series).filter(|value| good(*value)))
    }

    /// The pid of a process's main process, from its log line; the latest.
    pub(crate) fn pid_of(&self, name: &str) -> Option<i32> {
        let log = self.log();
        let line = log.lines().rev().find(|line| line.contains(&format!("started {name}: ")))?;
        line.split("pid=").nth(1)?.split_whitespace().next()?.parse().ok()
    }

    /// Waits for a process's first, or next, pid.
    pub(crate) fn wait_pid(&self, name: &str, other_than: Option<i32>) -> i32 {
        self.wait(&format!("{name} to be started"), || self.pid_of(name).filter(|pid| Some(*pid) != other_than))
    }

    /// Waits until the log says something.
    pub(crate) fn wait_log(&self, text: &str) {
        self.wait(&format!("the log to say {text:?}"), || self.log().contains(text).then_some(()));
    }

    /// Waits until the processes have written something.
    pub(crate) fn wait_stdout(&self, text: &str) {
        self.wait(&format!("the output to have {text:?}"), || self.stdout().contains(text).then_some(()));
    }

    /// What is in the directory of messages beside the monitor's own: its journal and its socket.
    pub(crate) fn messages_left(&self) -> Vec<String> {
        let files = fs::read_dir(self.path("messages")).expect("a directory").flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        names.filter(|name| ![".ncolony", ".ncolony.sock"].contains(&name.as_str())).collect()
    }

    /// Waits for a value; when it does not come, shows the log.
    pub(crate) fn wait<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> T {
        wait_until(what, look).unwrap_or_else(|| panic!("waited in vain for {what}; the log:\n{}", self.log()))
    }

    /// Sends a signal to the monitor.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the monitor lives");
    }

    /// Sends a signal to the monitor which it does not take for the echo of the one before.
    pub(crate) fn hurry(&self, signal: Signal) {
        self.hurry_by(self.pid(), signal);
    }

    /// The same, through another process.
    pub(crate) fn hurry_by(&self, pid: i32, signal: Signal) {
        self.wait_log("ask again to hurry");
        thread::sleep(NO_ECHO);
        send(pid, signal);
    }

    /// SIGTERM, then the exit status.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        self.signal(Signal::SIGTERM);
        let status = self.exit_status();
        (status, self.log())
    }

    /// Waits for the monitor's end.
    pub(crate) fn exit_status(&mut self) -> ExitStatus {
        wait_until("the monitor to end", || self.monitor.try_wait().expect("our child"))
            .unwrap_or_else(|| panic!("the monitor does not end; the log:\n{}", self.log()))
    }

    /// SIGKILL: what it started is left. Returns the directory for the next monitor.
    pub(crate) fn kill_monitor(mut self) -> Setup {
        kill(Pid::from_raw(self.pid()), Signal::SIGKILL).expect("the monitor lives");
        self.exit_status();
        self.after_its_end()
    }

    /// The directory of a monitor that has ended, for the next one.
    pub(crate) fn after_its_end(mut self) -> Setup {
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a directory"));
        Setup { dir, flags: Vec::new(), env: Vec::new(), before: Vec::new(), within: None, binary: BINARY.into() }
    }
}

impl Drop for Colony {
    fn drop(&mut self) {
        if self.monitor.try_wait().is_ok_and(|status| status.is_none()) {
            // Again and again, so that it hurries; what does not obey is killed, and its processes with their groups.
            let monitor = Pid::from_raw(monitor_of(self.dir.path()).unwrap_or(self.pid()));
            let mut told: Option<Instant> = None;
            let end = wait_until("the end", || {
                if told.is_none_or(|at| at.elapsed() > NO_ECHO) {
                    let _ = kill(monitor, Signal::SIGTERM);
                    told = Some(Instant::now());
                }
                self.monitor.try_wait().ok().flatten()
            });
            if end.is_none() {
                let _ = self.monitor.kill();
                let _ = self.monitor.wait();
            }
        }
    }
}

/// Writes `name` beside, then renames it into place.
pub(crate) fn write_file(dir: &Path, name: &str, text: &str) {
    let beside = dir.join(format!("{name}.new"));
    fs::write(&beside, text).expect("a writable directory");
    fs::rename(beside, dir.join(name)).expect("a writable directory");
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // Of 1.0, so that the body comes as it is, and not in chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: colony\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let code = answer.split(' ').nth(1)?.parse().ok()?;
    Some((code, answer.split_once("\r\n\r\n")?.1.to_string()))
}

/// Looks until there is something, for as long as [`PATIENCE`] lasts.
pub(crate) fn wait_until<T>(_what: &str, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// [`wait_until`], or the end of the test.
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_until(what, look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// The environment that a process was given, each variable ended by a NUL. The kernel lets the parent of a vfork go on before
/// it has laid that out.
pub(crate) fn environ(pid: i32) -> String {
    wait_for(&format!("the environment of {pid}"), || {
        let environ = fs::read(format!("/proc/{pid}/environ")).expect("it lives");
        (!environ.is_empty()).then(|| String::from_utf8_lossy(&environ).into_owned())
    })
}

/// Whether a process lives: it exists and is no zombie.
pub(crate) fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

/// Waits until a process lives no more.
pub(crate) fn wait_gone(pid: i32) {
    wait_for(&format!("process {pid} to be gone"), || (!lives(pid)).then_some(()));
}

/// Whether a command runs and succeeds.
pub(crate) fn succeeds(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// A process file: a shell script.
pub(crate) fn sh(script: &str) -> String {
    serde_json::json!({"args": ["sh", "-c", script]}).to_string()
}

/// A process file: something that lasts, and obeys.
pub(crate) fn sleeper() -> String {
    serde_json::json!({"args": ["sleep", "1000"]}).to_string()
}

/// A series of one process, as it stands in /metrics.
pub(crate) fn series(name: &str, process: &str) -> String {
    format!("ncolony_process_{name}{{process=\"{process}\"}}")
}

/// Sends a signal.
pub(crate) fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("it lives");
}

/// Stops a process and waits until it has stopped.
pub(crate) fn stop_and_wait(pid: i32) {
    send(pid, Signal::SIGSTOP);
    wait_for("it to stop", || (state(pid) == Some('T')).then_some(()));
}

/// The state letter of a process, as /proc shows it.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// What tests look at again and again.
impl Colony {
    /// `/healthz?verbose`.
    pub(crate) fn verbose(&self) -> (u16, String) {
        self.get("/healthz?verbose")
    }

    /// The line of `/healthz?verbose` about one check or process.
    pub(crate) fn finding(&self, name: &str) -> Option<String> {
        let (_, text) = self.verbose();
        text.lines().find(|line| line[3..].split(' ').next() == Some(name)).map(str::to_string)
    }

    /// Waits until the line of `/healthz?verbose` about one check or process holds this text.
    pub(crate) fn wait_finding(&self, name: &str, text: &str) -> String {
        let what = format!("{name} to be found {text:?}, instead of {:?},", self.finding(name));
        self.wait(&what, || self.finding(name).filter(|line| line.contains(text)))
    }

    /// How often the log says something.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Waits until the directories have been looked at so many times more, at the tick.
    pub(crate) fn wait_ticks(&self, more: u32) {
        let polls = r#"ncolony_config_scans_total{trigger="poll"}"#;
        let before = self.metric(polls).expect("the metric");
        self.wait_metric(polls, |polls| polls >= before + f64::from(more));
    }

    /// The share of one processor that the monitor itself takes while `meanwhile` goes on.
    pub(crate) fn cpu_share(&self, meanwhile: impl FnOnce()) -> f64 {
        let (began, before) = (Instant::now(), cpu_time(self.pid()));
        meanwhile();
        (cpu_time(self.pid()) - before).as_secs_f64() / began.elapsed().as_secs_f64()
    }
}

/// The time that all threads of a process have run.
pub(crate) fn cpu_time(pid: i32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let stats = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    Duration::from_nanos(stats.filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok()).sum())
}

/// The pid of the monitor that works in a directory, whatever it was started through.
pub(crate) fn monitor_of(dir: &Path) -> Option<i32> {
    let config = dir.join("config").display().to_string();
    let is_monitor = |line: &[u8]| {
        let mut words = line.split(|byte| *byte == 0);
        words.next().is_some_and(|word| word.ends_with(b"ncolony")) && words.any(|word| word == config.as_bytes())
    };
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let found: Vec<i32> =
        pids.filter(|pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| is_monitor(&line))).collect();
    // A process that is just being made shows the monitor's words.
    found.iter().copied().find(|pid| parent(*pid).is_some_and(|parent| !found.contains(&parent)))
}

/// The parent of a process.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// A field of /proc/PID/status.
pub(crate) fn status(pid: i32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_string())
}

/// Starts the monitor as PID 1 of a namespace of its own, if that can be.
pub(crate) fn as_pid_1(setup: Setup) -> Option<Setup> {
    let works = succeeds("unshare", &["--pid", "--fork", "--mount-proc", "true"]);
    can("a pid namespace", works)
        .then(|| setup.through(&["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]))
}

impl Colony {
    /// SIGSTOP, and waits until no thread of the monitor runs any more: on a busy machine that takes its time.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let stopped = |thread: fs::DirEntry| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"))
        };
        self.wait("the monitor to be frozen", || {
            let mut threads = fs::read_dir(format!("/proc/{}/task", self.pid())).ok()?.flatten();
            threads.all(stopped).then_some(())
        });
    }
}

/// A monitor that gives this one answer to everybody.
pub(crate) fn imposter(dir: &Path, answer: String) {
    let listener = UnixListener::bind(dir.join(".ncolony.sock")).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            // Some connect, look at whom they have before them, and ask at another connection.
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    line.clear();
                }
                let _ = reader.get_mut().write_all(answer.as_bytes());
            });
        }
    });
}
