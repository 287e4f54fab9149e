use std::fmt;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::model::{EventsAsked, ProcessEvent, Snapshot};

/// How long the loop may take to answer: a kubelet waits no longer than this by default.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the loop answers between two turns, and where the answer goes.
#[derive(Debug)]
pub enum Question {
    /// The colony as it is.
    Snapshot(oneshot::Sender<Snapshot>),
    /// What has happened to the processes, in the order of time. Apart from the snapshot, of which a scrape wants nothing
    /// but numbers.
    Events(EventsAsked, oneshot::Sender<Vec<ProcessEvent>>),
}

/// The way to ask the loop.
#[derive(Clone, Debug)]
pub struct Ask(mpsc::Sender<Question>);

/// The loop did not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stuck {
    /// Not within a second.
    Silent,
    /// It has ended.
    Gone,
}

impl Ask {
    /// Asks whoever holds the other end of `questions`.
    pub fn new(questions: mpsc::Sender<Question>) -> Self {
        Ask(questions)
    }

    /// The colony as it is now.
    ///
    /// # Errors
    /// When no answer comes within a second, or none ever will.
    pub async fn snapshot(&self) -> Result<Snapshot, Stuck> {
        self.ask(Question::Snapshot).await
    }

    /// The events that are asked for, the last at the end.
    ///
    /// # Errors
    /// As [`Ask::snapshot`].
    pub async fn events(&self, asked: EventsAsked) -> Result<Vec<ProcessEvent>, Stuck> {
        self.ask(|answer| Question::Events(asked, answer)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, Stuck> {
        let exchange = async {
            let (answer, answered) = oneshot::channel();
            self.0.send(question(answer)).await.map_err(|_| Stuck::Gone)?;
            answered.await.map_err(|_| Stuck::Gone)
        };
        timeout(PATIENCE, exchange).await.unwrap_or(Err(Stuck::Silent))
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stuck::Silent => write!(f, "the loop did not answer within {} s", PATIENCE.as_secs()),
            Stuck::Gone => f.write_str("the loop has ended"),
        }
    }
}

impl std::error::Error for Stuck {}
