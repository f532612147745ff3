//! W3C Trace Context as MCP carries it (SEP-414): `traceparent` and `tracestate` as flat strings.

use crate::json::Text;

/// The longest `tracestate` that is carried on, in bytes: what the W3C text asks everybody to manage.
const MAX_STATE: usize = 512;

/// OTLP span flag: the next bit is meaningful.
const HAS_IS_REMOTE: u32 = 0x100;
/// OTLP span flag: the context came from another process.
const IS_REMOTE: u32 = 0x200;
/// W3C trace flag.
pub(super) const SAMPLED: u8 = 1;

/// A span somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRef {
    /// Trace it belongs to.
    pub trace: [u8; 16],
    /// Its id.
    pub span: [u8; 8],
}

/// A parent that somebody told us about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The parent.
    pub parent: SpanRef,
    /// W3C trace flags.
    pub flags: u8,
    /// `tracestate`, at most 512 bytes, empty if there is none.
    pub state: String,
}

impl TraceContext {
    /// Reads `traceparent` (W3C Trace Context, version 00 and what later versions keep of it) and the
    /// `tracestate` that came with it. `None` for whatever the text calls invalid.
    pub fn parse(traceparent: &[u8], tracestate: Option<&str>) -> Option<Self> {
        let version = hex::<1>(traceparent.get(..2)?)?[0];
        let exact = traceparent.len() == 55;
        let later = version > 0 && traceparent.get(55) == Some(&b'-');
        let dashes = [2, 35, 52].iter().all(|i| traceparent.get(*i) == Some(&b'-'));
        if version == 0xff || !dashes || !(exact || later) {
            return None;
        }
        let trace = hex(&traceparent[3..35])?;
        let span = hex(&traceparent[36..52])?;
        let flags = hex::<1>(&traceparent[53..55])?[0];
        if trace == [0; 16] || span == [0; 8] {
            return None;
        }
        let state = tracestate.map(state).unwrap_or_default();
        Some(TraceContext { parent: SpanRef { trace, span }, flags, state })
    }

    /// Reads both as they stand in a message.
    pub(super) fn read(
        traceparent: Option<Text<'_>>,
        tracestate: Option<Text<'_>>,
    ) -> Option<Self> {
        let traceparent = traceparent?.decode().ok()?;
        let tracestate = tracestate.and_then(|state| state.decode().ok());
        TraceContext::parse(traceparent.as_bytes(), tracestate.as_deref())
    }

    /// The context that a request stands in: its own, else that of the HTTP request it is alone in, else
    /// that of our environment. `None` if a trace begins with it.
    pub fn of_request(
        own: Option<Self>,
        carrier: Option<&Self>,
        ambient: Option<&Self>,
    ) -> Option<Self> {
        own.or_else(|| carrier.or(ambient).cloned())
    }

    /// Says whether the parent was sampled.
    pub fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// `Span.flags` and `Link.flags` of OTLP.
pub(super) fn span_flags(trace_flags: u8, remote: bool) -> u32 {
    u32::from(trace_flags) | HAS_IS_REMOTE | if remote { IS_REMOTE } else { 0 }
}

/// A `tracestate` worth carrying on: printable ASCII, cut to whole members.
fn state(text: &str) -> String {
    if !text.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')) {
        return String::new();
    }
    if text.len() <= MAX_STATE {
        return text.to_owned();
    }
    let cut = text.as_bytes()[..=MAX_STATE].iter().rposition(|b| *b == b',').unwrap_or(0);
    text[..cut].to_owned()
}

/// Lower-case hex, as the W3C text demands.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

    fn parse(text: &str) -> Option<TraceContext> {
        TraceContext::parse(text.as_bytes(), None)
    }

    #[test]
    fn a_valid_traceparent_is_read() {
        let context = parse(GOOD).unwrap();
        assert_eq!(context.parent.trace[..3], [0x0a, 0xf7, 0x65]);
        assert_eq!(context.parent.span[..3], [0x00, 0xf0, 0x67]);
        assert!(context.sampled());
        assert!(!parse(&GOOD.replace("-01", "-00")).unwrap().sampled());
    }

    #[test]
    fn a_later_version_may_be_longer_and_version_00_may_not() {
        let later = GOOD.replacen("00", "cc", 1);
        assert!(parse(&later).is_some());
        assert!(parse(&format!("{later}-what-comes-later")).is_some());
        assert!(parse(&format!("{later}.x")).is_none());
        assert!(parse(&format!("{GOOD}-x")).is_none());
    }

    #[test]
    fn whatever_the_text_calls_invalid_is_absent() {
        let bad = [
            String::new(),
            GOOD.replacen("00", "ff", 1),
            GOOD.to_uppercase(),
            GOOD[..54].to_owned(),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replacen('-', "_", 1),
            GOOD.replace('7', "g"),
        ];
        for text in bad {
            assert_eq!(parse(&text), None, "{text}");
        }
    }

    #[test]
    fn a_long_tracestate_is_cut_to_whole_members() {
        let long = vec!["vendor=0123456789"; 40].join(",");
        let context = TraceContext::parse(GOOD.as_bytes(), Some(&long)).unwrap();
        assert!(context.state.len() <= MAX_STATE);
        assert!(context.state.ends_with("vendor=0123456789"));
        let one = "k=".to_owned() + &"v".repeat(600);
        assert_eq!(TraceContext::parse(GOOD.as_bytes(), Some(&one)).unwrap().state, "");
        assert_eq!(TraceContext::parse(GOOD.as_bytes(), Some("k=\u{e9}")).unwrap().state, "");
    }
}
