//! What can go wrong with a playground.

use std::io;
use std::path::Path;

/// An error of the playground; its text is for the person who ran the test or the demo.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that the playground runs is not installed.
    #[error("`{program}` is not installed. Nothing was started. Install it: apt-get install {package}")]
    Missing {
        /// The program that was looked for.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The playground's own binary has not been built.
    #[error("`{0}` does not exist. Nothing was started. Build it: cargo build --workspace")]
    NotBuilt(String),
    /// The file system or the kernel refused.
    #[error("{what} `{object}`: {source}")]
    Io {
        /// What was tried, as "cannot …".
        what: &'static str,
        /// The path or address it was tried on.
        object: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something was started, or told to do something, and did not within its bound.
    #[error("{what} did not within {bound_ms} ms. {said}")]
    TooSlow {
        /// What was waited for.
        what: String,
        /// The bound, in milliseconds.
        bound_ms: u128,
        /// The last lines of its log or output.
        said: String,
    },
    /// A program ended with an error.
    #[error("`{command}` failed ({status}): {said}")]
    Failed {
        /// The command as it was run.
        command: String,
        /// Its exit status, in words.
        status: String,
        /// The last lines of its output.
        said: String,
    },
    /// There is no such host, pool or place in this playground, or it cannot do that.
    #[error("{0}")]
    Unknown(String),
}

/// A result of the playground.
pub type Result<T> = std::result::Result<T, Error>;

/// Turns an `io::Error` into an error that names what was tried, and on what.
pub(crate) trait Naming<T> {
    /// `what` reads as "cannot write"; `object` is the path.
    fn naming(self, what: &'static str, object: impl AsRef<Path>) -> Result<T>;
}

impl<T> Naming<T> for io::Result<T> {
    fn naming(self, what: &'static str, object: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error::Io { what, object: object.as_ref().display().to_string(), source })
    }
}

/// The last `count` lines of a text, for messages.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
