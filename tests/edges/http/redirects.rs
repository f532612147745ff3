//! What a server says of its own places is true at the tap.

use super::tap::with_routes;
use crate::origin::{Origin, result_for};
use crate::spans::attribute;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A server that wants a slash behind its path and says so as Starlette does.
fn starlette() -> Origin {
    Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            match asked.line.split(' ').nth(1).unwrap().split_once('?') {
                Some(("/mcp/", "a=1")) => conn.json(&result_for(&body)),
                _ => conn.write(format!(
                    "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{}/mcp/?a=1\r\ncontent-length: 0\r\n\r\n",
                    asked.header("host").unwrap()
                )),
            }
        }
    })
}

#[test]
fn a_redirect_to_a_place_of_the_upstreams_leads_through_the_tap() {
    let origin = starlette();
    for (path, at) in [("", "/mcp"), ("path: /desk, ", "/desk"), ("path: /a/mcp, ", "/a/mcp")] {
        let routes = format!("[{{ {path}upstream: \"{}\" }}]", origin.url());
        let tap = with_routes(&routes, "");
        let moved = tap.ask(&format!("POST {at}?a=1"), LIST);
        assert_eq!(moved.status, 307);
        let location = moved.header("location").unwrap();
        assert_eq!(location, format!("{at}/?a=1"));
        assert_eq!(tap.ask(&format!("POST {location}"), LIST).status, 200);
        let end = tap.end();
        assert_eq!(end.outcomes(), ["tools/list client_error", "tools/list ok"]);
        let moved = end.spans.iter().find(|span| attribute(span, "error.type").is_some());
        let of = |key| attribute(moved.unwrap(), key);
        assert_eq!(of("error.type").as_deref(), Some("307"));
        assert_eq!(of("http.response.status_code").as_deref(), Some("307"));
    }
}

#[test]
fn what_a_server_calls_itself_by_the_clients_host_is_left_alone() {
    let origin = starlette();
    let routes = format!("[{{ upstream: \"{}\", preserve_host: true }}]", origin.url());
    let tap = with_routes(&routes, "");
    let moved = tap.ask("POST /mcp", LIST);
    assert_eq!(moved.header("location"), Some(&*format!("http://{}/mcp/?a=1", tap.address)));
}

#[test]
fn nothing_else_that_names_a_place_is_touched() {
    let origin = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            let url = format!("http://{}/mcp/x", asked.header("host").unwrap());
            let body = format!("{{\"at\":\"{url}\"}}");
            conn.write(format!(
                "HTTP/1.1 201 Created\r\nlocation: {url}\r\nlocation: http://elsewhere/mcp/x\r\n\
                 content-location: {url}\r\nrefresh: 0; url={url}\r\nlink: <{url}>; rel=next\r\n\
                 www-authenticate: Bearer resource_metadata=\"{url}\"\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
    });
    let tap = with_routes(&format!("[{{ path: /a, upstream: \"{}\" }}]", origin.url()), "");
    let made = tap.ask("POST /a", LIST);
    let url = format!("http://{}/mcp/x", origin.address);
    assert_eq!((made.status, made.all("location")), (201, vec!["/a/x", "http://elsewhere/mcp/x"]));
    assert_eq!(made.text(), format!("{{\"at\":\"{url}\"}}"));
    for name in ["content-location", "refresh", "link", "www-authenticate"] {
        assert!(made.header(name).unwrap().contains(&url), "{name}");
    }
}
