//! Where messages go in HTTP+SSE (2024-11-05): the target that a stream's first event names.
//!
//! The URI is resolved as clients do it, against the target of the stream; what remains is path and
//! query, because the client reaches both through the tap. No percent-encoding is undone.

/// The longest target that names a session, in bytes: SDKs put a UUID into the query.
pub(super) const MAX_ENDPOINT: usize = 2048;

/// Path and query of `reference`, found at `base`; `None` if it is none or too long.
pub(super) fn resolve(base: &[u8], reference: &[u8]) -> Option<Vec<u8>> {
    let reference = reference.trim_ascii();
    let reference = until(reference, b"#");
    if reference.is_empty() || reference.len() > MAX_ENDPOINT {
        return None;
    }
    let target = resolve_reference(base, reference);
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
    without_dots(&target)
}

/// What follows `scheme://` or `//`.
fn authority(reference: &[u8]) -> Option<&[u8]> {
    let scheme = reference.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let rest = &reference[scheme..];
    if scheme > 0 { rest.strip_prefix(b"://") } else { rest.strip_prefix(b"//") }
}

fn until<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    &text[..text.iter().position(|b| ends.contains(b)).unwrap_or(text.len())]
}

/// Takes `.` and `..` out of the path (RFC 3986, 5.2.4).
fn without_dots(target: &[u8]) -> Vec<u8> {
    let path = until(target, b"?");
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"." | b".." => {
                if segment == b".." && kept.len() > 1 {
                    kept.pop();
                }
                if segments.peek().is_none() {
                    kept.push(b"");
                }
            }
            _ => kept.push(segment),
        }
    }
    [kept.join(&b'/').as_slice(), &target[path.len()..]].concat()
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
            ("", "m", "m"),
            ("/sse", "", "none"),
            ("/sse", "#f", "none"),
        ] {
            assert_eq!(at(base, reference), target, "{base} {reference}");
        }
        assert_eq!(at("/sse", &"x".repeat(MAX_ENDPOINT + 1)), "none");
    }
}
