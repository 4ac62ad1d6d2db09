//! A shell at a terminal, and somebody who types.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// More than a shell takes for a line on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// The terminal and what stands on it.
pub struct Terminal {
    child: Child,
    screen: Arc<Mutex<String>>,
    /// What was there when something was typed last.
    mark: usize,
}

impl Terminal {
    /// Starts `line` (a shell) at a terminal of its own, in `dir`, which is its home too.
    pub fn start(line: &str, dir: &Path, path: &str) -> Terminal {
        let mut command = Command::new("script");
        command.args(["-qefc", line, "/dev/null"]).current_dir(dir).env_clear();
        command.env("PATH", path).env("HOME", dir).env("TERM", "dumb").env("LANG", "C.UTF-8").env("PS1", "> ");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut from, shared) = (child.stdout.take().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                shared.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Terminal { child, screen, mark: 0 }
    }

    /// Types.
    pub fn types(&mut self, keys: &str) {
        self.mark = self.screen.lock().unwrap().len();
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    /// What stands there since the last keys.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap()[self.mark..].to_owned()
    }

    /// Whether one of these does.
    pub fn has(&self, wanted: &[&str]) -> bool {
        let text = self.text();
        wanted.iter().any(|wanted| text.contains(wanted))
    }

    /// Waits until one of these does.
    #[track_caller]
    pub fn sees(&self, wanted: &[&str]) {
        let until = Instant::now() + SOON;
        while !self.has(wanted) {
            assert!(Instant::now() < until, "{wanted:?} did not come:\n{}", self.screen.lock().unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The shell sees its terminal go.
        drop(self.child.stdin.take());
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
