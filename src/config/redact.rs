//! A configuration for showing: what stands under keys that sound secret is taken out.
//!
//! By names and looks, so it hides too much rather than too little: whole mappings such as `headers` and
//! `env`, user names and passwords in URLs, and `--token=x` among arguments.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::settings::{Key, Node, REDACTED, Value, sounds_secret, without_credentials};

/// Keys of command lines.
const ARGUMENTS: [&str; 2] = ["args", "command"];

/// A copy without secrets.
pub fn redacted(node: &Node) -> Node {
    copy(node, false, "")
}

/// Copies what stands under the key `under`.
fn copy(node: &Node, secret: bool, under: &str) -> Node {
    let value = match &node.value {
        // The text of a variable: whether a text is wanted here is not known. As a list or a mapping it is
        // shown as what it was read as, and what looks like nothing as the text that it is.
        _ if node.original.is_some() && secret => {
            Value::Scalar { text: REDACTED.into(), quoted: true }
        }
        Value::Null => match &node.original {
            Some(text) => Value::Scalar { text: text.to_string(), quoted: true },
            None => Value::Null,
        },
        Value::Scalar { text, .. } if text.is_empty() => node.value.clone(),
        Value::Scalar { .. } if secret => Value::Scalar { text: REDACTED.into(), quoted: true },
        Value::Scalar { text, quoted } => {
            Value::Scalar { text: without_secrets(text), quoted: *quoted }
        }
        Value::List(items) if !secret && ARGUMENTS.contains(&under) => {
            Value::List(arguments(items, under == "command"))
        }
        Value::List(items) => Value::List(list(items, secret)),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, node)| {
                    // Those are names, and what holds a secret is refused there.
                    let captured = under == "capture" && key.name == "headers";
                    let secret = secret || sounds_secret(&key.name) && !captured;
                    let copied = copy(node, secret, &key.name);
                    (Key { mark: key.mark.clone(), name: key.name.clone() }, copied)
                })
                .collect(),
        ),
    };
    Node::new(node.mark.clone(), value)
}

/// Arguments of a command line: nobody knows what they mean, so only names of options are shown. `program`: the first
/// is what is run.
fn arguments(items: &[Node], program: bool) -> Vec<Node> {
    let shown = |(at, item): (usize, &Node)| {
        let text = match item.text().unwrap_or_default() {
            text if program && at == 0 => without_secrets(text),
            option if option.starts_with('-') => match option.split_once('=') {
                Some((name, _)) => format!("{name}={REDACTED}"),
                None if option.starts_with("--") => without_secrets(option),
                // The value may stand behind the letter: `-pSECRET`.
                None => match option.char_indices().nth(2) {
                    Some((at, _)) => format!("{}{REDACTED}", &option[..at]),
                    None => option.to_owned(),
                },
            },
            _ => REDACTED.to_owned(),
        };
        Node::new(item.mark.clone(), Value::Scalar { text, quoted: true })
    };
    items.iter().enumerate().map(shown).collect()
}

/// Items of a list; what follows an option that sounds secret (`--token`, `x`) is its value.
fn list(items: &[Node], secret: bool) -> Vec<Node> {
    let mut follows = false;
    items
        .iter()
        .map(|item| {
            let node = copy(item, secret || follows, "");
            let option = item.text().filter(|text| text.starts_with('-') && !text.contains('='));
            follows = option.is_some_and(|text| sounds_secret(text.trim_start_matches('-')));
            node
        })
        .collect()
}

/// Hides what a text says is secret: by the name before it, in a URL, or by its looks.
fn without_secrets(text: &str) -> String {
    without_credentials(&without_named_secrets(text)).into_owned()
}

fn without_named_secrets(text: &str) -> String {
    if let Some((name, _)) = text.split_once('=')
        && sounds_secret(name.trim_start_matches('-'))
    {
        return format!("{name}={REDACTED}");
    }
    let rest = text.find("://").map_or(0, |at| at + "://".len());
    let rest = if rest == 0 && text.starts_with("//") { 2 } else { rest };
    let authority = text[rest..].find(['/', '?', '#']).map_or(text.len(), |at| rest + at);
    match text[rest..authority].rfind('@') {
        // Without a scheme it is an address of mail unless a password or a port stands there.
        Some(at) if rest > 0 || text[..authority].contains(':') => {
            format!("{}{REDACTED}{}", &text[..rest], &text[rest + at..])
        }
        _ => text.to_owned(),
    }
}

/// A node as YAML or JSON writers take it: plain scalars that are numbers or booleans stay so.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a>(pub &'a Node);

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.value {
            Value::Null => serializer.serialize_unit(),
            Value::List(items) => serializer.collect_seq(items.iter().map(Tree)),
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, node) in entries {
                    map.serialize_entry(&key.name, &Tree(node))?;
                }
                map.end()
            }
            Value::Scalar { text, quoted: false } => plain(text, serializer),
            Value::Scalar { text, quoted: true } => serializer.serialize_str(text),
        }
    }
}

/// Only what reads back as the same text is written without quotes.
fn plain<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        "true" => return serializer.serialize_bool(true),
        "false" => return serializer.serialize_bool(false),
        _ => {}
    }
    if let Some(number) = text.parse::<i64>().ok().filter(|n| n.to_string() == text) {
        return serializer.serialize_i64(number);
    }
    if let Some(number) =
        text.parse::<f64>().ok().filter(|n| n.is_finite() && n.to_string() == text)
    {
        return serializer.serialize_f64(number);
    }
    serializer.serialize_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden_wherever_it_stands() {
        let token = ["gh", "p_", "A1b2C3d4E5f6", "G7h8I9j0K1l2", "M3n4O5p6Q7r8"].concat();
        assert_eq!(without_secrets(&format!("a {token}")), "a [REDACTED]");
        let url = "https://h.example/x?y=1&code=abcdefgh12";
        assert_eq!(without_secrets(url), "https://h.example/x?y=1&code=[REDACTED]");
        assert_eq!(without_secrets("https://u:p@h/x"), "https://[REDACTED]@h/x");
        for text in ["u:pw@h:1", "//u:pw@h:1", "TOKEN@h:1"] {
            let shown = without_secrets(text);
            assert!(shown.ends_with("[REDACTED]@h:1") && !shown.contains("pw"), "{shown}");
        }
        for same in
            ["localhost:4317", "./ops@example.com.jsonl", "ops@example.com", "1s", "tools/*"]
        {
            assert_eq!(without_secrets(same), same);
        }
    }

    #[test]
    fn of_arguments_names_of_options_are_shown() {
        let yaml =
            "{ mcp_stdio: { command: [npx, -y, a], args: [-y, server, --x=y, --key, z, -kabc] } }";
        let shown = serde_json::to_string(&Tree(&redacted(&crate::settings::testing::node(yaml))));
        let expected = r#"{"mcp_stdio":{"command":["npx","-y","[REDACTED]"],"args":["-y","[REDACTED]","--x=[REDACTED]","--key","[REDACTED]","-k[REDACTED]"]}}"#;
        assert_eq!(shown.unwrap(), expected);
    }

    #[test]
    fn names_of_captured_headers_are_shown_and_values_of_headers_never() {
        let yaml =
            "{ capture: { headers: [x-one] }, headers: { x: [a] }, other: { headers: [b] } }";
        let shown = serde_json::to_string(&Tree(&redacted(&crate::settings::testing::node(yaml))));
        let expected = r#"{"capture":{"headers":["x-one"]},"headers":{"x":["[REDACTED]"]},"other":{"headers":["[REDACTED]"]}}"#;
        assert_eq!(shown.unwrap(), expected);
    }
}
