//! Lines that somebody types while something is drawn: the terminal shows them, and so moves the cursor down. Nothing is read
//! of them and no mode of the terminal is changed: they are for the shell, and there is nothing to put back.

use std::{io::stderr, os::fd::AsFd};

use rustix::{
    io::ioctl_fionread,
    termios::{LocalModes, tcgetattr},
};

/// What was typed, by how much waits to be read.
#[derive(Debug, Default)]
pub struct Typed {
    waits: u64,
    lines: usize,
}

impl Typed {
    /// Looks again, several times a second: what came since counts as one line. It may have been more, and then a line of the
    /// picture stays; but nothing that is to stay is ever drawn over.
    pub fn look(&mut self) {
        self.saw(waiting(stderr()).unwrap_or(0));
    }

    fn saw(&mut self, waits: u64) {
        if waits > self.waits {
            self.lines += 1;
        }
        self.waits = waits;
    }

    /// So many lines since the last time.
    pub fn take(&mut self) -> usize {
        std::mem::take(&mut self.lines)
    }
}

/// How many bytes of whole lines wait in the terminal, where it shows what is typed, line by line.
fn waiting(terminal: impl AsFd) -> Option<u64> {
    let modes = tcgetattr(&terminal).ok()?.local_modes;
    if modes.contains(LocalModes::ICANON | LocalModes::ECHO) { ioctl_fionread(&terminal).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_growth_is_a_line_and_what_was_read_or_thrown_away_is_none() {
        let mut typed = Typed::default();
        for waits in [0, 1, 1, 2, 8] {
            typed.saw(waits);
        }
        assert_eq!((typed.take(), typed.take()), (3, 0));
        // The shell reads them, or Ctrl-C throws them away.
        for waits in [0, 0, 1] {
            typed.saw(waits);
        }
        assert_eq!(typed.take(), 1);
    }
}
