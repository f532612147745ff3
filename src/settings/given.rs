//! Settings whose empty value means something else than leaving them out.
//!
//! Nearly everywhere an empty value stands for the default. Where the default is to be without a protection, that
//! would let an unset variable switch it off; there a setting is [`Given`] and its component's check refuses the
//! empty one.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

/// The words for a setting that must not be empty.
pub const IS_EMPTY: &str = "is empty; write a value or leave the key out";

/// Marks the schema of a setting that must not be empty. It is taken out again where the schema is put together.
pub(crate) const NOT_EMPTY: &str = "x-not-empty";

/// Tells a setting that is written with nothing behind it from one that is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Given<T> {
    /// The key is not there. Needs serde's `default` on the struct.
    #[default]
    LeftOut,
    /// The key is there, and nothing behind it; of a text that is null only, not `""`.
    Empty,
    /// Something is.
    Is(T),
}

impl<T> Given<T> {
    /// Returns what stands there.
    pub fn get(&self) -> Option<&T> {
        match self {
            Given::Is(value) => Some(value),
            Given::LeftOut | Given::Empty => None,
        }
    }

    /// Says whether nothing stands behind the key.
    pub fn is_empty(&self) -> bool {
        matches!(self, Given::Empty)
    }

    /// Says whether the key is there, whatever stands behind it.
    pub fn is_written(&self) -> bool {
        !matches!(self, Given::LeftOut)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(d)?.map_or(Given::Empty, Given::Is))
    }
}

impl<T: JsonSchema> JsonSchema for Given<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Given{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.insert(NOT_EMPTY.to_owned(), true.into());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Guards {
        file: Given<String>,
        switch: Given<bool>,
        list: Given<Vec<String>>,
    }

    #[test]
    fn an_empty_value_is_told_from_none_at_all() {
        assert_eq!(testing::read::<Guards>("{}").unwrap(), Guards::default());
        let empty: Guards = testing::read("{file: , switch: ~, list: null}").unwrap();
        assert!(empty.file.is_empty() && empty.switch.is_empty() && empty.list.is_empty());
        let full: Guards = testing::read("{file: '', switch: false, list: []}").unwrap();
        assert_eq!(full.file, Given::Is(String::new()), "a text may have no characters");
        assert_eq!((full.switch, full.list), (Given::Is(false), Given::Is(Vec::new())));
    }
}
