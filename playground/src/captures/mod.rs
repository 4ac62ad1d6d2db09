//! What a person sees: real commands in a real terminal, at 80×24 and at 200×50, on a small site and on one of 60 servers, as the
//! panes of docs/terminal.md.

mod large;
mod page;
mod small;
mod terminal;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bg_playground::{Error, Options, Playground, Result, app_binary};

use self::{
    page::Page,
    terminal::{Size, Terminal, is_idle},
};

const NARROW: Size = (80, 24);
const WIDE: Size = (200, 50);
/// A command on 60 hosts, on two slow cores.
const BOUND: Duration = Duration::from_secs(300);

/// Captures every pane that `document` has a place for.
pub fn capture(document: &Path) -> Result<()> {
    let mut page = Page::read(document)?;
    small::capture(&mut page)?;
    large::capture(&mut page)?;
    page.write()
}

/// A site that serves 1.0, wired.
fn served(options: Options) -> Result<Playground> {
    let bluegreen = app_binary()?.with_file_name("bluegreen");
    if !bluegreen.is_file() {
        return Err(Error::NotBuilt(bluegreen.display().to_string()));
    }
    let mut site = options.bg(bluegreen).bound(BOUND).start()?;
    let ran = site.setup("1.0")?;
    match ran.ok() {
        true => Ok(site),
        false => Err(Error::Failed { status: format!("{:?}", ran.code), said: ran.stderr, command: ran.command }),
    }
}

/// A terminal on a site, and the page that what it shows goes to.
struct Desk<'a, 'b> {
    terminal: Terminal,
    /// The playground's.
    dir: PathBuf,
    page: &'a mut Page<'b>,
}

impl<'a, 'b> Desk<'a, 'b> {
    fn new(site: &Playground, page: &'a mut Page<'b>) -> Result<Desk<'a, 'b>> {
        Ok(Desk { terminal: Terminal::start(site, NARROW)?, dir: site.dir().to_owned(), page })
    }

    /// Begins a line on an empty screen.
    fn begin(&self, line: &str) -> Result<()> {
        self.terminal.clear()?;
        self.terminal.begin(line)
    }

    /// Waits for a moment, and keeps it.
    fn keep(&mut self, name: &str, size: Size, is_it: impl Fn(&str) -> bool) -> Result<()> {
        let pane = self.terminal.wait(&format!("the moment `{name}`"), |pane| is_it(pane) || is_idle(pane))?;
        if is_idle(&pane) {
            return Err(Error::Unknown(format!("the command was over before the moment `{name}`:\n{pane}")));
        }
        self.page.put(name, size, &self.dir, &pane)
    }

    /// Runs lines on an empty screen, and keeps what stands there then.
    fn play(&mut self, name: &str, size: Size, lines: &[&str]) -> Result<()> {
        self.terminal.resize(size)?;
        self.terminal.clear()?;
        let mut pane = String::new();
        for line in lines {
            pane = self.terminal.run(line)?;
        }
        self.page.put(name, size, &self.dir, &pane)
    }

    /// Ends what goes on until Ctrl-C.
    fn stop(&self) -> Result<()> {
        self.terminal.press("C-c")?;
        self.terminal.end("Ctrl-C").map(drop)
    }

    /// Runs a line that nobody looks at.
    fn run(&self, line: &str) -> Result<()> {
        self.terminal.clear()?;
        self.terminal.run(line).map(drop)
    }
}
