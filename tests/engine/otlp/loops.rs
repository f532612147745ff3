//! An exporter that would feed its own process is found before anything is opened.

use mcpcol::config::{Options, Sources, load, render};

fn said(exporter: &str) -> String {
    let name = exporter.split(':').next().unwrap();
    let yaml = format!(
        "yaml:receivers: {{otlp: {{protocols: {{grpc: {{}}, http: {{}}}}}}}}\n\
         exporters: {{{exporter}}}\n\
         service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [{name}]}}}}}}\n"
    );
    let sources = Sources { config: vec![yaml], set: Vec::new() };
    render(&load(&sources, &Options::default()).1, false)
}

#[test]
fn every_kind_of_exporter_is_told_where_it_would_feed_us() {
    for (exporter, field) in [
        ("otlp_grpc: {endpoint: '127.0.0.1:4317', tls: {insecure: true}}", "endpoint"),
        ("otlp_http: {endpoint: 'http://localhost:4318'}", "endpoint"),
        ("otlp_http: {traces_endpoint: 'http://[::1]:4318/v1/traces'}", "traces_endpoint"),
        ("zipkin: {endpoint: 'http://localhost:4318/api/v2/spans'}", "endpoint"),
    ] {
        let said = said(exporter);
        let name = exporter.split(':').next().unwrap();
        assert!(said.contains(&format!("exporters::{name}::{field}")), "{exporter}: {said}");
        assert!(said.contains("receiver `otlp` of this process listens"), "{exporter}: {said}");
    }
    for exporter in [
        "otlp_http: {endpoint: 'http://localhost:4319'}",
        "otlp_http: {endpoint: 'http://collector:4318', allow_cleartext: true}",
    ] {
        assert_eq!(said(exporter), "", "{exporter}");
    }
}
