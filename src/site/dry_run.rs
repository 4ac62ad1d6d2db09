//! `--dry-run`: the steps, and what each balancer's files would become. Touches nothing.

use std::fmt::Write;

use bluegreen_core::{
    inventory::{Deploy, fill},
    nginx::tree::tree,
    rollout::{Command, OpenCommand, Plan, State, Step, explain::Way},
    traffic::Traffic,
};
use similar::TextDiff;

use super::{Finished, Refusal, Site, explain::looked};
use crate::{
    edge::{
        balancer::{Look, TrafficSeen, two_phase::Each},
        world::render_all,
    },
    engine::{Exit, Outcome, describe_stage, ways_on},
};

/// Lines of one file's diff that are shown.
const DIFF_LINES: usize = 40;

impl Site {
    pub(super) async fn dry_run(&self, state: &State, command: &Command, plan: &Plan) -> Result<Finished, Outcome> {
        let text = format!("`{}` would do, in this order:\n{plan}", command.as_str());
        let looks = self.world.look_balancers().await;
        self.dry_run_of(state, command, plan, text, looks).await
    }

    /// What `resume` would do with the open command: the rest of its plan, or the undoing of its shift.
    pub(super) async fn dry_run_resume(&self, state: &State, open: &OpenCommand) -> Result<Finished, Outcome> {
        let name = open.command.as_str();
        let looks = self.world.look_balancers().await;
        let seen = looked(&self.inventory, state, &looks);
        let way = state.resume_way(&self.inventory.digest(), &seen);
        let (text, steps) = match &way {
            Some(Way::PutBack(back)) => (
                format!("the shift of `{name}` had failed, and every balancer would be put back: {back}\n"),
                Vec::new(),
            ),
            Some(way @ Way::Steps(first, plan)) => {
                let rest = plan.steps.iter().skip(*first).cloned().collect();
                (format!("`{name}` would go on with, in this order:\n{}", way.steps()), rest)
            }
            _ => (String::new(), Vec::new()),
        };
        let plan = Plan { steps, ends_rollout: open.plan.ends_rollout };
        self.dry_run_of(state, &open.command, &plan, text, looks).await
    }

    async fn dry_run_of(
        &self,
        state: &State,
        command: &Command,
        plan: &Plan,
        mut text: String,
        looks: Each<Look>,
    ) -> Result<Finished, Outcome> {
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
                    let before = now.as_ref().map(|traffic| outline(&tree(traffic).manifest())).unwrap_or_default();
                    diff(text, &title, &before, &outline(&tree(to).manifest()));
                    now = Some(to.clone());
                }
                Step::WriteConf { revision } => {
                    let rendered =
                        render_all(&self.inventory, &self.world.templates, *revision).map_err(Refusal::from)?;
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

/// A manifest with neighbours that differ only by their number in one line: `l 777 green/all/00…99 ../../full`.
fn outline(manifest: &str) -> String {
    let mut text = String::new();
    let mut lines = manifest.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((head, first, tail)) = numbered(line) else {
            let _ = writeln!(text, "{}", line.trim_end());
            continue;
        };
        let mut last = first;
        while let Some((_, number, _)) =
            lines.peek().and_then(|next| numbered(next)).filter(|next| *next == (head, last + 1, tail))
        {
            last = number;
            lines.next();
        }
        let range = if last == first { format!("{first:02}") } else { format!("{first:02}…{last:02}") };
        let _ = writeln!(text, "{}", format!("{head}{range}{tail}").trim_end());
    }
    text
}

/// A line of a file or link that is called by its number, cut around it.
fn numbered(line: &str) -> Option<(&str, u8, &str)> {
    if line.starts_with('d') {
        return None;
    }
    let name = line.find('/')?;
    let end = name + line[name..].find(' ').unwrap_or(line.len() - name);
    let number = line.get(end.checked_sub(2)?..end)?.parse().ok()?;
    Some((&line[..end - 2], number, &line[end..]))
}

#[cfg(test)]
mod tests {
    use super::outline;

    #[test]
    fn numbered_neighbours_are_one_line() {
        let manifest = "d 755 full \nd 755 green \nf 644 full/00 \nf 644 full/01 \nf 644 full/02 \nf 644 green/all/63/07 \n\
                        l 777 green/all/98 ../../full\nl 777 green/all/99 ../../full\nl 777 green/mobile/00 ../../full\n";
        let wanted = "d 755 full\nd 755 green\nf 644 full/00…02\nf 644 green/all/63/07\n\
                      l 777 green/all/98…99 ../../full\nl 777 green/mobile/00 ../../full\n";
        assert_eq!(outline(manifest), wanted);
        assert_eq!(outline("f 644 both \n"), "f 644 both\n");
    }
}
