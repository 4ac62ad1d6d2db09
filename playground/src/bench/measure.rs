//! Times and ratios: contenders take turns, so that what else the machine does meets all of them alike.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bg_playground::{Error, Ran, Result};

/// A contender of one row: its name, and one run that says how long the part that counts took.
pub struct Contender<'a> {
    /// As it stands in the table.
    pub name: &'static str,
    /// One run.
    pub run: Box<dyn FnMut() -> Result<Duration> + 'a>,
}

/// What one contender took, in seconds, in the order of the runs.
#[derive(Debug, Clone)]
pub struct Times(Vec<f64>);

impl Times {
    /// Of these runs.
    pub fn of(runs: impl Iterator<Item = Duration>) -> Times {
        Times(runs.map(|run| run.as_secs_f64()).collect())
    }

    /// The middle one, or the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() % 2 {
            _ if sorted.is_empty() => f64::NAN,
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    /// The least and the most.
    pub fn range(&self) -> (f64, f64) {
        (self.0.iter().copied().fold(f64::MAX, f64::min), self.0.iter().copied().fold(0.0, f64::max))
    }
}

/// Lets every contender run `rounds` times, in turns, after one round that does not count.
pub fn in_turns(rounds: usize, contenders: &mut [Contender<'_>]) -> Result<Vec<Times>> {
    let mut times = vec![Times(Vec::new()); contenders.len()];
    for round in 0..=rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let took = (contender.run)()?;
            eprintln!("  {:<34}{:>9.1} ms", contender.name, took.as_secs_f64() * 1000.0);
            if round > 0 {
                times.0.push(took.as_secs_f64());
            }
        }
    }
    Ok(times)
}

/// Starts all of these at once and waits for the last; an error when one of them fails.
pub fn at_once(commands: Vec<Command>) -> Result<Duration> {
    let began = Instant::now();
    let running: Vec<(String, Child)> = commands.into_iter().map(start).collect::<Result<_>>()?;
    let mut failed = None;
    for (line, child) in running {
        let output = child.wait_with_output().map_err(|source| Error::Io {
            what: "cannot wait for",
            object: line.clone(),
            source,
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            failed = Some(Error::Failed { command: line, status: output.status.to_string(), said });
        }
    }
    failed.map_or(Ok(began.elapsed()), Err)
}

fn start(mut command: Command) -> Result<(String, Child)> {
    let line = format!("{command:?}");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    child.map(|child| (line.clone(), child)).map_err(|source| Error::Io { what: "cannot run", object: line, source })
}

/// How long a bg command took that must end with 0.
pub fn took(ran: Ran) -> Result<Duration> {
    if ran.ok() {
        return Ok(ran.took);
    }
    Err(Error::Failed {
        status: format!("{:?}", ran.code),
        said: format!("{}{}", ran.stdout, ran.stderr),
        command: ran.command,
    })
}

/// What a figure is to reach.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
    /// Shown beside the others.
    Shown,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What bg does.
    pub what: String,
    /// What it is compared with.
    pub against: String,
    /// Both, as they were measured, with units.
    pub measured: String,
    /// Ours divided by theirs; or a count, or a time, where there is nothing to divide by.
    pub figure: f64,
    /// How the figure is written.
    pub shown: String,
    /// What it is to be.
    pub aim: Aim,
}

impl Row {
    /// A ratio of two medians.
    pub fn ratio(what: &str, against: &str, ours: &Times, theirs: &Times, aim: Aim) -> Row {
        let figure = ours.median() / theirs.median();
        let ((least, most), (low, high)) = (ours.range(), theirs.range());
        let ms = |seconds: f64| format!("{:.0}", seconds * 1000.0);
        let measured = format!(
            "{} ms ({}–{}) : {} ms ({}–{})",
            ms(ours.median()),
            ms(least),
            ms(most),
            ms(theirs.median()),
            ms(low),
            ms(high)
        );
        Row {
            what: what.to_owned(),
            against: against.to_owned(),
            measured,
            figure,
            shown: format!("{figure:.2}×"),
            aim,
        }
    }

    /// Whether the aim is reached.
    pub fn is_reached(&self) -> bool {
        match self.aim {
            Aim::AtMost(most) => self.figure <= most,
            Aim::AtLeast(least) => self.figure >= least,
            Aim::Shown => true,
        }
    }

    /// As a row of a Markdown table.
    pub fn markdown(&self) -> String {
        let unit = self.shown.trim_start_matches(|sign: char| sign.is_ascii_digit() || sign == '.');
        let aim = match self.aim {
            Aim::AtMost(most) => format!("≤ {most}{unit}"),
            Aim::AtLeast(least) => format!("≥ {least}{unit}"),
            Aim::Shown => String::new(),
        };
        let mark = if self.is_reached() { "" } else { " (not reached)" };
        format!("| {} | {} | {} | **{}** | {aim}{mark} |", self.what, self.against, self.measured, self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(Times(vec![3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Times(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert!(Times(Vec::new()).median().is_nan());
    }

    #[test]
    fn a_figure_that_falls_short_says_so() {
        let (ours, theirs) = (Times(vec![0.15]), Times(vec![0.1]));
        let row = Row::ratio("a", "b", &ours, &theirs, Aim::AtMost(1.3));
        assert!(!row.is_reached());
        assert_eq!(
            row.markdown(),
            "| a | b | 150 ms (150–150) : 100 ms (100–100) | **1.50×** | ≤ 1.3× (not reached) |"
        );
    }
}
