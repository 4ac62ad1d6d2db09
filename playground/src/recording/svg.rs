//! Frames as one animated SVG: no script, no font of its own, and each line of text in it once.
//!
//! The frames lie side by side on a strip, which one CSS animation moves behind a window in steps.

use std::{collections::HashMap, fmt::Write as _};

use vt100::Color;

use super::film::{Frame, GROUND, Row, Run, Style, TEXT};

/// A cell's width in pixels; every run of text is stretched to it, whatever font there is.
const CELL: f64 = 8.4;
/// A row's height in pixels.
const LINE: u32 = 18;
/// From a row's top to its base line.
const BASE: u32 = 13;
/// Around the terminal, in pixels.
const PAD: u32 = 14;
/// The window's title bar.
const BAR: u32 = 28;
/// The sixteen colours of terminals, chosen to be readable on the ground.
const PALETTE: [&str; 16] = [
    "#484f58", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#d5dae3", "#8b949e", "#ffa198",
    "#7ee787", "#f2cc60", "#a5d6ff", "#e2c5ff", "#9be9ef", "#ffffff",
];

/// The film as SVG. Whoever wants no motion, or has no animation, sees the frame that was there longest.
pub fn draw(frames: &[Frame], (rows, columns): (u16, u16)) -> String {
    let width = (f64::from(columns) * CELL).round();
    let height = u32::from(rows) * LINE;
    let (whole_width, whole_height) = (width + f64::from(2 * PAD), height + BAR + PAD);
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole_width} {whole_height}\" width=\"{whole_width}\" \
         height=\"{whole_height}\" role=\"img\">\n<title>A rollout with bg, recorded from a terminal</title>\n"
    );
    out.push_str(&style(frames, width));
    let mut lines = Lines::default();
    let pictures: Vec<String> = frames.iter().map(|frame| lines.picture(&frame.rows)).collect();
    let _ = write!(out, "<defs>\n{}</defs>\n", lines.drawn);
    let ground = hex(GROUND);
    let _ = write!(
        out,
        "<rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"{ground}\" stroke=\"#484f58\"/>\n<g fill=\"#484f58\"><circle cx=\"20\" cy=\"15\" \
         r=\"5\"/><circle cx=\"37\" cy=\"15\" r=\"5\"/><circle cx=\"54\" cy=\"15\" r=\"5\"/></g>\n<svg x=\"{PAD}\" \
         y=\"{BAR}\" width=\"{width}\" height=\"{height}\"><g id=\"film\">\n",
        whole_width - 1.0,
        whole_height - 1
    );
    for (number, picture) in pictures.iter().enumerate() {
        let x = width * number as f64;
        let _ = writeln!(out, "<g transform=\"translate({x})\">{picture}</g>");
    }
    out.push_str("</g></svg>\n</svg>\n");
    out
}

fn style(frames: &[Frame], width: f64) -> String {
    let whole_ms = frames.last().map_or(1, |last| last.at_ms.max(1)) as f64;
    let mut steps = String::new();
    let mut longest = (0, 0);
    for (number, pair) in frames.windows(2).enumerate() {
        let percent = pair[0].at_ms as f64 / whole_ms * 100.0;
        let _ = write!(steps, "{percent:.3}%{{transform:translateX({}px)}}", -(width * number as f64));
        longest = longest.max((pair[1].at_ms - pair[0].at_ms, number));
    }
    let poster = -(width * longest.1 as f64);
    let mut colours = String::new();
    for (number, colour) in PALETTE.iter().enumerate() {
        let _ = write!(colours, ".f{number}{{fill:{colour}}}");
    }
    format!(
        "<style>\ntext{{font:14px ui-monospace,\"DejaVu Sans Mono\",Menlo,Consolas,monospace;fill:{};white-space:pre}}\n\
         .b{{font-weight:bold}}.d{{opacity:.65}}.i{{font-style:italic}}.u{{text-decoration:underline}}{colours}\n\
         #film{{transform:translateX({poster}px);animation:film {:.1}s step-end infinite}}\n\
         @media(prefers-reduced-motion:reduce){{#film{{animation:none}}}}\n@keyframes film{{{steps}}}\n</style>\n",
        hex(TEXT),
        whole_ms / 1000.0
    )
}

/// Every different row, drawn once.
#[derive(Default)]
struct Lines {
    /// Their numbers, by what is drawn.
    known: HashMap<String, usize>,
    drawn: String,
}

impl Lines {
    fn picture(&mut self, rows: &[Row]) -> String {
        let mut out = String::new();
        for (number, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
            let line = self.line(row);
            let y = number * LINE as usize;
            let _ = write!(out, "<use href=\"#l{line}\" y=\"{y}\"/>");
        }
        out
    }

    fn line(&mut self, row: &Row) -> usize {
        let line: String = row.iter().map(run).collect();
        if let Some(known) = self.known.get(&line) {
            return *known;
        }
        let number = self.known.len();
        let _ = writeln!(self.drawn, "<g id=\"l{number}\">{line}</g>");
        self.known.insert(line, number);
        number
    }
}

fn run(run: &Run) -> String {
    let (x, width) = (px(run.column), px(run.width));
    let mut out = String::new();
    if run.style.background != Color::Default {
        let fill = colour(run.style.background);
        let _ = write!(out, "<rect x=\"{x}\" width=\"{width}\" height=\"{LINE}\" fill=\"{fill}\"/>");
    }
    if run.text.trim().is_empty() {
        return out;
    }
    let _ = write!(
        out,
        "<text x=\"{x}\" y=\"{BASE}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\"{}>{}</text>",
        look(&run.style),
        escaped(&run.text)
    );
    out
}

/// The attributes of a style that is not the plain one.
fn look(style: &Style) -> String {
    let mut classes: Vec<String> = Vec::new();
    let flags = [(style.bold, "b"), (style.dim, "d"), (style.italic, "i"), (style.underline, "u")];
    classes.extend(flags.iter().filter(|(is_on, _)| *is_on).map(|(_, class)| (*class).to_owned()));
    let mut fill = String::new();
    match style.foreground {
        Color::Default => {}
        Color::Idx(number @ 0..16) => classes.push(format!("f{number}")),
        other => fill = format!(" style=\"fill:{}\"", colour(other)),
    }
    let class = if classes.is_empty() { String::new() } else { format!(" class=\"{}\"", classes.join(" ")) };
    class + &fill
}

fn colour(colour: Color) -> String {
    match colour {
        Color::Default => hex(TEXT),
        Color::Idx(number @ 0..16) => PALETTE[usize::from(number)].to_owned(),
        Color::Idx(number @ 232..) => {
            let grey = 8 + (number - 232) * 10;
            hex((grey, grey, grey))
        }
        Color::Idx(number) => {
            let level = |place: u8| match (number - 16) / place % 6 {
                0 => 0,
                step => 55 + step * 40,
            };
            hex((level(36), level(6), level(1)))
        }
        Color::Rgb(red, green, blue) => hex((red, green, blue)),
    }
}

fn hex((red, green, blue): (u8, u8, u8)) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Cells in pixels.
fn px(cells: u16) -> f64 {
    (f64::from(cells) * CELL * 10.0).round() / 10.0
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Row {
        let (foreground, background) = (Color::Default, Color::Default);
        let style = Style { foreground, background, bold: false, dim: false, italic: false, underline: false };
        let width = u16::try_from(text.chars().count()).unwrap();
        vec![Run { column: 0, width, text: text.to_owned(), style }]
    }

    #[test]
    fn a_line_is_drawn_once_however_often_it_is_shown() {
        let frame = |at_ms, rows| Frame { at_ms, rows };
        let frames =
            [frame(0, vec![plain("a<b")]), frame(500, vec![plain("c"), plain("a<b")]), frame(1000, Vec::new())];
        let svg = draw(&frames, (2, 10));
        assert_eq!(svg.matches("a&lt;b").count(), 1);
        assert_eq!(svg.matches("href=\"#l0\"").count(), 2);
        assert!(svg.contains("animation:film 1.0s step-end infinite"), "{svg}");
        assert!(svg.contains("0.000%{transform:translateX(-0px)}50.000%{transform:translateX(-84px)}}"), "{svg}");
    }

    #[test]
    fn colours_of_the_cube_and_of_the_greys_are_the_usual_ones() {
        assert_eq!(colour(Color::Idx(196)), "#ff0000");
        assert_eq!(colour(Color::Idx(255)), "#eeeeee");
        assert_eq!(look(&Style { bold: true, foreground: Color::Idx(2), ..plain("x")[0].style }), " class=\"b f2\"");
    }
}
