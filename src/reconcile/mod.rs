//! The pure core: facts are folded into [`Observed`], [`reconcile`] compares it with [`Desired`] and answers with a
//! [`Plan`]. No clock, no file, no pid, no async: `now` is an argument, and so is the [`Machine`].

mod agenda;
mod answered;
mod calendars;
mod chain;
mod desired;
mod fitting;
mod fold;
mod hearts;
mod hooks;
mod machine;
mod observed;
mod order;
mod outcome;
mod plan;
mod policy;
mod probes;
mod record;
mod rolling;
mod schedule;
mod setback;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tables;
mod timing;
mod view;
mod waits;
mod weight;

// By the names that these rooms have in the monitor.
use ncolony_model as model;

pub use chain::longest_chain;
pub use desired::{Desired, Haste};
pub use hooks::{Cut, Hook, HookEnd, PostStart, Stage};
pub use machine::{Machine, Settled, settle};
pub use observed::{Fact, Observed};
pub use outcome::{Outcome, Until};
pub use plan::{Action, Plan, Target, Why, reconcile};
pub use probes::{ProbeTally, Probing};
pub use record::{Ask, Life, Record, Run};
pub use schedule::{NoTrigger, Progress, may_trigger};
pub use setback::Setback;
pub use view::view;
pub use weight::{Excess, Scales, Weight};
