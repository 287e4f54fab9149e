//! The programs that print documents.

use clap::Args;

/// `ncolony explain`
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The way to a key, such as livenessProbe.periodSeconds [default: the file as a whole]
    #[arg(value_name = "KEY")]
    pub key: Option<String>,
}

/// `ncolony completion`
#[derive(Args, Clone, Debug)]
#[command(after_help = "In ~/.bashrc: source <(ncolony completion bash)\n\
In ~/.zshrc, below compinit: source <(ncolony completion zsh)\n\
In ~/.config/fish/config.fish: ncolony completion fish | source")]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// A shell that completes command lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// `ncolony man`
#[derive(Args, Clone, Debug)]
#[command(after_help = "To read one: ncolony man ctl apply | man -l -")]
pub struct ManArgs {
    /// The program, and its verb if it has any; or process-file, for the keys [default: ncolony itself]
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `ncolony __complete`
#[derive(Args, Clone, Debug)]
pub struct CompleteArgs {
    /// The shell that asks
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,

    /// The words behind the program, the one to complete last
    #[arg(value_name = "WORD", last = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}
