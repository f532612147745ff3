//! Tells texts that may be shown as they are from prose, documents and credentials.

use memchr::memchr2;

use super::NameClass;
use super::credentials::has_credential;

/// The longest text under an unknown name that passes for a label, in bytes, and the most spaces in it.
const LABEL: (usize, usize) = (128, 3);

/// Tells whether a text may be shown that stands under a name of this class.
///
/// It is one line, no JSON document and has nothing that looks like a credential. Under an unknown name
/// it must be as short as a label; under names of content and of secrets no text passes.
pub fn is_harmless(text: &str, class: NameClass) -> bool {
    let lines = || memchr2(b'\n', b'\r', text.as_bytes()).is_some();
    let calm = || !lines() && !is_document(text) && !has_credential(text);
    match class {
        NameClass::Content | NameClass::Secret => false,
        NameClass::Conventional => calm(),
        NameClass::Unknown => {
            let spaces = text.bytes().filter(|b| *b == b' ').count();
            text.len() <= LABEL.0 && spaces <= LABEL.1 && calm()
        }
    }
}

/// Tells whether a text is a JSON document and not a label.
fn is_document(text: &str) -> bool {
    matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[')) && text.contains('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_pass_and_prose_documents_and_credentials_do_not() {
        let passes = |of: &str| is_harmless(of, NameClass::Unknown);
        for label in ["fc:Oslo", "api_key", "allow", "", "two or three words", "postgresql"] {
            assert!(passes(label), "{label}");
        }
        let random = ["Ab3", "dE6fG", "hI9jKlMnOp0qRs"].concat();
        for other in [
            "words upon words upon words that are what somebody said".to_owned(),
            "x".repeat(200),
            "two\nlines".to_owned(),
            r#"{"city":"Oslo"}"#.to_owned(),
            ["sk", "-", "0123456789abcdef"].concat(),
            ["gh", "p_", "0123456789abcdef"].concat(),
            ["Authorization: Bea", "rer x"].concat(),
            random,
        ] {
            assert!(!passes(&other), "{other}");
            assert_eq!(
                is_harmless(&other, NameClass::Conventional),
                other.starts_with(['w', 'x']),
                "{other}"
            );
        }
        let uuid = "5de7e271-0a1e-e32f-4788-dae9fd06328f";
        assert!(passes(uuid), "ids are no credentials");
    }
}
