//! Lets gRPC in, and with a token only who shows it.

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, Response, StatusCode};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;

use super::service::Service;
use super::v1::stats_server::StatsServer;
use crate::http::bearer::Bearer;
use crate::http::serve::port::Answer;
use crate::http::serve::reply::Reply;
use crate::http::serve::usage::keeps_no_place;

/// The longest request, in bytes: they are empty so far.
const MAX_REQUEST: usize = 64 << 10;

/// Holds what answers requests, behind a check of who asks.
pub(super) struct Door {
    server: StatsServer<Service>,
    token: Option<Bearer>,
}

impl Door {
    pub(super) fn new(service: Service, token: Option<Bearer>) -> Door {
        Door { server: StatsServer::new(service).max_decoding_message_size(MAX_REQUEST), token }
    }

    /// Answers a request. A page in a browser cannot send gRPC's type unasked, so none reaches what is local.
    pub(super) async fn enter(&self, request: Request<Incoming>) -> Response<Body> {
        let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        if !kind.starts_with(b"application/grpc") {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return response;
        }
        if let Some(token) = &self.token
            && !token.shown_in(request.headers(), &AUTHORIZATION)
        {
            return Status::unauthenticated("a valid bearer token is needed").into_http();
        }
        match self.server.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl Answer for Door {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let response = self.enter(request).await;
        let refused =
            response.headers().contains_key("grpc-status") || response.status() != StatusCode::OK;
        let mut response = response.map(Reply::streamed);
        if refused {
            keeps_no_place(&mut response);
        }
        response
    }
}
