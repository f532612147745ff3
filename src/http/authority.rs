//! Hosts and origins as they stand in heads and settings: read, and compared. Pure.

/// Names a host and a port, as they stand in `Host`, an authority or an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// Lower case, an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

/// Names a web origin (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    pub(crate) authority: Authority,
}

/// Borrows an authority as it is written, in upper and lower case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

impl<'a> Written<'a> {
    /// Reads what [`Authority::parse`] does, without a copy.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let v6 = text.starts_with('[');
        if host.is_empty() || !(v6 || host.bytes().all(word)) {
            return None;
        }
        let port = match port {
            None => None,
            Some(port) => Some(port.parse().ok()?),
        };
        Some(Written { host: host.trim_end_matches('.'), port })
    }
}

impl Authority {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
    pub(crate) fn parse(text: &str) -> Option<Authority> {
        let Written { host, port } = Written::parse(text)?;
        Some(Authority { host: host.to_ascii_lowercase(), port })
    }

    /// Borrows it, to compare it with what is written.
    pub(crate) fn written(&self) -> Written<'_> {
        Written { host: &self.host, port: self.port }
    }
}

impl Origin {
    /// In lower case.
    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Reads `scheme://host[:port]`.
    pub(crate) fn parse(text: &str) -> Option<Origin> {
        let (scheme, authority) = text.split_once("://")?;
        let letters = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if scheme.is_empty() || !letters {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let Authority { host, port } = Authority::parse(authority)?;
        let port = port.or(match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        });
        Some(Origin { scheme, authority: Authority { host, port } })
    }
}
