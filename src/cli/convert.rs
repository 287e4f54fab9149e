//! `ncolony convert`

use std::path::PathBuf;

use clap::Args;

/// `ncolony convert`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Exit status: 0 if everything has a counterpart; 1 if something has none, which is named on stderr; \
2 if nothing was converted."
)]
pub struct ConvertArgs {
    /// The format [default: told by each path's name and contents]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub from: Option<ConvertFrom>,

    /// Directory for a file per process [default: all to stdout]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Write over files that are there
    #[arg(long)]
    pub force: bool,

    /// Files, service directories, or directories of those
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

/// `--from`
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum ConvertFrom {
    /// supervisord's configuration
    Supervisord,
    /// A Procfile
    Procfile,
    /// A compose file
    Compose,
    /// systemd's units: services, and timers beside them
    Systemd,
    /// A service directory of s6, or a source directory of s6-rc
    S6,
    /// A service directory of runit
    Runit,
}
