//! Where messages go in HTTP+SSE (2024-11-05): the target that a stream's first event names.
//!
//! The URI is resolved as clients do it, against the target of the stream; what remains is path and
//! query, because the client reaches both through the tap.

use super::target::{as_sent, split, without_dots};

/// The longest target that names a session, in bytes: SDKs put a UUID into the query.
pub const MAX_ENDPOINT: usize = 2048;

/// Resolves `reference` at `base` and gives path and query as clients send them; `None` if it is none or
/// too long.
pub(super) fn resolve(base: &[u8], reference: &[u8]) -> Option<Vec<u8>> {
    if reference.len() > MAX_ENDPOINT {
        return None;
    }
    // All parsers drop these, wherever they stand.
    let mut reference = reference.to_vec();
    reference.retain(|byte| !matches!(byte, b'\t' | b'\r' | b'\n'));
    let reference = until(reference.trim_ascii(), b"#");
    if reference.is_empty() {
        return None;
    }
    let target = as_sent(&resolve_reference(base, reference));
    (target.len() <= MAX_ENDPOINT).then_some(target)
}

/// Resolves a reference without a fragment against `base`, a path with or without a query, and gives path
/// and query of what it names (RFC 3986 section 5.2). Its authority, if it has one, is left out.
pub fn resolve_reference(base: &[u8], reference: &[u8]) -> Vec<u8> {
    let base_path = until(base, b"?#");
    let target = match authority(reference) {
        Some(rest) => {
            let path = &rest[until(rest, b"/?").len()..];
            if path.starts_with(b"/") { path.to_vec() } else { [b"/", path].concat() }
        }
        None if reference.starts_with(b"/") => reference.to_vec(),
        None if matches!(reference.first(), None | Some(b'?')) => [base_path, reference].concat(),
        None => {
            let directory = base_path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
            [&base_path[..directory], reference].concat()
        }
    };
    let (path, query) = split(&target);
    [&without_dots(path), query].concat()
}

/// Cuts `scheme://` or `//` off.
fn authority(reference: &[u8]) -> Option<&[u8]> {
    let scheme = reference.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let rest = &reference[scheme..];
    if scheme > 0 { rest.strip_prefix(b"://") } else { rest.strip_prefix(b"//") }
}

fn until<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    &text[..text.iter().position(|b| ends.contains(b)).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: &str, reference: &str) -> String {
        let target = resolve(base.as_bytes(), reference.as_bytes());
        target.map_or_else(|| "none".to_owned(), |t| String::from_utf8(t).unwrap())
    }

    #[test]
    fn an_endpoint_is_found_from_where_its_stream_was_asked_for() {
        for (base, reference, target) in [
            ("/sse", "/messages?s=1", "/messages?s=1"),
            ("/a/sse?x=1", "messages?s=1", "/a/messages?s=1"),
            ("/a/sse?x=/1", "?s=1", "/a/sse?s=1"),
            ("/a/b/sse", "../messages", "/a/messages"),
            ("/a/b/sse", "./m/.", "/a/b/m/"),
            ("/a", "../../m/..", "/"),
            ("/sse", "http://host:80/m?s=1#f", "/m?s=1"),
            ("/sse", "//host/m", "/m"),
            ("/sse", "http://host?s=1", "/?s=1"),
            ("/sse", "https://host", "/"),
            ("/sse", " /m \n", "/m"),
            ("/sse", "/mess\nages?\ts=1", "/messages?s=1"),
            ("/a/sse", "%2e%2e/m \u{e9}?s='1'", "/m%20%C3%A9?s=%271%27"),
            ("", "m", "m"),
            ("/sse", "", "none"),
            ("/sse", "#f", "none"),
        ] {
            assert_eq!(at(base, reference), target, "{base} {reference}");
        }
        assert_eq!(at("/sse", &"x".repeat(MAX_ENDPOINT + 1)), "none");
    }
}
