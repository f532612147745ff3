//! What exporters to backends share: what we call ourselves, and how much of a backend's words we keep.

use crate::privacy::cut::cut;

/// The largest OTLP request that is sent, before compression (OTLP, "Message size limits").
pub(super) const MAX_REQUEST: usize = 64 << 20;

/// The largest response that is read, after decompression (the same).
pub(super) const MAX_RESPONSE: usize = 4 << 20;

/// Names what is said of a request that was taken with a response larger than that: whether some of its items were
/// rejected stands there, and sending them again would double the others.
pub(super) const UNREAD: &str = "partial success unread: the answer is over the limit of 4 MiB";

/// Says that a backend took a request with a response that broke off, so that rejected items are unknown.
pub(super) const BROKEN: &str = "partial success unread: the answer did not come to its end";

/// Says how much of a peer's words is kept, in bytes.
const MAX_WORDS: usize = 512;

/// Makes a peer's words fit for a log line: one line, which ends behind a whole word. A peer can repeat our credential.
pub(super) fn words(text: &str) -> String {
    let tame = |c: char| if c.is_control() { ' ' } else { c };
    cut(text, MAX_WORDS, false).chars().map(tame).collect()
}

/// OTLP's form of it: what exports, its version, where it runs.
pub(super) fn user_agent() -> String {
    use std::env::consts::{ARCH, OS};
    format!("mcpcol/{} ({OS}/{ARCH})", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_a_peer_repeats_is_shown_whole_or_not_at_all() {
        let secret = ["kettle-", "window-17"].concat();
        for before in 400..600 {
            let text = format!("{} {secret} and so on, {}", "p".repeat(before), "more ".repeat(90));
            let shown = words(&text);
            assert!(shown.len() <= MAX_WORDS);
            let whole = shown.contains(&secret);
            assert!(whole || !shown.contains(&secret[..5]), "{shown}");
        }
        assert_eq!(words("no\nroom"), "no room");
    }
}
