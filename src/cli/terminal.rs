//! What is known of the terminal: its size, its alphabet, whether it can be drawn on and whether it is ours now.

use std::{
    borrow::Cow,
    env,
    io::{stderr, stdout},
    os::fd::AsFd,
};

use nix::unistd::{getpgrp, tcgetpgrp};
use terminal_size::{Height, Width, terminal_size_of};

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Where nobody says.
pub const USUAL: Size = Size { width: 80, height: 24 };

/// The characters that are drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// A step or host that is through.
    pub done: &'static str,
    /// One that is not.
    pub failed: &'static str,
    /// What was cut off.
    pub more: &'static str,
    /// The part of a bar that is there.
    pub full: &'static str,
    /// The part that is not.
    pub empty: &'static str,
    /// Between two things that are said.
    pub dot: &'static str,
    /// Between two stages.
    pub way: &'static str,
    /// Points to what stands above.
    pub here: &'static str,
    /// Between a host and what it says.
    pub beside: &'static str,
    /// Something is under way: one after the other.
    pub turning: &'static [&'static str],
}

/// For a terminal that shows UTF-8.
pub const UNICODE: Glyphs = Glyphs {
    done: "✓",
    failed: "✗",
    more: "…",
    full: "█",
    empty: "░",
    dot: "·",
    way: "─",
    here: "▲",
    beside: "│",
    turning: &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"],
};

/// For any other.
pub const ASCII: Glyphs = Glyphs {
    done: "+",
    failed: "x",
    more: "...",
    full: "#",
    empty: ".",
    dot: "-",
    way: "-",
    here: "^",
    beside: "|",
    turning: &["|", "/", "-", "\\"],
};

/// What the messages are written with, and how it is spelled in ASCII.
const SPELLED: [(char, &str); 6] = [('·', "-"), ('…', "..."), ('│', "|"), ('→', "->"), ('–', "-"), ('\u{fffd}', "?")];

impl Glyphs {
    /// As the locale says. Where nothing says, a terminal knows ASCII only, as POSIX has it; a file or a pipe gets what is
    /// written, so that the same command writes the same from a shell and from cron.
    pub fn of_locale(is_terminal: bool) -> Glyphs {
        Glyphs::with(is_terminal, |name| env::var(name).ok())
    }

    fn with(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Glyphs {
        if is_utf8(variable).unwrap_or(!is_terminal) { UNICODE } else { ASCII }
    }

    /// A message as it can be shown: only what bg itself writes is spelled otherwise, not names and what hosts say.
    pub fn spell<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if *self == UNICODE || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let spelled = |char: char| SPELLED.iter().find(|(glyph, _)| *glyph == char).map(|(_, ascii)| *ascii);
        let mut shown = String::with_capacity(text.len());
        for char in text.chars() {
            match spelled(char) {
                Some(ascii) => shown.push_str(ascii),
                None => shown.push(char),
            }
        }
        Cow::Owned(shown)
    }
}

/// The first of these that is set decides; `None`: none is.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> Option<bool> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set)?.to_ascii_lowercase();
    Some(locale.contains("utf-8") || locale.contains("utf8"))
}

/// Whether what runs here is a person's terminal that can be drawn on: not one that knows no cursor, and not a CI's log.
pub fn can_draw() -> bool {
    can_draw_with(|name| env::var(name).ok())
}

fn can_draw_with(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value: &String| !value.is_empty());
    set("TERM").is_some_and(|term| term != "dumb") && set("CI").is_none_or(|ci| ci == "false")
}

/// The terminal that stdout is, as it is now.
pub fn size() -> Option<Size> {
    size_of(stdout())
}

/// The same of stderr.
pub fn size_err() -> Option<Size> {
    size_of(stderr())
}

fn size_of(stream: impl AsFd) -> Option<Size> {
    let (Width(width), Height(height)) = terminal_size_of(stream)?;
    Some(Size { width: width.into(), height: height.into() })
}

/// Whether what is drawn on stderr now is drawn for this program's user: a job in the background must leave the shell's
/// prompt alone. A terminal that is not the one that controls us has no say in it.
pub fn is_ours() -> bool {
    tcgetpgrp(stderr()).map_or(true, |group| group == getpgrp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(pairs: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_locale_says_whether_more_than_ascii_is_shown() {
        for is_terminal in [true, false] {
            let of = |pairs: &[(&str, &str)]| Glyphs::with(is_terminal, with(pairs));
            assert_eq!(of(&[("LANG", "en_US.UTF-8")]), UNICODE);
            assert_eq!(of(&[("LANG", "C"), ("LC_ALL", "C.utf8")]), UNICODE);
            assert_eq!(of(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]), ASCII);
            assert_eq!(of(&[("LANG", "en_US.UTF-8"), ("LC_CTYPE", "POSIX")]), ASCII);
            assert_eq!(of(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "")]), UNICODE);
        }
        assert_eq!([true, false].map(|is_terminal| Glyphs::with(is_terminal, with(&[]))), [ASCII, UNICODE]);
    }

    #[test]
    fn messages_are_spelled_in_ascii_and_names_are_left_alone() {
        let text = "`bg resume` · `bg -i PATH …` │ v1 → v2: 0–100% of Zürich";
        assert_eq!(UNICODE.spell(text), text);
        assert_eq!(ASCII.spell(text), "`bg resume` - `bg -i PATH ...` | v1 -> v2: 0-100% of Zürich");
    }

    #[test]
    fn a_dumb_terminal_and_a_ci_are_not_drawn_on() {
        assert!(can_draw_with(with(&[("TERM", "xterm-256color")])));
        assert!(!can_draw_with(with(&[("TERM", "dumb")])));
        assert!(!can_draw_with(with(&[])));
        assert!(!can_draw_with(with(&[("TERM", "xterm"), ("CI", "true")])));
        assert!(!can_draw_with(with(&[("TERM", "xterm"), ("CI", "1")])));
        assert!(can_draw_with(with(&[("TERM", "xterm"), ("CI", "false")])));
    }
}
