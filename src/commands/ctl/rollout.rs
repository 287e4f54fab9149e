//! `rollout status`

use std::collections::BTreeMap;
use std::thread;

use super::awaiting::{Awaiting, Meanwhile};
use super::effect::Goal;
use super::error::Error;
use super::monitor::NOTICED;
use super::{ask, files, whom};
use crate::cli::{CtlArgs, StatusArgs};
use crate::model::Name;

/// Waits until each is as its file wants it; says how each is whenever that changes.
pub(super) fn status(ctl: &CtlArgs, args: &StatusArgs) -> Result<(), Error> {
    let awaiting = Awaiting::at_most(ctl, Some(args.timeout).filter(|limit| !limit.is_zero()))?;
    thread::sleep(NOTICED);
    let names: Vec<Name> = match (args.groups.is_empty(), args.names.is_empty()) {
        (false, _) => ask::members(ctl, &args.groups)?,
        (true, true) => awaiting.names().collect(),
        (true, false) => {
            let called = |name: &String| files::called(&ctl.config, files::bare(name));
            args.names.iter().map(called).collect::<Result<_, Error>>()?
        }
    };
    let goal = |name: &Name| match whom::replicas(&ctl.config, name) {
        Some(0) => Goal::Gone,
        Some(_) | None => Goal::Settled,
    };
    let goals: Vec<(Name, Goal)> = names.into_iter().map(|name| (name.clone(), goal(&name))).collect();
    awaiting.until(&goals, "successfully rolled out", Meanwhile::All(BTreeMap::new()))
}
