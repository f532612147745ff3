//! Fields of a head that have one value. Pure.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// Says that a field is there with two values, of which nobody knows which one is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Differing;

/// Takes the value of a field, however often that is written (RFC 9110 section 5.3 has it there once).
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Differing> {
    let mut all = headers.get_all(name).iter();
    let first = all.next();
    if all.all(|other| Some(other) == first) { Ok(first) } else { Err(Differing) }
}

#[cfg(test)]
mod tests {
    use hyper::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn a_field_has_one_value_or_none() {
        for (values, single_one) in [
            (&[][..], Ok(None)),
            (&["a"], Ok(Some("a"))),
            (&["a", "a"], Ok(Some("a"))),
            (&["a", "b"], Err(Differing)),
            (&["a", "a", "A"], Err(Differing)),
        ] {
            let fields = values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)));
            let headers: HeaderMap = fields.collect();
            let found = single(&headers, &CONTENT_TYPE);
            assert_eq!(found.map(|value| value.map(|v| v.to_str().unwrap())), single_one);
        }
    }
}
