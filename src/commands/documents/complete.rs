//! How a command line may go on: told from the definition that parses it, and from the process files.
//!
//! The answer is a line for each word, with a tab and what it means, and at last `:nothing`, or `:files` or `:dirs` where
//! the shell is to add what it finds.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};

use crate::cli::{CONDITIONS, CONFIG_DIR, CONFIG_VARIABLE, FORMATS, MESSAGES_DIR, MESSAGES_VARIABLE, Shell};
use crate::config::{self, Defaults, Directory, Scan, Trust};
use crate::ctl;
use crate::model::{Moment, Signal, sort_by};

/// What may stand in a place.
struct Answer {
    words: Vec<(String, String)>,
    more: &'static str,
}

pub(super) fn answer(mut root: Command, shell: Shell, words: &[String]) -> String {
    root.build();
    let words = whole(shell, words);
    let (last, before) = words.split_last().map_or(("", [].as_slice()), |(last, before)| (last.as_str(), before));
    let place = Place::of(&root, before);
    let Answer { words: found, more } = place.answer(last);
    // Bash goes on behind the last "=".
    let kept = if shell == Shell::Bash { last.rfind('=').map_or(0, |at| at + 1) } else { 0 };
    let mut out = String::new();
    for (word, meaning) in found {
        let word = word.get(kept..).unwrap_or_default();
        // A name may hold anything but control characters; to quote it is the shell's part.
        let meaning = if meaning.is_empty() { meaning } else { format!("\t{meaning}") };
        out.push_str(&format!("{word}{meaning}\n"));
    }
    out.push_str(&format!(":{more}\n"));
    out
}

/// The words as the program will have them: bash parts them at `=`, and leaves quotes and backslashes in.
fn whole(shell: Shell, words: &[String]) -> Vec<String> {
    if shell != Shell::Bash {
        return words.to_vec();
    }
    let mut whole: Vec<String> = Vec::new();
    let mut joins = false;
    for word in words {
        match whole.last_mut() {
            Some(last) if word == "=" => {
                last.push('=');
                joins = true;
            }
            Some(last) if joins => {
                last.push_str(&unquoted(word));
                joins = false;
            }
            Some(_) | None => whole.push(unquoted(word)),
        }
    }
    whole
}

fn unquoted(word: &str) -> String {
    let (mut out, mut chars) = (String::new(), word.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '"' | '\'' => {}
            c => out.push(c),
        }
    }
    out
}

/// Where in a command line something is to stand.
struct Place<'a> {
    command: &'a Command,
    /// The option that waits for its value.
    open: Option<&'a Arg>,
    /// How many words are no options.
    count: usize,
    /// Whether only words may follow, after `--`.
    ended: bool,
    /// What the words that are no options lead to, for whoever reads about a command.
    topic: Option<&'a Command>,
    config: PathBuf,
    /// `None`: the line names the files, and no monitor of theirs.
    messages: Option<PathBuf>,
}

impl<'a> Place<'a> {
    fn of(root: &'a Command, words: &[String]) -> Place<'a> {
        let dir = |variable, default| std::env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from);
        let config = dir(CONFIG_VARIABLE, CONFIG_DIR);
        let messages = Some(dir(MESSAGES_VARIABLE, MESSAGES_DIR));
        let mut place =
            Place { command: root, open: None, count: 0, ended: false, topic: Some(root), config, messages };
        let is_config = |word: &String| word == "--config" || word.starts_with("--config=");
        place.messages.take_if(|_| words.iter().any(is_config));
        for word in words {
            place.pass(word);
        }
        place
    }

    fn pass(&mut self, word: &str) {
        if let Some(option) = self.open.take() {
            return self.given(option, word);
        }
        if self.ended || !word.starts_with('-') || word == "-" {
            match self.command.find_subcommand(word).filter(|_| !self.ended && self.count == 0) {
                Some(command) => self.command = command,
                // As in `stop process web`.
                None if self.count == 0 && self.takes_names() && self.is_kind(word) => {}
                None => {
                    self.count += 1;
                    self.topic = self.topic.and_then(|topic| topic.find_subcommand(word));
                }
            }
        } else if word == "--" {
            self.ended = true;
        } else if let Some((name, value)) = word.split_once('=') {
            if let Some(option) = option(self.command, name) {
                self.given(option, value);
            }
        } else {
            self.open = option(self.command, word).filter(|option| wants_value(option));
        }
    }

    fn takes_names(&self) -> bool {
        self.command.get_positionals().next().is_some_and(|arg| value_name(arg) == "NAME")
    }

    fn is_kind(&self, word: &str) -> bool {
        ctl::KINDS.contains(&word) && !ctl::names(&self.config).iter().any(|name| name == word)
    }

    fn given(&mut self, option: &Arg, value: &str) {
        if option.get_id() == "config" {
            self.config = PathBuf::from(value);
        }
        if option.get_id() == "messages" {
            self.messages = Some(PathBuf::from(value));
        }
    }

    fn answer(&self, last: &str) -> Answer {
        if let Some(option) = self.open {
            return self.values(option, last, "");
        }
        if let Some((name, value)) = last.split_once('=').filter(|_| last.starts_with("--")) {
            let option = option(self.command, name);
            return option.map_or(Answer { words: Vec::new(), more: "nothing" }, |arg| {
                self.values(arg, value, &format!("{name}="))
            });
        }
        if last.starts_with('-') && !self.ended {
            let options = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
            let named = options.filter_map(|arg| Some((format!("--{}", arg.get_long()?), meaning(arg.get_help()))));
            let words = named.filter(|(word, _)| word.starts_with(last)).collect();
            return Answer { words, more: "nothing" };
        }
        let positional = self.command.get_positionals();
        let argument = positional.enumerate().find(|(index, arg)| *index == self.count || is_many(arg));
        let mut answer = match argument {
            Some((_, arg)) => self.values(arg, last, ""),
            None => Answer { words: Vec::new(), more: "nothing" },
        };
        if self.count == 0 && !self.ended {
            let verbs = self.command.get_subcommands().filter(|verb| !verb.is_hide_set());
            let verbs = verbs.filter(|verb| verb.get_name().starts_with(last));
            answer.words.extend(verbs.map(|verb| (verb.get_name().to_string(), meaning(verb.get_about()))));
        }
        answer
    }

    /// The names of processes: the monitor's, replicas among them, where one answers and no file is to be changed.
    fn names(&self) -> Vec<String> {
        let is_of_files = ["delete", "remove", "scale"].contains(&self.command.get_name());
        let known = self.messages.as_deref().filter(|_| !is_of_files).map(ctl::known).unwrap_or_default();
        if known.is_empty() { ctl::names(&self.config) } else { known }
    }

    fn is_man(&self) -> bool {
        self.command.get_name() == "man"
    }

    /// What there is a manual page of.
    fn topics(&self) -> Vec<(String, String)> {
        let below = self.topic.into_iter().flat_map(|topic| topic.get_subcommands()).filter(|one| !one.is_hide_set());
        let keys = (self.count == 0).then(|| ("process-file".to_string(), String::new()));
        below.map(|one| (one.get_name().to_string(), meaning(one.get_about()))).chain(keys).collect()
    }

    /// What an option or an argument may be.
    fn values(&self, arg: &Arg, last: &str, prefix: &str) -> Answer {
        let name = value_name(arg);
        let mut more = "nothing";
        let known: Vec<(String, String)> = match name {
            "NAME" if self.command.get_name() == "trigger" => plain(named(scheduled(&self.config), last)),
            "NAME" => plain(named(self.names(), last)),
            "COMMAND" if self.is_man() => self.topics(),
            "GROUP" => plain(groups(&self.config)),
            "SIGNAL" | "SIG" => {
                plain((1..32).filter_map(Signal::from_raw).map(|signal| called(signal, last)).collect())
            }
            "KEY" => plain(config::paths()),
            "FORMAT" if arg.get_id() == "output" => words(FORMATS, ""),
            "SELECTOR" => plain(groups(&self.config).iter().map(|group| format!("group={group}")).collect()),
            "WHAT" => words(CONDITIONS, "condition=").into_iter().chain(words(&["delete", "jsonpath="], "")).collect(),
            _ => {
                let values = arg.get_possible_values();
                values.iter().map(|value| (value.get_name().to_string(), meaning(value.get_help()))).collect()
            }
        };
        if known.is_empty() {
            more = match name {
                "DIR" => "dirs",
                _ if self.is_man() => "nothing",
                "NAME" | "GROUP" => "nothing",
                _ if ["FILE", "PATH", "DIR", "WORD", "COMMAND"].iter().any(|part| name.contains(part)) => "files",
                _ => "nothing",
            };
        }
        let words = known.into_iter().filter(|(word, _)| word.starts_with(last));
        Answer { words: words.map(|(word, meaning)| (format!("{prefix}{word}"), meaning)).collect(), more }
    }
}

fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long) || arg.get_all_aliases().is_some_and(|all| all.contains(&long)),
        None => word.strip_prefix('-').and_then(|rest| rest.chars().next()).is_some_and(|c| arg.get_short() == Some(c)),
    })
}

/// Whether its value is the next word: not where it may be left out, or is none.
fn wants_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !arg.is_require_equals_set()
}

fn is_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append) || arg.get_num_args().is_some_and(|many| many.max_values() > 1)
}

fn plain(words: Vec<String>) -> Vec<(String, String)> {
    words.into_iter().map(|word| (word, String::new())).collect()
}

fn words(all: &[&str], prefix: &str) -> Vec<(String, String)> {
    all.iter().map(|word| (format!("{prefix}{word}"), String::new())).collect()
}

/// By its whole name where that is how it begins.
fn called(signal: Signal, last: &str) -> String {
    let text = signal.to_string();
    text.strip_prefix("SIG").filter(|_| !last.starts_with("SIG")).unwrap_or(&text).to_string()
}

fn value_name(arg: &Arg) -> &str {
    arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()).unwrap_or_default()
}

/// The first line of a help.
fn meaning(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| text.to_string().lines().next().unwrap_or_default().to_string()).unwrap_or_default()
}

/// As `process/NAME` where that is how it begins.
fn named(names: Vec<String>, last: &str) -> Vec<String> {
    let kind = if last.starts_with(ctl::KIND) { ctl::KIND } else { "" };
    names.into_iter().map(|name| format!("{kind}{name}")).collect()
}

/// Who has a schedule.
fn scheduled(dir: &Path) -> Vec<String> {
    let processes = scan(dir).processes;
    processes.iter().filter(|(_, spec)| spec.schedule.is_some()).map(|(name, _)| name.to_string()).collect()
}

fn scan(dir: &Path) -> Scan {
    Directory::new(dir, Defaults::STANDARD, Trust::default()).scan(Moment::ZERO)
}

fn groups(dir: &Path) -> Vec<String> {
    let mut groups: Vec<String> = scan(dir).processes.values().flat_map(|spec| spec.groups.clone()).collect();
    sort_by(&mut groups, Ord::cmp);
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::CommandFactory as _;

    use super::answer;
    use crate::cli::{Cli, Shell};

    /// The words without their meaning, and what the shell is to add.
    fn told(shell: Shell, words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let answer = answer(Cli::command(), shell, &words);
        let lines = answer.lines().map(|line| line.split('\t').next().unwrap_or_default());
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_command_line_goes_on_with_what_its_definition_knows() {
        let rows: &[(&[&str], &str)] = &[
            (&["sched"], "scheduler :nothing"),
            (&["ctl", "roll"], "rollout :nothing"),
            (&["ctl", "rollout", "rest"], "restart :nothing"),
            (&["ctl", "scale", "web", "--rep"], "--replicas :nothing"),
            (&["ctl", "scale", "--conf"], "--config :nothing"),
            (&["run", "--output", ""], "prefix json inherit :nothing"),
            (&["run", "--output", "p"], "prefix :nothing"),
            (&["run", "--config", ""], ":dirs"),
            (&["ctl", "apply", "-f", ""], ":files"),
            (&["ctl", "apply", "-f", "x", "--dry"], "--dry-run :nothing"),
            (&["ctl", "explain", "livenessProbe.per"], "livenessProbe.periodSeconds :nothing"),
            (&["ctl", "signal", "web", "US"], "USR1 USR2 :nothing"),
            (&["ctl", "signal", "web", "SIGUS"], "SIGUSR1 SIGUSR2 :nothing"),
            (&["ctl", "signal", "process", "web", "US"], "USR1 USR2 :nothing"),
            (&["completion", ""], "bash zsh fish :nothing"),
            (&["ctl", "get", "-o", "j"], "json jsonpath= :nothing"),
            (&["ctl", "get", "--output=w"], "--output=wide :nothing"),
            (&["ctl", "get", "--color", "a"], "auto always :nothing"),
            (&["ctl", "wait", "--for", "condition=Re"], "condition=Ready :nothing"),
            (&["ctl", "wait", "--for=d"], "--for=delete :nothing"),
            (&["check", "x"], ":files"),
            (&["man", "ct"], "ctl :nothing"),
            (&["man", "pro"], "process-file :nothing"),
            (&["man", "ctl", "roll"], "rollout :nothing"),
            (&["man", "nonsense", ""], ":nothing"),
            (&["nonsense", "more", ""], ":nothing"),
            (&["__comp"], ":nothing"),
        ];
        for (words, expected) in rows {
            assert_eq!(told(Shell::Fish, words), *expected, "{words:?}");
        }
        assert!(told(Shell::Zsh, &[]).contains("run demo check"), "nothing is typed yet");
    }

    #[test]
    fn names_and_groups_are_those_of_the_directory_that_the_line_names() {
        let dir = tempfile::tempdir().expect("a directory");
        for (file, text) in [
            ("web.yaml", "args: [a]\ngroup: [fronts, all]\n"),
            ("a b", "{\"args\": [\"a\"], \"schedule\": {\"every\": 9}}"),
            ("x~", ""),
        ] {
            fs::write(dir.path().join(file), text).expect("a file");
        }
        let config = dir.path().display().to_string();
        let of = |shell, words: &[&str]| told(shell, words);
        assert_eq!(of(Shell::Fish, &["ctl", "--config", &config, "stop", ""]), "a b web :nothing");
        assert_eq!(of(Shell::Fish, &["ctl", "--config", &config, "stop", "process/w"]), "process/web :nothing");
        assert_eq!(of(Shell::Fish, &["ctl", "--config", &config, "signal", "process", "w"]), "web :nothing");
        assert_eq!(of(Shell::Fish, &["ctl", "--config", &config, "trigger", ""]), "a b :nothing");
        assert_eq!(of(Shell::Fish, &["ctl", "stop", "web", "--config", &config, "w"]), "web :nothing");
        assert_eq!(
            of(Shell::Zsh, &["ctl", "--config", &config, "rollout", "restart", "--group=f"]),
            "--group=fronts :nothing"
        );
        assert_eq!(of(Shell::Fish, &["ctl", "--config", &config, "get", "-l", "group=f"]), "group=fronts :nothing");
        // As bash has it: parted at "=", and quoted.
        assert_eq!(of(Shell::Bash, &["ctl", "--config", &config, "get", "-l", "group", "=", "f"]), "fronts :nothing");
        assert_eq!(of(Shell::Bash, &["ctl", "wait", "--for", "=", "condition", "=", "U"]), "Updated :nothing");
        assert_eq!(
            of(Shell::Bash, &["ctl", "wait", "--for", "=", "cond"]),
            "condition=Ready condition=Started condition=Updated condition=ConfigValid :nothing"
        );
        assert_eq!(
            of(Shell::Bash, &["ctl", "--config", "=", &config, "rollout", "restart", "--group", "=", "f"]),
            "fronts :nothing"
        );
        assert_eq!(of(Shell::Bash, &["ctl", "--config", "=", &config, "stop", "a\\ "]), "a b :nothing");
        assert_eq!(of(Shell::Bash, &["ctl", "--config", "/nowhere", "stop", ""]), ":nothing");
    }
}
