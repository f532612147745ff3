//! JSON Pointers (RFC 6901) with `*` for every item of an array, matched while a document streams by.
//!
//! A set of pointers walks down as one bit mask a container, so documents without a match cost one
//! comparison with zero a value.

/// One parsed pointer, never the empty one: that would be the whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    name: String,
    index: Option<usize>,
}

/// Says why a text is not a pointer that can be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPointer {
    /// It does not start with a slash.
    #[error("a JSON pointer starts with `/`, such as `/user/id` or `/items/*/id`")]
    NoSlash,
    /// A tilde that is not `~0` or `~1` (RFC 6901 section 3).
    #[error("`~` must be written `~0`, and `/` inside a name `~1`")]
    Tilde,
    /// More steps than a document may nest.
    #[error("more than {} steps", crate::json::MAX_DEPTH)]
    Deep,
}

impl Pointer {
    /// Reads `/a/0/*`: unescapes `~1` and `~0`; `*` stays a name until it meets an array.
    pub fn parse(text: &str) -> Result<Pointer, BadPointer> {
        let rest = text.strip_prefix('/').ok_or(BadPointer::NoSlash)?;
        let steps: Vec<Step> = rest.split('/').map(Step::parse).collect::<Result<_, _>>()?;
        if steps.len() > crate::json::MAX_DEPTH {
            return Err(BadPointer::Deep);
        }
        Ok(Pointer(steps))
    }

    /// Says whether it has a `*`, so that it may select more than one value.
    pub fn wild(&self) -> bool {
        self.0.iter().any(Step::wild)
    }

    /// The steps joined with dots: the name of what it selects.
    pub fn dotted(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|step| step.name.as_str()).collect();
        names.join(".")
    }
}

impl Step {
    fn parse(raw: &str) -> Result<Step, BadPointer> {
        let mut name = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(i) = rest.find('~') {
            name.push_str(&rest[..i]);
            name.push(match rest.as_bytes().get(i + 1) {
                Some(b'0') => '~',
                Some(b'1') => '/',
                _ => return Err(BadPointer::Tilde),
            });
            rest = &rest[i + 2..];
        }
        name.push_str(rest);
        let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        let canonical = digits && (name == "0" || !name.starts_with('0'));
        let index = canonical.then(|| name.parse().ok()).flatten();
        Ok(Step { name, index })
    }

    fn wild(&self) -> bool {
        self.name == "*"
    }

    fn matches(&self, at: At<'_>) -> bool {
        match at {
            At::Member(name) => self.name.as_bytes() == name,
            At::Item(index) => self.wild() || self.index == Some(index),
        }
    }
}

/// Says where a value stands in its container.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Member(&'a [u8]),
    Item(usize),
}

/// Holds what to leave out of a canonical form and what to hand out besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// The excluded ones, then the fields.
    pointers: Vec<Pointer>,
    excluded: usize,
}

/// Some of a set's pointers: one bit each.
pub(super) type Active = u64;

/// Holds what the pointers say about one value.
#[derive(Clone, Copy, Default)]
pub(super) struct Hit {
    /// Pointers that lead further down, into this value.
    pub(super) below: Active,
    /// It is left out.
    pub(super) excluded: bool,
    /// It is this field.
    pub(super) field: Option<usize>,
}

impl Paths {
    /// Says how many pointers one set can hold: one bit each.
    pub const MAX: usize = Active::BITS as usize;

    /// A set that leaves out `exclude` and hands out `fields`; `None` for more than [`Paths::MAX`].
    pub fn new(exclude: Vec<Pointer>, fields: Vec<Pointer>) -> Option<Paths> {
        let excluded = exclude.len();
        let pointers = [exclude, fields].concat();
        (pointers.len() <= Paths::MAX).then_some(Paths { pointers, excluded })
    }

    /// All of them: what is active in the outermost container.
    pub(super) fn all(&self) -> Active {
        match self.pointers.len() {
            0 => 0,
            n => Active::MAX >> (Paths::MAX - n),
        }
    }

    /// Gives what those that are `active` in a container at `depth` (the outermost has 0) say about one of its values.
    pub(super) fn hit(&self, active: Active, depth: usize, at: At<'_>) -> Hit {
        let mut hit = Hit::default();
        let mut left = active;
        while left != 0 {
            let i = left.trailing_zeros() as usize;
            left &= left - 1;
            let steps = &self.pointers[i].0;
            if !steps.get(depth).is_some_and(|step| step.matches(at)) {
                continue;
            }
            if depth + 1 < steps.len() {
                hit.below |= 1 << i;
            } else if i < self.excluded {
                hit.excluded = true;
            } else {
                hit.field = Some(i - self.excluded);
            }
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_odd_names_are_read_as_rfc_6901_says() {
        let names = |text| Pointer::parse(text).map(|p| p.dotted());
        assert_eq!(names("/a/b"), Ok("a.b".into()));
        assert_eq!(names("/a~1b/m~0n/~01"), Ok("a/b.m~n.~1".into()));
        assert_eq!(names("/"), Ok(String::new()), "the member with the empty name");
        assert_eq!(names(""), Err(BadPointer::NoSlash));
        assert_eq!(names("a"), Err(BadPointer::NoSlash));
        assert_eq!(names("/a~2"), Err(BadPointer::Tilde));
        assert_eq!(names("/a~"), Err(BadPointer::Tilde));
        assert_eq!(names(&"/a".repeat(129)), Err(BadPointer::Deep));
    }

    #[test]
    fn a_star_is_every_item_but_only_one_member() {
        let star = Step::parse("*").unwrap();
        assert!(star.matches(At::Item(7)) && star.matches(At::Member(b"*")));
        assert!(!star.matches(At::Member(b"a")));
        let index = Step::parse("1").unwrap();
        assert!(index.matches(At::Item(1)) && index.matches(At::Member(b"1")));
        assert!(!Step::parse("01").unwrap().matches(At::Item(1)), "RFC 6901: no leading zeros");
    }

    #[test]
    fn a_set_holds_as_many_as_it_has_bits() {
        let many = |n| vec![Pointer::parse("/a").unwrap(); n];
        assert_eq!(Paths::new(many(64), vec![]).unwrap().all(), u64::MAX);
        assert_eq!(Paths::new(many(2), many(1)).unwrap().all(), 7);
        assert_eq!(Paths::default().all(), 0);
        assert!(Paths::new(many(60), many(5)).is_none());
    }
}
