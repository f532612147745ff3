//! Credentials in URLs: the password before the host, and parameters whose names speak of one, in query and
//! fragment.

use super::{Detector, Match};
use crate::privacy::redact::names::is_secret_name;
use crate::privacy::redact::settings::Preset::Credentials;

pub(super) static DETECTORS: &[Detector] = &[
    // User and password: the password; also where the slashes are escaped for JSON or percent-encoded.
    Detector {
        name: "url_userinfo",
        preset: Credentials,
        hooks: &["://", ":\\/\\/", "%3A%2F%2F"],
        digits: 0,
        pattern: r#"(?i:://|:\\/\\/|%3A%2F%2F)[^\s/?#@:"'<>\\%]{0,256}(?::|%3A)(?P<v>[^\s/?#"'<>]{1,1024})(?:@|%40)"#,
        guard: |_| true,
    },
    // A long user and no password is a token.
    Detector {
        name: "url_userinfo",
        preset: Credentials,
        hooks: &["://", ":\\/\\/", "%3A%2F%2F"],
        digits: 0,
        pattern: r#"(?i:://|:\\/\\/|%3A%2F%2F)(?P<v>[^\s/?#@:"'<>\\%]{20,1024})(?:@|%40)"#,
        guard: |_| true,
    },
    Detector {
        name: "url_query",
        preset: Credentials,
        hooks: &["="],
        digits: 0,
        pattern: r##"(?i:[?&#;]|%3F|%26|%23|\\u0026)(?P<n>[A-Za-z0-9_.\[\]-]{1,64})=(?P<v>[^&#\s"'<>\\;,)]{1,4096})"##,
        guard: is_secret_parameter,
    },
];

/// Parameters that are credentials in URLs and common words elsewhere. Sorted.
const PARAMETERS: [&str; 11] = [
    "access_token",
    "assertion",
    "code",
    "code_verifier",
    "jwt",
    "password",
    "sig",
    "signature",
    "token",
    "x-amz-security-token",
    "x-amz-signature",
];

fn is_secret_parameter(m: &Match<'_>) -> bool {
    let name = m.name.to_ascii_lowercase();
    PARAMETERS.binary_search(&&*name).is_ok() || is_secret_name(m.name)
}
