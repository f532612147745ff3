//! Writing JSON strings, the one piece of output that every writer here shares.

/// Appends `s` as a quoted JSON string, escaped as RFC 8785 section 3.2.2.2 asks: only `"`, `\` and
/// U+0000..U+001F, with the short forms where JSON has them and lower-case hex elsewhere.
pub fn write_string(out: &mut Vec<u8>, s: &str) {
    out.push(b'"');
    let bytes = s.as_bytes();
    let mut plain = 0;
    for (i, b) in bytes.iter().enumerate() {
        if *b >= 0x20 && *b != b'"' && *b != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(b >> 4)]);
                out.push(HEX[usize::from(b & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

/// [`write_string`] for bytes that may not be UTF-8: what is malformed becomes U+FFFD.
pub fn write_string_lossy(out: &mut Vec<u8>, s: &[u8]) {
    write_string(out, &String::from_utf8_lossy(s));
}
