//! CORS: which pages get leave to send, and what they may read.

use super::rig::{BOTH, Fake, JSON, Rig, post, send};

const SETTINGS: &str = "{protocols: {http: {endpoint: '127.0.0.1:0', auth: {bearer_token: t}, cors: {\
                        allowed_origins: ['https://*.example.com'], allowed_headers: [X-Tenant], \
                        exposed_headers: [X-Served], max_age: 600}}}}";

const GOOD: (&str, &str) = ("origin", "https://app.example.com");
const BAD: (&str, &str) = ("origin", "https://app.example.org");
const ASKS: (&str, &str) = ("access-control-request-method", "POST");

#[tokio::test]
async fn a_page_of_an_allowed_origin_gets_leave_without_a_token() {
    let rig = Rig::start(SETTINGS, &[Fake::taking_all()]).await;
    let wants = ("access-control-request-headers", "content-type,X-Tenant");
    let leave = send(rig.http(), "OPTIONS /v1/traces", &[GOOD, ASKS, wants], b"").await;
    assert_eq!(leave.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", GOOD.1),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", wants.1),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(leave.header(name), Some(value), "{leave:?}");
    }
    let headers = [GOOD, JSON, ("authorization", "Bearer t")];
    let answer = post(rig.http(), "/v1/traces", &headers, b"{}").await;
    assert_eq!((answer.status, answer.header("vary")), (200, Some("Origin")));
    assert_eq!(answer.header("access-control-allow-origin"), Some(GOOD.1));
    assert_eq!(answer.header("access-control-expose-headers"), Some("X-Served"));
    // A page has to be able to read why not, too.
    let answer = post(rig.http(), "/v1/traces", &[GOOD, JSON], b"{}").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some(GOOD.1));
}

#[tokio::test]
async fn other_pages_methods_and_headers_get_none() {
    let rig = Rig::start(SETTINGS, &[Fake::taking_all()]).await;
    let delete = ("access-control-request-method", "DELETE");
    let odd = ("access-control-request-headers", "x-other");
    for headers in [vec![BAD, ASKS], vec![GOOD, delete], vec![GOOD, ASKS, odd]] {
        let answer = send(rig.http(), "OPTIONS /v1/traces", &headers, b"").await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), None, "{headers:?}");
    }
    let headers = [BAD, JSON, ("authorization", "Bearer t")];
    let answer = post(rig.http(), "/v1/traces", &headers, b"{}").await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_settings_there_is_no_leave_to_ask_for() {
    let rig = Rig::start(BOTH, &[Fake::taking_all()]).await;
    let answer = send(rig.http(), "OPTIONS /v1/traces", &[GOOD, ASKS], b"").await;
    assert_eq!(answer.status, 405);
    let answer = post(rig.http(), "/v1/traces", &[GOOD, JSON], b"{}").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
}
