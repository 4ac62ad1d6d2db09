//! How a command's end is said: where things stand, and the commands that go on from there.

use bluegreen_core::rollout::{Command, State, Verb};
use jiff::Timestamp;

use super::{goes_back, goes_back_at};

/// Two sentences as one text; what follows the quotation of a host's words begins a line.
pub fn and_then(first: &str, second: &str) -> String {
    let second = sentence(second);
    if first.lines().next_back().is_some_and(|line| line.starts_with("  ")) {
        format!("{first}\n{second}")
    } else {
        format!("{}. {second}", first.trim_end_matches('.'))
    }
}

/// With a capital letter.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The first `most` of these, and how many there are besides: `web1, web2 and 9 more`. One more is named as well.
pub fn some_of(names: &[impl AsRef<str>], most: usize) -> String {
    let shown = if names.len() <= most + 1 { names.len() } else { most };
    let list = names[..shown].iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if shown < names.len() { format!("{list} and {} more", names.len() - shown) } else { list }
}

/// What was said by or of a host, naming it once.
pub fn named(host: &str, said: &str) -> String {
    if said.starts_with(&format!("`{host}`")) { said.to_owned() } else { format!("`{host}`: {said}") }
}

/// Where things stand, as a clause.
pub fn describe_stage(state: &State) -> String {
    match state.stage {
        None => "the site is not set up yet".to_owned(),
        Some(stage) if state.unsettled => {
            format!("the site is {stage}, and not every balancer is known to have what is wanted: {}", state.wanted())
        }
        Some(stage) => format!("the site is {stage}: {}{}", state.wanted(), until(state)),
    }
}

/// What is open, as a clause for whoever began something else that failed before it could end it.
pub fn still_open(state: &State) -> Option<String> {
    let open = state.open.as_ref()?;
    let at = open.at().map(|planned| format!(" at the step `{}`", planned.step)).unwrap_or_default();
    Some(format!("`{}` is interrupted still{at}, as it was before", open.command.as_str()))
}

/// Until when, where the traffic goes back by itself.
fn until(state: &State) -> String {
    let Some(armed) = &state.armed else { return String::new() };
    let when = goes_back(goes_back_at(armed), Timestamp::now());
    format!("; it {when}")
}

/// How a command is typed, with an example of the arguments that it cannot do without.
pub fn typed(verb: Verb) -> &'static str {
    match verb {
        Verb::Canary => "canary all=5%",
        other => other.as_str(),
    }
}

/// The commands that go on from here, as a hint.
pub fn ways_on(state: &State) -> String {
    if state.open.as_ref().is_some_and(|open| matches!(open.command, Command::Setup { .. })) {
        return "`bg setup` again, or `bg resume`, goes on with it".to_owned();
    }
    match &state.open {
        Some(open) if matches!(open.command, Command::Sync { .. }) && state.digest.as_ref() != Some(&open.digest) => {
            return "`bg sync` again goes on with it".to_owned();
        }
        Some(open) if open.step.as_ref().is_some_and(|step| step.undoing) => {
            return "`bg resume` finishes putting it back · `bg abort` undoes the rollout · `bg status` shows where things stand"
                .to_owned();
        }
        Some(open) if matches!(open.command, Command::Confirm) => {
            return "`bg confirm` again (or `bg resume`) finishes it · `bg flip --back` or `bg abort` leads back · `bg status` shows where things \
                    stand"
                .to_owned();
        }
        Some(_) => {
            return "`bg resume` finishes it · `bg abort` undoes the rollout · `bg status` shows where things stand"
                .to_owned();
        }
        None => {}
    }
    let verbs = state.next_commands();
    if verbs.is_empty() {
        return "`bg setup`".to_owned();
    }
    let confirm = state.armed.is_some().then(|| "`bg confirm`".to_owned());
    let verbs = verbs.iter().map(|verb| format!("`bg {}`", typed(*verb)));
    confirm.into_iter().chain(verbs).collect::<Vec<_>>().join(" · ")
}
