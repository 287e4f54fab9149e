//! `ncolony ctl logs`

use std::process::exit;
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use super::error::Trouble;
use super::monitor::{Lines, Monitor, quoted};
use super::object;
use super::out::Out;
use super::whom::{Detail, Shown, Whom};
use crate::cli::LogsArgs;
use crate::http::MOST_LOCAL;

/// Each takes a connection, of which the monitor has some more for others.
const MOST_FOLLOWED: usize = MOST_LOCAL - 16;

/// Prints what processes have printed.
pub(super) fn logs(monitor: Monitor<'_>, args: &LogsArgs, out: &mut Out) -> Result<(), Trouble> {
    let mut whom = Whom::of_some(&args.whom)?;
    let (list, shown) = whom.now(monitor, Detail::Brief)?;
    let (found, _) = whom.among(&list);
    if found.is_empty() {
        whom.tell_of_none(&list);
    }
    let (there, missing): (Vec<&Value>, Vec<&Value>) = found.into_iter().partition(|process| has_run(process, args));
    let shown = without_run(&missing, &there, shown)?;
    if args.follow && there.len() > MOST_FOLLOWED {
        let why = format!("{} would be followed, and {MOST_FOLLOWED} can be at once: give fewer", there.len());
        return Err(Trouble::Usage(why));
    }
    let is_only = there.len() == 1;
    let mut shown = shown;
    // Where the monitor keeps none of the lines of one, the others have theirs.
    let mut open = |name| match monitor.lines(&request(name, args)) {
        Err(trouble @ Trouble::Refused(_)) if !is_only => {
            super::tell(&trouble);
            shown = Shown::Some;
            Ok(None)
        }
        lines => lines.map(Some),
    };
    let names = there.into_iter().map(object::name);
    if !args.follow {
        for name in names {
            // All of it first: the monitor does not wait for who reads page by page.
            let Some(mut lines) = open(name)? else { continue };
            let mut all = Vec::new();
            while let Some(line) = lines.next()? {
                all.push(line);
            }
            all.iter().try_for_each(|line| print(out, name, line, args))?;
        }
        return shown.outcome();
    }
    let opened = names.map(|name| Ok(open(name)?.map(|lines| (name, lines))));
    let opened: Vec<(&str, Lines)> = opened.filter_map(Result::transpose).collect::<Result<_, Trouble>>()?;
    let all = Mutex::new(Together { out, trouble: None });
    thread::scope(|scope| {
        for (name, lines) in opened {
            let all = &all;
            scope.spawn(move || follow(monitor, name, lines, args, all));
        }
    });
    match all.into_inner().unwrap_or_else(PoisonError::into_inner).trouble {
        Some(trouble) => Err(trouble),
        None => shown.outcome(),
    }
}

/// Where those who are followed print, and why no more can be printed.
struct Together<'a> {
    out: &'a mut Out,
    trouble: Option<Trouble>,
}

/// Whether there was the run of which lines are asked for.
fn has_run(process: &Value, args: &LogsArgs) -> bool {
    !args.previous || object::number(process, "/status/starts").is_some_and(|starts| starts > 1.0)
}

/// Tells of whom there was no run before the present one; where there are no others, that is all.
fn without_run(missing: &[&Value], there: &[&Value], shown: Shown) -> Result<Shown, Trouble> {
    let trouble = |process: &&Value| Trouble::NoPrevious(object::name(process).to_string());
    match missing {
        [] => Ok(shown),
        [only] if there.is_empty() => Err(trouble(only)),
        _ => {
            missing.iter().map(trouble).for_each(|trouble| super::tell(&trouble));
            Ok(Shown::Some)
        }
    }
}

fn request(name: &str, args: &LogsArgs) -> String {
    let mut path = format!("/v1/processes/{}/log?", quoted(name));
    let truths = [("follow", args.follow), ("previous", args.previous), ("timestamps", args.timestamps)];
    truths.iter().filter(|(_, holds)| *holds).for_each(|(key, _)| path.push_str(&format!("{key}=true&")));
    if args.tail >= 0 {
        path.push_str(&format!("tailLines={}&", args.tail));
    }
    if let Some(since) = args.since {
        path.push_str(&format!("sinceSeconds={}", since.as_secs_f64()));
    }
    path
}

/// Prints what one says, as it comes, until it is gone, or nobody can print any more.
fn follow(monitor: Monitor<'_>, name: &str, mut lines: Lines, args: &LogsArgs, all: &Mutex<Together<'_>>) {
    loop {
        let line = lines.next();
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        let printed = match line {
            Ok(Some(line)) => print(all.out, name, &line, args).and_then(|()| match lines.has_more() {
                true => Ok(true),
                false => all.out.flush().map(|()| true),
            }),
            Ok(None) | Err(Trouble::Ended) => is_gone(monitor, name).map(|()| false),
            Err(trouble) => Err(trouble),
        };
        match printed {
            Ok(true) if all.trouble.is_none() => {}
            // The others would wait for a line before they noticed.
            Err(Trouble::Closed) => exit(0),
            Ok(_) => return,
            Err(trouble) => {
                all.trouble = Some(trouble);
                return;
            }
        }
    }
}

/// A log ends with its process, or with the monitor.
fn is_gone(monitor: Monitor<'_>, name: &str) -> Result<(), Trouble> {
    match monitor.get(&format!("/v1/processes/{}", quoted(name))) {
        Err(Trouble::NotFound(..)) => {
            super::super::note(&format!("process {name:?} is gone"));
            Ok(())
        }
        Ok(Value::Null) | Ok(_) | Err(_) => Err(Trouble::Ended),
    }
}

fn print(out: &mut Out, name: &str, line: &str, args: &LogsArgs) -> Result<(), Trouble> {
    if args.prefix {
        out.text(&format!("[{name}] "))?;
    }
    out.line(line)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::request;
    use crate::cli::{ChoiceArgs, LogsArgs};

    #[test]
    fn what_is_asked_for_is_what_the_flags_say() {
        let plain = LogsArgs {
            whom: ChoiceArgs::default(),
            follow: false,
            previous: false,
            tail: -1,
            since: None,
            timestamps: false,
            prefix: true,
        };
        assert_eq!(request("a b", &plain), "/v1/processes/a%20b/log?");
        let since = Some(Duration::from_millis(1500));
        let all = LogsArgs { follow: true, previous: true, timestamps: true, tail: 0, since, ..plain };
        let expected = "/v1/processes/web/log?follow=true&previous=true&timestamps=true&tailLines=0&sinceSeconds=1.5";
        assert_eq!(request("web", &all), expected);
    }
}
