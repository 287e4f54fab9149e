//! Flags without a value may be given one, as kubectl's: `--wait=true`, `--watch=false`.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::Cli;

/// The words of a command line, with `--flag=true` as `--flag`, and without `--flag=false`.
pub fn without_truth(words: Vec<OsString>) -> Vec<OsString> {
    let root = Cli::command();
    let mut path = vec![&root];
    let mut plain = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    plain.extend(words.next());
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        let (flag, value) = text.split_once('=').map_or((text, None), |(flag, value)| (flag, Some(value)));
        let arg = found(&path, flag);
        let is_switch = arg.is_some_and(|arg| matches!(arg.get_action(), ArgAction::SetTrue));
        match value {
            Some("false") if is_switch => continue,
            Some("true") if is_switch => plain.push(flag.into()),
            // What is no word of ours.
            None if flag == "--" => {
                plain.push(word);
                break;
            }
            None => {
                path.extend(path.last().and_then(|command| command.find_subcommand(flag)));
                let takes_next = arg.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set());
                plain.push(word);
                plain.extend(takes_next.then(|| words.next()).flatten());
            }
            Some(_) => plain.push(word),
        }
    }
    plain.extend(words);
    plain
}

/// What is called so among the flags of these commands.
fn found<'c>(path: &[&'c Command], flag: &str) -> Option<&'c Arg> {
    let is_its = |arg: &&Arg| match flag.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => {
            arg.get_short().is_some_and(|short| flag.strip_prefix('-').is_some_and(|text| text == short.to_string()))
        }
    };
    path.iter().flat_map(|command| command.get_arguments()).find(is_its)
}

#[cfg(test)]
mod tests {
    use super::without_truth;

    #[test]
    fn a_flag_without_a_value_may_be_given_true_or_false() {
        let rows = [
            ("ctl delete web --wait=true", "ctl delete web --wait"),
            ("ctl delete web --wait=false --ignore-not-found=true", "ctl delete web --ignore-not-found"),
            ("ctl --messages get get -w=true --no-headers=false", "ctl --messages get get -w"),
            ("ctl logs web --previous=true -f=false", "ctl logs web --previous"),
            ("ctl rollout restart web --wait=true", "ctl rollout restart web --wait"),
            ("run --no-watch=true", "run --no-watch"),
            // Neither what no such flag is, nor what is another's value or word.
            ("ctl get --wait=maybe --output=true", "ctl get --wait=maybe --output=true"),
            ("ctl add web --arg --wait=true", "ctl add web --arg --wait=true"),
            ("beat --during -- program --during=true", "beat --during -- program --during=true"),
            ("ctl get --dry-run=true", "ctl get --dry-run=true"),
        ];
        for (line, expected) in rows {
            let words = std::iter::once("ncolony").chain(line.split(' ')).map(Into::into).collect();
            let plain: Vec<String> =
                without_truth(words).into_iter().filter_map(|word| word.into_string().ok()).collect();
            assert_eq!(plain[1..].join(" "), expected);
        }
    }
}
