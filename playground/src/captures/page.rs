//! The page that panes are written into: its prose is its own, and each pane has a place with a name.
//!
//! ```text
//! <!-- pane drain at 80x24: begin -->
//! <!-- pane drain at 80x24: end -->
//! ```

use std::{fs, path::Path};

use bg_playground::{Error, Result};

use super::terminal::Size;

/// What playgrounds are called on the page, whose names are random.
const NAMED: &str = "/tmp/bgpg-XWH4yA";

/// A document with places for panes.
pub struct Page<'a> {
    file: &'a Path,
    text: String,
    /// Names of those that were written.
    written: Vec<String>,
}

impl Page<'_> {
    /// Reads it.
    pub fn read(file: &Path) -> Result<Page<'_>> {
        let text = fs::read_to_string(file).map_err(io("cannot read", file))?;
        Ok(Page { file, text, written: Vec::new() })
    }

    /// Puts a pane into its place. `dir` is the playground's, which is named neutrally.
    pub fn put(&mut self, name: &str, (columns, rows): Size, dir: &Path, pane: &str) -> Result<()> {
        let name = format!("{name} at {columns}x{rows}");
        println!("\n{name}\n\n{pane}");
        let text = shown(pane).replace(&dir.display().to_string(), NAMED);
        let found = filled(&self.text, &name, &text);
        self.text =
            found.ok_or_else(|| Error::Unknown(format!("`{}` has no place for `{name}`", self.file.display())))?;
        self.written.push(name);
        Ok(())
    }

    /// Writes it, when every place has a pane.
    pub fn write(self) -> Result<()> {
        let left: Vec<&str> = places(&self.text).filter(|name| !self.written.iter().any(|it| it == name)).collect();
        if !left.is_empty() {
            let left = left.join("`, `");
            return Err(Error::Unknown(format!("nothing was captured for `{left}` in `{}`", self.file.display())));
        }
        fs::write(self.file, self.text).map_err(io("cannot write", self.file))
    }
}

/// What a pane says: no prompt that waits, and no blank lines below.
fn shown(pane: &str) -> String {
    let text = pane.trim_end();
    let text = text.strip_suffix("\n$").unwrap_or(text);
    text.trim_start_matches('\n').trim_end().to_owned()
}

fn places(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("<!-- pane ")?.strip_suffix(": begin -->"))
}

/// The text with the pane in the place of that name, if it has one.
fn filled(text: &str, name: &str, pane: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- pane {name}: begin -->\n"), format!("<!-- pane {name}: end -->\n"));
    let (head, rest) = text.split_once(&begin)?;
    let (_, tail) = rest.split_once(&end)?;
    Some(format!("{head}{begin}```console\n{pane}\n```\n{end}{tail}"))
}

fn io(what: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let object = file.display().to_string();
    move |source| Error::Io { what, object, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pane_is_put_into_its_place_and_nothing_else_changes() {
        let text = "a\n<!-- pane one at 80x24: begin -->\nold\n<!-- pane one at 80x24: end -->\nb\n";
        let wanted =
            "a\n<!-- pane one at 80x24: begin -->\n```console\n$ bg\n```\n<!-- pane one at 80x24: end -->\nb\n";
        assert_eq!(filled(text, "one at 80x24", "$ bg").as_deref(), Some(wanted));
        assert_eq!(filled(text, "two at 80x24", "$ bg"), None);
        assert_eq!(places(text).collect::<Vec<_>>(), ["one at 80x24"]);
    }

    #[test]
    fn neither_a_waiting_prompt_nor_blank_lines_are_shown() {
        assert_eq!(shown("$ bg flip\ndone\n$ \n\n"), "$ bg flip\ndone");
        assert_eq!(shown("\n  web1\n\n"), "  web1");
    }
}
