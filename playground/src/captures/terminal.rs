//! A real terminal: bash in a tmux of its own, that is typed into and looked at.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use bg_playground::{Error, Playground, Result, process};

/// (columns, rows)
pub type Size = (u16, u16);

/// More than anything that is waited for takes, on two slow cores with 60 hosts on them.
const BOUND: Duration = Duration::from_secs(120);
/// How often the pane is looked at: what goes on is drawn ten times a second.
const EVERY: Duration = Duration::from_millis(30);
/// What bash asks with.
const PROMPT: &str = "$";

/// A pane of tmux with a shell in it, in the folder of a playground. It is gone when this is dropped, and with the playground.
pub struct Terminal {
    socket: String,
    /// Where its socket is.
    dir: PathBuf,
    path: String,
}

impl Terminal {
    /// Starts it, with `bg` as the tutorial has it.
    pub fn start(site: &Playground, size: Size) -> Result<Terminal> {
        let bg = site.bg_command(["status"])?;
        let set = |name: &str| bg.get_envs().find(|(key, _)| *key == name).and_then(|(_, value)| value);
        let binaries = Path::new(bg.get_program()).parent().unwrap_or(Path::new("/"));
        let path = format!("{}:{}", binaries.display(), set("PATH").unwrap_or_default().to_string_lossy());
        let terminal = Terminal { socket: format!("bg-{}", std::process::id()), dir: site.temporary(), path };
        let envs = bg.get_envs().filter_map(|(key, value)| Some((key, value?)));
        // Nothing of the user's own: neither his tmux nor his bash is configured as everybody's is.
        let start = ["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24"];
        let mut command = terminal.command(start);
        command.args(["env", &format!("PS1={PROMPT} "), "bash", "--norc", "--noprofile"]);
        command.envs(envs).env(process::MARK, site.dir()).env("PATH", &terminal.path);
        let ran = command.current_dir(site.dir()).output();
        must(ran, "tmux")?;
        terminal.tmux(["set", "-g", "status", "off"])?;
        terminal.tmux(["set", "-g", "window-size", "manual"])?;
        terminal.resize(size)?;
        terminal.wait("a prompt", is_idle)?;
        terminal.run("eval \"$(bluegreen shell bash)\"")?;
        Ok(terminal)
    }

    /// Another size, which takes effect at once.
    pub fn resize(&self, (columns, rows): Size) -> Result<()> {
        self.tmux(["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]).map(drop)
    }

    /// An empty screen with a prompt.
    pub fn clear(&self) -> Result<()> {
        self.press("C-l")?;
        self.wait("an empty screen", |pane| pane.trim() == PROMPT)?;
        self.tmux(["clear-history"]).map(drop)
    }

    /// Types a line, shorter than the terminal is wide, and begins it.
    pub fn begin(&self, line: &str) -> Result<()> {
        self.tmux(["send-keys", "-l", line])?;
        // From here to its end the prompt does not stand alone.
        self.wait("what was typed", |pane| pane.trim_end().ends_with(&format!("{PROMPT} {line}")))?;
        self.press("Enter")
    }

    /// A line and what comes of it.
    pub fn run(&self, line: &str) -> Result<String> {
        self.begin(line)?;
        self.end(line)
    }

    /// What stands there when the command is over.
    pub fn end(&self, line: &str) -> Result<String> {
        self.wait(&format!("the end of `{line}`"), is_idle)
    }

    /// A key by the name that tmux has for it.
    pub fn press(&self, key: &str) -> Result<()> {
        self.tmux(["send-keys", key]).map(drop)
    }

    /// What the pane shows as soon as `is_it` holds of it.
    pub fn wait(&self, what: &str, is_it: impl Fn(&str) -> bool) -> Result<String> {
        let until = Instant::now() + BOUND;
        loop {
            let pane = self.tmux(["capture-pane", "-p"])?;
            if is_it(&pane) {
                return Ok(pane);
            }
            if Instant::now() > until {
                let (what, bound_ms) = (format!("{what} in a terminal"), BOUND.as_millis());
                return Err(Error::TooSlow { what, bound_ms, said: format!("it shows:\n{pane}") });
            }
            thread::sleep(EVERY);
        }
    }

    fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("tmux");
        command.env_clear().env("TMUX_TMPDIR", &self.dir).env("PATH", &self.path).env("LANG", "C.UTF-8");
        command.args(["-u", "-L", &self.socket]).args(words).stdin(Stdio::null());
        command
    }

    fn tmux<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<String> {
        must(self.command(words).output(), "tmux")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _gone = self.tmux(["kill-server"]);
    }
}

/// Whether the last line is a prompt: the command before it is over.
pub fn is_idle(pane: &str) -> bool {
    pane.trim_end().lines().last() == Some(PROMPT)
}

/// What a program printed.
fn must(ran: std::io::Result<Output>, program: &'static str) -> Result<String> {
    let ran = ran.map_err(|source| Error::Io { what: "cannot run", object: program.to_owned(), source })?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    Err(Error::Failed { command: program.to_owned(), status: ran.status.to_string(), said })
}
