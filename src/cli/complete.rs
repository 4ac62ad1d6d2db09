//! What could stand where the cursor is: read from the parser itself, and from the inventory for its names.

use std::path::Path;

use bluegreen_core::{half::Half, inventory::Inventory, traffic::ALL_SEGMENT};
use clap::{Arg, Command};

use super::locate;

/// A word and what it means.
pub type Candidate = (String, String);

/// Candidates for the last of `words` (the command line without the program's name), which may be empty.
pub fn candidates(root: &Command, words: &[String], cwd: &Path) -> Vec<Candidate> {
    // bash breaks words at `=`.
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((last, before)) = words.split_last() else { return Vec::new() };
    if before.contains(&"--") || *last == "=" || (before.last() == Some(&"=")) {
        return Vec::new();
    }
    let line = Line::read(root, before);
    let names = Names { given: line.inventory, cwd };
    let all = match line.awaits {
        Some(option) => option_values(option, &names),
        None if last.starts_with('-') => options(root, line.command),
        None => positional(line.command, &names),
    };
    all.into_iter().filter(|(value, _)| value.starts_with(last)).collect()
}

/// What the words before the cursor say.
struct Line<'a> {
    command: &'a Command,
    /// The option whose value comes next.
    awaits: Option<&'a Arg>,
    inventory: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn read(root: &'a Command, before: &[&'a str]) -> Line<'a> {
        let mut line = Line { command: root, awaits: None, inventory: None };
        for word in before.iter().filter(|word| **word != "=") {
            if let Some(option) = line.awaits.take() {
                if option.get_id() == "inventory" {
                    line.inventory = Some(word);
                }
            } else if word.starts_with('-') {
                line.awaits = flags(root, line.command).find(|flag| takes_value(flag) && is_named(flag, word));
            } else if let Some(command) = line.command.find_subcommand(word) {
                line.command = command;
            }
        }
        line
    }
}

fn flags<'a>(root: &'a Command, command: &'a Command) -> impl Iterator<Item = &'a Arg> {
    let global = root.get_arguments().filter(|arg| arg.is_global_set());
    let own = command.get_arguments().filter(|arg| !arg.is_global_set());
    own.chain(global).filter(|arg| !arg.is_positional() && !arg.is_hide_set())
}

/// Whether the next word is its value: not of one that can stand alone.
fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && arg.get_num_args().is_none_or(|count| count.min_values() > 0)
}

fn is_named(arg: &Arg, word: &str) -> bool {
    let long = arg.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long));
    long || arg.get_short().is_some_and(|short| word == format!("-{short}"))
}

fn options(root: &Command, command: &Command) -> Vec<Candidate> {
    let named = |arg: &Arg| Some((format!("--{}", arg.get_long()?), about(arg.get_help())));
    flags(root, command).filter_map(named).collect()
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| text.to_string().lines().next().unwrap_or_default().to_owned()).unwrap_or_default()
}

fn option_values(option: &Arg, names: &Names<'_>) -> Vec<Candidate> {
    match option.get_id().as_str() {
        "inventory" => plain(locate::names(names.cwd)),
        "canary" => names.segments(),
        "artifacts" => names.with(|site| site.pools.iter().map(|pool| format!("{}=", pool.name)).collect()),
        _ => possible_values(option),
    }
}

fn possible_values(arg: &Arg) -> Vec<Candidate> {
    arg.get_possible_values().iter().map(|value| (value.get_name().to_owned(), about(value.get_help()))).collect()
}

fn positional(command: &Command, names: &Names<'_>) -> Vec<Candidate> {
    if command.has_subcommands() {
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        return shown.map(|sub| (sub.get_name().to_owned(), about(sub.get_about()))).collect();
    }
    match command.get_name() {
        "exec" => names.targets(),
        "canary" => {
            let mut shares = names.segments();
            shares.push(("off".to_owned(), "all traffic back to blue".to_owned()));
            shares
        }
        "copy" => {
            let mut places = names.with(|site| vec![site.journal.to_string()]);
            places.extend(plain(["file:", "ssh:", "etcd:"].map(ToOwned::to_owned).to_vec()));
            places
        }
        "sync" => names.with(|site| site.balancers.iter().map(|balancer| balancer.host.clone()).collect()),
        _ => command.get_positionals().next().map(possible_values).unwrap_or_default(),
    }
}

fn plain(values: Vec<String>) -> Vec<Candidate> {
    values.into_iter().map(|value| (value, String::new())).collect()
}

/// Names that only the inventory knows. One that cannot be read has none.
struct Names<'a> {
    given: Option<&'a str>,
    cwd: &'a Path,
}

impl Names<'_> {
    fn with(&self, list: impl FnOnce(&Inventory) -> Vec<String>) -> Vec<Candidate> {
        let environment = std::env::var("BG_INVENTORY").ok();
        let given = self.given.map(ToOwned::to_owned).or(environment);
        locate::load(given.as_deref(), self.cwd).map(|located| plain(list(&located.inventory))).unwrap_or_default()
    }

    fn segments(&self) -> Vec<Candidate> {
        self.with(|site| {
            let names = site.segment_names().into_iter().chain([ALL_SEGMENT.to_owned()]);
            names.map(|name| format!("{name}=")).collect()
        })
    }

    fn targets(&self) -> Vec<Candidate> {
        self.with(targets)
    }
}

/// Everything that `exec` can be given.
pub fn targets(site: &Inventory) -> Vec<String> {
    let mut targets = vec!["balancers".to_owned()];
    for pool in &site.pools {
        targets.push(pool.name.clone());
        targets.extend(Half::ALL.iter().map(|half| format!("{}/{half}", pool.name)));
    }
    let places = Half::ALL.iter().flat_map(|half| site.places(*half)).map(|(_, place)| &place.host);
    for host in site.balancers.iter().map(|balancer| &balancer.host).chain(places) {
        if !targets.contains(host) {
            targets.push(host.clone());
        }
    }
    targets
}
