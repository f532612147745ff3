//! What is inside a node: the entries of a mapping, the items of a list, the variant of an enum. Here
//! faults get the steps of their path.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::fault::{Cause, Fault};
use super::node::{Outcome, Reader};
use crate::settings::{Key, Node, Value};

/// The entries of a mapping.
pub(super) struct Fields<'a> {
    reader: Reader<'a>,
    rest: std::slice::Iter<'a, (Key, Node)>,
    current: Option<&'a (Key, Node)>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(reader: Reader<'a>, entries: &'a [(Key, Node)]) -> Self {
        Fields { reader, rest: entries.iter(), current: None }
    }

    /// Places a fault that the visitor made: a repeated key at that key, others at the mapping.
    pub(super) fn place(&self, fault: Fault<'a>) -> Fault<'a> {
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
pub(super) struct Items<'a> {
    reader: Reader<'a>,
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'a> Items<'a> {
    pub(super) fn new(reader: Reader<'a>, items: &'a [Node]) -> Self {
        Items { reader, rest: items.iter().enumerate() }
    }
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
pub(super) struct Variant<'a> {
    name: &'a str,
    reader: Reader<'a>,
    data: Option<Reader<'a>>,
}

impl<'a> Variant<'a> {
    pub(super) fn new(name: &'a str, reader: Reader<'a>, data: Option<Reader<'a>>) -> Self {
        Variant { name, reader, data }
    }

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
