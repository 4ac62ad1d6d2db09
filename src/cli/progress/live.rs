//! Draws on stderr: a thread of its own draws ten times a second, so that no report waits for the terminal, and everything that
//! is written comes from it, in order. The cursor stays visible, below what is drawn: so there is nothing to put back however
//! the program ends, and what a panic says stands below.

use std::{
    io::Write,
    panic,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    draw::draw,
    record::record,
    tree::{Kept, Tree},
};
use crate::{
    cli::{
        measure::Line,
        screen::Screen,
        terminal::{self, Glyphs, Size},
    },
    engine::Report,
};

/// Between two drawings.
const TICK: Duration = Duration::from_millis(100);
/// Between two drawings of every line, also of those that are the same: Enter moved the cursor, so that they stand one row off.
const WHOLE: Duration = Duration::from_secs(1);

/// How long a pause waits for the screen to be cleared: a terminal that takes nothing must not keep the program from stopping.
const CLEARING: Duration = Duration::from_secs(1);

/// Whether something is drawn now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    No,
    /// What stands on the screen is to be taken off.
    Asked,
    /// Nothing stands there.
    Begun,
}

/// What is drawn.
#[derive(Debug)]
struct Drawing {
    tree: Tree,
    /// Not written yet.
    kept: Vec<Kept>,
    /// What stands on the screen above the cursor, and how wide the terminal was then.
    drawn: Vec<Line>,
    width: usize,
    /// When every line was drawn last.
    whole: Instant,
    pause: Pause,
    /// The signal that ends a pause has not come yet: it says nothing new.
    is_return_due: bool,
    is_over: bool,
}

#[derive(Debug)]
struct Shared {
    drawing: Mutex<Drawing>,
    /// Whoever writes to the terminal holds it, and takes it before the drawing.
    turn: Mutex<()>,
    woken: Condvar,
    /// A panic has said something: nothing is drawn over it.
    panicked: AtomicBool,
}

/// A drawing under way.
#[derive(Debug)]
pub struct Live {
    shared: Arc<Shared>,
    color: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Drawing> {
        // What a panic left half-done is drawn no more.
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to the terminal, unless a panic has said something there.
    fn write(&self, bytes: &str) {
        if bytes.is_empty() || self.panicked.load(Ordering::SeqCst) {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        // Nobody to draw for is no error of ours.
        let _ = stderr.write_all(bytes.as_bytes()).and_then(|()| stderr.flush());
    }
}

impl Live {
    /// Begins to draw.
    pub fn start(screen: Screen) -> Live {
        let tree = Tree::new(screen.verbose, Instant::now());
        let drawing = Drawing {
            tree,
            kept: Vec::new(),
            drawn: Vec::new(),
            width: 0,
            whole: Instant::now(),
            pause: Pause::No,
            is_return_due: false,
            is_over: false,
        };
        let panicked = AtomicBool::new(false);
        let shared =
            Arc::new(Shared { drawing: Mutex::new(drawing), turn: Mutex::new(()), woken: Condvar::new(), panicked });
        let (hooked, before) = (Arc::downgrade(&shared), panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            if let Some(shared) = hooked.upgrade() {
                shared.panicked.store(true, Ordering::SeqCst);
            }
            before(info);
        }));
        let drawn = shared.clone();
        let thread = thread::Builder::new().name("drawing".to_owned()).spawn(move || draw_until_over(&drawn, screen));
        // Without a thread nothing is drawn, and the work goes on.
        Live { shared, color: screen.color_err, thread: Mutex::new(thread.ok()) }
    }

    /// Takes in a report.
    pub fn report(&self, report: Report) {
        let mut drawing = self.shared.lock();
        let kept = drawing.tree.apply(report, Instant::now());
        drawing.kept.extend(kept);
    }

    /// Begins something that is none of a plan's steps.
    pub fn runs(&self, words: &str) {
        self.shared.lock().tree.runs(words.to_owned(), Instant::now());
    }

    /// Takes what is drawn off the screen while somebody else writes there, and draws on below of it. Whoever writes waits for
    /// the terminal, so that nothing piles up here.
    pub fn aside(&self, write: impl FnOnce()) {
        let _turn = self.shared.turn();
        let cleared = self.shared.lock().clear(self.color);
        self.shared.write(&cleared);
        write();
    }

    /// A line that stays.
    pub fn say(&self, text: String) {
        self.shared.lock().kept.push(Kept::Text(text));
        self.shared.woken.notify_all();
    }

    /// After a stop that no pause came before: what is drawn next is drawn below of what the terminal shows now.
    pub fn draw_anew(&self) {
        let mut drawing = self.shared.lock();
        if !std::mem::take(&mut drawing.is_return_due) {
            drawing.drawn.clear();
        }
    }

    /// Takes what is drawn off the screen, and draws nothing until [`Live::go_on`].
    pub fn pause(&self) {
        let mut drawing = self.shared.lock();
        drawing.pause = Pause::Asked;
        drawing.is_return_due = true;
        self.shared.woken.notify_all();
        let is_drawn = |drawing: &mut Drawing| drawing.pause == Pause::Asked && !drawing.is_over;
        let waited = self.shared.woken.wait_timeout_while(drawing, CLEARING, is_drawn);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Draws again, below of what the terminal shows then.
    pub fn go_on(&self) {
        let mut drawing = self.shared.lock();
        drawing.pause = Pause::No;
        drawing.drawn.clear();
        self.shared.woken.notify_all();
    }

    /// Writes what is to stay, takes the rest away, and ends.
    pub fn finish(&self) {
        self.shared.lock().is_over = true;
        self.shared.woken.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It panicked, if anything: then it has said so itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finish();
    }
}

fn draw_until_over(shared: &Shared, screen: Screen) {
    let glyphs = screen.glyphs_err;
    loop {
        let drawing = shared.lock();
        drop(match drawing.is_over {
            true => drawing,
            false => shared.woken.wait_timeout(drawing, TICK).unwrap_or_else(PoisonError::into_inner).0,
        });
        let turn = shared.turn();
        let mut drawing = shared.lock();
        let (is_over, pause) = (drawing.is_over, drawing.pause);
        let size = terminal::size_err().unwrap_or(terminal::USUAL);
        let bytes = match terminal::is_ours() {
            true => drawing.next(size, screen, &glyphs),
            // The shell has the screen: what would be drawn waits, and below of it begins anew.
            false => drawing.in_background(size, screen, &glyphs),
        };
        drop(drawing);
        if shared.panicked.load(Ordering::SeqCst) {
            return;
        }
        shared.write(&bytes);
        drop(turn);
        if is_over {
            return;
        }
        if pause == Pause::Asked {
            let mut drawing = shared.lock();
            if drawing.pause == Pause::Asked {
                drawing.pause = Pause::Begun;
            }
            drop(drawing);
            shared.woken.notify_all();
        }
    }
}

impl Drawing {
    /// What brings the screen up to what is known.
    fn next(&mut self, size: Size, screen: Screen, glyphs: &Glyphs) -> String {
        let next = match self.is_over || self.pause != Pause::No {
            true => Vec::new(),
            false => draw(&self.tree, size, Instant::now(), glyphs),
        };
        let text = |text: String| screen.named_err(&text);
        let kept = std::mem::take(&mut self.kept).into_iter().map(|kept| named(kept, text));
        let kept: Vec<Line> =
            kept.flat_map(|kept| record(&kept, size.width.saturating_sub(1).max(1), glyphs)).collect();
        let is_whole = self.whole.elapsed() >= WHOLE;
        if is_whole {
            self.whole = Instant::now();
        }
        let was = if is_whole { 0 } else { self.width };
        let bytes = frame(&self.drawn, was, &kept, &next, size.width, screen.color_err);
        self.drawn = next;
        self.width = size.width;
        bytes
    }

    /// What takes the last picture off the screen; the shell's screen is left alone.
    fn clear(&mut self, color: bool) -> String {
        let last = std::mem::take(&mut self.drawn);
        if last.is_empty() || !terminal::is_ours() {
            return String::new();
        }
        let width = terminal::size_err().unwrap_or(terminal::USUAL).width;
        frame(&last, self.width, &[], &[], width, color)
    }

    /// Only at the end what stays is written, as lines.
    fn in_background(&mut self, size: Size, screen: Screen, glyphs: &Glyphs) -> String {
        self.drawn.clear();
        if self.is_over { self.next(size, screen, glyphs) } else { String::new() }
    }
}

/// The same with its texts under the name that the program was called by.
fn named(kept: Kept, text: impl Fn(String) -> String) -> Kept {
    match kept {
        Kept::Text(said) => Kept::Text(text(said)),
        Kept::Step { is_done, number, words, elapsed, hosts, notes, left } => {
            let notes = notes.into_iter().map(text).collect();
            Kept::Step { is_done, number, words, elapsed, hosts, notes, left }
        }
    }
}

/// What turns the last drawing into the next one, with `kept` above it for good. A terminal that became narrower since (`was`
/// columns before) has folded the lines that are too wide for it now: they are cleared in as many rows as they take. With a `was`
/// of 0 every line is written, whatever stands there.
pub fn frame(last: &[Line], was: usize, kept: &[Line], next: &[Line], width: usize, color: bool) -> String {
    if kept.is_empty() && last == next && was == width {
        return String::new();
    }
    let rows: usize = last.iter().map(|line| line.columns().div_ceil(width.max(1)).max(1)).sum();
    let mut bytes = "\r".to_owned();
    if rows > 0 {
        bytes.push_str(&format!("\x1b[{rows}A"));
    }
    let is_same_place = kept.is_empty() && was == width;
    for (at, line) in kept.iter().chain(next).enumerate() {
        if !(is_same_place && last.get(at) == Some(line)) {
            bytes.push_str(&line.painted(color));
            bytes.push_str("\x1b[K");
        }
        bytes.push_str("\r\n");
    }
    bytes.push_str("\x1b[J");
    bytes
}
