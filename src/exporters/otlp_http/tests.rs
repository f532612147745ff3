//! What the check says of settings, and where signals go; what goes over the wire is proved in
//! `tests/engine/exporters`.

use serde_json::json;

use super::*;
use crate::exporters::problems;

fn only(settings: serde_json::Value) -> String {
    let all = problems::<Config>(settings);
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap_or_default()
}

#[test]
fn the_usual_settings_are_fine() {
    for settings in [
        json!({ "endpoint": "http://localhost:4318" }),
        json!({ "endpoint": "https://otel.example.com/prefix/", "headers": { "api-key": "x" } }),
        json!({ "endpoint": "http://127.0.0.1:4318", "headers": { "authorization": "x" } }),
        json!({ "traces_endpoint": "https://otel.example.com/in?tenant=a", "encoding": "json" }),
        json!({
            "endpoint": "http://otel:4318", "compression": "zstd", "timeout": "0",
            "compression_params": { "level": 11 }, "max_idle_conns": 2, "idle_conn_timeout": "1m",
            "disable_keep_alives": true, "force_attempt_http2": false,
            "http2_read_idle_timeout": "10s", "http2_ping_timeout": "5s",
            "proxy_url": "http://proxy.example.com:3128",
        }),
    ] {
        assert_eq!(problems::<Config>(settings.clone()), [""; 0], "{settings}");
    }
}

#[test]
fn credentials_do_not_cross_a_network_in_the_clear_unless_told_to() {
    let password = ["open", "sesame"].concat();
    for (settings, said) in [
        (
            json!({ "endpoint": "http://otel.example.com", "headers": { "X-Api-Key": "x" } }),
            "otlp_http::headers::X-Api-Key: would be sent unencrypted",
        ),
        (
            json!({
                "endpoint": "https://otel.example.com", "headers": { "X-Api-Key": "x" },
                "logs_endpoint": "http://logs.example.com/in",
            }),
            "otlp_http::headers::X-Api-Key: would be sent unencrypted",
        ),
        (
            json!({
                "endpoint": "https://otel.example.com",
                "proxy_url": format!("http://me:{password}@proxy.example.com:3128"),
            }),
            "otlp_http::proxy_url: has a password that would be sent unencrypted",
        ),
    ] {
        let mut settings = settings;
        let problem = only(settings.clone());
        assert!(problem.starts_with(said), "{problem}");
        assert!(!problem.contains(&password));
        settings["allow_cleartext"] = json!(true);
        assert_eq!(problems::<Config>(settings), [""; 0]);
    }
}

#[test]
fn what_is_wrong_or_not_supported_is_said_by_its_name() {
    for (field, value, said) in [
        ("endpoint", json!(""), "otlp_http::endpoint: is required: a URL such as"),
        ("endpoint", json!("otel:4318"), "otlp_http::endpoint: needs its scheme"),
        ("endpoint", json!("http://otel/?a=b"), "otlp_http::endpoint: must end with the path"),
        (
            "endpoint",
            json!("http://otel:4318/v1/traces"),
            "otlp_http::endpoint: ends in `/v1/traces`, which is appended: leave it out, or write the \
             URL as `traces_endpoint`",
        ),
        ("endpoint", json!("http://otel/x/v1/logs/"), "otlp_http::endpoint: ends in `/v1/logs`"),
        ("traces_endpoint", json!("ftp://otel/"), "otlp_http::traces_endpoint: needs its scheme"),
        ("auth", json!({ "authenticator": "oidc" }), "otlp_http::auth: is not supported; write"),
        ("middlewares", json!([]), "otlp_http::middlewares: is not supported"),
        ("cookies", json!({ "enabled": true }), "otlp_http::cookies: is not supported"),
        ("compression", json!("snappy"), "otlp_http::compression: `snappy` is not supported"),
        ("compression", json!("zlib"), "otlp_http::compression: `zlib` is not supported"),
        (
            "compression_params",
            json!({ "level": 12 }),
            "otlp_http::compression_params::level: must",
        ),
        ("write_buffer_size", json!(1), "warning: otlp_http::write_buffer_size: has no effect"),
        ("max_conns_per_host", json!(1), "warning: otlp_http::max_conns_per_host: has no effect"),
        ("tls", json!({ "ca_pem": "x" }), "warning: otlp_http::tls: certificates have no effect"),
        ("headers", json!({ "content-type": "a" }), "otlp_http::headers::content-type: is written"),
        ("proxy_url", json!("socks5://proxy:1080"), "otlp_http::proxy_url: must be `http://host"),
        ("proxy_url", json!("proxy:x:y"), "otlp_http::proxy_url: is not a URL"),
    ] {
        let mut settings = json!({ "endpoint": "http://localhost:4318" });
        settings[field] = value;
        let problem = only(settings);
        assert!(problem.starts_with(said), "{problem}");
    }
    let tls = json!({ "ca_file": "/nowhere/ca.pem" });
    let problem = only(json!({ "endpoint": "https://localhost:4318", "tls": tls }));
    assert!(problem.starts_with("otlp_http::tls::ca_file: cannot read /nowhere/ca.pem"));
}

#[test]
fn the_endpoint_gets_a_path_and_a_signals_own_is_used_as_it_is() {
    let config: Config = serde_json::from_value(json!({
        "endpoint": "http://localhost:4318/base/",
        "logs_endpoint": "http://localhost:9000/in?x=1",
    }))
    .unwrap();
    let urls = Signal::ALL.map(|signal| config.url(signal).unwrap().unwrap().to_string());
    assert_eq!(
        urls,
        [
            "http://localhost:4318/base/v1/traces",
            "http://localhost:4318/base/v1/metrics",
            "http://localhost:9000/in?x=1",
        ]
    );
    let config: Config =
        serde_json::from_value(json!({ "traces_endpoint": "http://localhost" })).unwrap();
    assert_eq!(config.url(Signal::Metrics), Ok(None));
}

#[test]
fn the_log_has_the_urls_of_the_signals_that_go_there() {
    let config: Config = serde_json::from_value(json!({
        "endpoint": "http://[::1]:4318/base/",
        "logs_endpoint": "http://localhost:9000/in?x=1",
    }))
    .unwrap();
    let places = |signals: &[Signal]| ExporterConfig::places(&config, signals);
    assert_eq!(places(&[Signal::Traces]), ["http://[::1]:4318/base/v1/traces"]);
    assert_eq!(
        places(&[Signal::Metrics, Signal::Logs]),
        ["http://[::1]:4318/base/v1/metrics", "http://localhost:9000/in"]
    );
}

#[test]
fn a_secret_is_never_printed() {
    let secret = ["open", "sesame"].join(" ");
    let config: Config = serde_json::from_value(json!({
        "headers": { "api-key": secret }, "proxy_url": format!("http://{secret}@proxy"),
    }))
    .unwrap();
    assert!(!format!("{config:?}{:?}", config.client()).contains("sesame"));
    assert_eq!(config.delivery().timeout, Duration::secs(30));
}
