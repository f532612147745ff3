//! Interim answers (1xx) of an upstream: some are nothing, without end they are no answer.

use super::tap::{tap, with_routes};
use crate::origin::{Origin, result_for};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn interim_answers_without_end_are_a_bad_gateway() {
    for interim in
        ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"]
    {
        let origin = Origin::serve(move |mut conn| {
            let Some(asked) = conn.asked() else { return };
            conn.body(&asked);
            let many = interim.repeat(100);
            while std::io::Write::write_all(conn.get_mut(), many.as_bytes()).is_ok() {}
        });
        let mut tap = tap(&origin.url(), "");
        let answer = tap.post(PING);
        assert_eq!(answer.status, 502, "{interim}");
        assert!(answer.text().contains("\"id\":1"), "{}", answer.text());
        tap.said("1xx");
        let end = tap.end();
        assert_eq!(end.outcomes(), ["ping server_gone"], "{interim}");
    }
}

/// 102 (Processing) is what a server says that works for long.
#[test]
fn a_server_may_say_often_that_it_is_at_work() {
    let origin = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            let result = result_for(&conn.body(&asked));
            for _ in 0..2000 {
                conn.write("HTTP/1.1 102 Processing\r\n\r\n");
            }
            conn.json(&result);
        }
    });
    let tap = tap(&origin.url(), "workers: 1");
    for _ in 0..20 {
        assert_eq!(tap.post(PING).status, 200);
    }
    assert_eq!(origin.connections(), 1, "each exchange counts for itself");
}

/// The same over HTTP/2, where each is a head of its stream.
#[test]
fn interim_answers_of_http2_without_end_are_a_bad_gateway() {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // HEADERS of the first stream: `:status` is 103.
    const HINTS: [u8; 14] = *b"\x00\x00\x05\x01\x04\x00\x00\x00\x01\x08\x03103";
    let origin = Origin::serve(|mut conn| {
        conn.write(SETTINGS);
        conn.read_exact(&mut [0; 24]).unwrap();
        let (mut kind, mut frame) = (0, [0; 9]);
        while kind != 1 {
            conn.read_exact(&mut frame).unwrap();
            kind = frame[3];
            let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize;
            conn.read_exact(&mut vec![0; length]).unwrap();
        }
        let many = HINTS.repeat(100);
        while std::io::Write::write_all(conn.get_mut(), &many).is_ok() {}
    });
    let route = format!("[{{ upstream: \"{}\", protocol: http2, name: origin }}]", origin.url());
    let mut tap = with_routes(&route, "");
    assert_eq!(tap.post(PING).status, 502);
    tap.said("1xx");
    assert_eq!(tap.end().outcomes(), ["ping server_gone"]);
}
