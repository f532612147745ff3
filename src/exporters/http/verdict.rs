//! What a refusal, or no answer, means for the batch: OTLP, "OTLP/HTTP Response" and "OTLP/HTTP
//! Throttling". Zipkin has no table of its own, so the same holds there.

use std::error::Error;
use std::time::{Duration, SystemTime};

use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{StatusCode, Uri};

use super::Answer;
use crate::exporters::peer::words;
use crate::pipeline::ExportError;
use crate::settings::shown_url;

/// Says what it means that the backend at `url` answered and did not take the request; `said` is what it has to say
/// about that.
pub(in crate::exporters) fn refused(
    answer: &Answer,
    url: &Uri,
    said: &str,
    now: SystemTime,
) -> ExportError {
    let status = answer.status;
    let mut why = status.to_string();
    // Most often the path is wrong, and nobody has written it as a whole.
    if is_about_the_url(status) {
        why = format!("{why} at {}", shown_url(url));
    }
    if status.is_redirection() {
        why.push_str(": redirects are not followed; write the URL that it leads to");
    } else if !said.is_empty() {
        why = format!("{why}: {}", words(said));
    }
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => ExportError::TooLarge { why },
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            ExportError::Retry { after: retry_after(&answer.headers, now), why }
        }
        _ => ExportError::Reject { why },
    }
}

fn is_about_the_url(status: StatusCode) -> bool {
    let lost = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::GONE];
    lost.contains(&status) || status.is_redirection()
}

/// A body that is for people: plain text, and not a page of HTML.
pub(in crate::exporters) fn text_of(answer: &Answer) -> &str {
    let text = std::str::from_utf8(&answer.body).unwrap_or_default().trim();
    if text.starts_with('<') { "" } else { text }
}

/// `Retry-After`, as seconds or as a date. How much of that is waited is delivery's to say.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A number too large for us is a long time all the same.
        Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => Duration::MAX,
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait)
}

/// There was no answer. That may change.
pub(super) fn unreachable(error: &(dyn Error + 'static), secure: bool) -> ExportError {
    let mut why = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // What hyper-util calls every failure says nothing.
        if !why.contains(&text) && !text.starts_with("client error") {
            why.push_str(if why.is_empty() { "" } else { ": " });
            why.push_str(&text);
        }
        next = error.source();
    }
    let hint = hint(&why, secure);
    ExportError::Retry { after: None, why: words(&why) + hint }
}

/// Gives what to change when both sides disagree about TLS: the errors themselves never say.
fn hint(why: &str, secure: bool) -> &'static str {
    if secure && (why.contains("InvalidContentType") || why.contains("handshake eof")) {
        "; if the server does not speak TLS, write the endpoint with http://"
    } else if secure && why.contains("UnknownIssuer") {
        "; add the server's authority as `tls.ca_file`"
    } else if !secure && why.contains("invalid HTTP version parsed") {
        "; if the server wants TLS, write the endpoint with https://"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers, body: Bytes::new(), unread: None }
    }

    fn refused(answer: &Answer, said: &str, now: SystemTime) -> ExportError {
        super::refused(answer, &Uri::from_static("http://h:4318/v1/traces?key=x"), said, now)
    }

    /// 1994-11-06 08:49:37 UTC, the date of RFC 9110's examples.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    #[test]
    fn four_statuses_may_be_tried_again_one_in_parts_and_no_other() {
        for status in (300..600).filter(|status| StatusCode::from_u16(*status).is_ok()) {
            let error = refused(&answer(status, None), "", now());
            match status {
                429 | 502 | 503 | 504 => {
                    assert!(matches!(error, ExportError::Retry { after: None, .. }), "{status}");
                }
                413 => assert!(matches!(error, ExportError::TooLarge { .. })),
                _ => assert!(matches!(error, ExportError::Reject { .. }), "{status}"),
            }
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (text, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("86400", Some(86400)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:49:00 GMT", Some(3_155_759_963)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let ExportError::Retry { after, .. } = refused(&answer(503, Some(text)), "", now())
            else {
                panic!("503 may be tried again");
            };
            assert_eq!(after.map(|after| after.as_secs()), seconds, "{text}");
        }
    }

    #[test]
    fn the_backends_words_are_tame_and_short() {
        let said = format!("no\nway {}", "x".repeat(4096));
        let why = refused(&answer(400, None), &said, now()).to_string();
        assert_eq!(why, "400 Bad Request: no way…");
        let why = refused(&answer(302, None), "Found", now()).to_string();
        assert!(why.contains("redirects are not followed"), "{why}");
    }

    #[test]
    fn what_may_be_the_urls_fault_names_it() {
        for (status, why) in [
            (404, "404 Not Found at http://h:4318/v1/traces: no"),
            (405, "405 Method Not Allowed at http://h:4318/v1/traces: no"),
            (308, "308 Permanent Redirect at http://h:4318/v1/traces: redirects are not followed"),
            (400, "400 Bad Request: no"),
            (503, "503 Service Unavailable: no"),
        ] {
            let said = refused(&answer(status, None), "no", now()).to_string();
            assert!(said.starts_with(why), "{said}");
        }
    }

    #[test]
    fn a_page_for_browsers_is_not_quoted() {
        let mut page = answer(502, None);
        page.body = Bytes::from_static(b"\n<html>bad gateway</html>");
        assert_eq!(text_of(&page), "");
        page.body = Bytes::from_static(b" 404 page not found\n");
        assert_eq!(text_of(&page), "404 page not found");
    }
}
