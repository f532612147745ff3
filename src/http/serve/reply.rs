//! The body of a response: some bytes at once, and trailers where the protocol has them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::HeaderMap;

/// A short body that is there already.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    data: Bytes,
    trailers: Option<HeaderMap>,
}

impl Reply {
    pub(crate) fn of(data: impl Into<Bytes>) -> Reply {
        Reply { data: data.into(), trailers: None }
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
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64)
    }
}
