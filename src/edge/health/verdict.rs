//! What a probe found, in words that say what was asked, what came, and how often.

use std::time::Duration;

use crate::edge::host::seconds;

/// What one round of asking found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that was asked was answered as it should.
    Healthy,
    /// Something was not.
    Unhealthy {
        /// One line: `GET /healthz answered 503`.
        reason: String,
        /// The host from which it was seen.
        from: String,
        /// The last lines of the answer, or of the command's output; may be empty.
        quote: String,
    },
}

impl Verdict {
    /// Whether it is healthy.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Verdict::Healthy)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Healthy => f.write_str("healthy"),
            Verdict::Unhealthy { reason, from, quote } => write!(f, "{reason}, seen from `{from}`{}", indented(quote)),
        }
    }
}

/// A place that did not become healthy in time. Its message begins with the place and ends with what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// The place's host.
    pub host: String,
    /// How long was waited.
    pub within: Duration,
    /// What was wrong the last time: `GET /healthz answered 503`.
    pub reason: String,
    /// How many rounds ended with this reason.
    pub times: u32,
    /// From where it was seen the last time.
    pub from: String,
    /// The last lines of the last bad answer; may be empty.
    pub quote: String,
    /// The balancer that could not be reached, where nothing else was wrong the last time: then the place is not to blame.
    pub viewpoint_lost: Option<String>,
}

impl std::error::Error for Unhealthy {}

impl std::fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, within, reason, times, from, quote, viewpoint_lost } = self;
        let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
        if let Some(balancer) = viewpoint_lost {
            let within = seconds(*within);
            return write!(
                f,
                "`{host}` could not be seen healthy from the balancer `{balancer}` within {within}: {reason} ({times})"
            );
        }
        write!(
            f,
            "`{host}` did not become healthy within {}: {reason} ({times}), seen from `{from}`{}",
            seconds(*within),
            indented(quote)
        )
    }
}

fn indented(quote: &str) -> String {
    if quote.is_empty() {
        String::new()
    } else {
        format!(":\n{}", quote.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
    }
}
