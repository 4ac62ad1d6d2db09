//! What the engine reports as plain lines: for pipes, logs, and terminals that know no cursor.

use std::collections::HashMap;

use super::seconds;
use crate::{
    cli::measure::folded,
    engine::{Progress, Report},
};

/// Where a step of a plan stands, and what was said about whom last.
#[derive(Debug, Default)]
pub struct Plain {
    label: String,
    said: HashMap<Option<String>, String>,
}

impl Plain {
    /// The lines of one report. Repeated notes about one host are said once, unless `verbose`.
    pub fn lines(&mut self, report: Report, verbose: bool) -> Vec<String> {
        match report {
            Report::StepStarted { number, of, step } => {
                self.label = format!("[{number}/{of}] {step}");
                self.said.clear();
                vec![format!("{} …", self.label)]
            }
            Report::Note { host, text } | Report::Progress(Progress { host, line: Some(text), .. }) => {
                self.note(host, text, verbose)
            }
            Report::StepDone { elapsed, notes, .. } => {
                let done = format!("{} done in {}", self.label, seconds(elapsed));
                let notes = notes.into_iter().filter(|note| verbose || !self.said.values().any(|said| said == note));
                notes.map(|note| format!("      {note}")).chain([done]).collect()
            }
            Report::StepFailed { elapsed, .. } => vec![format!("{} failed after {}", self.label, seconds(elapsed))],
            Report::Waiting(text) | Report::Turn(text) => folded(&text, 78),
            Report::PuttingBack => vec!["      putting every balancer back …".to_owned()],
            Report::StepHosts(_) | Report::Progress(_) | Report::PutBack { .. } => Vec::new(),
        }
    }

    fn note(&mut self, host: Option<String>, text: String, verbose: bool) -> Vec<String> {
        if !verbose && self.said.get(&host) == Some(&text) {
            return Vec::new();
        }
        let line = match &host {
            Some(host) => format!("      {host} │ {text}"),
            None => format!("      {text}"),
        };
        self.said.insert(host, text);
        vec![line]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::Doing;

    fn note(host: &str, text: &str) -> Report {
        Report::Note { host: Some(host.to_owned()), text: text.to_owned() }
    }

    #[test]
    fn a_step_is_drawn_with_its_number_hosts_and_time() {
        let mut drawn = Plain::default();
        let done = Report::StepDone {
            step: "drain green".into(),
            elapsed: Duration::from_millis(2_140),
            notes: vec!["1 request was cut".into()],
        };
        let drained = Progress::of("web2", Doing::Done("drained".into()));
        let reports = [
            Report::StepStarted { number: 3, of: 8, step: "drain green".into() },
            Report::StepHosts(vec!["web2".into()]),
            note("web2", "2 requests in flight"),
            note("web2", "2 requests in flight"),
            Report::Progress(drained.clone()),
            Report::Progress(drained.line("drained")),
            done,
        ];
        let all: Vec<String> = reports.into_iter().flat_map(|report| drawn.lines(report, false)).collect();
        let wanted = [
            "[3/8] drain green …",
            "      web2 │ 2 requests in flight",
            "      web2 │ drained",
            "      1 request was cut",
            "[3/8] drain green done in 2.1 s",
        ];
        assert_eq!(all, wanted);
    }
}
