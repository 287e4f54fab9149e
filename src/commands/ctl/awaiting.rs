//! `--wait` and `rollout status`: looking at what the monitor tells until it is so, or the time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::Value;

use super::effect::{self, Goal, Look, Progress};
use super::error::Error;
use super::monitor;
use super::read::object::{self, text};
use super::read::{Monitor, Trouble, explained};
use crate::cli::{CtlArgs, WaitFlags};
use crate::model::{Name, Request};

/// From one look to the next at least; a look that takes its time is given more.
const SOONEST: Duration = Duration::from_millis(50);
const LATEST: Duration = Duration::from_secs(2);

/// A look at the colony before something is asked, and how long to wait for what comes of it.
pub(super) struct Awaiting<'a> {
    messages: &'a Path,
    config: &'a Path,
    before: Value,
    by: Option<Instant>,
}

/// What is told of each while it is waited for, and was told last.
pub(super) enum Meanwhile {
    /// How it is, whenever that changes.
    All(BTreeMap<Name, String>),
    /// That it crashes, once.
    Crashes(BTreeSet<Name>),
    /// Nothing: how it is does not matter to what it is to be.
    Nothing,
}

impl<'a> Awaiting<'a> {
    /// `None`: nobody wants to wait.
    pub(super) fn begin(ctl: &'a CtlArgs, flags: &WaitFlags) -> Result<Option<Awaiting<'a>>, Error> {
        match flags.wait {
            true => Awaiting::at_most(ctl, Some(flags.timeout)).map(Some),
            false => Ok(None),
        }
    }

    /// `None`: as long as it takes.
    pub(super) fn at_most(ctl: &'a CtlArgs, limit: Option<Duration>) -> Result<Awaiting<'a>, Error> {
        let by = limit.and_then(|limit| Instant::now().checked_add(limit));
        let begun = Awaiting { messages: &ctl.messages, config: &ctl.config, before: Value::Null, by };
        Ok(Awaiting { before: begun.look()?, ..begun })
    }

    /// The names that the monitor had.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        self.items().filter_map(|process| Name::parse(process.pointer("/metadata/name")?.as_str()?).ok())
    }

    /// The names of those of whom a run went on.
    pub(super) fn were_up(&self) -> BTreeSet<&str> {
        let up = self.items().filter(|process| text(process, "/status/phase") == "Running");
        up.map(object::name).collect()
    }

    fn items(&self) -> impl Iterator<Item = &Value> {
        self.before.pointer("/items").and_then(Value::as_array).into_iter().flatten()
    }

    /// Waits until the monitor has taken these messages. One that it sets aside was refused, which is told, and so need not
    /// stay.
    pub(super) fn taken(&self, messages: &[(Request, PathBuf)]) -> Result<(), Error> {
        for (request, path) in messages {
            while path.symlink_metadata().is_ok() {
                self.pause(Duration::ZERO).ok_or(Error::NotTaken)?;
            }
            let aside = format!(".rejected-{}", path.file_name().unwrap_or_default().to_string_lossy());
            if fs::remove_file(path.with_file_name(aside)).is_ok() {
                return Err(Error::SetAside { why: monitor::refusal(self.messages, request).ok().flatten() });
            }
        }
        Ok(())
    }

    /// Waits until each has reached its goal, and says so by `word`.
    pub(super) fn until(&self, goals: &[(Name, Goal)], word: &str, mut meanwhile: Meanwhile) -> Result<(), Error> {
        let mut left: Vec<&(Name, Goal)> = goals.iter().collect();
        let before = Look::of(&self.before);
        loop {
            let begun = Instant::now();
            let list = self.look()?;
            let now = Look::of(&list);
            let (mut waiting, mut failed) = (Vec::new(), None);
            for goal in left {
                match effect::progress(goal.1, goal.0.as_str(), &before, &now) {
                    Progress::Reached => {
                        let instead = effect::instead(goal.1, goal.0.as_str(), &before, &now);
                        super::say(&goal.0, instead.as_deref().unwrap_or(word), false);
                    }
                    Progress::Waiting(how) => waiting.push((goal, how)),
                    Progress::Failed(why) => failed = failed.or(Some((goal, why))),
                }
            }
            if let Some((goal, why)) = failed {
                return Err(Error::Failed { name: goal.0.to_string(), why });
            }
            let Some((first, how)) = waiting.first() else { return Ok(()) };
            self.may_come(waiting.iter().map(|(goal, _)| *goal).filter(|(name, goal)| !now.knows(name, *goal)))?;
            waiting.iter().for_each(|(goal, how)| meanwhile.tell(&goal.0, how));
            let late = || Error::TimedOut { name: first.0.to_string(), how: how.clone() };
            self.pause(begun.elapsed() * 4).ok_or_else(late)?;
            left = waiting.into_iter().map(|(goal, _)| goal).collect();
        }
    }

    /// The monitor's list of processes now.
    fn look(&self) -> Result<Value, Error> {
        self.monitor().get("/v1/processes").map_err(Error::Trouble)
    }

    fn monitor(&self) -> Monitor<'a> {
        let left = self.by.map_or(Duration::MAX, |by| by.saturating_duration_since(Instant::now()));
        Monitor::of(self.messages).at_most(left)
    }

    /// An error where one of these, whom the monitor does not know, has a file that it refuses as it is now.
    fn may_come<'g>(&self, mut unknown: impl Iterator<Item = &'g (Name, Goal)>) -> Result<(), Error> {
        let Some((name, _)) = unknown.next() else { return Ok(()) };
        let has_read = |version: Value| {
            let written = fs::metadata(self.config).and_then(|dir| dir.modified()).ok()?;
            let written = written.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
            Some(object::time(&version, "/config/loadedAt")? > written)
        };
        if self.monitor().get("/v1/version").ok().and_then(has_read) != Some(true) {
            return Ok(());
        }
        match explained(self.monitor(), Trouble::NotFound(name.to_string(), None)) {
            Trouble::Refused(why) => Err(Error::Failed { name: name.to_string(), why }),
            _ => Ok(()),
        }
    }

    /// `None`: the time is over.
    fn pause(&self, span: Duration) -> Option<()> {
        let left = self.by.map_or(LATEST, |by| by.saturating_duration_since(Instant::now()));
        (!left.is_zero()).then(|| thread::sleep(span.clamp(SOONEST, LATEST).min(left)))
    }
}

impl Meanwhile {
    fn tell(&mut self, name: &Name, how: &str) {
        match self {
            Meanwhile::Nothing => {}
            Meanwhile::All(told) => {
                if told.get(name).map(String::as_str) != Some(how) {
                    super::print(&format!("Waiting for process/{name}: {how}\n"));
                    told.insert(name.clone(), how.to_string());
                }
            }
            Meanwhile::Crashes(told) => {
                if how.contains(effect::CRASH_LOOP) && told.insert(name.clone()) {
                    super::note(&format!("process/{name}: {how}; it may be well the next time, and is waited for"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::Awaiting;
    use crate::ctl::error::Error;
    use crate::model::Request;

    #[test]
    fn a_message_that_was_refused_after_all_is_an_error_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let awaiting = Awaiting { messages: dir.path(), config: dir.path(), before: Value::Null, by: None };
        let sent = [(Request::RestartAll, dir.path().join("000Message.1"))];
        assert!(awaiting.taken(&sent).is_ok(), "it was taken");
        let aside = dir.path().join(".rejected-000Message.1");
        fs::write(&aside, "{}").expect("a file");
        assert!(matches!(awaiting.taken(&sent), Err(Error::SetAside { why: None })), "nobody tells why");
        assert!(!aside.exists());
    }
}
