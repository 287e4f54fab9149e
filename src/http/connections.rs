use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::timeout;

/// The open connections, at most so many; the newest always finds room.
pub(super) struct Connections {
    most: usize,
    tasks: JoinSet<()>,
    /// Oldest first; one for each task.
    open: Vec<Open>,
}

struct Open {
    task: AbortHandle,
    asked: Asked,
}

/// Whether a connection has sent a whole request head.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Connections { most, tasks: JoinSet::new(), open: Vec::new() }
    }

    /// Runs a connection, once there is room for it.
    pub(super) async fn admit(&mut self, asked: Asked, connection: impl Future<Output = ()> + Send + 'static) {
        while self.open.len() >= self.most {
            self.close_one();
            // An aborted task's descriptor is closed when the runtime has dropped the task, not before.
            self.ended().await;
        }
        let task = self.tasks.spawn(connection);
        self.open.push(Open { task, asked });
    }

    /// Closes the oldest connection that has not asked anything; the oldest of all if every one has.
    pub(super) fn close_one(&self) {
        if let Some(open) = self.open.iter().find(|open| !open.asked.get()).or(self.open.first()) {
            open.task.abort();
        }
    }

    /// Waits until a connection has ended; for ever if there is none.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => self.forget(id),
            Some(Err(error)) => self.forget(error.id()),
            None => std::future::pending().await,
        }
    }

    /// Drops those that have not asked anything, and gives the others at most `limit` to get their answers.
    pub(super) async fn drain(mut self, limit: Duration) {
        for open in self.open.iter().filter(|open| !open.asked.get()) {
            open.task.abort();
        }
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        // What is left then is aborted as the set is dropped.
        let _ = timeout(limit, all_ended).await;
    }

    fn forget(&mut self, id: Id) {
        self.open.retain(|open| open.task.id() != id);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::{Asked, Connections};

    #[tokio::test]
    async fn the_oldest_that_has_not_asked_makes_room() {
        let mut connections = Connections::new(3);
        let mut lives = Vec::new();
        for asks in [true, false, false, true, false] {
            let (alive, life) = oneshot::channel::<()>();
            lives.push(life);
            let asked = Asked::default();
            if asks {
                asked.set();
            }
            let hold = async move {
                let _alive = alive;
                pending::<()>().await;
            };
            connections.admit(asked, hold).await;
        }
        let ended: Vec<bool> =
            lives.iter_mut().map(|life| matches!(life.try_recv(), Err(oneshot::error::TryRecvError::Closed))).collect();
        assert_eq!(ended, [false, true, true, false, false]);
    }

    #[tokio::test]
    async fn when_all_have_asked_the_oldest_makes_room() {
        let mut connections = Connections::new(1);
        let (alive, life) = oneshot::channel::<()>();
        let asked = Asked::default();
        asked.set();
        let hold = async move {
            let _alive = alive;
            pending::<()>().await;
        };
        connections.admit(asked.clone(), hold).await;
        connections.admit(asked, pending()).await;
        assert!(life.await.is_err());
    }
}
