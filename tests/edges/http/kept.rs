//! How long upstream connections are kept.

use super::tap::tap;
use crate::origin::{Origin, result_for};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// An upstream connection is used again only while its server has not said that it is about to close it.
#[test]
fn what_a_server_says_of_its_patience_is_heeded() {
    for (said, connections) in [
        ("timeout=1", 3),
        ("timeout=0, max=10", 3),
        ("Timeout = 60, MAX=0", 3),
        ("timeout=60, max=10", 1),
        ("nonsense", 1),
    ] {
        let origin = Origin::serve(move |mut conn| {
            while let Some(asked) = conn.asked() {
                let result = result_for(&conn.body(&asked));
                conn.write(format!(
                    "HTTP/1.1 200 OK\r\nkeep-alive: {said}\r\ncontent-length: {}\r\n\r\n{result}",
                    result.len()
                ));
            }
        });
        let tap = tap(&origin.url(), "workers: 1");
        for _ in 0..3 {
            assert_eq!(tap.post(PING).status, 200);
        }
        assert_eq!(origin.connections(), connections, "{said}");
    }
}
