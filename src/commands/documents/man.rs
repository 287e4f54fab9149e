//! Manual pages, as roff: of each program from the definition of its command line, and of the process file from its words.

use clap::{Arg, Command};

use crate::config::{self, Explained};
use crate::model::nearest;

/// What the page of the process file is asked for by.
const KEYS: &str = "process-file";

/// The page of a program, or of one of its verbs.
pub(super) fn page(mut root: Command, words: &[String]) -> Result<String, String> {
    root.build();
    if words.len() == 1 && words[0] == KEYS {
        return Ok(of_keys());
    }
    let mut command = &root;
    for word in words {
        let next = command.find_subcommand(word).filter(|next| !next.is_hide_set());
        let unknown = || {
            let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name);
            let help = nearest(word, verbs.chain([KEYS]))
                .map_or("ncolony --help lists the programs".to_string(), |near| format!("did you mean {near:?}?"));
            format!("error: there is no page on {:?}\n  {help}", words.join(" "))
        };
        command = next.ok_or_else(unknown)?;
    }
    Ok(of_command(command, words))
}

fn of_command(command: &Command, words: &[String]) -> String {
    let name = [&["ncolony".to_string()], words].concat().join("-");
    let about = text_of(command.get_about());
    let mut page = head(&name, 1);
    section(&mut page, "NAME", &format!("{} \\- {}\n", escaped(&name), escaped(&about)));
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").lines().map(|line| format!("{}\n.br\n", escaped(line.trim())));
    section(&mut page, "SYNOPSIS", &usage.collect::<String>());
    let arguments: String = command.get_positionals().filter(|arg| !arg.is_hide_set()).map(argument).collect();
    section(&mut page, "ARGUMENTS", &arguments);
    let options: String =
        command.get_opts().chain(flags(command)).filter(|arg| !arg.is_hide_set()).map(argument).collect();
    section(&mut page, "OPTIONS", &options);
    let verbs: Vec<&Command> =
        command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help").collect();
    let listed =
        verbs.iter().map(|verb| tagged(&format!("\\fB{}\\fR", escaped(verb.get_name())), &text_of(verb.get_about())));
    section(&mut page, "COMMANDS", &listed.collect::<String>());
    section(&mut page, "NOTES", &paragraphs(&text_of(command.get_after_help())));
    let mut others: Vec<String> = verbs.iter().map(|verb| format!("{name}-{}(1)", verb.get_name())).collect();
    if let Some((_, above)) = words.split_last() {
        others.insert(0, format!("{}(1)", [&["ncolony".to_string()], above].concat().join("-")));
    }
    others.push("ncolony-process-file(5)".to_string());
    section(&mut page, "SEE ALSO", &format!("{}\n", escaped(&others.join(", "))));
    page
}

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_flag = |arg: &&Arg| !arg.get_action().takes_values() && !arg.is_positional();
    command.get_arguments().filter(is_flag)
}

/// An option or argument, with all that is to be said of it.
fn argument(arg: &Arg) -> String {
    let names = [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
    let names: Vec<String> = names.into_iter().flatten().map(|name| format!("\\fB{}\\fR", escaped(&name))).collect();
    let values: Vec<String> = match arg.get_action().takes_values() {
        true => {
            arg.get_value_names().unwrap_or_default().iter().map(|name| format!("\\fI{}\\fR", escaped(name))).collect()
        }
        false => Vec::new(),
    };
    let tag =
        [names.join(", "), values.join(" ")].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let mut text = text_of(arg.get_help());
    let words: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| value.get_name().to_string())
        .collect();
    if !words.is_empty() && arg.get_action().takes_values() {
        text.push_str(&format!(" [possible values: {}]", words.join(", ")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        text.push_str(&format!(" [default: {}]", defaults.join(", ")));
    }
    if let Some(variable) = arg.get_env() {
        text.push_str(&format!(" [env: {}]", variable.to_string_lossy()));
    }
    tagged(&tag, &text)
}

/// The page on process files: every key, where it is.
fn of_keys() -> String {
    let mut page = head("ncolony-process-file", 5);
    section(&mut page, "NAME", "ncolony\\-process\\-file \\- what ncolony runs, a file per process\n");
    if let Explained::Told(text) = config::explain("") {
        let about: Vec<&str> = text.lines().skip(3).take_while(|line| !line.is_empty()).map(str::trim).collect();
        section(&mut page, "DESCRIPTION", &paragraphs(&about.join(" ")));
    }
    let mut keys = String::new();
    for path in config::paths() {
        let Explained::Told(text) = config::explain(&path) else { continue };
        let line = |head: &str| text.lines().find_map(|line| line.strip_prefix(head));
        let kind = line("FIELD:    ").and_then(|field| field.split_once(' ')).map_or("", |(_, kind)| kind);
        let default = line("DEFAULT:  ").map_or(String::new(), |default| format!(" [default: {default}]"));
        let about = text.lines().skip_while(|line| *line != "DESCRIPTION:").skip(1).take_while(|line| !line.is_empty());
        let about: Vec<&str> = about.map(str::trim).collect();
        keys.push_str(&tagged(
            &format!("\\fB{}\\fR {}", escaped(&path), escaped(kind)),
            &format!("{}{default}", about.join(" ")),
        ));
    }
    section(&mut page, "KEYS", &keys);
    section(&mut page, "SEE ALSO", "ncolony(1), ncolony\\-explain(1), ncolony\\-check(1)\n");
    page
}

fn head(name: &str, section: u32) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        ".TH \"{}\" \"{section}\" \"\" \"ncolony {version}\" \"ncolony\"\n.nh\n.ad l\n",
        escaped(&name.to_uppercase())
    )
}

fn section(page: &mut String, title: &str, text: &str) {
    if !text.is_empty() {
        page.push_str(&format!(".SH {title}\n{text}"));
    }
}

fn tagged(tag: &str, text: &str) -> String {
    format!(".TP\n{tag}\n{}\n", escaped(text))
}

fn paragraphs(text: &str) -> String {
    text.lines().map(|line| format!("{}\n.br\n", escaped(line))).collect()
}

fn text_of(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

/// Text that roff takes for nothing but text.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    match text.starts_with('.') {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::page;
    use crate::cli::Cli;

    fn of(words: &[&str]) -> Result<String, String> {
        page(Cli::command(), &words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn every_program_and_verb_has_a_page_that_names_all_of_its_options() {
        let mut root = Cli::command();
        root.build();
        let mut ways: Vec<Vec<String>> = vec![Vec::new()];
        while let Some(way) = ways.pop() {
            let command = way.iter().try_fold(&root, |command, word| command.find_subcommand(word)).expect("a command");
            let text = page(Cli::command(), &way).expect("a page");
            for option in command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(|arg| arg.get_long()) {
                assert!(text.contains(&format!("\\fB\\-\\-{}\\fR", option.replace('-', "\\-"))), "{way:?} {option}");
            }
            let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
            ways.extend(verbs.map(|verb| [&way[..], &[verb.get_name().to_string()]].concat()));
        }
        assert!(
            of(&["process-file"]).expect("a page").contains("\\fBlivenessProbe.periodSeconds\\fR <seconds 0.05..>")
        );
    }

    #[test]
    fn a_page_that_there_is_not_is_guessed_at() {
        let told = of(&["ctl", "aply"]).expect_err("no page");
        assert_eq!(told, "error: there is no page on \"ctl aply\"\n  did you mean \"apply\"?");
        assert!(of(&["__complete"]).is_err());
    }
}
