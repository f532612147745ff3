//! Tests the check of settings; what goes over the wire is tested in `tests/engine/exporters`.

use serde_json::json;

use super::Config;
use crate::exporters::problems;
use crate::pipeline::ExporterConfig;

fn only(settings: serde_json::Value) -> String {
    let all = problems::<Config>(settings);
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap_or_default()
}

#[test]
fn the_usual_settings_are_fine() {
    for settings in [
        json!({ "endpoint": "localhost:4317", "tls": { "insecure": true } }),
        json!({ "endpoint": "https://otel.example.com:4317", "headers": { "api-key": "x" } }),
        json!({ "endpoint": "http://localhost:4317", "headers": { "authorization": "x" } }),
        json!({ "endpoint": "otel:4317", "keepalive": { "time": "30s" }, "compression": "zstd" }),
    ] {
        assert_eq!(problems::<Config>(settings), [""; 0]);
    }
}

#[test]
fn credentials_do_not_cross_a_network_in_the_clear_unless_told_to() {
    let mut settings = json!({
        "endpoint": "http://otel.example.com:4317",
        "headers": { "X-Api-Key": "x", "x-tenant": "blue" },
    });
    let problem = only(settings.clone());
    assert!(problem.starts_with("otlp_grpc::headers::X-Api-Key: would be sent unencrypted"));
    settings["allow_cleartext"] = json!(true);
    assert_eq!(problems::<Config>(settings), [""; 0]);
}

#[test]
fn what_is_not_supported_is_refused_by_its_name() {
    for (field, value, said) in [
        ("auth", json!({ "authenticator": "oidc" }), "otlp_grpc::auth: is not supported"),
        ("middlewares", json!([]), "otlp_grpc::middlewares: is not supported"),
        ("compression", json!("snappy"), "otlp_grpc::compression: `snappy` is not supported"),
        ("tls", json!({ "tpm": {} }), "otlp_grpc::tls::tpm: is not supported"),
        ("tls", json!({ "min_version": "1.3" }), "otlp_grpc::tls::min_version: `1.3` cannot"),
        ("tls", json!({ "insecure_skip_verify": true }), "warning: otlp_grpc::tls::insecure_skip"),
        ("balancer_name", json!("round_robin"), "warning: otlp_grpc::balancer_name: has no effect"),
        (
            "headers",
            json!({ "grpc-timeout": "1S" }),
            "otlp_grpc::headers::grpc-timeout: is written",
        ),
        ("headers", json!({ "a b": "1" }), "otlp_grpc::headers::a b: `a b` is not a header name"),
        ("authority", json!("a b"), "otlp_grpc::authority: is not a host"),
        ("user_agent", json!("a\nb"), "otlp_grpc::user_agent: has characters"),
    ] {
        let mut settings = json!({ "endpoint": "localhost:4317" });
        settings[field] = value;
        let problem = only(settings);
        assert!(problem.starts_with(said), "{problem}");
    }
}

#[test]
fn certificates_are_read_by_the_check() {
    let tls = json!({ "ca_file": "/nowhere/ca.pem" });
    let problem = only(json!({ "endpoint": "otel:4317", "tls": tls }));
    assert!(problem.starts_with("otlp_grpc::tls::ca_file: cannot read /nowhere/ca.pem"));
}

#[test]
fn an_endpoint_is_required() {
    assert!(only(json!({})).starts_with("otlp_grpc::endpoint: is required"));
}

#[test]
fn a_header_is_never_printed() {
    let config: Config =
        serde_json::from_value(json!({ "headers": { "api-key": "open sesame" } })).unwrap();
    assert!(!format!("{config:?}").contains("sesame"));
    assert_eq!(config.delivery().timeout, crate::settings::Duration::secs(5));
}
