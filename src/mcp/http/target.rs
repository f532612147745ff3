//! How clients write the target of a request: what they percent-encode and which segments they take out.
//! They do not agree (WHATWG URL in browsers and Node, RFC 3986 in Python and Go), so spellings of one
//! target are compared by what they have in common. Pure.

/// Bytes besides letters and digits that all clients leave as they are, in a path or a query.
const PLAIN: &[u8] = b"-._~/?=&:@!$()*+,;";

/// A target as a client of WHATWG URL sends it (its sections 1.3 and 4.4): what a URL cannot hold is
/// percent-encoded, `\` is `/`, and dots are taken out of the path, encoded ones too.
pub(super) fn as_sent(target: &[u8]) -> Vec<u8> {
    let (path, query) = split(target);
    let mut sent = Vec::with_capacity(target.len());
    for byte in path {
        match byte {
            b'\\' => sent.push(b'/'),
            b'`' | b'{' | b'}' => escape(*byte, &mut sent),
            byte => keep(*byte, &mut sent),
        }
    }
    let mut sent = without_dots(&sent);
    for byte in query {
        match byte {
            b'\'' => escape(*byte, &mut sent),
            byte => keep(*byte, &mut sent),
        }
    }
    sent
}

/// The form in which all spellings of one target are equal: only to compare with, never to be sent. What
/// needs no encoding has none and all else has (RFC 3986 section 6.2.2), empty segments are left out, as
/// Python's `urljoin` does, and so are spaces at the end, which it keeps.
pub fn comparable(target: &[u8]) -> Vec<u8> {
    let sent = as_sent(target);
    let mut plain = Vec::with_capacity(sent.len());
    let (mut rest, mut in_path) = (sent.as_slice(), true);
    while let [first, after @ ..] = rest {
        let (byte, escaped) = match unescaped(rest) {
            Some(byte) => (byte, true),
            None => (*first, false),
        };
        rest = if escaped { &rest[3..] } else { after };
        in_path &= escaped || byte != b'?';
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        match byte {
            b'/' if !escaped && in_path && plain.last() == Some(&b'/') => {}
            byte if unreserved || !escaped && (PLAIN.contains(&byte) || byte == b'%') => {
                plain.push(byte);
            }
            byte => escape(byte, &mut plain),
        }
    }
    while plain.ends_with(b"%20") {
        plain.truncate(plain.len() - 3);
    }
    plain
}

/// Takes `.` and `..` out of a path (RFC 3986 section 5.2.4), those that are percent-encoded, too.
pub(super) fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let dots = dots(segment);
        if dots == Some(2) && kept.len() > 1 {
            kept.pop();
        }
        if dots.is_none() || segments.peek().is_none() {
            kept.push(if dots.is_none() { segment } else { b"" });
        }
    }
    kept.join(&b'/')
}

/// Says how many dots a segment is, if it is one or two of them.
fn dots(segment: &[u8]) -> Option<usize> {
    let (mut rest, mut dots) = (segment, 0);
    while !rest.is_empty() {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return None,
        };
        dots += 1;
    }
    (1..=2).contains(&dots).then_some(dots)
}

/// Path and query, the latter with its `?`.
pub(super) fn split(target: &[u8]) -> (&[u8], &[u8]) {
    target.split_at(target.iter().position(|b| *b == b'?').unwrap_or(target.len()))
}

/// Appends a byte, encoded if no URL can hold it as it is.
fn keep(byte: u8, to: &mut Vec<u8>) {
    match byte {
        b'"' | b'#' | b'<' | b'>' => escape(byte, to),
        byte if byte.is_ascii_graphic() => to.push(byte),
        byte => escape(byte, to),
    }
}

fn escape(byte: u8, to: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    to.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// The byte that an escape at the beginning of `text` stands for.
fn unescaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// References that were resolved from `/desk/sse`: what Node 20 (`new URL`) sends and what Python
    /// (`urljoin`, httpx 0.28) does.
    const SPELLINGS: &[(&str, &str, &str)] = &[
        ("/desk/messages/abc", "/desk/messages/abc", "/desk/messages/abc"),
        ("/desk/m x?s=a b", "/desk/m%20x?s=a%20b", "/desk/m%20x?s=a%20b"),
        ("/desk/m\u{e9}?s=\u{e9}", "/desk/m%C3%A9?s=%C3%A9", "/desk/m%C3%A9?s=%C3%A9"),
        ("/desk/m\"?s=\"", "/desk/m%22?s=%22", "/desk/m%22?s=%22"),
        ("/desk/%2e%2e/m?s=1", "/m?s=1", "/desk/%2e%2e/m?s=1"),
        ("/desk/.%2E/m", "/m", "/desk/.%2E/m"),
        ("/desk/a/%2E/b", "/desk/a/b", "/desk/a/%2E/b"),
        ("/desk/%2e%2E", "/", "/desk/%2e%2E"),
        (
            "/desk/m<>`{}|[]?<>`{}|^[]'",
            "/desk/m%3C%3E%60%7B%7D|[]?%3C%3E`{}|^[]%27",
            "/desk/m%3C%3E%60%7B%7D|[]?%3C%3E`{}|^[]'",
        ),
        ("/desk/a\\b?x\\y", "/desk/a/b?x\\y", "/desk/a\\b?x\\y"),
        ("/desk/m%zz?%", "/desk/m%zz?%", "/desk/m%zz?%"),
        ("/desk/m%41%c3%a9?%41", "/desk/m%41%c3%a9?%41", "/desk/m%41%c3%a9?%41"),
        ("/desk/a//c", "/desk/a//c", "/desk/a/c"),
        ("/desk/m?s=1", "/desk/m?s=1", "/desk/m?s=1%20"),
        ("/x/%2e%2e%2fy", "/x/%2e%2e%2fy", "/x/%2e%2e%2fy"),
        ("/desk/~m!$&'()*+,;=:@", "/desk/~m!$&'()*+,;=:@", "/desk/~m!$&'()*+,;=:@"),
    ];

    #[test]
    fn a_target_is_known_whichever_client_sends_it() {
        for (target, node, python) in SPELLINGS {
            assert_eq!(String::from_utf8(as_sent(target.as_bytes())).unwrap(), *node, "{target}");
            let one = comparable(target.as_bytes());
            assert_eq!(one, comparable(node.as_bytes()), "{target}");
            assert_eq!(one, comparable(python.as_bytes()), "{target}");
        }
    }

    #[test]
    fn what_means_something_else_is_another_target() {
        for (one, other) in [
            ("/m?s=1", "/m?s=2"),
            ("/m", "/m?"),
            ("/m", "/m/"),
            ("/a/b", "/a%2Fb"),
            ("/m?a=1&b", "/m?a=1%26b"),
            ("/m?s=/a//b", "/m?s=/a/b"),
            ("/m%3Fs=1", "/m?s=1"),
            ("/m%25", "/m"),
            ("/M", "/m"),
        ] {
            assert_ne!(comparable(one.as_bytes()), comparable(other.as_bytes()), "{one} {other}");
        }
        let usual = "/messages/?session_id=3f2c-9a_b.c~d";
        assert_eq!(comparable(usual.as_bytes()), usual.as_bytes());
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_a_target(path in any::<Vec<u8>>()) {
            let target = [b"/", path.as_slice()].concat();
            let sent = as_sent(&target);
            prop_assert!(sent.iter().all(u8::is_ascii_graphic));
            prop_assert!(hyper::http::uri::PathAndQuery::try_from(sent.as_slice()).is_ok());
            prop_assert_eq!(comparable(&sent), comparable(&target));
        }
    }
}
