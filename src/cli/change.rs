//! The verbs of `ncolony ctl` that change something, in kubectl's words where it has them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::read::duration;

/// `ncolony ctl apply`
#[derive(Args, Clone, Debug)]
pub struct ApplyArgs {
    /// A process file, a directory of them, or "-": files on stdin, each headed by "# NAME.yaml", with "---" between them;
    /// may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-", required = true)]
    pub files: Vec<PathBuf>,

    /// The process's name, of a single file on stdin
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// `--dry-run`
    #[command(flatten)]
    pub dry_run: DryRun,

    /// `--wait`
    #[command(flatten)]
    pub wait: WaitFlags,
}

/// `ncolony ctl diff`
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// A process file, a directory of them, or "-": files on stdin, each headed by "# NAME.yaml", with "---" between them;
    /// may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-", required = true)]
    pub files: Vec<PathBuf>,

    /// The process's name, of a single file on stdin
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `--dry-run`, for which kubectl has two words that come to the same here.
#[derive(Args, Clone, Debug, Default)]
pub struct DryRun {
    /// Say what would be done, and do nothing ("client" and "server" are the same here)
    #[arg(long = "dry-run", value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client", value_parser = ["none", "client", "server"])]
    dry_run: Option<String>,
}

impl DryRun {
    /// Whether nothing is to be done.
    pub fn is_asked(&self) -> bool {
        self.dry_run.as_deref().is_some_and(|place| place != "none")
    }
}

/// `--wait`
#[derive(Args, Clone, Debug)]
pub struct WaitFlags {
    /// Wait until it is so, as the monitor tells
    #[arg(long)]
    pub wait: bool,

    /// How long --wait waits
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s", requires = "wait")]
    pub timeout: Duration,
}

/// `ncolony ctl delete`
#[derive(Args, Clone, Debug)]
pub struct DeleteArgs {
    /// Whom
    #[command(flatten)]
    pub names: NamesArgs,

    /// Those that a process file, or a directory of them, describes: by the files' names; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR", conflicts_with_all = ["names", "name_option", "selector", "all"])]
    pub files: Vec<PathBuf>,

    /// Be content where there is no such process
    #[arg(long)]
    pub ignore_not_found: bool,

    /// Delete also what other files depend on
    #[arg(long)]
    pub force: bool,

    /// `--dry-run`
    #[command(flatten)]
    pub dry_run: DryRun,

    /// `--wait`
    #[command(flatten)]
    pub wait: WaitFlags,
}

/// `ncolony ctl scale`
#[derive(Args, Clone, Debug)]
pub struct ScaleArgs {
    /// Whom
    #[command(flatten)]
    pub names: NamesArgs,

    /// How many of each there are to be
    #[arg(long, value_name = "N", value_parser = replicas)]
    pub replicas: u32,

    /// `--dry-run`
    #[command(flatten)]
    pub dry_run: DryRun,

    /// `--wait`
    #[command(flatten)]
    pub wait: WaitFlags,
}

fn replicas(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|many| *many <= 1000).ok_or_else(|| "expected a number from 0 to 1000".to_string())
}

/// `ncolony ctl stop`, `ncolony ctl start`
#[derive(Args, Clone, Debug)]
pub struct OutageArgs {
    /// Whom
    #[command(flatten)]
    pub names: NamesArgs,

    /// Write it into their files, as "suspend": what begins anew keeps to it
    #[arg(long)]
    pub persist: bool,

    /// `--wait`
    #[command(flatten)]
    pub wait: WaitFlags,
}

/// Processes, by their names (as arguments or, as NColony's older scripts have it, as an option) or by their groups.
#[derive(Args, Clone, Debug)]
pub struct NamesArgs {
    /// The processes' names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// The process's name
    #[arg(long = "name", value_name = "NAME", id = "name_option", hide = true, conflicts_with = "names")]
    pub name_option: Option<String>,

    /// Those whose file says so: group=GROUP, group!=GROUP; several, with commas, must all be true
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "name_option")]
    pub selector: Option<String>,

    /// All that there are files of
    #[arg(long, conflicts_with_all = ["name_option", "selector"])]
    pub all: bool,
}

impl NamesArgs {
    /// The names, whichever way they were given, as they are written.
    pub fn get(&self) -> Vec<&str> {
        self.names.iter().chain(&self.name_option).map(String::as_str).collect()
    }

    /// Whether they are named one by one.
    pub fn is_by_name(&self) -> bool {
        self.selector.is_none() && !self.all
    }
}

/// `ncolony ctl restart`, `ncolony ctl trigger`
#[derive(Args, Clone, Debug)]
pub struct AskArgs {
    /// Whom
    #[command(flatten)]
    pub names: NamesArgs,

    /// `--wait`
    #[command(flatten)]
    pub wait: WaitFlags,
}

/// `ncolony ctl rollout`
#[derive(Args, Clone, Debug)]
pub struct RolloutArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: RolloutVerb,
}

/// The verbs of `ncolony ctl rollout`.
#[derive(Clone, Debug, Subcommand)]
pub enum RolloutVerb {
    /// Ask for a restart of processes, or of a group: replicas one at a time
    Restart(WhomArgs),
    /// Tell how far processes are from being as their files want them, until they are
    Status(StatusArgs),
}

/// Processes by name, or a group of them.
#[derive(Args, Clone, Debug)]
pub struct WhomArgs {
    /// The processes' names
    #[arg(value_name = "NAME", required_unless_present_any = ["groups", "selector"])]
    pub names: Vec<String>,

    /// All processes of a group, as the key "group" of their files names it; may be repeated
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "names")]
    pub groups: Vec<String>,

    /// Those whose file says so: group=GROUP, group!=GROUP; several, with commas, must all be true
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["names", "groups"])]
    pub selector: Option<String>,

    /// `--wait`
    #[command(flatten)]
    pub wait: WaitFlags,
}

/// `ncolony ctl rollout status`
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// The processes' names [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// All processes of a group, as the key "group" of their files names it; may be repeated
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "names")]
    pub groups: Vec<String>,

    /// Those whose file says so: group=GROUP, group!=GROUP; several, with commas, must all be true
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["names", "groups"])]
    pub selector: Option<String>,

    /// How long to wait; 0 for as long as it takes
    // The time after which a Deployment's rollout counts as failed.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10m")]
    pub timeout: Duration,
}
