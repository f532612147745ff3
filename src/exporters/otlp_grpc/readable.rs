//! Heads and trailers of a server as tonic can read them. Of three headers it cannot read every value: it panics, or
//! takes what it finds for a status of its own, and a batch that was taken or may be sent again would be dropped.

use tonic::codegen::http::HeaderMap;
use tonic::metadata::MetadataMap;

const DETAILS: &str = "grpc-status-details-bin";
const MESSAGE: &str = "grpc-message";
const ENCODING: &str = "grpc-encoding";

/// Takes out what cannot be read, as if it had not been sent: the status decides, and it stays.
pub(super) fn make_readable(headers: &mut HeaderMap) {
    let map = MetadataMap::from_headers(std::mem::take(headers));
    let details = map.get_bin(DETAILS).is_none_or(|details| details.to_bytes().is_ok());
    *headers = map.into_headers();
    let keeps = [
        (DETAILS, details),
        (MESSAGE, headers.get(MESSAGE).is_none_or(|message| is_text(message.as_bytes()))),
        // Messages that are compressed in another way say so in their first byte, and are refused for that.
        (ENCODING, headers.get(ENCODING).is_none_or(|name| is_known(name.as_bytes()))),
    ];
    for (name, _) in keeps.iter().filter(|(_, keep)| !keep) {
        headers.remove(*name);
    }
}

fn is_known(encoding: &[u8]) -> bool {
    [&b"gzip"[..], b"zstd", b"identity"].contains(&encoding)
}

/// Says whether it is UTF-8 behind its percent-encoding, in which a `%` without two digits stands for itself.
fn is_text(encoded: &[u8]) -> bool {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut plain = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, tail @ ..] = rest {
        let digits = (digit(tail.first()), digit(tail.get(1)));
        rest = match digits {
            (Some(high), Some(low)) if *first == b'%' => {
                plain.extend(u8::try_from(high * 16 + low));
                &tail[2..]
            }
            _ => {
                plain.push(*first);
                tail
            }
        };
    }
    std::str::from_utf8(&plain).is_ok()
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};

    use super::*;

    fn read(name: &'static str, value: &[u8]) -> (Status, bool) {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", "14".parse().unwrap());
        headers.insert(name, tonic::codegen::http::HeaderValue::from_bytes(value).unwrap());
        make_readable(&mut headers);
        (Status::from_header_map(&headers).unwrap(), headers.contains_key(name))
    }

    #[test]
    fn a_header_that_cannot_be_read_is_none_and_the_status_stays() {
        for (name, value, kept) in [
            (DETAILS, &b"!"[..], false),
            (DETAILS, b"A", false),
            (DETAILS, b"\xff", false),
            (DETAILS, b"AAA=", true),
            (DETAILS, b"AAA", true),
            (DETAILS, b"", true),
            (MESSAGE, b"%ff", false),
            (MESSAGE, b"a%C3%", false),
            (MESSAGE, b"\xe9", false),
            (MESSAGE, b"a%C3%A9 100% %zz %", true),
            (ENCODING, b"br", false),
            (ENCODING, b"\xff", false),
            (ENCODING, b"zstd", true),
            (ENCODING, b"identity", true),
        ] {
            let (status, there) = read(name, value);
            let case = format!("{name}: {}", value.escape_ascii());
            assert_eq!((status.code(), there), (Code::Unavailable, kept), "{case}");
        }
        assert_eq!(read(MESSAGE, b"a%C3%A9").0.message(), "a\u{e9}");
    }
}
