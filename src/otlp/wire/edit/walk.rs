//! The walk of an edit: goes through the bytes of a request once, shows a pass what it wants, and writes what it
//! answered in the end. It decides nothing itself.

use bytes::Bytes;

use super::{At, Change, Edit, Edited, Named, Number, Place, Take, Wants, length_bit};
use crate::otlp::Request;
use crate::otlp::schema::{self, Form, Holder, Message};
use crate::otlp::wire::compose::{self, Attributes};
use crate::otlp::wire::fields::{Fields, Value};
use crate::otlp::wire::view::{Above, View, attribute, text};

/// Runs a pass over a request.
pub fn edit<'a>(request: Request, bytes: &'a Bytes, by: &mut impl Edit<'a>) -> Edited {
    let wants = by.wants();
    let (splices, pool) = (Vec::new(), Vec::new());
    let (open, stayed, dropped) = (0, 0, 0);
    let mut editor = Editor { input: bytes, by, wants, splices, pool, open, stayed, dropped };
    let cx = Context {
        above: Above::default(),
        own: View::of(&schema::RESOURCE, &[]),
        holder: Holder::Resource,
        place: Place::Field(""),
        depth: 0,
        mark: 0,
    };
    let growth = editor.fields(Message::of(request), 0, bytes.len(), cx);
    let Editor { splices, pool, dropped, .. } = editor;
    let bytes = (!splices.is_empty()).then(|| spliced(bytes, &splices, &pool, growth).into());
    Edited { bytes, dropped }
}

/// The most bytes that an edit allocates which drops items in so many places and does nothing else.
pub(in crate::otlp::wire) fn removal_size(bytes: usize, places: usize) -> usize {
    // A list that grows stands beside the one of twice its length that takes its place.
    bytes.saturating_add(places.saturating_mul(3 * size_of::<Splice>()))
}

/// Copies `input`, with what the splices say in place of what they say.
fn spliced(input: &[u8], splices: &[Splice], pool: &[u8], growth: isize) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len().saturating_add_signed(growth));
    let mut copied = 0;
    for &Splice { from, to, with: (begin, end) } in splices {
        out.extend_from_slice(&input[copied..from]);
        out.extend_from_slice(&pool[begin..end]);
        copied = to;
    }
    out.extend_from_slice(&input[copied..]);
    out
}

/// Names a part of the input, and the part of the pool that takes its place.
#[derive(Clone, Copy, Debug)]
struct Splice {
    from: usize,
    to: usize,
    with: (usize, usize),
}

struct Editor<'a, 'e, E> {
    input: &'a [u8],
    by: &'e mut E,
    wants: Wants,
    /// In the order of the input.
    splices: Vec<Splice>,
    pool: Vec<u8>,
    /// Says how many splices there were when the message at hand began.
    open: usize,
    /// Items, and levels above them, that stayed in the level at hand.
    stayed: usize,
    dropped: usize,
}

/// Says where in the request the walk is.
#[derive(Clone, Copy)]
struct Context<'a> {
    above: Above<'a>,
    /// The holder, whose attributes come next.
    own: View<'a>,
    holder: Holder,
    place: Place<'a>,
    depth: u8,
    mark: u16,
}

impl<'a> Context<'a> {
    /// Says what a name is where this is.
    fn naming(&self) -> Place<'a> {
        match self.place {
            Place::Field(_) if self.depth > 0 => Place::BodyName,
            _ => Place::Name,
        }
    }

    fn at(&self, place: Place<'a>) -> At<'a> {
        At { holder: self.holder, place, depth: self.depth, mark: self.mark }
    }
}

/// Says where a field stands: from its key to its end, and where its value begins.
#[derive(Clone, Copy)]
struct Span {
    from: usize,
    body: usize,
    end: usize,
}

impl<'a, E: Edit<'a>> Editor<'a, '_, E> {
    /// Walks the fields of a message; returns by how much they grow, in bytes.
    fn fields(
        &mut self,
        message: &'static Message,
        start: usize,
        end: usize,
        cx: Context<'a>,
    ) -> isize {
        let input = self.input;
        let mut rest = Fields(&input[start..end]);
        let mut growth = 0;
        // Where more attributes belong: behind the last, so that they are one list.
        let mut more = (start, self.splices.len());
        let mut listed = false;
        if self.wants.statuses && std::ptr::eq(message, &schema::STATUS) && rest.slice(2).is_none()
        {
            growth += self.status_message(start, cx);
        }
        loop {
            let from = end - rest.0.len();
            let Some((number, value)) = rest.field() else { break };
            let at = end - rest.0.len();
            if let Value::Slice(slice) = value {
                let span = Span { from, body: at - slice.len(), end: at };
                growth += self.field(message, number, span, cx);
            } else if self.wants.texts && std::ptr::eq(message, &schema::ANY_VALUE) {
                growth += self.number(number, value, Span { from, body: at, end: at }, cx);
            }
            listed |= number == message.attributes;
            if number == message.attributes || number < message.attributes && !listed {
                more = (at, self.splices.len());
            }
        }
        if message.holder.is_some_and(|holder| self.wants.more.has(holder)) {
            let begin = self.pool.len();
            self.by.more(cx.own, &mut Attributes::of(&mut self.pool, message.attributes));
            let (at, place) = more;
            let with = (begin, self.pool.len());
            if with.1 > begin {
                self.splices.insert(place, Splice { from: at, to: at, with });
                growth += (with.1 - begin).cast_signed();
            }
        }
        growth
    }

    /// Walks one field whose value has a length.
    #[inline]
    fn field(
        &mut self,
        message: &'static Message,
        number: u32,
        span: Span,
        cx: Context<'a>,
    ) -> isize {
        let field = message.field(number);
        match field.form {
            Form::Messages(inner) if std::ptr::eq(inner, &schema::KEY_VALUE) => match cx.depth {
                0 => self.attribute(number, span, cx),
                _ => self.entry(number, span, cx),
            },
            Form::Message(inner) | Form::Messages(inner) | Form::Items(inner) => {
                let cx = match message.holder {
                    // A part of a value goes by the attribute that it is in.
                    None => cx,
                    Some(_) => Context { place: Place::Field(field.name()), ..cx },
                };
                let item = matches!(field.form, Form::Items(_));
                self.message(inner, number, span, cx, item)
            }
            Form::Text | Form::Texts if self.wants.texts => {
                let place = match cx.place {
                    _ if std::ptr::eq(message, &schema::KEY_VALUE) => cx.naming(),
                    Place::Field(_) if !std::ptr::eq(message, &schema::ANY_VALUE) => {
                        Place::Field(field.name())
                    }
                    place => place,
                };
                let at = cx.at(place);
                let input = self.input;
                let new = self.by.text(&at, text(&input[span.body..span.end]));
                let Some(new) = new else { return 0 };
                let begin = self.pool.len();
                compose::slice(&mut self.pool, number, new.as_bytes());
                self.replace(span, begin)
            }
            Form::Bytes if self.wants.texts => {
                let at = cx.at(cx.place);
                let input = self.input;
                let new = self.by.bytes(&at, &input[span.body..span.end]);
                let Some(new) = new else { return 0 };
                let begin = self.pool.len();
                compose::slice(&mut self.pool, 1, new.as_bytes());
                self.replace(span, begin)
            }
            _ => 0,
        }
    }

    /// Walks a message if there may be something wanted in it.
    fn message(
        &mut self,
        inner: &'static Message,
        number: u32,
        span: Span,
        mut cx: Context<'a>,
        item: bool,
    ) -> isize {
        let input = self.input;
        let bytes = &input[span.body..span.end];
        if let Some(holder) = inner.holder {
            cx.holder = holder;
            cx.own = View::of(inner, bytes);
        }
        if inner.groups {
            cx.above = cx.above.enter(inner, bytes);
            cx.holder = inner.level().unwrap_or(cx.holder);
        }
        if inner.nests {
            cx.depth = cx.depth.saturating_add(1);
        }
        if item {
            if self.wants.items && self.by.item(&cx.above.item(cx.own)) == Take::Drop {
                self.dropped += 1;
                return self.remove_item(span);
            }
            self.stayed += 1;
        }
        if !self.wants.below(inner) {
            return 0;
        }
        let (slot, dropped) = (self.splices.len(), self.dropped);
        let beside = std::mem::take(&mut self.stayed);
        // What stands before the message is known only after it.
        self.splices.push(Splice { from: span.from, to: span.body, with: (0, 0) });
        let outer = std::mem::replace(&mut self.open, self.splices.len());
        let growth = self.fields(inner, span.body, span.end, cx);
        self.open = outer;
        let emptied = inner.groups && self.stayed == 0 && self.dropped > dropped;
        self.stayed = beside + usize::from(inner.groups && !emptied);
        if self.splices.len() == slot + 1 {
            self.splices.pop();
            return 0;
        }
        if emptied {
            self.splices.truncate(slot);
            return self.remove(span);
        }
        let begin = self.pool.len();
        let len = (span.end - span.body).saturating_add_signed(growth);
        compose::header(&mut self.pool, number, len);
        let with = (begin, self.pool.len());
        self.splices[slot].with = with;
        growth + (with.1 - begin).cast_signed() - (span.body - span.from).cast_signed()
    }

    /// Shows an attribute, and what is in it.
    #[inline]
    fn attribute(&mut self, number: u32, span: Span, mut cx: Context<'a>) -> isize {
        let input = self.input;
        let (name, value) = attribute(&input[span.body..span.end]);
        let (wants, holder) = (self.wants, cx.holder);
        if wants.lengths & length_bit(name.len()) != 0 && wants.attributes.has(holder) {
            let name = text(name);
            match self.by.attribute(cx.own, name, value) {
                Change::Keep => {}
                Change::Drop => return self.remove(span),
                Change::Value(value) => {
                    let begin = self.pool.len();
                    Attributes::of(&mut self.pool, number).add(name, value);
                    return self.replace(span, begin);
                }
            }
        }
        if !wants.texts {
            return 0;
        }
        let name = text(name);
        match self.by.name(&cx.at(Place::Name), name) {
            Named::Drop => return self.remove(span),
            Named::Marked(mark) => cx.mark = mark,
        }
        cx.place = Place::Value(name);
        self.message(&schema::KEY_VALUE, number, span, cx, false)
    }

    /// Shows an entry of a map.
    fn entry(&mut self, number: u32, span: Span, mut cx: Context<'a>) -> isize {
        let input = self.input;
        if self.wants.texts {
            let (name, _) = attribute(&input[span.body..span.end]);
            match self.by.name(&cx.at(cx.naming()), text(name)) {
                Named::Drop => return self.remove(span),
                Named::Marked(mark) => cx.mark = mark,
            }
        }
        self.message(&schema::KEY_VALUE, number, span, cx, false)
    }

    /// Shows a number of a value.
    fn number(&mut self, number: u32, value: Value<'a>, span: Span, cx: Context<'a>) -> isize {
        let value = match (schema::ANY_VALUE.field(number).form, value) {
            (Form::I64, Value::Varint(value)) => Number::Int(value.cast_signed()),
            (Form::Double, Value::Fixed64(bits)) => Number::Double(f64::from_bits(bits)),
            _ => return 0,
        };
        let Some(new) = self.by.number(&cx.at(cx.place), value) else { return 0 };
        let begin = self.pool.len();
        compose::slice(&mut self.pool, 1, new.as_bytes());
        self.replace(span, begin)
    }

    /// Asks for the message of a status that begins at `start`.
    fn status_message(&mut self, start: usize, cx: Context<'a>) -> isize {
        let Some(new) = self.by.status_message(cx.own) else { return 0 };
        let begin = self.pool.len();
        compose::slice(&mut self.pool, 2, new.as_bytes());
        self.replace(Span { from: start, body: start, end: start }, begin)
    }

    /// Puts what the pool has from `begin` on in place of a field.
    fn replace(&mut self, span: Span, begin: usize) -> isize {
        let with = (begin, self.pool.len());
        self.splices.push(Splice { from: span.from, to: span.end, with });
        (with.1 - begin).cast_signed() - (span.end - span.from).cast_signed()
    }

    fn remove(&mut self, span: Span) -> isize {
        self.replace(span, self.pool.len())
    }

    /// Removes an item, together with the one before it if that goes, too: millions may go.
    fn remove_item(&mut self, span: Span) -> isize {
        match self.splices[self.open..].last_mut() {
            Some(last) if last.to == span.from && last.with.0 == last.with.1 => {
                last.to = span.end;
                -(span.end - span.from).cast_signed()
            }
            _ => self.remove(span),
        }
    }
}

impl Wants {
    /// Says whether there may be something of it in a message.
    #[inline]
    fn below(&self, message: &Message) -> bool {
        let holders = self.attributes.and(self.more);
        self.texts
            || self.statuses && leads_to_status(message)
            || message.groups
            || message.holder.is_some_and(|h| holders.reach(h))
    }
}

/// Says whether a status may stand in a message, or is it.
fn leads_to_status(message: &Message) -> bool {
    message.holder == Some(Holder::Span) || std::ptr::eq(message, &schema::STATUS)
}
