//! A crowd of orphans is collected by the main thread. The kernel gives orphans to it, and asked for whoever has ended it
//! looks through the asking thread's own children first: those of the loop's thread are all that run, a walk for each
//! orphan. Still nobody else waits: the owner of processes asks for a share, and goes on when it has it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::sys::{self, Ended, Wait, Which};
use crate::model::CpuTime;

/// The main thread's part.
pub struct CrowdCollector {
    asked: Receiver<Accounts>,
    told: SyncSender<Vec<Collected>>,
}

/// The owner's part.
pub struct Crowds {
    ask: SyncSender<Accounts>,
    collected: Receiver<Vec<Collected>>,
}

/// Whether it matters what they have used; the kernel takes a tenth more of its time to say it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Accounts {
    Kept,
    Nobodys,
}

/// One of them, and what it had used.
pub(super) type Collected = (Ended, Option<CpuTime>);

/// How many are collected at once, so that a crowd of any size takes little memory.
const SHARE: usize = 1024;

/// Both parts.
pub fn crowds() -> (CrowdCollector, Crowds) {
    // Nobody ever waits to be heard: an answer is awaited before the next question.
    let (ask, asked) = sync_channel(1);
    let (told, collected) = sync_channel(1);
    (CrowdCollector { asked, told }, Crowds { ask, collected })
}

impl CrowdCollector {
    /// Collects when it is asked to, until the other part is gone. To be called on the main thread.
    pub fn serve(self) {
        while let Ok(accounts) = self.asked.recv() {
            if self.told.send(share(accounts)).is_err() {
                return;
            }
        }
    }
}

impl Crowds {
    /// Some of the orphans that have ended; none when there are no more, or nobody collects.
    pub(super) fn collect(&self, accounts: Accounts) -> Vec<Collected> {
        let asked = self.ask.send(accounts);
        asked.ok().and_then(|()| self.collected.recv().ok()).unwrap_or_default()
    }
}

fn share(accounts: Accounts) -> Vec<Collected> {
    let mut share = Vec::with_capacity(SHARE);
    while share.len() < SHARE {
        let collected = match accounts {
            Accounts::Kept => sys::wait_with_usage(Which::Own).map(|(ended, cpu)| (ended, Some(cpu))),
            Accounts::Nobodys => sys::wait(Which::Own, Wait::Poll).ok().flatten().map(|ended| (ended, None)),
        };
        match collected {
            Some(collected) => share.push(collected),
            None => break,
        }
    }
    share
}
