//! Streams of HTTP/2 that are reset without an error (RFC 9113 section 8.1): an end only where the message
//! was whole. Frames by hand, because no library sends these.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use super::tap::with_routes;
use crate::client::Client;
use crate::origin::{Conn, Origin};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A reset without an error.
fn reset() -> Vec<u8> {
    frame(RST_STREAM, 0, 1, &[0; 4])
}

/// A header field whose name has that number in HPACK's static table, below 15 or from 15 on.
fn field(index: u8, value: &str) -> Vec<u8> {
    let name = if index < 15 { vec![index] } else { vec![15, index - 15] };
    [name.as_slice(), &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}

/// Kind, flags and payload of the next frame; settings are acknowledged.
fn next(stream: &mut (impl Read + Write)) -> Option<(u8, u8)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).ok()?;
    if head[3] == SETTINGS && head[4] & ACK == 0 {
        stream.write_all(&frame(SETTINGS, ACK, 0, b"")).ok()?;
    }
    Some((head[3], head[4]))
}

/// The next byte that a client sends; none once it is gone.
fn one(conn: &mut Conn) -> Option<u8> {
    let mut byte = [0];
    conn.read_exact(&mut byte).ok().map(|()| byte[0])
}

/// A server that answers with these frames.
fn answering(frames: Vec<u8>) -> Origin {
    Origin::serve(move |mut conn| {
        let mut preface = [0; PREFACE.len()];
        conn.read_exact(&mut preface).unwrap();
        let stream: &mut TcpStream = conn.get_mut();
        stream.write_all(&frame(SETTINGS, 0, 0, b"")).unwrap();
        while let Some((kind, flags)) = next(stream) {
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                stream.write_all(&frames).unwrap();
            }
        }
    })
}

#[test]
fn a_response_is_whole_only_if_its_end_came_before_the_reset() {
    let typed = [vec![0x88], field(31, "application/json")].concat();
    let measured = [typed.clone(), field(28, &RESULT.len().to_string())].concat();
    let head = |fields: &[u8]| frame(HEADERS, END_HEADERS, 1, fields);
    let data = |flags, text: &str| frame(DATA, flags, 1, text.as_bytes());
    for (frames, whole) in [
        ([head(&typed), data(0, RESULT)].concat(), false),
        ([head(&typed), data(0, &RESULT[..20])].concat(), false),
        ([head(&measured), data(0, &RESULT[..20])].concat(), false),
        (head(&typed), false),
        ([head(&typed), data(END_STREAM, RESULT)].concat(), true),
        ([head(&measured), data(0, RESULT)].concat(), true),
    ] {
        let origin = answering([frames, reset()].concat());
        let route = format!("[{{ upstream: \"{}\", protocol: http2 }}]", origin.url());
        let tap = with_routes(&route, "");
        let mut client = tap.connect();
        client.send(tap.request("POST /mcp", CALL));
        assert_eq!(client.head().0, 200);
        let mut got = Vec::new();
        if whole {
            let mut byte = [0];
            while !got.ends_with(RESULT.as_bytes()) {
                client.0.read_exact(&mut byte).unwrap();
                got.push(byte[0]);
            }
        } else {
            client.0.read_to_end(&mut got).unwrap();
            assert!(!got.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&got));
        }
        let outcome = if whole { "tools/list ok" } else { "tools/list server_gone" };
        drop(client);
        assert_eq!(tap.end().outcomes(), [outcome], "{}", String::from_utf8_lossy(&got));
    }
}

#[test]
fn a_request_that_is_reset_does_not_reach_its_server_as_a_whole_one() {
    let (tell, told) = sync_channel(10);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        let asked = conn.asked().unwrap();
        assert_eq!(asked.header("transfer-encoding"), Some("chunked"));
        let mut first = [0; 20 + 4];
        conn.read_exact(&mut first).unwrap();
        tell.lock().unwrap().send(Vec::new()).unwrap();
        let mut rest = Vec::new();
        while let Some(byte) = one(&mut conn) {
            rest.push(byte);
        }
        tell.lock().unwrap().send(rest).unwrap();
    });
    let tap = with_routes(&format!("[{{ upstream: \"{}\" }}]", origin.url()), "");
    let mut client: Client = tap.connect();
    let fields =
        [vec![0x83, 0x86], field(4, "/mcp"), field(1, &tap.address), field(31, "application/json")]
            .concat();
    client.send(PREFACE);
    client.send(frame(SETTINGS, 0, 0, b""));
    client.send(frame(HEADERS, END_HEADERS, 1, &fields));
    client.send(frame(DATA, 0, 1, &CALL.as_bytes()[..20]));
    told.recv().unwrap();
    client.send(reset());
    let rest = told.recv().unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    drop(client);
    assert!(!tap.end().outcomes().iter().any(|outcome| outcome.ends_with("ok")));
}
