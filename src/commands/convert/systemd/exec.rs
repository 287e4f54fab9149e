//! systemd's command lines: their quotes, escapes, prefixes, specifiers and variables.

use super::super::conversion::Error;
use super::super::text;
use super::unit::{Setting, Unit};

/// One command of an `Exec…=`.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) words: Vec<Word>,
    /// `-`: its failure is none.
    pub(super) may_fail: bool,
    /// The prefixes that have no counterpart.
    pub(super) special: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// As [`text`] has it.
    Text(String),
    /// `$NAME`: as many words as the variable holds.
    Split(String),
}

/// What the variables of a unit are known to be.
pub(super) struct Variables {
    pub(super) known: Vec<(String, String)>,
    /// Others may come from files, or from whoever starts it.
    pub(super) are_open: bool,
}

/// The commands of a setting, with what their variables stand for as far as that is known.
pub(super) fn commands(unit: &Unit, setting: &Setting, variables: &Variables) -> Result<Vec<Command>, Error> {
    let mut commands = Vec::new();
    let mut words = split(&setting.value).map_err(|message| setting.error(message))?;
    words.push((";".to_string(), true));
    let mut raw: Vec<String> = Vec::new();
    for (word, is_bare) in words {
        if is_bare && word == ";" {
            commands.extend(command(unit, std::mem::take(&mut raw), variables));
        } else {
            raw.push(word);
        }
    }
    if commands.is_empty() { Err(setting.error("expected a command")) } else { Ok(commands) }
}

fn command(unit: &Unit, mut raw: Vec<String>, variables: &Variables) -> Option<Command> {
    let first = raw.first()?.clone();
    let program = first.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    let prefixes = &first[..first.len() - program.len()];
    raw[0] = program.to_string();
    if prefixes.contains('@') && raw.len() > 1 {
        raw.remove(1);
    }
    let mut words = Vec::new();
    for word in raw {
        let word = specified(unit, &word);
        if prefixes.contains(':') {
            words.push(Word::Text(word));
            continue;
        }
        match word.strip_prefix('$').filter(|name| text::is_name(name)) {
            Some(name) => match variables.value(name) {
                Some(value) => words.extend(value.split_whitespace().map(|word| Word::Text(word.to_string()))),
                None => words.push(Word::Split(name.to_string())),
            },
            None => words.push(Word::Text(variables.within(&word))),
        }
    }
    let special = prefixes.chars().filter(|c| matches!(c, '@' | '+' | '!' | '|')).collect();
    Some(Command { words, may_fail: prefixes.contains('-'), special })
}

impl Variables {
    /// What a variable holds, if that is known: what nobody sets is empty.
    fn value(&self, name: &str) -> Option<String> {
        // Set at the start: by us, or by whoever knows the user.
        const OURS: [&str; 6] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "MAINPID"];
        if self.are_open || OURS.contains(&name) {
            return None;
        }
        let known = self.known.iter().find(|(known, _)| known == name);
        Some(known.map(|(_, value)| value.clone()).unwrap_or_default())
    }

    /// `${NAME}` in a word, and `$$`.
    fn within(&self, word: &str) -> String {
        let mut out = String::new();
        let mut rest = word;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let name = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((name, after)) = name.filter(|(name, _)| text::is_name(name)) {
                out.push_str(&self.value(name).unwrap_or_else(|| text::variable(name)));
                rest = after;
            } else {
                out.push('$');
            }
        }
        out + rest
    }
}

/// `%n` and the like; what cannot be known here stays as it is.
pub(super) fn specified(unit: &Unit, text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    let (prefix, instance) = unit.stem().split_once('@').unwrap_or((unit.stem(), ""));
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => out.push('%'),
            Some('n') => out.push_str(&unit.name),
            Some('N') => out.push_str(unit.stem()),
            Some('p' | 'P') => out.push_str(prefix),
            Some('i') => out.push_str(instance),
            Some('I') => out.push_str(&instance.replace('-', "/")),
            Some('t') => out.push_str("/run"),
            Some('S') => out.push_str("/var/lib"),
            Some('C') => out.push_str("/var/cache"),
            Some('L') => out.push_str("/var/log"),
            Some('E') => out.push_str("/etc"),
            Some('T') => out.push_str("/tmp"),
            Some('V') => out.push_str("/var/tmp"),
            Some('u') => out.push_str(unit.get("User").map_or("root", |user| &user.value)),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}

/// Whether a specifier is left that only a running systemd can tell.
pub(super) fn is_unknown(text: &str) -> bool {
    let mut parts = text.split('%').skip(1);
    parts.any(|rest| {
        rest.starts_with(['a', 'b', 'B', 'd', 'D', 'f', 'g', 'G', 'h', 'H', 'j', 'J', 'l', 'm', 's', 'U', 'v'])
    })
}

/// Words without their quotes and escapes, each with whether it stood in neither.
pub(super) fn split(line: &str) -> Result<Vec<(String, bool)>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<(String, bool)> = None;
    let mut quote: Option<char> = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', _) => {
                let (word, is_bare) = word.get_or_insert((String::new(), true));
                *is_bare = false;
                escape(&mut rest, word);
            }
            (c, Some(_)) => word.get_or_insert_default().0.push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default().1 = false;
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert((String::new(), true)).0.push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is never closed");
    }
    words.extend(word);
    Ok(words)
}

fn escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut String) {
    let Some(c) = rest.next() else { return word.push('\\') };
    let mut code = |digits: usize, radix: u32, first: Option<char>| {
        let mut text: String = first.into_iter().collect();
        while text.len() < digits && rest.peek().is_some_and(|c| c.is_digit(radix)) {
            text.extend(rest.next());
        }
        u32::from_str_radix(&text, radix).ok().and_then(char::from_u32).filter(|c| !c.is_control() || *c == '\t')
    };
    match c {
        'n' => word.push('\n'),
        't' => word.push('\t'),
        'r' => word.push('\r'),
        's' => word.push(' '),
        'x' => word.extend(code(2, 16, None)),
        'u' => word.extend(code(4, 16, None)),
        '0'..='7' => word.extend(code(3, 8, Some(c))),
        '\\' | '"' | '\'' | ';' => word.push(c),
        c => word.extend(['\\', c]),
    }
}

impl Command {
    /// Its words, if none of them must be split.
    pub(super) fn plain(&self) -> Option<Vec<String>> {
        let text = |word: &Word| match word {
            Word::Text(text) => Some(text.clone()),
            Word::Split(_) => None,
        };
        self.words.iter().map(text).collect()
    }

    pub(super) fn names(&self, variable: &str) -> bool {
        self.words.iter().any(|word| match word {
            Word::Text(text) => text.contains(&text::variable(variable)),
            Word::Split(name) => name == variable,
        })
    }

    /// As a shell's command.
    fn shell(&self) -> String {
        let word = |word: &Word| match word {
            Word::Text(text) => text::quoted(text),
            Word::Split(name) => format!("${name}"),
        };
        self.words.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    /// The signal that it sends to the main process, if it is a `kill` that does so and no more.
    pub(super) fn kills(&self) -> Option<&str> {
        let words: Vec<&str> = self
            .words
            .iter()
            .map(|word| match word {
                Word::Text(text) => text.as_str(),
                Word::Split(name) => name.as_str(),
            })
            .collect();
        let main = text::variable("MAINPID");
        let (program, rest) = words.split_first()?;
        let is_kill = program.rsplit('/').next() == Some("kill");
        match rest {
            [signal, pid] if is_kill && (*pid == "MAINPID" || *pid == main) => signal.strip_prefix('-'),
            ["-s", signal, pid] if is_kill && (*pid == "MAINPID" || *pid == main) => Some(signal),
            _ => None,
        }
    }
}

/// The argv that runs commands one after the other; the last in place of the shell, where there is one.
pub(super) fn argv(commands: &[Command], may_refer: bool) -> Vec<String> {
    if let [command] = commands
        && let Some(words) = command.plain()
        && (may_refer || !words.iter().any(|word| text::refers(word)))
    {
        return words;
    }
    let mut script = String::new();
    if commands.len() > 1 {
        script.push_str("set -e; ");
    }
    if commands.iter().any(|command| command.plain().is_none()) {
        // A value is split at blanks, and no more than that.
        script.push_str("set -f; ");
    }
    for (index, command) in commands.iter().enumerate() {
        let is_last = index + 1 == commands.len();
        script.push_str(if is_last { "exec " } else { "" });
        script.push_str(&command.shell());
        script.push_str(if is_last {
            ""
        } else if command.may_fail {
            " || :; "
        } else {
            "; "
        });
    }
    vec!["/bin/sh".to_string(), "-c".to_string(), script]
}
