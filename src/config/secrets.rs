//! The secrets of a configuration, which are searched for in all that leaves.
//!
//! Only what certainly is one: what `print-config` hides besides (all of `headers` and `env`) may be a word that
//! spans are full of.

use crate::privacy::redact::{is_secret_name, parts_of_credential, password_of_url};
use crate::settings::{Node, Secret, Value};

/// Lists them, each with what is secret in it by itself.
pub(super) fn secrets(root: &Node) -> Vec<Secret> {
    let mut all = Vec::new();
    gather(root, false, &mut all);
    all.into_iter().map(Secret::from).collect()
}

fn gather(node: &Node, secret: bool, all: &mut Vec<String>) {
    if let (Some(text), true) = (&node.original, secret) {
        all.extend(parts_of_credential(text));
    }
    match &node.value {
        Value::Null => {}
        Value::Map(entries) => {
            entries.iter().for_each(|(key, node)| gather(node, secret || names(&key.name), all));
        }
        Value::List(items) => {
            // What follows an option (`--token`, `x`) is its value.
            let mut follows = false;
            for item in items {
                gather(item, secret || follows, all);
                let option =
                    item.text().filter(|text| text.starts_with('-') && !text.contains('='));
                follows = option.is_some_and(|text| names(text.trim_start_matches('-')));
            }
        }
        Value::Scalar { text, .. } if secret => all.extend(parts_of_credential(text)),
        Value::Scalar { text, .. } => all.extend(within(text)),
    }
}

/// Says whether what stands under a key of a configuration is a secret. A digest's key is called just `key`.
fn names(key: &str) -> bool {
    key == "key" || is_secret_name(key)
}

/// Finds the value of an option (`--token=x`), or the password of a URL.
fn within(text: &str) -> Option<String> {
    if let Some((name, value)) = text.split_once('=')
        && names(name.trim_start_matches('-'))
    {
        return Some(value.to_owned());
    }
    password_of_url(text).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;

    #[test]
    fn only_what_certainly_is_a_secret_is_one() {
        let yaml = "
            receivers:
              mcp_stdio: { command: x, args: [--token, abcdefgh1, --port, '80', --api-key=abcdefgh2, -v],
                           env: { LOG_DIR: /var/log/app, DIFY_KEY: abcdefgh3 } }
            processors: { digest: { key: abcdefgh4 } }
            exporters:
              zipkin: { endpoint: 'https://user:abcdefgh5@h/x', headers: { x-tenant: platform, Authorization: Bearer abcdefgh6 } }
              file: { path: a.jsonl, key_file: /run/key }";
        let found = secrets(&testing::node(yaml));
        let found: Vec<&str> = found.iter().map(Secret::expose).collect();
        let expected = [
            "abcdefgh1",
            "abcdefgh2",
            "abcdefgh3",
            "abcdefgh4",
            "abcdefgh5",
            "Bearer abcdefgh6",
            "abcdefgh6",
        ];
        assert_eq!(found, expected);
    }
}
