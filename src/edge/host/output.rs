//! What a command said: bounded, and free of what only bg and its watchdog say to each other.

/// How a command ended, and the last of what it said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit status exactly; 128 + n when signal n ended it.
    pub status: i32,
    /// Standard output, at most the run's `max_output` last bytes.
    pub stdout: Vec<u8>,
    /// Standard error, likewise.
    pub stderr: Vec<u8>,
    /// Bytes of standard output that were left out at its beginning; 0 = it is complete.
    pub stdout_cut: u64,
    /// Likewise of standard error.
    pub stderr_cut: u64,
}

impl Output {
    /// Whether the status is 0.
    pub fn is_success(&self) -> bool {
        self.status == 0
    }

    /// Standard output as text, whatever is not UTF-8 replaced, without the last line feed.
    pub fn stdout_text(&self) -> String {
        text(&self.stdout)
    }

    /// Likewise standard error.
    pub fn stderr_text(&self) -> String {
        text(&self.stderr)
    }

    /// The last `count` lines that tell a reader why it failed: of standard error, or of standard output if that is empty.
    pub fn tail(&self, count: usize) -> String {
        let error = last_lines(&self.stderr_text(), count);
        if error.is_empty() { last_lines(&self.stdout_text(), count) } else { error }
    }
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}

/// The last `count` lines of `text` that are not blank, each [`printable`].
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(count);
    lines[from..].iter().map(|line| printable(line.trim_end())).collect::<Vec<String>>().join("\n")
}

/// The line with its control characters replaced, tabs aside, so that what a host says cannot drive a terminal.
pub fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The last bytes of a stream.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    limit: usize,
    cut: u64,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, cut: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Cut seldom: each cut moves what is kept.
        if self.bytes.len() > self.limit.saturating_mul(2) {
            self.cut_to_limit();
        }
    }

    fn cut_to_limit(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..surplus);
        self.cut += surplus as u64;
    }

    /// The bytes, and how many before them were dropped.
    pub(crate) fn finish(mut self) -> (Vec<u8>, u64) {
        self.cut_to_limit();
        (self.bytes, self.cut)
    }

    pub(crate) fn text(&self) -> String {
        let from = self.bytes.len().saturating_sub(self.limit);
        String::from_utf8_lossy(&self.bytes[from..]).into_owned()
    }
}

/// RS: what the watchdog's marks begin and end with.
const MARK: u8 = 0x1e;
/// A mark is never longer; what looks like one and is, is data.
const MAX_MARK: usize = 96;
/// What start-up files said before the command began, kept to explain why it never did.
const MAX_NOISE: usize = 4096;

/// Takes the watchdog's marks out of one stream, byte for byte exact about the rest.
#[derive(Debug)]
pub(crate) struct Marks {
    prefix: Vec<u8>,
    held: Vec<u8>,
    begun: bool,
    noise: Tail,
}

impl Marks {
    pub(crate) fn new(nonce: &str) -> Self {
        let mut prefix = vec![MARK];
        prefix.extend_from_slice(nonce.as_bytes());
        prefix.push(b' ');
        Self { prefix, held: Vec::new(), begun: false, noise: Tail::new(MAX_NOISE) }
    }

    /// Those of standard output and standard error.
    pub(crate) fn of_both(nonce: &str) -> [Self; 2] {
        [Self::new(nonce), Self::new(nonce)]
    }

    /// Takes more of the stream: appends what the command said to `out`, and returns the marks, `begin` and `tick` aside.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Vec<String> {
        self.held.extend_from_slice(bytes);
        let mut found = Vec::new();
        loop {
            let Some(start) = position(&self.held, &self.prefix) else {
                let keep = overlap(&self.held, &self.prefix);
                self.pass(self.held.len() - keep, out);
                return found;
            };
            self.pass(start, out);
            let body = self.prefix.len();
            let Some(length) = self.held[body..].iter().take(MAX_MARK).position(|b| *b == MARK) else {
                if self.held.len() - body >= MAX_MARK {
                    self.pass(body, out);
                    continue;
                }
                return found;
            };
            match &*String::from_utf8_lossy(&self.held[body..body + length]) {
                "begin" => self.begun = true,
                "tick" => {}
                mark => found.push(mark.to_owned()),
            }
            self.held.drain(..=body + length);
        }
    }

    /// The stream has ended: what was held back because it looked like the beginning of a mark is data.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.pass(self.held.len(), out);
    }

    /// What came before the command began, if it never did.
    pub(crate) fn noise(&self) -> Option<String> {
        (!self.begun).then(|| self.noise.text())
    }

    fn pass(&mut self, count: usize, out: &mut Vec<u8>) {
        if self.begun {
            out.extend_from_slice(&self.held[..count]);
        } else {
            self.noise.push(&self.held[..count]);
        }
        self.held.drain(..count);
    }
}

/// Where `needle` begins in `bytes`.
fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|b| *b == first) {
        if bytes[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// How many last bytes of `bytes` could be the beginning of `needle`.
fn overlap(bytes: &[u8], needle: &[u8]) -> usize {
    (1..needle.len().min(bytes.len() + 1)).rev().find(|n| bytes.ends_with(&needle[..*n])).unwrap_or(0)
}

/// Turns a stream of bytes into lines of bounded length.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

/// A longer line is delivered in pieces, so that a command without line feeds needs no memory.
pub(crate) const MAX_LINE: usize = 16 * 1024;

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8], mut deliver: impl FnMut(String)) {
        for byte in bytes {
            if *byte == b'\n' || self.partial.len() >= MAX_LINE {
                self.flush(&mut deliver, true);
            }
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
        }
    }

    /// The stream has ended: the last line may have no line feed.
    pub(crate) fn finish(&mut self, mut deliver: impl FnMut(String)) {
        self.flush(&mut deliver, false);
    }

    fn flush(&mut self, deliver: &mut impl FnMut(String), even_empty: bool) {
        if even_empty || !self.partial.is_empty() {
            let line = String::from_utf8_lossy(&self.partial);
            deliver(line.strip_suffix('\r').unwrap_or(&line).to_owned());
            self.partial.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_are_found_however_the_stream_is_cut(data in proptest::collection::vec(prop_oneof![Just(0x1eu8), Just(b'n'), Just(b' '), any::<u8>()], 0..60), size in 1usize..9) {
            let mut stream = b"noise\x1en begin\x1e".to_vec();
            let clean: Vec<u8> = data.into_iter().filter(|b| *b != 0x1e).collect();
            stream.extend_from_slice(&clean);
            stream.extend_from_slice(b"\x1en tick\x1e\x1e tail\x1en exit 7\x1eafter");
            let (mut marks, mut out, mut found) = (Marks::new("n"), Vec::new(), Vec::new());
            for chunk in stream.chunks(size) {
                found.extend(marks.push(chunk, &mut out));
            }
            marks.finish(&mut out);
            let mut expected = clean;
            expected.extend_from_slice(b"\x1e tailafter");
            prop_assert_eq!(out, expected);
            prop_assert_eq!(found, vec!["exit 7".to_owned()]);
            prop_assert_eq!(marks.noise(), None);
        }
    }

    #[test]
    fn a_tail_keeps_the_last_bytes_and_counts_the_rest() {
        let mut tail = Tail::new(4);
        for byte in 0..100u8 {
            tail.push(&[byte]);
        }
        assert_eq!(tail.finish(), (vec![96, 97, 98, 99], 96));
    }

    #[test]
    fn what_a_host_says_cannot_drive_a_terminal() {
        let shown = "a\tb\u{fffd}[2J\u{fffd}]0;title\u{fffd}\u{fffd}31mü";
        assert_eq!(printable("a\tb\x1b[2J\x1b]0;title\x07\u{9b}31mü"), shown);
    }

    #[test]
    fn lines_are_bounded_and_lossy() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        lines.push(b"a\xff\r\n\nb", |line| seen.push(line));
        lines.push(&vec![b'x'; MAX_LINE], |line| seen.push(line));
        lines.finish(|line| seen.push(line));
        assert_eq!(seen[..2], ["a\u{fffd}".to_owned(), String::new()]);
        assert_eq!(seen[2].len(), MAX_LINE);
        assert_eq!(seen.len(), 4);
    }
}
