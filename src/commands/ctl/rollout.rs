//! `rollout status`

use std::collections::BTreeMap;
use std::thread;

use super::awaiting::{Awaiting, Meanwhile};
use super::effect::Goal;
use super::error::Error;
use super::monitor::NOTICED;
use super::read::{Monitor, Trouble, tell_of_refused};
use super::{ask, files, whom};
use crate::cli::{CtlArgs, NamesArgs, StatusArgs};
use crate::model::Name;

/// Waits until each is as its file wants it; says how each is whenever that changes.
pub(super) fn status(ctl: &CtlArgs, args: &StatusArgs) -> Result<(), Error> {
    let awaiting = Awaiting::at_most(ctl, Some(args.timeout).filter(|limit| !limit.is_zero()))?;
    thread::sleep(NOTICED);
    let words: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let named = whom::names(&ctl.config, &words);
    let is_of_all = args.groups.is_empty() && args.selector.is_none() && named.is_empty();
    let chosen = NamesArgs { names: Vec::new(), name_option: None, selector: args.selector.clone(), all: false };
    let names: Vec<Name> = match (args.groups.is_empty(), named.is_empty()) {
        _ if args.selector.is_some() => whom::chosen(&ctl.config, &chosen, files::called)?,
        (false, _) => ask::members(ctl, &args.groups)?,
        (true, true) => awaiting.names().collect(),
        (true, false) => whom::found(&ctl.config, named, files::called)?,
    };
    let goal = |name: &Name| match whom::replicas(&ctl.config, name) {
        Some(0) => Goal::Gone,
        Some(_) | None => Goal::Settled,
    };
    let goals: Vec<(Name, Goal)> = names.into_iter().map(|name| (name.clone(), goal(&name))).collect();
    awaiting.until(&goals, "successfully rolled out", Meanwhile::All(BTreeMap::new()))?;
    // Of a file that never was good there is no process that would not be as it is to be.
    match is_of_all && tell_of_refused(Monitor::of(&ctl.messages)) > 0 {
        true => Err(Error::Trouble(Trouble::Refused("not all files are in force".to_string()))),
        false => Ok(()),
    }
}
