use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use crate::model::{EventsAsked, LogAnswer, LogAsked, ProcessEvent, Snapshot};

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
    /// What the processes use is about to be asked for. To be dropped at once if that is known, else when it is.
    Sample(oneshot::Sender<()>),
    /// What a process has printed.
    Log(LogAsked, oneshot::Sender<LogAnswer>),
    /// Why a message of this text would be refused, if it would be.
    Verdict(String, oneshot::Sender<Option<String>>),
}

/// The way to ask the loop.
#[derive(Clone, Debug)]
pub struct Ask {
    questions: mpsc::Sender<Question>,
    turns: Arc<Notify>,
}

/// The loop did not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stuck {
    /// Not within a second.
    Silent,
    /// It has ended.
    Gone,
}

impl Ask {
    /// Asks whoever holds the other end of `questions`, and tells all who wait for `turns` of each turn.
    pub fn new(questions: mpsc::Sender<Question>, turns: Arc<Notify>) -> Self {
        Ask { questions, turns }
    }

    /// Ready after the next turn of the loop, before which nothing changes. What is asked after this was called is not older
    /// than what comes then.
    pub(super) fn turned(&self) -> Pin<Box<OwnedNotified>> {
        let mut turned = Box::pin(Arc::clone(&self.turns).notified_owned());
        turned.as_mut().enable();
        turned
    }

    /// What a process has printed.
    ///
    /// # Errors
    /// As [`Ask::snapshot`].
    pub async fn log(&self, asked: LogAsked) -> Result<LogAnswer, Stuck> {
        self.ask(|answer| Question::Log(asked, answer)).await
    }

    /// Why a message of this text would be refused, if it would be.
    ///
    /// # Errors
    /// As [`Ask::snapshot`].
    pub async fn verdict(&self, message: String) -> Result<Option<String>, Stuck> {
        self.ask(|answer| Question::Verdict(message, answer)).await
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

    /// The colony as it is now, with what its processes use. For that it may have to be looked at them first, which takes a
    /// second at most.
    ///
    /// # Errors
    /// As [`Ask::snapshot`].
    pub async fn usage(&self) -> Result<Snapshot, Stuck> {
        // Whatever comes of it, the snapshot tells what is known.
        let _ = self.ask(Question::Sample).await;
        self.snapshot().await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, Stuck> {
        let exchange = async {
            let (answer, answered) = oneshot::channel();
            self.questions.send(question(answer)).await.map_err(|_| Stuck::Gone)?;
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
