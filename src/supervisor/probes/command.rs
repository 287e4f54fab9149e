//! `exec`: a command in the surroundings of its run. Success is exit code 0; what it prints is no line of the log, as it may
//! print the same every second, but the end of it is part of a failure's text. What asks by HTTPS is ended as it is.

use std::os::fd::BorrowedFd;

use super::{Asker, Attempt, Doing, Finding, Heard, Key};
use crate::health::{Outcome, https};
use crate::model::{Exit, HelperId, Moment, Name, ProcessSpec, StartError, shown};
use crate::process::Children;
use crate::process::{self, Purpose};
use crate::supervisor::host::Host;

/// The most that is shown of what a command has printed last.
const SHOWN: usize = 1024;

impl Host {
    /// Starts a command, which has its time until then.
    pub(super) fn begin_command(
        &mut self,
        name: &Name,
        key: Key,
        spec: &ProcessSpec,
        argv: &[String],
        until: Moment,
    ) -> Result<Doing, String> {
        self.begin_asker(key, until, Asker::Exec, |children, ends| {
            children.start_helper(key.0, Purpose::Probe, name, spec, argv, Some(ends))
        })
    }

    /// Starts a helper that is asked for an answer, which it has until then.
    pub(super) fn begin_asker(
        &mut self,
        key: Key,
        until: Moment,
        asker: Asker,
        start: impl FnOnce(&mut Children, [BorrowedFd<'_>; 2]) -> Result<HelperId, StartError>,
    ) -> Result<Doing, String> {
        // The one before may have been killed just now, and not be collected yet.
        if self.probes.commands.values().filter(|other| **other == key).count() > 1 {
            return Err("its last commands do not die of SIGKILL".to_string());
        }
        let cannot = |error| format!("cannot start it: {error}");
        let helper = self.children.next_helper();
        let pipe = self.capture.open_answer(helper).map_err(|error| cannot(process::no_output(&error)))?;
        if let Err(error) = start(&mut self.children, [std::os::fd::AsFd::as_fd(&pipe); 2]) {
            self.capture.answer(helper);
            return Err(cannot(error));
        }
        self.probes.commands.insert(helper, key);
        self.probes.deadlines.insert((until, key));
        Ok(Doing::Command(helper, until, asker))
    }

    /// A helper has ended. Says whether it was a probe's.
    pub(in crate::supervisor) fn probe_exited(&mut self, helper: HelperId, exit: Exit) -> bool {
        let Some(key) = self.probes.commands.remove(&helper) else { return false };
        let words = self.capture.answer(helper);
        if let Some(Attempt { number, doing: Doing::Command(of, _, asker), .. }) = self.probes.under_way.get(&key)
            && *of == helper
        {
            let outcome = match asker {
                Asker::Exec if exit.is_success() => Outcome::Success,
                Asker::Exec => Outcome::Failure(with_words(&exit.to_string(), &words)),
                Asker::Https => https::outcome(exit, &words),
            };
            self.probes.known.push(Heard { key, number: *number, finding: Finding::Outcome(outcome) });
        }
        true
    }

    /// Ends the commands whose time is over, with all that they have started.
    pub(super) fn commands_out_of_time(&mut self, now: Moment) -> Vec<Heard> {
        let mut over = Vec::new();
        while let Some((until, key)) = self.probes.deadlines.first().copied().filter(|(until, _)| *until <= now) {
            self.probes.deadlines.remove(&(until, key));
            if let Some(Attempt { number, limit, doing: Doing::Command(helper, _, asker), .. }) =
                self.probes.under_way.get(&key)
            {
                let why = match asker {
                    Asker::Exec => format!("command timed out after {} s", limit.as_secs_f64()),
                    Asker::Https => format!("no answer within {} s", limit.as_secs_f64()),
                };
                let (number, helper) = (*number, *helper);
                let words = self.capture.answer(helper);
                self.children.end_helper(helper);
                over.push(Heard { key, number, finding: Finding::Outcome(Outcome::Failure(with_words(&why, &words))) });
            }
        }
        over
    }

    /// Ends a command that is of no more interest.
    pub(super) fn end_command(&mut self, key: Key, helper: HelperId, until: Moment) {
        self.probes.deadlines.remove(&(until, key));
        self.capture.answer(helper);
        self.children.end_helper(helper);
    }
}

/// What is wrong, and what the command has said of it.
fn with_words(why: &str, words: &[u8]) -> String {
    match words.trim_ascii() {
        [] => why.to_string(),
        words => format!("{why}: {}", shown(words, SHOWN)),
    }
}
