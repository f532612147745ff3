//! JSON within a text: each string, number and name of it is looked at as what it says, whatever it is escaped as.
//!
//! What holds for a name holds for all under it. Only what changes is written anew: the rest keeps its bytes, so a
//! document stays one, of the same shape.

use super::found::Why;
use super::redactor::{RuleId, Under};
use crate::json::{Error, ErrorKind, Kind, MAX_DEPTH, Reader, write_string};

/// Looks at what a document holds. What is appended to `out` is to stand in the place of it.
pub(super) trait Leaves {
    /// Gives what stands in the place of a name in which something was found.
    fn rename(&self, name: &str) -> String;
    /// Says what a name tells of the value under it.
    fn judge(&self, name: &str) -> Under;
    /// Looks at a text that stands so many levels within strings of JSON.
    fn text(&mut self, text: &str, nested: usize, out: &mut String) -> Result<bool, Why>;
    /// Looks at a name or a number.
    fn plain(&mut self, text: &str, out: &mut String) -> Result<bool, Why>;
    /// Masks a value whole.
    fn mask(&mut self, text: &str, rule: RuleId, out: &mut String) -> bool;
}

/// Says how deep a document may be nested that is a string of another.
const MAX_INNER_DEPTH: usize = 32;

/// One document at work.
pub(super) struct Document<'t> {
    text: &'t str,
    nested: usize,
    /// Says how far the text was taken over into the output.
    copied: usize,
    changed: bool,
}

/// Says why a document was not walked to its end.
enum Stop {
    /// It is no JSON.
    NoJson,
    /// It must be withheld.
    Withhold(Why),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::Depth => Stop::Withhold(Why::Depth),
            _ => Stop::NoJson,
        }
    }
}

impl<'t> Document<'t> {
    pub(super) fn new(text: &'t str, nested: usize) -> Self {
        Document { text, nested, copied: 0, changed: false }
    }

    /// Walks it. Appends what is to stand in its place and returns true, if anything is found in it; `None` if it
    /// is no JSON.
    pub(super) fn redact(
        mut self,
        scan: &mut impl Leaves,
        out: &mut String,
    ) -> Result<Option<bool>, Why> {
        let depth = if self.nested == 0 { MAX_DEPTH } else { MAX_INNER_DEPTH };
        let mut reader = Reader::of_strings(self.text.as_bytes(), depth);
        let walked = self.value(&mut reader, scan, None, out).and_then(|()| Ok(reader.end()?));
        match walked {
            Ok(()) if self.changed => {
                out.push_str(&self.text[self.copied..]);
                Ok(Some(true))
            }
            Ok(()) => Ok(Some(false)),
            Err(Stop::NoJson) => Ok(None),
            Err(Stop::Withhold(why)) => Err(why),
        }
    }

    /// Walks a value; a rule says that all in it is to be masked.
    fn value(
        &mut self,
        reader: &mut Reader<'t>,
        scan: &mut impl Leaves,
        masked: Option<RuleId>,
        out: &mut String,
    ) -> Result<(), Stop> {
        match reader.peek()?.0 {
            Kind::Object => {
                reader.object()?;
                self.members(reader, scan, masked, out)
            }
            Kind::Array => {
                reader.array()?;
                self.items(reader, scan, masked, out)
            }
            Kind::String => {
                if let Some(plain) = reader.plain() {
                    let to = reader.offset();
                    return self.string(to - plain.len() - 1, to, plain, scan, masked, out);
                }
                let text = reader.text()?;
                let from = text.offset();
                self.string(from, reader.offset(), &text.decode()?, scan, masked, out)
            }
            Kind::Number => {
                let number = reader.number()?;
                let to = reader.offset();
                let mut new = String::new();
                let found = match masked {
                    Some(rule) => scan.mask(number, rule, &mut new),
                    None => scan.plain(number, &mut new).map_err(Stop::Withhold)?,
                };
                if found {
                    self.put(to - number.len(), to, &new, out);
                }
                Ok(())
            }
            Kind::Bool | Kind::Null => {
                reader.skip()?;
                Ok(())
            }
        }
    }

    /// Walks an array. What follows an option of a command line that takes a secret is masked as one.
    fn items(
        &mut self,
        reader: &mut Reader<'t>,
        scan: &mut impl Leaves,
        masked: Option<RuleId>,
        out: &mut String,
    ) -> Result<(), Stop> {
        let mut option = None;
        while reader.item()? {
            let (kind, from) = reader.peek()?;
            self.value(reader, scan, masked.or(option), out)?;
            let item = self.text.get(from..reader.offset()).unwrap_or_default();
            let name = item.trim_matches('"').strip_prefix('-').filter(|_| kind == Kind::String);
            let name = name.filter(|name| !name.contains(['=', ' ', '\\']));
            option = name.and_then(|name| match scan.judge(name.trim_start_matches('-')) {
                Under::Masked(rule) => Some(rule),
                Under::Open | Under::Ignored => None,
            });
        }
        Ok(())
    }

    fn members(
        &mut self,
        reader: &mut Reader<'t>,
        scan: &mut impl Leaves,
        masked: Option<RuleId>,
        out: &mut String,
    ) -> Result<(), Stop> {
        let mut named = None;
        while let Some(key) = reader.key()? {
            let name = key.decode()?;
            let (from, to) = (key.offset(), key.offset() + key.raw().len());
            if scan.plain(&name, &mut String::new()).map_err(Stop::Withhold)? {
                let new = scan.rename(&name);
                self.put(from - 1, to + 1, &new, out);
            }
            // `{"name": "DB_PASSWORD", "value": ..}` says the same as `{"DB_PASSWORD": ..}`.
            let under = match masked.or(named.filter(|_| name == "value")) {
                Some(rule) => Under::Masked(rule),
                None => scan.judge(&name),
            };
            if matches!(&*name, "name" | "key" | "header") && reader.peek()?.0 == Kind::String {
                let other = reader.clone().text()?.decode()?;
                named = match scan.judge(&other) {
                    Under::Masked(rule) => Some(rule),
                    Under::Open | Under::Ignored => None,
                };
            }
            match under {
                Under::Open => self.value(reader, scan, None, out)?,
                Under::Masked(rule) => self.value(reader, scan, Some(rule), out)?,
                Under::Ignored => {
                    reader.skip()?;
                }
            }
        }
        Ok(())
    }

    fn string(
        &mut self,
        from: usize,
        to: usize,
        text: &str,
        scan: &mut impl Leaves,
        masked: Option<RuleId>,
        out: &mut String,
    ) -> Result<(), Stop> {
        let mut new = String::new();
        let found = match masked {
            Some(rule) => scan.mask(text, rule, &mut new),
            None => scan.text(text, self.nested + 1, &mut new).map_err(Stop::Withhold)?,
        };
        if found {
            self.put(from - 1, to, &new, out);
        }
        Ok(())
    }

    /// Puts a string in the place of a part of the text.
    fn put(&mut self, from: usize, to: usize, new: &str, out: &mut String) {
        out.push_str(&self.text[self.copied..from]);
        let mut string = Vec::with_capacity(new.len() + 2);
        write_string(&mut string, new);
        out.push_str(std::str::from_utf8(&string).unwrap_or_default());
        self.copied = to;
        self.changed = true;
    }
}
