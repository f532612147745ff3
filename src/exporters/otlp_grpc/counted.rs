//! A channel that says how much of answers it passes on: that much more may come. It passes on what tonic can read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::{Channel, Error};
use tower_service::Service;

use super::readable::make_readable;
use crate::exporters::allowance::Allowance;

#[derive(Clone)]
pub(super) struct Counted {
    pub(super) channel: Channel,
    pub(super) allowance: Arc<Allowance>,
}

impl Service<Request<Body>> for Counted {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answering = self.channel.call(request);
        let allowance = Arc::clone(&self.allowance);
        Box::pin(async move {
            let mut response = answering.await?;
            make_readable(response.headers_mut());
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |mut frame| {
                    allowance.passed_on(frame.data_ref().map_or(0, Bytes::len));
                    frame.trailers_mut().into_iter().for_each(make_readable);
                    frame
                }))
            }))
        })
    }
}
