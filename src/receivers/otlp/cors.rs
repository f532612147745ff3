//! Which pages in browsers may send (the Fetch standard's CORS, with the Collector's settings). Pure.
//!
//! A page whose origin is not allowed gets no leave, so its browser sends nothing: telemetry always has a
//! content type that needs leave. Everybody else is not asked.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::serve::reply::Reply;
use crate::settings::Report;

/// Names what senders in browsers need and may always send.
const USUAL: [&str; 4] = ["accept", "content-type", "content-encoding", "x-requested-with"];

/// Pages whose browsers write more than this of an origin, or of the headers that they ask for, get no leave, in bytes: it
/// comes back in the answer.
const LONGEST: usize = 1024;

/// `cors` of `http`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// Lists origins of pages that may send; `*` stands for any characters.
    pub allowed_origins: Vec<String>,
    /// Lists headers that they may send besides the usual; `*` for any.
    pub allowed_headers: Vec<String>,
    /// Lists headers of responses that they may read.
    pub exposed_headers: Vec<String>,
    /// Bounds how long a browser may remember the leave it got, in seconds.
    pub max_age: u32,
}

impl Cors {
    /// Reports what is wrong with the settings.
    pub(super) fn check(&self, report: &mut Report<'_>) {
        if self.allowed_origins.is_empty() {
            report.warn("allowed_origins", "is empty: no page may send");
        }
        for (at, origin) in self.allowed_origins.iter().enumerate() {
            if origin != "*" && !origin.contains("://") {
                let message =
                    format!("`{origin}` is not an origin such as `https://app.example.com`");
                report.error(&format!("allowed_origins.{at}"), message);
            }
        }
        let lists = [
            ("allowed_headers", &self.allowed_headers),
            ("exposed_headers", &self.exposed_headers),
        ];
        for (field, names) in lists {
            for (at, name) in names.iter().enumerate() {
                if name != "*" && HeaderName::try_from(name).is_err() {
                    report
                        .error(&format!("{field}.{at}"), format!("`{name}` is not a header name"));
                }
            }
        }
    }
}

/// The rules of one receiver.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    origins: Vec<String>,
    any_origin: bool,
    headers: Vec<String>,
    any_header: bool,
    exposed: Option<HeaderValue>,
    max_age: u32,
}

impl Rules {
    /// The rules that the settings, which have been checked, come to.
    pub(super) fn new(cors: &Cors) -> Rules {
        let lower = |names: &[String]| -> Vec<String> {
            names.iter().map(|name| name.to_ascii_lowercase()).collect()
        };
        let any = |names: &[String]| names.iter().any(|name| name == "*");
        Rules {
            origins: lower(&cors.allowed_origins),
            any_origin: any(&cors.allowed_origins),
            headers: lower(&cors.allowed_headers),
            any_header: any(&cors.allowed_headers),
            exposed: HeaderValue::try_from(cors.exposed_headers.join(", "))
                .ok()
                .filter(|names| !names.is_empty()),
            max_age: cors.max_age,
        }
    }

    /// The answer to a browser that asks for leave; `None` if this is not such a question.
    pub(super) fn preflight(&self, head: &Parts) -> Option<Response<Reply>> {
        let asked = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if head.method != Method::OPTIONS || !head.headers.contains_key(ORIGIN) {
            return None;
        }
        let mut response = Response::new(Reply::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        let differs = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        headers.insert(VARY, HeaderValue::from_static(differs));
        let wanted = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        if asked.as_bytes() != b"POST" || !self.may_send(wanted) {
            return Some(response);
        }
        if self.allow(head.headers.get(ORIGIN), headers) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            if let Some(wanted) = wanted {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, copied(wanted));
            }
            if self.max_age > 0 {
                headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.into());
            }
        }
        Some(response)
    }

    /// Lets the page that sent the request read the response, if it may.
    pub(super) fn decorate(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if self.allow(origin, headers)
            && let Some(exposed) = &self.exposed
        {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
        let Some(origin) = origin else { return false };
        if self.any_origin {
            // Without credentials: a page that anybody wrote must not act in a user's name.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return true;
        }
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if text.len() > LONGEST || !self.origins.iter().any(|pattern| matches(pattern, &text)) {
            return false;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, copied(origin));
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        true
    }

    fn may_send(&self, wanted: Option<&HeaderValue>) -> bool {
        let Some(wanted) = wanted else { return true };
        let Ok(wanted) = wanted.to_str() else { return false };
        if wanted.len() > LONGEST {
            return false;
        }
        let mut names = wanted.split(',').map(|name| name.trim().to_ascii_lowercase());
        self.any_header
            || names.all(|name| {
                name.is_empty() || USUAL.contains(&name.as_str()) || self.headers.contains(&name)
            })
    }
}

/// Copies a value into memory of its own: as it came it keeps what it was read into.
fn copied(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

/// Says whether a text is what a pattern says, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_matched_whole_and_stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("https://a.example.com", "https://a.example.com", true),
            ("https://a.example.com", "https://a.example.com.evil.org", false),
            ("https://*.example.com", "https://b.a.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://evil.org/.example.com.org", false),
            ("http://localhost:*", "http://localhost:3000", true),
            ("http*://a*b", "https://a-b", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
