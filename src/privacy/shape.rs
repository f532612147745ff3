//! The shape of a JSON text: its names, the kinds of its values, and how long they are; no value.
//!
//! Names are content too: whoever shows a shape has them redacted.

use crate::json::{Kind, Reader, Result, write_string};

/// Says how deep a shape goes; deeper values are told by their kind.
const MAX_DEPTH: usize = 6;
/// Says how many members of an object, and items of an array, it tells.
const MAX_MEMBERS: usize = 64;

/// Bounds the end of an object or array that tells how much is left out, in bytes.
const END: usize = 28;

/// Appends the shape of `json` as JSON: `{"city":"string(5)","n":"number","tags":["string(3)","+2"]}`. Sizes are
/// bytes of UTF-8. What would make it longer than `max` bytes is left out and counted, as members and items beyond a
/// number are; the bracket that ends it is written however short `max` is. Says whether all was told but for what lies
/// too deep. `None` for what is no JSON; what is in `out` is no JSON then.
pub fn write_shape(json: &[u8], max: usize, out: &mut Vec<u8>) -> Option<bool> {
    let (begin, end) = (out.len(), out.len().saturating_add(max));
    // Room to say how much is left out is needed only where something is.
    let (whole, full) = attempt(json, end, 0, out)?;
    if !full && out.len() <= end {
        return Some(whole);
    }
    out.truncate(begin);
    attempt(json, end, END, out).map(|(whole, _)| whole)
}

/// Says whether all was told, and whether something had no room.
fn attempt(json: &[u8], end: usize, reserve: usize, out: &mut Vec<u8>) -> Option<(bool, bool)> {
    let mut reader = Reader::new(json, crate::json::MAX_DEPTH);
    let mut shape = Shape { out, end, reserve, full: false, whole: true };
    shape.value(&mut reader, 0).ok()?;
    let told = (shape.whole, shape.full);
    reader.end().ok()?;
    Some(told)
}

struct Shape<'o> {
    out: &'o mut Vec<u8>,
    /// Says where it has to end.
    end: usize,
    /// Says how much is kept free for the end of each object and array around, in bytes.
    reserve: usize,
    /// Nothing more has room.
    full: bool,
    whole: bool,
}

impl Shape<'_> {
    fn value(&mut self, reader: &mut Reader<'_>, level: usize) -> Result<()> {
        match reader.peek()?.0 {
            Kind::Object if level < MAX_DEPTH => self.object(reader, level)?,
            Kind::Array if level < MAX_DEPTH => self.array(reader, level)?,
            Kind::String => {
                let text = reader.text()?.decode()?;
                write_string(self.out, &format!("string({})", text.len()));
            }
            kind => {
                reader.skip()?;
                let name = match kind {
                    Kind::Object => "object",
                    Kind::Array => "array",
                    Kind::Number => "number",
                    Kind::Bool => "boolean",
                    Kind::String | Kind::Null => "null",
                };
                write_string(self.out, name);
            }
        }
        Ok(())
    }

    fn object(&mut self, reader: &mut Reader<'_>, level: usize) -> Result<()> {
        reader.object()?;
        self.out.push(b'{');
        let (mut told, mut more) = (0, 0);
        while let Some(key) = reader.key()? {
            if self.full || told == MAX_MEMBERS {
                reader.skip()?;
                more += 1;
                continue;
            }
            let begin = self.out.len();
            self.separate(told);
            write_string(self.out, &key.decode()?);
            self.out.push(b':');
            self.value(reader, level + 1)?;
            if self.fits(begin, level) { told += 1 } else { more += 1 }
        }
        if more > 0 {
            self.separate(told);
            self.out.extend_from_slice(format!("\"+\":{more}").as_bytes());
            self.whole = false;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Items of one shape in a row are told once.
    fn array(&mut self, reader: &mut Reader<'_>, level: usize) -> Result<()> {
        reader.array()?;
        self.out.push(b'[');
        let (mut last, mut more, mut told, mut same) = (Vec::new(), 0, 0, true);
        while reader.item()? {
            if self.full || told == MAX_MEMBERS {
                reader.skip()?;
                (more, same) = (more + 1, false);
                continue;
            }
            let begin = self.out.len();
            self.separate(told);
            let item = self.out.len();
            self.value(reader, level + 1)?;
            if told > 0 && self.out[item..] == last {
                self.out.truncate(begin);
                more += 1;
            } else if self.fits(begin, level) {
                last = self.out[item..].to_vec();
                told += 1;
            } else {
                (more, same) = (more + 1, false);
            }
        }
        if more > 0 {
            self.separate(told);
            self.out.extend_from_slice(format!("\"+{more}\"").as_bytes());
            self.whole &= same;
        }
        self.out.push(b']');
        Ok(())
    }

    fn separate(&mut self, told: usize) {
        if told > 0 {
            self.out.push(b',');
        }
    }

    /// Says whether what was written from `begin` on has room, and takes it back where it has not.
    fn fits(&mut self, begin: usize, level: usize) -> bool {
        let fits = self.out.len() + self.reserve * (level + 1) <= self.end;
        if !fits {
            self.out.truncate(begin);
            self.full = true;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(json: &str) -> Option<String> {
        let mut out = Vec::new();
        write_shape(json.as_bytes(), usize::MAX, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn names_kinds_and_sizes_are_told_and_no_value() {
        let json = r#"{"city":"Malmö","n":1.5,"ok":true,"no":null,"tags":["a","b","cd"],"in":{"x":[1,"y"]}}"#;
        let expected = r#"{"city":"string(6)","n":"number","ok":"boolean","no":"null","tags":["string(1)","string(2)","+1"],"in":{"x":["number","string(1)"]}}"#;
        assert_eq!(shape(json).as_deref(), Some(expected));
        assert_eq!(shape("[]").as_deref(), Some("[]"));
        assert_eq!(shape("{"), None);
        let deep = format!("{}1{}", "[".repeat(9), "]".repeat(9));
        assert_eq!(shape(&deep).as_deref(), Some(r#"[[[[[["array"]]]]]]"#));
        let wide: Vec<String> = (0..70).map(|i| format!("\"k{i}\":{i}")).collect();
        assert!(
            shape(&format!("{{{}}}", wide.join(",")))
                .unwrap()
                .ends_with("\"k63\":\"number\",\"+\":6}")
        );
    }

    #[test]
    fn what_has_no_room_is_left_out_and_counted() {
        let json = r#"{"city":"x","list":[1,"a",true,null,{"b":[]}],"in":{"x":1,"y":2},"n":1}"#;
        let whole = shape(json).unwrap();
        assert_eq!(write_shape(json.as_bytes(), whole.len(), &mut Vec::new()), Some(true));
        for max in 0..whole.len() + 2 * END {
            let mut out = Vec::new();
            let told = write_shape(json.as_bytes(), max, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{max}: {text}");
            assert!(text.len() <= max.max(END), "{max}: {text}");
            assert_eq!(told, Some(text == whole), "{max}: {text}");
        }
        let mut out = Vec::new();
        write_shape(json.as_bytes(), 50, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"city":"string(1)","+":3}"#);
    }

    proptest! {
        #[test]
        fn a_shape_is_json(text in r#"[\[\]{}:,"a-c0-9 \\]{0,40}"#) {
            if let Some(shape) = shape(&text) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&shape).is_ok(), "{}", shape);
            }
        }
    }
}
