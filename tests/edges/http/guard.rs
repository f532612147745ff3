//! Who is let in.

use super::tap::tap;
use crate::origin::Origin;
use crate::spans::attribute;

#[test]
fn on_a_loopback_address_only_loopback_names_are_served() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "");
    for (head, status) in [
        ("GET /mcp\nHost: localhost:1", 200),
        ("GET /mcp\nHost: [::1]:80", 200),
        ("GET /mcp\nHost: 127.0.0.9", 200),
        ("GET /mcp\nHost: evil.example", 403),
        ("GET /mcp\nHost: localhost.evil.example", 403),
        ("GET /mcp\nHost: 127.0.0.1.evil.example:8931", 403),
        ("GET /mcp\nHost: evil@localhost", 403),
        ("GET http://evil.example/mcp\nHost: localhost", 403),
        ("GET /mcp\nHost: localhost\nHost: localhost", 400),
        ("GET /mcp\nOrigin: http://localhost:5173", 200),
        ("GET /mcp\nOrigin: https://evil.example", 403),
        ("GET /mcp\nOrigin: http://localhost.evil.example", 403),
        ("GET /mcp\nOrigin: null", 403),
        ("OPTIONS /mcp\nOrigin: https://evil.example\nAccess-Control-Request-Method: POST", 403),
    ] {
        let answer = tap.ask(head, "");
        assert_eq!(answer.status, status, "{head}: {}", answer.text());
        assert!(!answer.text().contains("evil"), "what was sent is not quoted");
    }
    let refused = origin.connections();
    tap.ask("GET /mcp\nHost: evil.example", "");
    assert_eq!(origin.connections(), refused);
}

#[test]
fn a_name_works_once_it_is_allowed() {
    let origin = Origin::echo();
    let tap = tap(
        &origin.url(),
        "endpoint: 0.0.0.0:0\nallowed_hosts: [\"tap.mcp.svc.cluster.local:80\", \"*.example.com\"]\n\
         allowed_origins: [\"https://app.example.org\"]",
    );
    let port = tap.address.rsplit(':').next().unwrap();
    for (head, status) in [
        ("GET /mcp\nHost: tap.mcp.svc.cluster.local:80", 200),
        ("GET /mcp\nHost: tap.mcp.svc.cluster.local", 200),
        ("GET /mcp\nHost: tap.mcp.svc.cluster.local:8080", 403),
        (
            "GET /mcp\nHost: tap.mcp.svc.cluster.local\nOrigin: http://tap.mcp.svc.cluster.local",
            200,
        ),
        (
            "GET /mcp\nHost: tap.mcp.svc.cluster.local\nOrigin: https://tap.mcp.svc.cluster.local",
            403,
        ),
        (
            "GET /mcp\nHost: tap.mcp.svc.cluster.local\nOrigin: http://tap.mcp.svc.cluster.local:9",
            403,
        ),
        ("GET /mcp\nHost: a.b.EXAMPLE.com:1", 200),
        ("GET /mcp\nHost: example.com", 403),
        ("GET /mcp\nHost: localhost", 403),
        ("GET /mcp\nHost: x.example.com\nOrigin: https://app.example.org", 200),
        ("GET /mcp\nHost: x.example.com\nOrigin: https://app.example.org:443", 200),
        ("GET /mcp\nHost: x.example.com\nOrigin: http://app.example.org", 403),
        ("GET /mcp\nHost: x.example.com\nOrigin: https://y.example.com:9", 200),
    ] {
        let mut client = crate::client::Client::to(&format!("127.0.0.1:{port}"));
        client.send(tap.request(head, ""));
        assert_eq!(client.answer().status, status, "{head}");
    }
}

#[test]
fn a_token_opens_the_door_and_goes_no_further() {
    let token = ["tap", "token", "0815"].join("-");
    let (origin, told) = Origin::telling();
    let settings = format!("auth: {{ bearer_token: {token}, header: x-tap-authorization }}");
    let tap = tap(&origin.url(), &settings);
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for head in [
        "POST /mcp",
        "POST /mcp\nx-tap-authorization: Bearer wrong",
        "POST /mcp\nauthorization: Bearer x",
    ] {
        let answer = tap.ask(head, ping);
        assert_eq!(answer.status, 401);
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    let preflight =
        "OPTIONS /mcp\norigin: http://localhost:5173\naccess-control-request-method: POST";
    assert_eq!(tap.ask(preflight, ping).status, 401, "no browser asks with a body");
    let nobodys = "OPTIONS /mcp\naccess-control-request-method: POST";
    assert_eq!(tap.ask(nobodys, "").status, 401);
    assert_eq!(origin.connections(), 0);
    assert_eq!(tap.ask(preflight, "").status, 200, "a browser asks before it shows anything");
    told.recv().unwrap();
    let session = ["session", "id", "4711"].join("-");
    let head = format!(
        "POST /mcp\nx-tap-authorization: bearer {token}\nauthorization: Bearer of-the-server\nmcp-session-id: {session}"
    );
    assert_eq!(tap.ask(&head, ping).status, 200);
    let headers = told.recv().unwrap().headers;
    assert!(headers.iter().all(|(name, _)| name != "x-tap-authorization"));
    assert!(headers.contains(&("authorization".into(), "Bearer of-the-server".into())));
    let end = tap.end();
    let all = format!("{}{}", serde_json::to_string(&end.spans).unwrap(), end.log);
    assert_eq!(end.outcomes(), ["ping ok"]);
    for secret in [&token, &session, "of-the-server"] {
        assert!(!all.contains(secret), "{secret} leaves");
    }
    let shown = attribute(&end.spans[0], "mcpcol.session.id").unwrap();
    assert_eq!(shown.len(), 32, "a keyed hash: {shown}");
}

#[test]
fn other_protocols_are_refused_in_words_and_h2c_is_ignored() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "");
    let websocket = "GET /mcp\nconnection: upgrade\nupgrade: websocket\nsec-websocket-key: x";
    assert_eq!(tap.ask(websocket, "").status, 501);
    assert_eq!(
        tap.ask("GET /mcp\nconnection: upgrade, http2-settings\nupgrade: h2c", "").status,
        200
    );
    let mut client = tap.connect();
    client.send("CONNECT localhost:22 HTTP/1.1\r\nhost: localhost:22\r\n\r\n");
    assert_eq!(client.head().0, 405);
}

/// Whoever has the key can tell which session it was, wherever and whenever it was observed.
#[test]
fn session_ids_are_hashed_with_the_key_of_the_digest() {
    let origin = Origin::echo();
    let (one, other) = ("0123456789abcdef".repeat(4), "fedcba9876543210".repeat(4));
    let shown = |settings: &str, digest: &str| {
        let tap = super::tap::with_digest(&origin.url(), settings, digest);
        let head = "POST /mcp\nmcp-session-id: session-4711";
        assert_eq!(tap.ask(head, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 200);
        attribute(&tap.end().spans[0], "mcpcol.session.id").unwrap()
    };
    let digest = |key: &str| format!("{{ mode: hmac-sha256, key: {key:?} }}");
    let first = shown("", &digest(&one));
    assert_eq!(first, shown("", &digest(&one)), "in every run");
    assert_ne!(first, shown("", &digest(&other)));
    assert_eq!(
        first,
        shown(&format!("session_key: {one:?}"), &digest(&other)),
        "its own goes first"
    );
    let unkeyed = "{ mode: sha256 }";
    assert_ne!(shown("", unkeyed), shown("", unkeyed), "never without a key");
}

/// A client may write into headers what it likes; spans say what the message says.
#[test]
fn headers_of_mcp_do_not_name_spans() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "");
    let head = "POST /mcp\nmcp-method: tools/call\nmcp-name: another";
    assert_eq!(tap.ask(head, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 200);
    let end = tap.end();
    assert_eq!(end.outcomes(), ["ping ok"]);
    assert!(!serde_json::to_string(&end.spans).unwrap().contains("another"));
}

/// The default header is the one that servers use, too: the tap's token is not theirs to see.
#[test]
fn a_token_in_the_usual_header_goes_no_further() {
    let token = ["tap", "token", "0815"].join("-");
    let (origin, told) = Origin::telling();
    let tap = tap(&origin.url(), &format!("auth: {{ bearer_token: {token} }}"));
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(tap.ask("POST /mcp\nauthorization: Bearer other", ping).status, 401);
    assert_eq!(tap.ask(&format!("POST /mcp\nauthorization: Bearer {token}"), ping).status, 200);
    assert_eq!(told.recv().unwrap().header("authorization"), None);
    assert!(tap.end().log.contains("reason=\"token\""), "a refusal is said");
}
