//! `forwarded_headers`: tells an upstream who called whom, and how, and whose word on it counts. Pure.
//!
//! Servers make links of these headers, choose tenants by them and believe addresses. The guard has checked the
//! name that a client calls the tap by; what the client writes here nobody has, so it is passed on only from the
//! addresses of `trusted_proxies`. Routes without `forwarded_headers` are not looked at: there all that
//! a client sends passes as it is.

use std::borrow::Cow;
use std::net::IpAddr;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Names of headers that say where a request is from, or by which name or for which place it came, beside
/// `X-Forwarded-*`: RFC 7239 and 9440, and what proxies and hosting services write. `docs/reference/http-routes.md`
/// has the same list.
const OTHERS: [&str; 38] = [
    "forwarded",
    "forwarded-for",
    "x-forwarded",
    "x-original-forwarded-for",
    // Addresses.
    "client-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "fastly-client-ip",
    "fly-client-ip",
    "x-appengine-remote-addr",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-nf-client-connection-ip",
    // Names, schemes and places.
    "x-host",
    "x-http-host-override",
    "x-original-host",
    "x-real-port",
    "x-scheme",
    "x-envoy-original-path",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    // Certificates.
    "client-cert",
    "client-cert-chain",
];

/// Says who sent a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) ip: IpAddr,
    pub(crate) tls: bool,
}

/// Knows those in front of the tap whose word is passed on.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<Network>);

/// An address, or all that begin like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    /// Says how many bits of it count.
    length: u32,
}

impl TrustedProxies {
    /// Makes it of settings that have been checked.
    pub(crate) fn new(networks: &[String]) -> Self {
        TrustedProxies(networks.iter().filter_map(|text| Network::parse(text).ok()).collect())
    }

    /// Says whether it has that address.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(ip))
    }
}

impl Network {
    /// Reads an address, or a network such as `10.0.0.0/8`; else says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Network, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let none =
            || format!("`{text}` is not an address or a network, such as `10.0.0.0/8` or `::1`");
        let address: IpAddr = address.parse().map_err(|_| none())?;
        if let IpAddr::V4(plain) = address.to_canonical()
            && address.is_ipv6()
        {
            return Err(format!("`{text}` holds an IPv4 address; write it as `{plain}`"));
        }
        let width = width(address);
        let length = match length {
            None => width,
            Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(none());
            }
            Some(digits) => {
                digits.parse().ok().filter(|length| *length <= width).ok_or_else(none)?
            }
        };
        let network = Network { address, length };
        let first = network.first();
        if first != address {
            return Err(format!("`{text}` has bits behind its length; write `{first}/{length}`"));
        }
        Ok(network)
    }

    /// Says whether it has all addresses of its kind.
    pub(crate) fn is_all(self) -> bool {
        self.length == 0
    }

    fn has(self, ip: IpAddr) -> bool {
        // IPv4 on a socket of IPv6.
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.address.is_ipv4()
            && Network { address: ip, length: self.length }.first() == self.address
    }

    /// Returns the address without what is behind the length.
    fn first(self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - self.length).unwrap_or(0);
                IpAddr::from((address.to_bits() & mask).to_be_bytes())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - self.length).unwrap_or(0);
                IpAddr::from((address.to_bits() & mask).to_be_bytes())
            }
        }
    }
}

/// Tells the upstream in `headers` who called whom, and how: by our own view, unless the client is trusted. Then
/// its `X-Forwarded-For` is added to, and the rest of what it says stays.
pub(crate) fn tell(
    headers: &mut HeaderMap,
    client: Client,
    host: Option<&HeaderValue>,
    trusted: bool,
) {
    let gone: Vec<_> = headers.keys().filter(|name| is_taken_out(name, trusted)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    let peer = client.ip.to_canonical().to_string();
    let before = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let mut chain: Vec<&str> = before.filter(|part| !part.trim().is_empty()).collect();
    chain.push(&peer);
    if let Ok(value) = HeaderValue::from_str(&chain.join(", ")) {
        headers.insert(X_FORWARDED_FOR, value);
    }
    if let Some(host) = host {
        headers.entry(X_FORWARDED_HOST).or_insert_with(|| host.clone());
    }
    let scheme = HeaderValue::from_static(if client.tls { "https" } else { "http" });
    headers.entry(X_FORWARDED_PROTO).or_insert(scheme);
}

/// Says whether a header is not passed on that tells where a request is from: what proxies write, from a client that
/// is none of those that are trusted.
pub(crate) fn is_taken_out(name: &HeaderName, trusted: bool) -> bool {
    says_whence(name.as_str()) && !(trusted && is_plain(name.as_str()))
}

/// Says whether a header says where a request is from, by its name, which is in lower case.
fn says_whence(name: &str) -> bool {
    let plain = if is_plain(name) { Cow::Borrowed(name) } else { name.replace('_', "-").into() };
    plain.starts_with("x-forwarded-") || OTHERS.contains(&&*plain)
}

/// Says whether a name is written as proxies write it. Behind CGI and what follows it `_` and `-` are the same, so a
/// client could say in the one what a proxy in front overwrites in the other.
fn is_plain(name: &str) -> bool {
    !name.contains('_')
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [(&str, &str); 9] = [
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
        ("x_forwarded_host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("x-real-ip", "1.2.3.4"),
        ("x-original-host", "evil.example"),
        ("x-other", "1"),
    ];

    fn told(ip: &str, trusted: bool) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in SENT {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("x-forwarded-host", HeaderValue::from_static("evil.example"));
        let client = Client { ip: ip.parse().unwrap(), tls: false };
        tell(&mut headers, client, Some(&HeaderValue::from_static("tap:1")), trusted);
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let mut told: Vec<_> = headers.iter().map(text).collect();
        told.sort();
        told
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_a_client_says_of_where_it_is_from_is_overwritten() {
        let ours = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", "tap:1"),
            ("x-forwarded-proto", "http"),
            ("x-other", "1"),
        ];
        assert_eq!(told("127.0.0.1", false), pairs(&ours));
        assert_eq!(told("::ffff:127.0.0.1", false), pairs(&ours));
    }

    #[test]
    fn what_a_trusted_proxy_says_goes_on() {
        assert_eq!(
            told("127.0.0.1", true),
            pairs(&[
                ("forwarded", "host=evil.example"),
                ("x-forwarded-for", "1.2.3.4, 127.0.0.1"),
                ("x-forwarded-host", "evil.example"),
                ("x-forwarded-host", "evil.example"),
                ("x-forwarded-port", "443"),
                ("x-forwarded-proto", "https"),
                ("x-original-host", "evil.example"),
                ("x-other", "1"),
                ("x-real-ip", "1.2.3.4"),
            ])
        );
    }

    /// Compares what the page says is taken out with what is.
    #[test]
    fn the_page_on_routes_has_all_names() {
        let page = include_str!("../../docs/reference/http-routes.md").to_lowercase();
        let list = page.split_once("their like are").unwrap().1.split_once("\n\n").unwrap().0;
        let told: Vec<_> = list.split('`').skip(1).step_by(2).collect();
        let mut ours = OTHERS.to_vec();
        ours.retain(|name| *name != "forwarded" && *name != "x-real-ip");
        assert_eq!(told, ours);
        for passes in ["x-http-method-override", "x-request-id", "via", "x-forwardedness"] {
            assert!(!says_whence(passes), "{passes}");
        }
        assert!(says_whence("x-forwarded-prefix") && says_whence("cf_connecting_ip"));
    }

    #[test]
    fn who_did_not_say_by_which_name_it_came_has_none() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_HOST, HeaderValue::from_static("evil.example"));
        let client = Client { ip: [127, 0, 0, 1].into(), tls: true };
        tell(&mut headers, client, None, false);
        assert!(!headers.contains_key(X_FORWARDED_HOST));
        assert_eq!(headers[X_FORWARDED_PROTO], "https");
    }

    #[test]
    fn networks_have_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::a00:1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.6"),
            ("192.168.1.6/31", "192.168.1.7", "192.168.1.8"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("::1", "::1", "::2"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
        ] {
            let trusted = TrustedProxies::new(&[network.to_owned()]);
            assert!(trusted.has(inside.parse().unwrap()), "{network} {inside}");
            assert!(!trusted.has(outside.parse().unwrap()), "{network} {outside}");
        }
        assert!(!TrustedProxies::default().has([127, 0, 0, 1].into()));
    }

    #[test]
    fn what_is_no_network_is_said() {
        for (text, why) in [
            ("", "is not an address"),
            ("localhost", "is not an address"),
            ("10.0.0.0/33", "is not an address"),
            ("10.0.0.0/", "is not an address"),
            ("10.0.0.0/+8", "is not an address"),
            ("10.0.0.0/8/8", "is not an address"),
            ("[::1]", "is not an address"),
            ("10.0.0.1/8", "write `10.0.0.0/8`"),
            ("2001:db8::1/32", "write `2001:db8::/32`"),
            ("::ffff:10.0.0.1", "write it as `10.0.0.1`"),
        ] {
            let said = Network::parse(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
        assert!(Network::parse("0.0.0.0/0").unwrap().is_all());
    }
}
