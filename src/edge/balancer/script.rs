//! The constant shell scripts, and the form of what they answer.

/// One of the scripts that run on a balancer, whole as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Its name, for messages.
    pub name: &'static str,
    /// POSIX sh; values arrive as `"$1"`…
    pub text: &'static str,
}

macro_rules! script {
    ($name:literal) => {
        Script { name: $name, text: concat!(include_str!("common.sh"), include_str!(concat!($name, ".sh"))) }
    };
    ($name:literal with $part:literal) => {
        Script {
            name: $name,
            text: concat!(
                include_str!("common.sh"),
                include_str!(concat!($part, ".sh")),
                include_str!(concat!($name, ".sh"))
            ),
        }
    };
}

pub(super) const LOOK: Script = script!("look" with "arms");
pub(super) const DIRS: Script = script!("dirs");
pub(super) const PREPARE: Script = script!("prepare");
pub(super) const COMMIT: Script = script!("commit" with "arms");
pub(super) const ARM: Script = script!("arm" with "arms");
pub(super) const DISARM: Script = script!("disarm" with "arms");
/// The timer: it runs on a balancer by itself.
pub(super) const REVERT: Script = script!("revert" with "arms");
pub(super) const WRITE_CONF: Script = script!("write_conf" with "conf");
pub(super) const RESTORE_CONF: Script = script!("restore_conf" with "conf");
pub(super) const SETTLE_CONF: Script = script!("settle_conf" with "conf");
pub(super) const RELOAD: Script = script!("reload" with "conf");
pub(super) const DUMP: Script = script!("dump");
pub(super) const LOG_SINCE: Script = script!("log_since");
pub(super) const ADDRESSES: Script = script!("addresses");

/// The exit code by which a script says that it lacks a right; `no_right COMMAND` stands on its stdout.
pub(super) const NO_RIGHT_EXIT: i32 = 77;

/// What a script found: `word value…` lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer(Vec<(String, String)>);

impl Answer {
    pub fn read(stdout: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(stdout);
        let lines = text.lines().map(|line| {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            (word.to_owned(), rest.trim_end().to_owned())
        });
        Answer(lines.collect())
    }

    /// The value of the first line that begins with `word`.
    pub fn get(&self, word: &str) -> Option<&str> {
        self.0.iter().find(|(w, _)| w == word).map(|(_, rest)| rest.as_str())
    }

    /// The values of every line that begins with `word`.
    pub fn all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(w, _)| w == word).map(|(_, rest)| rest.as_str())
    }

    /// Every line's first word.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(word, _)| word.as_str())
    }

    /// Whether the script came to its end: its last line is `end` or `done`.
    pub fn is_whole(&self) -> bool {
        self.0.last().is_some_and(|(word, _)| word == "end" || word == "done")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gives_lines_by_their_first_word() {
        let answer = Answer::read(b"gens 1 2 \ncurrent none\ngens 3\ndone\n");
        assert_eq!(answer.all("gens").collect::<Vec<_>>(), ["1 2", "3"]);
        assert_eq!(answer.get("current"), Some("none"));
        assert_eq!(answer.get("nope"), None);
        assert!(answer.is_whole());
        assert!(!Answer::read(b"gens 1\n").is_whole());
        assert!(!Answer::read(b"").is_whole());
    }
}
