//! Reads what the surroundings say about the resource of this process's telemetry: `OTEL_RESOURCE_ATTRIBUTES`, the host,
//! and the process itself. Once for all components.
//!
//! Which service it is they do not say: a tap inherits the variables of its agent, which is another service.
//!
//! The form of the variable is that of the OpenTelemetry specification (Resource SDK, "Specifying resource information via
//! an environment variable"): `key=value,key=value`, percent-encoded; with one mistake in it none of it is used.

use std::sync::OnceLock;

use crate::telemetry::instance_id;
use crate::telemetry::names::{HOST_NAME, SERVICE_INSTANCE, SERVICE_NAME, SERVICE_VERSION};

/// The variable with attributes.
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// Attributes that tell which service it is.
const IDENTITY: [&str; 3] = [SERVICE_NAME, SERVICE_VERSION, SERVICE_INSTANCE];
/// The longest variable that is read, in bytes: every batch carries what it says.
const MAX_TEXT: usize = 32 << 10;
/// The most attributes.
const MAX_ATTRIBUTES: usize = 128;
/// The longest key or value, in bytes once decoded.
const MAX_PART: usize = 4 << 10;

/// Returns the attributes of this process, but for its name and version; no key stands twice. What is wrong with them is logged the first time.
pub fn surroundings() -> &'static [(String, String)] {
    static READ: OnceLock<Vec<(String, String)>> = OnceLock::new();
    READ.get_or_init(|| {
        let uname = rustix::system::uname();
        let host = uname.nodename().to_str().unwrap_or_default();
        let env = |name: &str| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned());
        let (read, wrong) = read(&env, host, instance_id());
        if let Some(why) = wrong {
            tracing::warn!("{ATTRIBUTES} is not used: {why}");
        }
        read
    })
}

/// Reads them, and says what is wrong with the variable. What it says wins over what is found out.
fn read(
    env: &dyn Fn(&str) -> Option<String>,
    host: &str,
    instance: &str,
) -> (Vec<(String, String)>, Option<&'static str>) {
    let mut all = vec![(SERVICE_INSTANCE.to_owned(), instance.to_owned())];
    // What a system without a name has.
    if !["", "(none)"].contains(&host) {
        all.push((HOST_NAME.to_owned(), host.to_owned()));
    }
    let text = env(ATTRIBUTES).unwrap_or_default();
    let (said, wrong) = match parse(&text) {
        Ok(said) => (said, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    for (key, value) in said.into_iter().filter(|(key, _)| !IDENTITY.contains(&&**key)) {
        all.retain(|(known, _)| *known != key);
        all.push((key, value));
    }
    (all, wrong)
}

fn parse(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    if text.len() > MAX_TEXT {
        return Err("it is longer than 32 KiB");
    }
    let mut all = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (key, value) = entry.split_once('=').ok_or("an entry of it is not `key=value`")?;
        let decode =
            |text: &str| decoded(text.trim()).ok_or("something in it is not percent-encoded UTF-8");
        let (key, value) = (decode(key)?, decode(value)?);
        if key.is_empty() {
            return Err("an entry of it has no key");
        }
        if key.len().max(value.len()) > MAX_PART {
            return Err("a key or value of it is longer than 4 KiB");
        }
        all.push((key, value));
        if all.len() > MAX_ATTRIBUTES {
            return Err("it has more than 128 attributes");
        }
    }
    Ok(all)
}

fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    out.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let hex = part.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        out.push(u8::from_str_radix(hex, 16).ok()?);
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(said: &str) -> (Vec<(String, String)>, bool) {
        let env = |name: &str| (name == ATTRIBUTES).then(|| said.to_owned());
        let (read, wrong) = read(&env, "box", "id");
        (read, wrong.is_some())
    }

    fn attributes(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    const FOUND: [(&str, &str); 2] = [("service.instance.id", "id"), ("host.name", "box")];

    #[test]
    fn host_and_instance_are_there_unless_the_variable_has_others() {
        assert_eq!(told(""), (attributes(&FOUND), false));
        let said = "deployment.environment.name=prod, host.name = a%2Cb%20c ,host.name=last,";
        let expected = [FOUND[0], ("deployment.environment.name", "prod"), ("host.name", "last")];
        assert_eq!(told(said), (attributes(&expected), false));
        let expected = [FOUND[0], FOUND[1], ("k=1", "a,b=\u{e4}=")];
        assert_eq!(told("k%3D1=a%2Cb%3D%C3%A4="), (attributes(&expected), false));
    }

    #[test]
    fn an_agents_name_is_not_the_taps() {
        let agents =
            "service.name=agent,service.version=7,service.instance.id=x,service.namespace=n";
        let expected = [FOUND[0], FOUND[1], ("service.namespace", "n")];
        assert_eq!(told(agents), (attributes(&expected), false));
    }

    #[test]
    fn with_one_mistake_nothing_of_the_variable_is_used() {
        let long = format!("a={}", "x".repeat(MAX_PART + 1));
        let many = "a=1,".repeat(MAX_ATTRIBUTES + 1);
        let huge = "a=1,".repeat(MAX_TEXT / 4 + 1);
        for bad in
            ["good=1,bad", "good=1,=x", "good=1,bad=%", "good=%zz", "good=%ff", &long, &many, &huge]
        {
            assert_eq!(told(bad), (attributes(&FOUND), true), "{bad:.40}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(pairs in proptest::collection::vec((".{1,20}", ".{0,20}"), 0..8)) {
            let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
            let entries: Vec<String> =
                pairs.iter().map(|(k, v)| format!("{}={}", encoded(k), encoded(v))).collect();
            prop_assert_eq!(parse(&entries.join(",")), Ok(pairs));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let keys = parse(&text).unwrap_or_default();
            prop_assert!(keys.iter().all(|(key, _)| !key.is_empty()));
        }
    }
}
