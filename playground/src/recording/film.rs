//! What a terminal shows over time, as frames.

use std::time::Duration;

use vt100::{Cell, Color, Parser};

/// Frames are no closer together: nobody sees more, and each costs room.
const FRAME_MS: u64 = 100;
/// A longer time without anything new is shortened to this.
const LONGEST_WAIT: Duration = Duration::from_millis(1500);
/// So long a word takes to type.
const WORD: Duration = Duration::from_millis(180);
/// Lines that the terminal keeps of what was scrolled away.
const KEPT: usize = 200;
/// Until whoever looks has scrolled up to what was scrolled away, and how long he then looks at the end.
const SCROLLING: Duration = Duration::from_millis(800);
const END: Duration = Duration::from_millis(2000);

/// The terminal's own text and ground.
pub const TEXT: (u8, u8, u8) = (0xd5, 0xda, 0xe3);
pub const GROUND: (u8, u8, u8) = (0x16, 0x1b, 0x22);

/// How characters look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub foreground: Color,
    pub background: Color,
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
}

impl Style {
    fn of(cell: &Cell) -> Style {
        let (foreground, background) = match (cell.fgcolor(), cell.bgcolor()) {
            colours if !cell.inverse() => colours,
            (text, ground) => (set(ground, GROUND), set(text, TEXT)),
        };
        let (bold, dim, italic, underline) = (cell.bold(), cell.dim(), cell.italic(), cell.underline());
        Style { foreground, background, bold, dim, italic, underline }
    }
}

/// A colour that is said, in place of the terminal's own.
fn set(colour: Color, own: (u8, u8, u8)) -> Color {
    if colour == Color::Default { Color::Rgb(own.0, own.1, own.2) } else { colour }
}

/// Characters of one style, beginning at a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub column: u16,
    /// In cells.
    pub width: u16,
    pub text: String,
    pub style: Style,
}

/// One row of the screen; empty runs are left out.
pub type Row = Vec<Run>;

/// What the terminal shows from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub at_ms: u64,
    pub rows: Vec<Row>,
}

/// A film that is being made.
pub struct Film {
    parser: Parser,
    frames: Vec<Frame>,
    /// The film's time, in which long waits are short.
    now: Duration,
    /// How much of the real time was left out.
    skipped: Duration,
}

impl Film {
    /// An empty terminal of (rows, columns).
    pub fn new((rows, columns): (u16, u16)) -> Film {
        let (now, skipped) = (Duration::ZERO, Duration::ZERO);
        Film { parser: Parser::new(rows, columns, KEPT), frames: Vec::new(), now, skipped }
    }

    /// The time that the next byte belongs to, as [`Film::show`] wants it.
    pub fn now(&self) -> Duration {
        self.now + self.skipped
    }

    /// An empty screen, and nothing above it.
    pub fn clear(&mut self) {
        let (rows, columns) = self.parser.screen().size();
        self.parser = Parser::new(rows, columns, KEPT);
    }

    /// The prompt, and a line typed behind it word by word.
    pub fn type_line(&mut self, line: &str) {
        self.feed(b"\x1b[1;32m$\x1b[0m ");
        for word in line.split_inclusive(' ') {
            self.now += WORD;
            self.feed(word.as_bytes());
        }
        self.now += WORD;
        self.feed(b"\r\n");
    }

    /// What a program printed at a moment.
    pub fn show(&mut self, at: Duration, bytes: &[u8]) {
        let passed = at.saturating_sub(self.now());
        self.skipped += passed.saturating_sub(LONGEST_WAIT);
        self.now += passed.min(LONGEST_WAIT);
        self.feed(bytes);
    }

    /// Somebody looks at it for so long: first at what was scrolled away, then at the end.
    pub fn look(&mut self, time: Duration) {
        let screen = self.parser.screen_mut();
        screen.set_scrollback(KEPT);
        if screen.scrollback() > 0 {
            self.now += SCROLLING;
            self.take();
            self.now += time;
            self.parser.screen_mut().set_scrollback(0);
            self.take();
            self.now += END;
        } else {
            self.now += time;
        }
    }

    /// What the screen says.
    pub fn text(&self) -> String {
        self.parser.screen().contents()
    }

    /// The frames, the last of which only says when the film is over.
    pub fn end(mut self) -> Vec<Frame> {
        let at_ms = u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX);
        let rows = self.frames.last().map(|last| last.rows.clone()).unwrap_or_default();
        self.frames.push(Frame { at_ms, rows });
        self.frames
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.take();
    }

    /// Takes a frame, where anything is new.
    fn take(&mut self) {
        let rows = self.rows();
        let at_ms = u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX) / FRAME_MS * FRAME_MS;
        match self.frames.last_mut() {
            Some(last) if last.rows == rows => {}
            Some(last) if last.at_ms == at_ms => last.rows = rows,
            _ => self.frames.push(Frame { at_ms, rows }),
        }
    }

    fn rows(&self) -> Vec<Row> {
        let (rows, columns) = self.parser.screen().size();
        (0..rows).map(|row| self.row(row, columns)).collect()
    }

    fn row(&self, row: u16, columns: u16) -> Row {
        let screen = self.parser.screen();
        let mut runs = Row::new();
        for column in 0..columns {
            let Some(cell) = screen.cell(row, column) else { continue };
            let style = Style::of(cell);
            let text = if cell.has_contents() { cell.contents() } else { " " };
            let is_blank = text == " " && style.background == Color::Default && !style.underline;
            if is_blank || cell.is_wide_continuation() {
                continue;
            }
            let width = if cell.is_wide() { 2 } else { 1 };
            match runs.last_mut() {
                // One blank between words of a style is no reason for another run.
                Some(last) if last.style == style && last.column + last.width + 1 >= column => {
                    if last.column + last.width < column {
                        last.text.push(' ');
                        last.width += 1;
                    }
                    last.text.push_str(text);
                    last.width += width;
                }
                _ => runs.push(Run { column, width, text: text.to_owned(), style }),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_sampled_and_long_waits_are_short() {
        let mut film = Film::new((2, 10));
        film.show(Duration::from_millis(10), b"a");
        film.show(Duration::from_millis(20), b"b");
        film.show(Duration::from_secs(20), b"\r\n\x1b[1mc\x1b[0m  d");
        film.look(Duration::from_secs(1));
        let frames = film.end();
        let texts: Vec<(u64, Vec<Vec<&str>>)> = frames
            .iter()
            .map(|frame| {
                let texts = |row: &Row| row.iter().map(|run| run.text.clone().leak() as &str).collect();
                (frame.at_ms, frame.rows.iter().map(texts).collect())
            })
            .collect();
        let last = vec![vec!["ab"], vec!["c", "d"]];
        assert_eq!(texts, [(0, vec![vec!["ab"], vec![]]), (1500, last.clone()), (2520, last)]);
        assert_eq!(frames[1].rows[1].iter().map(|run| run.column).collect::<Vec<_>>(), [0, 3]);
    }

    #[test]
    fn what_was_scrolled_away_is_looked_at_first() {
        let mut film = Film::new((2, 10));
        film.show(Duration::ZERO, b"a\r\nb\r\nc");
        film.look(Duration::from_secs(3));
        let first: Vec<(u64, String)> =
            film.end().iter().map(|frame| (frame.at_ms, frame.rows[0][0].text.clone())).collect();
        let of = |text: &str| text.to_owned();
        assert_eq!(first, [(0, of("b")), (800, of("a")), (3800, of("b")), (5800, of("b"))]);
    }

    #[test]
    fn inverse_characters_have_a_background() {
        let mut film = Film::new((1, 10));
        film.show(Duration::ZERO, b"\x1b[7;34m  x\x1b[0m");
        let frames = film.end();
        let run = &frames[0].rows[0][0];
        assert_eq!((run.text.as_str(), run.width, run.style.background), ("  x", 3, Color::Idx(4)));
    }
}
