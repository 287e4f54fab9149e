//! A Procfile: `NAME: COMMAND` lines, each for a shell.

use super::conversion::{Conversion, Error, Grade, Process};
use super::sources::Source;

/// foreman's first port, and how many each type of process has for itself.
const PORT: usize = 5000;
const PORTS: usize = 100;

pub(super) fn read(sources: &[Source]) -> Result<Conversion, Error> {
    let mut conversion = Conversion::default();
    for source in sources {
        one(source, &mut conversion)?;
    }
    Ok(conversion)
}

fn one(source: &Source, conversion: &mut Conversion) -> Result<(), Error> {
    let mut count = 0;
    for (index, line) in source.text.lines().enumerate() {
        let place = source.place(index + 1);
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let Some((name, command)) = entry(line) else {
            return Err(place.error("expected NAME: COMMAND, the name of letters, digits, \"_\" and \"-\""));
        };
        let mut process = Process::new(name, place, name.to_string());
        process.argv = shell(command);
        process.set("workingDir", source.dir.display().to_string());
        process.inherits_all();
        port(&mut process, command, count, index + 1);
        conversion.processes.push(process);
        count += 1;
    }
    if count == 0 {
        return Err(source.place(0).error("there is no NAME: COMMAND in it"));
    }
    Ok(())
}

/// What there is to say of the file `.env` beside it.
pub(super) fn env_file(source: &Source) -> (Grade, &'static str) {
    if source.dir.join(".env").exists() {
        (
            Grade::Lost,
            "foreman takes variables from it, and it is not read here: give it as envFrom, without quotes in it",
        )
    } else {
        let text = "foreman reads a file .env beside it, and there is none here, and Heroku its config vars: \
                    give such files as envFrom, without quotes in them";
        (Grade::Remark, text)
    }
}

/// The name and the command of a line.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (name, command) = line.split_once(':')?;
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_name = !name.is_empty() && name.chars().all(is_of_a_name);
    let command = command.trim();
    (is_name && !command.is_empty()).then_some((name, command))
}

/// The shell gives way to a command that is just one, so that signals reach the program.
fn shell(command: &str) -> Vec<String> {
    let is_one = !command.contains(['|', '&', ';', '(', ')', '{', '}', '`', '\n']);
    let assignments = command.split_whitespace().take_while(|word| is_assignment(word)).count();
    let program = command.split_whitespace().nth(assignments).unwrap_or_default();
    let line = if is_one && !is_of_the_shell(program) && !command.contains("$(") {
        // What stands before the program is for it: the shell takes it before exec, too, unless it holds blanks.
        match assignments {
            0 => format!("exec {command}"),
            _ if command.contains(['"', '\'', '\\']) => command.to_string(),
            _ => {
                let words: Vec<&str> = command.split_whitespace().collect();
                format!("{} exec {}", words[..assignments].join(" "), words[assignments..].join(" "))
            }
        }
    } else {
        command.to_string()
    };
    vec!["/bin/sh".to_string(), "-c".to_string(), line]
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| super::text::is_name(name))
}

fn is_of_the_shell(program: &str) -> bool {
    const WORDS: [&str; 14] =
        ["", "exec", "cd", ".", "source", "export", "if", "for", "while", "until", "case", "set", "!", "eval"];
    WORDS.contains(&program)
}

/// foreman gives each type of process a port of its own.
fn port(process: &mut Process, command: &str, before: usize, line: usize) {
    let port = PORT + PORTS * before;
    if command.contains("$PORT") || command.contains("${PORT") {
        process.set_env("PORT", port.to_string());
        process.remark(line, "PORT", "foreman would give it this port; let it be the one that you want");
    } else {
        let text = format!("foreman would set it to {port}; if the program asks for it, add it to env");
        process.remark(line, "PORT", &text);
    }
}

#[cfg(test)]
mod tests {
    use super::{entry, shell};

    #[test]
    fn a_shell_gives_way_where_there_is_one_command() {
        let rows = [
            ("bundle exec puma -C config.rb", "exec bundle exec puma -C config.rb"),
            ("echo a > b", "exec echo a > b"),
            ("RAILS_ENV=x puma  -p 1", "RAILS_ENV=x exec puma -p 1"),
            ("A='x y' puma", "A='x y' puma"),
            ("cd /app && run", "cd /app && run"),
            ("cd /app", "cd /app"),
            ("exec puma", "exec puma"),
            ("a | b", "a | b"),
            ("puma -p $(port)", "puma -p $(port)"),
            ("puma -p $PORT", "exec puma -p $PORT"),
            ("while true; do x; done", "while true; do x; done"),
        ];
        for (command, expected) in rows {
            assert_eq!(shell(command), ["/bin/sh", "-c", expected], "{command}");
        }
    }

    #[test]
    fn an_entry_is_a_name_and_a_command() {
        let rows = [
            ("web: a b", Some(("web", "a b"))),
            ("web:a", Some(("web", "a"))),
            ("my-web_2: x: y", Some(("my-web_2", "x: y"))),
            ("web:", None),
            (": a", None),
            ("web a", None),
            ("we b: a", None),
        ];
        for (line, expected) in rows {
            assert_eq!(entry(line), expected, "{line}");
        }
    }
}
