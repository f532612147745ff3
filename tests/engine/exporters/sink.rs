//! A backend that keeps the bytes it is sent and answers what it is told to.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::raw::Raw;

/// One request as it came in.
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) wire: Bytes,
}

type Answer = dyn Fn() -> Result<Bytes, Status> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Sink {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Answer>,
    /// Stands beside every status.
    beside: Option<(&'static str, &'static str)>,
}

/// A listening sink: it ends with this.
pub(crate) struct Listening {
    pub(crate) addr: SocketAddr,
    _server: JoinSet<()>,
}

impl Sink {
    /// A backend that answers every request with `answer`: the response message's bytes, or a status.
    pub(crate) fn answering(
        answer: impl Fn() -> Result<Bytes, Status> + Send + Sync + 'static,
    ) -> Sink {
        Sink { seen: Arc::default(), answer: Arc::new(answer), beside: None }
    }

    /// A backend that takes everything.
    pub(crate) fn taking_all() -> Sink {
        Sink::answering(|| Ok(Bytes::new()))
    }

    /// With this header beside the status of every answer.
    pub(crate) fn saying(self, name: &'static str, value: &'static str) -> Sink {
        Sink { beside: Some((name, value)), ..self }
    }

    /// Listens on a free port.
    pub(crate) async fn listen(&self, tls: Option<ServerTlsConfig>) -> Listening {
        self.serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), tls)
    }

    /// Serves on a socket that is there already.
    pub(crate) fn serve(&self, listener: TcpListener, tls: Option<ServerTlsConfig>) -> Listening {
        let addr = listener.local_addr().unwrap();
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let router = server
            .add_service(Named::<0>(self.clone()))
            .add_service(Named::<1>(self.clone()))
            .add_service(Named::<2>(self.clone()));
        let mut server = JoinSet::new();
        server.spawn(async move {
            router.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
        });
        Listening { addr, _server: server }
    }

    /// What came in since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// The sink under the name of one of the three services.
#[derive(Clone)]
struct Named<const N: usize>(Sink);

impl NamedService for Named<0> {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl NamedService for Named<1> {
    const NAME: &'static str = "opentelemetry.proto.collector.metrics.v1.MetricsService";
}

impl NamedService for Named<2> {
    const NAME: &'static str = "opentelemetry.proto.collector.logs.v1.LogsService";
}

impl<const N: usize> Service<http::Request<Body>> for Named<N> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let call = Call {
            sink: self.0.clone(),
            path: request.uri().path().to_owned(),
            headers: request.headers().clone(),
        };
        let beside = self.0.beside;
        let add = move |headers: &mut http::HeaderMap| {
            if let Some((name, value)) = beside.filter(|_| headers.contains_key("grpc-status")) {
                headers.insert(name, value.parse().unwrap());
            }
        };
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .send_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(usize::MAX);
            let mut response = grpc.unary(call, request).await;
            add(response.headers_mut());
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |mut frame| {
                    frame.trailers_mut().into_iter().for_each(add);
                    frame
                }))
            }))
        })
    }
}

struct Call {
    sink: Sink,
    path: String,
    headers: http::HeaderMap,
}

impl Service<Request<Bytes>> for Call {
    type Response = Response<Bytes>;
    type Error = Status;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let seen = Seen {
            path: self.path.clone(),
            headers: self.headers.clone(),
            wire: request.into_inner(),
        };
        self.sink.seen.lock().unwrap().push(seen);
        ready((self.sink.answer)().map(Response::new))
    }
}
