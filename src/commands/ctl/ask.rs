//! The verbs that ask the monitor by messages. Every name is looked at before the first is written.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::awaiting::{Awaiting, Meanwhile};
use super::effect::Goal;
use super::error::Error;
use super::read::Trouble;
use super::{files, monitor, whom};
use crate::cli::{AskArgs, CtlArgs, NamesArgs, OutageArgs, SignalArgs, WaitFlags, WhomArgs};
use crate::config::{self, Defaults, Directory, Trust};
use crate::messages;
use crate::model::{Moment, Name, ProcessSpec, Request, Signal};

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
    each(ctl, &args.names, RESTART, &Request::Restart, Some(&args.wait))
}

/// `rollout restart`
pub(super) fn rollout(ctl: &CtlArgs, args: &WhomArgs) -> Result<(), Error> {
    if args.groups.is_empty() {
        let (names, selector) = (args.names.clone(), args.selector.clone());
        let named = NamesArgs { names, name_option: None, selector, all: false };
        return each(ctl, &named, RESTART, &Request::Restart, Some(&args.wait));
    }
    let members = members(ctl, &args.groups)?;
    let awaiting = Awaiting::begin(ctl, &args.wait)?;
    let requests: Vec<Request> = args.groups.iter().map(|group| Request::RestartGroup(group.clone())).collect();
    let sent = send(ctl, &requests, RESTART)?;
    // What is down, for good or by a message, is left alone.
    let were_up = awaiting.as_ref().map(Awaiting::were_up);
    let is_meant = |name: &&Name| were_up.as_ref().is_none_or(|were_up| were_up.contains(name.as_str()));
    let restarted: Vec<Name> = members.iter().filter(is_meant).cloned().collect();
    asked(&restarted, RESTART, awaiting, &sent)
}

/// The processes of these groups, none of which is empty, as their files have it.
pub(super) fn members(ctl: &CtlArgs, groups: &[String]) -> Result<Vec<Name>, Error> {
    files::directory(&ctl.config, "--config")?;
    let scan = Directory::new(&ctl.config, Defaults::STANDARD, Trust::default()).scan(Moment::ZERO);
    if let Some(why) = scan.dir_error {
        return Err(Error::Unlisted(why));
    }
    let of = |spec: &ProcessSpec, group: &String| spec.groups.contains(group);
    if let Some(group) = groups.iter().find(|group| !scan.processes.values().any(|spec| of(spec, group))) {
        return Err(whom::unknown(group, scan.processes.values().flat_map(|spec| &spec.groups)));
    }
    let is_member = |spec: &ProcessSpec| groups.iter().any(|group| of(spec, group));
    Ok(scan.processes.iter().filter(|(_, spec)| is_member(spec)).map(|(name, _)| name.clone()).collect())
}

/// `stop`
pub(super) fn stop(ctl: &CtlArgs, args: &OutageArgs) -> Result<(), Error> {
    match args.persist {
        true => super::change::suspend(ctl, args, "true", ["suspended", "stopped"]),
        false => each(ctl, &args.names, STOP, &Request::Stop, Some(&args.wait)),
    }
}

/// `start`
pub(super) fn start(ctl: &CtlArgs, args: &OutageArgs) -> Result<(), Error> {
    match args.persist {
        true => super::change::suspend(ctl, args, "false", ["resumed", "started"]),
        false => each(ctl, &args.names, START, &Request::Start, Some(&args.wait)),
    }
}

/// `trigger`
pub(super) fn trigger(ctl: &CtlArgs, args: &AskArgs) -> Result<(), Error> {
    let mut called = whom::asked(ctl, &args.names)?;
    let has_schedule = |name: &Name| has_schedule(ctl, name.as_str());
    if args.names.is_by_name() || !called.iter().any(|name| has_schedule(name).is_ok()) {
        called.iter().try_for_each(has_schedule)?;
    } else {
        called.retain(|name| has_schedule(name).is_ok());
        monitor::leave_alone(ctl, &mut called, &Request::Trigger)?;
    }
    to(ctl, called, TRIGGER, &Request::Trigger, Some(&args.wait))
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
    let Some((whom, text)) = args.get() else {
        let usage = "whom, and by which signal? give NAME SIGNAL, or -l group=GROUP or --all and a SIGNAL";
        return Err(Error::Trouble(Trouble::Usage(usage.to_string())));
    };
    let unknown = || Error::Signal { text: text.to_string(), nearest: Signal::misspelt(text) };
    let signal = Signal::parse(text).ok_or_else(unknown)?;
    each(ctl, &whom, SIGNAL, &|name| Request::Signal(name, signal), None)
}

fn each(
    ctl: &CtlArgs,
    names: &NamesArgs,
    what: Asked,
    request: &dyn Fn(Name) -> Request,
    wait: Option<&WaitFlags>,
) -> Result<(), Error> {
    let mut called = whom::asked(ctl, names)?;
    if !names.is_by_name() {
        // Of a group those are meant that it makes sense for.
        monitor::leave_alone(ctl, &mut called, request)?;
    }
    to(ctl, called, what, request, wait)
}

fn to(
    ctl: &CtlArgs,
    called: Vec<Name>,
    what: Asked,
    request: &dyn Fn(Name) -> Request,
    wait: Option<&WaitFlags>,
) -> Result<(), Error> {
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
