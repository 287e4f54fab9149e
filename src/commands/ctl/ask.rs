//! The verbs that ask the monitor by messages. Every name is looked at before the first is written.

use super::error::Error;
use super::{files, monitor};
use crate::cli::{CtlArgs, OutageArgs, SignalArgs, WhomArgs};
use crate::config::{self, Defaults, Directory, Trust};
use crate::messages;
use crate::model::{Moment, Name, Request, Signal, nearest};

/// Who understands a request.
#[derive(Clone, Copy)]
enum Listener {
    /// NColony's monitor, too, of which there is no sign.
    Any,
    /// This program's.
    Ours,
}

/// `restart`, `rollout restart NAME...`
pub(super) fn restart<'n>(ctl: &CtlArgs, names: impl Iterator<Item = &'n str>) -> Result<(), Error> {
    each(ctl, names, Listener::Any, "restart requested", Request::Restart)
}

/// `rollout restart`
pub(super) fn rollout(ctl: &CtlArgs, whom: &WhomArgs) -> Result<(), Error> {
    let Some(group) = &whom.group else { return restart(ctl, whom.names.iter().map(String::as_str)) };
    let members = members(ctl, group)?;
    send(ctl, &[Request::RestartGroup(group.clone())], Listener::Any)?;
    for name in &members {
        super::say(name, "restart requested", false);
    }
    Ok(())
}

/// The processes of a group, as their files have it.
fn members(ctl: &CtlArgs, group: &str) -> Result<Vec<Name>, Error> {
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
        true => super::change::suspend(ctl, &args.names, "true", "suspended"),
        false => each(ctl, args.names.get(), Listener::Ours, "stop requested", Request::Stop),
    }
}

/// `start`
pub(super) fn start(ctl: &CtlArgs, args: &OutageArgs) -> Result<(), Error> {
    match args.persist {
        true => super::change::suspend(ctl, &args.names, "false", "resumed"),
        false => each(ctl, args.names.get(), Listener::Ours, "start requested", Request::Start),
    }
}

/// `trigger`
pub(super) fn trigger<'n>(ctl: &CtlArgs, names: impl Iterator<Item = &'n str> + Clone) -> Result<(), Error> {
    names.clone().try_for_each(|name| has_schedule(ctl, files::bare(name)))?;
    each(ctl, names, Listener::Ours, "trigger requested", Request::Trigger)
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
    let word = format!("signal {signal} requested");
    each(ctl, [&*args.name].into_iter(), Listener::Ours, &word, |name| Request::Signal(name, signal))
}

fn each<'n>(
    ctl: &CtlArgs,
    names: impl Iterator<Item = &'n str>,
    listener: Listener,
    word: &str,
    request: impl Fn(Name) -> Request,
) -> Result<(), Error> {
    let mut called: Vec<Name> = Vec::new();
    for name in names {
        called.push(files::called(&ctl.config, files::bare(name))?);
    }
    let requests: Vec<Request> = called.iter().cloned().map(request).collect();
    send(ctl, &requests, listener)?;
    for name in &called {
        super::say(name, word, false);
    }
    Ok(())
}

fn send(ctl: &CtlArgs, requests: &[Request], listener: Listener) -> Result<(), Error> {
    let dir = &ctl.messages;
    files::directory(dir, "--messages")?;
    match listener {
        Listener::Any => monitor::note_of_absence(dir, "one that starts later drops this"),
        Listener::Ours => monitor::is_there(dir)?,
    }
    for request in requests {
        messages::write(dir, request).map_err(Error::Message)?;
    }
    Ok(())
}
