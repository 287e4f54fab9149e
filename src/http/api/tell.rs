//! What was asked for, told: whole, or as long as anybody listens.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use tokio::time::sleep;

use super::{Parameters, Refusal, Wanted, json, object};
use crate::model::{
    Event, EventsAsked, LogAnswer, LogAsked, LogFrom, LogLine, LogRun, LogTold, Name, ProcessEvent, ProcessView,
    Snapshot, Wall, utc,
};
use crate::routes::{Content, Reply};
use crate::stream::{Out, Stream};
use crate::{Ask, Stuck};

/// The shortest time between two looks for somebody who watches: a colony in turmoil is not looked at at every turn.
const PAUSE: Duration = Duration::from_millis(100);
/// The same of a log that fills quickly: a buffer of 16 KiB then holds what comes in between of 1.6 MB a second. To look at each
/// turn would cost the loop as much as all that it does for such a process.
const BRISK: Duration = Duration::from_millis(10);
/// So much in one look is quickly filled.
const MUCH: usize = 4 * 1024;
/// And so much longer for each process.
const PAUSE_EACH: Duration = Duration::from_micros(100);

pub(super) async fn answer(ask: &Ask, wanted: Wanted, parameters: Parameters) -> Result<Reply, Refusal> {
    match wanted {
        Wanted::Version => Ok(json(StatusCode::OK, Content::Text(object::monitor(&ask.snapshot().await?) + "\n"))),
        Wanted::Processes(name) => processes(ask, name, &parameters).await,
        Wanted::Events => events(ask, parameters).await,
        Wanted::Log(name) => log(ask, name, parameters).await,
        Wanted::Verdict => {
            let why = ask.verdict(parameters.message.unwrap_or_default()).await?;
            Ok(json(StatusCode::OK, Content::Text(object::verdict(&why.unwrap_or_default()) + "\n")))
        }
    }
}

async fn processes(ask: &Ask, name: Option<Name>, parameters: &Parameters) -> Result<Reply, Refusal> {
    let snapshot = if parameters.usage { ask.usage().await? } else { ask.snapshot().await? };
    let found = name.as_ref().map(|name| snapshot.processes.iter().find(|view| view.name == *name));
    let content = match (found, name) {
        (Some(None), Some(name)) => return Err(Refusal::no_process(&name)),
        (_, name) if parameters.watch => {
            let ask = ask.clone();
            Content::Endless(Stream::of(|out| watch(ask, name, out)))
        }
        (Some(Some(view)), _) => Content::Text(object::process(view) + "\n"),
        (None, _) | (Some(None), None) => {
            let object = if parameters.brief { object::brief } else { object::process };
            Content::Stream(Stream::of(|out| list(snapshot, object, out)))
        }
    };
    Ok(json(StatusCode::OK, content))
}

async fn list(snapshot: Snapshot, object: fn(&ProcessView) -> String, mut out: Out) {
    out.say(&object::list_head(Some(&snapshot))).await;
    for (index, view) in snapshot.processes.iter().enumerate() {
        out.say(if index == 0 { "\n" } else { ",\n" }).await;
        out.say(&object(view)).await;
    }
    out.say("\n]}\n").await;
    out.flush().await;
}

/// Tells what changes, until the loop has ended.
async fn watch(ask: Ask, name: Option<Name>, mut out: Out) {
    // By name, as the snapshot has them.
    let mut known: Vec<(Name, u64)> = Vec::new();
    loop {
        let turned = ask.turned();
        let snapshot = match ask.snapshot().await {
            Ok(snapshot) => snapshot,
            // It may get over it, and has not been looked at for long enough.
            Err(Stuck::Silent) => continue,
            Err(Stuck::Gone) => return,
        };
        let mut before = std::mem::take(&mut known).into_iter().peekable();
        for view in snapshot.processes.iter().filter(|view| name.as_ref().is_none_or(|name| view.name == *name)) {
            while let Some((gone, _)) = before.next_if(|(name, _)| *name < view.name) {
                say(&mut out, "DELETED", &object::gone(&gone)).await;
            }
            let (hash, was) = (hash(&object::steady(view)), before.next_if(|(name, _)| *name == view.name));
            known.push((view.name.clone(), hash));
            match was {
                None => say(&mut out, "ADDED", &object::process(view)).await,
                Some((_, was)) if was != hash => say(&mut out, "MODIFIED", &object::process(view)).await,
                Some(_) => {}
            }
        }
        for (gone, _) in before {
            say(&mut out, "DELETED", &object::gone(&gone)).await;
        }
        drop(snapshot);
        out.flush().await;
        // Of many, each look takes longer.
        sleep(PAUSE + PAUSE_EACH * u32::try_from(known.len()).unwrap_or(u32::MAX)).await;
        turned.await;
    }
}

async fn say(out: &mut Out, kind: &str, object: &str) {
    out.say(&format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")).await;
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

async fn events(ask: &Ask, parameters: Parameters) -> Result<Reply, Refusal> {
    let asked = EventsAsked { of: parameters.process, newest: usize::MAX };
    let content = if parameters.watch {
        let ask = ask.clone();
        Content::Endless(Stream::of(|out| watch_events(ask, asked, out)))
    } else {
        let events = ask.events(asked).await?;
        Content::Stream(Stream::of(|out| list_events(events, out)))
    };
    Ok(json(StatusCode::OK, content))
}

async fn list_events(events: Vec<ProcessEvent>, mut out: Out) {
    out.say(&object::list_head(None)).await;
    for (index, event) in events.iter().enumerate() {
        out.say(if index == 0 { "\n" } else { ",\n" }).await;
        out.say(&object::event(event)).await;
    }
    out.say("\n]}\n").await;
    out.flush().await;
}

/// Tells each event when it happens, and again when it happens again.
async fn watch_events(ask: Ask, asked: EventsAsked, mut out: Out) {
    let mut last = Wall::default();
    // Those that happened at that very time are told by now.
    let mut then: Vec<(Name, Event)> = Vec::new();
    loop {
        let turned = ask.turned();
        let events = match ask.events(asked.clone()).await {
            Ok(events) => events,
            Err(Stuck::Silent) => continue,
            Err(Stuck::Gone) => return,
        };
        for ProcessEvent { process, event } in events {
            let is_told = event.last < last || then.iter().any(|told| told.0 == process && told.1 == event);
            if is_told {
                continue;
            }
            if event.last > last {
                (last, then) = (event.last, Vec::new());
            }
            then.push((process.clone(), event.clone()));
            let kind = if event.count > 1 { "MODIFIED" } else { "ADDED" };
            say(&mut out, kind, &object::event(&ProcessEvent { process, event })).await;
        }
        out.flush().await;
        sleep(PAUSE).await;
        turned.await;
    }
}

async fn log(ask: &Ask, name: Name, parameters: Parameters) -> Result<Reply, Refusal> {
    let run = if parameters.previous { LogRun::Previous } else { LogRun::Present };
    let since = parameters.since.map(|seconds| {
        Wall::from(SystemTime::now()).minus(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    });
    let from = LogFrom::Last { lines: parameters.tail, since };
    let asked = LogAsked { process: name.clone(), run, from };
    let first = match ask.log(asked.clone()).await? {
        LogAnswer::Told(told) => told,
        LogAnswer::NoProcess => return Err(Refusal::no_process(&name)),
        LogAnswer::NotCaptured => {
            let message = format!("the output of {name} goes to the monitor's own (output: inherit), and is not kept");
            return Err(Refusal(StatusCode::CONFLICT, "NotCaptured", message));
        }
    };
    let ask = ask.clone();
    let follow = parameters.follow;
    let stream = Stream::of(|out| tell_log(ask, asked, parameters, first, out));
    let content = if follow { Content::Endless(stream) } else { Content::Stream(stream) };
    Ok(Reply { status: StatusCode::OK, content_type: crate::routes::TEXT, content })
}

async fn tell_log(ask: Ask, asked: LogAsked, parameters: Parameters, first: LogTold, mut out: Out) {
    let end = first.end;
    let mut told = first;
    loop {
        say_lines(&mut out, &told, &parameters).await;
        let is_all = if parameters.follow { told.next == told.end } else { told.next >= end };
        let turned = ask.turned();
        if is_all {
            if !parameters.follow {
                // Where more has come since, what has begun does not come right after this.
                let unfinished = if told.next == told.end { told.unfinished } else { Vec::new() };
                say_lines(&mut out, &LogTold { lines: unfinished, ..LogTold::default() }, &parameters).await;
                out.flush().await;
                return;
            }
            out.flush().await;
            sleep(pause_after(&told)).await;
            turned.await;
        }
        let next = LogAsked { from: LogFrom::After(told.next), ..asked.clone() };
        match ask.log(next).await {
            Ok(LogAnswer::Told(more)) => told = more,
            Err(Stuck::Silent) => told = LogTold { lines: Vec::new(), unfinished: Vec::new(), skipped: 0, ..told },
            Ok(LogAnswer::NoProcess | LogAnswer::NotCaptured) | Err(Stuck::Gone) => break,
        }
    }
    out.flush().await;
}

/// How long to leave a log alone of which this was found.
fn pause_after(told: &LogTold) -> Duration {
    let bytes: usize = told.lines.iter().map(|line| line.text.len() + 1).sum();
    if told.skipped > 0 || bytes > MUCH { BRISK } else { PAUSE }
}

async fn say_lines(out: &mut Out, told: &LogTold, parameters: &Parameters) {
    if told.skipped > 0 {
        // Whoever is slow, the process that prints, the loop or the reader.
        let why = "more was printed in between than is kept (--log-buffer)";
        out.say(&format!("… {} bytes are left out: {why}\n", told.skipped)).await;
    }
    let mut stamp = String::new();
    let mut stamped = Wall::default();
    for LogLine { at, text } in &told.lines {
        if parameters.timestamps {
            if stamped != *at {
                stamped = *at;
                stamp = utc(std::time::UNIX_EPOCH + Duration::from_nanos(at.as_nanos())) + " ";
            }
            out.say(&stamp).await;
        }
        out.say(text).await;
        out.say("\n").await;
    }
}

#[cfg(test)]
mod tests {
    use super::{BRISK, MUCH, PAUSE, pause_after};
    use crate::model::{LogLine, LogTold, Wall};

    #[test]
    fn a_log_that_fills_quickly_is_looked_at_more_often() {
        let line = |text: String| LogLine { at: Wall::default(), text };
        let told = |lines: usize, skipped| LogTold {
            lines: (0..lines).map(|_| line("x".repeat(99))).collect(),
            skipped,
            ..LogTold::default()
        };
        assert_eq!(pause_after(&told(0, 0)), PAUSE);
        assert_eq!(pause_after(&told(MUCH / 100, 0)), PAUSE);
        assert_eq!(pause_after(&told(MUCH / 100 + 1, 0)), BRISK);
        assert_eq!(pause_after(&told(1, 1)), BRISK, "some were missed");
    }
}
