//! Text as a terminal shows it: columns, cuts, lines of styled pieces.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::terminal::Glyphs;

/// How many columns `text` takes.
pub fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` in at most `width` columns; what was cut off is replaced by `more`.
pub fn cut(text: &str, width: usize, more: &str) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(columns(more));
    let mut kept = head(text, room).to_owned();
    kept.push_str(head(more, width));
    kept
}

/// The same of a text with ANSI styles, which take no room and end where it is cut.
pub fn cut_painted(text: &str, width: usize, more: &str) -> String {
    let (mut cut, mut used, mut rest) = (String::new(), 0, text);
    // What is kept when the text turns out to be too long, and whether a style is open there.
    let room = width.saturating_sub(columns(more));
    let mut short = None;
    while let Some(char) = rest.chars().next() {
        if let Some(style) = rest.strip_prefix("\x1b[").and_then(|after| after.find('m')) {
            let (escape, after) = rest.split_at(style + 3);
            cut.push_str(escape);
            rest = after;
            continue;
        }
        let wide = char.width().unwrap_or(0);
        if used + wide > room && short.is_none() {
            short = Some(cut.len());
        }
        used += wide;
        if used > width {
            cut.truncate(short.unwrap_or(0));
            let is_open = cut.rfind("\x1b[").is_some_and(|at| !cut[at..].starts_with("\x1b[0m"));
            let reset = if is_open { "\x1b[0m" } else { "" };
            return format!("{cut}{}{reset}", head(more, width));
        }
        cut.push(char);
        rest = &rest[char.len_utf8()..];
    }
    cut
}

/// The longest beginning of `text` that takes at most `width` columns.
fn head(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, char) in text.char_indices() {
        used += char.width().unwrap_or(0);
        if used > width {
            return &text[..at];
        }
    }
    text
}

/// `text` filled up with blanks to `width` columns.
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The first line of `text`, without what could drive a terminal.
pub fn one_line(text: &str) -> String {
    clean(text.trim().lines().next().unwrap_or_default())
}

/// `text` without what could drive a terminal: tabs are blanks, other control characters marks.
fn clean(text: &str) -> String {
    let shown = |char: char| match char {
        '\t' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    };
    text.chars().map(shown).collect()
}

/// `text` in lines of at most `width` columns, broken at blanks but not inside of `` `…` ``, which somebody may copy; its own
/// lines stay lines, and what is indented stays so. A longer word is cut in pieces.
pub fn folded(text: &str, width: usize) -> Vec<String> {
    text.lines().flat_map(|line| folded_line(&clean(line), width.max(1))).collect()
}

fn folded_line(line: &str, width: usize) -> Vec<String> {
    let text = line.trim_start();
    let indent = " ".repeat((line.len() - text.len()).min(width / 2));
    let room = width - indent.len();
    let mut lines: Vec<String> = Vec::new();
    for word in words(text, room) {
        if let Some(last) = lines.last_mut()
            && columns(last) + 1 + columns(word) <= room
        {
            last.push(' ');
            last.push_str(word);
            continue;
        }
        let mut rest = word;
        while columns(rest) > room {
            // At least one character, however narrow it is.
            let piece = head(rest, room).len().max(rest.chars().next().map_or(1, char::len_utf8));
            lines.push(rest[..piece].to_owned());
            rest = &rest[piece..];
        }
        if !rest.is_empty() {
            lines.push(rest.to_owned());
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines.into_iter().map(|line| format!("{indent}{line}")).collect()
}

/// The words of a line; what stands between backticks is one, unless it is longer than `room`.
fn words(text: &str, room: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (mut end, mut is_quoted) = (rest.len(), false);
        for (at, char) in rest.char_indices() {
            match char {
                '`' => is_quoted = !is_quoted && rest[at + 1..].contains('`'),
                ' ' if !is_quoted => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let (word, after) = rest.split_at(end);
        if columns(word) > room {
            words.extend(word.split(' ').filter(|word| !word.is_empty()));
        } else {
            words.push(word);
        }
        rest = after.trim_start();
    }
    words
}

/// A piece of a line in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Free of control characters.
    text: String,
    /// ANSI codes such as `1;31`; empty: plain.
    style: &'static str,
}

/// A line of a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(Vec<Piece>);

impl Line {
    /// An unstyled line.
    pub fn plain(text: &str) -> Line {
        Line::default().with(text, "")
    }

    /// The same with one more piece.
    pub fn with(mut self, text: &str, style: &'static str) -> Line {
        self.0.push(Piece { text: clean(text), style });
        self
    }

    /// How many columns it takes.
    pub fn columns(&self) -> usize {
        self.0.iter().map(|piece| columns(&piece.text)).sum()
    }

    /// The same as it can be shown.
    pub fn spelled(self, glyphs: &Glyphs) -> Line {
        let spell = |piece: Piece| Piece { text: glyphs.spell(&piece.text).into_owned(), ..piece };
        Line(self.0.into_iter().map(spell).collect())
    }

    /// At most `width` columns of it.
    pub fn cut(self, width: usize, more: &str) -> Line {
        if self.columns() <= width {
            return self;
        }
        let (mut left, mut pieces) = (width, Vec::new());
        let mut rest = self.0.into_iter().peekable();
        while let Some(piece) = rest.next() {
            let is_last = rest.peek().is_none();
            let taken = columns(&piece.text);
            // The mark must fit behind what is kept.
            if taken + if is_last { 0 } else { columns(more) } > left {
                let text = if taken > left {
                    cut(&piece.text, left, more)
                } else {
                    cut(&format!("{}{more}", piece.text), left, more)
                };
                pieces.push(Piece { text, ..piece });
                break;
            }
            left -= taken;
            pieces.push(piece);
        }
        Line(pieces)
    }

    /// Without styles, and without the blanks at its end.
    pub fn text(&self) -> String {
        let text: String = self.0.iter().map(|piece| piece.text.as_str()).collect();
        text.trim_end().to_owned()
    }

    /// With ANSI styles, when `color`.
    pub fn painted(&self, color: bool) -> String {
        if !color {
            return self.text();
        }
        let paint = |piece: &Piece| match piece.style {
            "" => piece.text.clone(),
            style => format!("\x1b[{style}m{}\x1b[0m", piece.text),
        };
        self.0.iter().map(paint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_are_never_cut_in_half() {
        assert_eq!(columns("服务器"), 6);
        assert_eq!(cut("服务器一号", 7, "…"), "服务器…");
        assert_eq!(cut("服务器一号", 6, "…"), "服务…");
        assert_eq!(cut("ab", 1, "..."), ".");
        assert_eq!(padded("服", 4), "服  ");
    }

    #[test]
    fn styles_take_no_room_and_end_where_the_text_is_cut() {
        let text = "\x1b[1mbold\x1b[0m and 服务器";
        assert_eq!(cut_painted(text, 15, "…"), text);
        assert_eq!(cut_painted(text, 14, "…"), "\x1b[1mbold\x1b[0m and 服务…");
        assert_eq!(cut_painted(text, 3, "…"), "\x1b[1mbo…\x1b[0m");
        assert_eq!(cut_painted("plain", 4, "..."), "p...");
    }

    #[test]
    fn a_line_is_cut_across_its_pieces() {
        let line = || Line::plain("[1/8] ").with("drain green", "1").with("  12 s", "2");
        assert_eq!(line().cut(80, "…").text(), "[1/8] drain green  12 s");
        assert_eq!(line().cut(12, "…").text(), "[1/8] drain…");
        assert_eq!(line().cut(17, "…").text(), "[1/8] drain gree…");
        assert_eq!(line().cut(6, "…").text(), "[1/8]…");
        for width in 0..30 {
            assert!(line().cut(width, "…").columns() <= width, "{width}");
        }
        assert_eq!(line().painted(true), "[1/8] \x1b[1mdrain green\x1b[0m\x1b[2m  12 s\x1b[0m");
    }

    #[test]
    fn what_a_host_says_cannot_drive_the_terminal() {
        assert_eq!(Line::plain("a\x1b[2Jb\tc").painted(true), "a\u{fffd}[2Jb c");
        assert_eq!(one_line("first\r\nsecond"), "first");
        assert_eq!(folded("a\rb", 10), ["a\u{fffd}b"]);
    }

    #[test]
    fn text_is_folded_at_blanks_and_commands_stay_whole() {
        let text = "next comes `bg canary mobile=10%` or `bg flip`";
        assert_eq!(folded(text, 24), ["next comes", "`bg canary mobile=10%`", "or `bg flip`"]);
        assert_eq!(folded(text, 12), ["next comes", "`bg canary", "mobile=10%`", "or `bg flip`"]);
        assert_eq!(folded("  a quoted line\nb", 9), ["  a", "  quoted", "  line", "b"]);
        assert_eq!(folded("a ` b", 3), ["a `", "b"]);
        assert_eq!(folded("服务器一号", 4), ["服务", "器一", "号"]);
        assert_eq!(folded("服", 1), ["服"]);
        assert_eq!(folded("", 5), Vec::<String>::new());
    }
}
