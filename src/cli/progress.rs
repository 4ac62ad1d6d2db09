//! What the engine reports, as plain lines on stderr.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::screen::{Screen, wrapped};
use crate::engine::{Report, Reporter};

/// Where a step of a plan stands, and what was said about whom last.
#[derive(Default)]
struct Drawn {
    label: String,
    said: HashMap<Option<String>, String>,
}

/// The engine's reporter. `-q`: nothing. Repeated notes about one host are drawn once, unless `-v`.
pub fn reporter(screen: Screen) -> Reporter {
    let drawn = Mutex::new(Drawn::default());
    Arc::new(move |report| {
        if screen.quiet {
            return;
        }
        // A panic while drawing leaves nothing half-done that matters.
        let mut drawn = drawn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for line in lines(&mut drawn, report, screen.verbose) {
            screen.err(&line);
        }
    })
}

/// `0.3 s`, `12 s`, `3 min 20 s`.
pub fn seconds(elapsed: Duration) -> String {
    let whole = elapsed.as_secs();
    match whole {
        0..10 => format!("{:.1} s", elapsed.as_secs_f64()),
        10..120 => format!("{whole} s"),
        _ => format!("{} min {} s", whole / 60, whole % 60),
    }
}

fn lines(drawn: &mut Drawn, report: Report, verbose: bool) -> Vec<String> {
    match report {
        Report::StepStarted { number, of, step } => {
            drawn.label = format!("[{number}/{of}] {step}");
            drawn.said.clear();
            vec![format!("{} …", drawn.label)]
        }
        Report::Note { host, text } => {
            if !verbose && drawn.said.get(&host) == Some(&text) {
                return Vec::new();
            }
            let line = match &host {
                Some(host) => format!("      {host} │ {text}"),
                None => format!("      {text}"),
            };
            drawn.said.insert(host, text);
            vec![line]
        }
        Report::StepDone { elapsed, notes, .. } => {
            let done = format!("{} done in {}", drawn.label, seconds(elapsed));
            let notes = notes.into_iter().filter(|note| verbose || !drawn.said.values().any(|said| said == note));
            notes.map(|note| format!("      {note}")).chain([done]).collect()
        }
        Report::StepFailed { elapsed, .. } => vec![format!("{} failed after {}", drawn.label, seconds(elapsed))],
        Report::Waiting(text) => wrapped(&text, 78),
        Report::PuttingBack => vec!["      putting every balancer back …".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(host: &str, text: &str) -> Report {
        Report::Note { host: Some(host.to_owned()), text: text.to_owned() }
    }

    #[test]
    fn a_step_is_drawn_with_its_number_hosts_and_time() {
        let mut drawn = Drawn::default();
        let done = Report::StepDone {
            step: "drain green".into(),
            elapsed: Duration::from_millis(2_140),
            notes: vec!["1 request was cut".into()],
        };
        let reports = [
            Report::StepStarted { number: 3, of: 8, step: "drain green".into() },
            note("web2", "2 requests in flight"),
            note("web2", "2 requests in flight"),
            note("web2", "drained"),
            done,
        ];
        let all: Vec<String> = reports.into_iter().flat_map(|report| lines(&mut drawn, report, false)).collect();
        let wanted = [
            "[3/8] drain green …",
            "      web2 │ 2 requests in flight",
            "      web2 │ drained",
            "      1 request was cut",
            "[3/8] drain green done in 2.1 s",
        ];
        assert_eq!(all, wanted);
    }

    #[test]
    fn a_long_time_is_told_in_minutes() {
        assert_eq!(seconds(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(seconds(Duration::from_millis(12_900)), "12 s");
    }
}
