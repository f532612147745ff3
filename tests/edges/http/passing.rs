//! What passes: heads, bodies, trailers, whatever the status.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::tap::{Tap, tap, with_routes};
use crate::client::Client;
use crate::origin::{Asked, Conn, Origin};
use crate::process::PATIENCE;
use crate::spans::attribute;

/// An origin that tells what it was asked and answers with fixed bytes.
fn fixed(answer: impl Into<Vec<u8>>) -> (Origin, Receiver<(Asked, Vec<u8>)>) {
    let (tell, told) = sync_channel(100);
    let (answer, tell): (Vec<u8>, Mutex<SyncSender<_>>) = (answer.into(), Mutex::new(tell));
    let origin = Origin::serve(move |mut conn: Conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            tell.lock().unwrap().send((asked, body)).ok();
            conn.write(&answer);
        }
    });
    (origin, told)
}

#[test]
fn header_values_bodies_and_queries_pass_as_they_are() {
    let body = "{\"a\" : 18446744073709551617, \"a\":1.0,\t\"\\u00e9\":\"\u{e9}\u{2028}\"}";
    let (origin, told) = fixed(format!(
        "HTTP/1.1 200 Fine\r\nX-B: 2\r\nx-b: 1\r\nX-Odd:  sp\u{e9}ced \r\nSet-Cookie: a=1\r\n\
         Set-Cookie: b=2\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let tap = tap(&origin.url(), "");
    let answer = tap.ask(
        "POST /mcp/x?q=%20a&q=b+c\nMcp-Param-Region: =?base64?w6k=?=\nX-A: 2\nx-a: 1\nAuthorization: Bearer client\n\
         Accept-Encoding: gzip, br\ncontent-type: application/json",
        body,
    );
    let (asked, got) = told.recv().unwrap();
    assert_eq!(asked.line, "POST /mcp/x?q=%20a&q=b+c HTTP/1.1");
    assert_eq!(String::from_utf8(got).unwrap(), body);
    assert_eq!(asked.header("mcp-param-region"), Some("=?base64?w6k=?="));
    assert_eq!(asked.all("x-a"), ["2", "1"]);
    assert_eq!(asked.header("authorization"), Some("Bearer client"));
    assert_eq!(asked.header("accept-encoding"), Some("gzip, br"));
    assert_eq!(asked.header("host"), Some(origin.address.as_str()));
    assert_eq!(asked.headers.len(), 8, "nothing is added: {:?}", asked.headers);

    assert_eq!((answer.status, answer.text()), (200, body));
    assert_eq!(answer.all("x-b"), ["2", "1"]);
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.header("x-odd"), Some("sp\u{e9}ced"));
    assert_eq!(answer.headers.len(), 6, "no date and no server of our own: {:?}", answer.headers);
}

#[test]
fn what_is_about_one_hop_stays_there() {
    let (origin, told) = fixed(
        "HTTP/1.1 200 OK\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
         x-end: 2\r\ncontent-length: 0\r\n\r\n",
    );
    let tap = tap(&origin.url(), "");
    let answer =
        tap.ask("GET /mcp\nconnection: x-mine\nx-mine: 1\nte: gzip\nupgrade: h2c\nx-end: 2", "");
    let (asked, _) = told.recv().unwrap();
    for gone in ["connection", "x-mine", "te", "upgrade"] {
        assert_eq!(asked.header(gone), None, "{gone}");
    }
    assert_eq!(asked.header("x-end"), Some("2"));
    assert_eq!((answer.header("x-hop"), answer.header("keep-alive")), (None, None));
    assert_eq!(answer.header("x-end"), Some("2"));
}

#[test]
fn a_routes_own_headers_and_forwarded_ones_are_set() {
    let (origin, told) = fixed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let tap = with_routes(
        &format!(
            "[{{ path: /a, upstream: \"{}\", headers: {{ X-Key: fake }}, forwarded_headers: true, preserve_host: true }}]",
            origin.url()
        ),
        "",
    );
    assert_eq!(tap.ask("GET /a/tools?x=1\nx-key: client", "").status, 200);
    let (asked, _) = told.recv().unwrap();
    assert_eq!(asked.line, "GET /mcp/tools?x=1 HTTP/1.1");
    assert_eq!(asked.all("x-key"), ["fake"]);
    assert_eq!(asked.header("host"), Some(tap.address.as_str()));
    assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked.header("x-forwarded-host"), Some(tap.address.as_str()));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
    assert_eq!(tap.ask("GET /b", "").status, 404);
}

/// The guard has looked at `Host` only.
#[test]
fn what_clients_say_of_where_they_are_from_is_passed_on_from_trusted_proxies_only() {
    const SAID: &str = "x-forwarded-for: 1.2.3.4\nx-forwarded-host: evil.example\nx_forwarded_host: evil.example\n\
                        x-forwarded-proto: https\nforwarded: for=1.2.3.4;host=evil.example\nx-real-ip: 1.2.3.4";
    let names = ["for", "host", "proto"].map(|word| format!("x-forwarded-{word}"));
    for (settings, trusted) in [
        ("", false),
        ("trusted_proxies: [10.0.0.0/8, '::1']", false),
        ("trusted_proxies: [127.0.0.0/8]", true),
    ] {
        let (origin, told) = fixed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let route = format!("[{{ upstream: \"{}\", forwarded_headers: true }}]", origin.url());
        let tap = with_routes(&route, settings);
        assert_eq!(tap.ask(&format!("GET /mcp\n{SAID}"), "").status, 200);
        let (asked, _) = told.recv().unwrap();
        let got = names.each_ref().map(|name| asked.all(name));
        if trusted {
            assert_eq!(got, [["1.2.3.4, 127.0.0.1"], ["evil.example"], ["https"]]);
        } else {
            assert_eq!(got, [["127.0.0.1"], [tap.address.as_str()], ["http"]], "{settings}");
        }
        assert_eq!(asked.header("x_forwarded_host"), None);
        assert_eq!(asked.header("forwarded").is_some(), trusted);
        assert_eq!(asked.header("x-real-ip").is_some(), trusted);
    }
}

/// HTTP+SSE (2024-11-05) behind a path: the stream is not changed, and what it names is reached.
#[test]
fn the_place_that_an_old_server_names_is_reached_behind_a_path() {
    let (reply, replies) = sync_channel::<String>(10);
    let replies = Mutex::new(replies);
    let reply = Mutex::new(reply);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            if asked.line.starts_with("GET /sse") {
                conn.stream();
                conn.chunk("event: endpoint\ndata: /messages?sessionId=4\n\n");
                let answer = replies.lock().unwrap().recv().unwrap();
                conn.event(&answer);
                conn.is_gone();
            } else {
                assert_eq!(asked.line, "POST /messages?sessionId=4 HTTP/1.1");
                conn.write("HTTP/1.1 202 Accepted\r\ncontent-length: 8\r\n\r\nAccepted");
                reply.lock().unwrap().send(crate::origin::result_for(&body)).unwrap();
            }
        }
    });
    let routes = format!("[{{ path: /old, upstream: \"http://{}/sse\" }}]", origin.address);
    let tap = with_routes(&routes, "");
    assert_eq!(tap.ask("POST /messages?sessionId=4", "{}").status, 404, "not named yet");
    let mut stream = tap.connect();
    stream.send(tap.request("GET /old\naccept: text/event-stream", ""));
    assert_eq!(stream.head().0, 200);
    assert_eq!(stream.chunk(), b"event: endpoint\ndata: /messages?sessionId=4\n\n");
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(tap.ask("POST /messages?sessionId=4", call).status, 202);
    assert!(String::from_utf8(stream.chunk()).unwrap().contains("\"id\":1"));
    assert_eq!(tap.ask("POST /messages?sessionId=5", "{}").status, 404);
    drop(stream);
    let end = tap.end();
    assert_eq!(end.outcomes(), ["tools/list ok"]);
    assert!(attribute(&end.spans[0], "mcpcol.session.id").is_some());
}

#[test]
fn any_status_passes_and_redirects_are_not_followed() {
    for (answer, status) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n", 304),
        ("HTTP/1.1 307 T\r\nlocation: http://elsewhere/\r\ncontent-length: 2\r\n\r\nhi", 307),
        ("HTTP/1.1 421 M\r\ncontent-length: 0\r\n\r\n", 421),
        ("HTTP/1.1 503 S\r\nretry-after: 7\r\ncontent-length: 3\r\n\r\nno!", 503),
    ] {
        let (origin, told) = fixed(answer);
        let tap = tap(&origin.url(), "");
        let got = tap.post("{}");
        assert_eq!(got.status, status);
        assert_eq!(got.header("location").is_some(), status == 307);
        assert_eq!(got.header("retry-after").is_some(), status == 503);
        assert_eq!(told.recv().unwrap().1, b"{}");
        assert!(told.try_recv().is_err(), "asked once");
    }
}

#[test]
fn a_head_request_has_a_length_and_no_body() {
    let origin = Origin::serve(|mut conn| {
        while conn.asked().is_some() {
            conn.write("HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n");
        }
    });
    let tap = tap(&origin.url(), "");
    let mut client = tap.connect();
    for _ in 0..2 {
        client.send(tap.request("HEAD /mcp", ""));
        let (status, headers) = client.head();
        assert_eq!(status, 200);
        assert!(headers.contains(&("content-length".into(), "12345".into())));
    }
    assert_eq!(origin.connections(), 1, "the connection is used again");
}

#[test]
fn chunks_and_trailers_pass_both_ways() {
    let (tell, told) = sync_channel(100);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn: Conn| {
        while let Some(asked) = conn.asked() {
            let te = asked.header("te").map(str::to_owned);
            tell.lock().unwrap().send((te, conn.body_and_trailers(&asked))).unwrap();
            conn.write(
                "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n",
            );
        }
    });
    let tap = tap(&origin.url(), "");
    let mut client = tap.connect();
    client.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\nte: trailers\r\ntrailer: x-up\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\n{{}}\r\n0\r\nx-up: 1\r\n\r\n",
        tap.address
    ));
    let answer = client.answer();
    assert_eq!((answer.text(), &answer.trailers), ("abc", &vec![("x-sum".into(), "6".into())]));
    let (te, (body, trailers)) = told.recv().unwrap();
    assert_eq!(te.as_deref(), Some("trailers"));
    assert_eq!((body.as_slice(), trailers), (&b"{}"[..], vec!["x-up: 1".to_owned()]));
}

#[test]
fn a_body_without_a_length_passes_with_any_method_and_other_codings_do_not() {
    let (origin, told) = fixed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let tap = tap(&origin.url(), "");
    let ask = |method: &str, coding: &str| {
        let mut client = tap.connect();
        client.send(format!(
            "{method} /mcp HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: {coding}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
            tap.address
        ));
        client.head().0
    };
    for method in ["GET", "DELETE", "POST"] {
        assert_eq!(ask(method, "chunked"), 200);
        assert_eq!(told.recv().unwrap().1, b"{}", "{method}");
    }
    assert_eq!(ask("POST", "gzip, chunked"), 501);
    assert!(told.try_recv().is_err());
}

#[test]
fn a_response_that_comes_before_the_request_is_whole_passes_and_so_does_the_rest() {
    let (tell, told) = sync_channel(10);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        conn.asked().unwrap();
        conn.stream();
        conn.event("early");
        // It goes on reading while it answers.
        let mut rest = [0; 4];
        conn.read_exact(&mut rest).unwrap();
        tell.lock().unwrap().send(rest).unwrap();
        conn.chunk("late");
        conn.chunk("");
    });
    let tap = tap(&origin.url(), "");
    let mut client = tap.connect();
    client
        .send(format!("POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-length: 4\r\n\r\n", tap.address));
    assert_eq!(client.head().0, 200);
    assert!(String::from_utf8(client.chunk()).unwrap().contains("early"));
    client.send("ab");
    client.send("cd");
    assert_eq!(told.recv().unwrap(), *b"abcd");
    assert_eq!((client.chunk(), client.chunk()), (b"late".to_vec(), Vec::new()));
}

#[test]
fn a_login_that_is_wanted_is_passed_on_and_explained_once() {
    let (origin, _told) = fixed(
        "HTTP/1.1 401 U\r\nwww-authenticate: Bearer resource_metadata=\"http://h/.well-known/x\"\r\ncontent-length: 0\r\n\r\n",
    );
    let tap = tap(&origin.url(), "");
    for _ in 0..3 {
        let answer = tap.post(r#"{"id":1,"method":"ping"}"#);
        assert_eq!(answer.status, 401);
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("resource_metadata=\"http://h/.well-known/x\""));
    }
    let end = tap.end();
    assert_eq!(end.log.matches("mcp-remote").count(), 1, "{}", end.log);
    assert_eq!(end.outcomes(), ["ping auth"; 3]);
}

#[test]
fn a_client_that_waits_for_leave_gets_it() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "");
    let mut client = tap.connect();
    let body = r#"{"id":1,"method":"ping"}"#;
    client.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        tap.address,
        body.len()
    ));
    assert_eq!(client.line(), "HTTP/1.1 100 Continue\r\n");
    client.line();
    client.send(body);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn bodies_without_a_length_end_with_the_connection() {
    let origin = Origin::serve(|mut conn| {
        let asked = conn.asked().unwrap();
        conn.body(&asked);
        conn.write(
            "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{\"id\":1,\"result\":{}}",
        );
    });
    let tap = tap(&origin.url(), "");
    let answer = tap.post(r#"{"id":1,"method":"ping"}"#);
    assert_eq!(answer.text(), r#"{"id":1,"result":{}}"#);
    // A client of HTTP/1.0 gets it in its own way.
    let mut old = tap.connect();
    old.send("POST /mcp HTTP/1.0\r\ncontent-length: 24\r\n\r\n{\"id\":2,\"method\":\"ping\"}");
    let answer = old.answer();
    assert_eq!((answer.status, answer.header("transfer-encoding")), (200, None));
    assert_eq!(answer.text(), r#"{"id":1,"result":{}}"#);
}

#[test]
fn a_packed_body_passes_packed_and_is_read_for_the_span() {
    let packed = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder
            .write_all(br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m"}}"#)
            .unwrap();
        encoder.finish().unwrap()
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    let (origin, _told) = fixed([head.as_bytes(), &packed].concat());
    let tap = tap(&origin.url(), "");
    let answer = tap.post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert_eq!(answer.body, packed);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let end = tap.end();
    assert_eq!(end.outcomes(), ["tools/list client_error"]);
}

#[test]
fn connections_are_kept_and_a_closed_one_is_replaced() {
    let closing = Arc::new(Mutex::new(false));
    let told = Arc::clone(&closing);
    let (sender, closed) = sync_channel(1);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            let close = *told.lock().unwrap();
            conn.json(&crate::origin::result_for(&body));
            if close {
                drop(conn);
                return sender.send(()).unwrap();
            }
        }
    });
    let tap = tap(&origin.url(), "workers: 1");
    let ask = |id: u32| {
        let answer = tap.post(&format!(r#"{{"id":{id},"method":"ping"}}"#));
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    (0..5).for_each(ask);
    assert_eq!(origin.connections(), 1, "five clients, one connection upstream");
    *closing.lock().unwrap() = true;
    for id in 5..10 {
        ask(id);
        // A request that meets the close on its way may not be sent again.
        closed.recv_timeout(PATIENCE).unwrap();
    }
    assert!(tap.end().outcomes().iter().all(|outcome| outcome == "ping ok"));
}

#[test]
fn nothing_that_was_written_is_sent_twice() {
    let origin = Origin::serve(|mut conn| {
        let asked = conn.asked().unwrap();
        conn.body(&asked);
        // And is gone without a word.
    });
    let tap = tap(&origin.url(), "");
    let answer =
        tap.post(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"pay"},"id":"a-1"}"#);
    assert_eq!(answer.status, 502);
    let error: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (error["id"].as_str(), error["error"]["code"].as_i64()),
        (Some("a-1"), Some(-32000))
    );
    assert_eq!(origin.connections(), 1);
    assert_eq!(tap.end().outcomes(), ["tools/call server_gone"]);
}

#[test]
fn an_upstream_that_is_not_there_is_told_and_harms_nobody_else() {
    let origin = Origin::echo();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tap = with_routes(
        &format!(
            "[{{ path: /here, upstream: \"{}\" }}, {{ path: /gone, upstream: \"http://{gone}\" }}]",
            origin.url()
        ),
        "",
    );
    let big = format!(
        r#"{{"method":"tools/call","params":{{"name":"t","x":"{}"}},"id":9}}"#,
        "y".repeat(300_000)
    );
    let answer = tap.ask("POST /gone", &big);
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains(r#""id":9"#), "{}", answer.text());
    assert!(!answer.text().contains("yyy"));
    let text = tap.ask("GET /gone", "");
    assert_eq!(
        (text.status, text.header("content-type")),
        (502, Some("text/plain; charset=utf-8"))
    );
    assert_eq!(tap.ask("POST /here", r#"{"id":1,"method":"ping"}"#).status, 200);
    let end = tap.end();
    assert_eq!(end.outcomes(), ["tools/call server_gone", "ping ok"]);
    let span = &end.spans[0];
    assert_eq!(attribute(span, "error.type").as_deref(), Some("server_gone"));
}

#[test]
#[cfg(target_os = "linux")]
fn huge_bodies_pass_in_little_memory() {
    const SIZE: usize = 256 << 20;
    let origin = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            let mut left: usize = asked.header("content-length").unwrap().parse().unwrap();
            let mut buffer = vec![0; 1 << 16];
            let mut sum = 0u64;
            while left > 0 {
                let some = left.min(buffer.len());
                conn.read_exact(&mut buffer[..some]).unwrap();
                sum += buffer[..some].iter().map(|b| u64::from(*b)).sum::<u64>();
                left -= some;
            }
            conn.write(format!(
                "HTTP/1.1 200 OK\r\nx-sum: {sum}\r\ncontent-length: {SIZE}\r\n\r\n"
            ));
            for _ in 0..SIZE / buffer.len() {
                conn.get_mut().write_all(&buffer).unwrap();
            }
        }
    });
    let tap = tap(&origin.url(), "");
    let mut client = tap.connect();
    client.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-length: {SIZE}\r\n\r\n",
        tap.address
    ));
    let mut up = client.0.get_ref().try_clone().unwrap();
    let sent = thread::spawn(move || {
        let chunk = vec![1; 1 << 16];
        (0..SIZE / chunk.len()).for_each(|_| up.write_all(&chunk).unwrap());
    });
    let (status, headers) = client.head();
    sent.join().unwrap();
    assert_eq!(status, 200);
    assert!(headers.contains(&("x-sum".into(), SIZE.to_string())));
    let Client(mut down) = client;
    let (mut left, mut buffer, mut most) = (SIZE, vec![0; 1 << 16], 0);
    while left > 0 {
        left -= down.read(&mut buffer).unwrap();
        if left % (1 << 22) < 1 << 16 {
            most = most.max(tap.resident());
        }
    }
    assert!(most < 100 * 1024, "{most} KiB resident");
}

/// Sizes of which some leave the end in the tap, whatever the kernel's buffers take of them.
fn sizes() -> impl Iterator<Item = usize> {
    (3..60).map(|n| n * 100_000)
}

/// Clients that asked for so many bytes each and have read the head.
fn late_readers(tap: &Tap) -> Vec<(usize, Client)> {
    let ask = |size: usize| {
        let mut client = tap.connect();
        client.send(tap.request(&format!("GET /{size}"), ""));
        assert_eq!(client.head().0, 200);
        (size, client)
    };
    sizes().map(ask).collect()
}

/// How many bytes a path asks for.
fn length_of(asked: &Asked) -> usize {
    asked.line.split(['/', ' ']).nth(2).unwrap().parse().unwrap()
}

/// Who reads nothing yet has not asked for too long.
#[test]
fn who_reads_late_gets_the_end_of_it() {
    let origin = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            let length = length_of(&asked);
            conn.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"));
            conn.write(vec![b'x'; length]);
        }
    });
    let tap = tap(&origin.url(), "read_header_timeout: 50ms");
    let clients = late_readers(&tap);
    for _ in 0..3 {
        assert!(tap.connect().is_closed(), "one that asks nothing is let go by then");
    }
    for (size, mut client) in clients {
        let mut body = vec![0; size];
        client.0.read_exact(&mut body).unwrap_or_else(|e| panic!("of {size} bytes: {e}"));
    }
}

/// Whoever answers before it has read the request reads all of it all the same.
#[test]
fn an_upload_goes_on_after_its_response() {
    let (go, answered) = sync_channel::<()>(0);
    let (tell, read) = sync_channel(100);
    let (answered, tell) = (Mutex::new(answered), Mutex::new(tell));
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            conn.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            answered.lock().unwrap().recv().unwrap();
            let mut body = vec![0; asked.header("content-length").unwrap().parse().unwrap()];
            let whole = conn.read_exact(&mut body).is_ok();
            tell.lock().unwrap().send((body.len(), whole)).unwrap();
        }
    });
    let tap = tap(&origin.url(), "");
    for size in sizes() {
        let mut client = tap.connect();
        let request = tap.request("POST /mcp", &"x".repeat(size));
        let mut sender = client.0.get_ref().try_clone().unwrap();
        let sending = std::thread::spawn(move || sender.write_all(request.as_bytes()).ok());
        assert_eq!(client.answer().status, 200);
        go.send(()).unwrap();
        assert_eq!(read.recv().unwrap(), (size, true));
        sending.join().unwrap();
    }
}

/// What frames a message twice is framed by its chunks (RFC 9112 section 6.3).
#[test]
fn a_length_beside_chunks_does_not_count() {
    for length in [5, 50] {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\ntransfer-encoding: chunked");
        let (origin, _told) = fixed(format!("{head}\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"));
        let tap = tap(&origin.url(), "");
        assert_eq!(tap.post("{}").text(), "hello world");
    }
}

#[test]
fn more_fields_than_usual_pass_where_they_are_allowed() {
    let fields: String = (0..150).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let (origin, _told) = fixed(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok"));
    let tap = tap(&origin.url(), "max_headers: 200");
    let got = tap.post("{}");
    assert_eq!((got.status, got.header("x-149")), (200, Some("149")));
}

/// What an upstream sent before it broke off is the client's, however late it reads.
#[test]
fn who_reads_late_gets_all_that_came_before_a_break() {
    let origin = Origin::serve(|mut conn| {
        if let Some(asked) = conn.asked() {
            let length = length_of(&asked);
            conn.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", length + 1));
            conn.write(vec![b'x'; length]);
        }
    });
    let tap = tap(&origin.url(), "");
    let clients = late_readers(&tap);
    for (size, mut client) in clients {
        let mut body = Vec::new();
        client.0.read_to_end(&mut body).ok();
        assert_eq!(body.len(), size);
    }
}
