//! The verbs that ask the monitor by messages. Every name is looked at before the first is written.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::awaiting::{Awaiting, Meanwhile};
use super::effect::Goal;
use super::error::Error;
use super::{files, monitor};
use crate::cli::{AskArgs, CtlArgs, OutageArgs, SignalArgs, WaitFlags, WhomArgs};
use crate::config::{self, Defaults, Directory, Trust};
use crate::messages;
use crate::model::{Moment, Name, Request, Signal, nearest};

/// What is asked, and what comes of it.
#[derive(Clone, Copy)]
struct Asked {
    listener: Listener,
    /// What is said when it was asked, and what when it is so.
    words: [&'static str; 2],
    /// What becomes of each; `None`: it is done when the monitor has taken the message.
    goal: Option<Goal>,
}

/// Who understands a request.
#[derive(Clone, Copy)]
enum Listener {
    /// NColony's monitor, too, of which there is no sign.
    Any,
    /// This program's.
    Ours,
}

const RESTART: Asked =
    Asked { listener: Listener::Any, words: ["restart requested", "restarted"], goal: Some(Goal::Restarted) };
const STOP: Asked = Asked { listener: Listener::Ours, words: ["stop requested", "stopped"], goal: Some(Goal::Stopped) };
const START: Asked =
    Asked { listener: Listener::Ours, words: ["start requested", "started"], goal: Some(Goal::Started) };
const TRIGGER: Asked =
    Asked { listener: Listener::Ours, words: ["trigger requested", "triggered"], goal: Some(Goal::Begun) };
const SIGNAL: Asked = Asked { listener: Listener::Ours, words: ["signal requested", "signalled"], goal: None };

/// `restart`
pub(super) fn restart(ctl: &CtlArgs, args: &AskArgs) -> Result<(), Error> {
    each(ctl, &args.names.get(), RESTART, &Request::Restart, Some(&args.wait))
}

/// `rollout restart`
pub(super) fn rollout(ctl: &CtlArgs, whom: &WhomArgs) -> Result<(), Error> {
    let Some(group) = &whom.group else {
        let names: Vec<&str> = whom.names.iter().map(String::as_str).collect();
        return each(ctl, &names, RESTART, &Request::Restart, Some(&whom.wait));
    };
    let members = members(ctl, group)?;
    let awaiting = Awaiting::begin(ctl, &whom.wait)?;
    let sent = send(ctl, &[Request::RestartGroup(group.clone())], RESTART)?;
    // What is down, for good or by a message, is left alone.
    let restarted = members.iter().filter(|name| awaiting.as_ref().is_none_or(|awaiting| awaiting.was_up(name)));
    let restarted: Vec<Name> = restarted.cloned().collect();
    asked(&restarted, RESTART, awaiting, &sent)
}

/// The processes of a group, as their files have it.
pub(super) fn members(ctl: &CtlArgs, group: &str) -> Result<Vec<Name>, Error> {
    files::directory(&ctl.config, "--config")?;
    let scan = Directory::new(&ctl.config, Defaults::STANDARD, Trust::default()).scan(Moment::ZERO);
    if let Some(why) = scan.dir_error {
        return Err(Error::Unlisted(why));
    }
    let is_member = |groups: &[String]| groups.iter().any(|other| other == group);
    let members: Vec<Name> =
        scan.processes.iter().filter(|(_, spec)| is_member(&spec.groups)).map(|(name, _)| name.clone()).collect();
    if members.is_empty() {
        let groups = scan.processes.values().flat_map(|spec| &spec.groups).map(String::as_str);
        let nearest = nearest(group, groups).map(str::to_string);
        return Err(Error::UnknownGroup { group: group.to_string(), nearest });
    }
    Ok(members)
}

/// `stop`
pub(super) fn stop(ctl: &CtlArgs, args: &OutageArgs) -> Result<(), Error> {
    match args.persist {
        true => super::change::suspend(ctl, args, "true", "suspended"),
        false => each(ctl, &args.names.get(), STOP, &Request::Stop, Some(&args.wait)),
    }
}

/// `start`
pub(super) fn start(ctl: &CtlArgs, args: &OutageArgs) -> Result<(), Error> {
    match args.persist {
        true => super::change::suspend(ctl, args, "false", "resumed"),
        false => each(ctl, &args.names.get(), START, &Request::Start, Some(&args.wait)),
    }
}

/// `trigger`
pub(super) fn trigger(ctl: &CtlArgs, args: &AskArgs) -> Result<(), Error> {
    args.names.get().iter().try_for_each(|name| has_schedule(ctl, files::bare(name)))?;
    each(ctl, &args.names.get(), TRIGGER, &Request::Trigger, Some(&args.wait))
}

/// A file that cannot be read now may have been good, and what came of it be in force: then the monitor knows.
fn has_schedule(ctl: &CtlArgs, name: &str) -> Result<(), Error> {
    let path = files::one_of(&ctl.config, name).ok().flatten();
    let text = path.as_deref().and_then(|path| files::read(path).ok());
    let manifest = text.and_then(|text| config::parse(name, &text, &Defaults::STANDARD).ok());
    match manifest.is_some_and(|manifest| manifest.spec.schedule.is_none()) {
        true => Err(Error::NoSchedule { name: name.to_string() }),
        false => Ok(()),
    }
}

/// `signal`
pub(super) fn signal(ctl: &CtlArgs, args: &SignalArgs) -> Result<(), Error> {
    let unknown = || Error::Signal { text: args.signal.clone(), nearest: Signal::misspelt(&args.signal) };
    let signal = Signal::parse(&args.signal).ok_or_else(unknown)?;
    each(ctl, &[&*args.name], SIGNAL, &|name| Request::Signal(name, signal), None)
}

fn each(
    ctl: &CtlArgs,
    names: &[&str],
    what: Asked,
    request: &dyn Fn(Name) -> Request,
    wait: Option<&WaitFlags>,
) -> Result<(), Error> {
    let mut called: Vec<Name> = Vec::new();
    for name in names {
        called.push(files::called(&ctl.config, files::bare(name))?);
    }
    let awaiting = wait.map(|wait| Awaiting::begin(ctl, wait)).transpose()?.flatten();
    let requests: Vec<Request> = called.iter().map(|name| request(name.clone())).collect();
    let sent = send(ctl, &requests, what)?;
    asked(&called, what, awaiting, &sent)
}

/// Says what was asked, and waits for it, if somebody wants to.
fn asked(
    names: &[Name],
    what: Asked,
    awaiting: Option<Awaiting<'_>>,
    sent: &[(Request, PathBuf)],
) -> Result<(), Error> {
    for name in names {
        super::say(name, what.words[0], false);
    }
    let Some(awaiting) = awaiting else { return Ok(()) };
    awaiting.taken(sent)?;
    let goals: Vec<(Name, Goal)> = names.iter().flat_map(|name| what.goal.map(|goal| (name.clone(), goal))).collect();
    awaiting.until(&goals, what.words[1], Meanwhile::Crashes(BTreeSet::new()))
}

/// Writes all of these, or none where the monitor would refuse one; returns where.
fn send(ctl: &CtlArgs, requests: &[Request], what: Asked) -> Result<Vec<(Request, PathBuf)>, Error> {
    let dir = &ctl.messages;
    files::directory(dir, "--messages")?;
    match what.listener {
        Listener::Any => monitor::note_of_absence(dir, "one that starts later drops this"),
        Listener::Ours => monitor::is_there(dir)?,
    }
    monitor::would_obey(ctl, requests)?;
    let write = |request: &Request| Ok((request.clone(), messages::write(dir, request).map_err(Error::Message)?));
    requests.iter().map(write).collect()
}
