//! Finds IPv6 addresses without their brackets: nobody can tell where such an address ends and its port begins
//! (RFC 3986 section 3.2.2). Resolves nothing, and mends nothing.

use std::net::Ipv6Addr;

/// Says what to write, where the host of an endpoint, URL or origin is an IPv6 address without brackets; `None` for
/// every other. `example` is shown as it is.
pub fn bare_ipv6(endpoint: &str, example: &str) -> Option<String> {
    let rest = endpoint.find("://").map_or(endpoint, |at| &endpoint[at + 3..]);
    let rest = rest.trim_start_matches('/');
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest[..end].rsplit('@').next()?;
    let bare = is_ipv6(authority)
        || authority.rsplit_once(':').is_some_and(|(address, _)| is_ipv6(address));
    bare.then(|| format!("has an IPv6 address without brackets; write it like `{example}`"))
}

/// Says whether a text is an IPv6 address, with its zone or without (RFC 4007 section 11).
pub fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "-"));
    !zone.is_empty() && address.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_without_brackets_is_told_to_have_some() {
        for (endpoint, bare) in [
            ("::1", true),
            ("::1:4317", true),
            ("::", true),
            (":::4317", true),
            ("2001:db8:0:0:0:0:0:1:4317", true),
            ("fe80::1%eth0:4317", true),
            ("http://::1:4318/v1", true),
            ("http://me@::1:4318", true),
            ("dns:///::1:4317", true),
            ("[::1]:4317", false),
            ("[::1", false),
            ("http://[::1]:4318", false),
            (":4317", false),
            ("127.0.0.1:4317", false),
            ("a:b:c", false),
            ("http://host/::1", false),
            ("", false),
        ] {
            let said = bare_ipv6(endpoint, "[::1]:1");
            assert_eq!(said.is_some(), bare, "{endpoint}: {said:?}");
            assert!(said.is_none_or(|said| said.contains("brackets; write it like `[::1]:1`")));
        }
    }
}
