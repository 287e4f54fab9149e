//! `rollout status`

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::awaiting::Awaiting;
use super::effect::Goal;
use super::error::Error;
use super::{ask, files};
use crate::cli::{CtlArgs, StatusArgs};
use crate::model::Name;

/// What was written right before is seen by then: the monitor hears of it at once.
const NOTICED: Duration = Duration::from_millis(300);

/// Waits until each is as its file wants it; says how each is whenever that changes.
pub(super) fn status(ctl: &CtlArgs, args: &StatusArgs) -> Result<(), Error> {
    let awaiting = Awaiting::at_most(ctl, args.timeout)?;
    thread::sleep(NOTICED);
    let names: Vec<Name> = match &args.group {
        Some(group) => ask::members(ctl, group)?,
        None if args.names.is_empty() => awaiting.names().collect(),
        None => {
            let called = |name: &String| files::called(&ctl.config, files::bare(name));
            args.names.iter().map(called).collect::<Result<_, Error>>()?
        }
    };
    let goals: Vec<(Name, Goal)> = names.into_iter().map(|name| (name, Goal::Settled)).collect();
    let mut told: BTreeMap<Name, String> = BTreeMap::new();
    awaiting.until(&goals, "successfully rolled out", &mut |name, how| {
        if told.get(name).map(String::as_str) != Some(how) {
            super::print(&format!("Waiting for process/{name}: {how}\n"));
            told.insert(name.clone(), how.to_string());
        }
    })
}
