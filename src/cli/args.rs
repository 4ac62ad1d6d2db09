//! The command line. The help texts say `bg`; they are shown under the name that the program was called by.

use std::{ffi::OsString, time::Duration};

use bluegreen_core::inventory::{JournalLocation, parse_duration, parse_location};
use clap::{Args, Command, CommandFactory, Parser, Subcommand, ValueEnum, builder::StyledStr};

use super::screen::under_name;
use bluegreen_core::lock::reason;

const EXIT_CHANGE: &str = "Exit codes: 0 done · 1 failed, everything is as it was · 2 usage or inventory wrong · 3 refused, \
                           nothing touched · 4 the release is not healthy · 5 open: `bg resume` or `bg abort` · 130 Ctrl-C";

/// The longest that `exec --timeout` can be, in seconds: a week.
const LONGEST: u64 = 7 * 24 * 3600;

/// Blue-green deployment for people who run their own servers.
///
/// Half of the servers (green) is upgraded and tried while the other half (blue) carries the site; then everybody moves over at once.
#[derive(Debug, Parser)]
#[command(
    version,
    disable_help_subcommand = true,
    arg_required_else_help = false,
    after_help = "Start with:\n  bg init\n  bg check"
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Cmd,
}

/// Arguments that every command has.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The inventory: NAME is inventory/NAME.toml; default: the only file in inventory/
    #[arg(short, long, global = true, value_name = "NAME|PATH", env = "BG_INVENTORY", hide_env_values = true)]
    pub inventory: Option<String>,
    /// Print one JSON document on stdout instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more about what happens
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Say nothing about what happens, only how it ended
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What every command that changes anything has.
#[derive(Debug, Clone, Copy, Args)]
pub struct Change {
    /// Print the steps and what would change on each balancer; touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait in the queue while another command has the site's lock, up to DURATION
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = WAIT, value_parser = wait,
          long_help = WAIT_HELP)]
    pub wait: Option<Duration>,
}

/// `--wait` without a duration: longer than the commands that are ahead take together, and no longer than a job of a CI may
/// last where nobody looks.
const WAIT: &str = "1h";
const WAIT_HELP: &str = "Wait in the queue while another command has the site's lock, up to DURATION [default: 1h]\n\n\
    First come, first served. Ctrl-C leaves the queue. A lock by hand (`bg lock`) is not waited for. When its turn comes, \
    everything is decided by how the site stands then; a deploy brings what its artifacts were when it was started";
const SKIP_HELP: &str = "With --wait: give way to a newer deploy that waits when the turn comes\n\n\
    For teams that merge faster than they deploy: of those in the queue only the newest deploys, the others exit with 3";
/// The bounds of `--wait`.
const LEAST_WAIT_MS: u64 = 1_000;
const MOST_WAIT_MS: u64 = 7 * 24 * 3_600_000;

fn wait(text: &str) -> Result<Duration, String> {
    parse_duration(text, LEAST_WAIT_MS, MOST_WAIT_MS).map(Duration::from_millis)
}

/// Whether the word behind `--wait` is its duration, and not what else the command takes: shares, hosts, another option.
fn is_duration(word: &str) -> bool {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && word.bytes().skip(digits).all(|byte| byte.is_ascii_alphabetic())
}

/// The same words, with the duration written out behind every `--wait` that has none: `canary --wait all=5%` waits as long as
/// by default, and takes the share for a share.
pub fn with_durations(words: &[OsString]) -> Vec<OsString> {
    let mut all = Vec::with_capacity(words.len());
    let options = words.iter().position(|word| word == "--").unwrap_or(words.len());
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).filter(|_| at + 1 < options).and_then(|next| next.to_str());
        if word == "--wait" && at < options && !next.is_some_and(is_duration) {
            all.push(OsString::from(format!("--wait={WAIT}")));
        } else {
            all.push(word.clone());
        }
    }
    all
}

/// What names a new release.
#[derive(Debug, Clone, Args)]
pub struct NewRelease {
    /// The release's label; default: git describe, else its number
    #[arg(long, value_name = "LABEL")]
    pub release: Option<String>,
    /// Another artifact than the inventory's
    #[arg(long = "artifact", value_name = "POOL=PATH")]
    pub artifacts: Vec<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Cmd {
    /// Write a commented inventory and the nginx templates to start from.
    ///
    /// Never overwrites a file.
    #[command(after_help = "Example:\n  bg init shop\n\nExit codes: 0 done · 1 failed · 2 usage wrong")]
    Init {
        /// Where; default: here
        #[arg(value_name = "DIR", default_value = ".")]
        dir: std::path::PathBuf,
    },
    /// Check the inventory, and with --hosts every host too.
    ///
    /// Finds everything that is wrong at once and changes nothing.
    #[command(
        after_help = "Example:\n  bg check --hosts\n\nExit codes: 0 all is well · 1 findings on the hosts · 2 usage or inventory wrong"
    )]
    Check {
        /// Ask every host: rights, tools, disk, nginx's wiring
        #[arg(long)]
        hosts: bool,
    },
    /// Show where the site stands, what serves what, and which commands make sense next.
    ///
    /// Only reads: it can be run at any time, also beside another command.
    #[command(
        after_help = "Example:\n  bg status --watch\n\nExit codes: 0 done · 1 the journal cannot be read, or is lost · 2 usage or inventory wrong · 130 Ctrl-C"
    )]
    Status {
        /// Draw it again every two seconds, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Run a command on many hosts at once.
    ///
    /// Its output is labelled by host, as it comes.
    #[command(
        after_help = "Example:\n  bg exec web/green -- uptime\n\nExit codes: 0 done · 1 it failed on a host · 2 usage or inventory wrong · 130 Ctrl-C"
    )]
    Exec {
        /// A pool, a half of it, `balancers`, or one host
        #[arg(value_name = "POOL[/HALF]|balancers|HOST")]
        target: String,
        /// The command and its arguments; a single word is a shell line
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<String>,
        /// End it on a host where it takes longer
        #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=LONGEST))]
        timeout: u64,
    },
    /// Create the balancers' first files and install a first release on both halves.
    ///
    /// Works before nginx includes those files, and then prints the lines to add; run again, it goes on where it stopped.
    #[command(after_help = format!("Example:\n  bg setup --release 1.0\n\n{EXIT_CHANGE}"))]
    Setup {
        /// The first release
        #[command(flatten)]
        new: NewRelease,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Take green out of traffic, upgrade and check it, then give it the canary, if any.
    ///
    /// Blue carries the site meanwhile; when anything goes wrong, green stays out and blue is untouched.
    #[command(after_help = format!("Example:\n  bg deploy --canary mobile=10%\n\n{EXIT_CHANGE}"))]
    Deploy {
        /// The new release
        #[command(flatten)]
        new: NewRelease,
        /// With --wait: give way to a newer deploy that waits when the turn comes
        #[arg(long, requires = "wait", long_help = SKIP_HELP)]
        skip_superseded: bool,
        /// Then send this share of a segment's clients to green
        #[arg(long, value_name = "SEGMENT=PERCENT", num_args = 1.., action = clap::ArgAction::Append)]
        canary: Vec<String>,
        /// Every balancer takes the canary back by itself after this time, unless `bg confirm` comes before
        #[arg(long, value_name = "DURATION")]
        revert_after: Option<String>,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Change which slice of the clients goes to green.
    ///
    /// The whole set is replaced: a segment that is not named gets the share of `all`. `off` sends everybody to blue.
    #[command(after_help = format!("Example:\n  bg canary mobile=25% all=1%\n\n{EXIT_CHANGE}"))]
    Canary {
        /// Shares, or `off`
        #[arg(required = true, value_name = "SEGMENT=PERCENT|off")]
        shares: Vec<String>,
        /// Every balancer goes back by itself after this time, unless `bg confirm` comes before
        #[arg(long, value_name = "DURATION")]
        revert_after: Option<String>,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Send all traffic to green, or with --back to blue.
    ///
    /// It takes effect with the next request, on every balancer or on none.
    #[command(after_help = format!("Example:\n  bg flip --revert-after 10m\n\n{EXIT_CHANGE}"))]
    Flip {
        /// Back to blue
        #[arg(long)]
        back: bool,
        /// Every balancer goes back by itself after this time, unless `bg confirm` comes before
        #[arg(long, value_name = "DURATION")]
        revert_after: Option<String>,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Keep a shift that was made with --revert-after.
    ///
    /// Until then every balancer goes back to the earlier traffic by itself when its time is up, also when this machine is gone.
    #[command(after_help = format!("Example:\n  bg confirm\n\n{EXIT_CHANGE}"))]
    Confirm {
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Upgrade blue and return both halves to service.
    ///
    /// Green carries the site meanwhile.
    #[command(after_help = format!("Example:\n  bg restore\n\n{EXIT_CHANGE}"))]
    Restore {
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Undo the rollout under way: balanced again, on the old release.
    ///
    /// Works from every stage, and after anything was interrupted.
    #[command(after_help = format!("Example:\n  bg abort\n\n{EXIT_CHANGE}"))]
    Abort {
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Finish what was interrupted, from the journaled plan.
    ///
    /// A shift that had begun to be undone is undone to its end.
    #[command(after_help = format!("Example:\n  bg resume\n\n{EXIT_CHANGE}"))]
    Resume {
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Bring the balancers up to what the inventory and the journal say.
    ///
    /// For changed segments or upstream settings, and for files that drifted or are missing.
    #[command(after_help = format!("Example:\n  bg sync lb1\n\n{EXIT_CHANGE}"))]
    Sync {
        /// Only look at these balancers
        #[arg(value_name = "HOST")]
        hosts: Vec<String>,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Hold the site by hand: from now on no command begins, until `bg unlock`.
    ///
    /// A command that is under way goes on to its end. It never expires, and is not waited for by --wait.
    #[command(
        after_help = "Example:\n  bg lock --why \"the database is being moved\"\n\nExit codes: 0 held · 1 the journal cannot be read · 2 usage or inventory wrong · 3 held already, or no site yet"
    )]
    Lock {
        /// What for: every command that is refused meanwhile repeats it
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        why: Option<String>,
        /// Say what it would do; touch nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Release the site that is held by hand, whoever holds it.
    ///
    /// Says whose lock it was. When the site is not held, that is said and nothing else is done.
    #[command(
        after_help = "Example:\n  bg unlock\n\nExit codes: 0 released, or not held · 1 the journal cannot be reached · 2 usage or inventory wrong · 3 refused"
    )]
    Unlock {
        /// Say what it would do; touch nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Move the site's journal to another place.
    ///
    /// It is where everything is recorded that was intended and done: `[site] journal` in the inventory.
    #[command(subcommand_required = true, arg_required_else_help = false)]
    Journal {
        /// What to do with it
        #[command(subcommand)]
        command: Box<JournalCmd>,
    },
    /// Print the shell function and the completions.
    ///
    /// It keeps the shell's own `bg` for jobs, and everything else runs this program.
    #[command(
        after_help = "Example, for ~/.bashrc:\n  eval \"$(bluegreen shell bash)\"\n\nExit codes: 0 done · 2 usage wrong"
    )]
    Shell {
        /// Which shell
        shell: ShellName,
        /// Only the completions, and only of `bluegreen`: what a package installs for everybody
        #[arg(long)]
        completions: bool,
    },
    /// What the completions ask: what could stand in place of the last word.
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The command line so far
        #[arg(last = true)]
        words: Vec<String>,
    },
}

/// What can be done with a journal.
#[derive(Debug, Subcommand)]
pub enum JournalCmd {
    /// Copy the journal FROM to the empty place TO, and close FROM with a pointer to it.
    ///
    /// The two are never both open: TO is held until everything was read back and compared and FROM is closed. Run again after any interruption, it goes on.
    #[command(
        after_help = "Example:\n  bg journal copy file:.bg/production ssh:lb1:/var/lib/bg/shop\n\nExit codes: 0 moved · 1 not finished, FROM is still the site's journal unless it says otherwise · 2 usage or inventory wrong · 3 refused, nothing touched · 130 Ctrl-C"
    )]
    Copy {
        /// Where the journal is, as the inventory says it
        #[arg(value_name = "FROM", value_parser = parse_location)]
        from: JournalLocation,
        /// Where it is to be
        #[arg(value_name = "TO", value_parser = parse_location)]
        to: JournalLocation,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
}

/// The shells that `shell` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellName {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// The parser, with its texts under the name that the program was called by: before they are wrapped, for a line break may fall
/// into a command's name.
pub fn command(called: &'static str) -> Command {
    renamed(Cli::command().name(called).bin_name(called), called)
}

fn renamed(mut command: Command, called: &str) -> Command {
    let named = |text: &StyledStr| under_name(&text.to_string(), called);
    if let Some(about) = command.get_about().map(named) {
        command = command.about(about);
    }
    if let Some(about) = command.get_long_about().map(named) {
        command = command.long_about(about);
    }
    if let Some(help) = command.get_after_help().map(named) {
        command = command.after_help(help);
    }
    let command = command.mut_args(|mut arg| {
        if let Some(help) = arg.get_help().map(named) {
            arg = arg.help(help);
        }
        if let Some(help) = arg.get_long_help().map(named) {
            arg = arg.long_help(help);
        }
        arg
    });
    command.mut_subcommands(|one| renamed(one, called))
}

#[cfg(test)]
mod tests;
