//! All printing of the program. Results go to stdout, everything about how they came to be to stderr.

use std::io::{IsTerminal, Write};

use super::{
    answer::Answer,
    args::{ColorWhen, Global},
    error::CliError,
    measure::folded,
    terminal::{self, Glyphs, can_draw},
};
use crate::engine::Exit;

/// Longer lines of prose are hard to read.
const WIDEST: usize = 118;

/// How to print, and under which name.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// The name that the program was called by: `bg` or `bluegreen`.
    pub called: &'static str,
    /// One document on stdout.
    pub json: bool,
    /// Nothing but how it ended.
    pub quiet: bool,
    /// More about what happens.
    pub verbose: bool,
    /// Whether stdout is a terminal.
    pub terminal: bool,
    /// Whether stderr is one.
    pub terminal_err: bool,
    /// Colours on stdout.
    pub color: bool,
    /// Colours on stderr.
    pub color_err: bool,
    /// Whether what goes on is drawn on stderr, and not said in lines.
    pub live: bool,
    /// Whether stdout can be drawn on again and again.
    pub redraws: bool,
    /// The columns of stdout; 80 where it is no terminal.
    pub width: usize,
    /// What is drawn with on stdout.
    pub glyphs: Glyphs,
    /// The same on stderr.
    pub glyphs_err: Glyphs,
}

/// The same text with every `bg …` in it under the name that the program was called by: after a backtick or a quote, and at
/// the beginning of an indented line of an example.
pub fn under_name(text: &str, called: &str) -> String {
    if called == "bg" {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        let rest = line.trim_start();
        let indent = line.len() - rest.len();
        match rest.strip_prefix("bg ") {
            Some(rest) if indent > 0 => {
                out.push_str(&format!("{}{called} {}", &line[..indent], rest.replace("`bg ", &format!("`{called} "))));
            }
            _ => out.push_str(&line.replace("`bg ", &format!("`{called} "))),
        }
    }
    out
}

impl Screen {
    /// From the command line and the terminal.
    pub fn new(called: &'static str, global: &Global) -> Screen {
        let is = |name: &str, what: fn(&str) -> bool| std::env::var(name).is_ok_and(|value| what(&value));
        let plain = is("NO_COLOR", |value| !value.is_empty()) || is("TERM", |value| value == "dumb");
        let color = |terminal: bool| match global.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => terminal && !plain,
        };
        Screen {
            called,
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            terminal: std::io::stdout().is_terminal(),
            terminal_err: std::io::stderr().is_terminal(),
            color: color(std::io::stdout().is_terminal()),
            color_err: color(std::io::stderr().is_terminal()),
            live: std::io::stderr().is_terminal() && !global.json && !global.quiet && can_draw(),
            redraws: std::io::stdout().is_terminal() && !global.json && can_draw(),
            width: terminal::size().unwrap_or(terminal::USUAL).width,
            glyphs: Glyphs::of_locale(std::io::stdout().is_terminal()),
            glyphs_err: Glyphs::of_locale(std::io::stderr().is_terminal()),
        }
    }

    /// For the time before the command line is understood.
    pub fn bare(called: &'static str, json: bool) -> Screen {
        let (terminal, terminal_err) = (false, false);
        let (color, color_err, live, redraws) = (false, false, false, false);
        let (width, glyphs) = (terminal::USUAL.width, terminal::UNICODE);
        Screen {
            called,
            json,
            quiet: false,
            verbose: false,
            terminal,
            terminal_err,
            color,
            color_err,
            live,
            redraws,
            width,
            glyphs,
            glyphs_err: glyphs,
        }
    }

    /// The same as the locale says.
    pub fn early(called: &'static str, json: bool) -> Screen {
        let glyphs = Glyphs::of_locale(std::io::stdout().is_terminal());
        let glyphs_err = Glyphs::of_locale(std::io::stderr().is_terminal());
        Screen { glyphs, glyphs_err, ..Screen::bare(called, json) }
    }

    /// How wide prose is, indented or not: never so wide that the eye loses the line.
    pub fn prose(&self) -> usize {
        self.width.saturating_sub(2).clamp(20, WIDEST)
    }

    /// Text for stdout, under the name that the program was called by.
    pub fn named(&self, text: &str) -> String {
        under_name(&self.glyphs.spell(text), self.called)
    }

    /// The same for stderr.
    pub fn named_err(&self, text: &str) -> String {
        under_name(&self.glyphs_err.spell(text), self.called)
    }

    /// A result. A reader that is gone is no error of ours; whether there is one is returned.
    pub fn out(&self, text: &str) -> bool {
        self.raw(&self.named(text))
    }

    /// Something on the way.
    pub fn err(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", self.named_err(text));
    }

    /// What a command ended with.
    pub fn answer(&self, answer: &Answer) {
        if self.json {
            let named = Answer {
                message: under_name(&answer.message, self.called),
                hint: answer.hint.as_deref().map(|hint| under_name(hint, self.called)),
                ..answer.clone()
            };
            self.raw(&named.document());
            return;
        }
        if answer.exit == Exit::Done {
            let width = terminal::size().map(|size| size.width);
            self.out(&fold(&self.named(&answer.message), width));
            if let Some(hint) = &answer.hint {
                let text = fold(&self.named(&format!("next: {hint}")), width);
                self.raw(&text.replacen("next:", &self.paint_out("next:", "1"), 1));
            }
            return;
        }
        let width = terminal::size_err().map(|size| size.width);
        let said =
            [Some(("error:", "1;31", &answer.message)), answer.hint.as_ref().map(|hint| ("hint:", "1;36", hint))];
        for (word, style, text) in said.into_iter().flatten() {
            let text = fold(&self.named_err(&format!("{word} {text}")), width);
            self.raw_err(&text.replacen(word, &self.paint_err(word, style), 1));
        }
    }

    /// What ended a command early.
    pub fn error(&self, error: &CliError) {
        if !self.json
            && let Some(detail) = error.detail(self.color_err, terminal::size_err().map(|size| size.width))
        {
            self.err(&detail);
        }
        self.answer(&Answer::from(error));
    }

    /// A line that is not ours to rename.
    pub fn raw(&self, line: &str) -> bool {
        self.write(line).is_ok()
    }

    /// The same, with the reason where it could not be written.
    pub fn write(&self, line: &str) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}").and_then(|()| stdout.flush())
    }

    /// What drives the terminal that stdout is. Whether it is there still.
    pub fn draw(&self, bytes: &str) -> bool {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes.as_bytes()).and_then(|()| stdout.flush()).is_ok()
    }

    /// The same on stderr.
    pub fn raw_err(&self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// `text` in an ANSI style on stdout.
    pub fn paint_out(&self, text: &str, style: &str) -> String {
        paint(text, style, self.color)
    }

    /// `text` in an ANSI style on stderr.
    pub fn paint_err(&self, text: &str, style: &str) -> String {
        paint(text, style, self.color_err)
    }
}

/// For a terminal of that width in lines that end between words, but for indented ones, which somebody may copy; anything else
/// gets the text as it is.
fn fold(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let fold = |line: &str| match line.starts_with(' ') {
        true => vec![line.to_owned()],
        false => folded(line, width.saturating_sub(1)),
    };
    text.lines().flat_map(fold).collect::<Vec<_>>().join("\n")
}

fn paint(text: &str, style: &str, color: bool) -> String {
    if color { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{fold, under_name};

    #[test]
    fn an_answer_is_folded_for_a_terminal_but_what_is_to_be_copied_is_not() {
        let text = "Add, once, in `http`:\n  include /etc/nginx/bg/shop/http.conf;";
        assert_eq!(fold(text, None), text);
        assert_eq!(fold(text, Some(20)), "Add, once, in\n`http`:\n  include /etc/nginx/bg/shop/http.conf;");
    }

    #[test]
    fn commands_in_texts_are_shown_under_the_name_that_was_called() {
        let text = "`bg resume` finishes it\n  bg deploy --canary `bg x`\nbg is a builtin";
        let named = "`bluegreen resume` finishes it\n  bluegreen deploy --canary `bluegreen x`\nbg is a builtin";
        assert_eq!(under_name(text, "bluegreen"), named);
        assert_eq!(under_name(text, "bg"), text);
    }
}
