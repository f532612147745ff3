//! What is taken, and what is wrong, all at once.

use super::*;
use crate::settings::testing;

fn problems(yaml: &str) -> Vec<String> {
    let config: Config = testing::read(yaml).unwrap();
    let problems = testing::check(yaml, "r", |report| config.check_all(report));
    problems.0.into_iter().map(|p| format!("{} {}", p.path, p.message)).collect()
}

#[test]
fn the_sample_is_read() {
    let yaml = "{ endpoint: localhost:8080, routes: [{ path: /github, upstream: \"https://mcp.example.com/mcp\", name: github }] }";
    let config: Config = testing::read(yaml).unwrap();
    assert_eq!(config.routes[0].server_name(), "github");
    assert!(config.listens_locally());
    assert!(problems(yaml).is_empty(), "{:?}", problems(yaml));
}

#[test]
fn an_empty_receiver_is_fine_and_takes_its_upstream_from_elsewhere() {
    assert!(problems("{}").is_empty());
}

#[test]
fn a_server_is_called_by_its_name_else_its_path_else_its_host() {
    for (route, name) in [
        ("{ path: /a/b, upstream: \"http://h:1/mcp\", name: n }", "n"),
        ("{ path: /a/b/, upstream: \"http://h:1/mcp\" }", "a/b"),
        ("{ upstream: \"http://h:1/mcp\" }", "h:1"),
        ("{ path: /, upstream: \"https://h/mcp\" }", "h"),
    ] {
        let route: Route = testing::read(route).unwrap();
        assert_eq!(route.server_name(), name);
    }
}

#[test]
fn headers_that_may_hold_a_credential_are_never_captured() {
    let yaml = "{ auth: { bearer_token: x, header: X-Tap }, capture: { headers: [X-Request-Id, Retry-After, \
                mcp-param-city, Authorization, proxy-authorization, cookie, Set-Cookie, Mcp-Session-Id, X-API-Key, \
                x-acme-token, x-session-id, X-TAP, 'a b'] } }";
    let refused: Vec<String> = problems(yaml);
    let at = |i: usize| format!("r::capture::headers::{i} ");
    assert_eq!(refused.len(), 10, "{refused:?}");
    for i in 3..13 {
        assert!(refused.iter().any(|problem| problem.starts_with(&at(i))), "{i} {refused:?}");
    }
    let config: Config = testing::read(yaml).unwrap();
    assert_eq!(config.shown_headers()[..2], ["x-request-id", "retry-after"]);
}

#[test]
fn everything_that_cannot_be_meant_is_said() {
    let yaml = r#"
endpoint: 0.0.0.0:8931
routes:
  - { path: /a, upstream: "mcp.example.com/mcp" }
  - { path: /a/, upstream: "http://mcp.example.com/mcp", headers: { Authorization: "Bearer x" } }
  - { path: github, upstream: "http://localhost:3001/mcp", tls: { ca_file: ca.pem } }
  - { upstream: "https://user:pass@mcp.example.com/mcp" }
  - { path: /b, upstream: "https://mcp.example.com/mcp?x=1", name: "https://x" }
  - { path: /c }
allowed_origins: [app.example.com]
auth: { bearer_token: "", header: "x y" }
read_header_timeout: 0
stall_timeout: 0
max_connections: 0
max_header_bytes: 1
workers: 1025
session_key: short
"#;
    let found = problems(yaml);
    for (path, part) in [
        ("endpoint", "allowed_hosts"),
        ("routes::0::upstream", "needs its scheme"),
        ("routes::1::path", "another route has `/a`"),
        ("routes::1::headers::Authorization", "unencrypted"),
        ("routes::2::path", "is not a path"),
        ("routes::2::tls", "write `https://`"),
        ("routes::3::upstream", "must not hold a user or password"),
        ("routes::4::upstream", "must end with the path"),
        ("routes::4::name", "must not be a URL"),
        ("routes::5::upstream", "is required"),
        ("allowed_origins::0", "is not an origin"),
        ("auth::bearer_token", "is empty"),
        ("auth::header", "is not the name of a header"),
        ("read_header_timeout", "must be more than 0"),
        ("stall_timeout", "must be more than 0"),
        ("max_connections", "must be at least 1"),
        ("max_header_bytes", "must be at least"),
        ("workers", "must be at most 1024; 0 is one a core"),
        ("session_key", "the key"),
    ] {
        let start = format!("r::{path} ");
        let said = found.iter().any(|p| p.starts_with(&start) && p.contains(part));
        assert!(said, "{path}: {part}\n{}", found.join("\n"));
    }
    assert!(!found.join(" ").contains("pass@"), "no password is quoted");
}

#[test]
fn whose_traces_spans_are_in_is_a_word_and_makes_some_others_pointless() {
    for word in ["meta", "link", "own"] {
        assert!(problems(&format!("{{ parent: {word} }}")).is_empty());
    }
    assert!(testing::read::<Config>("{ parent: theirs }").is_err());
    let found = problems("{ parent: link, unsampled: keep, propagate: inject, trace: session }");
    for (problem, path) in found.iter().zip(["r::trace ", "r::unsampled "]) {
        assert!(problem.starts_with(path), "{found:?}");
    }
    assert_eq!(found.len(), 2);
}

#[test]
fn hosts_that_shut_out_this_machine_are_warned_of_where_it_alone_is_served() {
    for (yaml, warned) in [
        ("{ allowed_hosts: [mcp.example.com] }", true),
        ("{ endpoint: \"127.0.0.1:0\", allowed_hosts: [mcp.example.com] }", true),
        ("{ endpoint: \"localhost:8931\", allowed_hosts: [\"localhost:9000\"] }", true),
        ("{ allowed_hosts: [mcp.example.com, localhost] }", false),
        ("{ allowed_hosts: [mcp.example.com, \"127.0.0.1:8931\"] }", false),
        ("{ endpoint: \"tap.localhost:8931\", allowed_hosts: [\"*.localhost\"] }", false),
        ("{ allowed_hosts: [\"*\"] }", false),
        ("{}", false),
        ("{ endpoint: \"0.0.0.0:8931\", allowed_hosts: [mcp.example.com] }", false),
    ] {
        let found = problems(yaml);
        assert_eq!(found.len(), usize::from(warned), "{yaml} {found:?}");
        assert!(
            found.iter().all(|said| said.starts_with("r::allowed_hosts shuts out")),
            "{found:?}"
        );
    }
}

#[test]
fn proxies_that_are_trusted_are_addresses_and_networks() {
    let with = |proxies: &str, forwarded: bool| {
        problems(&format!(
            "{{ trusted_proxies: {proxies}, routes: [{{ upstream: \"http://localhost:1/mcp\", forwarded_headers: \
             {forwarded} }}] }}"
        ))
    };
    assert!(with("[10.0.0.0/8, '::1']", true).is_empty());
    for (proxies, forwarded, said) in [
        ("[10.0.0.1/8]", true, "r::trusted_proxies::0 `10.0.0.1/8` has bits"),
        (
            "['::1', lb.example.com]",
            true,
            "r::trusted_proxies::1 `lb.example.com` is not an address",
        ),
        ("['::/0']", true, "r::trusted_proxies::0 trusts everybody"),
        ("['::1']", false, "r::trusted_proxies has no effect"),
    ] {
        let found = with(proxies, forwarded);
        assert!(found.len() == 1 && found[0].starts_with(said), "{found:?}");
    }
}

#[test]
fn a_receiver_in_front_of_itself_is_an_error() {
    let yaml =
        "{ endpoint: localhost:8931, routes: [{ upstream: \"http://127.0.0.1:8931/mcp\" }] }";
    assert!(problems(yaml)[0].contains("is this receiver itself"));
    let yaml = "{ endpoint: '[2001:db8::1]:8931', allowed_hosts: ['*'], \
                routes: [{ upstream: 'http://[2001:DB8::1]:8931/mcp' }] }";
    assert!(problems(yaml)[0].contains("is this receiver itself"));
    let other =
        "{ endpoint: localhost:8931, routes: [{ upstream: \"http://127.0.0.1:8932/mcp\" }] }";
    assert!(problems(other).is_empty());
}

#[test]
fn listening_addresses_are_host_and_port() {
    for (text, parts) in [
        ("localhost:0", Some(("localhost", 0))),
        ("[::1]:80", Some(("::1", 80))),
        (":80", Some(("", 80))),
        ("::1:80", None),
        ("localhost", None),
        ("http://h:80", None),
        ("h:http", None),
        ("[h]:80", Some(("h", 80))),
        ("[127.0.0.1]:80", Some(("127.0.0.1", 80))),
        ("[fe80::1%eth0]:80", Some(("fe80::1%eth0", 80))),
        ("[]:80", Some(("", 80))),
        ("[1:2]:80", None),
        ("[::1:80", None),
        ("::1]:80", None),
        ("[[::1]]:80", None),
        ("h:+80", None),
        ("h:", None),
    ] {
        assert_eq!(host_port(text), parts, "{text}");
    }
}

#[test]
fn an_ipv6_address_without_brackets_is_told_to_have_some() {
    for (yaml, path) in [
        ("{ endpoint: '::1:8931' }", "r::endpoint has"),
        ("{ allowed_hosts: ['::1'] }", "r::allowed_hosts::0 has"),
        ("{ allowed_origins: ['http://::1:3000'] }", "r::allowed_origins::0 has"),
        ("{ routes: [{ upstream: 'http://::1:3001/mcp' }] }", "r::routes::0::upstream has"),
    ] {
        let found = problems(yaml);
        let said = format!("{path} an IPv6 address without brackets; write it like `");
        assert!(found.len() == 1 && found[0].starts_with(&said), "{found:?}");
    }
    assert_eq!(problems("{ endpoint: '[127.0.0.1]:0', allowed_hosts: ['[::1]'] }"), [""; 0]);
}
