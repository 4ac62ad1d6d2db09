//! The scripts that run on a server, and how their answers are read.

use std::time::Duration;

use super::error::{ServerError, What};
use crate::edge::host::{Host, HostError, Output, Run, Stdin, last_lines};

/// Lines of a command's output that an error quotes.
const QUOTED_LINES: usize = 10;
/// The status of a script that stopped on purpose and said why.
const STOPPED: i32 = 90;

/// One script: constant text, values as arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Script {
    /// Its name in messages.
    pub name: &'static str,
    /// POSIX sh.
    pub text: &'static str,
}

macro_rules! script {
    ($constant:ident, $name:literal, $file:literal) => {
        pub(super) const $constant: Script =
            Script { name: $name, text: concat!(include_str!("lib.sh"), include_str!($file)) };
    };
}

script!(LOOK, "look", "look.sh");
script!(RAISE, "raise the fence", "raise.sh");
script!(PLACE_BEGIN, "begin placing", "place_begin.sh");
script!(UPLOAD, "upload", "upload.sh");
script!(ACTIVATE, "activate", "activate.sh");
script!(PRUNE, "prune", "prune.sh");
pub(super) const SOCKETS: Script = Script { name: "list sockets", text: include_str!("sockets.sh") };

impl Script {
    /// The command with these values.
    pub fn run(self, values: Vec<String>, timeout: Duration, stdin: Stdin) -> Run {
        let run = Run::script(self.name, self.text, values).timeout(timeout).stdin(stdin);
        // The user's own line may leave something behind.
        if self.name == ACTIVATE.name { run } else { run.standing() }
    }
}

/// Runs `run` on the host, and reads its answer.
pub(super) async fn ask(host: &Host, root: &str, run: Run) -> Result<Vec<String>, ServerError> {
    let name = run.name;
    let output =
        host.run(run).await.map_err(|error: HostError| ServerError::at(host.name(), root, What::Host(error)))?;
    answer(name, &output).map_err(|what| ServerError::at(host.name(), root, what))
}

/// A script's lines on standard output, or why it failed.
pub(super) fn answer(name: &'static str, output: &Output) -> Result<Vec<String>, What> {
    let lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    if output.status == 0 {
        return Ok(lines);
    }
    if output.status == STOPPED
        && let Some(at) = lines.iter().position(|line| line.starts_with("stop "))
    {
        let behind = last_lines(&lines[at + 1..].join("\n"), QUOTED_LINES);
        let tail = if behind.is_empty() { last_lines(&output.stderr_text(), QUOTED_LINES) } else { behind };
        return Err(stopped(&lines[at]["stop ".len()..], tail));
    }
    let tail = output.tail(QUOTED_LINES);
    // Free blocks say nothing of a disk whose inodes or quota are used up.
    if tail.contains("No space left on device") || tail.contains("Disk quota exceeded") {
        return Err(What::DiskFull { tail });
    }
    Err(What::Failed { name, status: output.status, tail })
}

fn stopped(line: &str, tail: String) -> What {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
    let word = |at: usize| words.get(at).map_or_else(String::new, |word| (*word).to_owned());
    match words[0] {
        "foreign" => What::Foreign { journal: word(1), epoch: number(2) },
        "fenced" => What::Fenced { found: number(1) },
        "lowered" => What::FenceLost,
        "damaged-fence" => What::DamagedFence,
        "busy" => What::Busy,
        "tool" => What::MissingTool { tool: word(1) },
        "occupied" => What::Occupied,
        "full" => What::DiskFull { tail },
        "torn" => What::Torn,
        "shared-behind-link" => What::SharedBehindLink { path: words[1..].join(" ") },
        "unplaced" => What::Unplaced,
        "current-no-link" => What::CurrentIsNoLink,
        "slow" => What::CommandSlow { tail },
        "command" => What::CommandFailed { status: number(1) as i32, tail },
        "crashed" => What::Crashed { how: word(1), tail },
        _ => What::Garbled { said: line.to_owned() },
    }
}
