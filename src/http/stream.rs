//! An answer that somebody tells, line by line, as long as it is listened to. No more than two pieces of it are ever in
//! memory: who does not read makes the teller wait, and nobody else.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Bytes;
use tokio::sync::mpsc;

/// So many bytes make a piece.
const PIECE: usize = 16 * 1024;

/// The pieces, and who tells them: dropped together, so that nobody tells to nobody.
pub(super) struct Stream {
    pieces: mpsc::Receiver<Bytes>,
    teller: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Where a teller's lines go.
pub(super) struct Out {
    to: mpsc::Sender<Bytes>,
    piece: String,
}

impl Stream {
    /// What `teller` tells, until it has no more to say.
    pub(super) fn of<F: Future<Output = ()> + Send + 'static>(teller: impl FnOnce(Out) -> F) -> Stream {
        let (to, pieces) = mpsc::channel(1);
        Stream { pieces, teller: Some(Box::pin(teller(Out { to, piece: String::new() }))) }
    }

    /// The next piece; `None` at the end.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(teller) = &mut self.teller
            && teller.as_mut().poll(context).is_ready()
        {
            // With it goes the sender, and what it has sent comes before the end.
            self.teller = None;
        }
        self.pieces.poll_recv(context)
    }
}

impl Out {
    /// Says this, together with what comes right after it.
    pub(super) async fn say(&mut self, text: &str) {
        self.piece.push_str(text);
        if self.piece.len() >= PIECE {
            self.flush().await;
        }
    }

    /// Says now what was said.
    pub(super) async fn flush(&mut self) {
        if !self.piece.is_empty() {
            // Nobody listens only while the whole is dropped.
            let _ = self.to.send(Bytes::from(std::mem::take(&mut self.piece))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{PIECE, Stream};

    #[tokio::test]
    async fn all_that_is_told_arrives_and_no_teller_runs_ahead() {
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let mut stream = Stream::of(|mut out| async move {
            for _ in 0..8 {
                out.say(&"x".repeat(PIECE)).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
            out.say("end").await;
            out.flush().await;
        });
        let mut bytes = 0;
        let mut pieces = 0;
        while let Some(piece) = poll_fn(|context| stream.poll_next(context)).await {
            bytes += piece.len();
            pieces += 1;
            assert!(told.load(Ordering::Relaxed) <= pieces + 1);
        }
        assert_eq!((bytes, told.load(Ordering::Relaxed)), (8 * PIECE + 3, 8));
    }
}
