use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::timeout;

/// Enough for a kubelet, a scraper and a browser at once.
const FEWEST: usize = 8;

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

/// Whether a connection has sent a whole request head, and its answer has an end.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Its answer goes on until somebody closes it: it may be closed at any time.
    pub(super) fn has_no_end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Connections {
    /// None yet, and never more than `most`, which is at least 1.
    pub(super) fn new(most: usize) -> Self {
        Connections { most, tasks: JoinSet::new(), open: Vec::new() }
    }

    /// Runs a connection, once there is room for it.
    pub(super) async fn admit(&mut self, asked: Asked, connection: impl Future<Output = ()> + Send + 'static) {
        self.close_down_to(self.most - 1).await;
        let task = self.tasks.spawn(connection);
        self.open.push(Open { task, asked });
    }

    /// Makes do with half of what is open, from now on: the program is short of descriptors, and its children need
    /// them more. Whether that made any free.
    pub(super) async fn shrink(&mut self) -> bool {
        let before = self.open.len();
        self.most = (before / 2).max(FEWEST);
        self.close_down_to(self.most).await;
        self.open.len() < before
    }

    async fn close_down_to(&mut self, target: usize) {
        while self.open.len() > target {
            self.close_one();
            // An aborted task's descriptor is closed when the runtime has dropped the task, not before.
            self.ended().await;
        }
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

    use tokio::sync::oneshot::{self, error::TryRecvError};

    use super::{Asked, Connections};

    /// A connection that ends when it is closed, and the means to see it.
    fn endless() -> (impl Future<Output = ()> + Send + 'static, oneshot::Receiver<()>) {
        let (alive, life) = oneshot::channel::<()>();
        let connection = async move {
            let _alive = alive;
            pending::<()>().await;
        };
        (connection, life)
    }

    fn asked() -> Asked {
        let asked = Asked::default();
        asked.set();
        asked
    }

    fn is_closed(life: &mut oneshot::Receiver<()>) -> bool {
        life.try_recv() == Err(TryRecvError::Closed)
    }

    #[tokio::test]
    async fn the_oldest_that_has_not_asked_makes_room() {
        let mut connections = Connections::new(3);
        let mut lives = Vec::new();
        for state in [asked(), Asked::default(), Asked::default(), asked(), Asked::default()] {
            let (connection, life) = endless();
            lives.push(life);
            connections.admit(state, connection).await;
        }
        let closed: Vec<bool> = lives.iter_mut().map(is_closed).collect();
        assert_eq!(closed, [false, true, true, false, false]);
    }

    #[tokio::test]
    async fn when_all_have_asked_the_oldest_makes_room() {
        let mut connections = Connections::new(1);
        let (connection, mut life) = endless();
        connections.admit(asked(), connection).await;
        assert!(!is_closed(&mut life));
        connections.admit(asked(), pending()).await;
        assert!(is_closed(&mut life));
    }

    #[tokio::test]
    async fn where_descriptors_are_short_it_makes_do_with_fewer() {
        let mut connections = Connections::new(64);
        let mut lives = Vec::new();
        for _ in 0..40 {
            let (connection, life) = endless();
            lives.push(life);
            connections.admit(Asked::default(), connection).await;
        }
        assert!(connections.shrink().await);
        assert_eq!(lives.iter_mut().filter_map(|life| (!is_closed(life)).then_some(())).count(), 20);
        connections.admit(Asked::default(), pending()).await;
        assert_eq!(connections.open.len(), 20, "and does so from then on");
        while connections.shrink().await {}
        assert_eq!(connections.open.len(), 8, "but not with none");
    }
}
