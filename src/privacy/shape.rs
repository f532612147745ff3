//! The shape of a JSON text: its names, the kinds of its values, and how long they are; no value.
//!
//! Names are content too: whoever shows a shape has them redacted.

use crate::json::{Kind, Reader, Result, write_string};

/// How deep a shape goes; deeper values are told by their kind.
const MAX_DEPTH: usize = 6;
/// How many members of an object, and items of an array, it tells.
const MAX_MEMBERS: usize = 64;

/// Appends the shape of `json` as JSON: `{"city":"string(5)","n":"number","tags":["string(3)","+2"]}`. Sizes are
/// bytes of UTF-8. `None` for what is no JSON; what is in `out` is no JSON then. It takes a few times what the names
/// take.
pub fn write_shape(json: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut reader = Reader::new(json, crate::json::MAX_DEPTH);
    value(&mut reader, MAX_DEPTH, out).ok()?;
    reader.end().ok()
}

fn value(reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    match reader.peek()?.0 {
        Kind::Object if depth > 0 => object(reader, depth - 1, out)?,
        Kind::Array if depth > 0 => array(reader, depth - 1, out)?,
        Kind::String => {
            let text = reader.text()?.decode()?;
            write_string(out, &format!("string({})", text.len()));
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
            write_string(out, name);
        }
    }
    Ok(())
}

fn object(reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    reader.object()?;
    out.push(b'{');
    let mut count = 0;
    while let Some(key) = reader.key()? {
        count += 1;
        if count > MAX_MEMBERS {
            reader.skip()?;
            continue;
        }
        if count > 1 {
            out.push(b',');
        }
        write_string(out, &key.decode()?);
        out.push(b':');
        value(reader, depth, out)?;
    }
    if count > MAX_MEMBERS {
        out.extend_from_slice(format!(",\"+\":{}", count - MAX_MEMBERS).as_bytes());
    }
    out.push(b'}');
    Ok(())
}

/// Items of one shape in a row are told once.
fn array(reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    reader.array()?;
    out.push(b'[');
    let (mut last, mut more, mut told) = (Vec::new(), 0, 0);
    while reader.item()? {
        let begin = out.len();
        if told > 0 {
            out.push(b',');
        }
        let item = out.len();
        value(reader, depth, out)?;
        if told > 0 && (out[item..] == last || told >= MAX_MEMBERS) {
            out.truncate(begin);
            more += 1;
            continue;
        }
        last = out[item..].to_vec();
        told += 1;
    }
    if more > 0 {
        out.extend_from_slice(format!(",\"+{more}\"").as_bytes());
    }
    out.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(json: &str) -> Option<String> {
        let mut out = Vec::new();
        write_shape(json.as_bytes(), &mut out)?;
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

    proptest! {
        #[test]
        fn a_shape_is_json(text in r#"[\[\]{}:,"a-c0-9 \\]{0,40}"#) {
            if let Some(shape) = shape(&text) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&shape).is_ok(), "{}", shape);
            }
        }
    }
}
