//! What of a resource's URI may leave. A user, a password, a query and a fragment can be secrets; a tap
//! cannot tell, so they stay behind as long as no redaction stage looks at them.

use std::borrow::Cow;

/// The URI without userinfo, query and fragment (RFC 3986 section 3).
pub(super) fn shown(uri: &str) -> Cow<'_, str> {
    let path_end = uri.find(['?', '#']).unwrap_or(uri.len());
    let uri = &uri[..path_end];
    let Some(authority) = uri.find("://").map(|at| at + 3) else { return Cow::Borrowed(uri) };
    let authority_end = uri[authority..].find('/').map_or(uri.len(), |at| authority + at);
    match uri[authority..authority_end].rfind('@') {
        None => Cow::Borrowed(uri),
        Some(at) => Cow::Owned(format!("{}{}", &uri[..authority], &uri[authority + at + 1..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_stays_behind() {
        for (uri, left) in [
            ("file:///home/a@b/x.txt", "file:///home/a@b/x.txt"),
            ("demo://resource/dynamic/text/7", "demo://resource/dynamic/text/7"),
            ("https://u:p@host:1/x?token=t#frag", "https://host:1/x"),
            ("https://u:p@q@host", "https://host"),
            ("https://host/a?b", "https://host/a"),
            ("mailto:someone@host?subject=s", "mailto:someone@host"),
            ("://@", "://"),
            ("", ""),
        ] {
            assert_eq!(shown(uri), left, "{uri}");
        }
    }
}
