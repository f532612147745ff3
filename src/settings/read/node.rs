//! The deserializer over one node. What type a scalar has is decided by who asks: `0123` is a text for
//! a `String` and an error for a number; `yes` is never a boolean; a number in quotes is a text.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::LeftOut;
use super::fault::{Cause, Fault, quote};
use crate::settings::{Key, Node, Value, quoted_list, sounds_secret};

/// A newtype of this name holds a secret: its text is not quoted, and it is never empty.
const SECRET: &str = "Secret";

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    node: &'a Node,
    left_out: &'a LeftOut,
    secret: bool,
}

type Outcome<'a, T> = Result<T, Fault<'a>>;

impl<'a> Reader<'a> {
    pub(super) fn root(node: &'a Node, left_out: &'a LeftOut) -> Self {
        Reader { node, left_out, secret: false }
    }

    fn to(self, node: &'a Node, key: &str) -> Self {
        Reader { node, secret: self.secret || sounds_secret(key), ..self }
    }

    /// The fault that this is not what was asked for.
    fn unfit(self, accepted: &str) -> Fault<'a> {
        let found = match &self.node.value {
            Value::Null => return Fault::new(Cause::Empty, accepted),
            Value::Scalar { text, .. } if text.is_empty() => {
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
    fn place(self, fault: Fault<'a>) -> Fault<'a> {
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

    fn mapping<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            Value::Scalar { text, quoted: false } if text.is_empty() => &[],
            _ => return Err(self.unfit("a mapping").at(self.node)),
        };
        let mut fields = Fields { reader: self, rest: entries.iter(), current: None };
        let result = visitor.visit_map(&mut fields);
        result.map_err(|fault| fields.place(fault))
    }

    fn sequence<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
        let Value::List(items) = &self.node.value else {
            let proposal = match self.plain() {
                Some(text) if !text.is_empty() && !self.secret => {
                    format!("a list, such as `[{text}]`")
                }
                _ => "a list".into(),
            };
            return Err(self.unfit(&proposal).at(self.node));
        };
        let items = Items { reader: self, rest: items.iter().enumerate() };
        visitor.visit_seq(items).map_err(|fault| fault.at(self.node))
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

    /// An empty value is tried as the inner type: `batch:` switches batching on with its defaults,
    /// `limit:` counts as not written.
    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Outcome<'a, V::Value> {
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
        if matches!(self.node.value, Value::Null) {
            let message = "is empty; write a value or leave the key out";
            return Err(Fault::new(Cause::Unfit, message).at(self.node));
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
        let variant = match &self.node.value {
            Value::Scalar { text, .. } if !text.is_empty() => {
                Variant { name: text, reader: self, data: None }
            }
            Value::Map(entries) if entries.len() == 1 => {
                let (key, node) = &entries[0];
                if self.left_out.skips(node) {
                    return Err(Fault::new(Cause::Follows, "").at(self.node));
                }
                Variant { name: &key.name, reader: self, data: Some(self.to(node, &key.name)) }
            }
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

/// The entries of a mapping.
struct Fields<'a> {
    reader: Reader<'a>,
    rest: std::slice::Iter<'a, (Key, Node)>,
    current: Option<&'a (Key, Node)>,
}

impl<'a> Fields<'a> {
    /// Places a fault that the visitor made: a repeated key at that key, others at the mapping.
    fn place(&self, fault: Fault<'a>) -> Fault<'a> {
        let map = self.reader.node;
        match (fault.cause(), self.current) {
            (Cause::Repeated, Some((key, node))) => {
                fault.at_mark(&key.mark, node).below(Some(map), &key.name)
            }
            _ => fault.at(map),
        }
    }
}

impl<'a> MapAccess<'a> for Fields<'a> {
    type Error = Fault<'a>;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Outcome<'a, Option<K::Value>> {
        let left_out = self.reader.left_out;
        self.current = self.rest.find(|(_, node)| !left_out.skips(node));
        let Some((key, node)) = self.current else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::<Fault<'a>>::new(&key.name)).map(Some).map_err(
            |fault| fault.at_mark(&key.mark, node).below(Some(self.reader.node), &key.name),
        )
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Outcome<'a, V::Value> {
        let (key, node) = self.current.expect("serde asks for a value after its key");
        let reader = self.reader.to(node, &key.name);
        seed.deserialize(reader)
            .map_err(|fault| reader.place(fault).below(Some(self.reader.node), &key.name))
    }
}

/// The items of a sequence.
struct Items<'a> {
    reader: Reader<'a>,
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Fault<'a>;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Outcome<'a, Option<T::Value>> {
        let left_out = self.reader.left_out;
        let Some((index, node)) = self.rest.find(|(_, node)| !left_out.skips(node)) else {
            return Ok(None);
        };
        let reader = Reader { node, ..self.reader };
        seed.deserialize(reader).map(Some).map_err(|fault| {
            // Without a parent: an empty item is an error, because leaving it out would move others.
            reader.place(fault).below(None, &index.to_string())
        })
    }
}

/// A chosen variant of an enum.
struct Variant<'a> {
    name: &'a str,
    reader: Reader<'a>,
    data: Option<Reader<'a>>,
}

impl<'a> Variant<'a> {
    fn data(&self) -> Outcome<'a, Reader<'a>> {
        self.data.ok_or_else(|| self.reader.unfit(&format!("`{}` with settings", self.name)))
    }

    /// Without a parent: the data of a variant cannot be left out.
    fn below(self, fault: Fault<'a>) -> Fault<'a> {
        match self.data {
            Some(data) => data.place(fault).below(None, self.name),
            None => fault,
        }
    }
}

impl<'a> EnumAccess<'a> for Variant<'a> {
    type Error = Fault<'a>;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Outcome<'a, (V::Value, Self)> {
        let name = BorrowedStrDeserializer::<Fault<'a>>::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'a> VariantAccess<'a> for Variant<'a> {
    type Error = Fault<'a>;

    fn unit_variant(self) -> Outcome<'a, ()> {
        match self.data {
            None => Ok(()),
            Some(data) if matches!(data.node.value, Value::Null) => Ok(()),
            Some(data) => Err(self.below(data.unfit("no settings"))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Outcome<'a, T::Value> {
        seed.deserialize(self.data()?).map_err(|fault| self.below(fault))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Outcome<'a, V::Value> {
        self.data()?.sequence(visitor).map_err(|fault| self.below(fault))
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Outcome<'a, V::Value> {
        self.data()?.mapping(visitor).map_err(|fault| self.below(fault))
    }
}
