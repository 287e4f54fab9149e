//! The command line: types only. What a flag means is said here, once, and printed by `--help`.

mod change;
mod convert;
mod documents;
mod flags;
mod programs;
mod read;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};

pub use change::{
    ApplyArgs, AskArgs, DeleteArgs, DiffArgs, DryRun, NamesArgs, OutageArgs, RolloutArgs, RolloutVerb, ScaleArgs,
    StatusArgs, WaitFlags, WhomArgs,
};
pub use convert::{ConvertArgs, ConvertFrom};
pub use documents::{CompleteArgs, CompletionArgs, ExplainArgs, ManArgs, Shell};
pub use flags::without_truth;
pub use programs::{BeatArgs, CheckerArgs, SchedulerArgs};
pub use read::{
    CONDITIONS, ChoiceArgs, Color, ColorArgs, DescribeArgs, EventsArgs, FORMATS, GetArgs, LogsArgs, TopArgs, WaitArgs,
    WhyArgs,
};

/// Where process files are looked for when no flag says so.
pub const CONFIG_DIR: &str = "/etc/ncolony/processes";
/// The variable of the environment that says so.
pub const CONFIG_VARIABLE: &str = "NCOLONY_RUN_CONFIG";
/// Where messages are looked for when no flag says so.
pub const MESSAGES_DIR: &str = "/run/ncolony/messages";
/// The variable of the environment that says so.
pub const MESSAGES_VARIABLE: &str = "NCOLONY_RUN_MESSAGES";
/// The port of `/metrics` and the health checks.
pub const PORT: u16 = 9620;

/// Runs, watches and heals the processes of a container.
#[derive(Debug, Parser)]
#[command(name = "ncolony", version, propagate_version = true, max_term_width = 100)]
// As with NColony, a flag may be cut short (`--freq`, `--conf`), and of a flag that is given twice the last counts.
#[command(infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The programs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the processes that a directory describes, until SIGTERM
    Run(RunArgs),
    /// Show a small colony at work, in a directory of its own
    Demo(DemoArgs),
    /// Check process files without running anything: exit 0 if all are good, 1 if not
    Check(CheckArgs),
    /// Turn the configuration of another supervisor into process files, and name what has no counterpart
    Convert(ConvertArgs),
    /// Change what a colony runs, and ask its monitor for things
    Ctl(CtlArgs),
    /// Run one program as PID 1 does: pass signals on, collect orphans, end with its status
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Reaper(ReaperArgs),
    /// Beat the heart of the process that this runs in: once, again and again, or while a command runs
    Beat(BeatArgs),
    /// Ask for the restart of processes whose heartbeat stops, under whichever monitor
    Beatcheck(CheckerArgs),
    /// Ask for the restart of processes that do not answer HTTP requests, under whichever monitor
    Httpcheck(CheckerArgs),
    /// Run a command again and again, never two at a time
    Scheduler(SchedulerArgs),
    /// Explain the keys of a process file, one at a time
    Explain(ExplainArgs),
    /// Print the JSON Schema of a process file
    Schema,
    /// Print what a shell needs to complete command lines
    Completion(CompletionArgs),
    /// Print a manual page, as roff
    Man(ManArgs),
    /// Print how a command line may go on, for a shell
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArgs),
}

/// `ncolony run`
#[derive(Args, Clone, Debug)]
#[command(allow_negative_numbers = true)] // so that `-t -5` is told what is wrong with it
pub struct RunArgs {
    /// Directory with a file per process
    #[arg(long, value_name = "DIR", default_value = CONFIG_DIR, env = CONFIG_VARIABLE)]
    pub config: PathBuf,

    /// Directory for messages: a file per request, deleted once handled
    #[arg(long, value_name = "DIR", default_value = MESSAGES_DIR, env = MESSAGES_VARIABLE)]
    pub messages: PathBuf,

    /// How often both directories are looked at, whatever was noticed in between
    #[arg(long, visible_alias = "freq", value_name = "SECONDS", default_value = "10", value_parser = seconds_above_zero, env = "NCOLONY_RUN_FREQUENCY")]
    pub frequency: f64,

    /// Directory to keep a file per running process in, holding its pid
    #[arg(long, value_name = "DIR", env = "NCOLONY_RUN_PID")]
    pub pid: Option<PathBuf>,

    /// A run shorter than this is a failure: the next one waits
    #[arg(short = 't', long, value_name = "SECONDS", default_value = "10", value_parser = seconds, env = "NCOLONY_RUN_THRESHOLD")]
    pub threshold: f64,

    /// From the stop signal to SIGKILL
    #[arg(short = 'k', long, value_name = "SECONDS", default_value = "5", value_parser = seconds, env = "NCOLONY_RUN_KILLTIME")]
    pub killtime: f64,

    /// From SIGTERM to the end of all, whatever the graces; they are cut short to fit in [default: as long as it takes]
    #[arg(long, value_name = "SECONDS", value_parser = seconds_above_zero, env = "NCOLONY_RUN_SHUTDOWN_TIMEOUT")]
    pub shutdown_timeout: Option<f64>,

    /// After SIGTERM /healthz is 503 for so long before anything is stopped
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds, env = "NCOLONY_RUN_DRAIN")]
    pub drain: f64,

    /// The first delay after a short run; it doubles at each further one
    #[arg(short = 'm', long, value_name = "SECONDS", default_value = "1", value_parser = seconds_above_zero, env = "NCOLONY_RUN_MINRESTARTDELAY")]
    pub minrestartdelay: f64,

    /// The longest delay after short runs
    #[arg(short = 'M', long, value_name = "SECONDS", default_value = "300", value_parser = seconds_above_zero, env = "NCOLONY_RUN_MAXRESTARTDELAY")]
    pub maxrestartdelay: f64,

    /// Address and port of /metrics, /healthz, /readyz, /livez and the status page; "off" for none
    #[arg(long, value_name = "[ADDRESS:]PORT", default_value = "9620", value_parser = listen, env = "NCOLONY_RUN_LISTEN")]
    pub listen: Listen,

    /// Where the journal is kept that tells the next monitor who runs [default: MESSAGES/.ncolony]
    #[arg(long, value_name = "DIR", env = "NCOLONY_RUN_STATE")]
    pub state: Option<PathBuf>,

    /// What becomes of the processes' output, unless their file says otherwise
    #[arg(long, value_enum, default_value = "prefix", env = "NCOLONY_RUN_OUTPUT")]
    pub output: OutputFlag,

    /// End when every process has ended for good: with 0 if all succeeded, else with the first failure's status
    #[arg(long, value_parser = BoolishValueParser::new(), env = "NCOLONY_RUN_UNTIL_COMPLETE")]
    pub until_complete: bool,

    /// Where the reason goes when the colony ends of itself [default: /dev/termination-log, if there is one]
    #[arg(long, value_name = "PATH", env = "NCOLONY_RUN_TERMINATION_LOG")]
    pub termination_log: Option<PathBuf>,

    /// Do not use inotify; look at the directories every --frequency seconds only
    #[arg(long, value_parser = BoolishValueParser::new(), env = "NCOLONY_RUN_NO_WATCH")]
    pub no_watch: bool,

    /// As root, take process files that others may write, too
    #[arg(long, value_parser = BoolishValueParser::new(), env = "NCOLONY_RUN_INSECURE_CONFIG")]
    pub insecure_config: bool,

    /// As root, take process files of this user, too; may be repeated
    #[arg(long, value_name = "UID", value_parser = id, env = "NCOLONY_RUN_TRUSTED_UID", value_delimiter = ',')]
    pub trusted_uid: Vec<u32>,

    /// How many bytes of each run's last lines are kept for `ctl logs`; 0 for none
    #[arg(long, value_name = "BYTES", default_value = "16Ki", value_parser = bytes, env = "NCOLONY_RUN_LOG_BUFFER")]
    pub log_buffer: usize,

    /// How many bytes all runs' last lines may take together
    #[arg(long, value_name = "BYTES", default_value = "1Mi", value_parser = bytes, env = "NCOLONY_RUN_LOG_BUFFER_TOTAL")]
    pub log_buffer_total: usize,

    /// How the monitor's own log lines are written
    #[arg(long, value_enum, default_value = "text", env = "NCOLONY_RUN_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// `ncolony demo`
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Address and port of the status page
    #[arg(long, value_name = "[ADDRESS:]PORT", default_value = "127.0.0.1:9620", value_parser = listen)]
    pub listen: Listen,
}

/// `ncolony check`
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Directory of process files, or one process file
    #[arg(value_name = "DIR|FILE", default_value = CONFIG_DIR, env = CONFIG_VARIABLE)]
    pub path: PathBuf,
}

/// `ncolony reaper`, which reads its words itself
#[derive(Args, Clone, Debug)]
pub struct ReaperArgs {
    /// Options, the program and its arguments; see ncolony reaper --help
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// `ncolony ctl`
#[derive(Args, Clone, Debug)]
pub struct CtlArgs {
    /// The monitor's directory for messages
    #[arg(long, value_name = "DIR", default_value = MESSAGES_DIR, env = MESSAGES_VARIABLE, global = true)]
    pub messages: PathBuf,

    /// The monitor's directory of process files
    #[arg(long, value_name = "DIR", default_value = CONFIG_DIR, env = CONFIG_VARIABLE, global = true)]
    pub config: PathBuf,

    /// What to do.
    #[command(subcommand)]
    pub verb: CtlVerb,
}

/// The verbs of `ncolony ctl` that show how things are, as the monitor tells it.
#[derive(Clone, Debug, Subcommand)]
pub enum ReadVerb {
    /// List processes
    Get(GetArgs),
    /// Show all that is known of processes
    Describe(DescribeArgs),
    /// Print what processes have printed last
    Logs(LogsArgs),
    /// List what has happened
    Events(EventsArgs),
    /// Show what processes use of processors and memory: on a terminal until q, and the rates from the second look on
    Top(TopArgs),
    /// Wait until processes are ready, say, or gone
    Wait(WaitArgs),
    /// Say why a process is as it is, down to the last cause
    Why(WhyArgs),
}

impl ReadVerb {
    /// When there are colours in what it prints.
    pub fn color(&self) -> Color {
        match self {
            ReadVerb::Get(args) => args.color.color,
            ReadVerb::Describe(args) => args.color.color,
            ReadVerb::Events(args) => args.color.color,
            ReadVerb::Top(args) => args.color.color,
            ReadVerb::Why(args) => args.color.color,
            ReadVerb::Logs(_) | ReadVerb::Wait(_) => Color::Never,
        }
    }
}

/// The verbs of `ncolony ctl`.
#[derive(Clone, Debug, Subcommand)]
pub enum CtlVerb {
    /// What shows how things are.
    #[command(flatten)]
    Read(ReadVerb),
    /// Write the file of a process: add it, or change it
    Add(Box<AddArgs>),
    /// Delete the file of a process: it is stopped
    Remove(NameArgs),
    /// Write process files as they are given: add them, or change them
    Apply(ApplyArgs),
    /// Show what apply would change: exit 0 if nothing, 1 if something, 2 if it cannot be told
    Diff(DiffArgs),
    /// Delete the files of processes: they are stopped
    Delete(DeleteArgs),
    /// Set how many of a process there are, in its file
    Scale(ScaleArgs),
    /// Ask for a restart of processes
    Restart(AskArgs),
    /// Ask for a restart of every process
    RestartAll,
    /// Ask for a restart of every process of a group
    RestartGroup(GroupArgs),
    /// Ask for restarts, or tell how far what was asked for is
    Rollout(RolloutArgs),
    /// Stop processes until they are started again, their files are edited, or the monitor begins anew
    Stop(OutageArgs),
    /// Start processes that were stopped, have ended, or wait for their next try
    Start(OutageArgs),
    /// Run processes that have a schedule now, besides it
    Trigger(AskArgs),
    /// Send a signal to the main process of each of these, once
    Signal(SignalArgs),
    /// Explain the keys of a process file, one at a time
    Explain(ExplainArgs),
    /// Check process files without running anything: exit 0 if all are good, 1 if not
    Check(CheckTheseArgs),
}

/// `ncolony ctl check`
#[derive(Args, Clone, Debug)]
pub struct CheckTheseArgs {
    /// Directory of process files, or one process file [default: that of --config]
    #[arg(value_name = "DIR|FILE")]
    pub path: Option<PathBuf>,
}

/// `ncolony ctl add`
#[derive(Args, Clone, Debug)]
pub struct AddArgs {
    /// The process's name
    #[command(flatten)]
    pub name: NameArgs,

    /// The program; looked up in the process's PATH unless it holds a "/"
    #[arg(long, value_name = "CMD", allow_hyphen_values = true)]
    pub cmd: String,

    /// An argument; may be repeated
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    pub args: Vec<String>,

    /// A variable of the process's environment; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,

    /// A variable taken from the monitor's environment; may be repeated
    #[arg(long = "env-inherit", value_name = "VARIABLE")]
    pub env_inherit: Vec<String>,

    /// The user to run as
    #[arg(long, value_name = "N", value_parser = id, allow_negative_numbers = true)]
    pub uid: Option<u32>,

    /// The group to run as
    // NColony takes `--g` for it, which would else be ambiguous.
    #[arg(long, alias = "g", value_name = "N", value_parser = id, allow_negative_numbers = true)]
    pub gid: Option<u32>,

    /// A group that it is restarted with; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,

    /// When it is restarted: Always, OnFailure or Never
    #[arg(long, value_name = "POLICY")]
    pub restart_policy: Option<String>,

    /// When it is run: a cron expression
    #[arg(long, value_name = "EXPRESSION")]
    pub schedule: Option<String>,

    /// A file with a JSON object whose keys are added, and win
    #[arg(long, value_name = "FILE")]
    pub extras: Option<PathBuf>,
}

/// A process's name, as an argument or, as NColony's older scripts have it, an option.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct NameArgs {
    /// The process's name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// The process's name
    #[arg(long = "name", value_name = "NAME", id = "name_option")]
    pub name_option: Option<String>,
}

/// `ncolony ctl restart-group`
#[derive(Args, Clone, Debug)]
pub struct GroupArgs {
    /// The group, as the key "group" of the process files names it
    #[arg(value_name = "GROUP")]
    pub group: String,
}

/// `ncolony ctl signal`
#[derive(Args, Clone, Debug)]
#[command(override_usage = "ncolony ctl signal [OPTIONS] <NAME...|-l SELECTOR|--all> <SIGNAL>")]
pub struct SignalArgs {
    /// The processes' names
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// The signal, such as HUP, SIGUSR1, RTMIN+3 or 15
    #[arg(value_name = "SIGNAL")]
    pub signal: Option<String>,

    /// Where there are several names, the signal is the last word
    #[arg(value_name = "SIGNAL", hide = true)]
    pub more: Vec<String>,

    /// Those whose file says so: group=GROUP, group!=GROUP; several, with commas, must all be true
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// All that there are files of
    #[arg(long, conflicts_with = "selector")]
    pub all: bool,
}

impl SignalArgs {
    /// Whom, and the signal: the last word.
    pub fn get(&self) -> Option<(NamesArgs, &str)> {
        let mut names: Vec<&String> = self.name.iter().chain(&self.signal).chain(&self.more).collect();
        let signal = names.pop()?;
        let (selector, all) = (self.selector.clone(), self.all);
        let whom = NamesArgs { names: names.into_iter().cloned().collect(), name_option: None, selector, all };
        (!whom.names.is_empty() || !whom.is_by_name()).then_some((whom, signal))
    }
}

impl NameArgs {
    /// The name, whichever way it was given.
    pub fn get(&self) -> &str {
        // clap's group sees to it that one of them is there.
        self.name.as_deref().or(self.name_option.as_deref()).unwrap_or_default()
    }
}

/// Where the status server listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On this port of all addresses, IPv6 and IPv4 where there are both.
    All(u16),
    /// On this address.
    At(std::net::SocketAddr),
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Listen::Off => f.write_str("off"),
            Listen::All(port) => write!(f, "{port}"),
            Listen::At(address) => write!(f, "{address}"),
        }
    }
}

/// `--output`
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum OutputFlag {
    /// `[NAME] line`
    Prefix,
    /// One JSON object a line
    Json,
    /// The monitor's own descriptors
    Inherit,
}

/// `--log-format`
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// The longest span that a flag takes: a hundred years, in seconds.
const LONGEST: f64 = 3_153_600_000.0;

fn seconds(text: &str) -> Result<f64, String> {
    seconds_from(0.0, text)
}

fn seconds_above_zero(text: &str) -> Result<f64, String> {
    seconds_from(0.001, text)
}

fn seconds_from(least: f64, text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number of seconds, such as 5 or 0.5".to_string())?;
    if (least..=LONGEST).contains(&value) { Ok(value) } else { Err(format!("expected {least} to {LONGEST} seconds")) }
}

/// The most that a flag of bytes takes: 1 GiB.
const MOST_BYTES: usize = 1 << 30;

fn bytes(text: &str) -> Result<usize, String> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("", 1)];
    let read = |(unit, size): (&str, usize)| text.strip_suffix(unit)?.parse::<usize>().ok()?.checked_mul(size);
    let value = units.into_iter().find_map(read).ok_or("expected a number of bytes, such as 65536, 64Ki or 1Mi")?;
    if value <= MOST_BYTES { Ok(value) } else { Err("expected at most 1Gi".to_string()) }
}

fn id(text: &str) -> Result<u32, String> {
    // The last of 32 bits means none, and is refused where it is looked at.
    text.parse().map_err(|_| "expected a number from 0 to 4294967294; names are not looked up".to_string())
}

fn listen(text: &str) -> Result<Listen, String> {
    if text == "off" {
        return Ok(Listen::Off);
    }
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
        return Ok(Listen::All(port));
    }
    text.parse().map(Listen::At).map_err(|_| {
        "expected a port, an address and port such as 127.0.0.1:9620 or [::1]:9620, or \"off\"".to_string()
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, Command, CtlVerb, Listen, listen};

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bytes_may_have_a_unit() {
        let rows =
            [("0", Some(0)), ("512", Some(512)), ("64Ki", Some(65536)), ("1Mi", Some(1 << 20)), ("1Gi", Some(1 << 30))];
        for (text, expected) in rows.into_iter().chain(["", "Ki", "-1", "1k", "2Gi", "1.5Mi"].map(|bad| (bad, None))) {
            assert_eq!(super::bytes(text).ok(), expected, "{text:?}");
        }
    }

    // W12
    #[test]
    fn listen_takes_ports_addresses_and_off() {
        assert_eq!(listen("9620"), Ok(Listen::All(9620)));
        assert_eq!(listen(":0"), Ok(Listen::All(0)));
        assert_eq!(listen("off"), Ok(Listen::Off));
        assert_eq!(listen("[::1]:80"), Ok(Listen::At("[::1]:80".parse().expect("an address"))));
        for bad in ["", "70000", "localhost:80", "1.2.3.4", "::1"] {
            assert!(listen(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_flags_of_the_original_are_taken() {
        let line = "ncolony run --config c --messages m --freq 1 --pid p -t 1 -k 5 -m 1 -M 3600";
        let cli = Cli::try_parse_from(line.split(' ')).expect("NColony's flags");
        let Command::Run(run) = cli.command else { panic!("run") };
        assert_eq!((run.frequency, run.threshold, run.killtime), (1.0, 1.0, 5.0));
        assert_eq!((run.minrestartdelay, run.maxrestartdelay), (1.0, 3600.0));
    }

    #[test]
    fn flags_may_be_cut_short_as_in_the_original() {
        let line = "ncolony run --conf c --mess m --fre 1 --thresh 2 --kill 3 --min 4 --max 5";
        let cli = Cli::try_parse_from(line.split(' ')).expect("NColony takes any unambiguous prefix");
        let Command::Run(run) = cli.command else { panic!("run") };
        assert_eq!((run.config.to_str(), run.messages.to_str()), (Some("c"), Some("m")));
        assert_eq!((run.frequency, run.threshold, run.killtime), (1.0, 2.0, 3.0));
        let line = "ncolony ctl --mes m --con c add web --cmd true --env A=1 --env-i B --ext f";
        Cli::try_parse_from(line.split(' ')).expect("argparse takes them, too");
    }

    #[test]
    fn the_last_of_a_flag_that_is_given_twice_counts_but_lists_grow() {
        let line = "ncolony run -k 1 --killtime 2 --frequency 3 --freq 4 --trusted-uid 5 --trusted-uid 6,7";
        let Command::Run(run) = Cli::try_parse_from(line.split(' ')).expect("good").command else { panic!("run") };
        assert_eq!((run.killtime, run.frequency, run.trusted_uid), (2.0, 4.0, vec![5, 6, 7]));
        let line = "ncolony ctl add web --cmd a --cmd b --arg c --arg d --env A=1 --env B=2";
        let Command::Ctl(ctl) = Cli::try_parse_from(line.split(' ')).expect("good").command else { panic!("ctl") };
        let CtlVerb::Add(add) = ctl.verb else { panic!("add") };
        assert_eq!((add.cmd.as_str(), add.args, add.env.len()), ("b", vec!["c".to_string(), "d".to_string()], 2));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for bad in
            ["--frequency=0", "--frequency=-1", "--killtime=nan", "--killtime=-1", "--threshold=1e400", "-m=0", "-t-5"]
        {
            assert!(Cli::try_parse_from(["ncolony", "run", bad]).is_err(), "{bad}");
        }
    }
}
