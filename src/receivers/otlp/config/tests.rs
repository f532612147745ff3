//! What the check of `otlp`'s settings says, and what they default to.

use super::*;
use crate::settings::{Severity, testing};

fn problems(yaml: &str) -> Vec<String> {
    let config: Config = testing::read(yaml).expect("settings that can be read");
    let problems = testing::check(yaml, "otlp", |report| config.check_all(report));
    let said = |p: crate::settings::Problem| {
        let mark = if p.severity == Severity::Warning { "warning: " } else { "" };
        format!("{mark}{}: {}", p.path, p.message)
    };
    problems.0.into_iter().map(said).collect()
}

#[test]
fn what_users_of_the_collector_paste_is_fine() {
    for yaml in [
        "protocols: {grpc: , http: }",
        "protocols: {grpc: {}}",
        "protocols: {http: {endpoint: '[127.0.0.1]:4318', transport: tcp}}",
        "protocols: {http: {cors: {allowed_origins: ['https://*.example.com'], max_age: 7200}}}",
        "protocols: {grpc: {max_recv_msg_size_mib: 16, keepalive: {server_parameters: \
         {max_connection_age: 1m, max_connection_age_grace: 5s}}}}",
        "protocols: {grpc: {include_metadata: false}}",
    ] {
        assert_eq!(problems(yaml), [""; 0], "{yaml}");
    }
}

#[test]
fn a_protocol_without_settings_has_the_defaults_and_an_absent_one_is_off() {
    let config: Config = testing::read("protocols: {grpc: }").unwrap();
    assert_eq!(config.protocols.grpc, Some(Grpc::default()));
    assert_eq!(config.protocols.http, None);
    assert_eq!(config.endpoints(), [("protocols.grpc.endpoint", "localhost:4317")]);
}

#[test]
fn what_cannot_be_meant_or_done_is_said() {
    for (yaml, said) in [
        ("{}", "otlp::protocols: has none; write `protocols"),
        ("protocols: {}", "otlp::protocols: has none"),
        ("protocols: {grpc: {endpoint: ':4317'}}", "otlp::protocols::grpc::endpoint: has no host"),
        (
            "protocols: {grpc: {endpoint: here}}",
            "otlp::protocols::grpc::endpoint: is host and port, such as `localhost:4317`",
        ),
        (
            "protocols: {grpc: {endpoint: '::1:4317'}}",
            "otlp::protocols::grpc::endpoint: has an IPv6 address without brackets; write it like `[::1]:4317`",
        ),
        (
            "protocols: {http: {endpoint: '::1'}}",
            "otlp::protocols::http::endpoint: has an IPv6 address without brackets; write it like `[::1]:4318`",
        ),
        (
            "protocols: {http: {endpoint: '0.0.0.0:4318'}}",
            "warning: otlp::protocols::http::endpoint: is reachable",
        ),
        (
            "protocols: {http: {endpoint: '0.0.0.0:4318', auth: {bearer_token: x}}}",
            "warning: otlp::protocols::http::auth: tokens come",
        ),
        (
            "protocols: {http: {auth: {bearer_token: ''}}}",
            "otlp::protocols::http::auth::bearer_token: is empty",
        ),
        (
            "protocols: {grpc: {auth: {authenticator: oidc}}}",
            "otlp::protocols::grpc::auth::authenticator: is not supported",
        ),
        (
            "protocols: {grpc: {transport: unix}}",
            "otlp::protocols::grpc::transport: `unix` is not supported",
        ),
        (
            "protocols: {http: {include_metadata: true}}",
            "otlp::protocols::http::include_metadata: is not supported",
        ),
        (
            "protocols: {http: {middlewares: []}}",
            "otlp::protocols::http::middlewares: is not supported",
        ),
        (
            "protocols: {http: {response_headers: {x-a: '1', X-A: '2'}}}",
            "otlp::protocols::http::response_headers::X-A: is `x-a` once more",
        ),
        (
            "protocols: {http: {traces_url_path: v1}}",
            "otlp::protocols::http::traces_url_path: is a path",
        ),
        (
            "protocols: {http: {logs_url_path: /v1/traces}}",
            "otlp::protocols::http::logs_url_path: `/v1/traces` is taken",
        ),
        (
            "protocols: {http: {idle_timeout: 0}}",
            "otlp::protocols::http::idle_timeout: must be more than 0",
        ),
        (
            "protocols: {http: {read_timeout: 5s}}",
            "warning: otlp::protocols::http::read_timeout: has no effect",
        ),
        (
            "protocols: {grpc: {max_recv_msg_size_mib: 0}}",
            "otlp::protocols::grpc::max_recv_msg_size_mib: must be",
        ),
        (
            "{max_in_flight_bytes: 1000, protocols: {grpc: }}",
            "otlp::max_in_flight_bytes: is less than",
        ),
    ] {
        let all = problems(yaml);
        assert!(all.len() == 1 && all[0].starts_with(said), "{yaml}: {all:?}");
    }
    let both = ["cert_file", "key_file"]
        .map(|field| format!("otlp::protocols::grpc::tls::{field}: is required for TLS"));
    assert_eq!(problems("protocols: {grpc: {tls: {}}}"), both);
}
