//! What is known of the work under way, and what of it is worth keeping when it is over.

use std::time::{Duration, Instant};

use crate::engine::{Doing, Progress, Report};

/// What goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    /// No step has begun yet.
    Begins,
    /// A step of the plan.
    Step {
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What it does.
        words: String,
    },
    /// One thing on many hosts, which no plan has.
    Runs(String),
    /// It waits for the site's lock: how that stands.
    Waits(String),
    /// Every balancer is being put back.
    PutsBack,
    /// A step is over.
    Between,
}

/// One thing on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, where a host may have several.
    pub name: Option<String>,
    /// How far it is.
    pub doing: Doing,
    /// When it is given up.
    pub until: Option<Instant>,
}

impl Part {
    /// Whether it is through without a word.
    pub fn is_quiet(&self) -> bool {
        matches!(&self.doing, Doing::Done(text) if text.is_empty())
    }
}

/// A host of the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// What was said of it; empty: nothing yet.
    pub parts: Vec<Part>,
    /// Whether it is one of those that the step is about; others only have something to say about it.
    pub is_named: bool,
}

/// How a host stands, in the order in which hosts are shown where not all find room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It did not get through.
    Failed,
    /// Something is wrong there, and may come right.
    Failing,
    /// It is worked on.
    Working,
    /// Nothing was said of it yet.
    Silent,
    /// It is through.
    Done,
}

impl Host {
    /// Whether it is through without a word: then it is not worth a line.
    pub fn is_quiet(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(Part::is_quiet)
    }

    /// How it stands: as its worst part.
    pub fn standing(&self) -> Standing {
        let of_part = |part: &Part| match &part.doing {
            Doing::Failed(_) => Standing::Failed,
            Doing::Checks { said: Some(_), .. } => Standing::Failing,
            Doing::Says(_) | Doing::Sends { .. } | Doing::Checks { said: None, .. } => Standing::Working,
            Doing::Done(_) => Standing::Done,
        };
        self.parts.iter().map(of_part).min().unwrap_or(Standing::Silent)
    }
}

/// Something that stays on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A step that is over.
    Step {
        /// Whether it did what it was to do.
        is_done: bool,
        /// Its number and how many there are; `None`: it is none of the plan's.
        number: Option<(usize, usize)>,
        /// What it did.
        words: String,
        /// How long it took.
        elapsed: Duration,
        /// How many hosts it was about.
        hosts: usize,
        /// What is worth keeping.
        notes: Vec<String>,
        /// The hosts that did not get through, with what was known of them last.
        left: Vec<Host>,
    },
    /// Something that was said in between.
    Text(String),
}

/// The work under way.
#[derive(Debug)]
pub struct Tree {
    /// What goes on.
    pub now: Now,
    /// Since when.
    pub since: Instant,
    /// The step's hosts.
    pub hosts: Vec<Host>,
    /// What is said of the whole step.
    pub whole: Option<Part>,
    notes: Vec<String>,
    verbose: bool,
}

impl Tree {
    /// Before anything has begun. `verbose`: what is said on the way stays, too.
    pub fn new(verbose: bool, now: Instant) -> Tree {
        Tree { now: Now::Begins, since: now, hosts: Vec::new(), whole: None, notes: Vec::new(), verbose }
    }

    /// Takes in a report; returns what stays on the screen.
    pub fn apply(&mut self, report: Report, now: Instant) -> Vec<Kept> {
        match report {
            Report::StepStarted { number, of, step } => self.begin(Now::Step { number, of, words: step }, now),
            Report::StepHosts(names) => {
                for name in names {
                    self.host(&name).is_named = true;
                }
            }
            Report::Progress(progress) => self.progress(progress),
            Report::Note { host, text } => return self.note(host, text),
            Report::StepDone { elapsed, notes, .. } => {
                let new: Vec<String> = notes.into_iter().filter(|note| !self.notes.contains(note)).collect();
                self.notes.extend(new);
                return self.end(true, elapsed, now);
            }
            Report::StepFailed { elapsed, .. } => return self.end(false, elapsed, now),
            Report::Waiting(text) => {
                let since = if matches!(self.now, Now::Waits(_)) { self.since } else { now };
                self.begin(Now::Waits(text), since);
            }
            Report::Turn(text) => {
                self.begin(Now::Begins, now);
                return vec![Kept::Text(text)];
            }
            Report::PuttingBack => self.begin(Now::PutsBack, now),
            Report::PutBack { is_whole, elapsed } => return self.end(is_whole, elapsed, now),
        }
        Vec::new()
    }

    /// What is begun is none of a plan's steps; it leaves nothing behind on the screen.
    pub fn runs(&mut self, words: String, now: Instant) {
        self.begin(Now::Runs(words), now);
    }

    fn begin(&mut self, what: Now, since: Instant) {
        self.now = what;
        self.since = since;
        self.hosts.clear();
        self.whole = None;
        self.notes.clear();
    }

    fn host(&mut self, name: &str) -> &mut Host {
        let known = self.hosts.iter().position(|host| host.name == name);
        let at = known.unwrap_or_else(|| {
            self.hosts.push(Host { name: name.to_owned(), parts: Vec::new(), is_named: false });
            self.hosts.len() - 1
        });
        &mut self.hosts[at]
    }

    fn progress(&mut self, progress: Progress) {
        let Progress { host, part, doing, until, line } = progress;
        if self.verbose {
            self.notes.extend(line.map(|line| labelled(host.as_deref(), &line)));
        }
        let Some(name) = host else {
            self.whole = Some(Part { name: None, doing, until });
            return;
        };
        let host = self.host(&name);
        match host.parts.iter_mut().find(|known| known.name == part) {
            Some(known) => {
                known.doing = ended(&name, &known.doing, doing);
                known.until = until;
            }
            None => host.parts.push(Part { name: part, doing: without_name(&name, doing), until }),
        }
        // Of a host that the step is not about nothing is left to be said.
        self.hosts.retain(|host| host.is_named || !host.is_quiet());
    }

    /// Something that is worth keeping, where it belongs to no step at once.
    fn note(&mut self, host: Option<String>, text: String) -> Vec<Kept> {
        if let Some(name) = &host {
            self.progress(Progress::of(name, Doing::Says(text.clone())));
        }
        let line = labelled(host.as_deref(), &text);
        match self.now {
            Now::Step { .. } | Now::PutsBack => {
                if !self.notes.contains(&line) {
                    self.notes.push(line);
                }
                Vec::new()
            }
            Now::Begins | Now::Runs(_) | Now::Waits(_) | Now::Between => vec![Kept::Text(line)],
        }
    }

    fn end(&mut self, is_done: bool, elapsed: Duration, now: Instant) -> Vec<Kept> {
        let (number, words) = match &self.now {
            Now::Step { number, of, words } => (Some((*number, *of)), words.clone()),
            Now::PutsBack => (None, "put every balancer back".to_owned()),
            Now::Begins | Now::Runs(_) | Now::Waits(_) | Now::Between => return Vec::new(),
        };
        let hosts = std::mem::take(&mut self.hosts);
        let notes = std::mem::take(&mut self.notes);
        let count = match hosts.iter().filter(|host| host.is_named).count() {
            0 => hosts.len(),
            named => named,
        };
        let is_left = |host: &Host| !is_done && !matches!(host.standing(), Standing::Done | Standing::Silent);
        let left = hosts.into_iter().filter(is_left).collect();
        self.begin(Now::Between, now);
        vec![Kept::Step { is_done, number, words, elapsed, hosts: count, notes, left }]
    }
}

/// What ended says nothing of its own: then what was reached is kept.
fn ended(host: &str, before: &Doing, now: Doing) -> Doing {
    match (before, without_name(host, now)) {
        (Doing::Checks { said: Some(said), .. }, Doing::Failed(_)) => {
            Doing::Failed(format!("not healthy in time: {said}"))
        }
        (Doing::Checks { of, .. }, Doing::Done(_)) => Doing::Done(format!("healthy {of}/{of}")),
        (Doing::Sends { of, .. }, Doing::Done(text)) if text.is_empty() => {
            Doing::Done(format!("has its {}", bytes(*of)))
        }
        (Doing::Done(said), Doing::Done(text)) if text.is_empty() => Doing::Done(said.clone()),
        (_, now) => now,
    }
}

/// Beside its name a host is not named again.
fn without_name(host: &str, doing: Doing) -> Doing {
    match doing {
        Doing::Failed(text) => {
            let rest = text.strip_prefix(&format!("`{host}`")).map(|rest| rest.trim_start_matches([':', ',', ' ']));
            Doing::Failed(rest.unwrap_or(&text).to_owned())
        }
        doing => doing,
    }
}

fn labelled(host: Option<&str>, text: &str) -> String {
    host.map_or_else(|| text.to_owned(), |host| format!("{host}: {text}"))
}

/// `12 KiB`, `48.3 MiB`.
pub fn bytes(count: u64) -> String {
    let (size, unit) = unit(count);
    format!("{} {unit}", number(count, size))
}

/// `12.0 of 48.3 MiB`: both in the unit of the whole.
pub fn bytes_of(done: u64, of: u64) -> String {
    let (size, unit) = unit(of);
    format!("{} of {} {unit}", number(done, size), number(of, size))
}

fn unit(count: u64) -> (u64, &'static str) {
    match count {
        0..0x10_0000 => (1 << 10, "KiB"),
        0x10_0000..0x4000_0000 => (1 << 20, "MiB"),
        _ => (1 << 30, "GiB"),
    }
}

fn number(count: u64, size: u64) -> String {
    if size == 1 << 10 {
        return count.div_ceil(size).to_string();
    }
    // Tenths, in whole numbers.
    let tenths = count.saturating_mul(10) / size;
    format!("{}.{}", tenths / 10, tenths % 10)
}
