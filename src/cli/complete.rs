//! What could stand where the cursor is: read from the parser itself, and from the inventory for its names.

use std::path::Path;

use bluegreen_core::{half::Half, inventory::Inventory, traffic::ALL_SEGMENT};
use clap::{Arg, ArgAction, Command};

use super::locate;

/// A word and what it means.
pub type Candidate = (String, String);

/// Candidates for the last of `words` (the command line without the program's name), which may be empty.
pub fn candidates(root: &Command, words: &[String], cwd: &Path) -> Vec<Candidate> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((last, before)) = words.split_last() else { return Vec::new() };
    // bash breaks words at `=`; what stands behind one is a percentage or a path.
    let joined = before.last() == Some(&"=") || *last == "=";
    let line = Line::read(root, before);
    let names = Names { given: line.inventory, cwd };
    let value_of = |option: &Arg, typed: &str, prefix: &str| {
        let all = option_values(option, &line, &names).into_iter().filter(|(value, _)| value.starts_with(typed));
        all.map(|(value, about)| (format!("{prefix}{value}"), about)).collect()
    };
    if before.contains(&"--") {
        return Vec::new();
    }
    let behind = if *last == "=" { "" } else { last };
    match (line.awaits, last.split_once('=')) {
        (Some(option), _) if joined && line.given == 0 => return value_of(option, behind, ""),
        _ if joined && line.takes_shares() => return percentages(behind, ""),
        _ if joined => return Vec::new(),
        (_, Some((name, typed))) if line.takes_shares() && !name.starts_with('-') => {
            return percentages(typed, &format!("{name}="));
        }
        (None, Some((name, typed))) if name.starts_with("--") => {
            let option = flags(root, line.command).find(|flag| takes_value(flag) && is_named(flag, name));
            return option.map(|option| value_of(option, typed, &format!("{name}="))).unwrap_or_default();
        }
        _ => {}
    }
    let all = match line.awaits {
        // Of an option that takes several values another one, or something else.
        Some(option) if line.given == 0 || !last.starts_with('-') => option_values(option, &line, &names),
        _ if last.starts_with('-') => options(root, &line),
        // A shell that is told of nothing offers files, which such a command does not take.
        _ if last.is_empty() && takes_no_more(&line) => own_options(root, &line),
        _ => positional(&line, &names),
    };
    // Behind the `=` of a path nothing is left to be offered but files.
    let is_over = |value: &str| value.ends_with('=') && value == *last;
    all.into_iter().filter(|(value, _)| value.starts_with(last) && !is_over(value)).collect()
}

/// The shares that a canary mostly gets.
const USUAL: [&str; 4] = ["5%", "10%", "25%", "50%"];

/// What the words before the cursor say.
struct Line<'a> {
    command: &'a Command,
    /// The option whose value comes next.
    awaits: Option<&'a Arg>,
    /// How many values it has already: more than none only where it takes several.
    given: usize,
    inventory: Option<&'a str>,
    /// The words that are no options, commands or values of options.
    positionals: Vec<&'a str>,
    /// The options and the values of those.
    options: Vec<&'a str>,
}

/// What may stand behind a segment's `=`: never nothing, for then a shell offers files.
fn percentages(typed: &str, prefix: &str) -> Vec<Candidate> {
    let digits = typed.strip_suffix('%').unwrap_or(typed);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let usual: Vec<&str> = USUAL.into_iter().filter(|usual| usual.starts_with(typed)).collect();
    let shown = match usual.is_empty() {
        true if is_number => vec![format!("{prefix}{digits}%")],
        true => USUAL.map(|usual| format!("{prefix}{usual}")).to_vec(),
        false => usual.iter().map(|usual| format!("{prefix}{usual}")).collect(),
    };
    plain(shown)
}

impl<'a> Line<'a> {
    /// Whether the next word is a segment's share.
    fn takes_shares(&self) -> bool {
        match self.awaits {
            Some(option) => option.get_id() == "canary",
            None => self.command.get_name() == "canary",
        }
    }

    fn read(root: &'a Command, before: &[&'a str]) -> Line<'a> {
        let (positionals, options) = (Vec::new(), Vec::new());
        let mut line = Line { command: root, awaits: None, given: 0, inventory: None, positionals, options };
        // Behind a share's `=` stands its percentage, a word of its own in bash.
        let mut behind = false;
        for (at, word) in before.iter().enumerate() {
            let is_value = std::mem::replace(&mut behind, *word == "=");
            if *word == "=" || (is_value && !before[at.saturating_sub(2)].starts_with("--")) {
                continue;
            }
            line.word(root, word);
        }
        line
    }

    fn word(&mut self, root: &'a Command, word: &'a str) {
        if let Some(option) =
            self.awaits.take_if(|option| !word.starts_with('-') && (self.given == 0 || is_several(option)))
        {
            self.options.push(word);
            if option.get_id() == "inventory" {
                self.inventory = Some(word);
            }
            if is_several(option) {
                (self.awaits, self.given) = (Some(option), self.given + 1);
            }
        } else if word.starts_with('-') {
            let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            self.options.push(name);
            let option = flags(root, self.command).find(|flag| takes_value(flag) && is_named(flag, name));
            if let (Some(value), Some("inventory")) = (value, option.map(|option| option.get_id().as_str())) {
                self.inventory = Some(value);
            }
            (self.awaits, self.given) = (option.filter(|_| value.is_none()), 0);
        } else if let Some(command) = self.command.find_subcommand(word) {
            self.command = command;
        } else {
            self.positionals.push(word);
        }
    }
}

/// Whether one naming of the option takes several values.
fn is_several(option: &Arg) -> bool {
    option.get_num_args().is_some_and(|count| count.max_values() > 1)
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

/// Whether only options can follow.
fn takes_no_more(line: &Line<'_>) -> bool {
    let most = |arg: &Arg| arg.get_num_args().map_or(1, |count| count.max_values());
    let all = line.command.get_positionals().map(most).fold(0, usize::saturating_add);
    !line.command.has_subcommands() && line.positionals.len() >= all
}

/// As [`options`], without those that every command has.
fn own_options(root: &Command, line: &Line<'_>) -> Vec<Candidate> {
    let global: Vec<&str> = root.get_arguments().filter(|arg| arg.is_global_set()).filter_map(Arg::get_long).collect();
    let is_global = |name: &str| name.strip_prefix("--").is_some_and(|name| global.contains(&name));
    options(root, line).into_iter().filter(|(name, _)| !is_global(name)).collect()
}

/// The options that are not there yet, or may be there again.
fn options(root: &Command, line: &Line<'_>) -> Vec<Candidate> {
    let again = |arg: &Arg| matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
    let is_there = |arg: &Arg| line.options.iter().any(|word| is_named(arg, word));
    let named = |arg: &Arg| Some((format!("--{}", arg.get_long()?), about(arg.get_help())));
    flags(root, line.command).filter(|arg| again(arg) || !is_there(arg)).filter_map(named).collect()
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| text.to_string().lines().next().unwrap_or_default().to_owned()).unwrap_or_default()
}

fn option_values(option: &Arg, line: &Line<'_>, names: &Names<'_>) -> Vec<Candidate> {
    match option.get_id().as_str() {
        "inventory" => plain(locate::names(names.cwd)),
        "canary" => names.segments(&line.options),
        "artifacts" => names.with(|site| site.pools.iter().map(|pool| format!("{}=", pool.name)).collect()),
        "revert_after" => plain(["5m", "10m", "30m", "1h"].map(ToOwned::to_owned).to_vec()),
        _ => possible_values(option),
    }
}

fn possible_values(arg: &Arg) -> Vec<Candidate> {
    arg.get_possible_values().iter().map(|value| (value.get_name().to_owned(), about(value.get_help()))).collect()
}

fn positional(line: &Line<'_>, names: &Names<'_>) -> Vec<Candidate> {
    let Line { command, positionals: given, .. } = line;
    if command.has_subcommands() {
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        return shown.map(|sub| (sub.get_name().to_owned(), about(sub.get_about()))).collect();
    }
    match command.get_name() {
        "exec" if given.is_empty() => names.targets(),
        "exec" => vec![("--".to_owned(), "then the command".to_owned())],
        "canary" => {
            let mut shares = names.segments(given);
            if given.is_empty() {
                shares.push(("off".to_owned(), "all traffic back to blue".to_owned()));
            }
            shares
        }
        "copy" if given.len() > 1 => Vec::new(),
        "copy" => {
            let mut places = names.with(|site| vec![site.journal.to_string()]);
            places.extend(plain(["file:", "ssh:", "etcd:"].map(ToOwned::to_owned).to_vec()));
            places
        }
        "sync" => {
            let mut hosts = names.with(|site| site.balancers.iter().map(|balancer| balancer.host.clone()).collect());
            hosts.retain(|(host, _)| !given.contains(&host.as_str()));
            hosts
        }
        _ => command.get_positionals().nth(given.len()).map(possible_values).unwrap_or_default(),
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

    /// Each segment that has no share among `given` yet: `mobile=10%`, or `mobile` where the shell breaks words at `=`.
    fn segments(&self, given: &[&str]) -> Vec<Candidate> {
        let is_given = |name: &String| given.iter().any(|word| word.split('=').next() == Some(name));
        self.with(|site| {
            let names = site.segment_names().into_iter().chain([ALL_SEGMENT.to_owned()]);
            names.filter(|name| !is_given(name)).map(|name| format!("{name}=")).collect()
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
