//! Finds credentials by their characters alone: how they begin, how they are mixed, or which word stands
//! before them. It knows no formats and checks no sums.

/// Beginnings that only credentials have.
const PREFIXES: [&str; 16] = [
    "AIza",
    "AKIA",
    "ASIA",
    "SG.",
    "eyJ",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "npm_",
    "pypi-",
    "rk_live_",
    "sk-",
    "sk_live_",
    "xox",
];

/// Words that stand before a credential.
const ANNOUNCED: [&str; 8] =
    ["bearer ", "basic ", "-----begin", "password", "passwd", "api_key=", "apikey=", "token="];

/// Tells whether anything in `text` looks like a credential. Reads it once, without allocating.
pub fn has_credential(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST {
        return false;
    }
    let mut start = 0;
    // Once over it, because every text of every span comes by here.
    for (at, byte) in bytes.iter().enumerate() {
        match KINDS[usize::from(*byte)] {
            Kind::Other => {}
            Kind::First if is_announcement(&bytes[at..]) => return true,
            Kind::First => {}
            Kind::Between => {
                if is_credential(&bytes[start..at]) {
                    return true;
                }
                start = at + 1;
            }
        }
    }
    is_credential(&bytes[start..])
}

/// The shortest text that can hold a credential, in bytes.
const SHORTEST: usize = 16;

/// Says what a byte can begin or end.
#[derive(Clone, Copy)]
enum Kind {
    /// Ends a piece that may be one.
    Between,
    /// Begins a word that announces one, perhaps.
    First,
    Other,
}

static KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Other; 256];
    let (between, mut i) = (b" =:,;\"'/?&@", 0);
    while i < between.len() {
        kinds[between[i] as usize] = Kind::Between;
        i += 1;
    }
    i = 0;
    while i < ANNOUNCED.len() {
        let first = ANNOUNCED[i].as_bytes()[0];
        kinds[first as usize] = Kind::First;
        kinds[first.to_ascii_uppercase() as usize] = Kind::First;
        i += 1;
    }
    kinds
};

/// Tells whether a text begins with a word that stands before credentials.
fn is_announcement(text: &[u8]) -> bool {
    ANNOUNCED.iter().map(|word| word.as_bytes()).any(|word| {
        // The second letter settles it nearly always.
        text.len() >= word.len()
            && text[1].eq_ignore_ascii_case(&word[1])
            && text[..word.len()].eq_ignore_ascii_case(word)
    })
}

/// Tells whether a piece between two marks is a credential, by its beginning or its mixture.
fn is_credential(piece: &[u8]) -> bool {
    /// Of each kind of character, so many: random texts of base64 or base62 have them.
    const MIXED: usize = 3;
    /// Names are shorter, or have no digits.
    const LONG: usize = 20;
    if piece.len() < SHORTEST {
        return false;
    }
    if PREFIXES.iter().any(|prefix| piece.starts_with(prefix.as_bytes())) {
        return true;
    }
    let count = |kind: fn(&u8) -> bool| piece.iter().filter(|byte| kind(byte)).count();
    piece.len() >= LONG
        && count(u8::is_ascii_digit) >= MIXED
        && count(u8::is_ascii_uppercase) >= MIXED
        && count(u8::is_ascii_lowercase) >= MIXED
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_before_credentials_are_found_anywhere_in_any_case() {
        for word in ANNOUNCED {
            for text in [format!("{word}x"), format!("of {}", word.to_uppercase()), word.to_owned()]
            {
                let text = format!("{text}                ");
                assert!(has_credential(&text), "{text}");
            }
            let cut = format!("{}xxxxxxxxxxxxxxxx", &word[..word.len() - 1]);
            assert!(!has_credential(&cut), "{cut}");
        }
        assert!(!has_credential("a table of parts, bears and tokens"));
    }

    #[test]
    fn credentials_are_found_between_any_marks() {
        let random = ["Ab3", "dE6fG", "hI9jKlMnOp0qRs"].concat();
        for mark in " =:,;\"'/?&@".chars() {
            for text in [
                format!("{mark}{random}"),
                format!("x{mark}{random}{mark}y"),
                format!("somewhere{mark}{mark}{random}"),
            ] {
                assert!(has_credential(&text), "{text}");
            }
            let halves = format!("{}{mark}{}", &random[..11], &random[11..]);
            assert!(!has_credential(&halves), "{halves}");
        }
        assert!(has_credential(&format!("\u{e4}\u{f6}\u{fc} {random} \u{df}")));
    }

    /// The rule as it is said: a piece between marks that is a credential, or a word before one.
    fn is_said_to_have_one(text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let mut pieces = text.split([' ', '=', ':', ',', ';', '"', '\'', '/', '?', '&', '@']);
        text.len() >= SHORTEST
            && (pieces.any(|piece| is_credential(piece.as_bytes()))
                || ANNOUNCED.iter().any(|word| lower.contains(word)))
    }

    proptest! {
        #[test]
        fn one_look_finds_what_the_rule_says(
            text in r#"([a-cA-C1-3=: ,;"'/?&@äß-]|bearer |BASIC |sk-|AKIA|Password|token=|eyJ){0,24}"#,
        ) {
            prop_assert_eq!(has_credential(&text), is_said_to_have_one(&text));
        }
    }
}
