//! An answer that is made as it is sent: between two pieces all else that is ready has its turn, a restart above all.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use tokio::task::yield_now;

use super::metrics::Exposition;
use super::stream::Stream;

pub(super) struct Pieces {
    source: Source,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

enum Source {
    Exposition(Box<Exposition>),
    Stream(Stream),
}

impl Pieces {
    pub(super) fn of(exposition: Box<Exposition>) -> Pieces {
        Pieces { source: Source::Exposition(exposition), pause: None }
    }

    pub(super) fn of_stream(stream: Stream) -> Pieces {
        Pieces { source: Source::Stream(stream), pause: None }
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
            self.pause = None;
        }
        let piece = match &mut self.source {
            Source::Exposition(exposition) => exposition.next(),
            Source::Stream(stream) => ready!(stream.poll_next(context)),
        };
        // Not by waking ourselves: a task that does so comes before what the kernel has to tell.
        self.pause = Some(Box::pin(yield_now()));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
