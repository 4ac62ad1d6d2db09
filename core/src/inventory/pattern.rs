//! Regular expressions as nginx reads them (PCRE). Only what is wrong in every version of PCRE is refused here; the
//! balancer's own test has the last word before anything changes.

use super::reader::Wrong;
use super::scalar;
use crate::nginx::limits;

/// A segment's regex: one line, and free of what no PCRE takes.
pub(super) fn pcre(text: &str) -> Result<String, Wrong> {
    let text = scalar::line(text)?;
    Scan { bytes: text.as_bytes(), at: 0, open: Vec::new(), repeatable: false }.run()?;
    scalar::nginx(limits::regex(&text))?;
    Ok(text)
}

/// A regex for the body of an answer, matched by bg itself.
pub(super) fn body(text: &str) -> Result<String, Wrong> {
    let text = scalar::line(text)?;
    match regex::bytes::Regex::new(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            let last = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Err(Wrong::new("is not a regular expression", last))
        }
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where each open group began.
    open: Vec<usize>,
    /// Whether a quantifier may follow.
    repeatable: bool,
}

fn wrong(label: &str, at: std::ops::Range<usize>) -> Wrong {
    Wrong::new("is not a regular expression", label).at(at)
}

impl Scan<'_> {
    fn run(mut self) -> Result<(), Wrong> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\\' => self.escape()?,
                b'[' => self.class()?,
                b'(' => self.group()?,
                b')' => {
                    self.open.pop().ok_or_else(|| wrong("closes a group that was not opened", self.at..self.at + 1))?;
                    self.step(1, true);
                }
                b'*' | b'+' | b'?' => self.repeat(1)?,
                b'{' => match self.counted()? {
                    Some(length) => self.repeat(length)?,
                    None => self.step(1, true),
                },
                b'|' => self.step(1, false),
                // `^*` is taken by some versions and refused by others.
                _ => self.step(1, true),
            }
        }
        match self.open.pop() {
            Some(at) => Err(wrong("opens a group that is never closed", at..at + 1)),
            None => Ok(()),
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn starts_with(&self, prefix: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(prefix)
    }

    fn step(&mut self, bytes: usize, repeatable: bool) {
        self.at += bytes;
        self.repeatable = repeatable;
    }

    fn find(&self, needle: &[u8], from: usize) -> Option<usize> {
        let rest = self.bytes.get(from..)?;
        rest.windows(needle.len()).position(|window| window == needle).map(|at| from + at)
    }

    /// One escape; `\Q…\E` is literal text as a whole.
    fn escape(&mut self) -> Result<(), Wrong> {
        match self.peek(1) {
            None => Err(wrong("a backslash with nothing behind it", self.at..self.at + 1)),
            Some(b'Q') => {
                let end = self.find(b"\\E", self.at + 2).map_or(self.bytes.len(), |end| end + 2);
                self.step(end - self.at, true);
                Ok(())
            }
            Some(_) => {
                // Only ASCII is stepped over as a pair, so that a span never splits a character.
                self.step(2, true);
                Ok(())
            }
        }
    }

    /// A group's opening; comments and verbs as a whole.
    fn group(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        let close = |scan: &Self| scan.find(b")", start).map(|end| end + 1 - start);
        if self.starts_with(b"(?#") || self.starts_with(b"(*") {
            let length = close(self).ok_or_else(|| wrong("is never closed", start..start + 2))?;
            // A comment stands for nothing: what may be repeated is still what was before it.
            self.at += length;
            return Ok(());
        }
        let lookbehind = self.starts_with(b"(?<=") || self.starts_with(b"(?<!");
        let quoted = self.starts_with(b"(?'") || self.starts_with(b"(?P<");
        if quoted || self.starts_with(b"(?<") && !lookbehind {
            let message = "a named group would be a variable in nginx";
            return Err(Wrong::new("cannot be used", message).help("write `(?:…)`").at(start..start + 3));
        }
        self.open.push(start);
        // What follows `(?` up to here is no quantifier: `(?:`, `(?=`, `(?>`, `(?i)`.
        let intro = if self.starts_with(b"(?") { 2 } else { 1 };
        self.step(intro, false);
        if intro == 2 && self.at < self.bytes.len() && self.peek(0) != Some(b')') {
            let character = self.bytes[self.at..].iter().skip(1).take_while(|b| (**b & 0xc0) == 0x80).count() + 1;
            self.step(character, false);
        }
        Ok(())
    }

    /// A character class; `]` right behind the opening is a member.
    fn class(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        let mut at = start + 1;
        at += usize::from(self.bytes.get(at) == Some(&b'^'));
        at += usize::from(self.bytes.get(at) == Some(&b']'));
        loop {
            match self.bytes.get(at) {
                None => return Err(wrong("opens a character class that is never closed", start..start + 1)),
                Some(b']') => break,
                Some(b'\\') if self.bytes.get(at + 1) == Some(&b'Q') => {
                    at = self.find(b"\\E", at).map_or(self.bytes.len(), |end| end + 2);
                }
                Some(b'\\') => at += 2,
                Some(b'[') if matches!(self.bytes.get(at + 1), Some(b':')) => {
                    at = self.find(b":]", at + 2).map_or(at + 1, |end| end + 2);
                }
                Some(first) => {
                    let last = self.bytes.get(at + 2).filter(|_| self.bytes.get(at + 1) == Some(&b'-'));
                    let plain = |b: u8| b.is_ascii_alphanumeric();
                    match last {
                        Some(last) if plain(*first) && plain(*last) && first > last => {
                            return Err(wrong("is a reversed range", at..at + 3));
                        }
                        _ => at += 1,
                    }
                }
            }
        }
        self.step(at + 1 - start, true);
        Ok(())
    }

    /// The length of `{n}`, `{n,}` or `{n,m}`; `None` where the brace is a plain character.
    fn counted(&self) -> Result<Option<usize>, Wrong> {
        let Some(end) = self.find(b"}", self.at) else { return Ok(None) };
        let inside = std::str::from_utf8(&self.bytes[self.at + 1..end]).unwrap_or_default();
        let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(least) || !(most.is_empty() || digits(most)) {
            return Ok(None);
        }
        let span = self.at..end + 1;
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n <= 65_535);
        let (Some(least), Some(most)) = (number(least), if most.is_empty() { Some(65_535) } else { number(most) })
        else {
            return Err(wrong("repeats more than 65535 times", span));
        };
        if least > most {
            return Err(wrong("the first count is greater than the second", span));
        }
        Ok(Some(end + 1 - self.at))
    }

    /// A quantifier, with the `?` or `+` that may follow it.
    fn repeat(&mut self, length: usize) -> Result<(), Wrong> {
        if !self.repeatable {
            return Err(wrong("nothing to repeat", self.at..self.at + length));
        }
        self.step(length, false);
        if matches!(self.peek(0), Some(b'?' | b'+')) {
            self.step(1, false);
        }
        Ok(())
    }
}
