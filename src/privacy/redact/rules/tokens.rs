//! Credentials that are known by how they begin: keys in PEM, JSON web tokens, tokens of services.

use super::{Detector, Match};
use crate::privacy::redact::settings::Preset::Credentials;

const fn token(
    name: &'static str,
    hooks: &'static [&'static str],
    pattern: &'static str,
) -> Detector {
    Detector { name, preset: Credentials, hooks, digits: 0, pattern, guard: |m| m.begins() }
}

const fn anywhere(
    name: &'static str,
    hooks: &'static [&'static str],
    pattern: &'static str,
) -> Detector {
    Detector { name, preset: Credentials, hooks, digits: 0, pattern, guard: |_| true }
}

/// Lengths are those that the services issue, as lower bounds where they grew before.
pub(super) static DETECTORS: &[Detector] = &[
    // To the end of the text where the end of the key is cut off.
    anywhere(
        "private_key",
        &["PRIVATE KEY"],
        r"(?s)-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    // Signed, unsigned or cut off behind the second part; then encrypted ones.
    anywhere(
        "jwt",
        &["eyJ"],
        r"eyJ[A-Za-z0-9_-]{8,}\.(?:eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?|[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)",
    ),
    token(
        "aws",
        &["A3T", "AKIA", "ASIA", "ABIA", "ACCA"],
        r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",
    ),
    token(
        "github",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        r"gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{22,251}",
    ),
    token(
        "gitlab",
        &[
            "glpat-", "gldt-", "glrt-", "glsoat-", "glcbt-", "glptt-", "glft-", "glimt-",
            "glagent-", "gloas-",
        ],
        r"gl(?:pat|dt|rt|soat|cbt|ptt|ft|imt|agent|oas)-[A-Za-z0-9_-]{20,}",
    ),
    token(
        "slack",
        &["xox", "xapp-"],
        r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{20,}",
    ),
    anywhere(
        "slack_webhook",
        &["hooks.slack.com"],
        r"hooks\.slack\.com(?:/|%2F)(?:services|workflows|triggers)(?:/|%2F)(?P<v>[A-Za-z0-9+/_%-]{16,})",
    ),
    token(
        "stripe",
        &["k_live_", "k_test_", "whsec_"],
        r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{24,}",
    ),
    token("anthropic", &["sk-ant-"], r"sk-ant-[a-z]{2,10}[0-9]{2}-[A-Za-z0-9_-]{20,}"),
    token("perplexity", &["pplx-"], r"pplx-[A-Za-z0-9]{40,}"),
    Detector {
        name: "openai",
        preset: Credentials,
        hooks: &["sk-"],
        digits: 1,
        pattern: r"sk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{20,})",
        guard: |m| m.begins() && has_digit(m),
    },
    token(
        "google",
        &["AIza", "ya29.", "GOCSPX-", "1//0"],
        r"AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{28}|1//0[A-Za-z0-9_-]{40,}",
    ),
    token("npm", &["npm_"], r"npm_[A-Za-z0-9]{36}"),
    token("pypi", &["pypi-"], r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    token("huggingface", &["hf_", "api_org_"], r"(?:hf|api_org)_[A-Za-z0-9]{34,}"),
    token("sendgrid", &["SG."], r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    token("digitalocean", &["_v1_"], r"do[opr]_v1_[a-f0-9]{64}"),
    token(
        "grafana",
        &["glc_", "glsa_"],
        r"glc_[A-Za-z0-9+/]{32,}={0,2}|glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}",
    ),
    token("databricks", &["dapi"], r"dapi[a-f0-9]{32}(?:-[0-9])?"),
    token("vault", &["hvs.", "hvb.", "hvr."], r"hv[sbr]\.[A-Za-z0-9_-]{24,}"),
    token(
        "shopify",
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}",
    ),
    token("linear", &["lin_api_", "lin_oauth_"], r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    token("notion", &["ntn_", "secret_"], r"ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}"),
    token("postman", &["PMAK-"], r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    token(
        "newrelic",
        &["NRAK-", "NRAA-", "NRII-", "NRJS-"],
        r"NR(?:AK|AA|II|JS)-[A-Za-z0-9_-]{19,32}",
    ),
    token("docker", &["dckr_"], r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,}"),
    token("atlassian", &["ATATT3x", "ATCTT3x"], r"AT[AC]TT3x[A-Za-z0-9_=-]{40,}"),
    Detector {
        name: "telegram",
        preset: Credentials,
        hooks: &[":AA"],
        digits: 8,
        pattern: r"[0-9]{8,10}:AA[A-Za-z0-9_-]{32,34}",
        guard: |m| m.begins(),
    },
    anywhere(
        "azure",
        &["AccountKey", "SharedAccessKey"],
        r"(?i:AccountKey|SharedAccessKey)\s{0,4}=\s{0,4}(?P<v>[A-Za-z0-9+/]{40,88}={0,2})",
    ),
];

fn has_digit(m: &Match<'_>) -> bool {
    m.value().bytes().any(|b| b.is_ascii_digit())
}
