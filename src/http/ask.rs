use std::fmt;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::model::Snapshot;

/// How long the loop may take to answer: a kubelet waits no longer than this by default.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to a [`Snapshot`]: a question that the loop answers between two turns.
#[derive(Clone, Debug)]
pub struct Ask(mpsc::Sender<oneshot::Sender<Snapshot>>);

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
    pub fn new(questions: mpsc::Sender<oneshot::Sender<Snapshot>>) -> Self {
        Ask(questions)
    }

    /// The colony as it is now.
    ///
    /// # Errors
    /// When no answer comes within a second, or none ever will.
    pub async fn snapshot(&self) -> Result<Snapshot, Stuck> {
        let exchange = async {
            let (answer, answered) = oneshot::channel();
            self.0.send(answer).await.map_err(|_| Stuck::Gone)?;
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
