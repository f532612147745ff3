//! Writing JSON strings, the one piece of output that every writer here shares.

/// Appends `s` as a quoted JSON string, escaped as RFC 8785 section 3.2.2.2 asks: only `"`, `\` and
/// U+0000..U+001F, with the short forms where JSON has them and lower-case hex elsewhere.
pub fn write_string(out: &mut Vec<u8>, s: &str) {
    write_utf8(out, s.as_bytes());
}

/// [`write_string`] for bytes that were found to be UTF-8 before; others pass as they are.
pub fn write_utf8(out: &mut Vec<u8>, s: &[u8]) {
    out.push(b'"');
    let mut rest = s;
    while let Some(i) = first_special(rest) {
        out.extend_from_slice(&rest[..i]);
        write_char(out, char::from(rest[i]));
        rest = &rest[i + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends what needs no escape.
pub(super) fn write_plain(out: &mut Vec<u8>, s: &str) {
    out.extend_from_slice(s.as_bytes());
}

/// Appends one character of a string.
pub(super) fn write_char(out: &mut Vec<u8>, c: char) {
    let short = match c {
        '"' | '\\' => c as u8,
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        '\0'..='\u{1f}' => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (c as usize >> 4, c as usize & 15);
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
        }
        _ => return write_plain(out, c.encode_utf8(&mut [0; 4])),
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Says where the first byte stands that must be escaped.
fn first_special(s: &[u8]) -> Option<usize> {
    /// Looked at as a whole, without an early exit, which is what makes it run at memory speed.
    const BLOCK: usize = 32;
    let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    let clean = |block: &&[u8]| !block.iter().fold(false, |seen, b| seen | special(b));
    let from = s.chunks_exact(BLOCK).take_while(clean).count() * BLOCK;
    let rest = &s[from..];
    // Most strings are shorter than a block.
    if rest.len() < BLOCK && is_clean(rest) {
        return None;
    }
    rest.iter().position(special).map(|i| from + i)
}

/// Says whether none of a few bytes must be escaped: word by word, the last of which may overlap.
fn is_clean(s: &[u8]) -> bool {
    let clean = |word: &[u8; 8]| !any_special(u64::from_ne_bytes(*word));
    if let Some(last) = s.last_chunk() {
        return s.as_chunks().0.iter().all(clean) && clean(last);
    }
    if let (Some([a, b, c, d]), Some([e, f, g, h])) = (s.first_chunk(), s.last_chunk()) {
        return clean(&[*a, *b, *c, *d, *e, *f, *g, *h]);
    }
    let [a, b, c] = [0, 1, 2].map(|i| s.get(i).copied().unwrap_or(b' '));
    clean(&[a, b, c, b' ', b' ', b' ', b' ', b' '])
}

/// Says whether one of eight bytes must be escaped: the high bit of a byte is set by what is below 0x20, or equal to
/// one of the two characters, and clear in the byte itself.
fn any_special(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |c: u8| below(word ^ (ONES * u64::from(c)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7) != 0
}

/// [`write_string`] for bytes that may not be UTF-8: what is malformed becomes U+FFFD.
pub fn write_string_lossy(out: &mut Vec<u8>, s: &[u8]) {
    write_string(out, &String::from_utf8_lossy(s));
}
