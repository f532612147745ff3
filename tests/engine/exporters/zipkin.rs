//! `zipkin` against real sockets. What a span becomes is proved beside the exporter, what Zipkin makes
//! of it in `tests/peers/zipkin.rs`.

use mcpcol::exporters::zipkin;
use mcpcol::otlp::Messages;
use mcpcol::pipeline::{ExportError, Exported, Exporter};
use mcpcol::telemetry::Telemetry;
use serde_json::{Value, json};

use super::http_sink::{HttpSink, Reply, ok, says};
use super::{build, request, spans};

fn built(url: &str, more: Value) -> Box<dyn Exporter> {
    let mut config = json!({ "endpoint": format!("{url}/api/v2/spans") });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    build::<zipkin::Config>(config)
}

#[tokio::test]
async fn spans_are_posted_as_json_to_the_endpoint_as_it_is() {
    for compression in ["none", "gzip"] {
        let sink = HttpSink::answering(|_| says("202 Accepted", &[], b"")).await;
        let more = json!({
            "compression": compression, "headers": { "x-tenant": "blue" },
            "default_service_name": "somebody",
        });
        let exporter = built(&sink.url(), more);
        assert_eq!(exporter.export(&spans()).await, Ok(Exported::default()));
        let seen = sink.seen().remove(0);
        assert_eq!(seen.target, "/api/v2/spans");
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.header("x-tenant"), Some("blue"));
        let body: Value = serde_json::from_slice(&seen.plain()).unwrap();
        assert_eq!(
            body,
            json!([{
                "traceId": "01010101010101010101010101010101",
                "id": "0202020202020202",
                "name": "tools/call search",
                "localEndpoint": { "serviceName": "somebody" },
            }])
        );
    }
}

#[tokio::test]
async fn every_answer_is_judged_by_the_table_of_otlp() {
    for (status, verdict) in [
        ("200 OK", "sent"),
        ("202 Accepted", "sent"),
        ("204 No Content", "sent"),
        ("302 Found", "reject"),
        ("400 Bad Request", "reject"),
        ("404 Not Found", "reject"),
        ("413 Payload Too Large", "cut"),
        ("429 Too Many Requests", "retry"),
        ("500 Internal Server Error", "reject"),
        ("503 Service Unavailable", "retry"),
    ] {
        let sink = HttpSink::answering(move |_| says(status, &[], b"")).await;
        let judged = match built(&sink.url(), json!({})).export(&spans()).await {
            Ok(_) => "sent",
            Err(ExportError::Retry { .. }) => "retry",
            Err(ExportError::Reject { .. }) => "reject",
            Err(ExportError::TooLarge { .. }) => "cut",
        };
        assert_eq!(judged, verdict, "{status}");
    }
}

#[tokio::test]
async fn an_answer_of_any_length_is_what_its_status_says() {
    let sink = HttpSink::answering(|_| says("202 Accepted", &[], &[b'x'; 5 << 20])).await;
    let exported = built(&sink.url(), json!({})).export(&spans()).await;
    assert_eq!(exported, Ok(Exported::default()));
    let begun = b"HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\n";
    for reply in [Reply::Last, Reply::Stall] {
        let sink = HttpSink::answering(move |_| reply(begun.to_vec())).await;
        let exporter = built(&sink.url(), json!({ "timeout": "100ms" }));
        assert_eq!(exporter.export(&spans()).await, Ok(Exported::default()));
    }
    let sink = HttpSink::answering(|_| says("404 Not Found", &[], b"")).await;
    let error = built(&sink.url(), json!({})).export(&spans()).await.unwrap_err();
    let expected = format!("404 Not Found at {}/api/v2/spans", sink.url());
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn what_zipkin_says_against_a_body_is_passed_on() {
    let answer = |_: &_| {
        says(
            "400 Bad Request",
            &[("content-type", "text/plain")],
            b"Expected a JSON_V2 encoded list\n",
        )
    };
    let sink = HttpSink::answering(answer).await;
    let error = built(&sink.url(), json!({})).export(&spans()).await.unwrap_err();
    assert_eq!(error.to_string(), "400 Bad Request: Expected a JSON_V2 encoded list");
}

#[tokio::test]
async fn spans_without_usable_ids_are_counted_and_nothing_is_sent_for_them_alone() {
    let sink = HttpSink::answering(|_| ok()).await;
    let exporter = built(&sink.url(), json!({}));
    let mut all = request().resource_spans;
    let spans = &mut all[0].scope_spans[0].spans;
    spans[0].trace_id = vec![0; 16];
    let exported = exporter.export(&Telemetry::from(Messages::Traces(all))).await.unwrap();
    assert_eq!((exported.rejected, sink.seen().len()), (1, 0));
    assert_eq!(exported.message, "spans without usable ids are not sent");
}
