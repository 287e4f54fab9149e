//! `ncolony ctl logs`

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use serde_json::Value;

use super::error::Trouble;
use super::monitor::{Lines, Monitor, quoted};
use super::object;
use super::out::Out;
use super::whom::Whom;
use crate::cli::LogsArgs;

/// A line, of this process; `None` at the end of its log, with why it ended so.
type Said = (usize, Result<Option<String>, Trouble>);

/// So many lines wait to be printed.
const WAITING: usize = 256;

/// Prints what processes have printed.
pub(super) fn logs(monitor: Monitor<'_>, args: &LogsArgs, out: &mut Out) -> Result<(), Trouble> {
    let whom = Whom::of_some(&args.whom)?;
    let (list, shown) = whom.now(monitor)?;
    let names: Vec<&str> = whom.among(&list).0.into_iter().map(object::name).collect();
    let open = |name: &&str| monitor.lines(&request(name, args));
    if !args.follow {
        for name in &names {
            // All of it first: the monitor does not wait for who reads page by page.
            let mut lines = open(name)?;
            let mut all = Vec::new();
            while let Some(line) = lines.next()? {
                all.push(line);
            }
            all.iter().try_for_each(|line| print(out, name, line, args))?;
        }
        return shown.outcome();
    }
    let opened = names.iter().map(open).collect::<Result<Vec<Lines>, Trouble>>()?;
    let (sender, receiver) = sync_channel(WAITING);
    for (which, lines) in opened.into_iter().enumerate() {
        let sender = sender.clone();
        // Ends with its connection, or with the program.
        thread::spawn(move || tell(which, lines, &sender));
    }
    drop(sender);
    follow(monitor, &names, &receiver, args, out)?;
    shown.outcome()
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

fn tell(which: usize, mut lines: Lines, sender: &SyncSender<Said>) {
    loop {
        let said = lines.next();
        let is_over = !matches!(said, Ok(Some(_)));
        if sender.send((which, said)).is_err() || is_over {
            return;
        }
    }
}

/// Prints what they say, as it comes, until all are gone.
fn follow(
    monitor: Monitor<'_>,
    names: &[&str],
    said: &Receiver<Said>,
    args: &LogsArgs,
    out: &mut Out,
) -> Result<(), Trouble> {
    let mut next = said.recv().ok();
    while let Some((which, line)) = next {
        match line {
            Ok(Some(line)) => print(out, names[which], &line, args)?,
            Ok(None) | Err(Trouble::Ended) => {
                out.flush()?;
                is_gone(monitor, names[which])?;
            }
            Err(trouble) => return Err(trouble),
        }
        next = match said.try_recv() {
            Ok(more) => Some(more),
            Err(_) => {
                out.flush()?;
                said.recv().ok()
            }
        };
    }
    Ok(())
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
