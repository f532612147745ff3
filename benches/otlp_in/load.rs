//! The load: connections that send the same batch over and over, each waiting for its answers.

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcpcol::otlp::Messages;
use mcpcol::telemetry::Telemetry;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Spans of a batch.
pub(crate) const SPANS: usize = 100;
/// Connections, and requests that are on their way on one of HTTP/2.
const CONNECTIONS: usize = 4;
const AT_ONCE: usize = 4;

/// How a batch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Grpc,
    GrpcGzip,
    Http,
    HttpGzip,
    Json,
}

impl Way {
    pub(crate) fn is_http(self) -> bool {
        matches!(self, Way::Http | Way::HttpGzip | Way::Json)
    }

    fn body(self) -> Bytes {
        let batch = batch();
        let plain = batch.encode_to_vec();
        match self {
            Way::Http => plain.into(),
            Way::HttpGzip => gzip(&plain).into(),
            Way::Json => {
                let mut text = Vec::new();
                Telemetry::from(Messages::Traces(batch.resource_spans)).write_json(&mut text);
                text.into()
            }
            Way::Grpc => framed(0, &plain),
            Way::GrpcGzip => framed(1, &gzip(&plain)),
        }
    }

    fn request(self, body: &Bytes) -> anyhow::Result<Request<Whole>> {
        let request = match self {
            Way::Grpc | Way::GrpcGzip => {
                let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
                Request::post(format!("http://here{path}"))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
            }
            Way::Json => Request::post("/v1/traces").header("content-type", "application/json"),
            Way::Http | Way::HttpGzip => {
                Request::post("/v1/traces").header("content-type", "application/x-protobuf")
            }
        };
        let request = match self {
            Way::GrpcGzip => request.header("grpc-encoding", "gzip"),
            Way::HttpGzip => request.header("content-encoding", "gzip"),
            _ => request,
        };
        Ok(request.header("host", "here").body(Whole(Some(body.clone())))?)
    }
}

fn framed(flag: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[flag], &length.to_be_bytes()[..], message].concat().into()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    to.write_all(plain).and_then(|()| to.finish()).unwrap_or_default()
}

/// A body that is there.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

enum Connection {
    One(http1::SendRequest<Whole>),
    Two(http2::SendRequest<Whole>),
}

/// Open connections to one server.
pub(crate) struct Load {
    runtime: Runtime,
    connections: Vec<Connection>,
    _driving: JoinSet<()>,
    way: Way,
    body: Bytes,
}

impl Load {
    pub(crate) fn new(address: &str, way: Way) -> anyhow::Result<Load> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut driving = JoinSet::new();
        let connections = runtime.block_on(async {
            let mut all = Vec::new();
            for _ in 0..CONNECTIONS {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let io = TokioIo::new(stream);
                all.push(if way.is_http() {
                    let (sender, connection) = http1::handshake(io).await?;
                    driving.spawn(async move { drop(connection.await) });
                    Connection::One(sender)
                } else {
                    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                    driving.spawn(async move { drop(connection.await) });
                    Connection::Two(sender)
                });
            }
            anyhow::Ok(all)
        })?;
        Ok(Load { runtime, connections, _driving: driving, way, body: way.body() })
    }

    /// Sends so many batches and waits for all answers.
    pub(crate) fn send(&mut self, batches: usize) -> anyhow::Result<()> {
        let (way, body) = (self.way, self.body.clone());
        let connections = std::mem::take(&mut self.connections);
        self.connections = self.runtime.block_on(async move {
            let mut senders = JoinSet::new();
            for connection in connections {
                let body = body.clone();
                let share = batches / CONNECTIONS;
                senders.spawn(async move {
                    match connection {
                        Connection::One(mut sender) => {
                            for _ in 0..share {
                                sender.ready().await?;
                                finished(sender.send_request(way.request(&body)?).await?).await?;
                            }
                            anyhow::Ok(Connection::One(sender))
                        }
                        Connection::Two(sender) => {
                            let mut lanes = JoinSet::new();
                            for _ in 0..AT_ONCE {
                                let (mut sender, body) = (sender.clone(), body.clone());
                                lanes.spawn(async move {
                                    for _ in 0..share / AT_ONCE {
                                        sender.ready().await?;
                                        let answer = sender.send_request(way.request(&body)?);
                                        finished(answer.await?).await?;
                                    }
                                    anyhow::Ok(())
                                });
                            }
                            while let Some(lane) = lanes.join_next().await {
                                lane??;
                            }
                            Ok(Connection::Two(sender))
                        }
                    }
                });
            }
            let mut back = Vec::new();
            while let Some(connection) = senders.join_next().await {
                back.push(connection??);
            }
            anyhow::Ok(back)
        })?;
        Ok(())
    }
}

/// Reads an answer to its end, which has to be a good one.
async fn finished(response: Response<Incoming>) -> anyhow::Result<()> {
    ensure!(response.status() == 200, "{response:?}");
    let refused = |status: &hyper::header::HeaderValue| status != "0";
    ensure!(!response.headers().get("grpc-status").is_some_and(refused), "{response:?}");
    let mut body = response.into_body();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(trailers) = frame.context("the answer broke off")?.into_trailers() {
            ensure!(!trailers.get("grpc-status").is_some_and(refused), "{trailers:?}");
        }
    }
    Ok(())
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn call(n: usize) -> Span {
    let start = 1_795_200_122_123_456_789 + n as u64 * 1_000_000;
    Span {
        trace_id: (n as u128 + 1).to_be_bytes().to_vec(),
        span_id: (n as u64 + 1).to_be_bytes().to_vec(),
        parent_span_id: (n as u64 + 2).to_be_bytes().to_vec(),
        name: "GET /api/v1/orders/{order_id}".to_owned(),
        kind: 2,
        flags: 0x101,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 12_345_678,
        attributes: vec![
            text("http.request.method", "GET"),
            text("http.route", "/api/v1/orders/{order_id}"),
            text("url.path", &format!("/api/v1/orders/{n}")),
            text("url.scheme", "https"),
            text("server.address", "orders.shop.example.com"),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) shop-frontend/4.1"),
            text("client.address", "192.0.2.17"),
            pair("http.response.status_code", Value::IntValue(200)),
            pair("http.response.body.size", Value::IntValue(4_113)),
        ],
        status: Some(Status::default()),
        ..Span::default()
    }
}

fn batch() -> ExportTraceServiceRequest {
    let scope = ScopeSpans {
        scope: Some(InstrumentationScope { name: "shop".into(), ..Default::default() }),
        spans: (0..SPANS).map(call).collect(),
        ..ScopeSpans::default()
    };
    let resource = Resource {
        attributes: vec![text("service.name", "orders"), text("service.version", "4.1.0")],
        ..Resource::default()
    };
    let all = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![all] }
}
