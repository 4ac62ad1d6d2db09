//! A terminal's pane: what a program that draws leaves on it. As most terminals do, it folds lines anew when its width changes.

use std::iter::Peekable;

use unicode_width::UnicodeWidthChar;

/// Stands in the second column of a wide character.
const SECOND: char = '\0';

#[derive(Debug, Clone, Default)]
struct Row {
    cells: Vec<char>,
    /// Whether the next row goes on with the same line.
    goes_on: bool,
}

/// A pane of some columns and rows, and what was scrolled out of it.
#[derive(Debug, Clone)]
pub struct Pane {
    width: usize,
    height: usize,
    rows: Vec<Row>,
    /// The first row that is seen.
    top: usize,
    at: (usize, usize),
}

impl Pane {
    /// An empty one.
    pub fn new(width: usize, height: usize) -> Pane {
        Pane { width, height, rows: vec![Row::default()], top: 0, at: (0, 0) }
    }

    /// What a program writes to it. Knows what bg uses: line ends, cursor up and home, clearing.
    pub fn write(&mut self, text: &str) {
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '\r' => self.at.1 = 0,
                '\n' => self.down(false),
                '\x1b' => self.escape(&mut chars),
                char => self.put(char),
            }
        }
    }

    /// Another size: every line is folded anew.
    pub fn resize(&mut self, width: usize, height: usize) {
        let (row, column) = self.at;
        let rows = std::mem::take(&mut self.rows);
        let (mut line, mut cursor): (Vec<char>, Option<usize>) = (Vec::new(), None);
        for (number, old) in rows.into_iter().enumerate() {
            if number == row {
                cursor = Some(line.len() + column);
            }
            line.extend(old.cells);
            if old.goes_on {
                continue;
            }
            let first = self.rows.len();
            let pieces: Vec<Vec<char>> = line.chunks(width).map(<[char]>::to_vec).collect();
            let count = pieces.len().max(1);
            for at in 0..count {
                let cells = pieces.get(at).cloned().unwrap_or_default();
                self.rows.push(Row { cells, goes_on: at + 1 < count });
            }
            if let Some(offset) = cursor.take() {
                self.at = (first + (offset / width).min(count - 1), offset % width);
            }
            line.clear();
        }
        (self.width, self.height) = (width, height);
        self.top = (self.at.0 + 1).saturating_sub(height);
    }

    /// Every row from the first that was ever written to the last that says something.
    pub fn rows(&self) -> Vec<String> {
        let text = |row: &Row| row.cells.iter().filter(|c| **c != SECOND).collect::<String>().trim_end().to_owned();
        let mut rows: Vec<String> = self.rows.iter().map(text).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    /// The row that the cursor is on, from 0, and its column.
    pub fn cursor(&self) -> (usize, usize) {
        self.at
    }

    fn escape(&mut self, chars: &mut Peekable<impl Iterator<Item = char>>) {
        if chars.next_if_eq(&'[').is_none() {
            return;
        }
        let mut number = String::new();
        for char in chars.by_ref() {
            if char.is_ascii_alphabetic() {
                return self.command(char, number.parse().unwrap_or(1));
            }
            number.push(char);
        }
    }

    fn command(&mut self, command: char, count: usize) {
        match command {
            'A' => self.at.0 = self.at.0.saturating_sub(count).max(self.top),
            'H' => self.at = (self.top, 0),
            'K' => self.clear_row(),
            'J' => {
                self.clear_row();
                self.rows.truncate(self.at.0 + 1);
            }
            _ => {}
        }
    }

    fn clear_row(&mut self) {
        let row = &mut self.rows[self.at.0];
        row.cells.truncate(self.at.1);
        row.goes_on = false;
    }

    fn down(&mut self, goes_on: bool) {
        self.rows[self.at.0].goes_on = goes_on;
        self.at.0 += 1;
        if self.at.0 == self.rows.len() {
            self.rows.push(Row::default());
        }
        self.top = self.top.max((self.at.0 + 1).saturating_sub(self.height));
    }

    fn put(&mut self, char: char) {
        let width = char.width().unwrap_or(0);
        if width == 0 {
            return;
        }
        if self.at.1 + width > self.width {
            self.down(true);
            self.at.1 = 0;
        }
        let (row, column) = self.at;
        let cells = &mut self.rows[row].cells;
        if cells.len() < column + width {
            cells.resize(column + width, ' ');
        }
        cells[column] = char;
        if width == 2 {
            cells[column + 1] = SECOND;
        }
        self.at.1 += width;
    }
}

#[cfg(test)]
mod tests {
    use super::Pane;

    #[test]
    fn what_is_written_is_folded_scrolled_and_cleared() {
        let mut pane = Pane::new(5, 2);
        pane.write("one\r\nabcdefg\r\n");
        assert_eq!(pane.rows(), ["one", "abcde", "fg"]);
        pane.write("\x1b[9A\x1b[1mx\x1b[0m\x1b[K\r\n\x1b[J");
        assert_eq!(pane.rows(), ["one", "abcde", "x"], "no further up than what is seen");
        pane.resize(3, 4);
        // The row above went on in this one, and nothing has written over its end since.
        assert_eq!((pane.rows(), pane.cursor()), (["one", "abc", "dex"].map(str::to_owned).to_vec(), (3, 0)));
        pane.resize(10, 4);
        assert_eq!(pane.rows(), ["one", "abcdex"]);
    }
}
