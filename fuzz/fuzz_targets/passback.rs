//! Arbitrary bytes as what a server hands back, in an answer and as a client posts it: no panic, the books
//! balanced, and nothing out that is not below the request's context.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mcpcol::mcp::{
    Direction, HandedBack, Identity, Orphans, Passback, Posted, Session, Settings, Unsampled,
};
use mcpcol::otlp::Messages;

const TRACEPARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
const TRACE: &[u8] = b"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c";

fuzz_target!(|data: &[u8]| {
    let mut session = Session::new(Arc::new(Settings::default()), Identity::default(), [7; 32]);
    let ask = concat!(
        r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"#,
        r#""traceparent":"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01","#,
        r#""otel":{"traces":{"request":true}}}}}"#,
        "\n"
    );
    session.bytes(Direction::ClientToServer, ask.as_bytes(), 1_000_000_000);
    let (before, after) = (br#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{"otel":{"traces":"#, b"}}}}\n");
    for part in [&before[..], data, &after[..]] {
        session.bytes(Direction::ServerToClient, part, 2_000_000_000);
    }
    session.end(3_000_000_000);
    let counts = session.counts();
    assert!(counts.balanced() && counts.in_flight == 0, "{counts:?}");
    assert_eq!(session.ready() as u64, counts.spans + counts.passback.spans);
    for (telemetry, _) in session.take() {
        let Messages::Traces(all) = telemetry.messages() else { panic!("a session makes spans") };
        let spans = all.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        assert!(spans.into_iter().all(|span| span.trace_id == TRACE && span.span_id.len() == 8));
    }
    for (traceparent, orphans) in [(Some(TRACEPARENT), Orphans::Drop), (None, Orphans::Mark)] {
        let posted = Posted {
            body: data,
            traceparent,
            server: "s",
            now: 4_000_000_000,
            unsampled: Unsampled::Drop,
        };
        let rules = Passback { orphans, ..Passback::default() };
        if let Ok(received) = posted.take_in(&rules, &HandedBack::default()) {
            assert!(received.tally.balanced());
            assert_eq!(received.telemetry.items() as u64, received.tally.spans);
        }
    }
});
