//! What every error means to whoever sees it: the exit code, and what to do next. Each kind says what happened where it is
//! defined; everything that follows from it stands here, in one place, to be read from top to bottom. Whoever meets an error asks
//! the error itself (`error.hint()`, `outcome.exit`) and need not know this file. It is longer than any other file is meant to be:
//! in parts it would be the many places again that it replaces.

use std::io;

use bluegreen_core::rollout::{Effect, Failed, PlanError, Stage, State};

use crate::{
    cli::CliError,
    edge::{
        artifact::ArtifactError,
        balancer,
        health::{ProbeError, Unhealthy},
        host::HostError,
        journal::{LEASE, Mend, OpenError, StoreError},
        server::{ServerError, What},
        world::Trouble,
    },
    engine::{Exit, Failure, JournalError, Outcome, some_of, ways_on},
    site::{OtherInventory, Refusal, UNREADABLE_HOLD, by, follow},
};

/// Releases that are named where another one was asked for.
const BUILDS: usize = 5;

#[cfg(test)]
mod tests;

/// Of the command line, before a site is looked at.
impl CliError {
    /// The process's exit code.
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Usage { .. }
            | CliError::NoInventory { .. }
            | CliError::Inventory { .. }
            | CliError::Templates { .. }
            | CliError::Unrenderable { .. } => Exit::Usage,
            CliError::File { .. } => Exit::Failed,
            CliError::Ended(outcome) => outcome.exit,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            CliError::Usage { hint, .. } => hint.clone(),
            CliError::NoInventory { hint, .. } => Some(hint.clone()),
            CliError::Inventory { .. } | CliError::Unrenderable { .. } => Some("mend it, then `bg check`".to_owned()),
            CliError::Templates { .. } => {
                Some("mend them, or take `templates` out to use the built-in ones".to_owned())
            }
            CliError::File { source, .. } => Some(of_system(source.kind()).to_owned()),
            CliError::Ended(outcome) => outcome.hint.clone(),
        }
    }
}

/// What a person does about this machine's files, by what the system says of them.
fn of_system(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "give yourself the right to it, then the command again"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there, then the command again",
        _ => "mend that, then the command again",
    }
}

/// What a step's failure means before anything was begun.
impl From<Effect> for Exit {
    fn from(effect: Effect) -> Exit {
        match effect {
            Effect::Nothing | Effect::Open => Exit::Failed,
            Effect::Unhealthy => Exit::Unhealthy,
            Effect::Refused => Exit::Refused,
        }
    }
}

/// What it means for a command that was begun.
impl From<Failed> for Exit {
    fn from(failed: Failed) -> Exit {
        match failed {
            Failed::PutBack | Failed::StaysOpen => Exit::Open,
            Failed::Over => Exit::Failed,
            Failed::Unhealthy => Exit::Unhealthy,
            Failed::Refused => Exit::Refused,
        }
    }
}

/// A failure of the world before anything was begun.
impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Outcome {
        Outcome { exit: failure.effect.into(), message: failure.message, hint: failure.hint }
    }
}

/// An append that failed where nothing was open yet.
impl From<JournalError> for Outcome {
    fn from(error: JournalError) -> Outcome {
        // Nothing is open yet that this command has begun, unless it is not known whether it was.
        let (exit, then) = match error.is_unknown {
            true => (Exit::Open, "`bg status` shows whether anything is open"),
            false => (Exit::Failed, "the command again"),
        };
        Outcome { exit, message: error.message, hint: Some(format!("{}, then {then}", error.hint)) }
    }
}

/// What stopped a step.
impl Trouble {
    /// What it means for the command.
    pub fn effect(&self) -> Effect {
        match self {
            Trouble::Unprepared(error) if error.is_foreign() => Effect::Refused,
            Trouble::NotAll(error) if !error.not_put_back.is_empty() => Effect::Open,
            Trouble::NoDirs(_)
            | Trouble::Unrenderable(_)
            | Trouble::NotAll(_)
            | Trouble::Unprepared(_)
            | Trouble::NotSwitched { .. } => Effect::Nothing,
            Trouble::Server(error) if error.is_refused() => Effect::Refused,
            // The balancer's fault and not the release's: nothing is known against the place.
            Trouble::StaysUnhealthy { unhealthy, .. } if unhealthy.viewpoint_lost.is_some() => Effect::Open,
            // Before a shift, which was not made then.
            Trouble::Unasked { host, error, .. } if error.viewpoint().is_some_and(|viewpoint| viewpoint != host) => {
                Effect::Nothing
            }
            Trouble::Server(_)
            | Trouble::NoArtifact { .. }
            | Trouble::Changed { .. }
            | Trouble::Artifact(_)
            | Trouble::Disagree { .. }
            | Trouble::RunsAnother { .. }
            | Trouble::NotHealthy { .. }
            | Trouble::StaysUnhealthy { .. }
            | Trouble::Silent { .. }
            | Trouble::Unasked { .. }
            | Trouble::NoneHealthy { .. } => Effect::Unhealthy,
            Trouble::Foreign { .. }
            | Trouble::ForeignTree { .. }
            | Trouble::Overtaken { .. }
            | Trouble::Newer { .. }
            | Trouble::PerhapsNewer { .. } => Effect::Refused,
            Trouble::NotBack { .. }
            | Trouble::NotFollowed { .. }
            | Trouble::WentBack { .. }
            | Trouble::Untold { .. }
            | Trouble::Reached { .. }
            | Trouble::Unconfirmed
            | Trouble::Unguarded { .. }
            | Trouble::NotDrained { .. }
            | Trouble::Unread { .. }
            | Trouble::Uncounted { .. }
            | Trouble::NoRelease { .. } => Effect::Open,
        }
    }

    /// What to do next, before what the stage allows.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Trouble::NoDirs(errors) => return errors.iter().find_map(balancer::Error::hint),
            Trouble::NotAll(error) => return error.failed.iter().find_map(balancer::Error::hint),
            Trouble::Unprepared(error) => {
                error.hint().unwrap_or_else(|| format!("see to `{}`, then try again", error.host))
            }
            Trouble::Unrenderable(_) => "mend the inventory, then `bg check`".to_owned(),
            Trouble::NotBack { .. } | Trouble::NotFollowed { .. } => "bring what is named back first".to_owned(),
            Trouble::WentBack { .. } => "`bg confirm` again".to_owned(),
            Trouble::Untold { .. } => {
                "`bg confirm` again, before then · `bg flip --back` takes all of them back now".to_owned()
            }
            Trouble::Unguarded { host, .. } => {
                format!("see to `{host}`; its traffic tree is brought back first")
            }
            Trouble::NotDrained { .. } => "end or wait for those requests, or set `drain.timeout`, `drain.on_timeout` or \
                 `drain.ignore` for the pool; after a worker of nginx was killed its requests stay counted until nginx is \
                 restarted"
                .to_owned(),
            Trouble::Unread { error, .. } | Trouble::Uncounted { error, .. } => {
                error.hint().unwrap_or_else(|| format!("see to `{}`", error.host))
            }
            Trouble::Server(error) => return error.hint(),
            Trouble::NoRelease { .. } => "report that: it is an error of bg's own".to_owned(),
            Trouble::NoArtifact { .. } => "a new deploy brings one".to_owned(),
            Trouble::Changed { .. } => "bring the artifact back as it was".to_owned(),
            Trouble::Artifact(error) => error.hint(),
            Trouble::Disagree { .. } => "`bg status` shows which of them runs what".to_owned(),
            Trouble::StaysUnhealthy { unhealthy: Unhealthy { viewpoint_lost: Some(balancer), .. }, .. } => {
                format!("see to `{balancer}` first")
            }
            // The next deploy brings another release; every other command finds this one there, and only checks it again.
            Trouble::StaysUnhealthy { unhealthy, is_restarted } => {
                let look = format!("`bg exec {} -- COMMAND` looks there", unhealthy.host);
                let then = "it has the release, so the next try does not restart it: do that there if it needs it";
                if *is_restarted { look } else { format!("{look}; {then}") }
            }
            Trouble::NotHealthy { host, .. } | Trouble::Silent { host, .. } => {
                format!("`bg exec {host} -- COMMAND` looks there")
            }
            Trouble::RunsAnother { .. } => "`bg status` shows which server runs what".to_owned(),
            Trouble::Unasked { error: ProbeError::Host(error), .. } => return error.hint(),
            Trouble::Unasked { .. } => "`bg check --hosts` says more".to_owned(),
            Trouble::Foreign { .. } => {
                "bring that journal back (a backup, a colleague's machine), or use the inventory that it belongs to".to_owned()
            }
            Trouble::ForeignTree { .. } => "use the inventory and the journal that this balancer belongs to".to_owned(),
            Trouble::Overtaken { .. } | Trouble::Newer { .. } => {
                "use the newest copy of the journal, with the inventory that names it: the site went on there, and nothing is \
                 to be mended on the hosts"
                    .to_owned()
            }
            Trouble::PerhapsNewer { host, generation, .. } => format!(
                "use the newest copy of the journal; which journal has made it is in `live/gen/{generation}/traffic.json`, in \
                 bg's directory on `{host}`"
            ),
            Trouble::NotSwitched { .. }
            | Trouble::Reached { .. }
            | Trouble::Unconfirmed
            | Trouble::NoneHealthy { .. } => return None,
        })
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        Failure { effect: trouble.effect(), message: trouble.to_string(), hint: trouble.hint() }
    }
}

/// Before anything is touched, and where a journal is moved.
impl Refusal {
    /// The process's exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Refusal::Stage(PlanError::Already { .. }) => Exit::Done,
            Refusal::Unrenderable(_)
            | Refusal::NoSuchBalancer { .. }
            | Refusal::Usage(_)
            | Refusal::SamePlace { .. } => Exit::Usage,
            Refusal::Artifact { error, .. } if !error.is_of_this_machine() => Exit::Usage,
            Refusal::ServersSilent { .. } => Exit::Unhealthy,
            Refusal::BalancersSilent { .. }
            | Refusal::Artifact { .. }
            | Refusal::CopyFailed { .. }
            | Refusal::NotClosed { .. }
            | Refusal::NotOpened { .. }
            | Refusal::CopyGone { .. } => Exit::Failed,
            Refusal::CopyStopped { .. } => Exit::Interrupted,
            _ => Exit::Refused,
        }
    }

    /// What to do next; `None`: what the stage allows.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Refusal::BegunWithAnother { .. } => "bring that inventory back, or `bg sync` again".to_owned(),
            Refusal::Meanwhile => "`bg status` shows what it did; then the command again".to_owned(),
            Refusal::OtherSite { .. } => "give each site a journal of its own (`[site] journal`)".to_owned(),
            Refusal::Inventory(other) => other.hint().to_owned(),
            Refusal::NotBalanced { ways } => format!("take the change back for this rollout · then {ways}"),
            Refusal::OtherHosts { .. } => "take the change of hosts back".to_owned(),
            Refusal::NoSuchBalancer { .. } => "name one of those, or none for all of them".to_owned(),
            Refusal::Unrenderable(_) => "mend it, then `bg check`".to_owned(),
            Refusal::BalancersSilent { errors, .. } => {
                with_first(errors.iter().find_map(balancer::Error::hint), "bring the balancer back, then try again")
            }
            Refusal::ServersSilent { errors, .. } => {
                let first = errors.iter().find_map(|(error, _)| error.hint());
                with_first(first, "repair the server, then try again")
            }
            Refusal::PassesBy { certain, .. } => {
                let mend = if certain.is_empty() { "mend that" } else { "mend nginx's configuration and reload it" };
                format!("{mend}, then try again · `bg check --hosts` says more")
            }
            Refusal::InUse { .. } => "stop it first, or give the new site other ports and roots".to_owned(),
            Refusal::WouldDisarm { .. } => "`bg confirm` or `bg flip --back` first".to_owned(),
            Refusal::NothingToHold => "`bg setup`, or bring its journal here".to_owned(),
            Refusal::HeldMeanwhile => "`bg lock` again".to_owned(),
            Refusal::HoldChanged => "`bg status` shows who holds the site now".to_owned(),
            Refusal::Usage(_) => "`bg deploy --help` shows how it is written".to_owned(),
            Refusal::Artifact { error, .. } if error.is_of_this_machine() => error.hint(),
            Refusal::Artifact { pool, error, builds } => {
                let built = match builds.as_slice() {
                    [] => String::new(),
                    all => format!("give `--release` one that is built, newest first: {} · or ", some_of(all, BUILDS)),
                };
                format!("{built}{}, or name another with `--artifact {pool}=PATH`", error.hint())
            }
            Refusal::SamePlace { .. } => "`bg journal copy --help` shows the kinds of places".to_owned(),
            Refusal::NothingToCopy { .. } => "name the journal that the site has now".to_owned(),
            Refusal::CopyOfAnother { .. } => "choose another place".to_owned(),
            Refusal::NotEmpty { .. } => "choose another place, or move that one away".to_owned(),
            Refusal::CopyStopped { from, to, .. }
            | Refusal::CopyFailed { from, to, .. }
            | Refusal::NotClosed { from, to, .. }
            | Refusal::NotOpened { from, to, .. } => format!("`bg journal copy {from} {to}` again goes on with it"),
            Refusal::CopyGone { to, .. } => format!("bring `{to}` back, from a backup or its host"),
            Refusal::Stage(_)
            | Refusal::Interrupted { .. }
            | Refusal::NotSetUp { .. }
            | Refusal::NothingBefore
            | Refusal::NothingInterrupted
            | Refusal::NothingLeft { .. }
            | Refusal::SyncInterrupted { .. }
            | Refusal::NothingToConfirm
            | Refusal::NotConfirmable { .. } => return None,
        })
    }

    /// As a command's end, where the site stands so.
    pub fn at(self, state: &State) -> Outcome {
        let hint = self.hint().or_else(|| Some(ways_on(state)));
        Outcome { hint, ..Outcome::from(self) }
    }
}

/// As a command's end, where nobody knows where the site stands.
impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Outcome {
        Outcome { exit: refusal.exit(), message: refusal.to_string(), hint: refusal.hint() }
    }
}

impl OtherInventory {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self.stage {
            None => "`bg setup` again begins with the inventory as it is now",
            Some(_) if self.taken_over && self.is_old => {
                "use the newest inventory; if this one is meant, `bg sync` makes it so again"
            }
            Some(_) if self.taken_over => "`bg sync` brings the balancers up to it, or take the change back",
            Some(Stage::Balanced) if !self.has_open => {
                "take the change back: it names other hosts, which this version of bg cannot take over"
            }
            Some(_) => "take the change back for this rollout; `bg sync` takes it over once the site is balanced",
        }
    }
}

/// What helps the first host, and then what helps all.
fn with_first(first: Option<String>, then: &str) -> String {
    first.map_or_else(|| then.to_owned(), |first| format!("{first} · {then}"))
}

/// A host that could not be reached, or did not do as asked.
impl HostError {
    /// What a person does next, where that is known.
    pub fn hint(&self) -> Option<String> {
        let host = self.host();
        Some(match self {
            Self::InvalidName { .. } => "host names hold letters, digits, `.`, `_`, `-` and `:`, and begin with none of the last two".into(),
            Self::NameNotResolved { .. } => format!("try `ssh {host} true`; an alias belongs into ~/.ssh/config, or the file that `[ssh] config` names"),
            Self::Unreachable { .. } | Self::ConnectTimedOut { .. } => format!("is it up, and its sshd? try `ssh {host} true`"),
            Self::Local { .. } => {
                "that is this machine: is `ssh` installed, and is there room and a right to write in $TMPDIR?".into()
            }
            Self::HostKeyUnknown { .. } => {
                format!("compare the key once by hand with `ssh {host} true`, or fill known_hosts with `ssh-keyscan` over a network that you trust")
            }
            Self::HostKeyChanged { .. } => format!(
                "do not go on before you know why: was `{host}` reinstalled, or does somebody stand in between? only then `ssh-keygen -R` the old key"
            ),
            Self::PermissionDenied { .. } => {
                format!("is the right key in your ssh agent (`ssh-add -l`), and the right user in `[ssh] user`? try `ssh -o BatchMode=yes {host} true`")
            }
            Self::Dropped { .. } => "sshd's MaxStartups may be too low for a jump host that everything passes, or somebody floods it; try again".into(),
            Self::Connect { .. } => format!("try `ssh -v {host} true`"),
            Self::NoSession { .. } => {
                format!("does it still answer? try `ssh {host} true`; sshd's MaxSessions must be at least 10 (its default)")
            }
            Self::NotRun { .. } => format!("the login user on `{host}` needs a POSIX shell, and no forced command for this key"),
            Self::NoSudo { .. } => {
                format!("the login user on `{host}` needs a NOPASSWD rule in sudoers; `ssh {host} sudo -n true` shows when it has one")
            }
            Self::Lost { .. } | Self::Cut { .. } => format!("is it up? try `ssh {host} true`"),
            Self::Unsendable { .. } => "shorten it, or take out what cannot be sent".into(),
            Self::Input { .. } => "is it still there, and readable? then try again".into(),
            Self::TimedOut { ended: true, .. } => format!("is `{host}` busy, or its disk slow? try again"),
            Self::Failed { .. } => format!("mend that on `{host}`, then try again"),
            Self::TimedOut { ended: false, .. } => format!("look for the command on `{host}`, and end it, before anything else is done there"),
            Self::Forward { .. } => "sshd's AllowTcpForwarding must permit it".into(),
        })
    }
}

/// A server of a pool.
impl ServerError {
    /// What a person does next, where that is known.
    pub fn hint(&self) -> Option<String> {
        let (host, root) = (&self.host, &self.root);
        Some(match &self.what {
            What::Host(error) => return error.hint(),
            What::Artifact(error) => error.hint(),
            What::Foreign { journal, .. } => format!(
                "use the journal `{journal}`; or, if that journal is gone for good, look at what runs on `{host}` and remove `{root}/.bg/fence` and `{root}/.bg/marker` there"
            ),
            What::Fenced { .. } => "`bg status` shows who is at work".to_owned(),
            What::FenceLost => format!("find out who works in `{root}/.bg` on `{host}` beside bg, then try again"),
            What::DamagedFence => {
                format!("look at what runs on `{host}`, then remove `{root}/.bg/fence` there")
            }
            What::Busy => format!("a command started earlier may still run on `{host}`; try again when it has ended"),
            What::MissingTool { tool } => format!("install `{tool}` on `{host}`"),
            What::NoRoom { .. } | What::DiskFull { .. } => {
                format!("make room on `{host}` (old releases stand in `{root}/releases`), or lower `keep`")
            }
            What::Occupied => format!("move the directory in `{root}/releases` on `{host}` away"),
            What::Torn => format!("try again; if it comes again, look at the way to `{host}` and at its disk"),
            What::SharedBehindLink { path } => {
                format!("take the link out of the artifact, or `{path}` out of `shared`")
            }
            What::Unplaced => {
                format!("somebody removed or changed it in `{root}/releases` on `{host}`; a deploy brings it again")
            }
            What::Crashed { .. } => format!("its log on `{host}` says why: `journalctl -u` and the service"),
            What::Failed { .. } => format!("mend that on `{host}`, then try again"),
            What::Garbled { .. } => {
                format!("the login shell on `{host}` must print nothing of its own (`~/.bashrc`, `~/.profile`)")
            }
            What::Unsendable { .. } => "mend it in the inventory".to_owned(),
            What::CurrentIsNoLink => format!("move `{root}/current` on `{host}` away"),
            What::CommandSlow { .. } => format!("its whole output is in `{root}/.bg/output` on `{host}`"),
            What::CommandFailed { .. } => format!("its whole output is in `{root}/.bg/output` on `{host}`"),
        })
    }
}

/// A balancer.
impl balancer::Error {
    /// What a person does next, where the message does not say it already.
    pub fn hint(&self) -> Option<String> {
        use balancer::Kind;
        let host = &self.host;
        Some(match &self.kind {
            Kind::Host(error) => return error.hint(),
            Kind::Probe { .. } => {
                format!("does nginx run on `{host}`, with bg's http.conf included? `bg check --hosts` says more")
            }
            Kind::Unconfirmed { .. } => {
                format!("does nginx on `{host}` run with bg's files? `bg check --hosts` says more")
            }
            Kind::Foreign { .. } => "use the inventory and the journal that this balancer belongs to".to_owned(),
            Kind::Fenced { .. } => "`bg status` shows who is at work".to_owned(),
            Kind::ConfRefused { .. } | Kind::ReloadFailed { .. } | Kind::Dump { .. } => {
                format!("mend nginx's configuration on `{host}`, then try again")
            }
            Kind::NotTakenUp { .. } => format!("see why nginx on `{host}` does not take it up, then try again"),
            Kind::Missing { .. } | Kind::Differs { .. } | Kind::CurrentDiffers { .. } => {
                format!("somebody changed bg's directory on `{host}` by hand; try again")
            }
            Kind::Broke { .. } => format!("mend that on `{host}`, then try again"),
            Kind::Unknown
            | Kind::NoRights { .. }
            | Kind::Locked { .. }
            | Kind::NoDirs { .. }
            | Kind::UnknownCurrent { .. }
            | Kind::Unarmed { .. }
            | Kind::NoTimer => return None,
        })
    }
}

/// An artifact on this machine.
impl ArtifactError {
    /// What a person does next.
    pub fn hint(&self) -> String {
        match self {
            ArtifactError::Missing { .. } => "build it, or correct `artifact` in the inventory".to_owned(),
            ArtifactError::Unreadable { .. } => "give yourself the right to read it".to_owned(),
            ArtifactError::UnknownKind { .. } => "pack it as one of these".to_owned(),
            ArtifactError::Mismatch { .. } => "name it after what it holds".to_owned(),
            ArtifactError::Refused { .. } => "build it without that entry".to_owned(),
            ArtifactError::Damaged { .. } | ArtifactError::Empty { .. } => "build it again".to_owned(),
            ArtifactError::Temporary { dir, source, .. } => {
                let dir = dir.display();
                match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        format!("make room in `{dir}`, or name a directory that has it with TMPDIR")
                    }
                    _ => format!("make `{dir}` a directory that you may write to, or name one with TMPDIR"),
                }
            }
        }
    }
}

/// A journal that could not be read or written.
impl StoreError {
    /// What to do about it, to be followed by what then.
    pub fn hint(&self) -> &'static str {
        match self {
            StoreError::Failed(_) => "mend that",
            StoreError::Mendable { mend, .. } => mend.as_str(),
            StoreError::Unknown(_) => "see to where the journal is",
            StoreError::Conflict(_) => "see that nothing but bg writes there, and bring the journal back if it is gone",
            StoreError::Lost(_) => "see who is at work",
        }
    }
}

impl Mend {
    /// What a person does, to be followed by what then.
    pub fn as_str(self) -> &'static str {
        match self {
            Mend::Room => "make room on that disk",
            Mend::RoomInEtcd => "make room in etcd (compact and defragment it, then `etcdctl alarm disarm`)",
            Mend::Rights => "let the user that works there read and write it",
            Mend::Host => "bring that host back, or the way to it",
            Mend::Members => "bring etcd's members back, or the way to them: more than half must answer",
        }
    }
}

/// A journal that was not opened.
impl OpenError {
    /// The process's exit code.
    pub fn exit(&self) -> Exit {
        match self {
            OpenError::Locked(_)
            | OpenError::NotFree { .. }
            | OpenError::Held(_)
            | OpenError::Overtaken(_)
            | OpenError::Moved(_)
            | OpenError::Store(StoreError::Lost(_)) => Exit::Refused,
            OpenError::Stopped => Exit::Interrupted,
            OpenError::Damaged { .. } | OpenError::Newer { .. } | OpenError::Store(_) => Exit::Failed,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            OpenError::Locked(_) => format!(
                "`--wait` waits for the lock, which a killed command loses within {} s; `bg status` shows where the site stands",
                LEASE.as_secs()
            ),
            OpenError::NotFree { .. } => {
                "wait longer (`--wait 3h`); `bg status` shows where the site stands".to_owned()
            }
            OpenError::Held(hold) => match &hold.copy_of {
                Some(_) if hold.is_unreadable() => format!("{UNREADABLE_HOLD}; `bg status` shows what the hosts say"),
                Some(from) => {
                    format!("`bg journal copy {from} …` again finishes the copy; until then the site is in `{from}`")
                }
                None => {
                    "`bg unlock` releases it, when that is right; `bg status` shows where the site stands".to_owned()
                }
            },
            OpenError::Overtaken(_) => {
                "nothing is to be done, if the newer release brings this one's changes too".to_owned()
            }
            OpenError::Stopped => "`bg status` shows where the site stands".to_owned(),
            OpenError::Moved(moved) => follow(moved, &by().host),
            OpenError::Store(StoreError::Lost(_)) => "`bg status` shows who is at work".to_owned(),
            OpenError::Damaged { .. } | OpenError::Newer { .. } | OpenError::Store(_) => {
                format!("{}; `bg status` shows what the hosts say meanwhile", self.unread_hint())
            }
        }
    }

    /// What to do about a journal that cannot be read, to be followed by what then.
    pub fn unread_hint(&self) -> &'static str {
        match self {
            OpenError::Damaged { .. } => {
                "bring back a copy of the journal from a backup, or mend that line by hand; no other line is lost"
            }
            OpenError::Newer { .. } => "use the newer bg here too; nothing is wrong with the journal",
            OpenError::Store(error) => error.hint(),
            _ => "see to where the journal is",
        }
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Outcome {
        Outcome::from(OpenError::from(error))
    }
}

impl From<OpenError> for Outcome {
    fn from(error: OpenError) -> Outcome {
        Outcome { exit: error.exit(), message: error.to_string(), hint: Some(error.hint()) }
    }
}
