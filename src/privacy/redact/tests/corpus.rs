//! A corpus of secrets and of their look-alikes, made by a generator of fixed seed: nothing that looks like a secret
//! stands in the source.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

struct Maker(SmallRng);

impl Maker {
    fn of(&mut self, alphabet: &str, n: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..n).map(|_| char::from(alphabet[self.0.random_range(0..alphabet.len())])).collect()
    }

    fn alnum(&mut self, n: usize) -> String {
        // With one of each kind, as nearly all random ones have.
        let rest = self.of(&[UPPER, LOWER, DIGITS].concat(), n - 3);
        [self.of(DIGITS, 1), self.of(UPPER, 1), self.of(LOWER, 1), rest].concat()
    }

    fn url(&mut self, n: usize) -> String {
        let alphabet = [UPPER, LOWER, DIGITS, "-_"].concat();
        [self.alnum(3), self.of(&alphabet, n - 4), self.alnum(3)[..1].to_owned()].concat()
    }

    fn hex(&mut self, n: usize) -> String {
        self.of("0123456789abcdef", n)
    }

    fn jwt_part(&mut self, n: usize) -> String {
        ["ey", "J", &self.url(n)].concat()
    }

    /// A number of that beginning and length with the right sum of Luhn.
    fn card(&mut self, begin: &str, n: usize) -> String {
        let mut digits = [begin, &self.of(DIGITS, n - begin.len() - 1)].concat();
        let sum: u32 = digits
            .bytes()
            .rev()
            .enumerate()
            .map(|(i, b)| {
                let digit = u32::from(b - b'0');
                if i % 2 == 1 {
                    digit
                } else if digit > 4 {
                    digit * 2 - 9
                } else {
                    digit * 2
                }
            })
            .sum();
        digits.push_str(&((10 - sum % 10) % 10).to_string());
        digits
    }

    /// An account number of Germany or the Netherlands.
    fn iban(&mut self, dutch: bool) -> String {
        let (country, inner) = if dutch {
            ("NL", [self.of(UPPER, 4), self.of(DIGITS, 10)].concat())
        } else {
            ("DE", self.of(DIGITS, 18))
        };
        let rest = format!("{inner}{country}00").bytes().fold(0u32, |rest, b| match b {
            b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
            b => (rest * 100 + u32::from(b - b'A') + 10) % 97,
        });
        format!("{country}{:02}{inner}", 98 - rest)
    }

    /// Secrets of each rule, `(rule, name above it, text, the secret itself)`.
    fn secrets(&mut self) -> Vec<(&'static str, &'static str, String, String)> {
        let mut all = Vec::new();
        for (rule, secret) in self.tokens() {
            for text in [
                secret.clone(),
                format!("cannot reach upstream with {secret}: 401"),
                format!("('{secret}')"),
                format!(r#"{{"content":[{{"type":"text","text":"got {secret}"}}]}}"#),
            ] {
                all.push((rule, "note", text, secret.clone()));
            }
        }
        self.assigned(&mut all);
        self.in_urls(&mut all);
        self.personal(&mut all);
        all
    }

    fn tokens(&mut self) -> Vec<(&'static str, String)> {
        let pem = |kind: &str, body: &str, end: &str| {
            [&"-".repeat(5), "BEGIN ", kind, "PRIVATE ", "KEY", &"-".repeat(5), "\n", body, end]
                .concat()
        };
        let end = ["\n", &"-".repeat(5), "END RSA PRIVATE ", "KEY", &"-".repeat(5)].concat();
        let body = self.alnum(64);
        vec![
            ("private_key", pem("RSA ", &body, &end)),
            ("private_key", ["---- BEGIN SSH2 ENCRYPTED PRIVATE", " KEY ----\n", &body].concat()),
            (
                "jwt",
                [self.jwt_part(30), ".".into(), self.jwt_part(60), ".".into(), self.url(43)]
                    .concat(),
            ),
            ("jwt", [self.jwt_part(20), ".".into(), self.jwt_part(40), ".".into()].concat()),
            ("aws", ["AK", "IA", &self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)].concat()),
            ("github", ["gh", "p_", &self.alnum(36)].concat()),
            ("github", ["gh", "s_", &self.alnum(36)].concat()),
            ("github", ["github", "_pat_", &self.alnum(22), "_", &self.alnum(59)].concat()),
            ("gitlab", ["gl", "pat-", &self.url(20)].concat()),
            ("slack", ["xo", "xb-", &self.of(DIGITS, 12), "-", &self.alnum(24)].concat()),
            ("stripe", ["sk", "_live_", &self.alnum(24)].concat()),
            ("openai", ["sk", "-proj-", &self.url(48)].concat()),
            ("openai", ["sk", "-", &self.alnum(48)].concat()),
            ("anthropic", ["sk", "-ant-api03-", &self.url(93)].concat()),
            ("google", ["AI", "za", &self.url(35)].concat()),
            ("google", ["GOC", "SPX-", &self.url(28)].concat()),
            ("npm", ["np", "m_", &self.alnum(36)].concat()),
            ("pypi", ["py", "pi-AgE", &self.url(120)].concat()),
            ("huggingface", ["h", "f_", &self.alnum(34)].concat()),
            ("sendgrid", ["S", "G.", &self.url(22), ".", &self.url(43)].concat()),
            ("digitalocean", ["do", "p_v1_", &self.hex(64)].concat()),
            ("grafana", ["gl", "sa_", &self.alnum(32), "_", &self.hex(8)].concat()),
            ("databricks", ["da", "pi", &self.hex(32)].concat()),
            ("vault", ["hv", "s.", &self.url(90)].concat()),
            ("shopify", ["shp", "at_", &self.hex(32)].concat()),
            ("linear", ["lin", "_api_", &self.alnum(40)].concat()),
            ("notion", ["nt", "n_", &self.alnum(46)].concat()),
            ("perplexity", ["pp", "lx-", &self.alnum(48)].concat()),
            ("postman", ["PM", "AK-", &self.hex(24), "-", &self.hex(34)].concat()),
            ("newrelic", ["NR", "AK-", &self.of(&[UPPER, DIGITS].concat(), 27)].concat()),
            ("telegram", [&self.of("123456789", 10), ":A", "A", &self.url(33)].concat()),
            ("openrouter", ["sk", "-or-v1-", &self.hex(64)].concat()),
            ("langfuse", ["sk", "-lf-", &[8, 4, 4, 4, 12].map(|n| self.hex(n)).join("-")].concat()),
            ("docker", ["dckr", "_pat_", &self.url(27)].concat()),
        ]
    }

    fn assigned(&mut self, all: &mut Vec<(&'static str, &'static str, String, String)>) {
        let words = |of: &[&str]| of.concat();
        for _ in 0..3 {
            let secret = self.alnum(24);
            for text in [
                format!("Authorization: Bearer {secret}"),
                format!("authorization=basic {secret}=="),
                format!("sent `Token {secret}` upstream"),
                format!("Bearer%20{secret}"),
            ] {
                all.push(("auth_scheme", "note", text, secret.clone()));
            }
            for text in [
                words(&["pass", "word=", &secret]),
                words(&["PG", "PASS", "WORD=", &secret, " psql"]),
                words(&["GITHUB_TOK", "EN: ", &secret]),
                words(&["api_k", "ey = \"", &secret, "\""]),
                words(&["mysql --pass", "word ", &secret, " -h x"]),
                words(&["clientSec", "ret: '", &secret, "'"]),
                words(&["{\\\"tok", "en\\\": \\\"", &secret, "\\\"} is bad"]),
                words(&["X-Api-K", "ey: ", &secret]),
                words(&["Cookie: a=", &secret, "; b=2"]),
                words(&["curl -u app:", &secret, " https://h/x: 401"]),
                words(&["curl --user 'app:", &secret, "' failed"]),
                words(&["user[pass", "word]=", &secret, "&x=1"]),
                words(&["tok", "en%253D", &secret]),
            ] {
                all.push(("assignment", "note", text, secret.clone()));
            }
            for name in [
                "password",
                "http.request.header.authorization",
                "apiKey",
                "DIFY_KEY",
                "user.secret",
            ] {
                all.push(("key_name", name, secret.clone(), secret.clone()));
            }
        }
        // Plain words are passwords too, where something says so.
        all.push((
            "assignment",
            "note",
            words(&["pass", "word: ", "swordfish"]),
            "swordfish".into(),
        ));
    }

    fn in_urls(&mut self, all: &mut Vec<(&'static str, &'static str, String, String)>) {
        for _ in 0..4 {
            let secret = self.alnum(24);
            for text in [
                format!("postgres://app:{secret}@db.internal:5432/x"),
                format!("cloning https://{secret}@git.example/x.git"),
                format!("https%3A%2F%2Fu%3A{secret}%40h"),
            ] {
                all.push(("url_userinfo", "note", text, secret.clone()));
            }
            for text in [
                format!("https://h/p?token={secret}.def%2Fghi&x=1"),
                format!("https://h/cb#access_token={secret}&state=1"),
                format!("/p?token[]={secret}&x=1"),
                format!("/p?user%5Btoken%5D={secret}&x=1"),
                format!("/p?x=1&keys[a][token]={secret}"),
                format!("/cb?state=1&code={secret}"),
                format!("GET https://s3/x?X-Amz-Signature={secret} failed"),
            ] {
                all.push(("url_query", "url.full", text, secret.clone()));
            }
            let hook = ["hooks.", "slack.com/services/T", &secret, "/B", &self.alnum(8)].concat();
            all.push(("slack_webhook", "note", format!("https://{hook}"), secret.clone()));
            let key = [&self.alnum(86), "=="].concat();
            all.push(("azure", "note", ["Account", "Key=", &key].concat(), key));
        }
    }

    fn personal(&mut self, all: &mut Vec<(&'static str, &'static str, String, String)>) {
        for _ in 0..6 {
            let (local, domain) = (self.of(LOWER, 7), self.of(LOWER, 9));
            for text in [
                format!("{local}@{domain}.com"),
                format!("mail {local}+x@{domain}.co.uk now"),
                format!("{local}@x.com"),
            ] {
                all.push(("email", "note", text, local.clone()));
            }
            all.push((
                "email",
                "url.full",
                format!("https://h/u/{local}%40{domain}.org"),
                local.clone(),
            ));
            for (begin, n) in [("4", 16), ("51", 16), ("37", 15), ("6011", 16), ("2221", 16)] {
                let card = self.card(begin, n);
                all.push(("card", "note", format!("paid with {card}."), card.clone()));
                if n == 16 {
                    let groups = [&card[..4], &card[4..8], &card[8..12], &card[12..]];
                    all.push(("card", "note", groups.join(" "), groups[1].into()));
                    all.push(("card", "note", groups.join("-"), groups[1].into()));
                }
            }
            for dutch in [true, false] {
                let iban = self.iban(dutch);
                all.push(("iban", "note", format!("to {iban}"), iban.clone()));
                let spaced: Vec<&str> =
                    iban.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap()).collect();
                all.push(("iban", "note", spaced.join(" "), iban[4..8].into()));
            }
        }
    }

    /// Texts that look like secrets to careless rules, `(name above it, text)`.
    fn look_alikes(&mut self) -> Vec<(&'static str, String)> {
        let mut all: Vec<(&'static str, String)> =
            PROSE.iter().map(|text| ("note", (*text).into())).collect();
        all.extend(NAMED.iter().map(|(name, text)| (*name, (*text).into())));
        for _ in 0..12 {
            let uuid = [8, 4, 4, 4, 12].map(|n| self.hex(n)).join("-");
            let numeric = [8, 4, 4, 4, 12].map(|n| self.of(DIGITS, n)).join("-");
            let (trace, span, git) = (self.hex(32), self.hex(16), self.hex(40));
            let digest = ["sha256:", &self.hex(64)].concat();
            let millis = ["17", &self.of(DIGITS, 11)].concat();
            let nanos = ["17", &self.of(DIGITS, 17)].concat();
            let ports = (0..5).map(|_| self.of("123456789", 4)).collect::<Vec<_>>();
            let (major, minor) = (self.of("12", 1), self.of(DIGITS, 2));
            for text in [
                uuid.clone(),
                numeric,
                trace.clone(),
                span.clone(),
                git.clone(),
                digest.clone(),
                millis.clone(),
                nanos,
                format!("00-{trace}-{span}-01"),
                format!("img@{digest}"),
                format!("pkg@{major}.{minor}.0-beta"),
                format!("@scope/pkg@{major}.{minor}"),
                format!("Foo@{}", &span[..4]),
                format!("commit {git} at {millis} ms"),
                format!("ports {}", ports.join(" ")),
                format!("score 0.{} of {}", self.of(DIGITS, 16), self.of("123456789", 3)),
                format!("order {}", ["1", &self.of(DIGITS, 11)].concat()),
                format!("https://h.example/a/{uuid}?page=2&sort=asc"),
                format!("etag W/\"{}\"", self.hex(20)),
                format!("hmac-sha256:0a1b2c3d:{}", self.hex(64)),
                format!("task-{}", self.of(LOWER, 24)),
            ] {
                all.push(("note", text));
            }
        }
        all
    }
}

/// Sentences with the words of secrets and none in them.
const PROSE: [&str; 63] = [
    "docker run -u 1000:100000 image",
    "docker run --user node:nogroup image",
    "git log -u https://h.example/x",
    "sort -u a:b",
    "usage: curl -u USER:PASSWORD URL",
    "Bearer token is missing",
    "Bearer authentication required",
    "WWW-Authenticate: Bearer realm=\"example\", error=\"invalid_token\"",
    "Bearer error=\"insufficient_scope\"",
    "password must be at least 12 characters",
    "password: required",
    "the token: expired",
    "token=<your-token>",
    "export TOKEN=${TOKEN}",
    "Missing parameter: api_key",
    "Unexpected error",
    "unexpected token in JSON at position 17",
    "Basic knowledge of tokens",
    "basic authentication is off",
    "invalid_token",
    "secret: undefined",
    "api_key: string",
    "the key: value pairs of the map",
    "key=value",
    "author: jane",
    "authority: example.com:443",
    "keyword: searching",
    "monkey: banana-tree",
    "git@github.com:owner/repo.git",
    "ssh://user@host.example/path",
    "https://user@host.example/path",
    "root@localhost",
    "root@localhost:~#",
    "logo@2x.png",
    "sk-",
    "eyJhbGciOiJIUzI1NiJ9",
    "ghp_short",
    "AKIA",
    "xoxb-",
    "glpat-",
    "AKIAshort",
    "-----BEGIN CERTIFICATE----- MIIB -----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY----- MIIB -----END PUBLIC KEY-----",
    "risk-assessment-of-the-whole-quarter",
    "disk-usage-report-for-september-and-october",
    "4111 1111 1111 1112",
    "1234 5678 9012 3456",
    "4111111111111111111111111111111111111111",
    "a4111111111111111",
    "GB00 0000 0000 0000 0000 00",
    "DE1234",
    "tools/call search_web",
    "resources/read file:///srv/data/report.txt",
    "2026-12-01T10:20:30.123456789Z",
    "127.0.0.1:8080",
    "192.168.1.20",
    "C:\\Users\\jane\\file.txt",
    "/home/jane/file.txt",
    "session closed: token bucket is empty",
    "page 3 of 7, next page token follows",
    "signature: foo(bar: int) -> str",
    "https://h.example/p?page_token=abcdef&limit=10",
    "otp: invalid",
];

/// Names with the words of secrets, above values that are none.
const NAMED: [(&str, &str); 22] = [
    ("gen_ai.usage.input_tokens", "42"),
    ("token_count", "123456"),
    ("token_type", "Bearer"),
    ("token_endpoint", "https://h.example/oauth/token"),
    ("next_page_token", "CAUQAA"),
    ("progressToken", "17"),
    ("continuation_token", "abc123def456"),
    ("tokenizer", "cl100k_base"),
    ("author", "jane"),
    ("authority", "example.com"),
    ("order.id", "123456789012"),
    ("primary_key", "user_id"),
    ("cache.key", "users:17"),
    ("public_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"),
    ("key_id", "2026-a"),
    ("gen_ai.tool.name", "get_token"),
    ("mcp.method.name", "tools/call"),
    ("mcpcol.session.id", "0123456789abcdef0123456789abcdef"),
    ("server.address", "auth.example.com"),
    ("auth.method", "oauth2"),
    ("password_policy", "at least 12 characters"),
    ("error.type", "invalid_token"),
];

/// Makes a token of each service.
pub(super) fn tokens(seed: u64) -> Vec<(&'static str, String)> {
    Maker(SmallRng::seed_from_u64(seed)).tokens()
}

#[test]
fn secrets_are_found_and_their_look_alikes_left_alone() {
    let redactor = usual();
    let mut make = Maker(SmallRng::seed_from_u64(18));
    let (secrets, look_alikes) = (make.secrets(), make.look_alikes());
    assert!(secrets.len() >= 300, "{} secrets", secrets.len());
    assert!(look_alikes.len() >= 300, "{} look-alikes", look_alikes.len());
    let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut missed = Vec::new();
    for (rule, name, text, secret) in &secrets {
        let masked = redacted_under(redactor, name, text);
        let hidden = !masked.contains(secret) && masked.contains("[REDACTED:");
        let (all, good) = found.entry(rule).or_default();
        *all += 1;
        *good += usize::from(hidden);
        if !hidden {
            missed.push(format!("{rule}: {text}\n   -> {masked}"));
        }
        assert_eq!(redacted_under(redactor, name, &masked), masked, "a second pass");
    }
    assert!(missed.is_empty(), "missed {}:\n{}", missed.len(), missed.join("\n"));
    let named = |rule: &&str| redactor.rules().any(|known| known == *rule);
    assert!(found.keys().all(named));
    // Of rules without a value of their own.
    let others = ["blocked_key", "blocked_value", "known_value", "atlassian"];
    let untested: Vec<_> =
        redactor.rules().filter(|r| !found.contains_key(r) && !others.contains(r)).collect();
    assert!(untested.is_empty(), "no secret of {untested:?}");
    let alarms: Vec<String> = look_alikes
        .iter()
        .map(|(name, text)| (text, redacted_under(redactor, name, text)))
        .filter(|(text, masked)| *text != masked)
        .map(|(text, masked)| format!("{text}\n   -> {masked}"))
        .collect();
    assert!(alarms.is_empty(), "{} false alarms:\n{}", alarms.len(), alarms.join("\n"));
}
