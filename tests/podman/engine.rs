//! podman with a configuration and a storage of the tests' own, and the images in it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use nix::fcntl::{Flock, FlockArg};

use crate::support::{can, succeeds};

/// What `deploy/Containerfile` makes.
pub(crate) const BARE: &str = "localhost/ncolony:tests";
/// The same as an application's image has it, with a shell and its tools beside it.
pub(crate) const WITH_SHELL: &str = "localhost/application:tests";
/// What a shell's scripts need here.
const TOOLS: [&str; 24] = [
    "sh", "sleep", "true", "cat", "echo", "env", "id", "ls", "mkdir", "touch", "rm", "mv", "kill", "ps", "dd", "grep",
    "sed", "setsid", "seq", "tail", "test", "wget", "yes", "usleep",
];
/// Without CAP_SYS_RESOURCE no limit can be raised, and podman's own defaults would.
const CONF: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=30000:30000"]
log_driver = "k8s-file"
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"#;

/// podman, ready to run containers.
pub(crate) struct Engine {
    dir: PathBuf,
    /// One program of tests at a time.
    _alone: Flock<File>,
}

/// The engine, if there can be one; begun once.
pub(crate) fn engine() -> Option<&'static Engine> {
    static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
    ENGINE.get_or_init(Engine::begin).as_ref()
}

/// The binary that the image is made from.
fn static_binary() -> Option<PathBuf> {
    let path = std::env::var_os("NCOLONY_STATIC").map(PathBuf::from);
    let path = path.filter(|path| path.is_file());
    can("a static binary, whose path is in NCOLONY_STATIC", path.is_some());
    path
}

impl Engine {
    fn begin() -> Option<Engine> {
        let binary = static_binary()?;
        let is_able = can("root", nix::unistd::Uid::effective().is_root())
            && can("podman and runc", succeeds("podman", &["--version"]) && succeeds("runc", &["--version"]))
            && can("a static busybox", Path::new("/bin/busybox").is_file());
        if !is_able {
            return None;
        }
        let engine = Engine::configure();
        // What a run before this one has left, if it was killed.
        engine.podman(&["pod", "rm", "--all", "--force"]);
        engine.podman(&["rm", "--all", "--force", "--time", "0"]);
        engine.podman(&["volume", "prune", "--force"]);
        engine.build(&binary);
        let output = engine.podman(&["run", "--rm", "--log-driver", "none", BARE, "--version"]);
        let works = output.status.success();
        can(&format!("containers ({})", String::from_utf8_lossy(&output.stderr).trim()), works).then_some(engine)
    }

    fn configure() -> Engine {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("podman");
        fs::create_dir_all(&dir).expect("a directory");
        let alone = File::create(dir.join("lock")).expect("a file");
        let alone = Flock::lock(alone, FlockArg::LockExclusive).expect("others end");
        let path = |name: &str| dir.join(name).display().to_string();
        let own = ["tmp_dir", "static_dir", "volume_path"].map(|key| format!("{key} = {:?}\n", path(key)));
        fs::write(dir.join("containers.conf"), format!("{CONF}{}", own.concat())).expect("a file");
        let storage =
            format!("[storage]\ndriver = \"overlay\"\ngraphroot = {:?}\nrunroot = {:?}\n", path("graph"), path("run"));
        fs::write(dir.join("storage.conf"), storage).expect("a file");
        Engine { dir, _alone: alone }
    }

    /// A command of podman's.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.dir.join("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.dir.join("storage.conf"));
        command.env("TMPDIR", &self.dir).args(args).stdin(Stdio::null());
        command
    }

    /// Does it, and tells how that went.
    pub(crate) fn podman(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("podman is there")
    }

    /// Does it, and takes what it prints; a failure is the test's.
    pub(crate) fn say(&self, args: &[&str]) -> String {
        let output = self.podman(args);
        assert!(output.status.success(), "podman {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// The example's image, built once; where its base image cannot be had, a file system of Debian's stands in for that.
    pub(crate) fn example(&self) -> Option<&'static str> {
        static BUILT: OnceLock<Option<&str>> = OnceLock::new();
        *BUILT.get_or_init(|| self.build_example())
    }

    fn build_example(&self) -> Option<&'static str> {
        let root = std::env::var("NCOLONY_DEBIAN_ROOT").unwrap_or_default();
        let is_there = Path::new(&root).is_file();
        if !can("an archive of a small Debian, whose path is in NCOLONY_DEBIAN_ROOT", is_there) {
            return None;
        }
        self.say(&["import", "--quiet", &root, "docker.io/library/debian:bookworm-slim"]);
        self.say(&["tag", BARE, "localhost/ncolony:0.1.0"]);
        let context = format!("{}/deploy/example", env!("CARGO_MANIFEST_DIR"));
        let image = "localhost/example:tests";
        self.say(&["build", "--pull=never", "--network=host", "-t", image, &context]);
        Some(image)
    }

    /// Builds the images. The stage that compiles is stood in for by a directory, so no base image is needed.
    fn build(&self, binary: &Path) {
        let root = env!("CARGO_MANIFEST_DIR");
        let out = self.dir.join("build/out");
        fs::create_dir_all(out.join("empty")).expect("a directory");
        fs::copy(binary, out.join("ncolony")).expect("a copy");
        let context = format!("build={}", self.dir.join("build").display());
        let file = format!("{root}/deploy/Containerfile");
        self.say(&["build", "--isolation", "chroot", "--build-context", &context, "-f", &file, "-t", BARE, root]);

        let application = self.dir.join("application");
        let bin = application.join("bin");
        let _ = fs::remove_dir_all(&application);
        fs::create_dir_all(&bin).expect("a directory");
        fs::copy("/bin/busybox", bin.join("busybox")).expect("a copy");
        for tool in TOOLS {
            symlink("busybox", bin.join(tool)).expect("a link");
        }
        // What podman asks an HTTP probe by: curl -f URL.
        let curl = "#!/bin/sh\nexec wget -q -O /dev/null \"$2\"\n";
        fs::write(bin.join("curl"), curl).expect("a file");
        fs::set_permissions(bin.join("curl"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
        fs::write(application.join("Containerfile"), format!("FROM {BARE}\nCOPY bin/ /bin/\n")).expect("a file");
        self.say(&["build", "--isolation", "chroot", "-t", WITH_SHELL, &application.display().to_string()]);
    }
}
