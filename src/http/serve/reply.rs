//! The body of a response: some bytes at once, and trailers where the protocol has them; or a stream of its own.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::HeaderMap;

/// A short body that is there already, or one that comes bit by bit.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    data: Bytes,
    trailers: Option<HeaderMap>,
    stream: Option<UnsyncBoxBody<Bytes, Cut>>,
}

/// Ends a stream early. Its client sees that no trailers come.
#[derive(Debug)]
struct Cut;

impl Reply {
    pub(crate) fn of(data: impl Into<Bytes>) -> Reply {
        Reply { data: data.into(), ..Reply::default() }
    }

    /// A body that may take as long as it likes, and does not count as one that its client leaves untaken.
    pub(crate) fn streamed(body: impl Body<Data = Bytes> + Send + 'static) -> Reply {
        Reply { stream: Some(body.map_err(|_| Cut).boxed_unsync()), ..Reply::default() }
    }

    /// Says whether it comes bit by bit.
    pub(super) fn is_streamed(&self) -> bool {
        self.stream.is_some()
    }

    pub(crate) fn with_trailers(self, trailers: HeaderMap) -> Reply {
        Reply { trailers: Some(trailers), ..self }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(stream) = &mut self.stream {
            return Pin::new(stream).poll_frame(cx).map(|frame| frame?.ok().map(Ok));
        }
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        let streams = self.stream.as_ref().is_some_and(|stream| !stream.is_end_stream());
        self.data.is_empty() && self.trailers.is_none() && !streams
    }

    fn size_hint(&self) -> SizeHint {
        match &self.stream {
            Some(stream) => stream.size_hint(),
            None => SizeHint::with_exact(self.data.len() as u64),
        }
    }
}
