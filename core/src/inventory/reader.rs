//! TOML with spans, read key by key: a wrong type, a missing key and an unknown key are reported where they stand, and
//! reading goes on, so that every error is found at once.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::de::{DeTable, DeValue};

use super::finding::{Finding, Lines, did_you_mean, one_of, quoted};
use super::keys::keys;

/// Where findings are collected.
pub(super) struct Sink<'a> {
    text: &'a str,
    lines: Lines,
    findings: RefCell<Vec<Finding>>,
}

/// What is wrong with one value; the reader adds its key and its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Goes after the key: "is not a duration".
    what: String,
    label: String,
    help: Option<String>,
    /// The offending bytes of the value; all of it when `None`.
    at: Option<Range<usize>>,
}

impl Wrong {
    /// What is wrong with `text`, in one line.
    pub(super) fn of(&self, text: &str) -> String {
        format!("{} {}: {}", super::finding::quoted(text), self.what, self.label)
    }

    /// `what` follows the key in the message; `label` stands under the underlined text.
    pub(super) fn new(what: impl Into<String>, label: impl Into<String>) -> Wrong {
        Wrong { what: what.into(), label: label.into(), help: None, at: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Wrong {
        Wrong { help: Some(help.into()), ..self }
    }

    /// The same, when the checked text was cut off behind the first `bytes` of the value.
    pub(super) fn shifted(self, bytes: usize) -> Wrong {
        Wrong { at: self.at.map(|at| at.start + bytes..at.end + bytes), ..self }
    }

    /// The same, when the checked text was `part`, cut off behind the first `bytes` of the value: without a place of its
    /// own that part is to blame.
    pub(super) fn within(self, bytes: usize, part: &str) -> Wrong {
        let at = self.at.unwrap_or(0..part.len());
        Wrong { at: Some(at.start + bytes..at.end + bytes), ..self }
    }

    /// The same, blaming all of the value.
    pub(super) fn whole(self) -> Wrong {
        Wrong { at: None, ..self }
    }

    /// Only these bytes of the value are to blame.
    pub(super) fn at(self, at: Range<usize>) -> Wrong {
        Wrong { at: Some(at), ..self }
    }
}

impl<'a> Sink<'a> {
    pub(super) fn new(text: &'a str) -> Sink<'a> {
        Sink { text, lines: Lines::of(text), findings: RefCell::default() }
    }

    pub(super) fn report(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    /// The line, from 1, that holds a byte.
    pub(super) fn line(&self, at: usize) -> usize {
        self.lines.line(at)
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings.into_inner()
    }
}

/// A value, where it stands, and the key that leads to it.
pub(super) struct Value<'a> {
    sink: &'a Sink<'a>,
    /// Such as `pools.web.port`, for messages.
    pub(super) path: String,
    /// The key's own name.
    pub(super) key: &'a str,
    pub(super) key_span: Range<usize>,
    pub(super) span: Range<usize>,
    value: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    /// Reports something that is wrong with this value.
    pub(super) fn wrong(&self, wrong: Wrong) {
        let Wrong { what, label, help, at } = wrong;
        let span = at.and_then(|at| self.within(at)).unwrap_or_else(|| self.span.clone());
        self.sink.report(Finding { message: format!("`{}` {what}", self.path), label, help, span });
    }

    /// Reports something that is wrong with the value's key.
    pub(super) fn wrong_key(&self, wrong: Wrong) {
        let Wrong { what, label, help, .. } = wrong;
        let message = format!("`{}` {what}", self.path);
        self.sink.report(Finding { message, label, help, span: self.key_span.clone() });
    }

    /// The line, from 1, that the value stands on.
    pub(super) fn line(&self) -> usize {
        self.sink.line(self.span.start)
    }

    /// Bytes of the string's content as bytes of the file; `None` when the string is not written literally.
    fn within(&self, at: Range<usize>) -> Option<Range<usize>> {
        let DeValue::String(content) = self.value else { return None };
        let written = self.sink.text.get(self.span.start + 1..self.span.end.checked_sub(1)?)?;
        (written == content.as_ref()).then(|| self.span.start + 1 + at.start..self.span.start + 1 + at.end)
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let is = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.wrong(Wrong::new(format!("must be {wanted}"), format!("this is {is}")));
        None
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    /// A string that passes `check`; `None` when it was reported.
    pub(super) fn string<T>(&self, check: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let DeValue::String(content) = self.value else { return self.wrong_type("a string") };
        check(content).map_err(|wrong| self.wrong(wrong)).ok()
    }

    /// An integer in a range; `None` when it was reported.
    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let DeValue::Integer(digits) = self.value else { return self.wrong_type("an integer") };
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok().and_then(|n| u32::try_from(n).ok());
        let number = number.filter(|n| range.contains(n));
        if number.is_none() {
            let bounds = format!("from {} to {}", range.start(), range.end());
            self.wrong(Wrong::new("is out of range", bounds));
        }
        number
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let DeValue::Boolean(value) = self.value else { return self.wrong_type("`true` or `false`") };
        Some(*value)
    }

    /// An array's elements.
    pub(super) fn array(&self) -> Option<Vec<Value<'a>>> {
        let DeValue::Array(elements) = self.value else { return self.wrong_type("an array") };
        let elements = elements.iter().map(|element| Value {
            sink: self.sink,
            path: self.path.clone(),
            key: self.key,
            key_span: self.key_span.clone(),
            span: element.span(),
            value: element.get_ref(),
        });
        Some(elements.collect())
    }

    /// An array's elements, each a string that passes `check`; those that do not are reported and left out.
    pub(super) fn strings<T>(&self, check: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        Some(self.array()?.iter().filter_map(|element| element.string(&check)).collect())
    }

    /// A string that is one of a few words.
    pub(super) fn choice<T: Clone>(&self, choices: &[(&str, T)]) -> Option<T> {
        self.string(|text| {
            let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
            let words = || choices.iter().map(|(word, _)| *word);
            found.ok_or_else(|| {
                let wrong = Wrong::new("is not a known value", format!("must be {}", one_of(words())));
                match did_you_mean(text, words()) {
                    Some(help) => wrong.help(help),
                    None => wrong,
                }
            })
        })
    }

    pub(super) fn table(&self) -> Option<Table<'a>> {
        let DeValue::Table(entries) = self.value else { return self.wrong_type("a table") };
        Some(Table {
            sink: self.sink,
            path: self.path.clone(),
            span: self.key_span.clone(),
            entries,
            asked: RefCell::default(),
        })
    }
}

/// A table whose keys are asked for one by one. Which there are stands in [`super::keys`].
pub(super) struct Table<'a> {
    sink: &'a Sink<'a>,
    path: String,
    /// Where a missing key is reported: the table's own key.
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn root(sink: &'a Sink<'a>, entries: &'a DeTable<'a>) -> Table<'a> {
        Table { sink, path: String::new(), span: 0..0, entries, asked: RefCell::default() }
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        if !self.asked.borrow().contains(&key) {
            self.asked.borrow_mut().push(key);
        }
        let (key, value) = self.entries.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(self.value(key, value))
    }

    /// The value of a key that must be there; `example` is how it is written.
    pub(super) fn require(&self, key: &'static str, example: &str) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            let at = if self.path.is_empty() { "the inventory".to_owned() } else { format!("`{}`", self.path) };
            self.sink.report(Finding {
                message: format!("{at} has no `{key}`"),
                label: if self.path.is_empty() { String::new() } else { format!("`{key}` is missing here") },
                help: Some(format!("such as {example}")),
                span: self.span.clone(),
            });
        }
        value
    }

    /// Every entry in the order of the file, for tables whose keys the user chooses.
    pub(super) fn entries(&self) -> Vec<Value<'a>> {
        let mut entries: Vec<Value<'a>> = self.entries.iter().map(|(key, value)| self.value(key, value)).collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        entries
    }

    /// Reports something that is wrong with the table as a whole.
    pub(super) fn wrong(&self, wrong: Wrong) {
        let Wrong { what, label, help, .. } = wrong;
        let message = format!("`{}` {what}", self.path);
        self.sink.report(Finding { message, label, help, span: self.span.clone() });
    }

    /// Reports every key that is none of those of `section`, which is a path of [`super::keys::SECTIONS`].
    pub(super) fn finish(self, section: &'static str) {
        let known: Vec<&'static str> = keys(section).iter().map(|key| key.name).collect();
        debug_assert!(
            known.len() == self.asked.borrow().len() && self.asked.borrow().iter().all(|key| known.contains(key)),
            "`{section}` has the keys {known:?}, and the parser asked for {:?}",
            self.asked.borrow()
        );
        for entry in self.entries().iter().filter(|entry| !known.contains(&entry.key)) {
            let place = if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) };
            self.sink.report(Finding {
                message: format!("unknown key {}{place}", quoted(entry.key)),
                label: format!("bg knows {}", known.join(", ")),
                help: did_you_mean(entry.key, known.iter().copied()),
                span: entry.key_span.clone(),
            });
        }
    }

    fn value(
        &self,
        key: &'a toml::Spanned<toml::de::DeString<'a>>,
        value: &'a toml::Spanned<DeValue<'a>>,
    ) -> Value<'a> {
        let name: &'a str = key.get_ref();
        let shown = if bare(name) { name.to_owned() } else { format!("\"{}\"", name.escape_debug()) };
        Value {
            sink: self.sink,
            path: if self.path.is_empty() { shown } else { format!("{}.{shown}", self.path) },
            key: name,
            key_span: key.span(),
            span: value.span(),
            value: value.get_ref(),
        }
    }
}

/// Whether a key is written without quotes.
fn bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
