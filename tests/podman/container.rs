//! A container under test: a colony as the main process of the image, ended and removed when the test ends.

use std::cell::OnceCell;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::engine::{Engine, WITH_SHELL, engine};
use crate::support::{get, wait_until, write_file};

/// The image's own user.
pub(crate) const NONROOT: u32 = 65532;

/// How to run one.
pub(crate) struct Setup {
    engine: &'static Engine,
    /// Where the process files, the messages and the log are, outside.
    dir: TempDir,
    rights: Vec<String>,
    user: String,
    messages: Option<String>,
    options: Vec<String>,
    words: Vec<String>,
}

impl Setup {
    /// As the restricted Pod Security Standard has it, on a root that nobody can write: not root, no capability, no new
    /// privileges, nothing writable but the messages. None where there is no podman, which is told.
    pub(crate) fn restricted() -> Option<Setup> {
        let engine = engine()?;
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["config", "messages"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path(), open).expect("its mode");
        let rights = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"];
        let setup = Setup {
            engine,
            rights: rights.map(str::to_string).to_vec(),
            user: String::new(),
            messages: Some(format!("{}:/run/ncolony/messages", dir.path().join("messages").display())),
            dir,
            options: Vec::new(),
            words: vec!["run".into(), "--listen=127.0.0.1:0".into(), "--frequency=1".into()],
        };
        Some(setup.user(NONROOT, NONROOT))
    }

    /// Another user, to whom the messages belong.
    pub(crate) fn user(mut self, user: u32, group: u32) -> Setup {
        chown(self.dir.path().join("messages"), Some(user), Some(group)).expect("root may");
        self.user = format!("{user}:{group}");
        self
    }

    /// Another volume for the messages, or none.
    pub(crate) fn messages(mut self, volume: Option<&str>) -> Setup {
        self.messages = volume.map(str::to_string);
        self
    }

    /// Options of `podman run`.
    pub(crate) fn options(mut self, options: &[&str]) -> Setup {
        self.options.extend(options.iter().map(ToString::to_string));
        self
    }

    /// Flags of `ncolony run`.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Setup {
        self.words.extend(flags.iter().map(ToString::to_string));
        self
    }

    /// What the image's entrypoint is given instead of `run` and its flags.
    pub(crate) fn words(mut self, words: &[&str]) -> Setup {
        self.words = words.iter().map(ToString::to_string).collect();
        self
    }

    /// A process file.
    pub(crate) fn file(self, name: &str, text: &str) -> Setup {
        write_file(&self.dir.path().join("config"), name, text);
        self
    }

    /// A path outside.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Begins it; it may end at once.
    pub(crate) fn start(self) -> Container {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let log = format!("path={}", self.path("log").display());
        let config = format!("{}:/etc/ncolony/processes:ro", self.path("config").display());
        let user = format!("--user={}", self.user);
        let mut args = vec!["run", "--detach", "--name", &name, "--log-opt", &log, "--volume", &config, &user];
        args.extend(self.messages.iter().flat_map(|volume| ["--volume", volume.as_str()]));
        args.extend(self.rights.iter().chain(&self.options).map(String::as_str));
        args.push(WITH_SHELL);
        args.extend(self.words.iter().map(String::as_str));
        self.engine.say(&args);
        Container { engine: self.engine, dir: self.dir, name, address: OnceCell::new() }
    }

    /// Begins it and waits until `/healthz` is 200.
    pub(crate) fn ready(self) -> Container {
        let container = self.start();
        container.wait_ready();
        container
    }
}

/// A colony in a container.
pub(crate) struct Container {
    engine: &'static Engine,
    dir: TempDir,
    name: String,
    address: OnceCell<SocketAddr>,
}

impl Container {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A path outside.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// podman with this verb for this container.
    pub(crate) fn podman(&self, verb: &[&str]) -> Output {
        let args: Vec<&str> = verb.iter().copied().chain([self.name.as_str()]).collect();
        self.engine.podman(&args)
    }

    /// A field of `podman inspect`.
    pub(crate) fn inspect(&self, field: &str) -> String {
        self.engine.say(&["inspect", "--format", &format!("{{{{{field}}}}}"), &self.name])
    }

    /// Runs a command inside.
    pub(crate) fn exec(&self, words: &[&str]) -> Output {
        let args: Vec<&str> = ["exec", &self.name].into_iter().chain(words.iter().copied()).collect();
        self.engine.podman(&args)
    }

    /// What a command inside prints.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let output = self.exec(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// The main process's pid, outside.
    pub(crate) fn pid(&self) -> i32 {
        self.inspect(".State.Pid").parse().expect("a pid")
    }

    /// What it and its processes have written, as the runtime has kept it, without the runtime's own words.
    pub(crate) fn log(&self) -> String {
        // TIME STREAM F TEXT
        let text = String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned();
        let lines = text.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default());
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// The lines of the log that hold this text.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        self.log().lines().filter(|line| line.contains(text)).map(str::to_string).collect()
    }

    /// The lines of the log that hold this text, once there is one: what happens is in the log a little later.
    pub(crate) fn wait_lines(&self, text: &str) -> Vec<String> {
        self.wait_log(text);
        self.lines_with(text)
    }

    /// Waits for a value; when it does not come, shows the log.
    pub(crate) fn wait<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> T {
        wait_until(what, look).unwrap_or_else(|| panic!("waited in vain for {what}; the log:\n{}", self.log()))
    }

    pub(crate) fn wait_log(&self, text: &str) {
        self.wait(&format!("the log to say {text:?}"), || self.log().contains(text).then_some(()));
    }

    /// The status server's address, which the log tells.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.get_or_init(|| {
            self.wait("it to tell its address", || {
                self.log().split("on http://").nth(1)?.split('/').next()?.parse().ok()
            })
        })
    }

    /// Status code and body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.address(), path).unwrap_or_else(|| (0, String::new()))
    }

    pub(crate) fn wait_ready(&self) {
        let mut last = String::new();
        self.wait("it to be ready", || {
            let (code, text) = self.get("/healthz?verbose");
            last = text;
            (code == 200).then_some(())
        });
    }

    /// The line of `/healthz?verbose` about one check or process.
    pub(crate) fn finding(&self, name: &str) -> Option<String> {
        let (_, text) = self.get("/healthz?verbose");
        text.lines()
            .find(|line| line.get(3..).and_then(|rest| rest.split(' ').next()) == Some(name))
            .map(str::to_string)
    }

    /// Waits until the line of `/healthz?verbose` about one check or process holds this text.
    pub(crate) fn wait_finding(&self, name: &str, text: &str) -> String {
        let mut last = None;
        let found = wait_until(name, || {
            last = self.finding(name);
            last.clone().filter(|line| line.contains(text))
        });
        found.unwrap_or_else(|| panic!("{name} is not found {text:?} but {last:?}; the log:\n{}", self.log()))
    }

    /// The value of a series of `/metrics`.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    pub(crate) fn wait_metric(&self, series: &str, good: impl Fn(f64) -> bool) -> f64 {
        self.wait(&format!("{series} to be as expected"), || self.metric(series).filter(|value| good(*value)))
    }

    /// The pid inside of a process's main process, from its latest log line.
    pub(crate) fn pid_of(&self, name: &str) -> Option<i32> {
        let log = self.log();
        let line = log.lines().rev().find(|line| line.contains(&format!("started {name}: ")))?;
        line.split("pid=").nth(1)?.split_whitespace().next()?.parse().ok()
    }

    /// Waits for a process's first, or next, pid inside.
    pub(crate) fn wait_pid(&self, name: &str, other_than: Option<i32>) -> i32 {
        self.wait(&format!("{name} to be started"), || self.pid_of(name).filter(|pid| Some(*pid) != other_than))
    }

    /// Whether there is such a process inside, and no zombie.
    pub(crate) fn lives(&self, pid: i32) -> bool {
        let stat = self.exec(&["cat", &format!("/proc/{pid}/stat")]);
        let stat = String::from_utf8_lossy(&stat.stdout).into_owned();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    }

    /// Puts a process file in place, whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        write_file(&self.path("config"), name, text);
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path("config").join(name)).expect("it is there");
    }

    /// Sends a signal to the main process.
    pub(crate) fn signal(&self, signal: &str) {
        let output = self.podman(&["kill", "--signal", signal]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// `podman stop` with this many seconds until SIGKILL; how long it took.
    pub(crate) fn stop(&self, seconds: u32) -> Duration {
        let began = Instant::now();
        let output = self.podman(&["stop", "--time", &seconds.to_string()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        began.elapsed()
    }

    /// Waits for its end; the exit status.
    pub(crate) fn exit_status(&self) -> i32 {
        self.wait("it to end", || (self.inspect(".State.Running") == "false").then_some(()));
        self.inspect(".State.ExitCode").parse().expect("a number")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.podman(&["rm", "--force", "--time", "0"]);
    }
}

/// Whether a command outside succeeds; its words are shown if not.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Lays out a volume's files as the kubelet does: links to `..data`, itself a link to a directory of this moment.
pub(crate) fn swap(volume: &Path, version: &str, files: &[(&str, &str)]) {
    use std::os::unix::fs::symlink;
    let dir = format!("..{version}");
    fs::create_dir(volume.join(&dir)).expect("a directory");
    for (name, text) in files {
        fs::write(volume.join(&dir).join(name), text).expect("a file");
    }
    let before = fs::read_link(volume.join("..data")).ok();
    symlink(&dir, volume.join("..data_tmp")).expect("a link");
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("one directory");
    for (name, _) in files {
        let _ = symlink(format!("..data/{name}"), volume.join(name));
    }
    for entry in fs::read_dir(volume).expect("a directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !files.iter().any(|(file, _)| *file == name) {
            fs::remove_file(entry.path()).expect("a link");
        }
    }
    if let Some(before) = before {
        fs::remove_dir_all(volume.join(before)).expect("a directory");
    }
}
