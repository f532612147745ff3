//! Properties: the change that was meant and no other, on messages of every shape and on any bytes.

use proptest::prelude::*;

use super::*;
use crate::json::{Kind, Reader};

/// JSON with everything that a parser would lose: order, duplicates, the spelling of scalars and keys.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
    /// As it stands.
    Scalar(String),
}

impl Tree {
    fn parse(text: &[u8]) -> Tree {
        let mut reader = Reader::new(text, 128);
        let tree = Tree::read(text, &mut reader);
        reader.end().unwrap();
        tree
    }

    fn read(text: &[u8], reader: &mut Reader<'_>) -> Tree {
        match reader.peek().unwrap().0 {
            Kind::Object => {
                reader.object().unwrap();
                let mut members = Vec::new();
                while let Some(key) = reader.key().unwrap() {
                    let key = String::from_utf8(key.raw().to_vec()).unwrap();
                    members.push((key, Tree::read(text, reader)));
                }
                Tree::Object(members)
            }
            Kind::Array => {
                reader.array().unwrap();
                let mut items = Vec::new();
                while reader.item().unwrap() {
                    items.push(Tree::read(text, reader));
                }
                Tree::Array(items)
            }
            _ => {
                let value = reader.skip().unwrap();
                Tree::Scalar(String::from_utf8(text[value].to_vec()).unwrap())
            }
        }
    }

    fn write(&self, pads: &mut impl Iterator<Item = &'static str>, out: &mut String) {
        let mut pad = |out: &mut String| out.push_str(pads.next().unwrap());
        pad(out);
        match self {
            Tree::Scalar(text) => out.push_str(text),
            Tree::Object(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    out.push_str(pads.next().unwrap());
                    out.push_str(&format!("\"{key}\""));
                    out.push_str(pads.next().unwrap());
                    out.push(':');
                    value.write(pads, out);
                }
                out.push_str(pads.next().unwrap());
                out.push('}');
            }
            Tree::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    item.write(pads, out);
                }
                out.push_str(pads.next().unwrap());
                out.push(']');
            }
        }
        out.push_str(pads.next().unwrap());
    }

    fn members(&mut self) -> &mut Vec<(String, Tree)> {
        match self {
            Tree::Object(members) => members,
            other => panic!("{other:?} is no object"),
        }
    }

    fn get(&mut self, key: &str) -> Option<&mut Tree> {
        self.members().iter_mut().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    fn get_or_add(&mut self, key: &str) -> &mut Tree {
        if self.get(key).is_none() {
            self.members().push((key.to_owned(), Tree::Object(Vec::new())));
        }
        self.get(key).unwrap()
    }

    fn set(&mut self, key: &str, text: &str) {
        let value = Tree::parse(text.as_bytes());
        match self.get(key) {
            Some(old) => *old = value,
            None => self.members().push((key.to_owned(), value)),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Tree::Object(Vec::new())
    }
}

fn scalar() -> impl Strategy<Value = Tree> {
    let words = [
        "1",
        "-0",
        "1.0",
        "1e999",
        "123456789012345678901234567890",
        "true",
        "false",
        "null",
        "\"\"",
        r#""a\u0062\\""#,
        "\"\u{2028}é\"",
        r#""{\"_meta\":1}""#,
        r#""\ud83d""#,
    ];
    prop::sample::select(words.to_vec()).prop_map(|word| Tree::Scalar(word.to_owned()))
}

fn key() -> impl Strategy<Value = String> {
    let keys =
        ["a", "b", "a\\u0062", "_meta", "otel", "traces", "traceparent", "params", "id", "é"];
    prop::sample::select(keys.to_vec()).prop_map(str::to_owned)
}

fn any_tree() -> impl Strategy<Value = Tree> {
    scalar().prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec((key(), inner.clone()), 0..4).prop_map(Tree::Object),
            prop::collection::vec(inner, 0..4).prop_map(Tree::Array),
        ]
    })
}

fn text(words: &'static [&'static str]) -> impl Strategy<Value = Tree> {
    prop::sample::select(words).prop_map(|word| Tree::parse(word.as_bytes()))
}

/// An object with some of these members in any order, and others.
fn object(known: Vec<(&'static str, BoxedStrategy<Tree>)>) -> BoxedStrategy<Tree> {
    let known: Vec<_> = known
        .into_iter()
        .map(|(key, value)| prop::option::of(value.prop_map(move |v| (key.to_owned(), v))))
        .collect();
    let others = prop::collection::vec(("[c-z]{1,3}", any_tree()), 0..3);
    (known, others)
        .prop_map(|(known, others)| known.into_iter().flatten().chain(others).collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(Tree::Object)
        .boxed()
}

const PARENTS: &[&str] = &[
    "\"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01\"",
    "\"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00\"",
    "\"00-0AF7651916CD43DD8448EB211C80319C-00f067aa0ba902b7-01\"",
    "null",
    "{}",
];
const OTELS: &[&str] = &[
    "{}",
    r#"{"logs":1}"#,
    r#"{"traces":{"request":true,"detailed":true}}"#,
    r#"{"traces":{"request":false}}"#,
    r#"{"traces":{"request":"yes"}}"#,
    "[]",
];

fn request() -> impl Strategy<Value = Tree> {
    let meta = object(vec![
        ("traceparent", text(PARENTS).boxed()),
        ("tracestate", text(&["\"k=v\"", "1"]).boxed()),
        ("baggage", any_tree().boxed()),
        ("otel", text(OTELS).boxed()),
        ("io.modelcontextprotocol/protocolVersion", scalar().boxed()),
    ]);
    let params = object(vec![("_meta", meta), ("arguments", any_tree().boxed())]);
    let methods = text(&["\"tools/call\"", "\"resources/read\"", "\"prompts/get\""]).boxed();
    let id = text(&["1", "\"x\"", "12345678901234567890123", "1.50"]).boxed();
    object(vec![("params", params), ("jsonrpc", text(&["\"2.0\""]).boxed())])
        .prop_flat_map(move |tree| (Just(tree), methods.clone(), id.clone(), any::<bool>()))
        .prop_map(|(mut tree, method, id, first)| {
            let at = if first { 0 } else { tree.members().len() };
            tree.members().insert(at, ("method".to_owned(), method));
            tree.members().push(("id".to_owned(), id));
            tree
        })
}

fn answer() -> impl Strategy<Value = Tree> {
    let traces = || any_tree().boxed();
    let otel = || object(vec![("traces", traces())]);
    let meta = || prop_oneof![4 => object(vec![("otel", otel())]), 1 => any_tree()].boxed();
    let data = prop_oneof![object(vec![("_meta", meta())]), any_tree().boxed()].boxed();
    let error = object(vec![("_meta", meta()), ("data", data)]);
    object(vec![("result", object(vec![("_meta", meta())])), ("error", error), ("_meta", meta())])
        .prop_map(|mut tree| {
            tree.members().push(("id".to_owned(), Tree::Scalar("1".to_owned())));
            tree
        })
}

fn pads() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["", " ", "\r\n\t"]), 1..20)
}

fn written(tree: &Tree, pads: &[&'static str]) -> String {
    let mut out = String::new();
    tree.write(&mut pads.iter().copied().cycle(), &mut out);
    out
}

/// The change that is meant, made the slow way.
fn meant(tree: &Tree, wish: &PassbackRequester) -> Tree {
    let mut tree = tree.clone();
    let meta = tree.get_or_add("params").get_or_add("_meta");
    if wish.inject {
        let own = meta.get("traceparent").cloned();
        let own = match own {
            Some(Tree::Scalar(text)) => {
                TraceContext::parse(text.trim_matches('"').as_bytes(), None)
            }
            _ => None,
        };
        let trace = own.as_ref().map_or(HOP.trace, |own| own.parent.trace);
        let hex: String = trace.iter().map(|b| format!("{b:02x}")).collect();
        let flags = own.as_ref().map_or(1, |own| own.flags);
        let parent = format!("\"00-{hex}-cdcdcdcdcdcdcdcd-{flags:02x}\"");
        let stale =
            own.is_none().then(|| meta.members().iter().position(|(k, _)| k == "tracestate"));
        match stale.flatten() {
            Some(at) if meta.get("traceparent").is_none() => {
                meta.members()[at] = ("traceparent".to_owned(), Tree::Scalar(parent));
            }
            stale => {
                meta.set("traceparent", &parent);
                stale.map(|at| meta.members().remove(at));
            }
        }
    }
    if wish.ask && meta.get("otel").is_none_or(|otel| otel.get("traces").is_none()) {
        let traces = r#"{"request":true,"detailed":false}"#;
        meta.get_or_add("otel").set("traces", traces);
    }
    tree
}

/// Takes `traces` out of `_meta.otel` of an object, and what is empty then.
fn meant_without(parent: &mut Tree) {
    let Tree::Object(_) = parent else { return };
    let Some(meta @ Tree::Object(_)) = parent.get("_meta") else { return };
    let Some(otel @ Tree::Object(_)) = meta.get("otel") else { return };
    let before = otel.members().len();
    otel.members().retain(|(key, _)| key != "traces");
    if otel.members().len() == before {
        return;
    }
    if otel.is_empty() {
        meta.members().retain(|(key, _)| key != "otel");
    }
    if meta.is_empty() {
        parent.members().retain(|(key, _)| key != "_meta");
    }
}

proptest! {
    #[test]
    fn a_request_gets_the_change_that_is_meant_and_no_other(
        tree in request(), pads in pads(), inject in any::<bool>(), ask in any::<bool>(),
    ) {
        let text = written(&tree, &pads);
        let wish = PassbackRequester { inject, ask, carrier: None };
        if let Ok(after) = edited(&text, &wish) {
            prop_assert_eq!(Tree::parse(after.as_bytes()), if inject || ask { meant(&tree, &wish) } else { tree });
            prop_assert_eq!(edited(&after, &wish).unwrap(), after, "the second time changes nothing");
        }
    }

    #[test]
    fn an_answer_loses_the_spans_and_nothing_else(tree in answer(), pads in pads()) {
        let text = written(&tree, &pads);
        if let Ok(after) = stripped(&text) {
            let mut meant = tree;
            if let Some(error @ Tree::Object(_)) = meant.get("error") {
                error.get("data").into_iter().for_each(meant_without);
                meant_without(error);
            }
            meant.get("result").into_iter().for_each(meant_without);
            meant_without(&mut meant);
            prop_assert_eq!(Tree::parse(after.as_bytes()), meant);
            prop_assert_eq!(stripped(&after).unwrap(), after);
        }
    }

    #[test]
    fn any_bytes_are_edited_in_order_or_not_at_all(
        tree in prop_oneof![request(), answer()], pads in pads(),
        at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut text = written(&tree, &pads).into_bytes();
        let at = at.index(text.len());
        text.splice(at..(at + 1).min(text.len()), with);
        let valid = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).is_ok();
        let request = edit(&text, &BOTH).ok().flatten();
        let reply = Reply::read(&text).ok().flatten().and_then(|reply| reply.strip().ok());
        for edit in [request, reply].into_iter().flatten() {
            let mut from = 0;
            for splice in edit.splices() {
                prop_assert!(from <= splice.at.start && splice.at.start <= splice.at.end);
                from = splice.at.end;
            }
            prop_assert!(from <= text.len());
            let mut after = Vec::new();
            edit.apply(&text, &mut after);
            prop_assert!(!valid(&text) || valid(&after));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        edit(&text, &BOTH).ok();
        Reply::read(&text).ok().flatten().map(|reply| (reply.strip().ok(), reply.offers_spans()));
    }
}
