//! An exposition as the body of an answer: between two pieces all else that is ready has its turn, a restart above all.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use tokio::task::yield_now;

use super::metrics::Exposition;

pub(super) struct Pieces {
    exposition: Box<Exposition>,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Pieces {
    pub(super) fn of(exposition: Box<Exposition>) -> Pieces {
        Pieces { exposition, pause: None }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
        }
        // Not by waking ourselves: a task that does so comes before what the kernel has to tell.
        self.pause = Some(Box::pin(yield_now()));
        Poll::Ready(self.exposition.next().map(|piece| Ok(Frame::data(piece))))
    }
}
