//! `--dry-run`: the steps, and what each balancer's files would become. Touches nothing.

use std::fmt::Write;

use bluegreen_core::{
    inventory::{Deploy, fill},
    nginx::tree::tree,
    rollout::{Command, Plan, State, Step},
    traffic::Traffic,
};
use similar::TextDiff;

use super::{Finished, Site};
use crate::{
    edge::{
        balancer::{Look, TrafficSeen},
        world::render_all,
    },
    engine::{Exit, Outcome, describe_stage, ways_on},
};

/// Lines of one file's diff that are shown.
const DIFF_LINES: usize = 40;

impl Site {
    pub(super) async fn dry_run(&self, state: &State, command: &Command, plan: &Plan) -> Result<Finished, Outcome> {
        let looks = self.world.balancers.look_all().await;
        let mut text = format!("`{}` would do, in this order:\n{plan}", command.as_str());
        self.shell_lines(&mut text, state, plan, command);
        for (host, look) in &looks {
            match look {
                Ok(look) => self.file_diffs(&mut text, host, look, plan).await?,
                Err(error) => text.push_str(&format!("\n{error}\n")),
            }
        }
        let message = format!("dry run: nothing was touched; {}", describe_stage(state));
        let outcome = Outcome { exit: Exit::Done, message, hint: Some(ways_on(state)) };
        Ok(Finished { outcome, state: Some(state.clone()), text: Some(text) })
    }

    /// The user's own commands, exactly as they will run.
    fn shell_lines(&self, text: &mut String, state: &State, plan: &Plan, command: &Command) {
        for planned in &plan.steps {
            let Step::Activate { half, release } = &planned.step else { continue };
            let release = command.release().filter(|r| r.version == *release).or_else(|| state.releases.get(release));
            let Some(release) = release else { continue };
            for spot in self.world.spots(*half) {
                let words = self.world.words(spot, release);
                let (Deploy::Unpack { restart: line, .. } | Deploy::Run { run: line, .. }) = &spot.pool.deploy;
                if let Ok(line) = fill(line, &words) {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "  on `{}`: {line}", spot.place.host);
                }
            }
        }
    }

    async fn file_diffs(&self, text: &mut String, host: &str, look: &Look, plan: &Plan) -> Result<(), Outcome> {
        let mut now = match &look.traffic {
            TrafficSeen::Said(said) => Some(said.traffic.clone()),
            _ => None,
        };
        for planned in &plan.steps {
            match &planned.step {
                Step::Commit { to, .. } if now.as_ref() != Some(to) => {
                    let title = format!(
                        "{host}: live tree, {} → {to}",
                        now.as_ref().map_or("nothing".to_owned(), Traffic::to_string)
                    );
                    let before = now.as_ref().map(|traffic| tree(traffic).manifest()).unwrap_or_default();
                    diff(text, &title, &before, &tree(to).manifest());
                    now = Some(to.clone());
                }
                Step::WriteConf { revision } => {
                    let rendered = render_all(&self.inventory, &self.world.templates, *revision)
                        .map_err(|error| Outcome::new(Exit::Usage, error.to_string()))?;
                    let Some(conf) = rendered.get(host) else { continue };
                    let (http, server) = self.world.conf_texts(host).await;
                    diff(text, &format!("{host}: http.conf"), &http, &conf.http);
                    diff(text, &format!("{host}: server.conf"), &server, &conf.server);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn diff(text: &mut String, title: &str, before: &str, after: &str) {
    if before == after {
        return;
    }
    let diff = TextDiff::from_lines(before, after);
    let lines: Vec<String> =
        diff.unified_diff().context_radius(1).to_string().lines().map(|line| format!("  {line}\n")).collect();
    let _ = writeln!(text, "\n{title}");
    text.extend(lines.iter().take(DIFF_LINES).map(String::as_str));
    if lines.len() > DIFF_LINES {
        let _ = writeln!(text, "  … and {} lines more", lines.len() - DIFF_LINES);
    }
}
