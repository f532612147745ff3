//! The deserializer over one node. What type a scalar has is decided by who asks: `0123` is a text for
//! a `String` and an error for a number; `yes` is never a boolean; a number in quotes is a text. What a reference
//! stood for is the text itself for a `String`, whatever else it could be read as.

use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::LeftOut;
use super::access::{Fields, Items, Variant};
use super::fault::{Cause, Fault, quote};
use crate::settings::{IS_EMPTY, Node, Value, quoted_list, sounds_secret};

/// A newtype of this name holds a secret: its text is not quoted, and it is never empty.
const SECRET: &str = "Secret";

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) node: &'a Node,
    pub(super) left_out: &'a LeftOut,
    pub(super) secret: bool,
}

pub(super) type Outcome<'a, T> = Result<T, Fault<'a>>;

impl<'a> Reader<'a> {
    pub(super) fn root(node: &'a Node, left_out: &'a LeftOut) -> Self {
        Reader { node, left_out, secret: false }
    }

    pub(super) fn to(self, node: &'a Node, key: &str) -> Self {
        Reader { node, secret: self.secret || sounds_secret(key), ..self }
    }

    /// The fault that this is not what was asked for.
    pub(super) fn unfit(self, accepted: &str) -> Fault<'a> {
        let found = match &self.node.value {
            Value::Null => return Fault::new(Cause::Empty, accepted),
            Value::Scalar { text, quoted: false } if text.is_empty() => {
                return Fault::new(Cause::Empty, accepted);
            }
            Value::Scalar { .. } if self.secret => "a text".into(),
            Value::Scalar { text, quoted: true } => format!("the text {}", quote(text)),
            Value::Scalar { text, quoted: false } => quote(text),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a mapping".into(),
        };
        Fault::new(Cause::Unfit, format!("found {found}; accepted: {accepted}"))
    }

    /// Places a fault of this node's own, and hides the text if it is a secret.
    pub(super) fn place(self, fault: Fault<'a>) -> Fault<'a> {
        match self.node.text() {
            Some(text) if self.secret => fault.without(text).without(&quote(text)),
            _ => fault,
        }
        .at(self.node)
    }

    fn plain(self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar { text, quoted: false } => Some(text),
            _ => None,
        }
    }

    fn text(self) -> Outcome<'a, &'a str> {
        self.node.text().ok_or_else(|| self.unfit("a text"))
    }

    fn boolean(self) -> Outcome<'a, bool> {
        self.plain().and_then(boolean).ok_or_else(|| self.unfit("`true` or `false`"))
    }

    fn integer<N: TryFrom<i128>>(self, least: i128, most: i128) -> Outcome<'a, N> {
        let Some(number) = self.plain().and_then(integer) else {
            let quoted = self.node.text().and_then(integer).is_some();
            let hint = if quoted { ", without quotes" } else { "" };
            return Err(self.unfit(&format!("a whole number{hint}")));
        };
        N::try_from(number)
            .map_err(|_| self.unfit(&format!("a whole number from {least} to {most}")))
    }

    fn float(self) -> Outcome<'a, f64> {
        self.plain().and_then(float).ok_or_else(|| self.unfit("a number"))
    }

    pub(super) fn mapping<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            Value::Scalar { text, quoted: false } if text.is_empty() => &[],
            _ => return Err(self.unfit("a mapping").at(self.node)),
        };
        let mut fields = Fields::new(self, entries);
        let result = visitor.visit_map(&mut fields);
        result.map_err(|fault| fields.place(fault))
    }

    pub(super) fn sequence<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        let Value::List(items) = &self.node.value else {
            let proposal = match self.plain() {
                Some(text) if !text.is_empty() && !self.secret => {
                    format!("a list, such as `[{text}]`")
                }
                _ => "a list".into(),
            };
            return Err(self.unfit(&proposal).at(self.node));
        };
        visitor.visit_seq(Items::new(self, items)).map_err(|fault| fault.at(self.node))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
            let (least, most) = (i128::from(<$type>::MIN), i128::from(<$type>::MAX));
            visitor.$visit(self.integer::<$type>(least, most)?)
        }
    )*};
}

impl<'a> Deserializer<'a> for Reader<'a> {
    type Error = Fault<'a>;

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
    }

    /// Untagged enums and flattened structs ask this way: here alone the text decides.
    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::List(_) => self.sequence(visitor),
            Value::Map(_) => self.mapping(visitor),
            Value::Scalar { text, quoted: true } => visitor.visit_borrowed_str(text),
            Value::Scalar { text, quoted: false } => {
                if let Some(value) = boolean(text) {
                    visitor.visit_bool(value)
                } else if let Some(value) = integer(text).and_then(|n| u64::try_from(n).ok()) {
                    visitor.visit_u64(value)
                } else if let Some(value) = integer(text).and_then(|n| i64::try_from(n).ok()) {
                    visitor.visit_i64(value)
                } else if let Some(value) = float(text) {
                    visitor.visit_f64(value)
                } else {
                    visitor.visit_borrowed_str(text)
                }
            }
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        visitor.visit_bool(self.boolean()?)
    }

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_char<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        self.deserialize_str(visitor)
    }

    /// An empty value is tried as the inner type first: `batch:` switches batching on with its
    /// defaults, `limit:` is `None`.
    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        if self.left_out.is_none(self.node) {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Outcome<'a, V::Value> {
        if name != SECRET {
            return visitor.visit_newtype_struct(self);
        }
        if matches!(self.node.value, Value::Null) && self.node.original.is_none() {
            return Err(Fault::new(Cause::Unfit, IS_EMPTY).at(self.node));
        }
        let reader = Reader { secret: true, ..self };
        visitor.visit_newtype_struct(reader).map_err(|fault| reader.place(fault))
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        self.sequence(visitor)
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Outcome<'a, V::Value> {
        self.sequence(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Outcome<'a, V::Value> {
        self.sequence(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        self.mapping(visitor)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Outcome<'a, V::Value> {
        self.mapping(visitor)
    }

    /// `name` for a variant without data, `{name: data}` for one with.
    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Outcome<'a, V::Value> {
        let variant = match (&self.node.value, &self.node.original) {
            (Value::Scalar { text, quoted }, _) if *quoted || !text.is_empty() => {
                Variant::new(text, self, None)
            }
            (Value::Map(entries), _) if entries.len() == 1 => {
                let (key, node) = &entries[0];
                if self.left_out.skips(node) {
                    return Err(Fault::new(Cause::Follows, "").at(self.node));
                }
                Variant::new(&key.name, self, Some(self.to(node, &key.name)))
            }
            (_, Some(text)) => Variant::new(text, self, None),
            _ => {
                let accepted = quoted_list(variants.iter().copied());
                return Err(self.unfit(&format!("one of {accepted}")));
            }
        };
        visitor.visit_enum(variant).map_err(|fault| self.place(fault))
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { <V: Visitor<'a>> bytes byte_buf unit unit_struct }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A decimal integer without a leading zero: `0755` is octal to some readers of YAML and decimal to
/// others.
fn integer(text: &str) -> Option<i128> {
    if has_leading_zero(text) || !text.ends_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A finite decimal number.
fn float(text: &str) -> Option<f64> {
    let known = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
    if has_leading_zero(text) || !text.bytes().all(known) {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    matches!(digits, [b'0', b'0'..=b'9', ..])
}
