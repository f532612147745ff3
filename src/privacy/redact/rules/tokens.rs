//! Credentials that are known by how they begin: keys in PEM, JSON web tokens, tokens of services.

use std::ops::Range;

use memchr::memmem;

use super::text::{ALNUM, CAPITAL, Class, HEX, TOKEN68, Text, URL64, WORD, is};
use super::{Detector, Find, Where};
use crate::privacy::redact::settings::Preset::Credentials;

type Hooks = &'static [&'static str];
type Around = fn(&Text<'_>, Range<usize>) -> Option<Range<usize>>;

const fn token(name: &'static str, hooks: Hooks, class: Class, least: usize) -> Detector {
    let find = Find::Run { class, least, where_: Where::Anywhere };
    Detector { name, preset: Credentials, hooks, find }
}

/// One whose beginning is short, or made of letters alone as base64 is.
const fn apart(name: &'static str, hooks: Hooks, class: Class, least: usize) -> Detector {
    let find = Find::Run { class, least, where_: Where::Apart };
    Detector { name, preset: Credentials, hooks, find }
}

const fn around(name: &'static str, hooks: Hooks, find: Around) -> Detector {
    Detector { name, preset: Credentials, hooks, find: Find::Around(find) }
}

/// Lengths are those that the services issue, as lower bounds: what is longer goes as well.
pub(super) static DETECTORS: &[Detector] = &[
    around("private_key", &["-----BEGIN ", "---- BEGIN "], pem),
    around("private_key", &["-----END "], pem_tail),
    around("jwt", &["eyJ"], jwt),
    around("aws", &["A3T", "AKIA", "ASIA", "ABIA", "ACCA"], aws),
    token("github", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], WORD, 36),
    token("github", &["github_pat_"], WORD, 22),
    token(
        "gitlab",
        &[
            "glpat-", "gldt-", "glrt-", "glsoat-", "glcbt-", "glptt-", "glft-", "glimt-",
            "glagent-", "gloas-",
        ],
        URL64,
        20,
    ),
    token(
        "slack",
        &["xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-"],
        URL64,
        10,
    ),
    token("slack", &["xapp-"], URL64, 22),
    around("slack_webhook", &["hooks.slack.com"], slack_webhook),
    token(
        "stripe",
        &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk_prod_", "rk_prod_"],
        ALNUM,
        10,
    ),
    apart("stripe", &["whsec_"], TOKEN68, 24),
    apart("anthropic", &["sk-ant-"], URL64, 24),
    apart("openrouter", &["sk-or-"], URL64, 32),
    apart("langfuse", &["sk-lf-"], HEX, 32),
    token("perplexity", &["pplx-"], ALNUM, 40),
    around("openai", &["sk-"], openai),
    apart("google", &["AIza"], URL64, 35),
    token("google", &["GOCSPX-"], URL64, 28),
    apart("google", &["ya29."], TOKEN68, 20),
    apart("google", &["1//0"], URL64, 40),
    token("npm", &["npm_"], ALNUM, 36),
    token("pypi", &["pypi-AgE"], URL64, 50),
    token("huggingface", &["hf_", "api_org_"], ALNUM, 34),
    around("sendgrid", &["SG."], sendgrid),
    token("digitalocean", &["dop_v1_", "doo_v1_", "dor_v1_"], HEX, 64),
    token("grafana", &["glsa_"], WORD, 41),
    token("grafana", &["glc_"], TOKEN68, 32),
    apart("databricks", &["dapi"], HEX, 32),
    token("vault", &["hvs.", "hvb.", "hvr."], URL64, 24),
    token("shopify", &["shpat_", "shpca_", "shppa_", "shpss_"], HEX, 32),
    token("linear", &["lin_api_", "lin_oauth_"], ALNUM, 32),
    token("notion", &["ntn_"], ALNUM, 40),
    apart("notion", &["secret_"], ALNUM, 43),
    token("postman", &["PMAK-"], HEX, 59),
    apart("newrelic", &["NRAK-", "NRAA-", "NRII-", "NRJS-"], URL64, 19),
    token("docker", &["dckr_pat_", "dckr_oat_"], URL64, 27),
    token("atlassian", &["ATATT3x", "ATCTT3x"], TOKEN68, 40),
    around("telegram", &[":AA"], telegram),
    around("azure", &["AccountKey", "SharedAccessKey"], azure),
];

/// Finds a key in PEM (RFC 7468): to its end, or to that of the text where it was cut off.
fn pem(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let label = is_private(text, hook.end)?;
    if label == text.bytes.len() {
        return Some(hook.start..label);
    }
    let rest = &text.bytes[label..];
    let end = memmem::find(rest, b"-----END ").map(|at| label + at + b"-----END ".len());
    let end = end.and_then(|end| is_private(text, end)).unwrap_or(text.bytes.len());
    Some(hook.start..end)
}

/// Finds a key in PEM whose beginning was cut off: back to where its lines begin.
fn pem_tail(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    /// The longest key that is looked for: one of RSA with 16,384 bits has 13,000 bytes, more where escaped.
    const LONG: usize = 16 << 10;
    let end = is_private(text, hook.end)?;
    let before = &text.bytes[hook.start.saturating_sub(LONG)..hook.start];
    let body = |b: &u8| {
        is(*b, ALNUM) || b.is_ascii_whitespace() || matches!(b, b'+' | b'/' | b'=' | b'\\')
    };
    let from = hook.start - before.iter().rev().take_while(|b| body(b)).count();
    (hook.start - from >= 16).then_some(from..end)
}

/// Finds the end of the label that says that a key is private, or of the text if it ends within one.
fn is_private(text: &Text<'_>, from: usize) -> Option<usize> {
    /// The longest label that is read.
    const LONG: usize = 64;
    let label = text.get(from..from + LONG);
    let end = label
        .iter()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b' ')
        .count();
    let name = &label[..end];
    let cut = from + end == text.bytes.len();
    let private = memmem::find(name, b"PRIVATE KEY").is_some();
    if private && label[end..].starts_with(b"-----") {
        return Some(from + end + 5);
    }
    (private || cut && name.windows(4).any(|part| part == b"PRIV")).then_some(from + end)
}

/// Finds a JSON web token: signed, unsigned or cut off behind its second part (RFC 7515); or encrypted, of five
/// parts (RFC 7516).
fn jwt(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    const LEAST: usize = 8;
    if text.get(hook.clone()) != b"eyJ" {
        return None;
    }
    let mut end = text.run(URL64, hook.end);
    if end - hook.end < LEAST || text.at(end) != b'.' {
        return None;
    }
    let (payload, mut parts) = (end + 1, 1);
    let named = text.get(payload..payload + 3) == b"eyJ";
    while parts < 5 && text.at(end) == b'.' {
        end = text.run(URL64, end + 1);
        parts += 1;
        if parts == 2 && named && end - payload < LEAST + 3 {
            return None;
        }
    }
    (named || parts == 5).then_some(hook.start..end)
}

fn aws(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let known = text.get(hook.clone());
    let begin = hook.start + 4;
    let end = text.run(CAPITAL, begin);
    let id = text.get(begin..end.min(begin + 16));
    let exact = known.iter().all(|b| b.is_ascii_uppercase() || *b == b'3')
        && is(text.before(begin), CAPITAL);
    // Letters alone are a word where more letters stand beside them.
    let apart = || end == begin + 16 && text.begins(hook.start) && !is(text.at(end), ALNUM);
    let good = exact && id.len() == 16 && (id.iter().any(u8::is_ascii_digit) || apart());
    good.then_some(hook.start..end)
}

fn slack_webhook(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let mut at = hook.end;
    for part in
        [&["/", "%2F", "\\/"][..], &["services", "workflows", "triggers"], &["/", "%2F", "\\/"]]
    {
        at += part.iter().find(|part| text.has(at, part.as_bytes()))?.len();
    }
    let path = |b: &u8| is(*b, TOKEN68) || matches!(b, b'%' | b'\\');
    let end = at + text.bytes[at..].iter().take_while(|b| path(b)).count();
    (end - at >= 16).then_some(at..end)
}

fn openai(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    const LEAST: usize = 20;
    if text.get(hook.clone()) != b"sk-" || !text.begins(hook.start) {
        return None;
    }
    let kinds = ["proj-", "svcacct-", "admin-", "None-"];
    let kind =
        kinds.iter().find(|kind| text.get(hook.end..hook.end + kind.len()) == kind.as_bytes());
    let (from, class) = kind.map_or((hook.end, ALNUM), |kind| (hook.end + kind.len(), URL64));
    let end = text.run(class, from);
    let random = || text.get(from..end).iter().take(64).any(u8::is_ascii_digit);
    (end - from >= LEAST && random()).then_some(hook.start..end)
}

fn sendgrid(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let (id, exact) = (text.run(URL64, hook.end), text.get(hook.clone()) == b"SG.");
    if !exact || !text.begins(hook.start) || id - hook.end != 22 || text.at(id) != b'.' {
        return None;
    }
    let end = text.run(URL64, id + 1);
    (end - id > 43).then_some(hook.start..end)
}

fn telegram(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let from = hook.start
        - text.bytes[..hook.start].iter().rev().take(11).take_while(|b| b.is_ascii_digit()).count();
    let end = text.run(URL64, hook.start + 1);
    let exact = text.get(hook.clone()) == b":AA" && (8..=10).contains(&(hook.start - from));
    (exact && end - hook.end >= 32).then_some(from..end)
}

fn azure(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let mut at = hook.end;
    while text.at(at) == b' ' && at < hook.end + 4 {
        at += 1;
    }
    if text.at(at) != b'=' {
        return None;
    }
    at += 1;
    let end = text.run(TOKEN68, at);
    (end - at >= 40).then_some(at..end)
}
