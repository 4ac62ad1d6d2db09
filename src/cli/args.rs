//! The command line. The help texts say `bg`; they are shown under the name that the program was called by.

mod exits;
mod wait;

use std::time::Duration;

use bluegreen_core::{
    inventory::{JournalLocation, parse_location},
    lock::reason,
};
use clap::{ArgAction, Args, Command, CommandFactory, Parser, Subcommand, ValueEnum, builder::StyledStr};

use super::screen::under_name;
use exits::{end, turn};
use wait::WAIT;
pub use wait::with_durations;

/// The heading of what every command has.
const GLOBAL: &str = "Global options";
/// More would only make the lines longer to read.
const WIDEST: usize = 80;

/// Blue-green deployment for people who run their own servers.
///
/// Half of the servers (green) is upgraded and tried while the other half (blue) carries the site; then everybody moves over at once.
#[derive(Debug, Parser)]
#[command(
    version,
    disable_help_subcommand = true,
    disable_help_flag = true,
    disable_version_flag = true,
    arg_required_else_help = false,
    max_term_width = WIDEST,
    after_help = "Start with:\n  bg init\n  bg check\n\nEvery command's --help has an example and its exit codes."
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Cmd,
    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = GLOBAL)]
    version: Option<bool>,
}

/// Arguments that every command has.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// NAME: inventory/NAME.toml [default: the only file in inventory/]
    #[arg(short, long, global = true, value_name = "NAME|PATH", env = "BG_INVENTORY", hide_env_values = true,
          help_heading = GLOBAL)]
    pub inventory: Option<String>,
    /// Print one JSON document on stdout instead of text
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
    /// Say more about what happens
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub verbose: bool,
    /// Say nothing about what happens, only how it ended
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub quiet: bool,
    /// Colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL)]
    pub color: ColorWhen,
    /// Print this help
    #[arg(short, long, global = true, action = ArgAction::HelpShort, help_heading = GLOBAL)]
    help: Option<bool>,
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
    /// Queue while another command has the site's lock, up to DURATION [default: 1h]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = WAIT, value_parser = wait::wait)]
    pub wait: Option<Duration>,
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

/// The commands, in the order of a site's life.
#[derive(Debug, Subcommand)]
pub enum Cmd {
    /// Write a commented inventory and the nginx templates to start from.
    ///
    /// A file that is there already is left alone.
    #[command(after_help = end("bg init shop", exits::INIT))]
    Init {
        /// Where; default: here
        #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
        dir: std::path::PathBuf,
    },
    /// Check the inventory, and with --hosts every host too.
    ///
    /// Finds everything that is wrong at once and changes nothing.
    #[command(after_help = end("bg check --hosts", exits::CHECK))]
    Check {
        /// Ask every host: rights, tools, disk, nginx's wiring
        #[arg(long)]
        hosts: bool,
    },
    /// Create the balancers' files and install a first release on both halves.
    ///
    /// Works before nginx includes those files, and then prints the lines to add; run again, it goes on where it stopped.
    #[command(after_help = turn("bg setup --release 1.0", exits::SETUP))]
    Setup {
        /// The first release
        #[command(flatten)]
        new: NewRelease,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Show where the site stands, and which commands make sense next.
    ///
    /// Asks every host what it runs and whether it is healthy; only reads, so it can be run at any time, also beside another command,
    /// and fits your terminal unless -v asks for every host.
    #[command(after_help = end("bg status --watch", exits::STATUS))]
    Status {
        /// Draw it again every two seconds, until Ctrl-C
        #[arg(long)]
        watch: bool,
        /// Answer within this time: what is not known by then is shown as unknown. More for slow lines
        #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = wait::answer,
              env = "BG_STATUS_TIMEOUT", hide_env_values = true)]
        timeout: Duration,
    },
    /// Take green out of traffic, upgrade it and check it; then the canary.
    ///
    /// Blue carries the site meanwhile; when anything goes wrong, green stays out and blue is untouched.
    #[command(after_help = exits::deploy("bg deploy --release 2.0 --canary mobile=10%"))]
    Deploy {
        /// The new release
        #[command(flatten)]
        new: NewRelease,
        /// Then send this share of a segment's clients to green
        #[arg(long, value_name = "SEGMENT=PERCENT", num_args = 1.., action = ArgAction::Append)]
        canary: Vec<String>,
        /// Unless `bg confirm` comes before, every balancer takes the canary back after this time
        #[arg(long, value_name = "DURATION")]
        revert_after: Option<String>,
        /// As everywhere
        #[command(flatten)]
        change: Change,
        /// With --wait: give way to a newer deploy that waits when the turn comes
        #[arg(long, requires = "wait")]
        skip_superseded: bool,
    },
    /// Change which slice of the clients goes to green.
    ///
    /// The whole set is replaced: a segment that is not named gets the share of `all`, and `off` sends everybody to blue.
    #[command(after_help = turn("bg canary mobile=25% all=1%", exits::CHANGE))]
    Canary {
        /// Shares, or `off`
        #[arg(required = true, value_name = "SEGMENT=PERCENT|off")]
        shares: Vec<String>,
        /// Unless `bg confirm` comes before, every balancer goes back by itself after this time
        #[arg(long, value_name = "DURATION")]
        revert_after: Option<String>,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Send all traffic to green, or with --back to blue.
    ///
    /// It takes effect with the next request; a flip to green is made on every balancer or on none.
    #[command(after_help = turn("bg flip --revert-after 10m", exits::CHANGE))]
    Flip {
        /// Back to blue
        #[arg(long)]
        back: bool,
        /// Unless `bg confirm` comes before, every balancer goes back by itself after this time
        #[arg(long, value_name = "DURATION")]
        revert_after: Option<String>,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Keep a shift that was made with --revert-after.
    ///
    /// Until then every balancer goes back to the earlier traffic by itself when its time is up, also when this machine is gone.
    #[command(after_help = turn("bg confirm", exits::CONFIRM))]
    Confirm {
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Upgrade blue and return both halves to service.
    ///
    /// Green carries the site meanwhile.
    #[command(after_help = turn("bg restore", exits::CHANGE))]
    Restore {
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Undo the rollout under way: balanced again, on the old release.
    ///
    /// Works from every stage, and after anything was interrupted.
    #[command(after_help = turn("bg abort", exits::ABORT))]
    Abort {
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Finish what was interrupted, from the journaled plan.
    ///
    /// A shift that had begun to be undone is undone to its end.
    #[command(after_help = turn("bg resume", exits::CHANGE))]
    Resume {
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Bring the balancers up to what the inventory and the journal say.
    ///
    /// For changed segments or upstream settings, and for files that drifted or are missing.
    #[command(after_help = turn("bg sync lb1", exits::CHANGE))]
    Sync {
        /// Only look at these balancers
        #[arg(value_name = "HOST")]
        hosts: Vec<String>,
        /// As everywhere
        #[command(flatten)]
        change: Change,
    },
    /// Run a command on many hosts at once.
    ///
    /// Its output is labelled by host, as it comes.
    #[command(after_help = end("bg exec web/green -- uptime", exits::EXEC))]
    Exec {
        /// A pool, a half of it, `balancers`, or one host
        #[arg(value_name = "POOL[/HALF]|balancers|HOST")]
        target: String,
        /// The command and its arguments; a single word is a shell line
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<String>,
        /// End it on a host where it takes longer
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = wait::run)]
        timeout: Duration,
    },
    /// Hold the site by hand: no command begins until `bg unlock`.
    ///
    /// A command that is under way goes on to its end; the lock never expires, and is not waited for by --wait.
    #[command(after_help = end("bg lock --why \"the database is being moved\"", exits::LOCK))]
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
    /// Says whose lock it was; when the site is not held, that is said and nothing else is done.
    #[command(after_help = end("bg unlock", exits::UNLOCK))]
    Unlock {
        /// Say what it would do; touch nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Move the site's journal to another place.
    ///
    /// It is where everything is recorded that was intended and done: `[site] journal` in the inventory.
    #[command(
        subcommand_required = true,
        arg_required_else_help = false,
        after_help = end("bg journal copy file:.bg/production ssh:lb1:/var/lib/bg/shop", exits::COPY)
    )]
    Journal {
        /// What to do with it
        #[command(subcommand)]
        command: Box<JournalCmd>,
    },
    /// Print the shell function and the completions.
    ///
    /// It keeps the shell's own `bg` for jobs, and everything else runs this program.
    #[command(after_help = end("eval \"$(bluegreen shell bash)\"      in ~/.bashrc", exits::SHELL))]
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
    /// Copy the journal FROM to the empty place TO; FROM then points there.
    ///
    /// The two are never both open: TO is held until everything was read back and compared and FROM is closed; run again after an interruption, it goes on.
    #[command(after_help = turn("bg journal copy file:.bg/production ssh:lb1:/var/lib/bg/shop", exits::COPY))]
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
/// into a command's name. Each command's help is one text, short enough to be read: `-h` and `--help` are the same.
pub fn command(called: &'static str) -> Command {
    renamed(Cli::command().name(called).bin_name(called), called)
}

fn renamed(mut command: Command, called: &str) -> Command {
    let named = |text: &StyledStr| under_name(&text.to_string(), called);
    if command.has_subcommands() {
        let list = list(&command);
        command = command.help_template(under_name(&list, called));
    }
    let about = command.get_long_about().or(command.get_about()).map(named);
    if let Some(about) = about {
        command = command.about(about).long_about(None);
    }
    if let Some(help) = command.get_after_help().map(named) {
        command = command.after_help(help);
    }
    let command = command.mut_args(|arg| match arg.get_help().map(named) {
        Some(help) => arg.help(help),
        None => arg,
    });
    command.mut_subcommands(|one| renamed(one, called))
}

/// The help of a command that has others, with the first line of each: it has no options but the global ones.
fn list(command: &Command) -> String {
    let shown = || command.get_subcommands().filter(|one| !one.is_hide_set());
    let width = shown().map(|one| one.get_name().len()).max().unwrap_or_default();
    let line = |one: &Command| {
        let about = one.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:<width$}  {about}\n", one.get_name())
    };
    let lines: String = shown().map(line).collect();
    format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\nCommands:\n{lines}\n{GLOBAL}:\n{{options}}{{after-help}}"
    )
}

#[cfg(test)]
mod tests;
